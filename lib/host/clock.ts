import { checkWords } from '../arguments.js';
import { isLatchclockError, LatchclockError } from '../errors.js';
import { type PageClock, ReadingSource, type ReadingSourceName } from '../native/addon.js';
import { didYouMean } from '../nearest.js';
import { CLOCK_IDS, type ClockName, PAGE_CLOCKS } from '../page/posix-clocks.js';
import type { Host } from './host.js';
import { pageClock, readKernelPage } from './kernel-page.js';
import { readableClocks } from './prove-layout.js';

/** A clock that is open for reading. */
export interface Clock {
  readonly id: ClockName;
  /** How it is read: own arithmetic on the kernel's proved page, the vDSO, the libc, or the system call. */
  readonly path: ReadingSourceName;
  /**
   * The clock's value, nanoseconds since its epoch, rounded down.
   *
   * @throws LatchclockError `ERR_RETRIES` if the page's writer stopped half-way, `ERR_BAD_ARGUMENT` if the kernel
   *   has changed its clocksource to one that the page cannot be read with, `ERR_SYSTEM_CALL` if the kernel refuses
   */
  now(): bigint;
  /**
   * The same into `out[0]`, without making a `bigint`.
   *
   * @throws LatchclockError as {@link Clock.now}; `ERR_BAD_ARGUMENT` where `out` has no word
   */
  nowInto(out: BigInt64Array): void;
}

/** How to open a clock. */
export interface OpenClockOptions {
  /** How to read the clock; by default the first of page, vDSO and system call that works. */
  path?: ReadingSourceName;
}

/** Where the page holds `id`, if it does under its present mode. Throws what finding the page throws. */
function placeInPage(host: Host, id: ClockName): PageClock {
  const proved = host.page();
  const clock = PAGE_CLOCKS.find((name) => name === id);
  if (
    clock === undefined ||
    !readableClocks(readKernelPage(host.addon, proved), proved.proof).includes(clock)
  ) {
    throw new LatchclockError('ERR_NO_KERNEL_PAGE', `the kernel's page does not give ${id}`, {
      where: 'openClock',
      todo: "leave the path out, or take 'vdso' or 'syscall'",
    });
  }
  return pageClock(proved, clock);
}

function makeClock(host: Host, id: ClockName, path: ReadingSourceName): Clock {
  const value = new BigInt64Array(1);
  const page = path === 'page' ? placeInPage(host, id) : null;
  const read = host.addon.clockReader(ReadingSource[path], CLOCK_IDS[id], page, value);
  // Once, so that a clock that the kernel does not have is refused here and not at its first use.
  try {
    read();
  } catch (error) {
    if (!isLatchclockError(error, 'ERR_SYSTEM_CALL') || error.errno !== 'EINVAL') throw error;
    throw new LatchclockError('ERR_SYSTEM_CALL', `this kernel has no clock ${id}`, {
      where: `${error.syscall}: ${error.errno}`,
      todo: "'latchclock validate --only clock' tells which there are",
      errno: error.errno,
      cause: error,
    });
  }
  return {
    id,
    path,
    now: () => {
      read();
      return value[0] as bigint;
    },
    nowInto: (out) => {
      checkWords('nowInto', out, 1);
      read();
      out[0] = value[0] as bigint;
    },
  };
}

const DEFAULT_PATHS: readonly ReadingSourceName[] = ['page', 'vdso', 'syscall'];

/**
 * Opens a POSIX clock of a host.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for an unknown clock or path, `ERR_SYSTEM_CALL` for a clock that the
 *   kernel does not have, `ERR_NO_VDSO`, `ERR_NO_KERNEL_PAGE`, `ERR_PAGE_NOT_PROVED` or `ERR_COUNTER_DISABLED`
 *   where the path asked for cannot be used
 */
export function openClockOn(host: Host, id: ClockName, options: OpenClockOptions = {}): Clock {
  if (!Object.hasOwn(CLOCK_IDS, id)) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', `there is no clock '${String(id)}'`, {
      where: 'openClock',
      todo: `${didYouMean(String(id), Object.keys(CLOCK_IDS))}choose from ${Object.keys(CLOCK_IDS).join(', ')}`,
    });
  }
  const { path } = options;
  if (path !== undefined) {
    if (!Object.hasOwn(ReadingSource, path)) {
      throw new LatchclockError('ERR_BAD_ARGUMENT', `there is no path '${String(path)}'`, {
        where: 'openClock',
        todo: `${didYouMean(String(path), Object.keys(ReadingSource))}choose from ${Object.keys(ReadingSource).join(', ')}`,
      });
    }
    return makeClock(host, id, path);
  }
  let refusal: unknown;
  for (const candidate of DEFAULT_PATHS) {
    try {
      return makeClock(host, id, candidate);
    } catch (error) {
      if (!isLatchclockError(error)) throw error;
      refusal = error;
    }
  }
  throw refusal;
}
