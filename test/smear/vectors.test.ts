import { describe, expect, test } from 'vitest';
import { parseSeconds } from '../../lib/smear/decimal.ts';
import { parseInstant, parseSmeared } from '../../lib/smear/instant.ts';
import { compare, multiply, type Rational, rational, subtract } from '../../lib/smear/rational.ts';
import {
  finalStepNs,
  largestRate,
  offsetAt,
  offsetNsAt,
  smearedNsAt,
  unsmear,
} from '../../lib/smear/smear.ts';
import { AROUND, SIGNS, smearBy } from './support.ts';

const SECOND = 1_000_000_000n;

const { timeline, leap } = AROUND[1];

/** smeared - (TAI - 37), seconds, for the leap second of 2016-12-31. */
const POSITIVE = `
  t        google-24h   utc-sls  bloomberg  meta
  L-500    0.505792757  0.501    1          1
  L        0.500005787  0.001    1          1
  L+0.5    0.5          0.0005   0.99975    0.999992
  L+1000   0.488431847  0        0.5        0.984
  L+15625  0.319162973  0        0          0.75
  L+31250  0.138320158  0        0          0.5`;

/**
 * smeared - (TAI - 35), if a negative one had come in its place: google-24h is p / 86399 there, and meta begins a second
 * after L.
 */
const NEGATIVE = `
  t        google-24h    utc-sls  bloomberg  meta
  L-500    -0.505792891  -0.5     -1         -1
  L        -0.500005787  0        -1         -1
  L+0.5    -0.5          0        -0.99975   -1
  L+1000   -0.488431579  0        -0.5       -0.984016
  L+15625  -0.319158787  0        0          -0.750016`;

function cellsOf(table: string): { t: string; policy: string; value: string }[] {
  const [head = [], ...rows] = table
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  return rows.flatMap(([t = '', ...values]) =>
    values.map((value, column) => ({ t, policy: head[column + 1] as string, value })),
  );
}

describe('published offsets at the leap second of 2016-12-31', () => {
  test('there are 24', () => expect(cellsOf(POSITIVE)).toHaveLength(24));

  test.each(cellsOf(POSITIVE))('$policy at $t is $value s', ({ t, policy, value }) => {
    const expected = parseSeconds(value);
    expect(offsetNsAt(smearBy(policy), parseInstant(t, timeline, leap))).toBe(expected);
  });

  test.each(cellsOf(NEGATIVE))('$policy at $t of a negative one is $value s', ({ t, policy, value }) => {
    const negative = AROUND[-1];
    const at = parseInstant(t, negative.timeline, negative.leap);
    expect(offsetNsAt(smearBy(policy, -1), at)).toBe(parseSeconds(value));
  });
});

describe('published relations', () => {
  test('google-24h shows 18:00:00 of the day at TAI 18:00:36.25', () => {
    const instants = unsmear(smearBy('google-24h'), parseSmeared('2016-12-31T18:00:00Z'));
    expect(instants).toEqual([BigInt(Date.parse('2016-12-31T18:00:36.250Z')) * 1_000_000n]);
    expect(smearedNsAt(smearBy('google-24h'), instants[0] as bigint)).toBe(
      parseSmeared('2016-12-31T18:00:00Z'),
    );
  });

  test.each([
    ['L+15625', 125_000_000n],
    ['L+31250', 0n],
    ['L+46875', -125_000_000n],
  ])('chrony is ahead of meta by exactly the known amount at %s', (t, expected) => {
    const at = parseInstant(t, timeline, leap);
    expect(offsetNsAt(smearBy('chrony'), at) - offsetNsAt(smearBy('meta'), at)).toBe(expected);
  });

  test.each(SIGNS)('meta-2024 ends in a step of 1/26 s, 38.46 ms, leap %i', (sign) => {
    const smear = smearBy('meta-2024', sign);
    expect(smear.endNs - smear.startNs).toBe(62_500n * SECOND);
    const step = finalStepNs(smear);
    expect(compare(step, rational(BigInt(-sign) * SECOND, 26n))).toBe(0);
    // 62500 s at 1 ns per 65 us.
    expect(offsetNsAt(smear, smear.endNs - 1n)).toBe(BigInt(sign) * 38_461_538n);
    expect(offsetNsAt(smear, smear.endNs)).toBe(0n);
    expect(compare(largestRate(smear) as Rational, rational(BigInt(-sign), 65_000n))).toBe(0);
  });

  test('fbclock as it was mended starts where it started before, and comes to its end without a step', () => {
    for (const sign of SIGNS) {
      const [now, before] = [smearBy('meta', sign), smearBy('meta-2024', sign)];
      expect([now.startNs, now.endNs]).toEqual([before.startNs, before.endNs]);
      expect(now.startNs - now.leap.taiNs).toBe(sign === 1 ? 0n : SECOND);
      expect(finalStepNs(now).numerator).toBe(0n);
    }
  });

  test.each([
    // The kernel's 23:59:58.5 of the day: half a second before the leap, 86398.5 s into the interval.
    ['ntpsec', -500_000_000n, 86_398_500_000_000n, 86_400_000_000_000n],
    ['ntpsec:3600', -1_800n * SECOND, 3_600n * SECOND - 1_801n * SECOND, 3_600n * SECOND],
  ])('%s is at its share of the labels of UTC at a negative leap', (name, from, part, whole) => {
    const smear = smearBy(name, -1);
    const share = rational(part, whole);
    const expected = multiply(rational(-SECOND), subtract(rational(1n), share));
    expect(compare(offsetAt(smear, smear.leap.taiNs + from), expected)).toBe(0);
  });

  test('times that a step goes back over are shown twice, times that it goes over never', () => {
    const twice = smearBy('meta-2024');
    const shown = parseSmeared('2017-01-01T17:21:39.01Z');
    const instants = unsmear(twice, shown);
    expect(instants).toHaveLength(2);
    expect((instants[1] as bigint) >= twice.endNs && (instants[0] as bigint) < twice.endNs).toBe(true);
    for (const instant of instants) expect(smearedNsAt(twice, instant)).toBe(shown);
    const never = smearBy('meta-2024', -1);
    const end = never.endNs - BigInt(never.leap.taiOffsetAfter) * SECOND;
    expect(unsmear(never, end - 10_000_000n)).toEqual([]);
    expect(unsmear(never, end)).toEqual([never.endNs]);
    expect(unsmear(never, end - 40_000_000n)).toHaveLength(1);
  });

  test("UTC-SLS's own inverse, U = B + (US - B) * 1000 / (1000 - l), gives the same instants", () => {
    // In seconds from the start B of its window, with l = +1 or -1.
    for (const sign of [1, -1] as const) {
      const smear = smearBy('utc-sls', sign);
      const start = smearedNsAt(smear, smear.startNs);
      for (let us = 0n; us < 1000n; us++) {
        const smeared = start + us * 1_000_000_007n;
        if (smeared >= smearedNsAt(smear, smear.endNs)) break;
        const utc = ((smeared - start) * 1000n * 2n) / (1000n - BigInt(sign));
        expect(unsmear(smear, smeared)).toEqual([smear.startNs + (utc + 1n) / 2n]);
      }
    }
  });

  test('a step repeats the last second of the day at a positive leap, and leaves it out at a negative', () => {
    const last = parseSmeared('2016-12-31T23:59:59.25Z');
    const [first, second] = unsmear(smearBy('step'), last);
    expect([first, second]).toEqual([leap.taiNs - 750_000_000n, leap.taiNs + 250_000_000n]);
    expect([first, second].map((at) => smearedNsAt(smearBy('step'), at as bigint))).toEqual([last, last]);
    expect(unsmear(smearBy('step', -1), last)).toEqual([]);
    expect(unsmear(smearBy('step', -1), parseSmeared('2016-12-31T23:59:58.999999999Z'))).toHaveLength(1);
    expect(unsmear(smearBy('step', -1), parseSmeared('2017-01-01T00:00:00Z'))).toEqual([
      AROUND[-1].leap.taiNs,
    ]);
  });
});
