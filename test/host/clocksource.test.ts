import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readClocksourceFacts } from '../../lib/host/clocksource.ts';
import { machineFiles } from '../../lib/host/files.ts';
import { simulatedHost } from '../support/simulated-host.ts';

const SYSFS = '/sys/devices/system/clocksource/clocksource0';

describe('the clocksource', () => {
  test('is the name that /sys gives, whole: hyperv_clocksource_tsc_page is not tsc', () => {
    const files = (current: string, available: string) =>
      simulatedHost({
        files: { [`${SYSFS}/current_clocksource`]: current, [`${SYSFS}/available_clocksource`]: available },
      }).files;
    expect(readClocksourceFacts(files('tsc\n', 'tsc hpet acpi_pm \n'))).toMatchObject({
      current: 'tsc',
      available: ['tsc', 'hpet', 'acpi_pm'],
    });
    const hyperV = files('hyperv_clocksource_tsc_page\n', 'hyperv_clocksource_tsc_page acpi_pm \n');
    expect(readClocksourceFacts(hyperV)).toMatchObject({
      current: 'hyperv_clocksource_tsc_page',
      available: ['hyperv_clocksource_tsc_page', 'acpi_pm'],
    });
  });

  test('is null and none where /sys and /proc tell nothing', () => {
    const { files } = simulatedHost({
      files: {
        [`${SYSFS}/current_clocksource`]: null,
        [`${SYSFS}/available_clocksource`]: null,
        '/proc/cmdline': null,
      },
    });
    expect(readClocksourceFacts(files)).toEqual({ current: null, available: [], bootParameters: [] });
  });
});

describe('boot parameters', () => {
  const parameters = (line: string): string[] =>
    readClocksourceFacts(simulatedHost({ files: { '/proc/cmdline': line } }).files).bootParameters;

  test('that bear on time are kept as written, others are not', () => {
    expect(
      parameters('quiet clocksource=hpet tsc=reliable root=/dev/vda notsc vdso=0 nosmp no-kvmclock ro\n'),
    ).toEqual(['clocksource=hpet', 'tsc=reliable', 'notsc', 'vdso=0', 'nosmp', 'no-kvmclock']);
  });

  test('a name is compared whole', () => {
    expect(parameters('tsc_other=1 xtsc=unstable idlepage highres=off processor.max_cstate=1')).toEqual([
      'highres=off',
      'processor.max_cstate=1',
    ]);
    expect(parameters('processorXmax_cstate=1')).toEqual([]);
  });
});

const told = existsSync(`${SYSFS}/current_clocksource`);

test.skipIf(!told)(
  told
    ? "this machine's clocksource is one of those available"
    : "this machine's clocksource is one of those available (skipped: /sys does not tell)",
  () => {
    const { current, available } = readClocksourceFacts(machineFiles);
    expect(available).toContain(current);
  },
);
