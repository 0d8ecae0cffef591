import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePolicy } from '../../lib/smear/custom-policy.js';
import type { LeapTimeline } from '../../lib/smear/leap.js';
import { compare, magnitude, multiply, type Rational, rational, subtract } from '../../lib/smear/rational.js';
import { smearedNsAt, smearOf } from '../../lib/smear/smear.js';
import { tableOffsetSeconds, UtcScale, withPlacedLeap } from '../../lib/timekeeper/utc-scale.js';
import { NS_PER_SEC } from '../../lib/units.js';
import { QUIET } from './support.js';

const POLICIES = [
  'google-24h',
  'google-2011',
  'utc-sls',
  'bloomberg',
  'chrony',
  'ntpd',
  'step',
  'linear:-3..7',
  'cosine:-20..0',
];
const LEAP_NS = 1_900_000_037n * NS_PER_SEC + 123n;
const DAY = 86_400n * NS_PER_SEC;

const policy = fc.constantFrom(...POLICIES).map(parsePolicy);
const sign = fc.constantFrom(1 as const, -1 as const);
const instant = fc
  .tuple(fc.bigInt({ min: -2n * DAY, max: 2n * DAY }), fc.constantFrom(1n, 1_000n, 100_000n))
  .map(([by, divisor]) => LEAP_NS + by / divisor);

function leapOf(timeline: LeapTimeline) {
  const leap = timeline.leaps.at(-1);
  if (leap === undefined) throw new Error('no leap');
  return leap;
}

/** The exact offset at an instant in whole ns. */
function offsetAt(utc: UtcScale, taiNs: bigint): Rational {
  return utc.smearedOffsetNs(rational(taiNs));
}

describe('UTC', () => {
  test('steps as sane-realtime at the instant of a leap second, by its sign, and at no other', () => {
    fc.assert(
      fc.property(policy, sign, instant, (smear, by, taiNs) => {
        const utc = new UtcScale(withPlacedLeap(QUIET, LEAP_NS, by), smear);
        expect(utc.saneOffsetNs(taiNs)).toBe((37n + (taiNs >= LEAP_NS ? BigInt(by) : 0n)) * NS_PER_SEC);
      }),
    );
  });

  test('is smeared as the policy has it, to the ns, at any instant', () => {
    fc.assert(
      fc.property(policy, sign, instant, (curve, by, taiNs) => {
        const timeline = withPlacedLeap(QUIET, LEAP_NS, by);
        const utc = new UtcScale(timeline, curve);
        const smear = smearOf(curve, leapOf(timeline), timeline);
        const smeared = subtract(rational(taiNs), offsetAt(utc, taiNs));
        const off = magnitude(subtract(smeared, rational(smearedNsAt(smear, taiNs))));
        expect(compare(off, rational(1n))).toBeLessThanOrEqual(0);
        if (taiNs < smear.startNs || taiNs >= smear.endNs) {
          expect(utc.unsmearedOffsetNs(taiNs)).not.toBeNull();
          expect(compare(offsetAt(utc, taiNs), rational(smearedOutside(taiNs >= smear.endNs, by)))).toBe(0);
        } else expect(utc.unsmearedOffsetNs(taiNs)).toBeNull();
      }),
    );
  });

  function smearedOutside(isAfter: boolean, by: 1 | -1): bigint {
    return (37n + (isAfter ? BigInt(by) : 0n)) * NS_PER_SEC;
  }

  test('without a policy has a smeared clock that is the sane one', () => {
    fc.assert(
      fc.property(sign, instant, (by, taiNs) => {
        const utc = new UtcScale(withPlacedLeap(QUIET, LEAP_NS, by), null);
        expect(compare(offsetAt(utc, taiNs), rational(utc.saneOffsetNs(taiNs)))).toBe(0);
        expect([utc.unsmearedOffsetNs(taiNs), utc.straightForNs(taiNs), utc.shortestStraightNs()]).toEqual([
          utc.saneOffsetNs(taiNs),
          null,
          null,
        ]);
      }),
    );
  });

  test('has no step and no kink between one knot and the next', () => {
    fc.assert(
      fc.property(
        policy,
        sign,
        instant,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (curve, by, taiNs, share) => {
          const utc = new UtcScale(withPlacedLeap(QUIET, LEAP_NS, by), curve);
          const knot = utc.nextKnotNs(taiNs);
          const last = (knot ?? taiNs + DAY) - 1n;
          expect(last).toBeGreaterThanOrEqual(taiNs);
          const later = taiNs + BigInt(Math.floor(Number(last - taiNs) * share));
          expect(utc.saneOffsetNs(later)).toBe(utc.saneOffsetNs(taiNs));
          expect(utc.unsmearedOffsetNs(later)).toBe(utc.unsmearedOffsetNs(taiNs));
          expect(utc.nextKnotNs(later)).toBe(knot);
        },
      ),
    );
  });

  test('is followed to 1/16 ns by a straight line for as long as it says', () => {
    let curved = 0;
    fc.assert(
      fc.property(policy, sign, instant, fc.integer({ min: 1, max: 7 }), (curve, by, taiNs, eighth) => {
        const utc = new UtcScale(withPlacedLeap(QUIET, LEAP_NS, by), curve);
        const straight = utc.straightForNs(taiNs);
        if (straight === null) return;
        curved++;
        expect(utc.shortestStraightNs() ?? 0n).toBeLessThanOrEqual(straight);
        const knot = utc.nextKnotNs(taiNs) ?? taiNs + straight;
        const end = knot < taiNs + straight ? knot : taiNs + straight;
        const middle = taiNs + ((end - taiNs) * BigInt(eighth)) / 8n;
        const [first, last] = [offsetAt(utc, taiNs), utc.smearedOffsetNs(rational(end), taiNs)];
        const slope = multiply(subtract(last, first), rational(middle - taiNs, end - taiNs));
        const chord = subtract(offsetAt(utc, middle), subtract(first, multiply(slope, rational(-1n))));
        expect(compare(magnitude(chord), rational(1n, 16n))).toBeLessThanOrEqual(0);
      }),
      { numRuns: 300 },
    );
    expect(curved).toBeGreaterThan(10);
  });

  test('a smear that ends in a step comes to its end without it, where a line is followed that far', () => {
    const cut = parsePolicy('meta-2024');
    for (const by of [1, -1] as const) {
      const timeline = withPlacedLeap(QUIET, LEAP_NS, by);
      const { endNs } = smearOf(cut, leapOf(timeline), timeline);
      const utc = new UtcScale(timeline, cut);
      const whole = rational(37n * NS_PER_SEC + BigInt(by) * NS_PER_SEC);
      expect(compare(offsetAt(utc, endNs), whole)).toBe(0);
      const left = subtract(whole, rational(BigInt(by) * NS_PER_SEC, 26n));
      for (const aside of [0n, 1n, 1000n]) {
        expect(compare(utc.smearedOffsetNs(rational(endNs + aside), endNs - 1n), left)).toBe(0);
      }
      expect(utc.nextKnotNs(endNs - 1n)).toBe(endNs);
    }
  });

  test('tells how long ago its last leap second was, if it is of that sign', () => {
    const utc = new UtcScale(withPlacedLeap(QUIET, LEAP_NS, 1), null);
    expect(utc.sinceLeapNs(LEAP_NS + 5n, 1)).toBe(5n);
    expect(utc.sinceLeapNs(LEAP_NS + 5n, -1)).toBeNull();
    expect(utc.sinceLeapNs(LEAP_NS - 1n, 1)).toBeNull();
  });
});

describe('a leap second that is placed', () => {
  const table = withPlacedLeap(withPlacedLeap(QUIET, LEAP_NS - 900n * DAY, 1), LEAP_NS, -1);

  test('comes after those before it, and takes the place of those that would follow', () => {
    expect(
      table.leaps.map(({ taiOffsetBefore, taiOffsetAfter }) => [taiOffsetBefore, taiOffsetAfter]),
    ).toEqual([
      [37, 38],
      [38, 37],
    ]);
    const again = withPlacedLeap(table, LEAP_NS - 1n, 1);
    expect(again.leaps.map(({ taiNs }) => taiNs)).toEqual([LEAP_NS - 900n * DAY, LEAP_NS - 1n]);
    expect(table.leaps).toHaveLength(2);
  });

  test('is not in what the table says of TAI - UTC; real ones are, from their second on', () => {
    expect(tableOffsetSeconds(table, 2_000_000_000n * NS_PER_SEC)).toBe(37);
    const one = withPlacedLeap(QUIET, LEAP_NS, 1);
    expect(tableOffsetSeconds(one, LEAP_NS + 900n * DAY)).toBe(37);
    const real = { ...table, leaps: table.leaps.map((leap) => ({ ...leap, hypothetical: false })) };
    const at = (leapOf(real).unixSeconds ?? 0n) * NS_PER_SEC;
    expect([tableOffsetSeconds(real, at - 1n), tableOffsetSeconds(real, at)]).toEqual([38, 37]);
  });
});
