import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fitLine } from '../../lib/compare/line-fit.ts';
import { seededRandom } from '../../lib/random.ts';

/** Normal noise by the sum of twelve uniform numbers, seeded. */
function noiseOf(seed: bigint): () => number {
  const random = seededRandom(seed);
  return () =>
    Array.from({ length: 12 }, () => Number(random.next() >> 11n) / 2 ** 53).reduce((a, b) => a + b, -6);
}

const SECONDS = Array.from({ length: 200 }, (_, i) => i / 20);

describe('a line through a phase', () => {
  test('is found again where there is no noise', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -1e6, max: 1e6, noNaN: true }),
        fc.double({ min: -1e6, max: 1e6, noNaN: true }),
        (phase, slope) => {
          const fit = fitLine(
            SECONDS,
            SECONDS.map((x) => phase + slope * x),
          );
          expect(fit.phaseNs).toBeCloseTo(phase, 5);
          expect(fit.frequencyPpb).toBeCloseTo(slope, 5);
          expect(fit.worstResidualNs).toBeLessThan(1e-5);
        },
      ),
    );
  });

  test('has the true frequency in its interval in about 95 of 100 cases, whether or not neighbours are alike', () => {
    for (const correlation of [0, 0.8]) {
      let held = 0;
      const trials = 400;
      for (let trial = 0; trial < trials; trial++) {
        const noise = noiseOf(BigInt(trial));
        let last = 0;
        const fit = fitLine(
          SECONDS,
          SECONDS.map((x) => {
            last = correlation * last + noise();
            return 5 - 3 * x + last;
          }),
        );
        if (Math.abs(fit.frequencyPpb + 3) <= fit.frequencyHalfWidthPpb) held++;
      }
      // Three standard deviations of the count, and the correlation is an estimate itself.
      expect(held / trials).toBeGreaterThan(0.9);
      expect(held / trials).toBeLessThan(0.985);
    }
  });

  test('calls correlated samples worth fewer', () => {
    const noise = noiseOf(1n);
    const independent = SECONDS.map(() => noise());
    let last = 0;
    const alike = SECONDS.map(() => (last = 0.9 * last + noise()));
    expect(fitLine(SECONDS, independent).effectiveSamples).toBeGreaterThan(120);
    expect(fitLine(SECONDS, alike).effectiveSamples).toBeLessThan(40);
  });
});
