import { CLOCK_IDS, isCoarse, type PageClockName } from './posix-clocks.js';

/** Where the words of one of the kernel's clock structures lie, bytes from the page's start. */
export interface KernelClockOffsets {
  readonly seq: number;
  readonly mode: number;
  readonly cycleLast: number;
  /** Null on kernels whose arithmetic knows no such limit (before 6.10). */
  readonly maxCycles: number | null;
  readonly mask: number | null;
  readonly mult: number;
  readonly shift: number;
  /** `basetime[0]`: 16 bytes a clock id, seconds and then nanoseconds. */
  readonly basetime: number;
}

/**
 * The layout of the kernel's clock data page. It is no ABI: a layout is a guess until it has been proved against
 * the clocks (`host/prove-layout.ts`).
 */
export interface KernelPageLayout {
  /** What the layout is called in evidence, such as `vdso_clock` or `linux-6.12`. */
  readonly name: string;
  readonly source: 'btf' | 'table';
  /** The structure that it was read from, or the table's. */
  readonly struct: string;
  /** All clocks but the raw one. */
  readonly main: KernelClockOffsets;
  /** The copy that holds monotonic-raw. */
  readonly raw: KernelClockOffsets;
  readonly hrtimerRes: number;
}

const BASETIME_BYTES = 16;

const WORD_BYTES: Readonly<Record<keyof KernelClockOffsets, number>> = {
  seq: 4,
  mode: 4,
  cycleLast: 8,
  maxCycles: 8,
  mask: 8,
  mult: 4,
  shift: 4,
  basetime: BASETIME_BYTES * (CLOCK_IDS.tai + 1),
};

/** How far into the page the words of `layout` reach, bytes. */
export function layoutBytes(layout: KernelPageLayout): number {
  const ends = [layout.main, layout.raw].flatMap((at) =>
    (Object.keys(WORD_BYTES) as (keyof KernelClockOffsets)[]).map(
      (field) => (at[field] ?? 0) + WORD_BYTES[field],
    ),
  );
  return Math.max(...ends, layout.hrtimerRes + 4);
}

/** The copy of the clock structure that holds `clock`. */
export function clockOffsets(layout: KernelPageLayout, clock: PageClockName): KernelClockOffsets {
  return clock === 'monotonic-raw' ? layout.raw : layout.main;
}

/** Where the base time of `clock` lies: 8 bytes of seconds, then 8 of nanoseconds, scaled unless it is coarse. */
export function basetimeOffsets(
  layout: KernelPageLayout,
  clock: PageClockName,
): { seconds: number; nanoseconds: number; scaled: boolean } {
  const seconds = clockOffsets(layout, clock).basetime + BASETIME_BYTES * CLOCK_IDS[clock];
  return { seconds, nanoseconds: seconds + 8, scaled: !isCoarse(clock) };
}

/** The words of a clock structure in their order, each at its natural alignment. */
function offsetsAt(start: number, hasMaxCycles: boolean): KernelClockOffsets {
  const mask = hasMaxCycles ? 24 : 16;
  return {
    seq: start,
    mode: start + 4,
    cycleLast: start + 8,
    maxCycles: hasMaxCycles ? start + 16 : null,
    mask: start + mask,
    mult: start + mask + 8,
    shift: start + mask + 12,
    basetime: start + mask + 16,
  };
}

interface TableRow {
  kernels: string;
  struct: string;
  start: number;
  hasMaxCycles: boolean;
  rawCopy: number;
  hrtimerRes: number;
}

// Read off kernels with readable BTF; the names are the first and last release line seen with each layout.
const TABLE: readonly TableRow[] = [
  {
    kernels: 'linux-5.4..6.6',
    struct: 'vdso_data',
    start: 128,
    hasMaxCycles: false,
    rawCopy: 368,
    hrtimerRes: 360,
  },
  {
    kernels: 'linux-6.12',
    struct: 'vdso_data',
    start: 128,
    hasMaxCycles: true,
    rawCopy: 376,
    hrtimerRes: 368,
  },
  {
    kernels: 'linux-6.13..6.14',
    struct: 'vdso_data',
    start: 0,
    hasMaxCycles: true,
    rawCopy: 248,
    hrtimerRes: 240,
  },
  {
    kernels: 'linux-6.15',
    struct: 'vdso_clock',
    start: 0,
    hasMaxCycles: true,
    rawCopy: 232,
    hrtimerRes: 472,
  },
  {
    kernels: 'linux-6.18..7.2',
    struct: 'vdso_clock',
    start: 0,
    hasMaxCycles: true,
    rawCopy: 232,
    hrtimerRes: 2328,
  },
];

/** The layouts known without BTF, oldest kernel first. */
export const KNOWN_LAYOUTS: readonly KernelPageLayout[] = TABLE.map((row) => ({
  name: row.kernels,
  source: 'table',
  struct: row.struct,
  main: offsetsAt(row.start, row.hasMaxCycles),
  raw: offsetsAt(row.rawCopy, row.hasMaxCycles),
  hrtimerRes: row.hrtimerRes,
}));

/** Differences between two layouts, one line each, such as `main.mult: 32 in btf, 24 in linux-6.12`. */
export function compareLayouts(a: KernelPageLayout, b: KernelPageLayout): string[] {
  const differences: string[] = [];
  const note = (field: string, inA: number | null, inB: number | null): void => {
    if (inA !== inB)
      differences.push(`${field}: ${inA ?? 'none'} in ${a.name}, ${inB ?? 'none'} in ${b.name}`);
  };
  for (const copy of ['main', 'raw'] as const) {
    for (const field of Object.keys(a[copy]) as (keyof KernelClockOffsets)[]) {
      note(`${copy}.${field}`, a[copy][field], b[copy][field]);
    }
  }
  note('hrtimerRes', a.hrtimerRes, b.hrtimerRes);
  return differences;
}
