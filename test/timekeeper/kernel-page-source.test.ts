import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isLatchclockError } from '../../lib/errors.js';
import { openHost } from '../../lib/host/host.js';
import { basetimeOffsets, type KernelPageLayout, KNOWN_LAYOUTS } from '../../lib/page/kernel-layout.js';
import {
  ClockMode,
  type KernelPageSnapshot,
  kernelSegment,
  NO_NAMESPACE,
} from '../../lib/page/kernel-page.js';
import { type ClockName, PAGE_CLOCKS } from '../../lib/page/posix-clocks.js';
import { evaluate } from '../../lib/page/segment.js';
import {
  ditherPpt,
  type KernelPageSourceOptions,
  kernelPageSample,
  kernelPageSource,
  offLine,
} from '../../lib/timekeeper/kernel-page-source.js';
import { nsAt } from '../../lib/timekeeper/line.js';
import type { SourceSample, TimeSource } from '../../lib/timekeeper/source.js';
import { NS_PER_SEC } from '../../lib/units.js';
import { COUNTERS, KernelWriter } from '../support/kernel-writer.js';
import { type SimulatedHostOptions, simulatedHost } from '../support/simulated-host.js';

const layout = KNOWN_LAYOUTS.at(-1) as KernelPageLayout;

/** Writes a snapshot over the bytes of a page. */
function write(page: DataView, { main, raw, basetimes }: KernelPageSnapshot): void {
  for (const [at, words] of [
    [layout.main, main],
    [layout.raw, raw],
  ] as const) {
    page.setUint32(at.seq, words.seq, true);
    page.setUint32(at.mode, words.mode, true);
    page.setBigUint64(at.cycleLast, words.cycleLast, true);
    if (at.maxCycles !== null) page.setBigUint64(at.maxCycles, words.maxCycles ?? 0n, true);
    if (at.mask !== null) page.setBigUint64(at.mask, words.mask ?? 0n, true);
    page.setUint32(at.mult, Number(words.mult), true);
    page.setUint32(at.shift, words.shift, true);
  }
  for (const clock of PAGE_CLOCKS) {
    const { seconds, nanoseconds } = basetimeOffsets(layout, clock);
    page.setBigInt64(seconds, basetimes[clock].seconds, true);
    page.setBigUint64(nanoseconds, basetimes[clock].nsecAsStored, true);
  }
}

/** A source on a simulated host whose page can be edited once it has been found. */
function sourceOn(options: SimulatedHostOptions = {}, sourceOptions: KernelPageSourceOptions = {}) {
  let edit: ((page: DataView) => void) | null = null;
  const { kernel, addon, files, layout } = simulatedHost({ ...options, editPage: (page) => edit?.(page) });
  const source = kernelPageSource(openHost(addon, files), sourceOptions);
  return {
    source,
    kernel,
    layout,
    edit: (by: typeof edit) => {
      edit = by;
    },
  };
}

function refusalOf(source: TimeSource): string {
  try {
    source.sample();
  } catch (error) {
    if (isLatchclockError(error, 'ERR_SOURCE')) return error.message;
    throw error;
  }
  throw new Error('it was sampled');
}

/** All five clocks by a sample. */
function clocksAt(sample: SourceSample, cycles: bigint): Partial<Record<ClockName, bigint>> {
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

const CLOCKS = ['monotonic', 'monotonic-raw', 'boottime', 'realtime', 'tai'] as const;

describe('a sample of the kernel page', () => {
  for (const layout of KNOWN_LAYOUTS) {
    for (const inTimeNamespace of [
      undefined,
      { monotonicNs: -1_234_000_000_007n, boottimeNs: 77_000_000_003n },
    ]) {
      const where = inTimeNamespace === undefined ? '' : ', in a time namespace';
      test(`gives all clocks as the kernel has them at its counter (${layout.name}${where})`, () => {
        const { source, kernel } = sourceOn({
          layout,
          updateEveryCycles: 1_000n,
          ...(inTimeNamespace === undefined ? {} : { inTimeNamespace }),
        });
        for (let i = 0; i < 100; i++) {
          const sample = source.sample();
          // The simulated counter moves on when it is read, and not otherwise.
          expect(sample.cycles).toBe(kernel.counter);
          const kernels = Object.fromEntries(CLOCKS.map((clock) => [clock, kernel.clockNs(clock)]));
          expect(clocksAt(sample, sample.cycles)).toEqual(kernels);
          expect(sample.boundNs).toBe(0n);
        }
        expect(kernel.seq).toBeGreaterThan(1000);
      });
    }
  }

  test('is, for every counter in the window, what the kernel makes of its page, bit for bit', () => {
    let inside = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(...KNOWN_LAYOUTS),
        fc.constantFrom(COUNTERS.tsc, COUNTERS['tsc-refined'], COUNTERS.fast),
        fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        fc.oneof(fc.bigInt({ min: -1000n, max: 1n << 42n }), fc.bigInt({ min: 0n, max: 1n << 63n })),
        fc.bigInt({ min: -600_000n, max: 600_000n }),
        fc.bigInt({ min: -(1n << 62n), max: 1n << 62n }),
        (layout, counter, cycleLast, delta, correction, namespaceNs) => {
          const writer = new KernelWriter({ layout, counter, cycleLast });
          writer.mult += correction;
          const snapshot = {
            ...writer.publish(),
            namespaceNs: { ...NO_NAMESPACE, monotonic: namespaceNs, 'monotonic-raw': namespaceNs },
          };
          const cycles = cycleLast + delta;
          fc.pre(cycles >= 0n && cycles < 1n << 64n);
          const isOff = (['monotonic', 'monotonic-raw'] as const).some(
            (clock) => offLine(kernelSegment(snapshot, clock), cycles) !== null,
          );
          if (isOff) {
            expect(() => kernelPageSample(snapshot, cycles, 0n)).toThrow(
              expect.objectContaining({ code: 'ERR_SOURCE' }),
            );
            return;
          }
          inside++;
          const sample = kernelPageSample(snapshot, cycles, 0n);
          for (const clock of CLOCKS) {
            expect(clocksAt(sample, cycles)[clock]).toBe(evaluate(kernelSegment(snapshot, clock), cycles));
          }
        },
      ),
      { numRuns: 2_000 },
    );
    expect(inside).toBeGreaterThan(300);
  });

  test('is refused one cycle past max_cycles, and not where the counter comes to have 64 bits', () => {
    const segment = kernelSegment(new KernelWriter().publish(), 'monotonic');
    expect(offLine(segment, segment.base + segment.maxDelta - 1n)).toBeNull();
    expect(offLine(segment, segment.base + segment.maxDelta)).toMatch(/more than its max_cycles/);
    const snapshot = new KernelWriter({ cycleLast: (1n << 63n) - 100n }).publish();
    for (const cycles of [(1n << 63n) - 1n, 1n << 63n, (1n << 63n) + 1_000n]) {
      const { monotonic } = kernelPageSample(snapshot, cycles, 0n);
      expect(nsAt(monotonic, cycles)).toBe(evaluate(kernelSegment(snapshot, 'monotonic'), cycles));
    }
  });

  test('goes on to the next one along one line where the kernel changed nothing', () => {
    const { source } = sourceOn({ updateEveryCycles: 1_000n });
    const first = source.sample();
    for (let i = 0; i < 100; i++) {
      const { monotonic, raw, cycles } = source.sample();
      expect(nsAt(monotonic, cycles)).toBe(nsAt(first.monotonic, cycles));
      expect(nsAt(raw, cycles)).toBe(nsAt(first.raw, cycles));
    }
  });

  test('has a drift of one unit of mult, rounded up, and the allowance', () => {
    expect(ditherPpt(6_462_360n)).toBe(154_743n);
    expect(ditherPpt(8_388_608n)).toBe(119_210n);
    expect(sourceOn().source.sample().driftPpt).toBe(154_743n);
    expect(sourceOn({}, { allowancePpt: 500_000_000n }).source.sample().driftPpt).toBe(500_154_743n);
    expect(() => sourceOn({}, { allowancePpt: -1n })).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }),
    );
  });

  test('has the frequency of the uncorrected counter, no generation, and is corrected by the kernel', () => {
    const { source, kernel } = sourceOn();
    expect(source.hz).toBeCloseTo((1e9 * 2 ** 24) / Number(kernel.multRaw), 3);
    expect(source.hasGeneration).toBe(false);
    expect(source.isFree).toBe(false);
    expect(source.sample().generation).toBe(0n);
    expect(source.counter()).toBe(kernel.counter);
  });
});

describe('what the kernel does', () => {
  /** A source whose page is what `writer` published last, its counter a little later. */
  function written(writer: KernelWriter) {
    writer.publish();
    const on = sourceOn({ layout, mult: COUNTERS.tsc.multRaw - 5n });
    const show = (page: KernelPageSnapshot): SourceSample => {
      on.edit((view) => write(view, page));
      on.kernel.counter = page.main.cycleLast + 5_000_000n;
      return on.source.sample();
    };
    // The host's own limit, so that the clocksource looks the same.
    const maxCycles = ((1n << 64n) - 1n) / ((on.kernel.mult * 111n) / 100n);
    return { ...on, show: (page: KernelPageSnapshot) => show(withMax(page, maxCycles)) };
  }
  const withMax = (page: KernelPageSnapshot, maxCycles: bigint): KernelPageSnapshot => ({
    ...page,
    main: { ...page.main, maxCycles },
    raw: { ...page.raw, maxCycles },
  });

  test('a new mult turns monotonic at the kernel’s reading, and leaves raw as it is', () => {
    const writer = new KernelWriter();
    const { show } = written(writer);
    const before = show(writer.publish());
    const rest = 1_000_000n;
    const corner = writer.cycleLast + 3n * writer.interval + rest;
    const after = show(writer.tick(3n * writer.interval + rest, writer.mult + 321n));
    expect(after.monotonic.mult - before.monotonic.mult).toBe(321n);
    expect(nsAt(after.monotonic, corner)).toBe(nsAt(before.monotonic, corner));
    expect(nsAt(after.raw, after.cycles)).toBe(nsAt(before.raw, after.cycles));
    expect(after.realtimeOffsetNs).toBe(before.realtimeOffsetNs);
  });

  test('a set realtime moves realtime’s offset, and monotonic by less than a ns', () => {
    const writer = new KernelWriter();
    const { show } = written(writer);
    const before = show(writer.publish());
    const after = show(writer.setTime(123_456n, 1_900_000_000_123_456_789n).page);
    const lost = nsAt(before.monotonic, after.cycles) - nsAt(after.monotonic, after.cycles);
    expect(lost === 0n || lost === 1n).toBe(true);
    expect(nsAt(after.monotonic, writer.cycleLast) + after.realtimeOffsetNs).toBe(1_900_000_000_123_456_789n);
    expect(after.boottimeOffsetNs).toBe(before.boottimeOffsetNs);
    expect(after.taiOffsetSeconds).toBe(37);
  });

  test('sleep moves the offsets of boottime and realtime, and monotonic skips it', () => {
    const writer = new KernelWriter();
    const { show } = written(writer);
    const before = show(writer.forward(1_000n));
    const was = nsAt(before.monotonic, writer.cycleLast);
    const after = show(writer.resume(writer.cycleLast + 77_777_777_777n, 30_000_000_001n));
    expect(nsAt(after.monotonic, writer.cycleLast)).toBe(was);
    expect(after.boottimeOffsetNs - before.boottimeOffsetNs).toBe(30_000_000_001n);
    expect(after.realtimeOffsetNs - before.realtimeOffsetNs).toBe(30_000_000_001n);
  });

  test('a TAI offset that is set changes nothing but it', () => {
    const writer = new KernelWriter({ taiOffset: 0n });
    const { show } = written(writer);
    const page = writer.publish();
    const before = show(page);
    expect(before.taiOffsetSeconds).toBe(0);
    const after = show(writer.setTai(37n));
    expect(after.taiOffsetSeconds).toBe(37);
    expect({ ...after, taiOffsetSeconds: 0 }).toEqual(before);
  });

  test('a leap second moves realtime against TAI', () => {
    const writer = new KernelWriter({ realtimeSeconds: 1_483_228_799n });
    const { show } = written(writer);
    const before = show(writer.publish());
    writer.scheduleLeap(1);
    const after = show(writer.tick(700n * writer.interval));
    expect(after.taiOffsetSeconds).toBe(38);
    expect(after.realtimeOffsetNs - before.realtimeOffsetNs).toBe(-NS_PER_SEC);
  });

  test('another clocksource ends the source, with what to do', () => {
    for (const [mode, name] of [
      [ClockMode.none, 'none'],
      [ClockMode.pvclock, 'pvclock'],
      [ClockMode.hvclock, 'hvclock'],
    ] as const) {
      for (const copy of ['main', 'raw'] as const) {
        const { source, edit, layout } = sourceOn();
        source.sample();
        edit((page) => page.setUint32(layout[copy].mode, mode, true));
        expect(refusalOf(source)).toMatch(new RegExp(`mode is ${name} .*take the source 'clock-gettime'`));
      }
    }
  });

  test('a counter with another frequency ends the source, with what to do', () => {
    const { source, edit, layout } = sourceOn();
    source.sample();
    edit((page) => page.setUint32(layout.raw.mult, 6_462_400, true));
    expect(refusalOf(source)).toMatch(
      /changed its clocksource: mult 6462400, .*was mult 6462365.*start a new timekeeper/,
    );
  });

  test('a host whose clocksource is not the counter has no such source', () => {
    expect(() => sourceOn({ mode: 'none' })).toThrow(/mode is none.*clock-gettime/);
    expect(() => sourceOn({ vvar: false })).toThrow(expect.objectContaining({ code: 'ERR_NO_KERNEL_PAGE' }));
  });
});

describe('a page that cannot be sampled', () => {
  test('never stands still: the source says so, after so many attempts', () => {
    const { source, edit, layout } = sourceOn();
    let copies = 0;
    edit((page) => page.setUint32(layout.main.seq, 2 * ++copies, true));
    expect(refusalOf(source)).toMatch(/never stood still/);
    expect(copies).toBeGreaterThan(100);
    expect(copies).toBeLessThan(10_000);
  });

  test('has an odd count for ever in either copy: a writer stopped half-way', () => {
    for (const copy of ['main', 'raw'] as const) {
      const { source, edit, layout } = sourceOn();
      edit((page) => page.setUint32(layout[copy].seq, 4001, true));
      expect(refusalOf(source)).toMatch(/never stood still/);
    }
  });

  test('stands still only at times: a state is taken with the counter that was read in it', () => {
    const { source, edit, layout, kernel } = sourceOn();
    let copies = 0;
    edit((page) => {
      // It changes before each copy but every seventh, and each state has a base time of its own.
      const state = copies - Math.floor(++copies / 7);
      page.setUint32(layout.main.seq, 2 * state, true);
      const { seconds } = basetimeOffsets(layout, 'monotonic');
      page.setBigInt64(seconds, BigInt(state), true);
      for (const clock of ['realtime', 'boottime', 'tai'] as const) {
        page.setBigInt64(basetimeOffsets(layout, clock).seconds, BigInt(state), true);
      }
    });
    const sample = source.sample();
    expect(sample.cycles).toBe(kernel.counter);
    expect(sample.monotonic.scaledNs >> 24n).toBeGreaterThan(3n * NS_PER_SEC);
    expect(copies).toBeGreaterThan(2);
  });

  test('has a base ahead of the counter: taken once the counter has come up, refused if it never does', () => {
    const { source, edit, layout, kernel } = sourceOn();
    const ahead = (base: bigint) => (page: DataView) => {
      page.setBigUint64(layout.main.cycleLast, base, true);
      page.setBigUint64(layout.raw.cycleLast, base, true);
    };
    edit(ahead(kernel.counter + 450n));
    expect(source.sample().cycles).toBe(kernel.counter);
    edit(ahead(kernel.counter + 1_000_000n));
    expect(refusalOf(source)).toMatch(/cycles behind the page's cycle_last/);
  });

  test('was not updated for longer than the fast path takes', () => {
    for (const layout of [KNOWN_LAYOUTS[0], KNOWN_LAYOUTS.at(-1)]) {
      if (layout === undefined) throw new Error('there is no layout');
      const { source, kernel } = sourceOn({ layout });
      kernel.counter = kernel.cycleLast + 2_500_000_000_000n;
      source.sample();
      kernel.counter = kernel.cycleLast + 2_900_000_000_000n;
      expect(refusalOf(source)).toMatch(/not updated for 2900000000100 cycles/);
    }
  });

  test('has offsets that are not whole', () => {
    for (const clock of ['realtime', 'boottime', 'tai'] as const) {
      const { source, edit, layout } = sourceOn();
      const { nanoseconds } = basetimeOffsets(layout, clock);
      edit((page) => page.setBigUint64(nanoseconds, page.getBigUint64(nanoseconds, true) + 1n, true));
      expect(refusalOf(source)).toMatch(/no whole number of ns/);
    }
    const { source, edit, layout } = sourceOn();
    const { nanoseconds } = basetimeOffsets(layout, 'tai');
    edit((page) => page.setBigUint64(nanoseconds, page.getBigUint64(nanoseconds, true) + (1n << 24n), true));
    expect(refusalOf(source)).toMatch(/no whole number of seconds/);
  });

  test('cannot be read, or the counter cannot: the source says so', () => {
    const { addon, files } = simulatedHost();
    const source = kernelPageSource(openHost(addon, files));
    const { copyMemory } = addon;
    addon.copyMemory = (address, length) => copyMemory(address - 0x1000_0000n, length);
    expect(refusalOf(source)).toMatch(/memory cannot be read \(source kernel-page\)/);
    addon.copyMemory = copyMemory;
    source.sample();
    addon.readCounter = simulatedHost({ counterState: 'disabled' }).addon.readCounter;
    expect(refusalOf(source)).toMatch(/counter is disabled for this thread \(source kernel-page\)/);
  });
});
