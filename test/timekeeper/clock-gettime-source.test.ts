import { describe, expect, test } from 'vitest';
import { isLatchclockError } from '../../lib/errors.js';
import { openHost, openMachine } from '../../lib/host/host.js';
import type { ClockName } from '../../lib/page/posix-clocks.js';
import {
  type ClockGettimeSourceOptions,
  clockGettimeSource,
} from '../../lib/timekeeper/clock-gettime-source.js';
import { kernelPageSource } from '../../lib/timekeeper/kernel-page-source.js';
import { nsAt } from '../../lib/timekeeper/line.js';
import type { SourceSample, TimeSource } from '../../lib/timekeeper/source.js';
import { NS_PER_SEC } from '../../lib/units.js';
import { type SimulatedHostOptions, simulatedHost } from '../support/simulated-host.js';

const CLOCKS = ['monotonic', 'monotonic-raw', 'boottime', 'realtime', 'tai'] as const;
/** 8 ms of the simulated counter. */
const PERIOD = 20_769_000n;

function clocksAt(sample: SourceSample, cycles: bigint): Record<(typeof CLOCKS)[number], bigint> {
  const monotonic = nsAt(sample.monotonic, cycles);
  const realtime = monotonic + sample.realtimeOffsetNs;
  return {
    monotonic,
    'monotonic-raw': nsAt(sample.raw, cycles),
    boottime: monotonic + sample.boottimeOffsetNs,
    realtime,
    tai: realtime + BigInt(sample.taiOffsetSeconds) * NS_PER_SEC,
  };
}

/** Readings that take 40 to 400 cycles, most of them few, in steps of 20; the same at each run. */
function uneven(): () => bigint {
  let state = 12_345;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return state % 5 === 0 ? BigInt(20 * (2 + ((state >> 8) % 19))) : 60n;
  };
}

/** A source on a simulated host without a page. */
function sourceOn(options: SimulatedHostOptions = {}, sourceOptions: ClockGettimeSourceOptions = {}) {
  const { kernel, addon, files } = simulatedHost({ vvar: false, cyclesPerReading: uneven(), ...options });
  const source = clockGettimeSource(openHost(addon, files), {
    ...sourceOptions,
    pause: (ms) => {
      kernel.counter += BigInt(ms) * 2_596_144n;
    },
  });
  const distances = (sample: SourceSample): number[] =>
    CLOCKS.map((clock) => Math.abs(Number(clocksAt(sample, kernel.counter)[clock] - kernel.clockNs(clock))));
  return { source, kernel, distances };
}

/** Expects each clock to be within its bound when sampled, and up to the next sample. Returns the sample. */
function expectBounded({ source, kernel, distances }: ReturnType<typeof sourceOn>): SourceSample {
  const sample = source.sample();
  expect(sample.cycles).toBe(kernel.counter);
  const driftNs = (8e6 * Number(sample.driftPpt)) / 1e12 + 1;
  expect(Math.max(...distances(sample))).toBeLessThanOrEqual(Number(sample.boundNs));
  kernel.counter += PERIOD;
  expect(Math.max(...distances(sample))).toBeLessThanOrEqual(Number(sample.boundNs) + driftNs);
  return sample;
}

describe('a source of bracketed clock_gettime', () => {
  const hosts: [string, SimulatedHostOptions][] = [
    ['by the vDSO', {}],
    ['by system call, without a vDSO', { vdso: null }],
    ['where system calls are refused', { refusedCalls: 'EPERM' }],
    [
      'in a time namespace',
      { inTimeNamespace: { monotonicNs: -77_000_000_007n, boottimeNs: 5_000_000_003n } },
    ],
    ['of a slower counter', { mult: 8_388_608n, shift: 23n }],
  ];
  for (const [where, options] of hosts) {
    test(`has all clocks within its bound, at each sample and until the next (${where})`, () => {
      const on = sourceOn(options);
      for (let i = 0; i < 400; i++) {
        const { boundNs } = expectBounded(on);
        expect(boundNs).toBeLessThan(500n);
      }
    });
  }

  test('comes to know the rate to less than a ppm within a second', () => {
    const on = sourceOn();
    expect(on.source.sample().driftPpt).toBeGreaterThan(1_000_000n);
    for (let i = 0; i < 130; i++) expectBounded(on);
    expect(on.source.sample().driftPpt).toBeLessThan(1_000_000n);
  });

  test('takes the tightest of its tries: rare delays leave the bound as it is', () => {
    let readings = 0;
    const on = sourceOn({ cyclesPerReading: () => (++readings % 7 === 0 ? 20_000n : 60n) });
    // Half of two readings, their step, and what the offsets leave open.
    for (let i = 0; i < 50; i++) expect(expectBounded(on).boundNs).toBeLessThan(150n);
  });

  test('has half a bracket, the step of the counter, and what brackets of offsets leave open as its bound', () => {
    // A bracket of 2 readings of 60 cycles, in steps of 60: 47 ns. Up to 24 ns from offsets, 1 each for floor and age.
    const { boundNs } = sourceOn({ cyclesPerReading: () => 60n }).source.sample();
    expect(boundNs).toBeGreaterThanOrEqual(47n + 1n + 23n);
    expect(boundNs).toBeLessThanOrEqual(47n + 1n + 1n + 25n);
  });

  test('never has one half of a leap second without the other, wherever in a sample the kernel makes it', () => {
    const seen = new Set<number>();
    for (let place = 1; place < 240; place += 3) {
      let left = Number.POSITIVE_INFINITY;
      const on = sourceOn({
        cyclesPerReading: () => {
          if (--left === 0) on.kernel.bases.realtime.seconds -= 1n;
          return 60n;
        },
      });
      const tai = ({ realtimeOffsetNs, taiOffsetSeconds }: SourceSample): bigint =>
        realtimeOffsetNs + BigInt(taiOffsetSeconds) * NS_PER_SEC;
      const before = expectBounded(on);
      left = place;
      const during = on.source.sample();
      seen.add(during.taiOffsetSeconds);
      for (const sample of [during, on.source.sample()]) {
        expect(Math.abs(Number(tai(sample) - tai(before)))).toBeLessThan(100);
      }
    }
    expect([...seen].toSorted()).toEqual([37, 38]);
  });

  test('throws brackets away in which the counter ran backwards', () => {
    let readings = 0;
    const on = sourceOn({ cyclesPerReading: () => (++readings % 9 === 0 ? -200n : 60n) });
    for (let i = 0; i < 50; i++) {
      const sample = on.source.sample();
      expect(on.distances(sample)[0]).toBeLessThanOrEqual(Number(sample.boundNs));
      on.kernel.counter += PERIOD;
    }
  });

  test('adds the allowance to its drift, and the step of a slow clocksource to its bound', () => {
    const steady = { cyclesPerReading: () => 60n };
    const plain = sourceOn(steady).source.sample();
    const allowed = sourceOn(steady, { allowancePpt: 500_000_000n }).source.sample();
    expect(allowed.driftPpt - plain.driftPpt).toBe(500_000_000n);
    const current = '/sys/devices/system/clocksource/clocksource0/current_clocksource';
    const slow = sourceOn({ ...steady, files: { [current]: 'acpi_pm\n' } }).source.sample();
    expect(slow.boundNs - plain.boundNs).toBeGreaterThanOrEqual(279n);
    expect(() => sourceOn({}, { allowancePpt: -1n })).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }),
    );
  });

  test('takes the step of a clock that stands still between readings into its bound, whatever its name', () => {
    const stepping = { cyclesPerReading: () => 60n, clockStepNs: 800n };
    const plain = sourceOn({ cyclesPerReading: () => 60n }).source.sample();
    const { boundNs } = sourceOn(stepping).source.sample();
    expect(boundNs - plain.boundNs).toBeGreaterThanOrEqual(750n);
  });

  test('measures the frequency of the counter', () => {
    const { source, kernel } = sourceOn();
    const hz = (1e9 * 2 ** 24) / Number(kernel.multRaw);
    expect(Math.abs(source.hz / hz - 1)).toBeLessThan(10e-6);
    expect(source.counter()).toBe(kernel.counter);
  });

  test('keeps its offsets, although brackets differ, until one of them excludes an offset', () => {
    const on = sourceOn();
    const samples = Array.from({ length: 300 }, () => expectBounded(on));
    expect(new Set(samples.map(({ boundNs }) => boundNs)).size).toBeGreaterThan(1);
    for (const offset of ['realtimeOffsetNs', 'boottimeOffsetNs'] as const) {
      expect(new Set(samples.map((sample) => sample[offset])).size).toBeLessThanOrEqual(3);
      expect(new Set(samples.slice(100).map((sample) => sample[offset])).size).toBe(1);
    }
  });

  test('follows a step of realtime, a TAI offset and sleep, by as much', () => {
    const on = sourceOn();
    const { bases } = on.kernel;
    const near = (ns: bigint, expected: bigint): void => {
      expect(Math.abs(Number(ns - expected))).toBeLessThan(200);
    };
    const before = expectBounded(on);
    bases.realtime.seconds += 3n;
    bases.tai.seconds += 3n;
    const stepped = expectBounded(on);
    near(stepped.realtimeOffsetNs - before.realtimeOffsetNs, 3n * NS_PER_SEC);
    expect(stepped.taiOffsetSeconds).toBe(37);
    expect(stepped.boottimeOffsetNs).toBe(before.boottimeOffsetNs);
    bases.tai.seconds += 1n;
    expect(expectBounded(on).taiOffsetSeconds).toBe(38);
    for (const clock of ['realtime', 'tai', 'boottime'] as const) bases[clock].seconds += 60n;
    const slept = expectBounded(on);
    near(slept.boottimeOffsetNs - stepped.boottimeOffsetNs, 60n * NS_PER_SEC);
    near(slept.realtimeOffsetNs - stepped.realtimeOffsetNs, 60n * NS_PER_SEC);
    bases.tai.seconds -= 38n;
    expect(expectBounded(on).taiOffsetSeconds).toBe(0);
  });

  for (const change of [1n, -323n, 3_200n]) {
    test(`follows a rate that changes by ${change} units of mult, from the sample after it on`, () => {
      const on = sourceOn();
      for (let i = 0; i < 150; i++) expectBounded(on);
      on.kernel.update(1n);
      Object.assign(on.kernel, { mult: on.kernel.mult + change });
      // This one is made as the rate changes, and cannot know.
      on.source.sample();
      on.kernel.counter += PERIOD;
      for (let i = 0; i < 150; i++) expectBounded(on);
      expect(on.source.sample().driftPpt).toBeLessThan(1_000_000n);
    });
  }

  for (const percent of [1n, 20n, 60n, 90n]) {
    test(`has a drift that holds where the rate changed by 495 ppm ${percent} % of the way to a sample`, () => {
      const on = sourceOn();
      for (let i = 0; i < 150; i++) expectBounded(on);
      on.source.sample();
      on.kernel.counter += (PERIOD * percent) / 100n;
      on.kernel.update(1n);
      Object.assign(on.kernel, { mult: on.kernel.mult + 3_200n });
      on.kernel.counter += (PERIOD * (100n - percent)) / 100n;
      for (let i = 0; i < 150; i++) expectBounded(on);
    });
  }

  test('says where monotonic is after a jump, with the rate from before it', () => {
    const on = sourceOn();
    let sample = expectBounded(on);
    for (let i = 0; i < 20; i++) sample = expectBounded(on);
    on.kernel.bases.monotonic.seconds += 1n;
    const after = on.source.sample();
    expect(on.distances(after)[0]).toBeLessThanOrEqual(Number(after.boundNs));
    expect(after.monotonic.mult).toBe(sample.monotonic.mult);
    on.kernel.counter += PERIOD;
    for (let i = 0; i < 20; i++) expectBounded(on);
  });

  test('refuses a clock that stands still, and a counter that runs backwards', () => {
    const codeOf = (make: () => unknown): string => {
      try {
        make();
      } catch (error) {
        if (isLatchclockError(error, 'ERR_SOURCE')) return error.message;
        throw error;
      }
      throw new Error('it was made');
    };
    const standing = simulatedHost({ vvar: false });
    Object.assign(standing.kernel, { mult: 0n });
    const pause = (): void => {};
    expect(codeOf(() => clockGettimeSource(openHost(standing.addon, standing.files), { pause }))).toMatch(
      /stands still/,
    );
    expect(codeOf(() => sourceOn({ cyclesPerReading: () => -100n }))).toMatch(
      /went back around every reading/,
    );
    const missing: readonly ClockName[] = ['tai'];
    expect(codeOf(() => sourceOn({ missingClocks: missing }))).toMatch(/EINVAL.*source clock-gettime/);
  });
});

describe('on this machine', () => {
  const host = openMachine();

  /** Samples for a second; the largest part of its bound by which a source was away from the page, a clock each. */
  function partsOfBound(source: TimeSource): { parts: number[]; samples: number } {
    const page = kernelPageSource(host);
    const parts = CLOCKS.map(() => 0);
    const end = process.hrtime.bigint() + NS_PER_SEC;
    let samples = 0;
    while (process.hrtime.bigint() < end || samples === 0) {
      const earlier = page.sample();
      const sample = source.sample();
      const later = page.sample();
      // Where the rate changed in between, neither page is known to be the one that held at the reading.
      if (earlier.monotonic.mult !== later.monotonic.mult) continue;
      samples++;
      const [own, pages] = [clocksAt(sample, sample.cycles), clocksAt(later, sample.cycles)];
      for (const [index, clock] of CLOCKS.entries()) {
        const part = Math.abs(Number(own[clock] - pages[clock])) / Math.max(1, Number(sample.boundNs));
        parts[index] = Math.max(parts[index] ?? 0, part);
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4);
    }
    return { parts, samples };
  }

  test('bracketed clock_gettime is never farther from the kernel page than it says', () => {
    const { parts, samples } = partsOfBound(clockGettimeSource(host));
    expect(samples).toBeGreaterThan(0);
    for (const part of parts) expect(part).toBeLessThanOrEqual(1);
  });

  test('the kernel page is at each of its samples where the next page has it, to the ns', () => {
    const { parts, samples } = partsOfBound(kernelPageSource(host));
    expect(samples).toBeGreaterThan(0);
    expect(parts).toEqual(CLOCKS.map(() => 0));
  });
});
