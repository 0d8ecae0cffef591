import { hostname, release } from 'node:os';
import { describe, expect, test } from 'vitest';
import { LatchclockError } from '../../lib/errors.ts';
import type { HostFiles } from '../../lib/host/files.ts';
import { kernelCounterHz, openHost, orNull, summarizeHost } from '../../lib/host/host.ts';
import { type SimulatedHostOptions, simulatedHost } from '../support/simulated-host.ts';

function open(options: SimulatedHostOptions = {}) {
  const { addon, files } = simulatedHost(options);
  return openHost(addon, files);
}

describe('a host', () => {
  test('reads what does not change once, on first use', () => {
    const { addon, files } = simulatedHost();
    const calls: string[] = [];
    const vdsoBase = () => {
      calls.push('vdsoBase');
      return addon.vdsoBase();
    };
    const host = openHost({ ...addon, vdsoBase }, files);
    expect(calls).toEqual([]);
    const first = host.page();
    const count = calls.length;
    expect(host.page()).toBe(first);
    expect(calls).toHaveLength(count);
    expect(host.counter()).toBe(host.counter());
    expect(host.namespace()).toBe(host.namespace());
    expect(host.vdso()).toBe(host.vdso());
  });

  test('reads the clocksource each time: a kernel changes it under a process', () => {
    const { addon, files } = simulatedHost();
    let current = 'tsc';
    const changing: HostFiles = {
      ...files,
      read: (path, mostBytes) =>
        path.endsWith('/current_clocksource') ? Buffer.from(`${current}\n`) : files.read(path, mostBytes),
    };
    const host = openHost(addon, changing);
    expect(host.clocksource().current).toBe('tsc');
    current = 'hpet';
    expect(host.clocksource().current).toBe('hpet');
  });

  test('remembers a failure and throws the same again', () => {
    let calls = 0;
    const { addon, files } = simulatedHost({ vdso: null });
    const vdsoBase = () => {
      calls++;
      return null;
    };
    const host = openHost({ ...addon, vdsoBase }, files);
    const failures = [1, 2].map(() => {
      try {
        return { value: host.vdso(), calls };
      } catch (error) {
        return { error, calls };
      }
    });
    expect(failures[0]).toMatchObject({ error: { code: 'ERR_NO_VDSO' } });
    expect(failures[1]?.error).toBe(failures[0]?.error);
    // The first time more than once, to tell why; the second time not at all.
    expect(failures[1]?.calls).toBe(failures[0]?.calls);
  });
});

describe("the counter's frequency by the kernel's mult", () => {
  test('is that of the raw copy, which no correction touches', () => {
    expect(kernelCounterHz(open())).toBe((1e9 * 2 ** 24) / 6_462_365);
  });

  test.each(['none', 'pvclock', 'hvclock'] as const)('is not told under the mode %s', (mode) => {
    expect(kernelCounterHz(open({ mode }))).toBeNull();
  });

  test('is not told without a page', () => {
    expect(kernelCounterHz(open({ vdso: null }))).toBeNull();
  });
});

describe('the summary', () => {
  test('says what the machine is', () => {
    expect(summarizeHost(open({ cpus: [0, 2, 5] }))).toMatchObject({
      hostname: hostname(),
      kernel: release(),
      arch: 'x64',
      cpuModel: 'Simulated(R) Processor @ 2.60GHz',
      cpus: 3,
      hypervisor: 'KVM',
      clocksource: { current: 'tsc', available: ['tsc', 'acpi_pm'] },
      counter: { hz: String(Math.round((1e9 * 2 ** 24) / 6_462_365)), invariant: true },
      timeNamespace: false,
    });
  });

  test('is given on a host that tells next to nothing', () => {
    const files = {
      '/proc/self/ns/time': null,
      '/sys/devices/system/clocksource/clocksource0/current_clocksource': null,
      '/sys/devices/system/clocksource/clocksource0/available_clocksource': null,
    };
    expect(summarizeHost(open({ vdso: null, cpuid: 'traps', files }))).toMatchObject({
      cpuModel: 'unknown',
      hypervisor: null,
      clocksource: { current: null, available: [] },
      counter: { hz: null, invariant: null },
      timeNamespace: null,
    });
  });

  test('tells a time namespace by the page, and by /proc where there is no page', () => {
    const inTimeNamespace = { monotonicNs: 5n, boottimeNs: 6n };
    const initial = { '/proc/self/ns/time': 'time:[4026531834]' };
    expect(summarizeHost(open({ inTimeNamespace, files: initial })).timeNamespace).toBe(true);
    expect(summarizeHost(open({ inTimeNamespace, vdso: null })).timeNamespace).toBe(true);
    expect(summarizeHost(open({ vdso: null })).timeNamespace).toBe(false);
  });
});

describe('what may be missing', () => {
  test('is null after an error of this package, and after no other', () => {
    expect(orNull(() => 5)).toBe(5);
    const fail = (error: Error) => () => {
      throw error;
    };
    expect(orNull(fail(new LatchclockError('ERR_FILE', 'x')))).toBeNull();
    expect(() => orNull(fail(new TypeError('a slip')))).toThrow(TypeError);
  });
});
