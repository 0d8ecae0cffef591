import { COPY_OFFSETS, COPY_WORDS, type CopyNumber } from '../../page/clock-page.js';
import { fence, itemsOf } from '../../page/protocols/items.js';
import { KEEPS_LATER } from '../../page/protocols/two-window-writer.js';
import {
  assembleWriter,
  loadFound,
  readForImage,
  type WriterRegister,
} from '../../page/protocols/writing.js';
import type { Program, Registers } from '../../page/steps.js';
import { wrapU64 } from '../../units.js';
import type { Known, Published, Update } from './scenario.js';
import { COUNT_AT, imageOf, type ProgramEdit, type UpdateChoice, updateOf } from './writers.js';

// Writers that do not repair what they find: what goes wrong then is why ours do.

const { compute, store } = itemsOf<WriterRegister>();

/** A seqlock's writer that adds one to the count that it finds, although a dead one may have left it odd. */
export const naiveSeqlock: ProgramEdit = (program) => ({
  ...(program as unknown as Program),
  steps: (program as unknown as Program).steps.map((step) =>
    step.kind === 'compute' && step.note === 'choose the odd count'
      ? { ...step, set: ({ found }: Registers) => ({ count: wrapU64((found as bigint) + 1n) }) }
      : step,
  ),
});

/** A two-window writer that keeps the copy which starts later, whatever generation it is of. */
export const ignoresTags: ProgramEdit = (program) => ({
  ...(program as unknown as Program),
  steps: (program as unknown as Program).steps.map((step) =>
    step.kind === 'compute' && step.note === KEEPS_LATER
      ? {
          ...step,
          set: ({ keep, keptBase, otherBase }: Registers) =>
            BigInt.asIntN(64, (otherBase as bigint) - (keptBase as bigint)) > 0n
              ? { keep: 1n - (keep as bigint) }
              : {},
        }
      : step,
  ),
});

/** The copy whose window has a counter; of none or of both the one that was published last. */
function copyAt({ latest, copies }: Known, cycles: bigint): Published {
  return copies.find(({ base, maxDelta }) => wrapU64(cycles - base) < maxDelta) ?? latest;
}

/**
 * An update by a two-window writer that keeps the copy whose window has the counter, although time goes on until readers
 * are sent to it, and goes on from there.
 */
export function keepsByCounter(
  known: Known,
  next: (kept: Published) => Published,
  choice: UpdateChoice,
): Update {
  const edit: ProgramEdit = (program) => ({
    ...(program as unknown as Program),
    steps: (program as unknown as Program).steps.map((step) =>
      step.kind === 'compute' && step.note === KEEPS_LATER
        ? {
            ...step,
            set: ({ cycles }: Registers) => ({
              keep: BigInt(known.copies.indexOf(copyAt(known, cycles as bigint))),
            }),
          }
        : step,
    ),
  });
  const segmentAt = (cycles: bigint): Published => next(copyAt(known, cycles));
  return updateOf('two-window', known, segmentAt, { ...choice, overlap: false }, 0, edit);
}

/** An update of the kernel's latch: a flip, the first copy, another flip, the second copy. */
export function kernelLatchUpdate(
  known: Known,
  segmentAt: (cycles: bigint) => Published,
  choice: UpdateChoice,
): Update {
  const image = (registers: Registers) =>
    imageOf(segmentAt(registers['cycles'] as bigint), registers['generation'] as bigint);
  const flip = (note: string) => [
    fence('release', 'what was stored is seen before the flip'),
    compute('choose the count', ({ count }) => ({ count: wrapU64(count + 1n) })),
    store(note, COUNT_AT, ({ count }) => count),
    fence('release', 'the flip is seen before a store into the copy'),
  ];
  const copy = (number: CopyNumber) =>
    COPY_WORDS.map(({ field, value }) =>
      store(`store ${field} of copy ${number}`, COPY_OFFSETS[number][field], (r) => value(image(r))),
    );
  const program = assembleWriter('kernel latch writer', [
    ...readForImage({
      image: (cycles, generation) => imageOf(segmentAt(cycles), generation),
      ...(choice.generationAt === undefined ? {} : { generationAt: choice.generationAt }),
    }),
    ...loadFound(),
    compute('go on from the count', ({ found }) => ({ count: found })),
    ...flip('flip: readers to the second copy'),
    ...copy(0),
    ...flip('flip: readers to the first copy'),
    ...copy(1),
  ]);
  return {
    program: program as unknown as Program,
    earliestTick: 0,
    offers: (count, registers) =>
      (count & 1n) === 1n ? [known.copies[1]] : [segmentAt(registers['cycles'] as bigint)],
    known: (registers) => {
      const latest = segmentAt(registers['cycles'] as bigint);
      return { latest, copies: [latest, latest] };
    },
  };
}
