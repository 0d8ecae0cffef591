import { wrapU64 } from '../../units.js';
import { jump, label, type Registers } from '../steps.js';
import { itemsOf } from './items.js';
import {
  assembleReader,
  chosenCopy,
  computeValue,
  DEFAULT_MOST_TRIES,
  isOutside,
  loadCopy,
  loadCount,
  loadCountAgain,
  loadGeneration,
  type ReaderItem,
  type ReaderOptions,
  type ReaderProgram,
  type ReaderRegister,
  readCounter,
} from './reading.js';
import { isOnly, otherCopy } from './two-window.js';

const { compute, branch } = itemsOf<ReaderRegister>();

// Broken on purpose. They end with `value` also where the loop is left without one: `ns` is then what it was.

/** A do-while loop: `goesOn` is its condition, and the label `condition` where `continue` in it goes. */
function doWhile(
  options: ReaderOptions,
  body: readonly ReaderItem[],
  goesOn: (registers: Registers<ReaderRegister>) => boolean,
): ReaderItem[] {
  const mostTries = BigInt(options.mostTries ?? DEFAULT_MOST_TRIES);
  return [
    label('again'),
    branch('give up after too many tries', 'retries', ({ tries }) => tries >= mostTries),
    compute('count the try', ({ tries, retries }) => ({
      tries: tries + 1n,
      retries: tries === 0n ? retries : retries + 1n,
    })),
    ...loadGeneration(options),
    ...loadCount(),
    ...body,
    label('condition'),
    ...loadCountAgain(),
    branch('the condition holds', 'again', goesOn),
    compute('accept the copy', ({ seen }) => ({ count: seen })),
    { kind: 'end', note: 'return what there is', end: 'value' },
    label('retries'),
    { kind: 'end', note: 'refuse: retries', end: 'retries' },
  ];
}

/**
 * The seed's sketch as written: `continue` in a do-while goes to the condition, so that an unchanged count ends the
 * loop without a value.
 */
export function literalLatchWindowReader(options: ReaderOptions): ReaderProgram {
  const body: ReaderItem[] = [
    ...loadCopy(options, 'the chosen copy', chosenCopy, true),
    ...readCounter(options),
    branch('continue: outside the window', 'condition', isOutside),
    computeValue(options, false),
  ];
  return assembleReader(
    'literal-latch-window',
    options,
    doWhile(options, body, ({ seen, recount }) => recount !== seen),
  );
}

/** The first slip: what a delta is compared with. */
function isBeyondBase({ cycles, base }: Registers<ReaderRegister>): boolean {
  return wrapU64(cycles - base) >= base;
}

/**
 * The follow-up's sketch with its two slips, taken as: the delta is compared with the copy's base, and the loop goes
 * on while the count is the same, so that it ends with a copy that has just been rewritten.
 */
export function literalTwoWindowReader(options: ReaderOptions): ReaderProgram {
  const body: ReaderItem[] = [
    ...loadCopy(options, 'the first copy', chosenCopy, true),
    ...readCounter(options),
    branch('the first copy will do', 'taken', (r) => !isBeyondBase(r)),
    branch('continue: there is no other copy', 'condition', isOnly),
    ...loadCopy(options, 'the other copy', otherCopy, true),
    branch('the other copy will do', 'taken', (r) => !isBeyondBase(r)),
    jump('condition', 'continue: no copy will do'),
    label('taken'),
    computeValue(options, false),
  ];
  return assembleReader(
    'literal-two-window',
    options,
    doWhile(options, body, ({ seen, recount }) => recount === seen),
  );
}
