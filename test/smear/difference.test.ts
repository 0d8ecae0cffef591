import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Difference, differenceAt, largestDifference } from '../../lib/smear/difference.ts';
import { parseInstant } from '../../lib/smear/instant.ts';
import {
  add,
  compare,
  magnitude,
  multiply,
  nearest,
  negate,
  rational,
  toNumber,
} from '../../lib/smear/rational.ts';
import { largestRate, type Smear } from '../../lib/smear/smear.ts';
import { AROUND, NAMES, SIGNS, smearBy } from './support.ts';

const { timeline, leap } = AROUND[1];
const between = (a: string, b: string): Difference => largestDifference(smearBy(a), smearBy(b));
const at = (text: string): bigint => parseInstant(text, timeline, leap);

const pairs = fc
  .record({
    a: fc.constantFrom(...NAMES),
    b: fc.constantFrom(...NAMES),
    sign: fc.constantFrom(...SIGNS),
  })
  .map(({ a, b, sign }): [Smear, Smear] => [smearBy(a, sign), smearBy(b, sign)]);

describe('the largest difference', () => {
  test.each([
    // The first of two that are equal.
    ['chrony', 'meta', 125_000_000n, 'L+15625', false],
    ['meta', 'chrony', -125_000_000n, 'L+15625', false],
    ['step', 'utc-sls', 999_000_000n, 'L', true],
    ['bloomberg', 'utc-sls', 999_500_000n, 'L+1', false],
    ['meta', 'bloomberg', 968_000_000n, 'L+2000', false],
    ['ntpd', 'step', -1_000_000_000n, 'L', true],
    ['step', 'meta', -1_000_000_000n, 'L', false],
    ['meta-2024', 'step', 1_000_000_000n, 'L', false],
    ['meta-2024', 'bloomberg', 969_230_769n, 'L+2000', false],
  ])('of %s and %s is %d ns', (a, b, worst, where, isJustBefore) => {
    const found = between(a, b);
    expect(nearest(found.worst)).toBe(worst);
    expect(found).toMatchObject({ atNs: at(where), isJustBefore });
  });

  test.each(SIGNS)('of meta and meta-2024 is 1/26 s just before the step, leap %i, exactly', (sign) => {
    const [now, before] = [smearBy('meta', sign), smearBy('meta-2024', sign)];
    const { worst, atNs, isJustBefore, isExact, apart } = largestDifference(now, before);
    expect(compare(worst, rational(BigInt(-sign) * 1_000_000_000n, 26n))).toBe(0);
    expect({ atNs, isJustBefore, isExact }).toEqual({
      atNs: before.endNs,
      isJustBefore: true,
      isExact: true,
    });
    expect(apart).toEqual({ fromNs: now.startNs, toNs: now.endNs });
    expect(differenceAt(now, before, before.endNs).numerator).toBe(0n);
  });

  test('of chrony and google-24h is where chrony has come to the rate of the line', () => {
    // 1 - a t^2 / 2 less (43201 - t) / 86401, greatest at a t = 1 / 86401, with a = 1.024e-9 / s.
    const [num, den] = [10n ** 12n, 1024n * 86_401n];
    const { worst, isExact, atNs } = between('chrony', 'google-24h');
    expect(isExact).toBe(true);
    expect(atNs - leap.taiNs).toBe((num * 1_000_000_000n) / den);
    // 43200 / 86401 + t / (2 * 86401), s.
    const expected = rational((43_200n * 2n * den + num) * 1_000_000_000n, 86_401n * 2n * den);
    expect(compare(worst, expected)).toBe(0);
  });

  test('of ntpsec and ntpd is where the cosine has the rate of the line', () => {
    // (1 - u) - (1 + cos pi u) / 2, greatest or least where sin pi u = 2 / pi.
    const u = Math.asin(2 / Math.PI) / Math.PI;
    const { worst, isExact, atNs } = between('ntpsec', 'ntpd');
    expect(Math.abs(toNumber(worst))).toBeCloseTo(Math.abs(1e9 * (1 / 2 - u - Math.cos(Math.PI * u) / 2)), 0);
    expect(isExact).toBe(false);
    const from = Number(atNs - smearBy('ntpd').startNs) / 86_400e9;
    expect(Math.min(Math.abs(from - u), Math.abs(from - (1 - u)))).toBeLessThan(1e-4);
  });

  test('of a policy and itself, by whatever name, is none', () => {
    for (const name of NAMES) expect(between(name, name).apart).toBeNull();
    expect(between('aws', 'google-24h')).toMatchObject({ worst: rational(0n), apart: null });
    expect(between('chrony', 'smoothtime:400,0.001024').apart).toBeNull();
  });

  test('lies where both policies say so, and nowhere is one that is greater by more than 1/4 ns', () => {
    fc.assert(
      fc.property(
        pairs,
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 50 }),
        ([a, b], where) => {
          const { worst, atNs, isJustBefore, apart } = largestDifference(a, b);
          const size = magnitude(worst);
          if (apart === null) return;
          const most = add(size, rational(1n, 4n));
          const knots = [a, b].flatMap(({ startNs, endNs }) => [startNs, endNs, startNs - 1n, endNs - 1n]);
          const length = Number(apart.toNs - apart.fromNs);
          const inside = where.map((share) => apart.fromNs + BigInt(Math.floor(share * length)));
          for (const instant of [...knots, ...inside]) {
            expect(compare(magnitude(differenceAt(a, b, instant)), most)).toBeLessThanOrEqual(0);
          }
          // A ns away it is as large, but for what the clocks move apart in that time.
          const told = magnitude(differenceAt(a, b, isJustBefore ? atNs - 1n : atNs));
          const rates = [a, b].map((smear) => magnitude(largestRate(smear) ?? rational(0n))).reduce(add);
          const slack = add(multiply(rates, rational(2n)), rational(1n, 1000n));
          expect(compare(size, add(told, slack))).toBeLessThanOrEqual(0);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('is equal to both signs, whichever policy is taken from the other', () => {
    fc.assert(
      fc.property(pairs, ([a, b]) => {
        const [one, other] = [largestDifference(a, b), largestDifference(b, a)];
        expect(compare(one.worst, negate(other.worst))).toBe(0);
        expect(other).toMatchObject({ atNs: one.atNs, apart: one.apart });
      }),
      { numRuns: 100 },
    );
  });

  test('outside the stretch that is told there is none', () => {
    fc.assert(
      fc.property(pairs, fc.bigInt({ min: 0n, max: 10n ** 14n }), ([a, b], away) => {
        const { apart } = largestDifference(a, b);
        const [fromNs, toNs] = apart === null ? [a.startNs, a.startNs] : [apart.fromNs, apart.toNs];
        for (const instant of [fromNs - 1n - away, toNs + away]) {
          expect(differenceAt(a, b, instant).numerator).toBe(0n);
        }
      }),
      { numRuns: 100 },
    );
  });
});
