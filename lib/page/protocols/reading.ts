import { wrapU64 } from '../../units.js';
import {
  CLOCK_GROUPS,
  CLOCK_PAGE_OFFSETS,
  COPY_OFFSETS,
  type CopyField,
  type CopyNumber,
  isWritten,
  type OwnClockName,
} from '../clock-page.js';
import {
  assemble,
  type EndStep,
  type Item,
  jump,
  type Label,
  label,
  type Program,
  type Registers,
  type StepRun,
} from '../steps.js';
import { clampedCycles, nanosecondsAt, type ReaderArithmetic } from './arithmetic.js';
import { fence, itemsOf } from './items.js';

/**
 * How a read ended. Only `value` returns one.
 *
 * | end | meaning |
 * |---|---|
 * | `out-of-window` | a consistent copy, but the counter is in no window of it |
 * | `retries` | the bound ran out: a writer stopped half-way, or published all the while |
 * | `disrupted` | the copy was computed for another generation of the counter |
 * | `unpublished` | a mult of zero, or no mark of a writer: nothing was published yet, or the page's file was cut short |
 * | `unusable` | VMClock and pvclock: the page says of itself that it is not to be read |
 */
export type ReadEnd = 'value' | 'out-of-window' | 'retries' | 'disrupted' | 'unpublished' | 'unusable';

/**
 * Whether the generation is looked at: not; before the copy and after the counter, both against the copy's tag; or,
 * for the record and unsafe, against itself.
 */
export type ReaderGeneration = 'none' | 'tagged' | 'untagged';

/** What a reader of our page is made for. */
export interface ReaderOptions {
  readonly clock: OwnClockName;
  readonly generation: ReaderGeneration;
  readonly arithmetic: ReaderArithmetic;
  /** Address of the generation, by default the page's own word. */
  readonly generationAt?: number;
  /** Copies thrown away at the most; 2^16 by default. Not for `seqlock`. */
  readonly mostTries?: number;
  /** Copies thrown away and waits for the writer at the most, for `seqlock`; 2^16 by default. */
  readonly mostSpins?: number;
  /** What `ns` holds where a reader leaves without a value, nanoseconds; 0 by default. */
  readonly initialNs?: bigint;
  /** False lets the counter's reading move across loads; true by default. */
  readonly counterFenced?: boolean;
}

/** The bound on tries, and on spins, of a reader that names none. */
export const DEFAULT_MOST_TRIES = 2 ** 16;

/**
 * Registers of a reader of our page. `seen` is the count that chose the copy, `recount` the second load of it, and
 * `count` the one accepted; `ns` is signed.
 */
export type ReaderRegister =
  | 'generation'
  | 'seen'
  | 'base'
  | 'maxDelta'
  | 'tag'
  | 'mult'
  | 'fraction'
  | 'shift'
  | 'whole'
  | 'cycles'
  | 'recount'
  | 'generationAfter'
  | 'count'
  | 'ns'
  | 'tries'
  | 'retries';

export type ReaderProgram = Program<ReaderRegister, ReadEnd>;
export type ReaderItem = Item<ReaderRegister, ReadEnd>;

/** What a reader of our page came to. */
export interface ReaderOutcome {
  readonly end: ReadEnd;
  /** Nanoseconds, signed 64 bits: of `value` only; otherwise what it held before. */
  readonly ns: bigint;
  /** The last reading of the counter. */
  readonly cycles: bigint;
  /** The count of the copy that was accepted; 0 where none was. */
  readonly count: bigint;
  /** The generation before the copy; 0 where none is asked for. */
  readonly generation: bigint;
  /** Copies thrown away. */
  readonly retries: bigint;
}

export function outcomeOf({ end, registers }: StepRun<ReaderRegister, ReadEnd>): ReaderOutcome {
  const { ns, cycles, count, generation, retries } = registers;
  return { end, ns, cycles, count, generation, retries };
}

const { load, counter, compute, branch } = itemsOf<ReaderRegister>();

/** Makes a reader of its steps; each register starts at zero but `ns`. */
export function assembleReader(
  protocol: string,
  options: ReaderOptions,
  items: readonly ReaderItem[],
): ReaderProgram {
  const initial: Registers<ReaderRegister> = {
    generation: 0n,
    seen: 0n,
    base: 0n,
    maxDelta: 0n,
    tag: 0n,
    mult: 0n,
    fraction: 0n,
    shift: 0n,
    whole: 0n,
    cycles: 0n,
    recount: 0n,
    generationAfter: 0n,
    count: 0n,
    ns: options.initialNs ?? 0n,
    tries: 0n,
    retries: 0n,
  };
  return assemble(`${protocol} reader`, initial, items);
}

/** Loads the generation before the first load of a copy, if it is asked for. */
export function loadGeneration(options: ReaderOptions): ReaderItem[] {
  if (options.generation === 'none') return [];
  const at = options.generationAt ?? CLOCK_PAGE_OFFSETS.generation;
  return [load('load the generation', at, 'generation', 'acquire')];
}

/** Loads the count that chooses the copy. */
export function loadCount(): ReaderItem[] {
  return [load('load the count', CLOCK_PAGE_OFFSETS.count, 'seen', 'acquire')];
}

/** Loads the words of the copy that `choose` names: its window's end if `window`, its tag if the reader is tagged. */
export function loadCopy(
  options: ReaderOptions,
  which: string,
  choose: (registers: Registers<ReaderRegister>) => CopyNumber,
  window: boolean,
): ReaderItem[] {
  const group = CLOCK_GROUPS[options.clock];
  const one = (into: ReaderRegister, field: CopyField): ReaderItem =>
    load(`load ${into} of ${which}`, (r) => COPY_OFFSETS[choose(r)][field], into);
  return [
    one('base', 'base'),
    ...(window ? [one('maxDelta', 'maxDelta')] : []),
    ...(options.generation === 'tagged' ? [one('tag', 'tag')] : []),
    one('mult', `${group}.mult`),
    one('fraction', `${group}.fraction`),
    one('shift', `${group}.shift`),
    one('whole', `${options.clock}.whole`),
  ];
}

/** The copy that the count's lowest bit names. */
export function chosenCopy({ seen }: Registers<ReaderRegister>): CopyNumber {
  return (seen & 1n) === 0n ? 0 : 1;
}

export function readCounter(options: ReaderOptions): ReaderItem[] {
  return [counter('read the counter', 'cycles', options.counterFenced ?? true)];
}

/** Loads the count again, after everything above. */
export function loadCountAgain(): ReaderItem[] {
  return [
    fence('acquire', 'the copy is loaded before the count again'),
    load('load the count again', CLOCK_PAGE_OFFSETS.count, 'recount'),
  ];
}

/** A try of a reader that retries while the count changes under it; goes on when the copy is consistent. */
export function retryLoop(options: ReaderOptions, body: readonly ReaderItem[]): ReaderItem[] {
  const mostTries = BigInt(options.mostTries ?? DEFAULT_MOST_TRIES);
  return [
    label('again'),
    branch('give up after too many tries', 'retries', ({ retries }) => retries >= mostTries),
    ...body,
    ...loadCountAgain(),
    branch('the count is the same', 'same', ({ seen, recount }) => seen === recount),
    compute('throw the copy away', throwAway),
    jump('again', 'try again'),
    label('same'),
    compute('accept the copy', ({ seen }) => ({ count: seen })),
  ];
}

/** One copy more thrown away. What it held is cleared, so that states with the same future are the same. */
function throwAway({ retries }: Registers<ReaderRegister>): Partial<Registers<ReaderRegister>> {
  return {
    retries: retries + 1n,
    seen: 0n,
    recount: 0n,
    base: 0n,
    maxDelta: 0n,
    tag: 0n,
    mult: 0n,
    fraction: 0n,
    shift: 0n,
    whole: 0n,
  };
}

/** Refuses a copy of another generation, if generations are looked at. */
export function judgeGeneration(options: ReaderOptions): ReaderItem[] {
  if (options.generation === 'none') return [];
  const tagged = options.generation === 'tagged';
  const at = options.generationAt ?? CLOCK_PAGE_OFFSETS.generation;
  return [
    load('load the generation again', at, 'generationAfter'),
    branch('the generation is another', 'disrupted', (r) =>
      tagged ? r.generation !== r.tag || r.generationAfter !== r.tag : r.generationAfter !== r.generation,
    ),
  ];
}

/** True if the counter is outside the window of the copy loaded last. */
export function isOutside({ cycles, base, maxDelta }: Registers<ReaderRegister>): boolean {
  return wrapU64(cycles - base) >= maxDelta;
}

export function judgeWindow(): ReaderItem[] {
  return [branch('the counter is outside the window', 'out-of-window', isOutside)];
}

/** Computes the value without asking anything; a reader without a window clamps the counter to the base first. */
export function computeValue(options: ReaderOptions, clamp: boolean): ReaderItem {
  const { arithmetic } = options;
  return compute('compute the value', (r) => ({
    ns: nanosecondsAt(arithmetic, clamp ? clampedCycles(r.cycles, r.base) : r.cycles, r),
  }));
}

/** The last steps of every sound reader: the value, unless nothing was published. */
export function returnValue(options: ReaderOptions, clamp: boolean): ReaderItem[] {
  return [
    branch('nothing was published', 'unpublished', ({ mult, shift }) => mult === 0n || !isWritten(shift)),
    computeValue(options, clamp),
    { kind: 'end', note: 'return the value', end: 'value' },
    ...refusals(),
  ];
}

/** The ends without a value that a reader comes to, each behind a label of its name. */
export function refusals(third: 'disrupted' | 'unusable' = 'disrupted'): (Label | EndStep<ReadEnd>)[] {
  const ends = ['out-of-window', third, 'unpublished', 'retries'] as const;
  return ends.flatMap((end) => [label(end), { kind: 'end', note: `refuse: ${end}`, end } as const]);
}
