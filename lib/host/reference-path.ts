import { isLatchclockError, type LatchclockError } from '../errors.js';
import { type Addon, ClockPath } from '../native/addon.js';
import { CLOCK_IDS, type ClockName } from '../page/posix-clocks.js';

/**
 * Errnos that the kernel gives for none of its clocks, and a sandbox for calls that it forbids; `SIGSYS` stands for a call
 * that was not made, since the sandbox kills for it.
 */
export const FILTER_ERRNOS: readonly string[] = ['EPERM', 'EACCES', 'ENOSYS', 'SIGSYS'];

/**
 * The error of a system call that every kernel answers (`clock_gettime` of a clock that all have, `clock_getres`); null if
 * it does.
 */
export function systemCallRefusal(addon: Addon, clock: ClockName = 'monotonic'): LatchclockError | null {
  try {
    addon.readClock(ClockPath.syscall, CLOCK_IDS[clock]);
    addon.clockResolution(ClockPath.syscall, CLOCK_IDS.monotonic);
    return null;
  } catch (error) {
    if (isLatchclockError(error, 'ERR_SYSTEM_CALL')) return error;
    throw error;
  }
}

export type ReferencePath = 'syscall' | 'vdso';

/**
 * The path by which the kernel vouches for `clock`: the system call; where a sandbox refuses it, be it for this clock
 * alone, the vDSO.
 *
 * @throws LatchclockError `ERR_SYSTEM_CALL` with the system call's error if the vDSO does not give the clock either
 */
export function referencePath(addon: Addon, clock: ClockName): ReferencePath {
  const refusal = systemCallRefusal(addon, clock);
  if (refusal === null) return 'syscall';
  try {
    addon.readClock(ClockPath.vdso, CLOCK_IDS[clock]);
    return 'vdso';
  } catch (error) {
    if (isLatchclockError(error)) throw refusal;
    throw error;
  }
}
