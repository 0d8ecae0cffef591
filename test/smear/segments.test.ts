import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { evaluate, type Segment } from '../../lib/page/segment.ts';
import { compare, magnitude, type Rational, rational, subtract } from '../../lib/smear/rational.ts';
import { type SegmentOptions, segmentsOf, type TaiCounter } from '../../lib/smear/segments.ts';
import { finalStepNs, type Smear, smearedAt } from '../../lib/smear/smear.ts';
import { isU64 } from '../../lib/units.ts';
import { SplitMix64 } from '../fuzz/random.ts';
import { leapOf, NAMES, SIGNS, SMEARED_NAMES, smearBy } from './support.ts';

const SECOND = 1_000_000_000n;

/** A counter that reads 2^62 some hours before the leap. */
function counterOf(hz: bigint): TaiCounter {
  return { cycles: 1n << 62n, taiNs: leapOf(1).taiNs - 12_345n * SECOND + 17n, hz };
}

function errorAt(
  smear: Smear,
  { cycles, taiNs, hz }: TaiCounter,
  segment: Segment,
  reading: bigint,
): Rational {
  const instant = rational(taiNs * hz + (reading - cycles) * SECOND, hz);
  return magnitude(subtract(rational(evaluate(segment, reading)), smearedAt(smear, instant)));
}

/** Holds every segment, at its first, middle and last reading, and the run of segments as a whole. */
function hold(smear: Smear, counter: TaiCounter, options: SegmentOptions = {}): Segment[] {
  const bound = rational(BigInt(Math.round((options.boundNs ?? 1) * 1e6)), 1_000_000n);
  const segments = [...segmentsOf(smear, counter, options)];
  // What is inserted goes back where it is not smeared; and fixed point is finer than the cycles that are promised.
  const isOrdered = counter.hz <= 10n ** 10n;
  const stepsBack = finalStepNs(smear).numerator < 0n;
  const { endNs } = smear;
  const isPastEnd = (reading: bigint): boolean =>
    counter.taiNs * counter.hz + (reading - counter.cycles) * SECOND >= endNs * counter.hz;
  let before: { end: bigint; last: bigint } | undefined;
  for (const segment of segments) {
    const { base, maxDelta, mult, scaledNs } = segment;
    const last = base + maxDelta - 1n;
    for (const reading of [base, base + maxDelta / 3n, base + maxDelta / 2n, last]) {
      if (compare(errorAt(smear, counter, segment, reading), bound) > 0) {
        throw new Error(`off at ${reading} of ${base} + ${maxDelta}`);
      }
    }
    if (!isU64(mult) || !isU64(scaledNs) || segment.shift > 63) throw new Error(`no 64 bits at ${base}`);
    if (before !== undefined && before.end !== base) throw new Error(`gap before ${base}`);
    const isStep = stepsBack && isPastEnd(base) && !isPastEnd(base - 1n);
    if (before !== undefined && isOrdered && !isStep && before.last > evaluate(segment, base)) {
      throw new Error(`back at ${base}`);
    }
    before = { end: last + 1n, last: evaluate(segment, last) };
  }
  return segments;
}

describe('segments', () => {
  test.each(SIGNS.flatMap((sign) => SMEARED_NAMES.map((name) => ({ sign, name }))))(
    'of $name, leap $sign, are within 1 ns over the whole window: densely, and at 10,000 random readings',
    ({ name, sign }) => {
      const smear = smearBy(name, sign);
      const counter = counterOf(2_596_144_000n);
      const segments = hold(smear, counter);
      const from = segments[0]?.base as bigint;
      const end = (segments.at(-1)?.base as bigint) + (segments.at(-1)?.maxDelta as bigint);
      // The first and the last reading of the window, and no other.
      const taiOf = (reading: bigint) => counter.taiNs * counter.hz + (reading - counter.cycles) * SECOND;
      expect(taiOf(from) >= smear.startNs * counter.hz && taiOf(from - 1n) < smear.startNs * counter.hz).toBe(
        true,
      );
      expect(taiOf(end) >= smear.endNs * counter.hz && taiOf(end - 1n) < smear.endNs * counter.hz).toBe(true);
      const random = new SplitMix64(6n);
      const one = rational(1n);
      for (let i = 0; i < 10_000; i++) {
        const segment = random.pick(segments);
        const reading = segment.base + (random.next() % segment.maxDelta);
        if (compare(errorAt(smear, counter, segment, reading), one) > 0) throw new Error(`off at ${reading}`);
      }
    },
  );

  test('of a linear smear are one, whatever the length', () => {
    for (const name of ['google-24h', 'utc-sls', 'meta']) {
      expect([...segmentsOf(smearBy(name), counterOf(2_596_144_000n))]).toHaveLength(1);
    }
  });

  test('of a curved smear are as many as the curvature asks for, and fewer for a wider bound', () => {
    const count = (name: string, boundNs: number): number =>
      [...segmentsOf(smearBy(name), counterOf(3_000_000_000n), { boundNs })].length;
    // Each of its two ramps is 31250 s long, in which the rate changes by 1.024 ns / s^2.
    const longest = Math.sqrt((8 * (1 / 2 - 1 / 64)) / 1.024);
    expect(count('chrony', 1)).toBe(2 * Math.ceil(31_250 / longest));
    expect(count('chrony', 1000)).toBeLessThan(800);
  });

  test('are computed as they are asked for', () => {
    let looks = 0;
    const smear = new Proxy(smearBy('chrony'), {
      get(target, key) {
        looks++;
        return Reflect.get(target, key);
      },
    });
    const lazy = segmentsOf(smear, counterOf(1_000_000_000n));
    expect(looks).toBe(0);
    lazy.next();
    const [first] = [looks];
    for (const _ of lazy);
    expect(looks).toBeGreaterThan(1000 * first);
  });

  test('cover any stretch around the leap with any counter, within any bound', () => {
    const options = fc.record({
      name: fc.constantFrom(...NAMES),
      sign: fc.constantFrom(...SIGNS),
      hz: fc.oneof(fc.constantFrom(1n, 1_000_000n, 1n << 53n), fc.bigInt({ min: 1n, max: 10n ** 10n })),
      boundNs: fc.double({ min: 0.6, max: 1e6, noNaN: true }),
      knot: fc.constantFrom('startNs' as const, 'endNs' as const),
      from: fc.bigInt({ min: -100n * SECOND, max: 100n * SECOND }),
      length: fc.bigInt({ min: 1n, max: 200n * SECOND }),
    });
    fc.assert(
      fc.property(options, ({ name, sign, hz, boundNs, knot, from, length }) => {
        const smear = smearBy(name, sign);
        const fromTaiNs = smear[knot] + from;
        const counter = { cycles: 1n << 62n, taiNs: fromTaiNs + 5n * SECOND, hz };
        if (length * hz < 1n << 62n)
          hold(smear, counter, { boundNs, fromTaiNs, toTaiNs: fromTaiNs + length });
      }),
      { numRuns: 300 },
    );
  });

  test.each([
    ['a bound that rounding alone breaks', { boundNs: 0.5 }, 1n, /bound of 0.5 ns/],
    ['a bound that is no number', { boundNs: Number.NaN }, 1n, /boundNs is NaN/],
    ['a counter that stands still', {}, 0n, /0 Hz is out of range/],
    ['an empty stretch', { fromTaiNs: 5n, toTaiNs: 5n }, 1n, /stretch is empty/],
    ['a stretch before the counter', { fromTaiNs: 0n }, 1n << 53n, /does not count this stretch/],
  ])('%s is refused', (_, options, hz, reason) => {
    const first = (): unknown => segmentsOf(smearBy('meta'), counterOf(hz), options).next();
    expect(first).toThrow(reason);
    expect(first).toThrow(expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }));
  });
});
