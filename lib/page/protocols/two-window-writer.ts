import { wrapU64 } from '../../units.js';
import { CLOCK_PAGE_OFFSETS, COPY_OFFSETS, type CopyNumber } from '../clock-page.js';
import { label, type Registers } from '../steps.js';
import { fence, itemsOf } from './items.js';
import {
  assembleWriter,
  keptCopy,
  loadFound,
  readForImage,
  storeCopy,
  type WriterItem,
  type WriterOptions,
  type WriterProgram,
  type WriterRegister,
} from './writing.js';

export interface TwoWindowWriterOptions extends WriterOptions {
  /**
   * The copy that stays. `found`: the only one offered, else the one of the generation that the writer has loaded, and if
   * both are, or neither, the one that starts later: as a writer needs that does not know what others published.
   */
  readonly keep: CopyNumber | 'found';
  /**
   * False: the two windows are disjoint, and both are offered. True: a change at once, inside the kept copy's window;
   * only the new copy is offered, and readers whose counter is behind its base have to wait.
   */
  readonly overlap: boolean;
  /** Where both are offered: whether the kept one is tried first. */
  readonly keptFirst: boolean;
}

const { load, compute, branch, store } = itemsOf<WriterRegister>();

/** The step that chooses between two copies on offer. */
export const KEEPS_LATER = 'keep the one that starts later';

/**
 * The count that follows `count`: bits 0 and 1 as readers take them, above them a number that every store moves on,
 * modulo 2^64.
 */
export function nextTwoWindowCount(count: bigint, only: boolean, first: CopyNumber): bigint {
  return wrapU64((((count >> 2n) + 1n) << 2n) | (only ? 2n : 0n) | BigInt(first));
}

function replaced(registers: Registers<WriterRegister>): CopyNumber {
  return keptCopy(registers) === 0 ? 1 : 0;
}

function loadTags(): WriterItem[] {
  return [
    load('load the tag of the first copy', (r) => COPY_OFFSETS[keptCopy(r)].tag, 'keptTag'),
    load('load the tag of the other copy', (r) => COPY_OFFSETS[replaced(r)].tag, 'otherTag'),
  ];
}

/** Of a counter that was moved down, the copy of before starts later. */
function isOtherLater(r: Registers<WriterRegister>, looksAtTags: boolean): boolean {
  const isOther = [r.keptTag, r.otherTag].filter((tag) => tag === r.generation).length === 1;
  if (looksAtTags && isOther) return r.otherTag === r.generation;
  return BigInt.asIntN(64, r.otherBase - r.keptBase) > 0n;
}

function findKept({ generationAt }: WriterOptions): WriterItem[] {
  const looksAtTags = generationAt !== undefined;
  return [
    ...loadFound(),
    compute('keep the first copy', ({ found }) => ({ keep: found & 1n })),
    branch('no other copy is offered', 'kept', ({ found }) => (found & 2n) !== 0n),
    ...(looksAtTags ? loadTags() : []),
    load('load the base of the first copy', (r) => COPY_OFFSETS[keptCopy(r)].base, 'keptBase'),
    load('load the base of the other copy', (r) => COPY_OFFSETS[replaced(r)].base, 'otherBase'),
    // Not the one whose window has the counter: time goes on until readers are sent to it.
    compute(KEEPS_LATER, (r) => (isOtherLater(r, looksAtTags) ? { keep: BigInt(replaced(r)) } : {})),
    label('kept'),
  ];
}

/** An update of a `two-window` page. Takes over from a writer that died anywhere in one, if it keeps what it finds. */
export function twoWindowWriter(options: TwoWindowWriterOptions): WriterProgram {
  const { keep, overlap, keptFirst } = options;
  const at = CLOCK_PAGE_OFFSETS.count;
  return assembleWriter('two-window writer', [
    ...readForImage(options),
    ...(keep === 'found' ? findKept(options) : [compute('keep a copy', () => ({ keep: BigInt(keep) }))]),
    ...loadFound(),
    compute('send readers to the kept copy', (r) => ({
      count: nextTwoWindowCount(r.found, true, keptCopy(r)),
    })),
    store('store the count: only the kept copy', at, ({ count }) => count, 'release'),
    fence('release', 'that count is seen before a store into the copy'),
    ...storeCopy(options, replaced),
    compute('offer the new copy', (r) => ({
      count: nextTwoWindowCount(r.count, overlap, !overlap && keptFirst ? keptCopy(r) : replaced(r)),
    })),
    store(
      overlap ? 'store the count: only the new copy' : 'store the count: both copies',
      at,
      ({ count }) => count,
      'release',
    ),
  ]);
}
