import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type KernelPageLayout, KNOWN_LAYOUTS } from '../../lib/page/kernel-layout.ts';
import {
  ClockMode,
  decodeKernelPage,
  decodeNamespaceOffsets,
  kernelSegment,
  modeName,
  NO_NAMESPACE,
} from '../../lib/page/kernel-page.ts';
import { isCoarse, PAGE_CLOCKS } from '../../lib/page/posix-clocks.ts';
import { evaluate } from '../../lib/page/segment.ts';
import { LAYOUT_ROWS } from '../support/layout-rows.ts';

const badPage = expect.objectContaining({ name: 'LatchclockError', code: 'ERR_BAD_PAGE' });

function layout(name: string): KernelPageLayout {
  const found = KNOWN_LAYOUTS.find((known) => known.name === name);
  if (found === undefined) throw new Error(`no layout ${name}`);
  return found;
}

const NEWEST = layout('linux-6.18..7.2');

interface Values {
  seq: number;
  mode: number;
  cycleLast: bigint;
  maxCycles: bigint;
  mask: bigint;
  mult: number;
  shift: number;
  bases: { seconds: bigint; nsec: bigint }[];
}

/** Writes a page by the literal offsets of a row; `bases` has one entry for each id from 0 to 11. */
function encode(row: (typeof LAYOUT_ROWS)[keyof typeof LAYOUT_ROWS], main: Values, raw: Values): Uint8Array {
  const page = new DataView(new ArrayBuffer(4096));
  for (const [at, values] of [
    [row.main, main],
    [row.raw, raw],
  ] as const) {
    page.setUint32(at.seq, values.seq, true);
    page.setUint32(at.mode, values.mode, true);
    page.setBigUint64(at.cycleLast, values.cycleLast, true);
    if (at.maxCycles !== null) page.setBigUint64(at.maxCycles, values.maxCycles, true);
    page.setBigUint64(at.mask, values.mask, true);
    page.setUint32(at.mult, values.mult, true);
    page.setUint32(at.shift, values.shift, true);
    for (const [id, { seconds, nsec }] of values.bases.entries()) {
      page.setBigInt64(at.basetime + 16 * id, seconds, true);
      page.setBigUint64(at.basetime + 16 * id + 8, nsec, true);
    }
  }
  page.setUint32(row.hrtimerRes, 4_000_000, true);
  return new Uint8Array(page.buffer);
}

const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const u32 = fc.nat({ max: 0xffff_ffff });
const values: fc.Arbitrary<Values> = fc.record({
  seq: u32,
  mode: u32,
  cycleLast: u64,
  maxCycles: u64,
  mask: u64,
  mult: u32,
  shift: fc.nat({ max: 63 }),
  bases: fc.array(
    fc.record({ seconds: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), nsec: u64 }),
    { minLength: 12, maxLength: 12 },
  ),
});

const IDS = {
  realtime: 0,
  monotonic: 1,
  'monotonic-raw': 4,
  'realtime-coarse': 5,
  'monotonic-coarse': 6,
  boottime: 7,
  tai: 11,
} as const;

describe('decoding', () => {
  for (const [name, row] of Object.entries(LAYOUT_ROWS)) {
    test(`${name}: every word comes from its own place, whatever the values`, () => {
      fc.assert(
        fc.property(values, values, (main, raw) => {
          const page = decodeKernelPage(encode(row, main, raw), layout(name));
          for (const [words, wanted] of [
            [page.main, main],
            [page.raw, raw],
          ] as const) {
            expect(words).toEqual({
              seq: wanted.seq,
              mode: wanted.mode,
              cycleLast: wanted.cycleLast,
              maxCycles: row.main.maxCycles === null ? null : wanted.maxCycles,
              mask: wanted.mask,
              mult: BigInt(wanted.mult),
              shift: wanted.shift,
            });
          }
          for (const clock of PAGE_CLOCKS) {
            const base = (clock === 'monotonic-raw' ? raw : main).bases[IDS[clock]];
            expect(page.basetimes[clock]).toEqual({ seconds: base?.seconds, nsecAsStored: base?.nsec });
          }
          expect(page.hrtimerResNs).toBe(4_000_000);
        }),
        { numRuns: 50 },
      );
    });

    test(`${name}: a page cut short anywhere before its last word is refused`, () => {
      const last = Math.max(row.raw.basetime + 16 * 12, row.hrtimerRes + 4);
      expect(() => decodeKernelPage(new Uint8Array(last - 1), layout(name))).toThrow(badPage);
      expect(() => decodeKernelPage(new Uint8Array(0), layout(name))).toThrow(badPage);
      expect(() => decodeNamespaceOffsets(new Uint8Array(last - 1), layout(name))).toThrow(badPage);
      expect(decodeKernelPage(new Uint8Array(last), layout(name)).main.seq).toBe(0);
    });
  }

  test('a view into a larger buffer is read from its own start', () => {
    const buffer = new Uint8Array(8192).fill(0xff);
    const page = buffer.subarray(100, 100 + 4096).fill(0);
    page[0] = 8;
    expect(decodeKernelPage(page, NEWEST).main.seq).toBe(8);
  });

  test.each(['main', 'raw'] as const)('a shift of 64 in the %s copy is refused, 63 is not', (copy) => {
    const page = new DataView(new ArrayBuffer(4096));
    const at = copy === 'main' ? 36 : 268;
    page.setUint32(at, 63, true);
    expect(decodeKernelPage(new Uint8Array(page.buffer), NEWEST)[copy].shift).toBe(63);
    page.setUint32(at, 64, true);
    expect(() => decodeKernelPage(new Uint8Array(page.buffer), NEWEST)).toThrow(badPage);
    page.setUint32(at, 0xffff_ffff, true);
    expect(() => decodeKernelPage(new Uint8Array(page.buffer), NEWEST)).toThrow(badPage);
  });

  test('a layout with any word outside the page is refused, not read out of bounds', () => {
    const page = new Uint8Array(4096);
    for (const copy of ['main', 'raw'] as const) {
      for (const field of Object.keys(NEWEST.main)) {
        const hostile = { ...NEWEST, [copy]: { ...NEWEST[copy], [field]: 4094 } };
        expect(() => decodeKernelPage(page, hostile), `${copy}.${field}`).toThrow(badPage);
        expect(() => decodeNamespaceOffsets(page, hostile), `${copy}.${field}`).toThrow(badPage);
      }
    }
    expect(() => decodeKernelPage(page, { ...NEWEST, hrtimerRes: 0xffff_fff0 })).toThrow(badPage);
  });
});

describe('time namespaces', () => {
  test('offsets are plain nanoseconds, seconds may be negative', () => {
    const page = new DataView(new ArrayBuffer(4096));
    page.setUint32(0, 1, true);
    page.setUint32(4, 0x7fff_ffff, true);
    for (const at of [56, 136, 336]) page.setBigInt64(at, -1_001n, true);
    for (const at of [64, 144, 344]) page.setBigInt64(at, 999_999_999n, true);
    page.setBigInt64(152, 5_000n, true);
    const offsets = decodeNamespaceOffsets(new Uint8Array(page.buffer), NEWEST);
    expect(offsets).toEqual({
      realtime: 0n,
      monotonic: -1_000_000_000_001n,
      'monotonic-raw': -1_000_000_000_001n,
      boottime: 5_000_000_000_000n,
      tai: 0n,
      'realtime-coarse': 0n,
      'monotonic-coarse': -1_000_000_000_001n,
    });
  });

  test('an offset is added after rounding', () => {
    const page = new DataView(new ArrayBuffer(4096));
    page.setUint32(4, 1, true);
    page.setUint32(36, 2, true);
    page.setBigInt64(64, 7n, true);
    const offset = { ...NO_NAMESPACE, monotonic: -1_000_000_000n };
    const snapshot = decodeKernelPage(new Uint8Array(page.buffer), NEWEST, offset);
    // 7 / 4 is rounded down to 1, and then a second is taken away.
    expect(evaluate(kernelSegment(snapshot, 'monotonic'), 0n)).toBe(-999_999_999n);
    expect(evaluate(kernelSegment(snapshot, 'boottime'), 0n)).toBe(0n);
  });

  test('without a namespace there are no offsets', () => {
    expect(Object.values(NO_NAMESPACE)).toEqual(PAGE_CLOCKS.map(() => 0n));
  });
});

describe('the segment of a clock', () => {
  const words = {
    seq: 2,
    mode: 1,
    cycleLast: 100n,
    maxCycles: 1_000n,
    mask: (1n << 64n) - 1n,
    mult: 3,
    shift: 1,
  };
  const bases = Array.from({ length: 12 }, (_, id) => ({ seconds: BigInt(id + 1), nsec: 10n }));

  test.each(Object.entries(LAYOUT_ROWS))('%s: takes mult and base from its own copy', (name, row) => {
    const raw = { ...words, mult: 5, cycleLast: 102n, shift: 2 };
    const page = decodeKernelPage(encode(row, { ...words, bases }, { ...raw, bases }), layout(name));
    expect(evaluate(kernelSegment(page, 'monotonic'), 106n)).toBe(2_000_000_000n + (10n + 6n * 3n) / 2n);
    expect(evaluate(kernelSegment(page, 'monotonic-raw'), 106n)).toBe(5_000_000_000n + (10n + 4n * 5n) / 4n);
    expect(evaluate(kernelSegment(page, 'realtime'), 106n)).toBe(1_000_000_014n);
    expect(evaluate(kernelSegment(page, 'boottime'), 106n)).toBe(8_000_000_014n);
    expect(evaluate(kernelSegment(page, 'tai'), 106n)).toBe(12_000_000_014n);
  });

  test('a coarse clock is plain nanoseconds at every counter reading and under every mode', () => {
    for (const mode of [0, 1, 2, 3]) {
      const row = LAYOUT_ROWS['linux-6.18..7.2'];
      const page = decodeKernelPage(
        encode(row, { ...words, mode, bases }, { ...words, mode, bases }),
        NEWEST,
      );
      for (const cycles of [0n, 100n, (1n << 64n) - 1n]) {
        expect(evaluate(kernelSegment(page, 'realtime-coarse'), cycles)).toBe(6_000_000_010n);
        expect(evaluate(kernelSegment(page, 'monotonic-coarse'), cycles)).toBe(7_000_000_010n);
      }
    }
  });

  test('kernels with max_cycles take it for the last delta of the fast path, others have no limit', () => {
    const of = (name: keyof typeof LAYOUT_ROWS) =>
      kernelSegment(
        decodeKernelPage(encode(LAYOUT_ROWS[name], { ...words, bases }, { ...words, bases }), layout(name)),
        'monotonic',
      );
    expect(of('linux-6.12')).toMatchObject({ maxDelta: 1_001n, outOfWindow: 'clamp-wide' });
    expect(of('linux-5.4..6.6')).toMatchObject({
      maxDelta: 1n << 64n,
      outOfWindow: 'clamp-narrow',
    });
  });

  test.each([
    [0, 'none'],
    [2, 'pvclock'],
    [3, 'hvclock'],
    [0x7fff_ffff, 'timens'],
    [9, 'unknown (9)'],
  ])('mode %i (%s) gives no TSC cycles and is refused by name', (mode, name) => {
    const row = LAYOUT_ROWS['linux-6.18..7.2'];
    const page = decodeKernelPage(encode(row, { ...words, mode, bases }, { ...words, mode, bases }), NEWEST);
    for (const clock of PAGE_CLOCKS.filter((clock) => !isCoarse(clock))) {
      expect(() => kernelSegment(page, clock)).toThrow(badPage);
      expect(() => kernelSegment(page, clock)).toThrow(`mode is ${name}, not tsc`);
    }
  });

  test('modes have the numbers of enum vdso_clock_mode on x86', () => {
    expect(ClockMode).toEqual({ none: 0, tsc: 1, pvclock: 2, hvclock: 3, timens: 2 ** 31 - 1 });
    expect(modeName(1)).toBe('tsc');
  });
});

describe('a page recorded on Linux 6.18', () => {
  const page = decodeKernelPage(
    Uint8Array.from(readFileSync(new URL('../fixtures/vvar-6.18.bin', import.meta.url))),
    NEWEST,
  );

  test('decodes to the words that a hex dump shows', () => {
    const clock = {
      seq: 161_840,
      mode: 1,
      cycleLast: 0x5d2f53bf6fen,
      maxCycles: 0x256becde448n,
      mask: 0xffff_ffff_ffff_ffffn,
      mult: 6_462_414n,
      shift: 24,
    };
    expect(page.main).toEqual(clock);
    expect(page.raw).toEqual(clock);
    expect(page.hrtimerResNs).toBe(1);
    expect(page.basetimes).toEqual({
      realtime: { seconds: 1_795_347_690n, nsecAsStored: 0x1002d062d14bean },
      monotonic: { seconds: 2_466n, nsecAsStored: 0x1f3e10cad14bean },
      'monotonic-raw': { seconds: 2_466n, nsecAsStored: 0x104017a6798352n },
      boottime: { seconds: 2_466n, nsecAsStored: 0x1f3e10cad14bean },
      tai: { seconds: 1_795_347_690n, nsecAsStored: 0x1002d062d14bean },
      'realtime-coarse': { seconds: 1_795_347_690n, nsecAsStored: 268_619_874n },
      'monotonic-coarse': { seconds: 2_466n, nsecAsStored: 524_161_226n },
    });
  });

  // By hand: seconds * 10^9 + floor((nsec as stored + cycles * 6462414) / 2^24).
  test.each([
    [0n, 1_795_347_690_268_619_874n, 2_466_524_161_226n, 2_466_272_635_814n],
    [1n, 1_795_347_690_268_619_875n, 2_466_524_161_227n, 2_466_272_635_814n],
    [1_000_000n, 1_795_347_690_269_005_064n, 2_466_524_546_416n, 2_466_273_021_004n],
    [1n << 41n, 1_795_348_537_310_147_682n, 3_313_565_689_034n, 3_313_314_163_622n],
    [0x256becde448n, 1_795_348_680_819_710_457n, 3_457_075_251_809n, 3_456_823_726_396n],
    [0x256becde449n, 1_795_348_680_819_710_457n, 3_457_075_251_809n, 3_456_823_726_397n],
    [1n << 61n, 2_683_535_107_331_421_282n, 888_189_883_586_962_634n, 888_189_883_335_437_222n],
    [-1n, 1_795_347_690_268_619_874n, 2_466_524_161_226n, 2_466_272_635_814n],
  ])('%s cycles after its base realtime is %s ns', (delta, realtime, monotonic, raw) => {
    const at = (clock: (typeof PAGE_CLOCKS)[number]): bigint =>
      evaluate(kernelSegment(page, clock), page.main.cycleLast + delta);
    expect([at('realtime'), at('tai'), at('monotonic'), at('boottime'), at('monotonic-raw')]).toEqual([
      realtime,
      realtime,
      monotonic,
      monotonic,
      raw,
    ]);
    expect(at('monotonic-coarse')).toBe(2_466_524_161_226n);
  });
});
