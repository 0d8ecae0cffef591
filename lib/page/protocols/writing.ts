import {
  CLOCK_PAGE_OFFSETS,
  COPY_OFFSETS,
  COPY_WORDS,
  type CopyImage,
  type CopyNumber,
} from '../clock-page.js';
import { assemble, type Item, type Program, type Registers } from '../steps.js';
import { itemsOf } from './items.js';

/**
 * Registers of a writer: the counter that it read, the generation that it loaded before, the count found and the one
 * it stored last, the copy that it keeps, and the bases and tags of that one and of the other.
 */
export type WriterRegister =
  | 'generation'
  | 'cycles'
  | 'found'
  | 'count'
  | 'keep'
  | 'keptBase'
  | 'otherBase'
  | 'keptTag'
  | 'otherTag';

export type WriterProgram = Program<WriterRegister, 'done'>;
export type WriterItem = Item<WriterRegister, 'done'>;

/** What a writer of any protocol is told. */
export interface WriterOptions {
  /**
   * What to publish, by the writer's own reading of the counter, the generation loaded before it, and, of two windows, the
   * copy that it keeps. Pure.
   */
  readonly image: (cycles: bigint, generation: bigint, kept: CopyNumber) => CopyImage;
  /** Address of the generation; without it none is loaded, and the image is told 0. */
  readonly generationAt?: number;
}

const { load, store, counter } = itemsOf<WriterRegister>();

export function assembleWriter(name: string, items: readonly WriterItem[]): WriterProgram {
  const initial: Registers<WriterRegister> = {
    generation: 0n,
    cycles: 0n,
    found: 0n,
    count: 0n,
    keep: 0n,
    keptBase: 0n,
    otherBase: 0n,
    keptTag: 0n,
    otherTag: 0n,
  };
  return assemble<WriterRegister, 'done'>(name, initial, [
    ...items,
    { kind: 'end', note: 'published', end: 'done' },
  ]);
}

/** Loads the generation, then reads the counter: a generation that changes between makes the tag an old one. */
export function readForImage(options: WriterOptions): WriterItem[] {
  return [
    ...(options.generationAt === undefined
      ? []
      : [load('load the generation', options.generationAt, 'generation', 'acquire')]),
    counter('read the counter', 'cycles', true),
  ];
}

/** Loads the count, which only this writer changes. */
export function loadFound(): WriterItem[] {
  return [load('load the count', CLOCK_PAGE_OFFSETS.count, 'found')];
}

/** The copy that a writer of two windows keeps. */
export function keptCopy({ keep }: Registers<WriterRegister>): CopyNumber {
  return keep === 0n ? 0 : 1;
}

/** Stores the image into a copy, word by word, relaxed. */
export function storeCopy(
  options: WriterOptions,
  choose: (registers: Registers<WriterRegister>) => CopyNumber,
): WriterItem[] {
  return COPY_WORDS.map(({ field, value }) =>
    store(
      `store ${field}`,
      (r) => COPY_OFFSETS[choose(r)][field],
      (r) => value(options.image(r.cycles, r.generation, keptCopy(r))),
    ),
  );
}
