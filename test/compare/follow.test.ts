import { describe, expect, test } from 'vitest';
import { follow, predictMult } from '../../lib/compare/follow.ts';
import { statesBetween } from '../../lib/compare/timeline.ts';
import { outsideNs, type VdsoSample } from '../../lib/compare/vdso-sample.ts';
import type { RecordedPage } from '../../lib/host/page-recording.ts';
import { kernelSegment } from '../../lib/page/kernel-page.ts';
import { cycleInterval } from '../../lib/page/kernel-update.ts';
import { PAGE_CLOCKS } from '../../lib/page/posix-clocks.ts';
import { evaluate } from '../../lib/page/segment.ts';
import { KernelWriter } from '../support/kernel-writer.ts';

const HZ = 250;
/** From the kernel's reading of the counter until its page is seen. */
const LATE = 50_000n;

function record(
  updates: number,
  change: (update: number, mult: bigint) => bigint = (_, mult) => mult,
): RecordedPage[] {
  const writer = new KernelWriter();
  return Array.from({ length: updates }, (_, update) => {
    const snapshot = writer.tick(writer.interval + 1_000n, change(update, writer.mult));
    const seen = snapshot.main.cycleLast + LATE;
    return { snapshot, before: seen, after: seen + 100n };
  });
}

function sampleAt(states: readonly RecordedPage[], at: number, from: bigint, to: bigint): VdsoSample {
  const state = states[at] as RecordedPage;
  const before = state.after + from;
  const ns = evaluate(kernelSegment(state.snapshot, 'monotonic'), before + (to - from) / 2n);
  return { clock: 'monotonic', before, ns, after: state.after + to };
}

describe('following', () => {
  test('finds no difference at any sample where the kernel does as its equations say', () => {
    const states = record(40, (update, mult) => (update % 10 === 5 ? mult + 1n : mult));
    const { tally, clocks, samples, movements, mults } = follow({ states, hz: HZ }, null, null);
    expect(tally).toMatchObject({
      explained: 39,
      unexplained: 0,
      unobserved: 0,
      multChanges: 4,
      asPredicted: 35,
    });
    expect(clocks.map(({ id }) => id)).toEqual([...PAGE_CLOCKS]);
    for (const { samples: count, maxAbsNs, vdso } of clocks)
      expect({ count, maxAbsNs, vdso }).toEqual({ count: 39, maxAbsNs: 0n, vdso: null });
    expect(samples).toHaveLength(39 * PAGE_CLOCKS.length);
    expect(mults).toEqual([6_462_360n, 6_462_364n]);
    // A unit of mult over what passed from the reading to the sighting: below a nanosecond.
    expect(movements.filter(({ ns }) => ns !== 0)).toHaveLength(4);
    for (const { ns } of movements) expect(Math.abs(ns)).toBeLessThan(1);
  });

  test('tells by how much an update moved a clock from where the page before had it', () => {
    const writer = new KernelWriter();
    const pages = [writer.publish(), writer.setOffset(1_000n, 5_000_000n)];
    const states = pages.map((snapshot) => ({
      snapshot,
      before: snapshot.main.cycleLast + 10n,
      after: snapshot.main.cycleLast + 20n,
    }));
    const { clocks, tally } = follow({ states, hz: HZ }, null, null);
    const of = (id: string) => clocks.find((clock) => clock.id === id);
    expect(tally.named).toEqual({ setoffset: 1 });
    expect(of('realtime')).toMatchObject({ maxAbsNs: 0n, maxMovedNs: 5_000_000n });
    expect(of('monotonic')).toMatchObject({ maxAbsNs: 0n, maxMovedNs: 0n });
  });

  test('shows how far an unexplained page lies from the replica’s', () => {
    const states = record(4);
    const wrong = states[2] as RecordedPage;
    const { boottime } = wrong.snapshot.basetimes;
    const basetimes = {
      ...wrong.snapshot.basetimes,
      boottime: { ...boottime, nsecAsStored: boottime.nsecAsStored + (7n << 24n) },
    };
    states[2] = { ...wrong, snapshot: { ...wrong.snapshot, basetimes } };
    const { tally } = follow({ states, hz: HZ }, null, null);
    expect(tally).toMatchObject({ explained: 1, unexplained: 2 });
    expect(tally.failures[0]?.reasons.join()).toContain('boottime');
  });
});

describe('the states around a call', () => {
  const states = record(6);
  const at = (index: number): RecordedPage => states[index] as RecordedPage;

  test('are one where nothing can have been published, two around an update, and none that were not recorded', () => {
    const { after } = at(2);
    expect(statesBetween(states, after, after + 10n)).toEqual([at(2)]);
    // The next one was published between its reading of the counter and its sighting.
    const next = at(3).snapshot.main.cycleLast;
    expect(statesBetween(states, next - 10n, next - 1n)).toEqual([at(2)]);
    expect(statesBetween(states, next - 10n, next)).toEqual([at(2), at(3)]);
    expect(statesBetween(states, next + 10n, next + 20n)).toEqual([at(2), at(3)]);
    expect(statesBetween(states, at(0).after - 1n, at(0).after)).toBeNull();
    expect(statesBetween(states, at(5).after, at(5).after + 1n)).toBeNull();
    expect(statesBetween([at(0), at(1), at(4), at(5)], at(1).after, at(1).after + 5n)).toBeNull();
  });

  test('hold a value inside, and tell by how much one is too late or too early', () => {
    const inside = sampleAt(states, 2, 100n, 5_000n);
    expect(outsideNs(inside, states)).toBe(0n);
    const of = (ns: bigint) => outsideNs({ ...inside, ns }, states);
    const segment = kernelSegment(at(2).snapshot, 'monotonic');
    expect(of(evaluate(segment, inside.after))).toBe(0n);
    expect(of(evaluate(segment, inside.after) + 3n)).toBe(3n);
    expect(of(evaluate(segment, inside.before) - 2n)).toBe(-2n);
  });

  test('are what following judges values of the vDSO by', () => {
    const good = [1, 2, 3].map((index) => sampleAt(states, index, 100n, 5_000n));
    const late = { ...(good[0] as VdsoSample), ns: (good[0] as VdsoSample).ns + 1_000_000n };
    const unjudged = sampleAt(states, 5, 100n, 200n);
    const { clocks } = follow({ states, hz: HZ }, [...good, late, unjudged], null);
    const monotonic = clocks.find(({ id }) => id === 'monotonic')?.vdso;
    expect(monotonic).toMatchObject({ samples: 4, outside: 1, unjudged: 1 });
    expect(monotonic?.maxOutsideNs).toBeGreaterThan(990_000n);
  });
});

describe('the mult that a frequency setting makes', () => {
  const words = (mult: bigint) => {
    const { main, raw } = new KernelWriter().publish();
    return { main: { ...main, mult }, raw };
  };
  const interval = cycleInterval(HZ, 6_462_360n, 24);
  const predict = (frequency: bigint, tickUs: bigint): bigint =>
    predictMult({ frequency, tickUs }, HZ, words(6_462_360n), interval);

  test('is the raw one, or one below it that the kernel dithers with, where nothing is corrected', () => {
    expect(predict(0n, 10_000n)).toBe(6_462_360n);
  });

  test('follows frequency and tick: 100 ppm is 646 units, a microsecond of the tick as well', () => {
    expect(predict(100n << 16n, 10_000n) - predict(0n, 10_000n)).toBe(646n);
    expect(predict(0n, 10_001n) - predict(0n, 10_000n)).toBe(646n);
    expect(predict(-(500n << 16n), 10_000n) - predict(0n, 10_000n)).toBe(-3_232n);
  });

  test('takes a tick as whole nanoseconds before it is scaled, as the kernel does: at 300 Hz a third is lost', () => {
    const { main, raw } = new KernelWriter().publish();
    const hz = 300;
    const kept = { main, raw: { ...raw, mult: main.mult } };
    for (const cycles of [8_653_813n, 8_653_000n, 1n << 20n]) {
      // NSEC_PER_SEC / HZ is an integer there, and so is the tick length in nanoseconds scaled by 2^32.
      const tick = 3_333_333n << BigInt(main.shift);
      const length = ((10_000n * 100_000n) << 32n) / 300n;
      const wanted = ((length >> (32n - BigInt(main.shift))) - (tick - cycles * main.mult)) / cycles;
      expect(predictMult({ frequency: 0n, tickUs: 10_000n }, hz, kept, cycles)).toBe(wanted);
    }
    // A cycle of one tick: what is lost is 1/3 ns of it, whole.
    const one = predictMult({ frequency: 0n, tickUs: 10_000n }, hz, kept, 1n);
    expect(one - main.mult).toBe((1n << BigInt(main.shift)) / 3n);
  });

  test('is counted over the states, with the one above it', () => {
    const states = record(10, (update, mult) => (update === 5 ? mult + 1n : update === 8 ? mult + 5n : mult));
    const { predictedMult } = follow({ states, hz: HZ }, null, 6_462_360n);
    expect(predictedMult).toEqual({ mult: 6_462_360n, as: 8, other: 2 });
  });
});
