import { describe, expect, test } from 'vitest';
import { openHost, openMachine } from '../../lib/host/host.js';
import { nsAt } from '../../lib/timekeeper/line.js';
import { type OpenSourceOptions, openSource, type SourceName } from '../../lib/timekeeper/open-source.js';
import { type SimulatedHostOptions, simulatedHost } from '../support/simulated-host.js';

function open(name: SourceName, options: SimulatedHostOptions = {}, sourceOptions: OpenSourceOptions = {}) {
  const { kernel, addon, files } = simulatedHost(options);
  const pause = (ms: number): void => {
    kernel.counter += BigInt(ms) * 2_596_144n;
  };
  return openSource(openHost(addon, files), name, { pause, ...sourceOptions });
}

/** CPUID without the bit of the invariant counter. */
const VARIANT: SimulatedHostOptions = { cpuid: { [0x8000_0007]: [0, 0, 0, 0] } };

describe('a source that is opened by name', () => {
  test('auto is the kernel page where it is proved and counts by the counter', () => {
    const source = open('auto');
    expect(source.name).toBe('kernel-page');
    expect(source.warnings).toEqual([]);
    expect(source.sample().boundNs).toBe(0n);
  });

  test('auto is clock_gettime without such a page, and says why', () => {
    for (const [options, reason] of [
      [{ vvar: false }, /no \[vvar\] pages/],
      [{ mode: 'none' }, /mode is none/],
      [{ mode: 'pvclock' }, /mode is pvclock/],
    ] as const) {
      const source = open('auto', options);
      expect(source.name).toBe('clock-gettime');
      expect(source.warnings).toEqual([expect.stringMatching(reason)]);
      expect(source.sample().boundNs).toBeGreaterThan(0n);
    }
  });

  test('is the one that was asked for, or refuses', () => {
    expect(open('clock-gettime').name).toBe('clock-gettime');
    expect(open('clock-gettime').warnings).toEqual([]);
    expect(open('kernel-page').name).toBe('kernel-page');
    expect(() => open('kernel-page', { vvar: false })).toThrow(
      expect.objectContaining({ code: 'ERR_NO_KERNEL_PAGE' }),
    );
  });

  test('counter starts from the best of the kernel’s, and hands its options on', () => {
    const source = open('counter', {}, { hz: 2.5e9, driftPpt: 7n });
    expect(source.name).toBe('counter');
    expect([source.isFree, source.hz, source.sample().driftPpt]).toEqual([true, 2.5e9, 7n]);
    expect(open('counter', { vvar: false }).warnings).toEqual([
      expect.stringMatching(/not the kernel's page/),
    ]);
    expect(open('auto', {}, { allowancePpt: 1_000_000n }).sample().driftPpt).toBe(1_154_743n);
  });

  test('says what was tried where there is none', () => {
    expect(() => open('auto', { vvar: false, missingClocks: ['monotonic'] })).toThrow(
      expect.objectContaining({
        code: 'ERR_SOURCE',
        message: expect.stringMatching(
          /no source of time \(kernel-page: .*\[vvar\].*clock-gettime: .*EINVAL/,
        ),
      }),
    );
  });

  test('warns where the counter is not invariant, or nothing tells', () => {
    expect(open('auto', VARIANT).warnings).toEqual([expect.stringMatching(/not invariant/)]);
    expect(open('auto', { cpuid: 'traps' }).warnings).toEqual([expect.stringMatching(/CPUID traps/)]);
  });

  test('is refused where the counter is disabled, and where there is none of that name', () => {
    for (const name of ['auto', 'kernel-page', 'clock-gettime', 'counter'] as const) {
      expect(() => open(name, { counterState: 'disabled' })).toThrow(
        expect.objectContaining({ code: 'ERR_COUNTER_DISABLED' }),
      );
    }
    expect(() => open('gps' as SourceName)).toThrow(expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }));
    expect(() => open('auto', {}, { allowancePpt: -1n })).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }),
    );
  });

  test('gives samples whose counter is between readings of it, on this machine', () => {
    const source = openSource(openMachine());
    const before = source.counter();
    const sample = source.sample();
    const after = source.counter();
    expect(before <= sample.cycles && sample.cycles <= after).toBe(true);
    expect(nsAt(sample.monotonic, sample.cycles)).toBeGreaterThan(0n);
  });
});
