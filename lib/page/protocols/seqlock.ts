import { CLOCK_PAGE_OFFSETS } from '../clock-page.js';
import { type Item, jump, label, type WordBytes } from '../steps.js';
import { fence, itemsOf } from './items.js';
import {
  assembleReader,
  DEFAULT_MOST_TRIES,
  judgeGeneration,
  loadCopy,
  loadGeneration,
  type ReaderOptions,
  type ReaderProgram,
  readCounter,
  returnValue,
} from './reading.js';

/** The registers of a seqlock's loop. */
export type LoopRegister = 'seen' | 'recount' | 'count' | 'retries';

const { load, compute, branch } = itemsOf<LoopRegister>();

/** What goes before and after the steps that take a copy. */
export interface SeqlockLoop {
  readonly enter: readonly Item<LoopRegister, never>[];
  readonly leave: readonly Item<LoopRegister, never>[];
}

/**
 * The protocol of every seqlock page: waits while the count is odd, lets a copy be taken, and goes on when the count
 * is the same afterwards. Goes to the label `retries` after `mostSpins` waits and copies thrown away.
 *
 * @param first what comes before the count, in every try
 */
export function seqlockLoop(
  count: { at: number; bytes: WordBytes },
  mostSpins: number,
  first: readonly Item<LoopRegister, never>[] = [],
): SeqlockLoop {
  const most = BigInt(mostSpins);
  return {
    enter: [
      label('again'),
      branch('give up after too many spins', 'retries', ({ retries }) => retries >= most),
      ...first,
      load('load the count', count.at, 'seen', 'acquire', count.bytes),
      branch('a writer writes', 'wait', ({ seen }) => (seen & 1n) !== 0n),
    ],
    leave: [
      fence('acquire', 'the copy is loaded before the count again'),
      load('load the count again', count.at, 'recount', 'relaxed', count.bytes),
      branch('the count is the same', 'same', ({ seen, recount }) => seen === recount),
      label('wait'),
      compute('throw the copy away', ({ retries }) => ({ retries: retries + 1n, seen: 0n, recount: 0n })),
      jump('again', 'try again'),
      label('same'),
      compute('accept the copy', ({ seen }) => ({ count: seen })),
    ],
  };
}

/**
 * `seqlock` on our page: one copy, the first, under a count that is odd while a writer writes. No window: a counter
 * behind the base reads as the base, one far ahead is believed.
 */
export function seqlockReader(options: ReaderOptions): ReaderProgram {
  const count = { at: CLOCK_PAGE_OFFSETS.count, bytes: 8 } as const;
  // Before the count: behind it, a count of the old host could be taken with the new host's generation, and its tags.
  const first = loadGeneration(options) as unknown as Item<LoopRegister, never>[];
  const loop = seqlockLoop(count, options.mostSpins ?? DEFAULT_MOST_TRIES, first);
  return assembleReader('seqlock', options, [
    ...loop.enter,
    ...loadCopy(options, 'the copy', () => 0, false),
    ...readCounter(options),
    ...loop.leave,
    ...judgeGeneration(options),
    ...returnValue(options, true),
  ]);
}
