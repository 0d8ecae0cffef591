import { type HostFiles, readTextOrNull } from './files.js';

/** The kernel's clocksource, and what was said at boot about clocks. */
export interface ClocksourceFacts {
  /** Null where `/sys` does not tell. */
  current: string | null;
  available: string[];
  /** Boot parameters that bear on time, as written. */
  bootParameters: string[];
}

const SYSFS = '/sys/devices/system/clocksource/clocksource0';
const TIME_PARAMETERS =
  /^(clocksource|tsc|tsc_early_khz|notsc|vdso|vdso32|nosmp|hpet|nohpet|acpi_pm|no-kvmclock|no-kvmclock-vsyscall|nohz|nohz_full|highres|no_timer_check|processor\.max_cstate|idle)(=|$)/;

export function readClocksourceFacts(files: HostFiles): ClocksourceFacts {
  const commandLine = readTextOrNull(files, '/proc/cmdline') ?? '';
  return {
    current: readTextOrNull(files, `${SYSFS}/current_clocksource`),
    available: (readTextOrNull(files, `${SYSFS}/available_clocksource`) ?? '')
      .split(/\s+/)
      .filter((name) => name !== ''),
    bootParameters: commandLine.split(/\s+/).filter((parameter) => TIME_PARAMETERS.test(parameter)),
  };
}
