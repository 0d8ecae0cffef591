import type { WritableClockPage } from '../host/clock-page-memory.js';
import { CLOCK_PAGE_OFFSETS } from '../page/clock-page.js';
import { wrapU64 } from '../units.js';
import type { SourceSample, TimeSource } from './source.js';
import { sourceError } from './source-error.js';

/** Samples that are thrown away at the most: a counter does not change its meaning more often while one is taken. */
const MOST_THROWN_AWAY = 16;

/**
 * A source whose samples have the generation of a page. It is loaded before the source reads the counter and again after:
 * a sample across a change, or an error that came of one, may be of neither generation, and is thrown away.
 *
 * Its `sample` throws what the source's throws, and LatchclockError `ERR_SOURCE` where the generation changed during
 * each of 16 samples.
 */
export function withGenerationOf({ bytes }: WritableClockPage, source: TimeSource): TimeSource {
  const words = new BigInt64Array(
    bytes.buffer,
    bytes.byteOffset,
    bytes.length / BigInt64Array.BYTES_PER_ELEMENT,
  );
  const at = CLOCK_PAGE_OFFSETS.generation / BigInt64Array.BYTES_PER_ELEMENT;
  const generation = (): bigint => wrapU64(Atomics.load(words, at));
  let started = generation();
  const sampleWithin = (before: bigint): SourceSample | null => {
    try {
      if (before !== started) source.restart?.();
      started = before;
      const sample = source.sample();
      return generation() === before ? { ...sample, generation: before } : null;
    } catch (error) {
      if (generation() === before) throw error;
      return null;
    }
  };
  return {
    name: source.name,
    hasGeneration: true,
    isFree: source.isFree,
    hz: source.hz,
    sample: () => {
      for (let tries = 0; tries < MOST_THROWN_AWAY; tries++) {
        const sample = sampleWithin(generation());
        if (sample !== null) return sample;
      }
      throw sourceError(
        source.name,
        `the page's generation changed during each of ${MOST_THROWN_AWAY} samples`,
        'let whoever moves the counter change the generation once, and start a new timekeeper',
      );
    },
    counter: () => source.counter(),
    generation,
  };
}
