import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  CLOCK_PAGE_OFFSETS,
  type CopyImage,
  type CopyNumber,
  copyImageStores,
  decodeClockCopy,
} from '../../../lib/page/clock-page.ts';
import { latchWriter } from '../../../lib/page/protocols/latch-writer.ts';
import { OWN_READERS, type OwnReaderName } from '../../../lib/page/protocols/readers.ts';
import { outcomeOf, type ReaderOutcome } from '../../../lib/page/protocols/reading.ts';
import { seqlockWriter } from '../../../lib/page/protocols/seqlock-writer.ts';
import { nextTwoWindowCount, twoWindowWriter } from '../../../lib/page/protocols/two-window-writer.ts';
import type { WriterProgram } from '../../../lib/page/protocols/writing.ts';
import { bytesMemory, endOf, perform, runSteps, type StepMemory, startOf } from '../../../lib/page/steps.ts';
import { exactNs, image, options, pageOf, read } from './support.ts';

const AT_COUNT = CLOCK_PAGE_OFFSETS.count;
const NOW = 1_300n;
const OLD = image({ seed: 1n, tag: 5n });
const NEW = image({ seed: 2n, tag: 5n, base: 1_250n });
const THIRD = image({ seed: 3n, tag: 5n, base: 1_280n });
/** Starts where OLD's window ends. */
const NEXT = image({ seed: 2n, tag: 5n, base: 1_500n });

/** A protocol's page with OLD on it, and its writers. */
interface Subject {
  name: string;
  reader: OwnReaderName;
  page: () => Uint8Array;
  /** An update to NEW, or to what takes its place. */
  update: (published: CopyImage) => WriterProgram;
  /** A successor that knows nothing of the update. */
  successor: (published: CopyImage) => WriterProgram;
  published: CopyImage;
  /** Whether readers have a value at every moment of an update. */
  free: boolean;
}

const twoWindow = (
  published: CopyImage,
  overlap: boolean,
  keptFirst: boolean,
  keep: CopyNumber | 'found',
): WriterProgram => twoWindowWriter({ image: () => published, keep, overlap, keptFirst });

const SUBJECTS: readonly Subject[] = [
  {
    name: 'seqlock',
    reader: 'seqlock',
    page: () => pageOf(2n, [OLD, null], 5n),
    update: (published) => seqlockWriter({ image: () => published }),
    successor: (published) => seqlockWriter({ image: () => published }),
    published: NEW,
    free: false,
  },
  ...(['latch', 'latch-window'] as const).map((reader) => ({
    name: reader,
    reader,
    page: () => pageOf(6n, [OLD, image({ seed: 9n, maxDelta: 0n })], 5n),
    update: (published: CopyImage) => latchWriter({ image: () => published }),
    successor: (published: CopyImage) => latchWriter({ image: () => published }),
    published: NEW,
    free: true,
  })),
  ...[true, false].flatMap((keptFirst) =>
    ([0, 1] as const).map((first) => ({
      name: `two-window, the next window after copy ${first}, ${keptFirst ? 'kept' : 'new'} first`,
      reader: 'two-window' as const,
      page: () =>
        pageOf(4n + 2n + BigInt(first), first === 0 ? [OLD, null] : [image({ maxDelta: 0n }), OLD], 5n),
      update: (published: CopyImage) => twoWindow(published, false, keptFirst, first),
      successor: (published: CopyImage) => twoWindow(published, true, false, 'found'),
      published: NEXT,
      free: true,
    })),
  ),
  {
    name: 'two-window, a change at once',
    reader: 'two-window',
    page: () => pageOf(4n, [OLD, image({ base: 500n, seed: 9n })], 5n),
    update: (published) => twoWindow(published, true, false, 'found'),
    successor: (published) => twoWindow(published, true, false, 'found'),
    published: NEW,
    free: true,
  },
];

function readNow(subject: Subject, memory: StepMemory): ReaderOutcome {
  return read(subject.reader, memory, NOW, { generation: 'tagged' });
}

/** The values that a reader may return at NOW: of those images whose window has it, or of any without windows. */
function valuesOf(subject: Subject, images: readonly CopyImage[]): bigint[] {
  const windowed = subject.reader === 'latch-window' || subject.reader === 'two-window';
  return images
    .filter(({ base, maxDelta }) => !windowed || (NOW >= base && NOW < base + maxDelta))
    .map((each) => exactNs(each, 'monotonic', NOW));
}

const without = (outcome: ReaderOutcome): boolean =>
  outcome.end === 'retries' || outcome.end === 'out-of-window';

describe.each(SUBJECTS.map((subject) => [subject.name, subject] as const))('%s: an update', (_, subject) => {
  const update = subject.update(subject.published);
  const values = valuesOf(subject, [OLD, subject.published]);

  test('stopped after any step shows the old value or the new one, or none', () => {
    const memory = bytesMemory(subject.page());
    expect(readNow(subject, memory)).toMatchObject({ end: 'value', ns: exactNs(OLD, 'monotonic', NOW) });
    let state = startOf(update);
    const seen: bigint[] = [];
    while (endOf(update, state) === undefined) {
      state = perform(update, state, memory, () => NOW);
      const outcome = readNow(subject, memory);
      if (subject.free || outcome.end === 'value') {
        expect(outcome.end).toBe('value');
        expect(values).toContain(outcome.ns);
        seen.push(outcome.ns);
      } else expect(without(outcome)).toBe(true);
    }
    // Once new, it stays new.
    expect(seen.toSorted((a, b) => Number(a - b))).toEqual(seen);
    const last = valuesOf(subject, [subject.published]).at(-1) ?? exactNs(OLD, 'monotonic', NOW);
    expect(readNow(subject, memory)).toMatchObject({ end: 'value', ns: last, retries: 0n });
  });

  test('between any two steps of a reader, up to any step, gives the old value or the new one, or none', () => {
    const reader = OWN_READERS[subject.reader](options({ generation: 'tagged' }));
    let returned = 0;
    for (let before = 0; before < 24; before++) {
      for (let steps = 1; steps < update.steps.length; steps++) {
        const memory = bytesMemory(subject.page());
        let reading = startOf(reader);
        for (let i = 0; i < before; i++) reading = perform(reader, reading, memory, () => NOW);
        let writing = startOf(update);
        for (let i = 0; i < steps; i++) writing = perform(update, writing, memory, () => NOW);
        const outcome = outcomeOf(runSteps(reader, memory, () => NOW, { from: reading }));
        if (subject.free || outcome.end === 'value') {
          expect(outcome.end).toBe('value');
          expect(values).toContain(outcome.ns);
          returned++;
        } else expect(without(outcome)).toBe(true);
      }
    }
    expect(returned).toBeGreaterThan(100);
  });

  test('interleaved with a reader step by step, several times over, never tears', () => {
    const reader = OWN_READERS[subject.reader](
      options({ generation: 'tagged', mostTries: 50, mostSpins: 50 }),
    );
    const images = [subject.published, OLD, subject.published];
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(25), fc.nat(45)), { maxLength: 8 }), (schedule) => {
        const memory = bytesMemory(subject.page());
        const writers = images.map((each, number) =>
          number === 0 ? subject.update(each) : subject.successor(each),
        );
        let reading = startOf(reader);
        let writer = 0;
        let writing = startOf(writers[0] as WriterProgram);
        for (const [reads, writes] of schedule) {
          for (let i = 0; i < reads; i++) reading = perform(reader, reading, memory, () => NOW);
          for (let i = 0; i < writes; i++) {
            const program = writers[writer];
            if (program === undefined) break;
            writing = perform(program, writing, memory, () => NOW);
            if (endOf(program, writing) === undefined) continue;
            writer++;
            writing = startOf(program);
          }
        }
        const outcome = outcomeOf(runSteps(reader, memory, () => NOW, { from: reading }));
        if (outcome.end === 'value') expect(values).toContain(outcome.ns);
        else expect(without(outcome)).toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  test('that a writer died in is finished by another, with readers at every step', () => {
    const all = valuesOf(subject, [OLD, subject.published, THIRD]);
    for (let death = 0; death <= update.steps.length; death++) {
      const memory = bytesMemory(subject.page());
      let state = startOf(update);
      for (let i = 0; i < death; i++) state = perform(update, state, memory, () => NOW);
      const successor = subject.successor(THIRD);
      let next = startOf(successor);
      while (endOf(successor, next) === undefined) {
        next = perform(successor, next, memory, () => NOW);
        const outcome = readNow(subject, memory);
        if (outcome.end === 'value') expect(all).toContain(outcome.ns);
        // Of two windows that were offered the later one is kept, where the counter need not be yet.
        else expect(subject.free && subject.reader !== 'two-window' ? outcome : without(outcome)).toBe(true);
      }
      expect(readNow(subject, memory)).toMatchObject({ end: 'value', ns: exactNs(THIRD, 'monotonic', NOW) });
    }
  });
});

/** Every store of a program, in order: address and value. */
function storesOf(
  program: WriterProgram,
  page: Uint8Array,
  counter: () => bigint = () => NOW,
): [number, bigint][] {
  const stores: [number, bigint][] = [];
  const memory = bytesMemory(page);
  const recording: StepMemory = {
    load: memory.load,
    store(at, bytes, value, order) {
      stores.push([at, value]);
      memory.store(at, bytes, value, order);
    },
  };
  runSteps(program, recording, counter);
  return stores;
}

describe('the stores of a writer', () => {
  test('seqlock: an odd count, the first copy, an even count', () => {
    const program = seqlockWriter({ image: () => NEW });
    expect(storesOf(program, pageOf(2n, [OLD, null]))).toEqual([
      [AT_COUNT, 3n],
      ...copyImageStores(0, NEW),
      [AT_COUNT, 4n],
    ]);
    // Two further than a dead writer's odd count.
    expect(storesOf(program, pageOf(3n, [OLD, null]))).toEqual([
      [AT_COUNT, 5n],
      ...copyImageStores(0, NEW),
      [AT_COUNT, 6n],
    ]);
    const last = (1n << 64n) - 1n;
    expect(storesOf(program, pageOf(last, [OLD, null])).filter(([at]) => at === AT_COUNT)).toEqual([
      [AT_COUNT, 1n],
      [AT_COUNT, 2n],
    ]);
  });

  test('latch: the copy that readers are not sent to, then the count', () => {
    const program = latchWriter({ image: () => NEW });
    for (const [count, copy] of [
      [6n, 1],
      [7n, 0],
    ] as const) {
      expect(storesOf(program, pageOf(count, [OLD, OLD]))).toEqual([
        ...copyImageStores(copy, NEW),
        [AT_COUNT, count + 1n],
      ]);
    }
    expect(storesOf(program, pageOf((1n << 64n) - 1n, [OLD, OLD])).at(-1)).toEqual([AT_COUNT, 0n]);
  });

  test('two-window: only the kept copy, the other copy, then what is offered', () => {
    for (const keep of [0, 1] as const) {
      const other = keep === 0 ? 1 : 0;
      const stores = (overlap: boolean, keptFirst: boolean): [number, bigint][] =>
        storesOf(twoWindow(NEW, overlap, keptFirst, keep), pageOf(0x41n, [OLD, OLD]));
      const copy = copyImageStores(other, NEW);
      const only = BigInt(2 + keep);
      expect(stores(false, true)).toEqual([
        [AT_COUNT, 0x44n + only],
        ...copy,
        [AT_COUNT, 0x48n + BigInt(keep)],
      ]);
      expect(stores(false, false)).toEqual([
        [AT_COUNT, 0x44n + only],
        ...copy,
        [AT_COUNT, 0x48n + BigInt(other)],
      ]);
      for (const keptFirst of [true, false]) {
        expect(stores(true, keptFirst)).toEqual([
          [AT_COUNT, 0x44n + only],
          ...copy,
          [AT_COUNT, 0x4an + BigInt(other)],
        ]);
      }
    }
  });

  test('the count of two-window wraps in its upper bits alone', () => {
    expect(nextTwoWindowCount((1n << 64n) - 1n, true, 0)).toBe(2n);
    expect(nextTwoWindowCount(0n, false, 1)).toBe(5n);
  });
});

describe('what a two-window writer keeps', () => {
  const keptBy = (count: bigint, cycles: bigint): number => {
    const page = pageOf(count, [OLD, NEXT]);
    const stores = storesOf(twoWindow(THIRD, true, false, 'found'), page, () => cycles);
    return Number((stores[0]?.[1] ?? 0n) & 1n);
  };

  test('is the only copy offered, whatever the counter', () => {
    for (const cycles of [0n, 1_200n, 1_700n]) {
      expect(keptBy(2n, cycles)).toBe(0);
      expect(keptBy(3n, cycles)).toBe(1);
    }
  });

  test('is the one that starts later, whatever the counter: time goes on until readers are sent to it', () => {
    for (const first of [0n, 1n]) {
      for (const cycles of [999n, 1_000n, 1_499n, 1_500n, 2_000n]) expect(keptBy(first, cycles)).toBe(1);
    }
  });
});

describe('what a writer reads', () => {
  const describing = (cycles: bigint, generation: bigint): CopyImage =>
    image({ base: cycles, tag: generation });

  const order = (program: WriterProgram): string[] =>
    program.steps
      .filter((step) => ['load', 'counter', 'fence'].includes(step.kind))
      .map((step) => (step.kind === 'fence' ? `${step.order} fence` : step.note));

  test('the generation is loaded before the counter, and both go into the image', () => {
    const at = CLOCK_PAGE_OFFSETS.generation;
    const writers = {
      seqlock: seqlockWriter({ image: describing, generationAt: at }),
      latch: latchWriter({ image: describing, generationAt: at }),
      'two-window': twoWindowWriter({
        image: describing,
        generationAt: at,
        keep: 'found',
        overlap: true,
        keptFirst: false,
      }),
    };
    for (const [reader, program] of Object.entries(writers)) {
      const page = pageOf(0n, [OLD, OLD], 8n);
      runSteps(program, bytesMemory(page), () => {
        // The generation changes with the counter, after it was loaded.
        new DataView(page.buffer).setBigUint64(at, 9n, true);
        return 7_000n;
      });
      const copy = reader === 'seqlock' ? 0 : 1;
      expect(decodeClockCopy(page, copy)).toEqual(describing(7_000n, 8n));
      expect(read(reader as OwnReaderName, page, 7_010n, { generation: 'tagged' }).end).toBe('disrupted');
    }
  });

  test('without a source of generations the image is told 0', () => {
    const page = pageOf(0n, [OLD, OLD], 8n);
    runSteps(latchWriter({ image: describing }), bytesMemory(page), () => 7_000n);
    expect(decodeClockCopy(page, 1).tag).toBe(0n);
  });

  test('a seqlock reads the counter inside the write section, after a full fence', () => {
    expect(order(seqlockWriter({ image: () => NEW, generationAt: 0x48 }))).toEqual([
      'load the count',
      'full fence',
      'load the generation',
      'read the counter',
    ]);
    const page = pageOf(2n, [OLD, null]);
    runSteps(seqlockWriter({ image: describing }), bytesMemory(page), () => {
      expect(new DataView(page.buffer).getBigUint64(AT_COUNT, true)).toBe(3n);
      return 7_000n;
    });
  });

  test('or before it, or behind a release fence that does not hold the counter back', () => {
    expect(order(seqlockWriter({ image: () => NEW, counterRead: 'before', fence: 'release' }))).toEqual([
      'read the counter',
      'load the count',
      'release fence',
    ]);
    expect(order(seqlockWriter({ image: () => NEW, fence: 'release' }))).toEqual([
      'load the count',
      'release fence',
      'read the counter',
    ]);
  });
});

describe('a page that is held for a change of the counter', () => {
  const refusing = (parts: Parameters<typeof image>[0]): CopyImage => image({ base: 1_200n, ...parts });

  test.each<[OwnReaderName, WriterProgram, string]>([
    ['latch', latchWriter({ image: () => refusing({ mult: 0n }) }), 'unpublished'],
    ['latch-window', latchWriter({ image: () => refusing({ maxDelta: 0n }) }), 'out-of-window'],
    ['two-window', twoWindow(refusing({ maxDelta: 0n }), true, false, 'found'), 'out-of-window'],
  ])('%s refuses at every counter, also in a read that had begun before', (protocol, hold, end) => {
    const fresh = (): StepMemory => bytesMemory(pageOf(protocol === 'two-window' ? 2n : 0n, [OLD, OLD]));
    const reader = OWN_READERS[protocol](options());
    for (let before = 0; before < 40; before++) {
      const memory = fresh();
      let state = startOf(reader);
      for (let i = 0; i < before; i++) state = perform(reader, state, memory, () => NOW);
      runSteps(hold, memory, () => NOW);
      const outcome = outcomeOf(runSteps(reader, memory, () => 1_400n, { from: state }));
      // A value is of the counter before it was changed; who read it afterwards is refused.
      if (outcome.end === 'value') expect(outcome.cycles).toBe(NOW);
      else expect(outcome.end).toBe(end);
    }
    const memory = fresh();
    runSteps(hold, memory, () => NOW);
    for (const cycles of [0n, 1_200n, 1_250n, 1_400n]) {
      expect(read(protocol, memory, cycles).end).toBe(end);
    }
  });
});
