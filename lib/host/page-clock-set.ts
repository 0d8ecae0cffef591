import { checkArgument, checkWords } from '../arguments.js';
import {
  type Addon,
  type OutOfWindowPolicyName,
  PAGE_SET_WORDS,
  ReaderGeneration,
  ReaderProtocol,
  type ReaderProtocolName,
} from '../native/addon.js';
import { OWN_CLOCKS, type OwnClockName } from '../page/clock-page.js';
import { wrapU64 } from '../units.js';
import type { OpenClockPage } from './clock-page-memory.js';
import { type PageReadingOptions, pageReading, policyOf, someReadingOptions } from './page-reading.js';

/** How to read the clocks of a page at once. */
export interface PageSetOptions extends PageReadingOptions {
  /**
   * What to do where the page has no values now (default `error`): throw, or wait for the writer as a clock of a page
   * does. No system call gives a set.
   */
  outOfWindow?: Extract<OutOfWindowPolicyName, 'error' | 'spin'>;
}

/** Every clock of a page: of one update, at one reading of the counter. */
export interface PageSet {
  /** The counter's reading, cycles, unsigned 64 bits. */
  readonly cycles: bigint;
  /** The generation for which the values hold, unsigned 64 bits; 0 where the page has none. */
  readonly generation: bigint;
  /**
   * How far any of the values may be from its source's at that counter, ns, rounded up; null where the writer of the page
   * states no bound.
   */
  readonly boundNs: bigint | null;
  /** Nanoseconds since each clock's epoch, rounded down: the clocks that the page holds. */
  readonly ns: Readonly<Partial<Record<OwnClockName, bigint>>>;
}

/** The clocks of a page that is open for reading. */
export interface PageSetHandle {
  readonly protocol: ReaderProtocolName;
  /** The clocks that the page holds. */
  readonly clocks: readonly OwnClockName[];
  /** Whether migration is detected: the page has a generation of its own. */
  readonly generation: boolean;
  /**
   * All clocks of the page.
   *
   * @throws LatchclockError as `now()` of a clock of a page
   */
  read(): PageSet;
  /**
   * The same as {@link PAGE_SET_WORDS} words, without making objects: the counter's cycles and the generation (as signed
   * words: `BigInt.asUintN(64, x)` gives them), the bound in ns (-1 where none is stated), then the ns of each clock in the
   * order of `OWN_CLOCKS` (0 for one that the page does not hold). The words behind them are left alone.
   *
   * @throws LatchclockError as {@link read}; `ERR_BAD_ARGUMENT` if `out` is shorter
   */
  readInto(out: BigInt64Array): void;
  /** Gives back what the set holds of its page, as a clock's `close()` does. */
  close(): void;
  /** As {@link PageSetHandle.close}. */
  [Symbol.dispose](): void;
}

const WHERE = 'openPageSet';
const FIRST_CLOCK = 3;

/**
 * Opens all clocks of a page of ours, to be read at once.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for a protocol that is not its writer's, narrow arithmetic on a page that
 *   does not keep its bound, or an unknown policy; `ERR_BAD_PAGE` for a counter or a generation elsewhere, which this
 *   reader cannot take, or a file that was cut short; `ERR_COUNTER_DISABLED`
 */
export function openPageSet(addon: Addon, page: OpenClockPage, options: PageSetOptions = {}): PageSetHandle {
  checkArgument(WHERE, 'options', options, someReadingOptions);
  const { header, memory } = page;
  const policy = policyOf(options.outOfWindow, WHERE, ['error', 'spin']);
  const { protocol, wide, generation } = pageReading(header, options, WHERE);
  const words = new BigInt64Array(PAGE_SET_WORDS);
  const read = addon.clockPageSetReader(
    memory,
    ReaderProtocol[protocol],
    ReaderGeneration[generation ? 'tagged' : 'none'],
    wide,
    policy === 'spin',
    words,
  );
  const close = (): void => addon.closePageReader(read);
  const { clocks } = header;
  return {
    protocol,
    clocks,
    generation,
    read: () => {
      read();
      const [cycles, of, boundNs] = words as unknown as [bigint, bigint, bigint];
      const ns = clocks.map((clock) => [clock, words[FIRST_CLOCK + OWN_CLOCKS.indexOf(clock)]]);
      return {
        cycles: wrapU64(cycles),
        generation: wrapU64(of),
        boundNs: boundNs < 0n ? null : boundNs,
        ns: Object.fromEntries(ns) as Partial<Record<OwnClockName, bigint>>,
      };
    },
    readInto: (out) => {
      checkWords('readInto', out, PAGE_SET_WORDS);
      read();
      out.set(words);
    },
    close,
    [Symbol.dispose]: close,
  };
}
