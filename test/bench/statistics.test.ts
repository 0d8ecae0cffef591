import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { distributionOf, medianInterval, medianOf } from '../../lib/bench/statistics.ts';
import { seededRandom } from '../../lib/random.ts';

const values = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 60 });

/** Uniform numbers from 0 to 1, seeded. */
function uniform(seed: bigint): () => number {
  const random = seededRandom(seed);
  return () => Number(random.next() >> 11n) / 2 ** 53;
}

describe('a median', () => {
  test('has no more than half of the values on either side', () => {
    fc.assert(
      fc.property(values, (some) => {
        const middle = medianOf(some);
        expect(some.filter((one) => one < middle).length).toBeLessThanOrEqual(some.length / 2);
        expect(some.filter((one) => one > middle).length).toBeLessThanOrEqual(some.length / 2);
      }),
    );
  });

  test('of an even number is the mean of the two in the middle, and of none no number', () => {
    expect(medianOf([4, 1, 3, 2])).toBe(2.5);
    expect(medianOf([])).toBeNaN();
  });
});

describe('the interval of a median', () => {
  test('lies within the values, is the same for one seed, and is none where all are alike', () => {
    fc.assert(
      fc.property(
        fc.array(values, { minLength: 1, maxLength: 5 }),
        fc.bigInt({ min: 0n, max: 1n << 60n }),
        (trials, seed) => {
          const [low, high] = medianInterval(trials, seededRandom(seed));
          const all = trials.flat();
          expect(low).toBeLessThanOrEqual(high);
          expect(low).toBeGreaterThanOrEqual(Math.min(...all));
          expect(high).toBeLessThanOrEqual(Math.max(...all));
          expect(medianInterval(trials, seededRandom(seed))).toEqual([low, high]);
        },
      ),
      { numRuns: 30 },
    );
    expect(
      medianInterval(
        [
          [7, 7],
          [7, 7, 7],
        ],
        seededRandom(1n),
      ),
    ).toEqual([7, 7]);
  });

  test('has the true median in about 95 of 100 cases', () => {
    let held = 0;
    const runs = 200;
    for (let run = 0; run < runs; run++) {
      const draw = uniform(BigInt(run));
      const trials = Array.from({ length: 8 }, () => Array.from({ length: 25 }, draw));
      const [low, high] = medianInterval(trials, seededRandom(BigInt(run)));
      if (low <= 0.5 && 0.5 <= high) held++;
    }
    // The two stages make it a little too wide where rounds are independent.
    expect(held / runs).toBeGreaterThan(0.9);
  });

  test('leaves out 2.5 % of the resamples at either end: of one trial of many numbers, as the order statistics say', () => {
    // The median of n drawn from 0..n-1 is nearly normal with a deviation of sqrt(n) / 2: 1.96 of that on either side.
    const count = 401;
    const trial = Array.from({ length: count }, (_, at) => at);
    const widths = Array.from({ length: 20 }, (_, seed) => {
      const [low, high] = medianInterval([trial], seededRandom(BigInt(seed)));
      return (high - low) / 2 / (Math.sqrt(count) / 2);
    });
    const width = widths.reduce((sum, one) => sum + one, 0) / widths.length;
    expect(Math.abs(width - 1.96)).toBeLessThan(0.15);
  });

  test('is wide where the trials differ, however many rounds each has', () => {
    const draw = uniform(5n);
    const around = (centre: number): number[] => Array.from({ length: 200 }, () => centre + draw() / 10);
    const [low, high] = medianInterval([1, 2, 3, 4, 5].map(around), seededRandom(1n));
    const [alikeLow, alikeHigh] = medianInterval([3, 3, 3, 3, 3].map(around), seededRandom(1n));
    expect(high - low).toBeGreaterThan(1);
    expect(alikeHigh - alikeLow).toBeLessThan(0.1);
  });
});

describe('the distribution of single reads', () => {
  test('has the percentiles of what was read, to three digits, and keeps the outliers', async () => {
    const ns = Array.from({ length: 1000 }, (_, i) => 120 + i);
    const { percentiles, maxNs, count } = await distributionOf([...ns, 5e6], 20);
    expect(count).toBe(1001);
    expect(percentiles['p50']).toBeCloseTo(600, -1);
    expect(percentiles['p99']).toBeCloseTo(1090, -1);
    expect(Math.abs(maxNs / (5e6 - 20) - 1)).toBeLessThan(1e-3);
    expect(Object.keys(percentiles)).toEqual(['p1', 'p5', 'p25', 'p50', 'p75', 'p95', 'p99', 'p99.9']);
  });

  test('calls what took less than the bracket nothing', async () => {
    const { percentiles } = await distributionOf([5, 5, 5], 20);
    expect(percentiles['p50']).toBe(0);
  });
});
