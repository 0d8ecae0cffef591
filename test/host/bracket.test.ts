import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BracketRow, BracketTotals, readingSegment, recomputeRow } from '../../lib/host/bracket.ts';
import { findKernelPage, pageClock } from '../../lib/host/kernel-page.ts';
import type { PageClock, ReadingSourceName } from '../../lib/native/addon.ts';
import { KNOWN_LAYOUTS } from '../../lib/page/kernel-layout.ts';
import { CLOCK_IDS, PAGE_CLOCKS } from '../../lib/page/posix-clocks.ts';
import { evaluate } from '../../lib/page/segment.ts';
import { type SimulatedHostOptions, simulatedHost } from '../support/simulated-host.ts';

const CLOCK: PageClock = {
  address: 0n,
  seq: 0,
  mode: 4,
  cycleLast: 8,
  maxCycles: 16,
  mult: 32,
  shift: 36,
  seconds: 56,
  nanoseconds: 64,
  coarse: false,
  namespaceNs: 0n,
};

/** 100 cycles at 0.5 ns after 7 s and 6 / 2 ns. */
const READING = {
  cycles: 1_100n,
  cycleLast: 1_000n,
  mult: 1n,
  shift: 1,
  seconds: 7n,
  scaledNs: 6n,
  maxCycles: 1n << 40n,
  ns: 7_000_000_053n,
};

function row(parts: Partial<BracketRow> = {}): BracketRow {
  return {
    verdict: 'inside',
    counterBefore: 1_000n,
    outerFirstNs: 7_000_000_000n,
    innerNs: 7_000_000_053n,
    outerSecondNs: 7_000_000_100n,
    counterAfter: 1_200n,
    seqBefore: 2n,
    seqAfter: 2n,
    readings: [READING],
    ...parts,
  };
}

describe('judging a row again', () => {
  test('finds nothing where the native loop was right', () => {
    expect(recomputeRow(row(), CLOCK)).toBeNull();
    expect(recomputeRow(row({ readings: [] }), null)).toBeNull();
    const outer = row({ readings: [READING, READING], outerFirstNs: READING.ns, outerSecondNs: READING.ns });
    expect(recomputeRow(outer, CLOCK)).toBeNull();
  });

  test('finds a value that is off by a nanosecond', () => {
    const wrong = row({ innerNs: 7_000_000_054n, readings: [{ ...READING, ns: 7_000_000_054n }] });
    expect(recomputeRow(wrong, CLOCK)).toBe('native value 7000000054 ns, exact value 7000000053 ns');
    const second = row({
      outerFirstNs: READING.ns,
      outerSecondNs: READING.ns - 1n,
      readings: [READING, { ...READING, ns: READING.ns - 1n }],
    });
    expect(recomputeRow(second, CLOCK)).toContain('native value 7000000052');
  });

  test('finds a value that was not the one judged', () => {
    const message = 'a value from the page was not the one judged';
    expect(recomputeRow(row({ innerNs: 7_000_000_052n }), CLOCK)).toBe(message);
    const outer = { outerFirstNs: READING.ns, outerSecondNs: READING.ns, readings: [READING, READING] };
    expect(recomputeRow(row({ ...outer, outerSecondNs: READING.ns + 5n }), CLOCK)).toBe(message);
    expect(recomputeRow(row({ ...outer, outerFirstNs: READING.ns - 5n }), CLOCK)).toBe(message);
  });

  test('the ends of the bracket are inside; a nanosecond beyond is not', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -5n, max: 5n }),
        fc.bigInt({ min: -5n, max: 5n }),
        fc.bigInt({ min: -5n, max: 5n }),
        fc.constantFrom('inside', 'below', 'above'),
        (outerFirstNs, innerNs, outerSecondNs, verdict) => {
          const isBelow = outerFirstNs - innerNs > 0n;
          const isAbove = innerNs - outerSecondNs > 0n;
          const wanted = isBelow ? 'below' : isAbove ? 'above' : 'inside';
          const sample = row({ outerFirstNs, innerNs, outerSecondNs, verdict, readings: [] });
          expect(recomputeRow(sample, null)).toBe(
            verdict === wanted ? null : `native verdict ${verdict}, exact verdict ${wanted}`,
          );
        },
      ),
    );
  });
});

describe('the segment of a reading', () => {
  test('is wide with max_cycles, narrow without', () => {
    expect(readingSegment(READING, CLOCK)).toMatchObject({
      outOfWindow: 'clamp-wide',
      maxDelta: (1n << 40n) + 1n,
      wholeNs: 7_000_000_000n,
    });
    expect(readingSegment(READING, { ...CLOCK, maxCycles: null })).toMatchObject({
      outOfWindow: 'clamp-narrow',
      maxDelta: 1n << 64n,
    });
  });

  test('counts the offset of the namespace', () => {
    expect(readingSegment(READING, { ...CLOCK, namespaceNs: -9n }).wholeNs).toBe(6_999_999_991n);
  });

  test('of a coarse clock is plain nanoseconds whatever the counter', () => {
    const coarse = { ...READING, cycles: 0n, cycleLast: 0n, mult: 0n, shift: 0, maxCycles: 0n };
    const segment = readingSegment(coarse, { ...CLOCK, coarse: true, maxCycles: null });
    expect([0n, 5n, (1n << 64n) - 1n].map((cycles) => evaluate(segment, cycles))).toEqual(
      new Array(3).fill(7_000_000_006n),
    );
  });
});

function totals(
  options: SimulatedHostOptions,
  outer: ReadingSourceName,
  inner: ReadingSourceName,
  clock: (typeof PAGE_CLOCKS)[number] = 'monotonic',
): BracketTotals {
  // The page is found on a sound machine of the same shape: the errors under test are not the finder's.
  const { clockErrorNs: _, ...sound } = options;
  const shape = simulatedHost(sound);
  const page = pageClock(findKernelPage(shape.addon, shape.files), clock);
  return new BracketTotals(simulatedHost(options).addon, { outer, inner, clockId: CLOCK_IDS[clock], page });
}

describe('totals over many loops', () => {
  test.each(KNOWN_LAYOUTS.map((layout) => [layout.name, layout] as const))(
    '%s: every clock of the page lies in its bracket, every row is right again',
    (_, layout) => {
      for (const clock of PAGE_CLOCKS) {
        for (const [outer, inner] of [
          ['syscall', 'page'],
          ['page', 'syscall'],
          ['vdso', 'page'],
          ['libc', 'syscall'],
        ] as const) {
          const sum = totals({ layout }, outer, inner, clock);
          sum.take(100);
          sum.take(50);
          expect(sum).toMatchObject({ samples: 150, outside: 0, worstNs: 0, differing: [], outsideRows: [] });
          expect(sum.recomputed).toBeGreaterThan(50);
        }
      }
    },
  );

  test('keep their sums, the worst of all loops, and the first rows outside', () => {
    let errorNs = 1_000n;
    const clockErrorNs = (path: string): bigint => (path === 'vdso' ? errorNs : 0n);
    const sum = totals({ clockErrorNs }, 'syscall', 'vdso');
    sum.take(10);
    errorNs = -5_000n;
    sum.take(29);
    errorNs = 500n;
    sum.take(1);
    expect(sum).toMatchObject({ samples: 40, outside: 40, outsideAcrossUpdate: 0 });
    expect(sum.worstNs).toBeGreaterThan(4_800);
    expect(sum.worstNs).toBeLessThan(5_000);
    expect(sum.outsideRows).toHaveLength(16);
    expect(sum.outsideRows.map(({ verdict }) => verdict)).toEqual([
      ...new Array(10).fill('above'),
      ...new Array(6).fill('below'),
    ]);
  });

  test('count apart what happened across an update of the page', () => {
    const sum = totals({ updateEveryCycles: 1_000n }, 'syscall', 'page');
    sum.take(200);
    expect(sum.acrossUpdate).toBeGreaterThan(10);
    expect(sum).toMatchObject({ outside: 0, outsideAcrossUpdate: 0, differing: [] });
  });

  test('a median width is that of the rows sampled, 0 before the first', () => {
    const sum = totals({}, 'syscall', 'vdso');
    expect(sum.widthNs).toBe(0);
    sum.take(64);
    // Two readings of 100 cycles each at 0.385 ns.
    expect(sum.widthNs).toBeGreaterThanOrEqual(77);
    expect(sum.widthNs).toBeLessThanOrEqual(78);
  });

  test('a sample costs at most one row in so many: 64 rows of a long loop', () => {
    const sum = totals({}, 'syscall', 'vdso');
    sum.take(640);
    expect(sum.recomputed).toBe(64);
  });

  test('a native verdict that is wrong is reported', () => {
    const sum = totals({}, 'syscall', 'vdso');
    const { addon } = sum;
    const lying: BracketTotals = new BracketTotals(
      {
        ...addon,
        bracket: (...request) => {
          const tally = addon.bracket(...request);
          // Call the first row above its bracket.
          request[6][0] = 2n;
          return tally;
        },
      },
      sum.request,
    );
    lying.take(10);
    expect(lying.differing).toEqual(['native verdict above, exact verdict inside']);
  });

  test('what a reading throws goes on to the caller', () => {
    const sum = totals({ missingClocks: ['aux0'] }, 'syscall', 'vdso');
    const broken = new BracketTotals(sum.addon, { ...sum.request, clockId: CLOCK_IDS.aux0 });
    expect(() => broken.take(1)).toThrow(
      expect.objectContaining({ code: 'ERR_SYSTEM_CALL', errno: 'EINVAL' }),
    );
  });
});
