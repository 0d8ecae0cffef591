import {
  CLOCK_GROUPS,
  CLOCK_PAGE_OFFSETS,
  COPY_OFFSETS,
  type CopyImage,
  type CopyNumber,
  NO_BOUND,
  NO_BOUND_NS,
  OWN_CLOCKS,
  type OwnClockName,
  shiftWordOf,
} from '../../page/clock-page.js';
import { fence, itemsOf } from '../../page/protocols/items.js';
import { latchWriter } from '../../page/protocols/latch-writer.js';
import { seqlockWriter } from '../../page/protocols/seqlock-writer.js';
import { twoWindowWriter } from '../../page/protocols/two-window-writer.js';
import {
  assembleWriter,
  type WriterItem,
  type WriterProgram,
  type WriterRegister,
} from '../../page/protocols/writing.js';
import type { Program, Registers, StoreStep } from '../../page/steps.js';
import { wrapU64 } from '../../units.js';
import { ADJUST_AT, type Known, type Published, type Update, type Writer } from './scenario.js';

/** The clock that is read. */
export const CLOCK: OwnClockName = 'monotonic';

/** The page's protocol, as its writer knows it. */
export type WrittenFor = 'seqlock' | 'latch' | 'two-window';

/** The words of a copy that holds `segment`; the other clocks have the same. */
export function imageOf(segment: Published, tag: bigint): CopyImage {
  const group = { mult: segment.mult, fraction: 0n, shift: 0 };
  const { base, maxDelta, whole } = segment;
  return {
    ...{ base, maxDelta, tag },
    groups: {
      ...{ shared: group, realtime: group, 'smeared-realtime': group, 'monotonic-raw': group },
      bound: NO_BOUND,
    },
    wholes: Object.fromEntries(OWN_CLOCKS.map((clock) => [clock, whole])) as CopyImage['wholes'],
    boundWholeNs: NO_BOUND_NS,
  };
}

/** The words that a reader of {@link CLOCK} can load from a copy, by address. */
export function wordsOf(copy: CopyNumber, segment: Published, tag: bigint): [number, bigint][] {
  const group = CLOCK_GROUPS[CLOCK];
  const at = COPY_OFFSETS[copy];
  return [
    [at.base, segment.base],
    [at.maxDelta, segment.maxDelta],
    [at.tag, tag],
    [at[`${group}.mult`], segment.mult],
    [at[`${group}.fraction`], 0n],
    [at[`${group}.shift`], shiftWordOf(0)],
    [at[`${CLOCK}.whole`], segment.whole],
  ];
}

/** How an update is made, where the protocol leaves a choice. */
export interface UpdateChoice {
  readonly generationAt?: number;
  /** seqlock */
  readonly counterRead?: 'inside' | 'before';
  readonly fence?: 'full' | 'release';
  /** two-window */
  readonly overlap?: boolean;
  /** two-window, where both are offered: whether the kept one is tried first, as ours have it (default). */
  readonly keptFirst?: boolean;
  /** two-window: the copy that a writer keeps; `found` by default. */
  readonly keep?: CopyNumber | 'found';
}

/** The segment to publish, by the counter that its writer read and the segment that it goes on from. */
export type SegmentAt = (cycles: bigint, before: Published) => Published;

/** Changes a program: for programs that are broken on purpose. */
export type ProgramEdit = (program: WriterProgram) => Program;

const SAME: ProgramEdit = (program) => program as unknown as Program;

/** An update of a page, of which it is known what readers find afterwards. */
export function updateOf(
  writtenFor: WrittenFor,
  known: Known,
  segmentAt: SegmentAt,
  choice: UpdateChoice = {},
  earliestTick = 0,
  edit: ProgramEdit = SAME,
): Update {
  // What it goes on from: of two windows the copy that it keeps.
  const before = (kept: CopyNumber): Published =>
    writtenFor === 'two-window' ? known.copies[kept] : known.latest;
  const options = {
    image: (cycles: bigint, generation: bigint, kept: CopyNumber) =>
      imageOf(segmentAt(cycles, before(kept)), generation),
    ...(choice.generationAt === undefined ? {} : { generationAt: choice.generationAt }),
  };
  const segmentOf = (registers: Registers): Published =>
    segmentAt(registers['cycles'] as bigint, before(registers['keep'] === 0n ? 0 : 1));
  switch (writtenFor) {
    case 'seqlock': {
      const program = seqlockWriter({
        ...options,
        ...(choice.counterRead === undefined ? {} : { counterRead: choice.counterRead }),
        ...(choice.fence === undefined ? {} : { fence: choice.fence }),
      });
      return {
        program: edit(program),
        earliestTick,
        offers: (count, registers) => ((count & 1n) === 0n ? [segmentOf(registers)] : null),
        known: (registers) => {
          const latest = segmentOf(registers);
          return { latest, copies: [latest, known.copies[1]] };
        },
      };
    }
    case 'latch':
      return {
        program: edit(latchWriter(options)),
        earliestTick,
        offers: (_, registers) => [segmentOf(registers)],
        known: (registers) => {
          const latest = segmentOf(registers);
          const inFirst = ((registers['count'] as bigint) & 1n) === 0n;
          return { latest, copies: inFirst ? [latest, known.copies[1]] : [known.copies[0], latest] };
        },
      };
    case 'two-window': {
      const overlap = choice.overlap ?? true;
      const program = twoWindowWriter({
        ...options,
        keep: choice.keep ?? 'found',
        overlap,
        keptFirst: choice.keptFirst ?? !overlap,
      });
      const kept = (registers: Registers): CopyNumber => (registers['keep'] === 0n ? 0 : 1);
      return {
        program: edit(program),
        earliestTick,
        offers: (count, registers) => {
          const keep = kept(registers);
          const keptSegment = known.copies[keep];
          const isOnly = (count & 2n) !== 0n;
          if (!isOnly) return [keptSegment, segmentOf(registers)];
          return Number(count & 1n) === keep ? [keptSegment] : [segmentOf(registers)];
        },
        known: (registers) => {
          const latest = segmentOf(registers);
          return {
            latest,
            copies: kept(registers) === 1 ? [latest, known.copies[1]] : [known.copies[0], latest],
          };
        },
      };
    }
  }
}

const { store } = itemsOf<WriterRegister>();

/** Moves the counter on all CPUs. */
export const ADJUST_STEP: StoreStep = store(
  'write TSC_ADJUST: the counter jumps',
  ADJUST_AT,
  () => 0n,
) as unknown as StoreStep;

/** Moves the counter on all CPUs, once all that was stored before is seen, if `fenced`. */
export function adjustment(known: Known, fenced: boolean): Update {
  const program = assembleWriter('adjustment', [
    ...(fenced ? [fence('full', 'all that was stored is seen before the counter moves')] : []),
    ADJUST_STEP as unknown as WriterItem,
  ]);
  return {
    program: program as unknown as Program,
    earliestTick: 0,
    offers: () => null,
    known: () => known,
  };
}

/** Makes the updates of a list, one after the other. */
export function inTurn(updates: readonly ((known: Known) => Update)[]): Writer {
  return { next: (done, known) => updates[done]?.(known) ?? null };
}

/** A segment that refuses whatever the counter is, to hold readers back. */
export function refusing(segment: Published, hasWindow: boolean): Published {
  return hasWindow ? { ...segment, maxDelta: 0n } : { ...segment, mult: 0n };
}

/** The segment that starts at `cycles` where `before` is then, with another rate. */
export function continued(before: Published, base: bigint, mult: bigint, maxDelta: bigint): Published {
  return {
    ...{ base, maxDelta, mult, epoch: before.epoch },
    whole: before.whole + wrapU64(base - before.base) * before.mult,
  };
}

export const COUNT_AT = CLOCK_PAGE_OFFSETS.count;
export const GENERATION_AT = CLOCK_PAGE_OFFSETS.generation;
