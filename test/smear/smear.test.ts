import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dateOf } from '../../lib/leap/date.ts';
import { type CurvePiece, knotsNs, piecesOf } from '../../lib/smear/curve.ts';
import { timelineOf, withLeap } from '../../lib/smear/leap.ts';
import type { SmearPolicy } from '../../lib/smear/policy.ts';
import {
  add,
  compare,
  floor,
  magnitude,
  multiply,
  type Rational,
  rational,
  subtract,
} from '../../lib/smear/rational.ts';
import {
  finalStepNs,
  largestRate,
  offsetAt,
  offsetNsAt,
  rateAt,
  type Smear,
  smearedAt,
  smearedNsAt,
  smearOf,
  unsmear,
} from '../../lib/smear/smear.ts';
import { AROUND, NAMES, SIGNS, SMEARED_NAMES, smearBy, TIMELINE } from './support.ts';

const SECOND = 1_000_000_000n;
/** Sums are kept in 2^-100 ns. */
const SCALE = 100n;
const named = fc.record({ name: fc.constantFrom(...NAMES), sign: fc.constantFrom(...SIGNS) });
const smeared = fc.record({ name: fc.constantFrom(...SMEARED_NAMES), sign: fc.constantFrom(...SIGNS) });

/** An instant in or around the window, often at a knot of the curve or next to it. */
function instantIn({ startNs, endNs, curve }: Smear): fc.Arbitrary<bigint> {
  const knots = knotsNs(curve).map((knot) => startNs + knot);
  return fc.oneof(
    fc.bigInt({ min: startNs - 2n * SECOND, max: endNs + 2n * SECOND }),
    fc
      .tuple(fc.constantFrom(...knots), fc.bigInt({ min: -3n, max: 3n }))
      .map(([knot, aside]) => knot + aside),
  );
}

const inSmear = (policies: typeof named) =>
  policies
    .map(({ name, sign }) => smearBy(name, sign))
    .chain((smear) =>
      fc.record({ smear: fc.constant(smear), first: instantIn(smear), second: instantIn(smear) }),
    );

function hasStep(smear: Smear): boolean {
  return finalStepNs(smear).numerator !== 0n;
}

function isWithin(value: Rational, bound: Rational): boolean {
  return compare(magnitude(value), bound) <= 0;
}

describe('every policy, at leap seconds of both signs', () => {
  test('the offset is exactly the leap up to the window, and exactly 0 from its end on', () => {
    fc.assert(
      fc.property(named, fc.bigInt({ min: 0n, max: 10n ** 15n }), ({ name, sign }, away) => {
        const smear = smearBy(name, sign);
        const { startNs, endNs, leap } = smear;
        // A step has no window: it is done at the leap itself.
        const before = smear.curve.shape === 'step' ? startNs - 1n : startNs;
        expect(compare(offsetAt(smear, before - away), rational(BigInt(sign) * SECOND))).toBe(0);
        expect(compare(offsetAt(smear, endNs + away), rational(0n))).toBe(0);
        const plain = (offset: number): bigint => -BigInt(offset) * SECOND;
        expect(smearedNsAt(smear, before - away)).toBe(before - away + plain(leap.taiOffsetBefore));
        expect(smearedNsAt(smear, endNs + away)).toBe(endNs + away + plain(leap.taiOffsetAfter));
      }),
    );
  });

  test('all but step are monotonic, strictly, and no rate exceeds the largest', () => {
    fc.assert(
      fc.property(inSmear(smeared), ({ smear, first, second }) => {
        fc.pre(first !== second);
        const [early, late] = first < second ? [first, second] : [second, first];
        fc.pre(!hasStep(smear) || late < smear.endNs || early >= smear.endNs);
        expect(compare(smearedAt(smear, early), smearedAt(smear, late))).toBe(-1);
        const largest = magnitude(largestRate(smear) as Rational);
        expect(isWithin(rateAt(smear, first), largest)).toBe(true);
        // So all are continuous: the offset moves by no more than the largest rate times the time.
        const moved = subtract(offsetAt(smear, late), offsetAt(smear, early));
        const noise = rational(1n, 10n ** 20n);
        expect(isWithin(moved, add(multiply(largest, rational(late - early)), noise))).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test('the rate is that of the clock without a leap from the very end of the window on, and not a part of a ns before', () => {
    fc.assert(
      fc.property(smeared, ({ name, sign }) => {
        const smear = smearBy(name, sign);
        const [before, end] = [-1n, 0n].map((aside) => rational(smear.endNs * 1000n + aside, 1000n));
        expect(rateAt(smear, end as Rational).numerator).toBe(0n);
        expect(rateAt(smear, before as Rational).numerator).not.toBe(0n);
        expect(rateAt(smear, rational(smear.startNs * 1000n - 1n, 1000n)).numerator).toBe(0n);
      }),
    );
  });

  test('the rate is the slope of the offset, to what its curvature allows', () => {
    fc.assert(
      fc.property(inSmear(smeared), ({ smear, first }) => {
        const { startNs, endNs, curve } = smear;
        const stepNs = rational(1n, 1000n);
        const at = rational(first);
        fc.pre(first >= startNs && first < endNs);
        const slope = subtract(offsetAt(smear, add(at, stepNs)), offsetAt(smear, at));
        const wrong = subtract(slope, multiply(rateAt(smear, at), stepNs));
        const piece = piecesOf(curve).findLast((one) => startNs + one.startNs <= first) as CurvePiece;
        const curvature = multiply(piece.curvature, rational(SECOND));
        const bound = multiply(multiply(curvature, stepNs), stepNs);
        expect(isWithin(wrong, add(bound, rational(1n, 10n ** 20n)))).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test.each(SIGNS.flatMap((sign) => SMEARED_NAMES.map((name) => ({ sign, name }))))(
    '$name, leap $sign: the rate, and the step at the end, add up to exactly the leap',
    ({ name, sign }) => {
      // By Simpson's rule between the knots, exact for linear and quadratic curves.
      const smear = smearBy(name, sign);
      const knots = knotsNs(smear.curve).map((knot) => smear.startNs + knot);
      const pieces = smear.curve.shape === 'cosine' ? 512n : 1n;
      let sum = 0n;
      for (const [i, end] of knots.entries()) {
        const start = knots[i - 1];
        if (start === undefined) continue;
        for (let piece = 0n; piece < pieces; piece++) {
          const at = (sixths: bigint): Rational =>
            add(rational(start), rational((end - start) * (6n * piece + sixths), 6n * pieces));
          // The rate at the end of the window is that after it: 0.
          const nearEnd = subtract(at(6n), rational(1n, 1n << 100n));
          const weighted = [
            rateAt(smear, at(0n)),
            multiply(rational(4n), rateAt(smear, at(3n))),
            rateAt(smear, nearEnd),
          ].reduce(add);
          sum += floor(multiply(weighted, rational((end - start) << SCALE, 6n * pieces)));
        }
      }
      const bound = smear.curve.shape === 'cosine' ? rational(1n, 10n) : rational(1n, 10n ** 6n);
      const all = add(rational(sum, 1n << SCALE), finalStepNs(smear));
      expect(isWithin(add(all, rational(BigInt(sign) * SECOND)), bound)).toBe(true);
    },
  );

  test('from an instant to the smeared time and back is off by the rounding only', () => {
    fc.assert(
      fc.property(inSmear(smeared), ({ smear, first }) => {
        const all = unsmear(smear, smearedNsAt(smear, first));
        expect(all).toHaveLength(all.length === 2 && hasStep(smear) && smear.leap.sign === 1 ? 2 : 1);
        const back = all.length === 2 && first >= smear.endNs ? all[1] : all[0];
        // 1/2 ns of the smeared time over the slowest rate, and 1/2 ns of the result.
        const slowest = subtract(rational(1n), magnitude(largestRate(smear) as Rational));
        const bound =
          smear.leap.sign === -1 ? 1 : 0.5 + (0.5 * Number(slowest.denominator)) / Number(slowest.numerator);
        expect(Math.abs(Number((back as bigint) - first))).toBeLessThanOrEqual(bound);
      }),
      { numRuns: 2000 },
    );
  });

  test('from a smeared time to the instant and back is the same ns, where the clock is not fast', () => {
    fc.assert(
      fc.property(inSmear(smeared), ({ smear, first }) => {
        const shown = smearedNsAt(smear, first);
        const [instant] = unsmear(smear, shown);
        const back = smearedNsAt(smear, instant as bigint);
        const off = back < shown ? shown - back : back - shown;
        const fastest = smear.leap.sign === 1 ? rational(0n) : magnitude(largestRate(smear) as Rational);
        const bound = 1n + fastest.numerator / fastest.denominator;
        expect(off).toBeLessThanOrEqual(smear.leap.sign === 1 ? 0n : bound);
      }),
      { numRuns: 2000 },
    );
  });

  test('a stepping clock shows a time at just the instants that are told', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...SIGNS),
        fc.bigInt({ min: -3n * SECOND, max: 3n * SECOND }),
        (sign, from) => {
          const smear = smearBy('step', sign);
          const instant = smear.leap.taiNs + from;
          const all = unsmear(smear, smearedNsAt(smear, instant));
          expect(all).toContain(instant);
          for (const one of all) expect(smearedNsAt(smear, one)).toBe(smearedNsAt(smear, instant));
        },
      ),
    );
  });

  test('offsets are rounded to the nearest ns', () => {
    fc.assert(
      fc.property(inSmear(named), ({ smear, first }) => {
        const wrong = subtract(rational(offsetNsAt(smear, first)), offsetAt(smear, first));
        expect(isWithin(wrong, rational(1n, 2n))).toBe(true);
      }),
    );
  });
});

describe('what cannot be smeared', () => {
  const { timeline, leap } = AROUND[1];
  const custom = (start: bigint, end: bigint, shape: SmearPolicy['shape'], rampNs?: bigint): SmearPolicy => {
    const window = { startNs: start, endNs: end };
    const ramp = rampNs === undefined ? {} : { rampNs };
    return { name: 'custom', summary: '', shape, positive: window, negative: window, ...ramp };
  };

  test.each([
    ['an empty window', custom(5n, 5n, 'linear'), /window is empty.*policy custom.*ends after/],
    ['a negative window', custom(5n, 4n, 'cosine'), /ends before it starts/],
    ['ramps longer than the window', custom(0n, 9n * SECOND, 'quadratic', 5n * SECOND), /ramps do not fit/],
    ['no ramp at all', custom(0n, 9n * SECOND, 'quadratic', 0n), /ramps do not fit/],
    ['a linear smear of a second', custom(0n, SECOND, 'linear'), /stand still or go back/],
    ['a cosine over less than pi / 2 s', custom(0n, 1_570_796_326n, 'cosine'), /stand still or go back/],
    ['a quadratic smear of 2 s', custom(0n, 2n * SECOND, 'quadratic'), /stand still or go back/],
  ])('%s is refused with the reason', (_, policy, reason) => {
    expect(() => smearOf(policy, leap, timeline)).toThrow(reason);
    expect(() => smearOf(policy, leap, timeline)).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }),
    );
  });

  test('the shortest windows in which time goes on are accepted, and shorter ones for a negative leap', () => {
    expect(smearOf(custom(0n, SECOND + 1n, 'linear'), leap, timeline).endNs).toBe(leap.taiNs + SECOND + 1n);
    expect(smearOf(custom(0n, 1_570_796_327n, 'cosine'), leap, timeline).curve.windowNs).toBe(1_570_796_327n);
    const negative = AROUND[-1];
    expect(smearOf(custom(0n, 9n, 'linear'), negative.leap, negative.timeline).curve.windowNs).toBe(9n);
  });

  test('windows that touch are accepted, windows that overlap are not', () => {
    // Noon to noon around the ends of two days, one after the other.
    const day = 86_400n;
    const first = withLeap(TIMELINE, leap.unixSeconds - day, 1);
    const second = withLeap(first.timeline, leap.unixSeconds, 1);
    const google = smearBy('google-24h').policy;
    expect(smearOf(google, second.leap, second.timeline).startNs).toBe(
      smearOf(google, first.leap, second.timeline).endNs,
    );
    const longer = { ...google, positive: { ...google.positive, startNs: google.positive.startNs - 1n } };
    for (const which of [first.leap, second.leap]) {
      expect(() => smearOf(longer, which, second.timeline)).toThrow(
        /windows of the leap seconds of 2016-12-30 and 2016-12-31 overlap/,
      );
    }
  });
});

describe('leap seconds of a table', () => {
  test('are at 23:59:60, with the offsets before and after', () => {
    const { leaps } = timelineOf({
      entries: [
        { unixSeconds: 0n, taiOffsetSeconds: 3 },
        { unixSeconds: 86_400n, taiOffsetSeconds: 4 },
        { unixSeconds: 172_800n, taiOffsetSeconds: 3 },
      ],
      expires: null,
    });
    expect(leaps).toMatchObject([
      { sign: 1, date: '1970-01-01', taiOffsetBefore: 3, taiOffsetAfter: 4, taiNs: 86_403n * SECOND },
      { sign: -1, date: '1970-01-02', taiOffsetBefore: 4, taiOffsetAfter: 3, taiNs: 172_803n * SECOND },
    ]);
  });

  test('a leap second of the table is found, one of the other sign is supposed in its place', () => {
    expect(AROUND[1].leap.hypothetical).toBe(false);
    expect(AROUND[-1].leap).toMatchObject({ hypothetical: true, sign: -1, date: '2016-12-31' });
    expect(AROUND[-1].leap).toMatchObject({ taiOffsetBefore: 36, taiOffsetAfter: 35 });
    expect(AROUND[-1].timeline.leaps).toHaveLength(27);
  });

  test('one that is supposed in the past ends the timeline, one in the future continues it', () => {
    const past = withLeap(TIMELINE, BigInt(Date.parse('2010-07-01') / 1000), -1);
    expect(past.leap).toMatchObject({ taiOffsetBefore: 34, taiOffsetAfter: 33 });
    expect(past.timeline.leaps.at(-1)).toBe(past.leap);
    const future = withLeap(TIMELINE, BigInt(Date.parse('2035-01-01') / 1000), -1);
    expect(future.timeline.leaps).toHaveLength(28);
    expect(dateOf(future.leap.unixSeconds)).toBe('2035-01-01');
    expect(future.timeline.expires).toBeNull();
  });

  test('none can be supposed on the first day of the table', () => {
    expect(() => withLeap(TIMELINE, TIMELINE.startUnixSeconds, 1)).toThrow(/before the table's start/);
  });
});
