import { runSteps, type StepCounter, type StepMemory } from '../steps.js';
import { latchReader } from './latch.js';
import { latchWindowReader } from './latch-window.js';
import { literalLatchWindowReader, literalTwoWindowReader } from './literal.js';
import { outcomeOf, type ReaderOptions, type ReaderOutcome, type ReaderProgram } from './reading.js';
import { seqlockReader } from './seqlock.js';
import { twoWindowReader } from './two-window.js';

/** The readers of our page by their protocols' names; those called literal are broken, for the record. */
export const OWN_READERS = {
  seqlock: seqlockReader,
  latch: latchReader,
  'latch-window': latchWindowReader,
  'two-window': twoWindowReader,
  'literal-latch-window': literalLatchWindowReader,
  'literal-two-window': literalTwoWindowReader,
} as const satisfies Readonly<Record<string, (options: ReaderOptions) => ReaderProgram>>;

/** Name of a reader of our page. */
export type OwnReaderName = keyof typeof OWN_READERS;

/** Reads a page once, straight: the page starts at address 0 of `memory`. */
export function readOwnPage(
  protocol: OwnReaderName,
  options: ReaderOptions,
  memory: StepMemory,
  counter: StepCounter,
): ReaderOutcome {
  return outcomeOf(runSteps(OWN_READERS[protocol](options), memory, counter));
}
