import type { WritableClockPage } from '../host/clock-page-memory.js';
import { CLOCK_PAGE_OFFSETS } from '../page/clock-page.js';
import { wrapU64 } from '../units.js';
import type { TimeSource } from './source.js';

/** A source whose samples have the generation of a page, loaded before the source reads the counter. */
export function withGenerationOf({ bytes }: WritableClockPage, source: TimeSource): TimeSource {
  const words = new BigInt64Array(
    bytes.buffer,
    bytes.byteOffset,
    bytes.length / BigInt64Array.BYTES_PER_ELEMENT,
  );
  const at = CLOCK_PAGE_OFFSETS.generation / BigInt64Array.BYTES_PER_ELEMENT;
  return {
    name: source.name,
    hasGeneration: true,
    isFree: source.isFree,
    hz: source.hz,
    sample: () => {
      const generation = wrapU64(Atomics.load(words, at));
      return { ...source.sample(), generation };
    },
    counter: () => source.counter(),
  };
}
