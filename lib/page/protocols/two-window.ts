import type { CopyNumber } from '../clock-page.js';
import { label, type Registers } from '../steps.js';
import { itemsOf } from './items.js';
import {
  assembleReader,
  chosenCopy,
  isOutside,
  judgeGeneration,
  judgeWindow,
  loadCopy,
  loadCount,
  loadGeneration,
  type ReaderOptions,
  type ReaderProgram,
  type ReaderRegister,
  readCounter,
  retryLoop,
  returnValue,
} from './reading.js';

const { branch } = itemsOf<ReaderRegister>();

/** The copy that the count's lowest bit does not name. */
export function otherCopy(registers: Registers<ReaderRegister>): CopyNumber {
  return chosenCopy(registers) === 0 ? 1 : 0;
}

/** True if the count says that the other copy is not to be tried. */
export function isOnly({ seen }: Registers<ReaderRegister>): boolean {
  return (seen & 2n) !== 0n;
}

/**
 * `two-window`: bit 0 of the count says which copy to try first, bit 1 that the other one is not to be tried. Both
 * copies may hold at once, each in its own window, so that a change takes effect at an exact tick of the counter,
 * which is read once for both.
 */
export function twoWindowReader(options: ReaderOptions): ReaderProgram {
  return assembleReader('two-window', options, [
    ...retryLoop(options, [
      ...loadGeneration(options),
      ...loadCount(),
      ...loadCopy(options, 'the first copy', chosenCopy, true),
      ...readCounter(options),
      branch('no other copy is wanted', 'taken', (r) => !isOutside(r) || isOnly(r)),
      ...loadCopy(options, 'the other copy', otherCopy, true),
      label('taken'),
    ]),
    ...judgeGeneration(options),
    ...judgeWindow(),
    ...returnValue(options, false),
  ]);
}
