import { checkArgument, oneOf } from '../arguments.js';
import { CounterMethod, type CounterMethodName } from '../native/addon.js';
import type { KernelPageSnapshot } from '../page/kernel-page.js';
import type { ClockName } from '../page/posix-clocks.js';
import { wrapU64 } from '../units.js';
import { type Clock, type OpenClockOptions, openClockOn } from './clock.js';
import type { CounterFacts } from './counter-facts.js';
import { type Host, openMachine } from './host.js';
import { readKernelPage } from './kernel-page.js';

let machine: Host | undefined;

/** This machine, opened once. Throws as {@link openClock}. */
export function thisMachine(): Host {
  machine ??= openMachine();
  return machine;
}

const readers = new Map<CounterMethodName, () => bigint>();

function counterReader(method: CounterMethodName): () => bigint {
  checkArgument('counter.read', 'the method', method, oneOf(Object.keys(CounterMethod)));
  const out = new BigInt64Array(1);
  const read = thisMachine().addon.counterReader(CounterMethod[method], out);
  return () => {
    read();
    return wrapU64(out[0] as bigint);
  };
}

/** The time-stamp counter of this machine. */
export const counter = {
  /**
   * One reading, cycles, unsigned 64 bits. `lfence-rdtsc` (the default) and `rdtscp` wait for earlier instructions;
   * `rdtsc` may be executed before them. Readings on different CPUs compare only as far as the host's counters are
   * synchronised.
   *
   * @throws LatchclockError `ERR_COUNTER_DISABLED` where reading would raise a signal (asked at the first reading by
   *   a method in this thread), `ERR_COUNTER_UNSUPPORTED` where the CPU lacks the method, `ERR_BAD_ARGUMENT` for none, and as
   *   {@link openClock} off x86-64 Linux
   */
  read(method: CounterMethodName = 'lfence-rdtsc'): bigint {
    let read = readers.get(method);
    if (read === undefined) {
      read = counterReader(method);
      readers.set(method, read);
    }
    return read();
  },

  /**
   * What CPUID says of the counter.
   *
   * @throws LatchclockError `ERR_COUNTER_UNSUPPORTED` where CPUID traps, and as {@link openClock} off x86-64 Linux
   */
  info(): CounterFacts {
    return thisMachine().counter();
  },
} as const;

/**
 * Opens a POSIX clock of this machine for fast reading.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for an unknown clock or path, `ERR_SYSTEM_CALL` for a clock that the
 *   kernel does not have, `ERR_NO_VDSO`, `ERR_NO_KERNEL_PAGE`, `ERR_PAGE_NOT_PROVED` or `ERR_COUNTER_DISABLED` where
 *   the path asked for cannot be used, `ERR_UNSUPPORTED_PLATFORM` off x86-64 Linux, `ERR_ADDON_MISSING` where the
 *   addon is not built
 */
export function openClock(id: ClockName, options?: OpenClockOptions): Clock {
  return openClockOn(thisMachine(), id, options);
}

/** The kernel's clock page in this process. */
export const kernelPage = {
  /**
   * A consistent snapshot of the page; `kernelSegment(snapshot, clock)` makes a segment of a clock in it.
   *
   * @throws LatchclockError `ERR_NO_KERNEL_PAGE` where the process has none, `ERR_PAGE_NOT_PROVED` where its layout is
   *   not known, `ERR_RETRIES` if it never stood still, and as {@link openClock} off x86-64 Linux
   */
  snapshot(): KernelPageSnapshot {
    const { addon, page } = thisMachine();
    return readKernelPage(addon, page());
  },
} as const;
