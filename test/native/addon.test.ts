import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isLatchclockError, LatchclockError } from '../../lib/errors.ts';
import { BracketTotals } from '../../lib/host/bracket.ts';
import { machineFiles } from '../../lib/host/files.ts';
import { orNull } from '../../lib/host/host.ts';
import { findKernelPage, pageClock } from '../../lib/host/kernel-page.ts';
import {
  type Addon,
  BRACKET_ROW_WORDS,
  ClockPath,
  CounterMethod,
  ReadingSource,
  type ReadingSourceName,
} from '../../lib/native/addon.ts';
import { getAddon, loadAddon } from '../../lib/native/load.ts';
import {
  CLOCK_IDS,
  CLOCK_NAMES,
  type ClockName,
  isCoarse,
  PAGE_CLOCKS,
} from '../../lib/page/posix-clocks.ts';
import { compiledLib } from '../support/compiled-lib.ts';
import { simulatedHost } from '../support/simulated-host.ts';

const real = getAddon();
const PATHS = Object.values(ClockPath);
const METHODS = Object.values(CounterMethod);
const code = (wanted: string) => expect.objectContaining({ name: 'LatchclockError', code: wanted });
const badArgument = code('ERR_BAD_ARGUMENT');

// --- What holds for every addon, the real one and the simulated one alike.

describe.each<[string, () => { addon: Addon; files: typeof machineFiles }]>([
  ['the addon', () => ({ addon: real, files: machineFiles })],
  ['the simulated addon', () => simulatedHost()],
])('%s', (_, open) => {
  const { addon, files } = open();

  test('reads the counter by three methods, never backwards on one CPU', () => {
    const before = addon.cpuAffinity();
    addon.setCpuAffinity(Uint32Array.of(before[0] ?? 0));
    try {
      // Each of these waits for earlier instructions, so that calls in a row are in order.
      let last = 0n;
      for (let i = 0; i < 100; i++) {
        for (const method of METHODS) {
          const cycles = addon.readCounter(method);
          expect(cycles >= last).toBe(true);
          last = cycles;
        }
      }
    } finally {
      addon.setCpuAffinity(Uint32Array.from(before));
    }
  });

  test('fills every word with readings in order', () => {
    const before = addon.cpuAffinity();
    addon.setCpuAffinity(Uint32Array.of(before[0] ?? 0));
    try {
      for (const method of METHODS) {
        const cycles = new BigInt64Array(1_000);
        addon.readCounters(method, cycles);
        expect(cycles.every((value) => value !== 0n)).toBe(true);
        if (method === CounterMethod.rdtsc) continue;
        expect(cycles.every((value, index) => index === 0 || value >= (cycles[index - 1] ?? 0n))).toBe(true);
      }
    } finally {
      addon.setCpuAffinity(Uint32Array.from(before));
    }
  });

  test('with rdtscp names the CPU of each reading', () => {
    const before = addon.cpuAffinity();
    try {
      for (const cpu of before) {
        addon.setCpuAffinity(Uint32Array.of(cpu));
        const aux = new Uint32Array(50).fill(0xffff_ffff);
        addon.readCounters(CounterMethod.rdtscp, new BigInt64Array(50), aux);
        expect(new Set(aux.map((word) => word & 0xfff))).toEqual(new Set([cpu]));
      }
    } finally {
      addon.setCpuAffinity(Uint32Array.from(before));
    }
  });

  test.each(CLOCK_NAMES)('%s: three paths in order, or the same error from each', (name) => {
    const read = (path: number): bigint | string => {
      try {
        return addon.readClock(path as 0, CLOCK_IDS[name]);
      } catch (error) {
        expect(error).toMatchObject({
          code: 'ERR_SYSTEM_CALL',
          syscall: 'clock_gettime',
          where: 'readClock',
        });
        return (error as LatchclockError).errno ?? '';
      }
    };
    for (const outer of PATHS) {
      for (const inner of PATHS) {
        const [first, middle, last] = [read(outer), read(inner), read(outer)];
        if (typeof first === 'string') {
          expect([middle, last]).toEqual([first, first]);
        } else {
          // Realtime may be set meanwhile; that it is, within three readings of a test, is not provided for.
          const values = [first, middle, last].map(BigInt);
          expect(values).toEqual(values.toSorted((a, b) => (a < b ? -1 : Number(a > b))));
        }
      }
    }
  });

  test('reads many values of a clock in order', () => {
    for (const path of PATHS) {
      const ns = new BigInt64Array(300);
      addon.readClocks(path, CLOCK_IDS.monotonic, ns);
      expect(ns[0]).toBeGreaterThan(0n);
      expect(ns.every((value, index) => index === 0 || value >= (ns[index - 1] ?? 0n))).toBe(true);
    }
  });

  test('gives one resolution by every path: coarse clocks that of the tick', () => {
    for (const clock of PAGE_CLOCKS) {
      const resolutions = PATHS.map((path) => addon.clockResolution(path, CLOCK_IDS[clock]));
      expect(new Set(resolutions).size).toBe(1);
      if (isCoarse(clock)) expect(resolutions[0]).toBeGreaterThanOrEqual(1_000_000n);
    }
  });

  test.each([10, 12, 24, 1_000, -1, 2 ** 31 - 1, -(2 ** 31)])('clock id %i is EINVAL by every path', (id) => {
    for (const path of PATHS) {
      for (const run of [
        () => addon.readClock(path, id),
        () => addon.readClocks(path, id, new BigInt64Array(3)),
      ]) {
        expect(run).toThrow(
          expect.objectContaining({ code: 'ERR_SYSTEM_CALL', errno: 'EINVAL', syscall: 'clock_gettime' }),
        );
      }
      expect(() => addon.clockResolution(path, id)).toThrow(
        expect.objectContaining({ code: 'ERR_SYSTEM_CALL', errno: 'EINVAL', syscall: 'clock_getres' }),
      );
    }
  });

  test('calls of a coarse clock stay out of the kernel, calls of a CPU-time clock all enter it', () => {
    const ids = Uint32Array.from(
      ['realtime-coarse', 'monotonic-coarse', 'process-cputime', 'thread-cputime'],
      (name) => CLOCK_IDS[name as ClockName],
    );
    expect(addon.countKernelEntries(ids, 200)).toEqual([
      { calls: 200, kernelEntries: 0, errorNumber: 0 },
      { calls: 200, kernelEntries: 0, errorNumber: 0 },
      { calls: 200, kernelEntries: 200, errorNumber: 0 },
      { calls: 200, kernelEntries: 200, errorNumber: 0 },
    ]);
    expect(addon.countKernelEntries(new Uint32Array(0), 1)).toEqual([]);
  });

  test('copies memory across the ends of pages, from any place', () => {
    const base = addon.vdsoBase();
    expect(base).not.toBeNull();
    const whole = addon.copyMemory(base ?? 0n, 8192);
    expect(Buffer.from(whole.subarray(0, 4)).toString('latin1')).toBe('\x7fELF');
    for (const [from, length] of [
      [0, 1],
      [1, 4095],
      [4095, 2],
      [4090, 100],
      [17, 8000],
    ] as const) {
      const part = addon.copyMemory((base ?? 0n) + BigInt(from), length);
      expect(Buffer.compare(part, whole.subarray(from, from + length))).toBe(0);
    }
  });

  test.each([0n, 1n, 0x1000n, 0xffff_ffff_ffff_f000n, (1n << 64n) - 1n, 1n << 63n])(
    'memory at %s cannot be read, and says so without a signal',
    (address) => {
      for (const length of [1, 4096, 8192]) {
        expect(() => addon.copyMemory(address, length)).toThrow(code('ERR_MEMORY_FAULT'));
      }
    },
  );

  test('memory of which the end is missing cannot be read', () => {
    // The vDSO is followed by at least one page that is not mapped, within the mebibyte that a copy may have.
    const base = addon.vdsoBase() ?? 0n;
    const readable = (pages: number): boolean =>
      orNull(() => addon.copyMemory(base + BigInt(4096 * pages), 1)) !== null;
    let pages = 1;
    while (pages < 255 && readable(pages)) pages++;
    expect(addon.copyMemory(base, 4096 * pages)).toHaveLength(4096 * pages);
    expect(() => addon.copyMemory(base, 4096 * pages + 1)).toThrow(code('ERR_MEMORY_FAULT'));
    expect(() => addon.copyMemory(base + BigInt(4096 * pages - 1), 2)).toThrow(code('ERR_MEMORY_FAULT'));
  });

  test('finds the vDSO, and its functions by name and version', () => {
    const base = addon.vdsoBase() ?? 0n;
    const found = addon.vdsoSymbol('__vdso_clock_gettime', 'LINUX_2.6');
    expect(base % 4096n).toBe(0n);
    expect(found).toBeGreaterThan(base);
    expect(addon.vdsoSymbol('__vdso_no_such', 'LINUX_2.6')).toBeNull();
    expect(addon.vdsoSymbol('__vdso_clock_gettime', 'LINUX_9.9')).toBeNull();
    expect(addon.vdsoSymbol('', '')).toBeNull();
  });

  test('restricts the thread to CPUs and gives them back, ascending', () => {
    const before = addon.cpuAffinity();
    expect(before).toEqual(before.toSorted((a, b) => a - b));
    try {
      for (const cpu of before) {
        addon.setCpuAffinity(Uint32Array.of(cpu));
        expect(addon.cpuAffinity()).toEqual([cpu]);
      }
      addon.setCpuAffinity(Uint32Array.from(before.toReversed()));
      expect(addon.cpuAffinity()).toEqual(before);
      for (const cpus of [Uint32Array.of(), Uint32Array.of(4_000), Uint32Array.of(0xffff_ffff)]) {
        expect(() => addon.setCpuAffinity(cpus)).toThrow(
          expect.objectContaining({ code: 'ERR_SYSTEM_CALL', errno: 'EINVAL', syscall: 'sched_setaffinity' }),
        );
      }
      expect(addon.cpuAffinity()).toEqual(before);
    } finally {
      addon.setCpuAffinity(Uint32Array.from(before));
    }
  });

  test("tells the kernel's clock discipline", () => {
    const discipline = addon.adjtimex();
    expect([0, 1, 2, 3, 4, 5]).toContain(discipline.state);
    expect(discipline.tickUs).toBeGreaterThanOrEqual(9_000n);
    expect(discipline.tickUs).toBeLessThanOrEqual(11_000n);
    expect(Object.fromEntries(Object.entries(discipline).map(([key, value]) => [key, typeof value]))).toEqual(
      {
        state: 'number',
        status: 'number',
        frequency: 'bigint',
        offset: 'bigint',
        maxErrorUs: 'bigint',
        estErrorUs: 'bigint',
        tickUs: 'bigint',
        taiOffsetSeconds: 'number',
      },
    );
  });

  const proved = orNull(() => findKernelPage(addon, files));
  const usable = proved?.proof.clocks.includes('monotonic') ?? false;
  describe.skipIf(!usable)(
    usable ? 'bracketing' : 'bracketing (skipped: no page with TSC cycles is proved)',
    () => {
      const names = Object.keys(ReadingSource) as ReadingSourceName[];
      const pairs = names.flatMap((outer) =>
        names.filter((inner) => outer !== inner || outer !== 'page').map((inner) => [outer, inner] as const),
      );

      test.each(pairs)('%s around %s: every row is right again in exact arithmetic', (outer, inner) => {
        if (proved === null) return;
        for (const clock of PAGE_CLOCKS) {
          const request = { outer, inner, clockId: CLOCK_IDS[clock], page: pageClock(proved, clock) };
          const totals = new BracketTotals(addon, request);
          totals.take(64);
          expect(totals).toMatchObject({ samples: 64, differing: [], outside: 0 });
          expect(totals.recomputed).toBeGreaterThanOrEqual(64);
        }
      });

      test('rows are written at the pace asked for, as many as there is room for', () => {
        if (proved === null) return;
        const page = pageClock(proved, 'monotonic');
        const run = (count: number, rowEvery: number, rows: number) => {
          const words = new BigInt64Array(rows * BRACKET_ROW_WORDS + 5).fill(-7n);
          const tally = addon.bracket(2, 3, 1, page, count, rowEvery, words, new BigInt64Array(0));
          return { tally, words };
        };
        expect(run(10, 1, 100).tally.rows).toBe(10);
        expect(run(10, 3, 100).tally.rows).toBe(4);
        expect(run(10, 100, 100).tally.rows).toBe(1);
        const full = run(10, 1, 4);
        expect(full.tally.rows).toBe(4);
        expect([...full.words.subarray(4 * BRACKET_ROW_WORDS)]).toEqual(new Array(5).fill(-7n));
      });

      test('a row has its readings in the order in which they were taken', () => {
        if (proved === null) return;
        const words = new BigInt64Array(BRACKET_ROW_WORDS);
        addon.bracket(3, 2, 1, pageClock(proved, 'monotonic'), 1, 1, words, new BigInt64Array(0));
        const [, before = 0n, first, , second, after = 0n, , , cyclesFirst = 0n] = words;
        const cyclesSecond = words[16] ?? 0n;
        expect(before <= cyclesFirst && cyclesFirst <= cyclesSecond && cyclesSecond <= after).toBe(true);
        expect([words[15], words[23]]).toEqual([first, second]);
      });

      test('a page that does not count by the counter is told as such, and is no wrong argument', () => {
        if (proved === null) return;
        const rows = new BigInt64Array(BRACKET_ROW_WORDS);
        const clock = pageClock(proved, 'monotonic');
        // Its shift in place of its mode: no kernel counts with a shift of 1.
        const otherwise = { ...clock, mode: clock.shift };
        expect(() => addon.bracket(2, 3, 1, otherwise, 5, 1, rows, rows)).toThrow(
          expect.objectContaining({ code: 'ERR_NO_KERNEL_PAGE' }),
        );
      });

      test('without a page only paths can be asked for', () => {
        const rows = new BigInt64Array(BRACKET_ROW_WORDS);
        expect(addon.bracket(2, 0, 1, null, 5, 1, rows, rows)).toMatchObject({ samples: 5, acrossUpdate: 0 });
        expect(() => addon.bracket(2, 3, 1, null, 5, 1, rows, rows)).toThrow(badArgument);
        expect(() => addon.bracket(3, 2, 1, null, 5, 1, rows, rows)).toThrow(badArgument);
      });
    },
  );
});

// --- What only the real addon checks.

describe('arguments of the wrong kind', () => {
  const words = new BigInt64Array(BRACKET_ROW_WORDS);
  const page = {
    address: 0n,
    seq: 0,
    mode: 4,
    cycleLast: 8,
    maxCycles: null,
    mult: 32,
    shift: 36,
    seconds: 56,
    nanoseconds: 64,
    coarse: false,
    namespaceNs: 0n,
  };
  const notWhole = [undefined, null, NaN, Infinity, 0.5, '0', 0n, {}, [], true, Symbol('x'), () => 0];
  const notWords64 = [
    undefined,
    null,
    [],
    {},
    new Uint32Array(3),
    new Float64Array(3),
    new BigUint64Array(3),
    new ArrayBuffer(8),
    5,
    'x',
  ];
  const notWords32 = [
    undefined,
    null,
    [],
    {},
    new Int32Array(3),
    new BigInt64Array(3),
    new Uint8Array(3),
    new DataView(new ArrayBuffer(8)),
    5,
  ];

  const refuses = (
    name: keyof Addon,
    good: readonly unknown[],
    at: number,
    wrong: readonly unknown[],
  ): void => {
    const call = real[name] as (...args: unknown[]) => unknown;
    for (const value of wrong) {
      const args = good.with(at, value);
      expect(() => call(...args), `${name} argument ${at}: ${String(value)}`).toThrow(
        expect.objectContaining({ code: 'ERR_BAD_ARGUMENT', where: name }),
      );
    }
  };

  test('of cpuid are refused', () => {
    refuses('cpuid', [0, 0], 0, [...notWhole, -1, 2 ** 32]);
    refuses('cpuid', [0, 0], 1, [...notWhole, -1, 2 ** 32]);
  });

  test('of readCounter and readCounters are refused', () => {
    refuses('readCounter', [0], 0, [...notWhole, -1, 3]);
    refuses('readCounters', [0, words], 0, [...notWhole, -1, 3]);
    refuses('readCounters', [0, words], 1, notWords64);
    refuses('readCounters', [2, words, new Uint32Array(24)], 2, [
      ...notWords32.filter((value) => value !== undefined),
      new Uint32Array(23),
      new Uint32Array(25),
      new Uint32Array(0),
    ]);
    refuses('readCounters', [0, words, new Uint32Array(24)], 0, [0, 1]);
  });

  test('of readClock, readClocks and clockResolution are refused', () => {
    for (const name of ['readClock', 'clockResolution'] as const) {
      refuses(name, [0, 1], 0, [...notWhole, -1, 3]);
      refuses(name, [0, 1], 1, [...notWhole, 2 ** 31, -(2 ** 31) - 1]);
    }
    refuses('readClocks', [0, 1, words], 0, [...notWhole, -1, 3]);
    refuses('readClocks', [0, 1, words], 1, [...notWhole, 2 ** 31]);
    refuses('readClocks', [0, 1, words], 2, notWords64);
  });

  test('of countKernelEntries are refused', () => {
    refuses('countKernelEntries', [Uint32Array.of(1), 1], 0, notWords32);
    refuses('countKernelEntries', [Uint32Array.of(1), 1], 1, [...notWhole, 0, -1, 1_000_001]);
  });

  test('of vdsoSymbol and copyMemory are refused', () => {
    refuses('vdsoSymbol', ['a', 'b'], 0, [undefined, null, 1, 1n, {}, []]);
    refuses('vdsoSymbol', ['a', 'b'], 1, [undefined, null, 1, 1n, {}, []]);
    const base = real.vdsoBase() ?? 0n;
    refuses('copyMemory', [base, 1], 0, [undefined, null, 0, 1.5, '0', {}, -1n, 1n << 64n]);
    refuses('copyMemory', [base, 1], 1, [...notWhole, 0, -1, (1 << 20) + 1]);
  });

  test('of setCpuAffinity and setErrorFactory are refused', () => {
    refuses('setCpuAffinity', [new Uint32Array(0)], 0, notWords32);
    refuses('setErrorFactory', [null], 0, [undefined, null, 1, {}, 'x']);
  });

  test('of bracket are refused', () => {
    const good = [2, 0, 1, null, 1, 1, words, words];
    for (const at of [0, 1]) refuses('bracket', good, at, [...notWhole, -1, 4]);
    refuses('bracket', good, 2, [...notWhole, 2 ** 31]);
    for (const at of [4, 5]) refuses('bracket', good, at, [...notWhole, 0, -1, 1_000_000_001]);
    for (const at of [6, 7]) refuses('bracket', good, at, notWords64);
    refuses('bracket', good, 3, [undefined, 1, 'x', {}, [], true, 1n, { ...page, address: undefined }]);
  });

  test('of a page clock are refused, field by field', () => {
    const proved = orNull(() => findKernelPage(real, machineFiles));
    const sound = proved === null ? page : pageClock(proved, 'monotonic');
    const good = [2, 3, 1, sound, 1, 1, words, words];
    if (proved !== null)
      expect(() => real.bracket(2, 3, 1, pageClock(proved, 'monotonic'), 1, 1, words, words)).not.toThrow();
    for (const field of ['seq', 'mode', 'cycleLast', 'mult', 'shift', 'seconds', 'nanoseconds'] as const) {
      for (const value of [undefined, null, NaN, -1, 0.5, 4096, 4095, 1e300, Infinity, '0', 0n, {}]) {
        refuses('bracket', good, 3, [{ ...sound, [field]: value }]);
      }
    }
    refuses(
      'bracket',
      good,
      3,
      [undefined, NaN, -8, 4, 4090, 4096, '16', 16n].map((maxCycles) => ({ ...sound, maxCycles })),
    );
    // In the middle of a page, above the vDSO, far below it, and nowhere at all.
    const base = real.vdsoBase() ?? 0n;
    const addresses = [sound.address + 8n, base, base + 4096n, base - (17n << 12n), 0n, (1n << 64n) - 4096n];
    refuses(
      'bracket',
      good,
      3,
      [...addresses, undefined, 0, -1n, 1n << 64n].map((address) => ({ ...sound, address })),
    );
    refuses(
      'bracket',
      good,
      3,
      [undefined, 1, 'true', null].map((coarse) => ({ ...sound, coarse })),
    );
    refuses(
      'bracket',
      good,
      3,
      [undefined, 0, 1n << 63n, -(1n << 63n) - 1n].map((namespaceNs) => ({ ...sound, namespaceNs })),
    );
  });

  test('a missing argument is the same as an undefined one', () => {
    for (const name of [
      'cpuid',
      'readCounter',
      'readClock',
      'copyMemory',
      'bracket',
      'setCpuAffinity',
    ] as const) {
      expect(() => (real[name] as () => unknown)()).toThrow(badArgument);
    }
  });

  test('an array whose memory is gone has no words', () => {
    const gone = new BigInt64Array(100);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    const gone32 = new Uint32Array(100);
    structuredClone(gone32.buffer, { transfer: [gone32.buffer] });
    expect(() => real.readCounters(0, gone)).not.toThrow();
    expect(() => real.readClocks(2, 1, gone)).not.toThrow();
    expect(real.bracket(2, 0, 1, null, 3, 1, gone, gone)).toMatchObject({ samples: 3, rows: 0 });
    expect(real.countKernelEntries(gone32, 1)).toEqual([]);
    expect(() => real.setCpuAffinity(gone32)).toThrow(code('ERR_SYSTEM_CALL'));
  });

  test('a page clock whose fields raise errors passes them on and does nothing', () => {
    const throwing = new Proxy(page, {
      get: () => {
        throw new RangeError('from the getter');
      },
    });
    expect(() => real.bracket(2, 0, 1, throwing, 1, 1, words, words)).toThrow(
      new RangeError('from the getter'),
    );
  });

  test('a page clock that detaches the rows while it is read finds them gone', () => {
    const rows = new BigInt64Array(BRACKET_ROW_WORDS * 4);
    const proved = orNull(() => findKernelPage(real, machineFiles));
    const sound = proved === null ? page : pageClock(proved, 'monotonic');
    const detaching = new Proxy(sound, {
      get: (target, key) => {
        if (rows.byteLength > 0) structuredClone(rows.buffer, { transfer: [rows.buffer] });
        return Reflect.get(target, key);
      },
    });
    try {
      expect(real.bracket(2, 0, 1, detaching, 4, 1, rows, rows).rows).toBe(0);
    } catch (error) {
      expect(isLatchclockError(error)).toBe(true);
    }
  });
});

describe('junk', () => {
  const affinity = real.cpuAffinity();
  // A loader's own factory, for the function that replaces it is part of what is tried.
  afterAll(() => {
    real.setCpuAffinity(Uint32Array.from(affinity));
  });

  const detached = (): BigInt64Array => {
    const array = new BigInt64Array(8);
    structuredClone(array.buffer, { transfer: [array.buffer] });
    return array;
  };
  const throwing = (): object =>
    new Proxy(
      {},
      {
        get: () => {
          throw new LatchclockError('ERR_BAD_ARGUMENT', 'from the getter');
        },
      },
    );
  const scalar = fc.oneof(
    fc.constantFrom<unknown>(
      undefined,
      null,
      NaN,
      Infinity,
      -Infinity,
      -0,
      0.5,
      2 ** 53,
      -(2 ** 53),
      1e308,
      '',
      'x',
      {},
      [],
      true,
    ),
    fc.integer({ min: -5, max: 40 }),
    fc.double(),
    fc.bigInt({ min: -(1n << 70n), max: 1n << 70n }),
    fc.string({ unit: 'binary', maxLength: 40 }),
  );
  const array = fc.oneof(
    fc.nat({ max: 60 }).map((length) => new BigInt64Array(length)),
    fc.nat({ max: 6 }).map((length) => new Uint32Array(length)),
    fc.constantFrom(Float64Array, Uint8Array, Int32Array, BigUint64Array).map((Kind) => new Kind(4)),
    fc.constant(null).map(detached),
    fc.constant(null).map(() => new BigInt64Array(new SharedArrayBuffer(16))),
  );
  const pageLike = fc.record(
    Object.fromEntries(
      [
        'address',
        'seq',
        'mode',
        'cycleLast',
        'maxCycles',
        'mult',
        'shift',
        'seconds',
        'nanoseconds',
        'coarse',
        'namespaceNs',
      ].map((field) => [field, scalar]),
    ),
    { requiredKeys: [] },
  );
  const junk = fc.oneof(scalar, array, pageLike, fc.constant(null).map(throwing));

  // A class among the functions is called as a class.
  const callOf = (name: string): ((...args: unknown[]) => unknown) => {
    const exported = real[name as keyof Addon] as (...args: unknown[]) => unknown;
    return /^[A-Z]/.test(name) ? (...args) => Reflect.construct(exported, args) : exported;
  };

  test.each(Object.keys(real))(
    '%s takes any arguments: an answer or an error of the one class, never a crash',
    (name) => {
      const call = callOf(name);
      try {
        fc.assert(
          fc.property(fc.array(junk, { maxLength: 9 }), (args) => {
            try {
              call(...args);
            } catch (error) {
              if (!isLatchclockError(error)) throw error;
            }
          }),
          { numRuns: 500 },
        );
      } finally {
        real.setCpuAffinity(Uint32Array.from(affinity));
      }
    },
  );

  test.each(Object.keys(real))('%s goes on when one argument of a right call is junk', (name) => {
    const right: Record<string, readonly unknown[]> = {
      cpuid: [0, 0],
      readCounter: [1],
      readCounters: [2, new BigInt64Array(4), new Uint32Array(4)],
      readClock: [0, 1],
      readClocks: [0, 1, new BigInt64Array(4)],
      clockResolution: [0, 1],
      countKernelEntries: [Uint32Array.of(1), 2],
      vdsoSymbol: ['__vdso_time', 'LINUX_2.6'],
      copyMemory: [real.vdsoBase() ?? 0n, 16],
      bracket: [2, 0, 1, null, 2, 1, new BigInt64Array(24), new BigInt64Array(24)],
      setCpuAffinity: [Uint32Array.from(affinity)],
      setErrorFactory: [null],
    };
    const good = right[name] ?? [];
    const call = callOf(name);
    try {
      fc.assert(
        fc.property(fc.nat({ max: Math.max(0, good.length - 1) }), junk, (at, value) => {
          try {
            call(...(good.length === 0 ? [value] : good.with(at, value)));
          } catch (error) {
            if (!isLatchclockError(error)) throw error;
          }
        }),
        { numRuns: 300 },
      );
    } finally {
      real.setCpuAffinity(Uint32Array.from(affinity));
    }
  });
});

describe('the way to build errors', () => {
  test('may be replaced; a factory that throws, or returns no error, is passed on as it is', () => {
    // The exports are one object for all loads in a thread: the loader's own way is put back by loading anew.
    try {
      const seen: unknown[] = [];
      real.setErrorFactory((...details) => {
        seen.push(details);
        return new SyntaxError('mine');
      });
      expect(() => real.readCounter(9 as 0)).toThrow(new SyntaxError('mine'));
      expect(() => real.readClock(2, 99)).toThrow(new SyntaxError('mine'));
      expect(seen).toEqual([
        ['ERR_BAD_ARGUMENT', expect.stringContaining('method'), 'readCounter', 0, ''],
        ['ERR_SYSTEM_CALL', expect.any(String), 'readClock', 22, 'clock_gettime'],
      ]);
      real.setErrorFactory(() => {
        throw new RangeError('from the factory');
      });
      expect(() => real.readCounter(9 as 0)).toThrow(new RangeError('from the factory'));
      real.setErrorFactory((() => 5) as never);
      let thrown: unknown;
      try {
        real.readCounter(9 as 0);
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBe(5);
    } finally {
      loadAddon();
    }
    expect(() => real.readCounter(9 as 0)).toThrow(badArgument);
  });
});

describe('this thread', () => {
  test('may read its counter', () => {
    expect(['enabled', 'unknown']).toContain(real.counterState());
  });

  test('an unread CPUID leaf is four registers', () => {
    expect(real.cpuid(0, 0)).toBeInstanceOf(Uint32Array);
    expect(real.cpuid(0xffff_ffff, 0xffff_ffff)).toHaveLength(4);
  });
});

describe('another process', () => {
  let lib: ReturnType<typeof compiledLib>;
  beforeAll(() => {
    lib = compiledLib();
  });
  afterAll(() => lib.remove());

  const run = (script: string): { status: number | null; stdout: string; stderr: string } => {
    const source = `
      import { loadAddon } from '${join(lib.lib, 'native/load.js')}';
      const addon = loadAddon({ root: '${lib.root}' });
      ${script}`;
    return spawnSync(process.execPath, ['--input-type=module', '-e', source], {
      encoding: 'utf8',
      timeout: 60_000,
    });
  };

  test('ends cleanly after every function was used', () => {
    const child = run(`
      addon.countKernelEntries(Uint32Array.of(1, 2), 100);
      addon.bracket(2, 0, 1, null, 100, 1, new BigInt64Array(240), new BigInt64Array(240));
      addon.setCpuAffinity(Uint32Array.from(addon.cpuAffinity()));
      console.log(typeof addon.readCounter(1), addon.copyMemory(addon.vdsoBase(), 4).length);`);
    expect(child).toMatchObject({ status: 0, stdout: 'bigint 4\n', stderr: '' });
  });

  test('loads it in worker threads, each with errors of its own', () => {
    const child = run(`
      import { Worker } from 'node:worker_threads';
      const work = \`
        const { loadAddon } = await import('file://${join(lib.lib, 'native/load.js')}');
        const addon = loadAddon({ root: '${lib.root}' });
        let code;
        try { addon.readClock(2, 99); } catch (error) { code = error.name + ' ' + error.code; }
        const before = addon.cpuAffinity();
        addon.setCpuAffinity(Uint32Array.of(before[0]));
        console.log(code, addon.cpuAffinity().length);\`;
      const workers = [1, 2, 3].map(() => new Worker(new URL('data:text/javascript,' + encodeURIComponent(work))));
      await Promise.all(workers.map((worker) => new Promise((done) => worker.on('exit', done))));
      try { addon.readCounter(9); } catch (error) { console.log(error.name, error.code); }`);
    expect(child.stderr).toBe('');
    expect(child.stdout.trim().split('\n').toSorted()).toEqual([
      'LatchclockError ERR_BAD_ARGUMENT',
      ...new Array(3).fill('LatchclockError ERR_SYSTEM_CALL 1'),
    ]);
    expect(child.status).toBe(0);
  });

  test('leaves no descriptor open, whatever it copied', () => {
    const child = run(`
      import { readdirSync } from 'node:fs';
      const open = () => readdirSync('/proc/self/fd').length;
      const before = open();
      for (let i = 0; i < 100; i++) {
        addon.copyMemory(addon.vdsoBase(), 4096);
        try { addon.copyMemory(0n, 4096); } catch {}
      }
      console.log(open() - before);`);
    expect(child.stdout).toBe('0\n');
  });
});

test('a bad pointer that kills the probing child leaves no line in the kernel log', (context) => {
  const real = getAddon();
  const readLog = (): string[] | null => {
    try {
      return machineFiles.readRecords('/dev/kmsg', 100_000);
    } catch {
      return null;
    }
  };
  const before = readLog();
  if (before === null) return context.skip('the kernel log may not be read');
  if (real.vdsoBase() === null) return context.skip('this process has no vDSO');
  const ending = real.probeBadPointer(0, 0, 1, 0);
  expect(ending).toEqual({ errorNumber: 0, signal: 11 });
  const known = new Set(before);
  const added = (readLog() ?? []).filter((record) => !known.has(record));
  expect(added.filter((record) => record.includes('segfault'))).toEqual([]);
});
