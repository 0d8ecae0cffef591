import {
  assembleReader,
  chosenCopy,
  judgeGeneration,
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
 * `latch`: two copies; the count's lowest bit says which one is read while the other is written. Nobody waits for a
 * writer. No window: a copy is believed however old it is.
 */
export function latchReader(options: ReaderOptions): ReaderProgram {
  return assembleReader('latch', options, [
    ...retryLoop(options, [
      ...loadGeneration(options),
      ...loadCount(),
      ...loadCopy(options, 'the chosen copy', chosenCopy, false),
      ...readCounter(options),
    ]),
    ...judgeGeneration(options),
    ...returnValue(options, true),
  ]);
}
