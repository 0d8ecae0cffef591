import { describe, expect, test } from 'vitest';
import { driftOf } from '../../lib/compare/drift.ts';
import type { RecordedPage } from '../../lib/host/page-recording.ts';
import { COUNTERS, KernelWriter, type KernelWriterOptions } from '../support/kernel-writer.ts';

function record(
  updates: number,
  multAt: (update: number, raw: bigint) => bigint,
  options: KernelWriterOptions = {},
): RecordedPage[] {
  const writer = new KernelWriter(options);
  return Array.from({ length: updates }, (_, update) => {
    const snapshot = writer.tick(writer.interval, multAt(update, writer.multRaw));
    const seen = snapshot.main.cycleLast + 10_000n;
    return { snapshot, before: seen, after: seen + 100n };
  });
}

function of(states: readonly RecordedPage[], id: string) {
  const result = driftOf(states);
  return result.clocks.find((clock) => clock.id === id) ?? expect.fail(`no ${id}`);
}

describe('a page that was frozen', () => {
  test('stays with a kernel whose mult stays, however far the two are from the counter’s own rate', () => {
    const states = record(500, (_, raw) => raw + 646n);
    const { frozenPpm, clocks, seconds } = driftOf(states);
    expect(frozenPpm).toBeCloseTo(99.96, 1);
    expect(seconds).toBeCloseTo(499 * 0.004, 6);
    for (const { maxAbsNs, fit } of clocks) expect([maxAbsNs, fit.frequencyPpb]).toEqual([0, 0]);
  });

  test('is left behind by as many ppm as the mult was changed by, on all clocks but raw', () => {
    const states = record(1000, (update, raw) => raw + (update === 0 ? 0n : 646n));
    for (const id of ['monotonic', 'realtime', 'boottime', 'tai']) {
      const { fit, maxAbsNs, points } = of(states, id);
      expect(fit.frequencyPpb / 1e3).toBeCloseTo(99.96, 1);
      expect(maxAbsNs).toBeCloseTo(99.96e3 * (999 * 0.004), -4);
      expect(points[0]?.ns).toBe(0);
    }
    expect(of(states, 'monotonic-raw')).toMatchObject({ maxAbsNs: 0 });
  });

  test('sees a dither of one unit as noise of that size, and its Allan deviation fall', () => {
    const states = record(1000, (update, raw) => raw + BigInt(update % 2));
    const { allan, fit } = of(states, 'monotonic');
    expect(fit.frequencyPpb).toBeCloseTo(77.4, 0);
    const deviations = allan.map(({ deviation }) => deviation);
    expect(deviations[0]).toBeGreaterThan(1e-8);
    expect(deviations.at(-1)).toBeLessThan((deviations[0] as number) / 50);
  });

  test('takes a recording up to where the clocksource changes', () => {
    const writer = new KernelWriter();
    const pages = Array.from({ length: 20 }, () => writer.tick(writer.interval));
    pages.push(writer.changeCounter(5n, COUNTERS['tsc-refined'], 1_000n));
    const states = pages.map((snapshot) => ({
      snapshot,
      before: snapshot.main.cycleLast + 10n,
      after: snapshot.main.cycleLast + 20n,
    }));
    expect(of(states, 'monotonic').points).toHaveLength(20);
  });

  test('is refused where there is no counter to run on, or too little to see', () => {
    const few = record(7, (_, raw) => raw);
    expect(() => driftOf(few)).toThrow(expect.objectContaining({ code: 'ERR_CANNOT_RUN' }));
    expect(() => driftOf([])).toThrow(expect.objectContaining({ code: 'ERR_CANNOT_RUN' }));
    const elsewhere = record(20, (_, raw) => raw, { counter: COUNTERS.pvclock });
    expect(() => driftOf(elsewhere)).toThrow(/pvclock/);
  });
});
