import { describe, expect, test } from 'vitest';
import { openHost } from '../../lib/host/host.js';
import { type CounterSourceOptions, counterSource } from '../../lib/timekeeper/counter-source.js';
import { kernelPageSource } from '../../lib/timekeeper/kernel-page-source.js';
import { nsAt } from '../../lib/timekeeper/line.js';
import { withGenerationOf } from '../../lib/timekeeper/page-generation.js';
import { SimulatedSource } from '../../lib/timekeeper/simulated-source.js';
import { simulatedHost } from '../support/simulated-host.js';
import { pageFor, setGeneration } from './run-support.js';

function counterOn(options: CounterSourceOptions = {}) {
  const { kernel, addon, files } = simulatedHost();
  const host = openHost(addon, files);
  const start = kernelPageSource(host);
  const source = counterSource(host, start, options);
  return { source, start, kernel, host, startedAt: kernel.counter };
}

describe('a source of the counter alone', () => {
  test('has the clocks of the first source at its start', () => {
    const { source, kernel, startedAt } = counterOn();
    const sample = source.sample();
    const at = startedAt;
    kernel.counter = at;
    expect(nsAt(sample.monotonic, at)).toBe(kernel.clockNs('monotonic'));
    expect(nsAt(sample.raw, at)).toBe(kernel.clockNs('monotonic-raw'));
    expect(sample.realtimeOffsetNs).toBe(kernel.clockNs('realtime') - kernel.clockNs('monotonic'));
    expect(sample.boottimeOffsetNs).toBe(kernel.clockNs('boottime') - kernel.clockNs('monotonic'));
    expect(sample.taiOffsetSeconds).toBe(37);
  });

  test('goes on at the rate of monotonic-raw, whatever the kernel does', () => {
    const { source, kernel, startedAt } = counterOn();
    const first = source.sample();
    const rawNs = kernel.clockNs('monotonic-raw');
    const cycles = kernel.counter + 10_000_000_000n;
    kernel.counter = cycles;
    const elapsed = kernel.clockNs('monotonic-raw') - rawNs;
    kernel.bases.realtime.seconds += 5n;
    kernel.bases.tai.seconds += 6n;
    kernel.bases.monotonic.seconds += 7n;
    const later = source.sample();
    expect({ ...later, cycles: first.cycles }).toEqual(first);
    expect(later.cycles).toBe(kernel.counter);
    const own = nsAt(later.monotonic, cycles) - nsAt(first.monotonic, first.cycles);
    expect(Math.abs(Number(own - elapsed))).toBeLessThanOrEqual(1);
    expect(first.monotonic.base).toBe(startedAt);
  });

  test('has the clocks of the first source again, once it is started anew since the counter was moved', () => {
    const page = pageFor('two-window', 'page');
    const start = new SimulatedSource({ cycles: 10n ** 15n, monotonicNs: 10n ** 15n });
    const { addon, files, kernel } = simulatedHost();
    const source = withGenerationOf(page, counterSource(openHost(addon, files), start));
    const first = source.sample();
    start.moveCounter(10n ** 12n, true);
    kernel.counter = 10n ** 12n;
    setGeneration(page, 5n);
    const moved = source.sample();
    expect(nsAt(moved.monotonic, 10n ** 12n)).toBe(nsAt(first.monotonic, 10n ** 15n));
    expect(moved).toMatchObject({ generation: 5n, monotonic: { base: 10n ** 12n } });
    // Once: from then on it is the counter alone.
    start.jump(1_000n);
    expect(source.sample().monotonic).toEqual(moved.monotonic);
  });

  test('goes at a frequency that is given, to 1e-12', () => {
    for (const hz of [1e6, 2_596_148_123.456, 1e11]) {
      const { source } = counterOn({ hz });
      const { monotonic, raw } = source.sample();
      expect(source.hz).toBe(hz);
      expect(Math.abs((Number(monotonic.mult) / 2 ** monotonic.shift) * (hz / 1e9) - 1)).toBeLessThan(1e-12);
      expect(raw.mult).toBe(monotonic.mult);
    }
  });

  test('is free, drifts as the oscillator does or as is said, and keeps the bound of its start', () => {
    const { source, start, host } = counterOn();
    expect(source.isFree).toBe(true);
    expect(source.hz).toBe(start.hz);
    expect(source.sample().driftPpt).toBe(50_000_000n);
    expect(counterOn({ driftPpt: 1_000n }).source.sample().driftPpt).toBe(1_000n);
    const told = counterSource(host, new SimulatedSource({ boundNs: 77n, driftPpt: 5n }));
    expect(told.sample().boundNs).toBe(77n);
    expect(told.hasGeneration).toBe(false);
    expect(told.sample().generation).toBe(0n);
  });

  test('refuses frequencies and drifts out of range', () => {
    for (const options of [{ hz: 999_999 }, { hz: 1.1e11 }, { hz: Number.NaN }, { driftPpt: -1n }]) {
      expect(() => counterOn(options)).toThrow(expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }));
    }
  });

  test('throws ERR_SOURCE where the counter cannot be read any longer', () => {
    const { source, host } = counterOn();
    host.addon.readCounter = simulatedHost({ counterState: 'disabled' }).addon.readCounter;
    expect(() => source.sample()).toThrow(expect.objectContaining({ code: 'ERR_SOURCE' }));
  });
});
