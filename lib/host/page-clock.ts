import { checkArgument, checkWords, oneOf } from '../arguments.js';
import {
  type Addon,
  OutOfWindowPolicy,
  type OutOfWindowPolicyName,
  ReaderGeneration,
  ReaderProtocol,
  type ReaderProtocolName,
} from '../native/addon.js';
import { OWN_CLOCKS, type OwnClockName } from '../page/clock-page.js';
import { CLOCK_IDS } from '../page/posix-clocks.js';
import type { OpenClockPage } from './clock-page-memory.js';
import { type HostFiles, machineFiles } from './files.js';
import {
  badReading,
  type PageReadingOptions,
  pageReading,
  policyOf,
  someReadingOptions,
} from './page-reading.js';
import { readTimeNamespaceFacts } from './time-namespace.js';

/** How to read a clock of a page. */
export interface PageClockOptions extends PageReadingOptions {
  /**
   * What to do where the page has no value now (default `error`).
   *
   * - `error`: throw.
   * - `spin`: wait for the writer, some tens of milliseconds, where the counter is outside the window or its generation
   *   is another; then throw.
   * - `syscall`: ask the kernel for its clock of that name, whatever the refusal was, but for a page that is lost or in
   *   which nothing was ever published. This assumes that the page's writer follows this kernel's clocks: the value is
   *   then as far from the page's as that writer's bound says. Not for a page whose clocks are somebody else's.
   */
  outOfWindow?: OutOfWindowPolicyName;
  /** Where `syscall` looks for the time namespace of this process; default: this machine's files. */
  files?: HostFiles;
}

/** A clock of a page that is open for reading. */
export interface PageClockHandle {
  readonly id: OwnClockName;
  readonly protocol: ReaderProtocolName;
  /** Whether migration is detected: the page has a generation of its own. */
  readonly generation: boolean;
  /** Which way the last value came; `page` before the first. */
  readonly path: 'page' | 'syscall';
  /**
   * The clock's value, nanoseconds since its epoch, rounded down.
   *
   * @throws LatchclockError `ERR_OUT_OF_WINDOW` where no writer came in time, `ERR_DISRUPTED` where the counter's
   *   generation is not the page's, `ERR_RETRIES` where a writer stopped half-way (after some tens of milliseconds),
   *   `ERR_BAD_PAGE` where nothing was published or the file was cut short, `ERR_SYSTEM_CALL` where the kernel was asked
   *   instead and refused
   */
  now(): bigint;
  /** The same into `out[0]`, without making a `bigint`. Throws `ERR_BAD_ARGUMENT`, too, where `out` has no word. */
  nowInto(out: BigInt64Array): void;
  /**
   * Gives back what the clock holds of its page: the mapping, if nothing else is open of it. It cannot be read any more;
   * closing may be repeated. A clock that is not closed holds it until it is collected as garbage.
   */
  close(): void;
  /** As {@link PageClockHandle.close}. */
  [Symbol.dispose](): void;
}

/** Clocks that the kernel has under the same name: the others cannot be asked for by system call. */
const KERNEL_CLOCKS = ['monotonic-raw', 'monotonic', 'boottime', 'tai'] as const;
type KernelClock = (typeof KERNEL_CLOCKS)[number];

function bad(what: string, todo: string): Error {
  return badReading('openPageClock', what, todo);
}

/** Refuses a system call whose answer would be another clock's than the page's. */
function checkKernelClock(addon: Addon, clock: KernelClock, files: HostFiles): void {
  if (clock === 'tai') {
    if (addon.adjtimex().taiOffsetSeconds !== 0) return;
    throw bad(
      "the kernel's TAI offset is 0: its tai is UTC",
      "set it (chronyd and ntpd do), or take 'error'",
    );
  }
  if (readTimeNamespaceFacts(files).inTimeNamespace === true) {
    throw bad(
      `this process lives in a time namespace, whose ${clock} need not be the page's`,
      "take the policy 'error' or 'spin'",
    );
  }
}

/**
 * Opens a clock of a page of ours.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for a clock that the page lacks, a protocol that is not its writer's, narrow
 *   arithmetic on a page that does not keep its bound, or a system call for a clock that the kernel does not have (tai
 *   without a TAI offset, or one of a time namespace, included); `ERR_SYSTEM_CALL` where the offset cannot be read;
 *   `ERR_BAD_PAGE` for a counter or a generation elsewhere, which this reader cannot take; `ERR_COUNTER_DISABLED`
 */
export function openPageClock(
  addon: Addon,
  page: OpenClockPage,
  id: OwnClockName,
  options: PageClockOptions = {},
): PageClockHandle {
  checkArgument('openPageClock', 'the clock', id, oneOf(OWN_CLOCKS));
  checkArgument('openPageClock', 'options', options, someReadingOptions);
  const { header, memory } = page;
  if (!header.clocks.includes(id)) {
    throw bad(`the page has no clock '${id}'`, `choose from ${header.clocks.join(', ')}`);
  }
  const outOfWindow = policyOf(options.outOfWindow, 'openPageClock');
  const kernelClock = KERNEL_CLOCKS.find((name) => name === id);
  if (outOfWindow === 'syscall' && kernelClock === undefined) {
    throw bad(`the kernel has no clock '${id}' to ask instead`, "take the policy 'error' or 'spin'");
  }
  if (outOfWindow === 'syscall' && kernelClock !== undefined) {
    checkKernelClock(addon, kernelClock, options.files ?? machineFiles);
  }
  const { protocol, wide, generation } = pageReading(header, options, 'openPageClock');
  // The value, and whether the kernel was asked for it.
  const value = new BigInt64Array(2);
  const read = addon.clockPageReader(
    memory,
    ReaderProtocol[protocol],
    ReaderGeneration[generation ? 'tagged' : 'none'],
    wide,
    OWN_CLOCKS.indexOf(id),
    OutOfWindowPolicy[outOfWindow],
    kernelClock === undefined ? 0 : CLOCK_IDS[kernelClock],
    value,
  );
  const close = (): void => addon.closePageReader(read);
  return {
    id,
    protocol,
    generation,
    get path() {
      return value[1] === 1n ? 'syscall' : 'page';
    },
    now: () => {
      read();
      return value[0] as bigint;
    },
    nowInto: (out) => {
      checkWords('nowInto', out, 1);
      read();
      out[0] = value[0] as bigint;
    },
    close,
    [Symbol.dispose]: close,
  };
}
