import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { centralHalfWidth, chiSquaredQuantile, studentCdf } from '../../lib/compare/distributions.ts';

/** Two-sided 95 % (upper 0.025) of Student's t: NIST/SEMATECH e-Handbook, 1.3.6.7.2. */
const STUDENT: readonly [degrees: number, t: number][] = [
  [1, 12.706],
  [2, 4.303],
  [3, 3.182],
  [5, 2.571],
  [10, 2.228],
  [30, 2.042],
  [60, 2.0],
  [100, 1.984],
];

describe("Student's t", () => {
  test.each(STUDENT)('of %i degrees has the published quantile %d', (degrees, t) => {
    expect(Math.abs(studentCdf(degrees)(t) - 0.975)).toBeLessThan(5e-4 / t);
    expect(centralHalfWidth([{ share: 1, centre: 0, scale: 1 }], 0, degrees, 0.95)).toBeCloseTo(t, 3);
  });

  test('of 1 degree is Cauchy’s distribution, of many the normal one', () => {
    for (const t of [-1000, -3, -0.5, 0, 0.001, 1, 7, 1e6]) {
      expect(studentCdf(1)(t)).toBeCloseTo(0.5 + Math.atan(t) / Math.PI, 12);
    }
    expect(studentCdf(1e6)(1.959963984540054)).toBeCloseTo(0.975, 6);
  });

  test('rises, and is as much below as above', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60_000 }),
        fc.double({ min: -50, max: 50, noNaN: true }),
        fc.double({ min: 1e-3, max: 10, noNaN: true }),
        (degrees, t, by) => {
          const cdf = studentCdf(degrees);
          expect(cdf(t + by)).toBeGreaterThanOrEqual(cdf(t));
          expect(cdf(t) + cdf(-t)).toBeCloseTo(1, 12);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('the interval of a mixture', () => {
  test('has the share that was asked for, wherever it is centred', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            weight: fc.double({ min: 0.01, max: 1, noNaN: true }),
            centre: fc.double({ min: -5, max: 5, noNaN: true }),
            scale: fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
          }),
          { minLength: 1, maxLength: 8 },
        ),
        fc.integer({ min: 1, max: 1_000 }),
        (weighed, degrees) => {
          const total = weighed.reduce((sum, { weight }) => sum + weight, 0);
          const parts = weighed.map(({ weight, centre, scale }) => ({
            share: weight / total,
            centre,
            scale,
          }));
          const half = centralHalfWidth(parts, 0.5, degrees, 0.95);
          const cdf = studentCdf(degrees);
          const inside = (width: number): number =>
            parts.reduce(
              (sum, { share, centre, scale }) =>
                sum + share * (cdf((0.5 + width - centre) / scale) - cdf((0.5 - width - centre) / scale)),
              0,
            );
          // The width is right, however steeply the share rises there.
          expect(inside(half * (1 - 1e-5))).toBeLessThan(0.95 + 1e-6);
          expect(inside(half * (1 + 1e-5))).toBeGreaterThan(0.95 - 1e-6);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('chi-squared', () => {
  /** NIST/SEMATECH e-Handbook, 1.3.6.7.4. */
  test.each([
    [0.95, 1, 3.841],
    [0.025, 1, 0.001],
    [0.975, 5, 12.833],
    [0.025, 10, 3.247],
    [0.975, 10, 20.483],
    [0.05, 30, 18.493],
    [0.999, 9, 27.877],
    [0.025, 100, 74.222],
    [0.975, 100, 129.561],
  ])('has the published quantile: %d of %i degrees, %d', (probability, degrees, quantile) => {
    expect(chiSquaredQuantile(probability, degrees)).toBeCloseTo(quantile, 3);
  });

  test('of 2 degrees is exponential, and of 1 the square of a normal one', () => {
    for (const p of [1e-6, 0.025, 0.5, 0.975, 0.999999]) {
      expect(chiSquaredQuantile(p, 2) / (-2 * Math.log1p(-p))).toBeCloseTo(1, 8);
    }
    expect(chiSquaredQuantile(0.95, 1)).toBeCloseTo(1.959963984540054 ** 2, 8);
  });
});
