import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePolicy } from '../../lib/smear/custom-policy.js';
import type { Leap } from '../../lib/smear/leap.js';
import type { SmearPolicy } from '../../lib/smear/policy.js';
import { rational } from '../../lib/smear/rational.js';
import { smearedAt, smearedNsAt, smearOf } from '../../lib/smear/smear.js';
import { Keeper, shiftFor } from '../../lib/timekeeper/keeper.js';
import { type Line, nsAt, scaledAt } from '../../lib/timekeeper/line.js';
import { SimulatedSource } from '../../lib/timekeeper/simulated-source.js';
import type { SourceSample } from '../../lib/timekeeper/source.js';
import type { Slope, Standing } from '../../lib/timekeeper/standing.js';
import { UtcScale, withPlacedLeap } from '../../lib/timekeeper/utc-scale.js';
import { NS_PER_SEC } from '../../lib/units.js';
import { boundNsAt, KeptTime, MS, monotonicAt, QUIET, shown } from './support.js';

const START_TAI_NS = (1_800_000_000n + 37n) * NS_PER_SEC;

/** Ends and starts of what was published, where readers could go on without a refusal. */
function corners(
  kept: KeptTime,
): [before: KeptTime['published'][number], after: KeptTime['published'][number]][] {
  return kept.published
    .slice(1)
    .map((after, index) => [kept.published[index] as (typeof kept.published)[number], after] as const)
    .filter(([before, after]) => before.end === after.base)
    .map(([before, after]) => [before, after]);
}

describe('standings', () => {
  test('touch, and every one of them starts at the value at which the one before it ends, to 2^-shift ns', () => {
    const kept = new KeptTime(new SimulatedSource({ driftPpt: 200_000n }));
    for (const rate of [0n, 40_000_000n, -500_000_000n, 3_000n]) {
      kept.source.setRate(rate);
      kept.run(300);
    }
    const all = corners(kept);
    expect(all.length).toBe(kept.published.length - 1);
    expect(all.length).toBeGreaterThan(100);
    for (const [before, after] of all) {
      const line = { base: before.base, shift: before.shift };
      expect(scaledAt({ ...line, ...before.shared }, after.base)).toBe(after.shared.scaledNs);
      expect(scaledAt({ ...line, ...before.raw }, after.base)).toBe(after.raw.scaledNs);
    }
  });

  test('have one mult for monotonic, boottime, tai and sane-realtime: there is no other to have', () => {
    const kept = new KeptTime(new SimulatedSource());
    kept.run(20);
    const [standing] = kept.published;
    expect(Object.keys(standing as object).filter((key) => /tai|boot|sane/.test(key))).toEqual([
      'boottimeOffsetNs',
      'taiOffsetNs',
      'saneOffsetNs',
    ]);
  });

  test('have a rate that is right to 1e-12, whatever the frequency of the counter', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1_000_000, max: 2_000_000_000 }), (hz) => {
        const shift = shiftFor(hz);
        const mult = (1e9 / hz) * 2 ** shift;
        expect(mult).toBeLessThan(2 ** 63);
        expect(0.5 / mult).toBeLessThan(1e-12);
      }),
    );
  });

  test('follow a source that dithers by one unit of mult within 2 ns, and stay inside their bound', () => {
    // 0.155 ppm, as a mult of 6462360 has it: on and off by turns of 4 to 33 ms.
    const kept = new KeptTime(new SimulatedSource({ driftPpt: 155_000n }));
    kept.run(100);
    let worst = 0n;
    for (let turn = 0; turn < 200; turn++) {
      kept.source.setRate(turn % 2 === 0 ? 155_000n : 0n);
      kept.run(4 + ((turn * 7) % 29));
      const cycles = kept.source.counter();
      const standing = kept.at(cycles);
      if (standing === null) throw new Error('readers are refused');
      const difference = monotonicAt(standing, cycles) - nsAt(kept.source.sample().monotonic, cycles);
      const size = difference < 0n ? -difference : difference;
      expect(size).toBeLessThanOrEqual(boundNsAt(standing, cycles));
      if (size > worst) worst = size;
    }
    expect(worst).toBeLessThanOrEqual(2n);
    expect(kept.events.filter(({ kind }) => kind === 'bound-exceeded')).toEqual([]);
  });

  test('never go back, and come to the source again, whatever its rate does', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            rate: fc.bigInt({ min: -90_000_000_000n, max: 90_000_000_000n }),
            ms: fc.integer({ min: 1, max: 120 }),
            gap: fc.integer({ min: 0, max: 500 }),
          }),
          { minLength: 1, maxLength: 12 },
        ),
        (turns) => {
          const kept = new KeptTime(new SimulatedSource({ driftPpt: 0n }));
          kept.run(8);
          for (const { rate, ms, gap } of turns) {
            kept.source.setRate(rate);
            kept.run(ms);
            // The writer is away.
            kept.source.advance(BigInt(gap) * MS);
          }
          kept.source.setRate(0n);
          kept.run(20);
          let last = -1n;
          for (const standing of kept.published) {
            if (standing.end <= standing.base) continue;
            expect(monotonicAt(standing, standing.base)).toBeGreaterThanOrEqual(last);
            last = monotonicAt(standing, standing.end - 1n);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  test('say with an event when the source was farther away than the bound', () => {
    const kept = new KeptTime(new SimulatedSource({ driftPpt: 1000n }));
    kept.run(80);
    kept.update();
    kept.source.advance(3n * MS);
    kept.source.setRate(500_000_000n);
    kept.source.advance(5n * MS);
    kept.update();
    // 500 ppm for 5 ms, of which the steering knows nothing.
    expect(kept.events).toEqual([
      expect.objectContaining({ kind: 'bound-exceeded', errorNs: 2_499n, boundNs: 1n }),
    ]);
  });
});

describe('a bound', () => {
  const PARTS = 10n ** 12n;
  const SHIFT = shiftFor(1e9);
  const size = (value: bigint): bigint => (value < 0n ? -value : value);
  /** What a source says at a reading: lines that are so far ahead of the counter there, in ns, at rates in 10^-12. */
  const said = (
    cycles: bigint,
    of: { ns: bigint; rawNs: bigint; ratePpt: bigint; boundNs: bigint; driftPpt: bigint },
  ): SourceSample => {
    const line = (ns: bigint, ratePpt: bigint): Line => ({
      base: cycles,
      scaledNs: (cycles + ns) << BigInt(SHIFT),
      mult: (1n << BigInt(SHIFT)) + (ratePpt << BigInt(SHIFT)) / PARTS,
      shift: SHIFT,
    });
    return {
      cycles,
      monotonic: line(of.ns, of.ratePpt),
      raw: line(of.rawNs, -of.ratePpt),
      ...{ boottimeOffsetNs: 0n, realtimeOffsetNs: 0n, taiOffsetSeconds: 37, generation: 1n },
      ...{ boundNs: of.boundNs, driftPpt: of.driftPpt },
    };
  };
  const options = {
    shift: SHIFT,
    utc: new UtcScale(QUIET, null),
    window: 200n * MS,
    cornerLead: 50n * MS,
    ...{ isFree: false, taiOffsetSeconds: 37, preferences: ['sane'] as const },
    ...{ readersGoOn: false, previous: null },
  };
  const within = (most: bigint): fc.Arbitrary<bigint> => fc.bigInt({ min: -most, max: most });
  // What is steered away within a window, and beyond it, is a small error at the start.
  const error = fc.oneof(within(900_000n), within(3_000n));
  const source = fc.record({
    ns: error,
    rawNs: error,
    ratePpt: within(90_000_000n),
    boundNs: fc.bigInt({ min: 0n, max: 10_000n }),
    driftPpt: fc.bigInt({ min: 0n, max: 100_000_000n }),
  });

  test('holds the truth at every reading, for every error, drift and delay that the keeper was told of', () => {
    fc.assert(
      fc.property(
        source,
        fc.bigInt({ min: 0n, max: 30n * MS }),
        fc.bigInt({ min: 1n, max: 20n * MS }),
        fc.bigInt({ min: MS, max: 100n * MS }),
        fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
        (of, delay, lead, steer, share) => {
          const keeper = new Keeper(options);
          const quiet = said(0n, { ns: 0n, rawNs: 0n, ratePpt: 0n, boundNs: 0n, driftPpt: 0n });
          keeper.commit(keeper.plan(quiet, 0n, MS, 16n * MS) as NonNullable<ReturnType<Keeper['plan']>>);
          const sample = said(20n * MS, of);
          const next = keeper.plan(sample, sample.cycles + delay, lead, steer)?.next as Standing;
          const cycles = next.base + BigInt(Math.floor(share * Number(next.end - 1n - next.base)));
          const at = (slope: Slope): bigint => scaledAt({ base: next.base, shift: SHIFT, ...slope }, cycles);
          for (const [line, slope] of [
            [sample.monotonic, next.shared],
            [sample.raw, next.raw],
          ] as const) {
            const open =
              (of.boundNs << BigInt(SHIFT)) + ((cycles - sample.cycles) * line.mult * of.driftPpt) / PARTS;
            // As far off as the source allows, on the side that is worse.
            const farthest = size(at(slope) - scaledAt(line, cycles)) + open;
            expect(farthest).toBeLessThanOrEqual(at(next.bound));
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('of a curved smear holds what a straight line leaves of it, too', () => {
    const policy = parsePolicy('cosine:0..6');
    const leapNs = START_TAI_NS + NS_PER_SEC;
    const timeline = withPlacedLeap(QUIET, leapNs, 1);
    const smear = smearOf(policy, timeline.leaps[0] as Leap, timeline);
    const kept = new KeptTime(new SimulatedSource(), { utc: new UtcScale(timeline, policy) });
    kept.run(1_200);
    const curved = kept.published.filter(
      (one) => monotonicAt(one, one.base) + one.taiOffsetNs > smear.startNs,
    );
    expect(curved.length).toBeGreaterThan(3);
    let most = 0n;
    for (const one of curved) {
      const line = { base: one.base, shift: one.shift };
      const cycles = (one.base + one.end) / 2n;
      const scale = BigInt(one.shift);
      const taiScaled = scaledAt({ ...line, ...one.shared }, cycles) + (one.taiOffsetNs << scale);
      const { numerator, denominator } = smearedAt(smear, rational(taiScaled, 1n << scale));
      const off = size(scaledAt({ ...line, ...one.smeared }, cycles) - (numerator << scale) / denominator);
      expect(off).toBeLessThanOrEqual(scaledAt({ ...line, ...one.bound }, cycles));
      if (off > most) most = off;
    }
    expect(most).toBeGreaterThan(0n);
  });
});

describe('a writer after another one', () => {
  const SHIFT = shiftFor(1e9);
  const END = 300n * MS;
  const slope = fc.record({
    aheadNs: fc.bigInt({ min: -50_000_000n, max: 50_000_000n }),
    ratePpt: fc.bigInt({ min: -90_000_000_000n, max: 90_000_000_000n }),
  });
  const slopeOf = ({ aheadNs, ratePpt }: { aheadNs: bigint; ratePpt: bigint }): Slope => ({
    scaledNs: (100n * MS + aheadNs) << BigInt(SHIFT),
    mult: ((10n ** 12n + ratePpt) << BigInt(SHIFT)) / 10n ** 12n,
  });

  test('gives no less than readers can have had: up to a window past the end that it found, or for ever', () => {
    fc.assert(
      fc.property(
        slope,
        slope,
        fc.bigInt({ min: 50n * MS, max: 900n * MS }),
        fc.boolean(),
        (shared, raw, now, readersGoOn) => {
          const flat = { scaledNs: 0n, mult: 1n };
          const previous: Standing = {
            ...{ base: 100n * MS, end: END, shift: SHIFT, generation: 1n },
            ...{ shared: slopeOf(shared), raw: slopeOf(raw), smeared: flat, bound: flat },
            ...{ boottimeOffsetNs: 0n, taiOffsetNs: 0n, saneOffsetNs: 0n, preferences: ['sane'] },
          };
          const kept = new KeptTime(new SimulatedSource({ cycles: 0n }), { previous, readersGoOn });
          kept.source.advance(now);
          kept.update();
          const next = kept.published[0] as Standing;
          const touches = now + 200_000n < END;
          const reach = readersGoOn || touches ? next.base : END + 200n * MS;
          const last = reach < next.base ? reach : next.base;
          for (const of of ['shared', 'raw'] as const) {
            const had = scaledAt({ base: previous.base, shift: SHIFT, ...previous[of] }, last);
            expect(next[of].scaledNs).toBeGreaterThanOrEqual(had);
            // Nor more than it must.
            const source = kept.source.sample()[of === 'raw' ? 'raw' : 'monotonic'];
            const own = nsAt(source, next.base) << BigInt(SHIFT);
            if (!touches) expect(next[of].scaledNs).toBe(had > own ? had : own);
            else expect(next[of].scaledNs).toBe(had);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('a keeper that starts anew', () => {
  const last = (kept: KeptTime): Standing => kept.published.at(-1) as Standing;

  test('in another generation counts as given what was read of the old counter last, not all up to a corner to come', () => {
    const kept = new KeptTime(new SimulatedSource());
    kept.run(40);
    const corner = kept.source.counter() + 100n * MS;
    kept.keeper.add(
      { at: { cycles: corner }, kind: 'preference', page: 0, preference: 'smeared' },
      kept.source.counter(),
    );
    while (last(kept).base !== corner) {
      kept.source.advance(8n * MS);
      kept.update();
    }
    expect(kept.source.counter()).toBeLessThan(corner - 20n * MS);
    kept.source.moveCounter(5n, true);
    kept.update();
    const { base } = last(kept);
    expect(base).toBeLessThan(MS);
    expect(monotonicAt(last(kept), base)).toBe(nsAt(kept.source.sample().monotonic, base));
  });

  test('goes on above what readers got that went past the end of a window', () => {
    const kept = new KeptTime(new SimulatedSource(), { readersGoOn: true });
    kept.run(40);
    const before = last(kept);
    const furthest = before.end + 50n * MS;
    kept.source.setRate(-10_000_000_000n);
    kept.source.advance(furthest - kept.source.counter());
    kept.keeper.wasLate(before.end, furthest);
    kept.update();
    expect(monotonicAt(last(kept), last(kept).base)).toBeGreaterThanOrEqual(monotonicAt(before, furthest));
  });

  test('after a sleep goes on from the source, though the counter went on past the end of the window', () => {
    const kept = new KeptTime(new SimulatedSource(), { readersGoOn: true });
    kept.run(40);
    const before = last(kept);
    kept.source.advance(before.end - kept.source.counter());
    kept.source.sleep(3_600_000n * MS);
    kept.keeper.wasLate(before.end, kept.source.counter());
    kept.update();
    const { base } = last(kept);
    expect(monotonicAt(last(kept), base)).toBe(nsAt(kept.source.sample().monotonic, base));
  });
});

describe('a late writer', () => {
  test('leaves readers without a value once the window has ended, and starts anew from the source', () => {
    const kept = new KeptTime(new SimulatedSource());
    kept.run(40);
    kept.source.advance(1000n * MS);
    expect(kept.at(kept.source.counter())).toBeNull();
    kept.update();
    const standing = kept.published.at(-1);
    expect(kept.events.at(-1)).toMatchObject({ kind: 'late' });
    expect(monotonicAt(standing as NonNullable<typeof standing>, (standing?.base ?? 0n) + 5n)).toBe(
      nsAt(kept.source.sample().monotonic, (standing?.base ?? 0n) + 5n),
    );
  });

  test('finds after sleep that monotonic stood and boottime went on', () => {
    const kept = new KeptTime(new SimulatedSource());
    kept.run(40);
    kept.source.sleep(3_600_000n * MS);
    kept.run(40);
    expect(kept.events.map(({ kind }) => kind)).toEqual(['late', 'slept', 'step']);
    const cycles = kept.source.counter();
    const standing = kept.at(cycles);
    expect(standing?.boottimeOffsetNs).toBe(3_600n * NS_PER_SEC);
    const gained = monotonicAt(standing as NonNullable<typeof standing>, cycles);
    // What was given before it slept, up to where the window ended, stays below.
    expect(gained).toBeLessThan(1n * NS_PER_SEC);
  });
});

describe('a source', () => {
  const broken: [name: string, how: (source: SimulatedSource) => void, what: RegExp][] = [
    ['that stops', (source) => source.stop(), /stood still|jumped by -/],
    ['that jumps ahead', (source) => source.jump(50_000_000n), /jumped by/],
    ['that goes back', (source) => source.jump(-50_000_000n), /went back by/],
    [
      'whose counter goes back',
      (source) => source.moveCounter(source.counter() - 100n * MS, false),
      /counter went back/,
    ],
    [
      'whose counter jumps ahead',
      (source) => source.moveCounter(source.counter() + 100n * MS, false),
      /stood|jumped/,
    ],
    ['that cannot be read', (source) => source.break('the clocksource changed'), /clocksource changed/],
  ];

  test.each(broken)('%s ends the keeper with ERR_SOURCE', (_, how, what) => {
    const kept = new KeptTime(new SimulatedSource());
    kept.run(80);
    how(kept.source);
    kept.source.advance(20n * MS);
    expect(() => kept.update()).toThrow(
      expect.objectContaining({ code: 'ERR_SOURCE', what: expect.stringMatching(what) }),
    );
  });

  test('whose counter gets another meaning, and says so, is followed anew under the new generation', () => {
    const kept = new KeptTime(new SimulatedSource());
    kept.run(80);
    kept.source.moveCounter(5n, true);
    kept.update();
    expect(kept.published.at(-1)).toMatchObject({ generation: 2n });
    expect(kept.events.at(-1)).toMatchObject({ kind: 'disrupted', generation: 2n });
  });

  test('that steps its realtime takes tai and sane-realtime along, and monotonic not', () => {
    const kept = new KeptTime(new SimulatedSource());
    kept.run(80);
    const before = kept.published.at(-1);
    kept.source.stepRealtime(-7n);
    kept.run(16);
    const after = kept.published.at(-1);
    expect(after?.taiOffsetNs).toBe((before?.taiOffsetNs ?? 0n) - 7n);
    expect(after?.saneOffsetNs).toBe((before?.saneOffsetNs ?? 0n) - 7n);
    expect(kept.events).toEqual([{ kind: 'step', byNs: -7n, cycles: expect.any(BigInt) }]);
    expect(corners(kept)).toHaveLength(kept.published.length - 1);
  });
});

describe('a leap second', () => {
  test.each([1, -1] as const)(
    'of sign %i is a step of sane-realtime at the first reading at which tai shows its instant; the kernel comes later',
    (sign) => {
      const at = START_TAI_NS + 500n * 1_000_000n + 123n;
      const source = new SimulatedSource({ hz: 2_596_144_000, driftPpt: 0n });
      const timeline = withPlacedLeap(QUIET, at, sign);
      const kept = new KeptTime(source, {
        utc: new UtcScale(timeline, null),
        window: 519_228_800n,
        cornerLead: 129_807_200n,
      });
      kept.run(3000);
      const index = kept.published.findIndex(
        (standing) => standing.saneOffsetNs !== kept.published[0]?.saneOffsetNs,
      );
      const [before, after] = [kept.published[index - 1], kept.published[index]];
      if (before === undefined || after === undefined) throw new Error('no step');
      expect(before.end).toBe(after.base);
      const tai = (cycles: bigint, of: typeof before): bigint => monotonicAt(of, cycles) + of.taiOffsetNs;
      expect(tai(after.base, after)).toBeGreaterThanOrEqual(at);
      expect(tai(after.base - 1n, before)).toBeLessThan(at);
      expect(after.saneOffsetNs - before.saneOffsetNs).toBe(-BigInt(sign) * NS_PER_SEC);
      expect(after.taiOffsetNs).toBe(before.taiOffsetNs);
      // A busy kernel makes it milliseconds later.
      source.leap(sign);
      kept.run(16);
      expect(kept.events.at(-1)).toMatchObject({ kind: 'source-leap', bySeconds: -sign });
      expect((kept.events.at(-1) as { lateNs: bigint }).lateNs).toBeGreaterThan(0n);
      expect(kept.published.at(-1)).toMatchObject({
        taiOffsetNs: before.taiOffsetNs,
        saneOffsetNs: after.saneOffsetNs,
      });
    },
  );

  test.each([
    ['linear:0.2..1.3', 1],
    ['linear:-0.7..2', -1],
    ['linear:0..1.2', 1],
  ] as const)(
    'is smeared by %s (sign %i) to a ns, from before the window to after it, and nothing goes back',
    (text, sign) => {
      const policy = parsePolicy(text);
      const at = START_TAI_NS + NS_PER_SEC + 1n;
      const timeline = withPlacedLeap(QUIET, at, sign);
      const leap = timeline.leaps[0];
      if (leap === undefined) throw new Error('no leap');
      const smear = smearOf(policy, leap, timeline);
      const kept = new KeptTime(new SimulatedSource(), { utc: new UtcScale(timeline, policy) });
      kept.run(3500);
      let last = 0n;
      let checked = 0;
      const first = kept.published[0]?.base ?? 0n;
      for (let cycles = first; cycles < kept.source.counter(); cycles += 333_333n) {
        const standing = kept.at(cycles);
        if (standing === null) continue;
        const taiNs = monotonicAt(standing, cycles) + standing.taiOffsetNs;
        const smeared = shown(standing, standing.smeared, cycles);
        const wanted = smearedNsAt(smear, taiNs);
        expect(smeared - wanted >= -2n && smeared - wanted <= 2n).toBe(true);
        expect(smeared).toBeGreaterThanOrEqual(last);
        last = smeared;
        checked++;
      }
      expect(checked).toBeGreaterThan(9_000);
      const knots = [smear.startNs, smear.endNs].map((ns) =>
        kept.published.findIndex((s) => monotonicAt(s, s.base) + s.taiOffsetNs >= ns),
      );
      for (const index of knots) {
        const standing = kept.published[index];
        if (standing === undefined || index === 0) throw new Error('no corner');
        const before = kept.published[index - 1];
        expect(before?.smeared.mult).not.toBe(standing.smeared.mult);
      }
    },
  );
});

test('a straight smear is followed through its exact values at both ends of a standing, to 2^-10 ns', () => {
  const policy = parsePolicy('linear:0..1.2');
  const timeline = withPlacedLeap(QUIET, START_TAI_NS + NS_PER_SEC / 10n, 1);
  const smear = smearOf(policy, timeline.leaps[0] as Leap, timeline);
  const kept = new KeptTime(new SimulatedSource(), { utc: new UtcScale(timeline, policy) });
  kept.run(600);
  let checked = 0;
  for (const one of kept.published) {
    const [line, scale] = [{ base: one.base, shift: one.shift }, BigInt(one.shift)];
    if (monotonicAt(one, one.base) + one.taiOffsetNs < smear.startNs) continue;
    for (const cycles of [one.base, one.end]) {
      const taiScaled = scaledAt({ ...line, ...one.shared }, cycles) + (one.taiOffsetNs << scale);
      const { numerator, denominator } = smearedAt(smear, rational(taiScaled, 1n << scale));
      const off = scaledAt({ ...line, ...one.smeared }, cycles) - (numerator << scale) / denominator;
      expect(off < 0n ? -off : off).toBeLessThanOrEqual(1n << (scale - 10n));
    }
    checked++;
  }
  expect(checked).toBeGreaterThan(10);
});

test.each([1, -1] as const)(
  'a smear that ends in a step (sign %i) steps at its tick, and is a ns off nowhere',
  (sign) => {
    const window = { startNs: NS_PER_SEC / 5n, endNs: (6n * NS_PER_SEC) / 5n, spanNs: 3n * NS_PER_SEC };
    const cut: SmearPolicy = {
      name: 'cut',
      summary: '',
      shape: 'linear',
      positive: window,
      negative: window,
    };
    const at = START_TAI_NS + NS_PER_SEC + 1n;
    const timeline = withPlacedLeap(QUIET, at, sign);
    const smear = smearOf(cut, timeline.leaps[0] as Leap, timeline);
    const kept = new KeptTime(new SimulatedSource(), { utc: new UtcScale(timeline, cut) });
    kept.run(3500);
    const sides = { before: 0, after: 0 };
    const first = kept.published[0]?.base ?? 0n;
    const hold = (cycles: bigint): void => {
      const standing = kept.at(cycles);
      if (standing === null) return;
      const taiNs = monotonicAt(standing, cycles) + standing.taiOffsetNs;
      // Where the instant is known to a ns only, the side of the step is not.
      if (taiNs >= smear.endNs - 2n && taiNs <= smear.endNs + 2n) return;
      const off = shown(standing, standing.smeared, cycles) - smearedNsAt(smear, taiNs);
      expect(off >= -2n && off <= 2n).toBe(true);
      sides[taiNs < smear.endNs ? 'before' : 'after']++;
    };
    for (let cycles = first; cycles < kept.source.counter(); cycles += 333_333n) hold(cycles);
    const end = kept.published.find((one) => monotonicAt(one, one.base) + one.taiOffsetNs >= smear.endNs);
    for (let aside = -300n; aside < 300n; aside++) hold((end?.base as bigint) + aside);
    expect(Math.min(sides.before, sides.after)).toBeGreaterThan(2000);
  },
);

describe('a schedule on a source that runs free', () => {
  const free = (): KeptTime => new KeptTime(new SimulatedSource({ isFree: true }));

  test('a change of frequency takes effect at its tick, as one corner', () => {
    const kept = free();
    kept.run(40);
    const at = kept.source.counter() + 300n * MS + 7n;
    kept.keeper.add({ at: { cycles: at }, kind: 'frequency', ratePpt: 50_000_000n }, kept.source.counter());
    kept.run(600);
    const index = kept.published.findIndex(({ base }) => base === at);
    const [before, after] = [kept.published[index - 1], kept.published[index]];
    expect(before?.end).toBe(at);
    const nominal = Number(before?.shared.mult);
    expect(Number(after?.shared.mult) / nominal - 1).toBeCloseTo(50e-6, 12);
    expect(kept.events).toEqual([expect.objectContaining({ kind: 'change', cycles: at, lateNs: 0n })]);
    const mults = new Set(kept.published.map(({ shared }) => shared.mult));
    expect(mults.size).toBe(2);
  });

  test('a slew moves all clocks but monotonic-raw by so much, and ends', () => {
    const kept = free();
    kept.run(40);
    const at = kept.source.counter() + 100n * MS;
    kept.keeper.add(
      { at: { cycles: at }, kind: 'slew', byNs: -30_000n, ratePpt: 100_000_000n },
      kept.source.counter(),
    );
    kept.run(900);
    const cycles = kept.source.counter();
    const standing = kept.at(cycles) ?? kept.published.at(-1);
    if (standing === undefined || standing === null) throw new Error('nothing');
    const plain = nsAt(kept.source.sample().monotonic, cycles);
    // Rounded to a cycle's worth of the slew, and then down.
    expect([-30_001n, -30_000n]).toContain(monotonicAt(standing, cycles) - plain);
    expect(shown(standing, standing.raw, cycles)).toBe(nsAt(kept.source.sample().raw, cycles));
    const slewing = kept.published.filter(({ shared }) => shared.mult !== standing.shared.mult);
    expect(slewing[0]?.base).toBe(at);
    expect((slewing.at(-1)?.end ?? 0n) - at).toBeLessThanOrEqual(300n * MS + 1n);
  });

  test('a step moves tai and what hangs on it at its tick, and monotonic not', () => {
    const kept = free();
    kept.run(40);
    const taiNs = START_TAI_NS + 345_678_901n;
    kept.keeper.add({ at: { taiNs }, kind: 'step', byNs: 5_000_000n }, kept.source.counter());
    kept.run(500);
    const index = kept.published.findIndex(
      ({ taiOffsetNs }) => taiOffsetNs !== kept.published[0]?.taiOffsetNs,
    );
    const [before, after] = [kept.published[index - 1], kept.published[index]];
    if (before === undefined || after === undefined) throw new Error('no step');
    expect(monotonicAt(after, after.base) + before.taiOffsetNs).toBe(taiNs);
    expect(after.saneOffsetNs - before.saneOffsetNs).toBe(5_000_000n);
    expect(after.shared.mult).toBe(before.shared.mult);
  });

  test('keeps a rate over a day to 1e-12', () => {
    const kept = free();
    kept.run(40);
    const at = kept.source.counter() + 100n * MS;
    kept.keeper.add({ at: { cycles: at }, kind: 'frequency', ratePpt: -123_457n }, kept.source.counter());
    kept.run(300);
    kept.source.advance(86_400_000n * MS);
    kept.update();
    const standing = kept.published.at(-1);
    if (standing === undefined) throw new Error('nothing');
    const elapsed = standing.base - at;
    const wanted = elapsed - (elapsed * 123_457n) / 1_000_000_000_000n;
    const shownNs = monotonicAt(standing, standing.base) - (at - 1_000_000n);
    const off = shownNs - wanted;
    // 1e-12 of a day is 86 ns.
    expect(off >= -2n && off <= 2n).toBe(true);
  });

  test.each([
    ['in the past', { at: { cycles: 5n }, kind: 'step', byNs: 1n }, /past/],
    ['too near to be made by all', { at: { cycles: 42n * MS }, kind: 'step', byNs: 1n }, /near/],
    ['that changes nothing', { at: { cycles: 900n * MS }, kind: 'step', byNs: 0n }, /nothing/],
    ['faster than 10 %', { at: { cycles: 900n * MS }, kind: 'frequency', ratePpt: 10n ** 12n }, /range/],
    [
      'with a slew without a rate',
      { at: { cycles: 900n * MS }, kind: 'slew', byNs: 1n, ratePpt: 0n },
      /range/,
    ],
  ] as const)('refuses a change %s', (_, change, what) => {
    const kept = free();
    kept.run(40);
    expect(() => kept.keeper.add(change, kept.source.counter())).toThrow(
      expect.objectContaining({ code: 'ERR_SCHEDULE', what: expect.stringMatching(what) }),
    );
  });

  test('refuses two changes that overlap: a slew under another, and within one that goes on', () => {
    const kept = free();
    kept.run(40);
    const add = (change: Parameters<typeof kept.keeper.add>[0]): void =>
      kept.keeper.add(change, kept.source.counter());
    const slew = { kind: 'slew', byNs: 30_000n, ratePpt: 100_000_000n } as const;
    add({ at: { cycles: 300n * MS }, ...slew });
    for (const at of [100n * MS, 400n * MS, 300n * MS]) {
      expect(() => add({ at: { cycles: at }, ...slew })).toThrow(
        expect.objectContaining({ code: 'ERR_SCHEDULE' }),
      );
    }
    add({ at: { cycles: 601n * MS }, kind: 'frequency', ratePpt: 1n });
    kept.run(400);
    expect(() => add({ at: { cycles: 520n * MS }, kind: 'frequency', ratePpt: 1n })).toThrow(/slew/);
  });

  test('a source that others correct refuses what they would undo', () => {
    const kept = new KeptTime(new SimulatedSource());
    kept.run(40);
    expect(() =>
      kept.keeper.add({ at: { cycles: 900n * MS }, kind: 'step', byNs: 1n }, kept.source.counter()),
    ).toThrow(/corrected by others/);
  });
});
