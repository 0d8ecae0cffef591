import type { MemoryModel } from '../../lib/hazards/explored/model.ts';
import {
  type CellVerdict,
  type HazardName,
  MATRIX_READERS,
  type MatrixReader,
} from '../../lib/hazards/model.ts';
import type { STEPPED_HAZARDS } from '../../lib/hazards/stepped.ts';
import { CLOCK_PAGE_OFFSETS } from '../../lib/page/clock-page.ts';
import { KEEPS_LATER, nextTwoWindowCount } from '../../lib/page/protocols/two-window-writer.ts';
import { wrapU64 } from '../../lib/units.ts';
import {
  change,
  compute,
  decide,
  drop,
  elsewhere,
  insertAfter,
  inTurn,
  move,
  type NamedRegisters,
  type ProgramChange,
} from './program-edits.ts';

/** The same fault in the compiled code. */
export interface NativeFault {
  /** Below native/core. */
  readonly file: string;
  /** What stands there, exactly once, and what stands there instead. */
  readonly changes: readonly (readonly [find: string, replace: string])[];
}

/**
 * What stepping finds of a mutant: its verdict where the sound one has a better one; or nothing, and why. `order`: only the
 * order of accesses is broken, and one instruction at a time has none but that of the program.
 */
export type SteppedFault =
  | {
      readonly hazard: (typeof STEPPED_HAZARDS)[number];
      readonly variant: string;
      readonly verdict: CellVerdict;
    }
  | { readonly blind: 'order' | 'not compiled'; readonly why: string };

/** A reader, or a writer, that was broken on purpose. */
export interface Mutant {
  readonly id: string;
  readonly what: string;
  readonly side: 'reader' | 'writer';
  readonly reader: MatrixReader;
  readonly steps: ProgramChange;
  /** Where exploring finds it, under the strongest of the memory models that show it. */
  readonly explored: {
    readonly hazard: HazardName;
    readonly variant: string;
    readonly model: MemoryModel;
    readonly updates: number;
    readonly verdict: CellVerdict;
  };
  /** Null where what is broken is not of our compiled code. */
  readonly native: NativeFault | null;
  readonly stepped: SteppedFault;
}

function readerOf(protocol: MatrixReader['protocol'], generation = false): MatrixReader {
  const found = MATRIX_READERS.find((one) => one.protocol === protocol && one.generation === generation);
  if (found === undefined) throw new RangeError(`there is no ${protocol}`);
  return found;
}

const SEQLOCK = readerOf('seqlock');
const TAGGED_SEQLOCK = readerOf('seqlock', true);
const LATCH = readerOf('latch');
const LATCH_WINDOW = readerOf('latch-window');
const TAGGED_LATCH_WINDOW = readerOf('latch-window', true);
const TWO_WINDOW = readerOf('two-window');
const TAGGED_TWO_WINDOW = readerOf('two-window', true);

function explored(
  hazard: HazardName,
  verdict: CellVerdict,
  more: { model?: MemoryModel; updates?: number; variant?: string } = {},
): Mutant['explored'] {
  return { hazard, verdict, variant: 'main', model: 'sc', updates: 2, ...more };
}

function stepped(
  hazard: (typeof STEPPED_HAZARDS)[number],
  verdict: CellVerdict,
  variant = 'main',
): SteppedFault {
  return { hazard, verdict, variant };
}

const ORDER_ONLY: SteppedFault = {
  blind: 'order',
  why: 'x86 keeps this order without an instruction',
};
const NOT_OURS = (who: string): SteppedFault => ({ blind: 'not compiled', why: who });

const FENCE_NOTE = 'the copy is loaded before the count again';
const RECHECK = 'load the count again';
const ACQUIRE_FENCE = 'std::atomic_thread_fence(std::memory_order_acquire);';
const RELEASE_FENCE = 'std::atomic_thread_fence(std::memory_order_release);';
const COUNT_CHANGED = 'LoadWord(page, clock_page::kCountAt) != count';
const STORED_BEHIND_LATCH = `  StoreCopy(page, (count & 1) ^ 1, image, pause);
  // Release: the copy is seen by whoever is sent to it.
  StoreWord(page, clock_page::kCountAt, count + 1, std::memory_order_release);
  pause();
`;
const ONLY_KEPT = `  StoreWord(page, clock_page::kCountAt, count, std::memory_order_release);
  pause();
  // Release fence, with the acquire fence of the readers: whoever sees a store into the copy sees that count.
`;

/** True if the counter is outside the window of the copy loaded last. */
const isOutside = ({ cycles, base, maxDelta }: NamedRegisters): boolean => wrapU64(cycles - base) >= maxDelta;
const isOnly = ({ seen }: NamedRegisters): boolean => (seen & 2n) !== 0n;
const otherCount = ({ seen }: NamedRegisters) => ({ seen: seen ^ 1n });

const READERS: readonly Omit<Mutant, 'side'>[] = [
  {
    id: 'seqlock-count-relaxed',
    what: 'the first load of the count is no acquire',
    reader: SEQLOCK,
    steps: change('load', 'load the count', () => ({ order: 'relaxed' })),
    explored: explored('update', 'unsafe', { model: 'weak' }),
    native: {
      file: 'readers/seqlock.h',
      changes: [['page.Count(std::memory_order_acquire)', 'page.Count(std::memory_order_relaxed)']],
    },
    stepped: ORDER_ONLY,
  },
  {
    id: 'seqlock-no-fence',
    what: 'no fence before the count is loaded again',
    reader: SEQLOCK,
    steps: drop(FENCE_NOTE),
    explored: explored('update', 'unsafe', { model: 'weak' }),
    native: { file: 'readers/seqlock.h', changes: [[ACQUIRE_FENCE, '']] },
    stepped: ORDER_ONLY,
  },
  {
    id: 'latch-no-fence',
    what: 'no fence before the count is loaded again',
    reader: LATCH,
    steps: drop(FENCE_NOTE),
    explored: explored('update', 'unsafe', { model: 'weak' }),
    native: { file: 'readers/latch.h', changes: [[ACQUIRE_FENCE, '']] },
    stepped: ORDER_ONLY,
  },
  {
    id: 'two-window-no-fence',
    what: 'no fence before the count is loaded again',
    reader: TWO_WINDOW,
    steps: drop(FENCE_NOTE),
    explored: explored('update', 'unsafe', { model: 'weak' }),
    native: { file: 'readers/two_window.h', changes: [[ACQUIRE_FENCE, '']] },
    stepped: ORDER_ONLY,
  },
  {
    id: 'latch-counter-unfenced',
    what: 'the counter is read without the fence before it',
    reader: LATCH,
    steps: change('counter', 'read the counter', () => ({ fenced: false })),
    explored: explored('update', 'unsafe', { model: 'tso' }),
    native: {
      file: 'readers/reading.h',
      changes: [
        ['uint64_t Read() const { return FencedRdtsc(); }', 'uint64_t Read() const { return Rdtsc(); }'],
      ],
    },
    stepped: { blind: 'order', why: 'one instruction at a time, each is complete before the next' },
  },
  {
    id: 'seqlock-no-recheck',
    what: 'the count is loaded again and not compared',
    reader: SEQLOCK,
    steps: decide('the count is the same', () => true),
    explored: explored('update', 'unsafe'),
    native: {
      file: 'readers/seqlock.h',
      changes: [['page.Count(std::memory_order_relaxed) == count', 'true']],
    },
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'seqlock-odd-believed',
    what: 'an odd count is not waited for',
    reader: SEQLOCK,
    steps: decide('a writer writes', () => false),
    explored: explored('update', 'unsafe'),
    native: { file: 'readers/seqlock.h', changes: [['(count & 1) != 0', 'false']] },
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'seqlock-recheck-without-low-bit',
    what: 'the lowest bit is left out where the counts are compared',
    reader: SEQLOCK,
    steps: decide('the count is the same', ({ seen, recount }) => seen >> 1n === recount >> 1n),
    explored: explored('update', 'unsafe'),
    native: {
      file: 'readers/seqlock.h',
      changes: [
        [
          'page.Count(std::memory_order_relaxed) == count',
          '(page.Count(std::memory_order_relaxed) | 1) == (count | 1)',
        ],
      ],
    },
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'seqlock-generation-behind-count',
    what: 'the generation is loaded after the count, and not before',
    reader: TAGGED_SEQLOCK,
    steps: inTurn(
      drop('load the generation'),
      insertAfter('load the count', {
        kind: 'load',
        note: 'load the generation, late',
        at: () => CLOCK_PAGE_OFFSETS.generation,
        bytes: 8,
        order: 'acquire',
        into: 'generation',
      }),
    ),
    explored: explored('migration-different', 'unsafe', { variant: 'behind' }),
    native: {
      file: 'readers/seqlock.h',
      changes: [
        [
          '      [[gnu::always_inline]] void Begin() const { reading->generation = generation.Load(); }\n',
          '',
        ],
        [
          '      [[gnu::always_inline]] void Take() const {\n        LoadCopy<kWords',
          '      [[gnu::always_inline]] void Take() const {\n        reading->generation = generation.Load();\n        LoadCopy<kWords',
        ],
      ],
    },
    stepped: stepped('migration-different', 'unsafe', 'behind'),
  },
  {
    id: 'latch-no-recheck',
    what: 'the count is loaded again and not compared',
    reader: LATCH,
    steps: decide('the count is the same', () => true),
    explored: explored('update', 'unsafe'),
    native: { file: 'readers/latch.h', changes: [[COUNT_CHANGED, 'false']] },
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'latch-recheck-of-parity',
    what: 'of the counts only the lowest bits are compared',
    reader: LATCH,
    steps: decide('the count is the same', ({ seen, recount }) => (seen & 1n) === (recount & 1n)),
    explored: explored('update', 'unsafe'),
    native: {
      file: 'readers/latch.h',
      changes: [[COUNT_CHANGED, '((LoadWord(page, clock_page::kCountAt) ^ count) & 1) != 0']],
    },
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'latch-recheck-before-counter',
    what: 'the counter is read after the count was loaded again',
    reader: LATCH,
    steps: move('read the counter', 'after', RECHECK),
    explored: explored('adjust-held', 'unsafe'),
    native: {
      file: 'readers/latch.h',
      changes: [
        ['      reading->cycles = counter.Read();\n', ''],
        ['reading->count = count;', 'reading->count = count;\n      reading->cycles = counter.Read();'],
      ],
    },
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'latch-wrong-copy',
    what: 'the copy of the other parity is read',
    reader: LATCH,
    steps: elsewhere(/ of the chosen copy$/, otherCount),
    explored: explored('update', 'unsafe'),
    native: { file: 'readers/latch.h', changes: [['(page, slot, count & 1,', '(page, slot, ~count & 1,']] },
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'latch-window-recheck-before-last-word',
    what: 'the last word is loaded after the count was loaded again',
    reader: LATCH_WINDOW,
    steps: move('load whole of the chosen copy', 'after', RECHECK),
    explored: explored('update', 'unsafe'),
    native: {
      file: 'readers/latch_window.h',
      changes: [
        [
          'reading->count = count;',
          'reading->count = count;\n      reading->words.whole = LoadWord(page + CopyAt(count & 1), slot.whole);',
        ],
      ],
    },
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'latch-window-mult-of-other-copy',
    what: "the mult is the other copy's",
    reader: LATCH_WINDOW,
    steps: elsewhere(/^load mult of the chosen copy$/, otherCount),
    explored: explored('update', 'unsafe'),
    native: {
      file: 'readers/latch_window.h',
      changes: [
        [
          '      reading->cycles = counter.Read();\n',
          '      reading->words.mult = LoadWord(page + CopyAt(~count & 1), slot.group);\n      reading->cycles = counter.Read();\n',
        ],
      ],
    },
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'latch-window-end-included',
    what: 'the window is taken for one cycle longer than it is',
    reader: LATCH_WINDOW,
    steps: decide(
      'the counter is outside the window',
      ({ cycles, base, maxDelta }) => wrapU64(cycles - base) > maxDelta,
    ),
    explored: explored('window-expired', 'unsafe'),
    native: {
      file: 'readers/latch_window.h',
      changes: [['delta >= reading->words.max_delta', 'delta > reading->words.max_delta']],
    },
    stepped: stepped('window-expired', 'unsafe'),
  },
  {
    id: 'latch-window-signed',
    what: 'the window is compared with a signed difference',
    reader: LATCH_WINDOW,
    steps: decide(
      'the counter is outside the window',
      ({ cycles, base, maxDelta }) => BigInt.asIntN(64, cycles - base) >= maxDelta,
    ),
    explored: explored('counter-behind', 'unsafe'),
    native: {
      file: 'readers/latch_window.h',
      changes: [
        [
          'delta >= reading->words.max_delta',
          'static_cast<int64_t>(delta) >= static_cast<int64_t>(reading->words.max_delta)',
        ],
      ],
    },
    stepped: stepped('counter-behind', 'unsafe'),
  },
  {
    id: 'latch-window-no-window',
    what: 'the window is not looked at',
    reader: LATCH_WINDOW,
    steps: decide('the counter is outside the window', () => false),
    explored: explored('window-expired', 'unsafe'),
    native: { file: 'readers/latch_window.h', changes: [['delta >= reading->words.max_delta', 'false']] },
    stepped: stepped('window-expired', 'unsafe'),
  },
  {
    id: 'latch-window-generation-once',
    what: 'the generation is loaded once, before the copy',
    reader: TAGGED_LATCH_WINDOW,
    steps: decide('the generation is another', ({ generation, tag }) => generation !== tag),
    explored: explored('migration-own-page', 'unsafe'),
    native: {
      file: 'readers/reading.h',
      changes: [['(before == words.tag) & (LoadWord(source_, 0) == words.tag)', 'before == words.tag']],
    },
    stepped: stepped('migration-own-page', 'unsafe'),
  },
  {
    id: 'latch-window-generation-late',
    what: 'the first load of the generation is behind the copy and the counter',
    reader: TAGGED_LATCH_WINDOW,
    steps: move('load the generation', 'after', 'read the counter'),
    explored: explored('migration-equal', 'unsafe'),
    native: {
      file: 'readers/latch_window.h',
      changes: [
        ['      reading->generation = generation.Load();\n', ''],
        [
          '      reading->cycles = counter.Read();\n',
          '      reading->cycles = counter.Read();\n      reading->generation = generation.Load();\n',
        ],
      ],
    },
    stepped: stepped('migration-equal', 'unsafe'),
  },
  {
    id: 'latch-window-generation-before-ignored',
    what: 'the generation loaded before the copy is not compared with the tag',
    reader: TAGGED_LATCH_WINDOW,
    steps: decide('the generation is another', ({ generationAfter, tag }) => generationAfter !== tag),
    explored: explored('migration-equal', 'unsafe'),
    native: {
      file: 'readers/reading.h',
      changes: [
        ['(before == words.tag) & (LoadWord(source_, 0) == words.tag)', 'LoadWord(source_, 0) == words.tag'],
      ],
    },
    stepped: stepped('migration-equal', 'unsafe'),
  },
  {
    id: 'two-window-generation-against-itself',
    what: 'the generation is compared with the one before, and not with the tag',
    reader: TAGGED_TWO_WINDOW,
    steps: decide(
      'the generation is another',
      ({ generation, generationAfter }) => generationAfter !== generation,
    ),
    explored: explored('migration-own-page', 'unsafe'),
    native: {
      file: 'readers/reading.h',
      changes: [
        ['(before == words.tag) & (LoadWord(source_, 0) == words.tag)', 'LoadWord(source_, 0) == before'],
      ],
    },
    stepped: stepped('migration-own-page', 'unsafe'),
  },
  {
    id: 'two-window-only-ignored',
    what: 'the other copy is tried although the count says `only`',
    reader: TWO_WINDOW,
    steps: decide('no other copy is wanted', (r) => !isOutside(r)),
    explored: explored('update', 'unsafe'),
    native: { file: 'readers/two_window.h', changes: [[' && (count & 2) == 0', '']] },
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'two-window-other-believed',
    what: 'where the first copy does not hold the other one does: its window is not looked at',
    reader: TWO_WINDOW,
    steps: decide('the counter is outside the window', (r) => isOutside(r) && isOnly(r)),
    explored: explored('update', 'unsafe'),
    native: {
      file: 'readers/two_window.h',
      changes: [
        [
          'if (__builtin_expect(delta >= reading->words.max_delta, 0))',
          'if (delta >= reading->words.max_delta && (count & 2) != 0)',
        ],
      ],
    },
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'two-window-tag-of-first',
    what: 'the tag of the other copy is not loaded, and that of the first is believed for it',
    reader: TAGGED_TWO_WINDOW,
    steps: drop('load tag of the other copy'),
    explored: explored('migration-own-page', 'unsafe', { variant: 'both offered', updates: 1 }),
    native: null,
    stepped: NOT_OURS('no copy of the stepper ends while one of an older generation is offered behind it'),
  },
  {
    id: 'two-window-mult-of-first',
    what: 'the value at the other copy is computed with the mult of the first',
    reader: TWO_WINDOW,
    steps: elsewhere(/^load mult of the other copy$/, otherCount),
    explored: explored('update', 'unsafe'),
    native: {
      file: 'readers/two_window.h',
      changes: [
        [
          'LoadCopy<true, kTag>(page, slot, first ^ 1, &reading->words);',
          'const uint64_t mult = reading->words.mult;\n        LoadCopy<true, kTag>(page, slot, first ^ 1, &reading->words);\n        reading->words.mult = mult;',
        ],
      ],
    },
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'two-window-base-of-first',
    what: 'the counter at the other copy is taken from the base of the first',
    reader: TWO_WINDOW,
    steps: elsewhere(/^load base of the other copy$/, otherCount),
    explored: explored('counter-behind', 'unsafe', { variant: 'both offered' }),
    native: {
      file: 'readers/two_window.h',
      changes: [
        [
          'LoadCopy<true, kTag>(page, slot, first ^ 1, &reading->words);',
          'const uint64_t base = reading->words.base;\n        LoadCopy<true, kTag>(page, slot, first ^ 1, &reading->words);\n        reading->words.base = base;',
        ],
      ],
    },
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'two-window-window-of-first',
    what: 'the window of the other copy is as long as that of the first',
    reader: TWO_WINDOW,
    steps: elsewhere(/^load maxDelta of the other copy$/, otherCount),
    explored: explored('window-expired', 'unsafe', { variant: 'both offered' }),
    native: {
      file: 'readers/two_window.h',
      changes: [
        [
          'LoadCopy<true, kTag>(page, slot, first ^ 1, &reading->words);',
          'const uint64_t max_delta = reading->words.max_delta;\n        LoadCopy<true, kTag>(page, slot, first ^ 1, &reading->words);\n        reading->words.max_delta = max_delta;',
        ],
      ],
    },
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'two-window-always-first-copy',
    what: 'copy 0 is tried first, whatever the count names',
    reader: TWO_WINDOW,
    steps: inTurn(
      elsewhere(/ of the first copy$/, () => ({ seen: 0n })),
      elsewhere(/ of the other copy$/, () => ({ seen: 0n })),
    ),
    explored: explored('update', 'unsafe'),
    native: {
      file: 'readers/two_window.h',
      changes: [['const uint64_t first = count & 1;', 'const uint64_t first = 0;']],
    },
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'two-window-recheck-of-low-bits',
    what: 'of the counts only the two lowest bits are compared',
    reader: TWO_WINDOW,
    steps: decide('the count is the same', ({ seen, recount }) => (seen & 3n) === (recount & 3n)),
    explored: explored('update', 'unsafe', { updates: 3 }),
    native: {
      file: 'readers/two_window.h',
      changes: [[COUNT_CHANGED, '((LoadWord(page, clock_page::kCountAt) ^ count) & 3) != 0']],
    },
    stepped: stepped('update', 'unsafe'),
  },
];

const WRITER_FILE = 'clock_page_writer.h';

function inWriter(...changes: NativeFault['changes']): NativeFault {
  return { file: WRITER_FILE, changes };
}

const WRITERS: readonly Omit<Mutant, 'side'>[] = [
  {
    id: 'seqlock-writer-no-fence',
    what: 'no fence behind the odd count',
    reader: SEQLOCK,
    steps: drop('the odd count is seen before what follows'),
    explored: explored('update', 'unsafe', { model: 'weak' }),
    native: inWriter(['std::atomic_thread_fence(std::memory_order_seq_cst);', '']),
    stepped: {
      blind: 'order',
      why: 'its stores are made one by one in the order of the program',
    },
  },
  {
    id: 'seqlock-writer-release-fence',
    what: 'the fence behind the odd count orders stores only, and not the change of the counter',
    reader: SEQLOCK,
    steps: change('fence', 'the odd count is seen before what follows', () => ({ order: 'release' })),
    explored: explored('adjust-held', 'unsafe', { model: 'tso' }),
    native: inWriter(['std::atomic_thread_fence(std::memory_order_seq_cst);', RELEASE_FENCE]),
    stepped: {
      blind: 'order',
      why: 'its stores are made one by one in the order of the program',
    },
  },
  {
    id: 'seqlock-writer-even-count-relaxed',
    what: 'the even count is no release',
    reader: SEQLOCK,
    steps: change('store', 'store the even count', () => ({ order: 'relaxed' })),
    explored: explored('update', 'unsafe', { model: 'weak' }),
    native: inWriter(['odd + 1, std::memory_order_release', 'odd + 1, std::memory_order_relaxed']),
    stepped: ORDER_ONLY,
  },
  {
    id: 'seqlock-writer-no-odd-count',
    what: 'the odd count is not stored',
    reader: SEQLOCK,
    steps: drop('store the odd count'),
    explored: explored('update', 'unsafe'),
    native: inWriter(['  StoreWord(page, clock_page::kCountAt, odd);\n  pause();\n', '']),
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'seqlock-writer-even-count-early',
    what: 'the even count is stored before the words',
    reader: SEQLOCK,
    steps: inTurn(
      move('choose the even count', 'before', 'store base'),
      move('store the even count', 'before', 'store base'),
    ),
    explored: explored('update', 'unsafe'),
    native: inWriter([
      `  StoreCopy(page, 0, image(), pause);
  // Release: the copy is seen by whoever sees the even count.
  StoreWord(page, clock_page::kCountAt, odd + 1, std::memory_order_release);
  pause();
`,
      `  StoreWord(page, clock_page::kCountAt, odd + 1, std::memory_order_release);
  pause();
  StoreCopy(page, 0, image(), pause);
`,
    ]),
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'seqlock-writer-counter-before',
    what: 'the counter is read before the odd count is stored',
    reader: SEQLOCK,
    steps: move('read the counter', 'before', 'load the count'),
    explored: explored('update', 'lags'),
    native: inWriter(
      [
        '  StoreWord(page, clock_page::kCountAt, odd);\n',
        '  const CopyImage early = image();\n  StoreWord(page, clock_page::kCountAt, odd);\n',
      ],
      ['StoreCopy(page, 0, image(), pause);', 'StoreCopy(page, 0, early, pause);'],
    ),
    stepped: stepped('update', 'lags'),
  },
  {
    id: 'seqlock-writer-adds-one',
    what: 'one is added to the count found, also where a dead writer left it odd',
    reader: SEQLOCK,
    steps: compute('choose the odd count', ({ found }) => ({ count: wrapU64(found + 1n) })),
    explored: explored('writer-restarted', 'unsafe'),
    native: inWriter(['(found & 1) != 0 ? found + 2 : found + 1', 'found + 1']),
    stepped: stepped('writer-restarted', 'unsafe'),
  },
  {
    id: 'seqlock-writer-base-early',
    what: 'the new segment starts a tick before the counter that was read',
    reader: SEQLOCK,
    steps: insertAfter('read the counter', {
      kind: 'compute',
      note: 'start a tick early',
      set: (r) => ({ cycles: wrapU64((r as NamedRegisters).cycles - 1n) }),
    }),
    explored: explored('update', 'lags'),
    native: null,
    stepped: NOT_OURS('the base is chosen by the caller of the compiled writer'),
  },
  {
    id: 'latch-writer-no-fence',
    what: 'no fence between the last flip and the words',
    reader: LATCH,
    steps: drop('the last flip is seen before a store into the copy'),
    explored: explored('update', 'unsafe', { model: 'weak' }),
    native: inWriter([
      `${RELEASE_FENCE}\n  StoreCopy(page, (count & 1) ^ 1, image, pause);`,
      'StoreCopy(page, (count & 1) ^ 1, image, pause);',
    ]),
    stepped: ORDER_ONLY,
  },
  {
    id: 'latch-writer-flip-relaxed',
    what: 'the flip is no release',
    reader: LATCH,
    steps: change('store', 'flip the count', () => ({ order: 'relaxed' })),
    explored: explored('update', 'unsafe', { model: 'weak' }),
    native: inWriter(['count + 1, std::memory_order_release', 'count + 1, std::memory_order_relaxed']),
    stepped: ORDER_ONLY,
  },
  {
    id: 'latch-writer-flip-early',
    what: 'the count is flipped before the words are stored',
    reader: LATCH,
    steps: inTurn(
      move('choose the count', 'before', 'store base'),
      move('flip the count', 'before', 'store base'),
    ),
    explored: explored('update', 'unsafe'),
    native: inWriter([
      STORED_BEHIND_LATCH,
      `  StoreWord(page, clock_page::kCountAt, count + 1, std::memory_order_release);
  pause();
  StoreCopy(page, (count & 1) ^ 1, image, pause);
`,
    ]),
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'latch-writer-wrong-copy',
    what: 'the copy that readers are sent to is written',
    reader: LATCH,
    steps: elsewhere(/^store /, ({ found }) => ({ found: found ^ 1n })),
    explored: explored('update', 'unsafe'),
    native: inWriter([
      'StoreCopy(page, (count & 1) ^ 1, image, pause);',
      'StoreCopy(page, count & 1, image, pause);',
    ]),
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'latch-window-writer-generation-late',
    what: 'the generation is loaded after the counter was read',
    reader: TAGGED_LATCH_WINDOW,
    steps: move('load the generation', 'after', 'read the counter'),
    explored: explored('migration-own-page', 'unsafe'),
    native: null,
    stepped: NOT_OURS('both are read by the caller of the compiled writer'),
  },
  {
    id: 'two-window-writer-no-fence',
    what: 'no fence between the count that sends readers away and the words',
    reader: TWO_WINDOW,
    steps: drop('that count is seen before a store into the copy'),
    explored: explored('update', 'unsafe', { model: 'weak' }),
    native: inWriter([
      `${RELEASE_FENCE}\n  StoreCopy(page, keep ^ 1, image, pause);`,
      'StoreCopy(page, keep ^ 1, image, pause);',
    ]),
    stepped: ORDER_ONLY,
  },
  {
    id: 'two-window-writer-readers-stay',
    what: 'readers are not sent away from the copy that is written',
    reader: TWO_WINDOW,
    steps: drop('store the count: only the kept copy'),
    explored: explored('update', 'unsafe'),
    native: inWriter([ONLY_KEPT, '']),
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'two-window-writer-keeps-wrong-copy',
    what: 'readers are sent to the copy that is written',
    reader: TWO_WINDOW,
    steps: compute('send readers to the kept copy', ({ found, keep }) => ({
      count: nextTwoWindowCount(found, true, keep === 0n ? 1 : 0),
    })),
    explored: explored('update', 'unsafe'),
    native: inWriter(['NextTwoWindowCount(count, true, keep)', 'NextTwoWindowCount(count, true, keep ^ 1)']),
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'two-window-writer-offers-early',
    what: 'the new copy is offered before its words are stored',
    reader: TWO_WINDOW,
    steps: inTurn(
      move('offer the new copy', 'before', 'store base'),
      move('store the count: both copies', 'before', 'store base'),
    ),
    explored: explored('update', 'unsafe'),
    native: inWriter(
      ['  StoreCopy(page, keep ^ 1, image, pause);\n', ''],
      [
        `  // Release: the copy is seen by whoever is sent to it.
  StoreWord(page, clock_page::kCountAt, count, std::memory_order_release);
  pause();
`,
        `  StoreWord(page, clock_page::kCountAt, count, std::memory_order_release);
  pause();
  StoreCopy(page, keep ^ 1, image, pause);
`,
      ],
    ),
    stepped: stepped('update', 'unsafe'),
  },
  {
    id: 'two-window-writer-tags-ignored',
    what: 'a new writer keeps the copy that starts later, whatever generation it is of',
    reader: TAGGED_TWO_WINDOW,
    steps: compute(KEEPS_LATER, ({ keep, keptBase, otherBase }) =>
      BigInt.asIntN(64, otherBase - keptBase) > 0n ? { keep: 1n - keep } : {},
    ),
    explored: explored('writer-killed-after-migration', 'lags'),
    native: inWriter([
      'page[clock_page::kGenerationSourceAt] == clock_page::kGenerationInPage && tag(0) != tag(1)',
      'false && tag(0) != tag(1)',
    ]),
    stepped: stepped('writer-killed-after-migration', 'lags'),
  },
  {
    id: 'two-window-writer-count-comes-back',
    what: 'the number above the two low bits is not moved on',
    reader: TWO_WINDOW,
    steps: inTurn(
      compute('send readers to the kept copy', ({ found, keep }) => ({
        count: (found & ~3n) | 2n | keep,
      })),
      compute('offer the new copy', ({ count, keep }) => ({ count: (count & ~3n) | keep })),
    ),
    explored: explored('update', 'unsafe', { updates: 3 }),
    native: inWriter(['(((count >> 2) + 1) << 2)', '((count >> 2) << 2)']),
    stepped: stepped('update', 'unsafe'),
  },
];

/** Readers and writers that were broken on purpose, over all protocols that are sound. */
export const MUTANTS: readonly Mutant[] = [
  ...READERS.map((mutant): Mutant => ({ ...mutant, side: 'reader' })),
  ...WRITERS.map((mutant): Mutant => ({ ...mutant, side: 'writer' })),
];
