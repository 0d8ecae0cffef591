import {
  assembleReader,
  chosenCopy,
  judgeGeneration,
  judgeWindow,
  loadCopy,
  loadCount,
  loadGeneration,
  type ReaderOptions,
  type ReaderProgram,
  readCounter,
  retryLoop,
  returnValue,
} from './reading.js';

/**
 * `latch-window`, the seed's: a latch whose copies say how long they hold. One comparison finds a counter past the
 * window's end and one behind its base, since the difference is unsigned; it is made only once the copy is known to
 * be consistent.
 */
export function latchWindowReader(options: ReaderOptions): ReaderProgram {
  return assembleReader('latch-window', options, [
    ...retryLoop(options, [
      ...loadGeneration(options),
      ...loadCount(),
      ...loadCopy(options, 'the chosen copy', chosenCopy, true),
      ...readCounter(options),
    ]),
    ...judgeGeneration(options),
    ...judgeWindow(),
    ...returnValue(options, false),
  ]);
}
