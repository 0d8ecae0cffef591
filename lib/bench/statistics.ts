import type { Random } from '../random.js';

/** The value in the middle, or the mean of the two there; NaN of none. */
export function medianOf(values: ArrayLike<number>): number {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

const RESAMPLES = 400;
/** The interval that 95 % of the resamples lie in. */
const TAIL = 0.025;

/** Numbers from 0 to below 1, seeded: Mulberry32, since a bigint a draw would take longer than all that is drawn for. */
function uniform(random: Random): () => number {
  let state = Number(random.next() >> 32n);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * The 95 % interval of the median by the bootstrap (percentile method), drawn in two stages: trials, and of each its rounds,
 * since rounds of one process are more alike than those of several.
 *
 * @param trials the values of each trial's rounds; none empty
 */
export function medianInterval(trials: readonly (readonly number[])[], random: Random): [number, number] {
  const draw = uniform(random);
  const below = (count: number): number => Math.floor(draw() * count);
  const medians = new Float64Array(RESAMPLES);
  const size = trials.reduce((most, rounds) => Math.max(most, rounds.length), 0);
  const drawn = new Float64Array(size * trials.length);
  for (let resample = 0; resample < RESAMPLES; resample++) {
    let count = 0;
    for (let i = 0; i < trials.length; i++) {
      const rounds = trials[below(trials.length)] as readonly number[];
      for (let j = 0; j < rounds.length; j++) drawn[count++] = rounds[below(rounds.length)] as number;
    }
    medians[resample] = medianOf(drawn.subarray(0, count));
  }
  medians.sort();
  const at = (share: number): number => medians[Math.round(share * (RESAMPLES - 1))] as number;
  return [at(TAIL), at(1 - TAIL)];
}

/** Percentiles of single reads, as they are reported. */
export const PERCENTILES = [1, 5, 25, 50, 75, 95, 99, 99.9] as const;
export type Percentiles = Readonly<Record<string, number>>;

/** What single reads took; outliers included. */
export interface Distribution {
  /** By `p1`, `p5`, ... `p99.9`, nanoseconds. */
  readonly percentiles: Percentiles;
  readonly maxNs: number;
  readonly count: number;
}

/** Tenths of a nanosecond are what the histogram counts, up to ten seconds. */
const PER_NS = 10;
const MOST_NS = 1e10;

/** A histogram with three digits (HdrHistogram) of nanoseconds, less what the bracket around each takes. */
export async function distributionOf(ns: readonly number[], bracketNs: number): Promise<Distribution> {
  // A tenth of a second to load.
  const { build } = await import('hdr-histogram-js');
  const histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: MOST_NS * PER_NS,
    numberOfSignificantValueDigits: 3,
  });
  for (const one of ns) histogram.recordValue(Math.min(MOST_NS, Math.max(0, one - bracketNs)) * PER_NS);
  const entries = PERCENTILES.map((percent) => [
    `p${percent}`,
    histogram.getValueAtPercentile(percent) / PER_NS,
  ]);
  return {
    percentiles: Object.fromEntries(entries) as Percentiles,
    maxNs: histogram.maxValue / PER_NS,
    count: histogram.totalCount,
  };
}
