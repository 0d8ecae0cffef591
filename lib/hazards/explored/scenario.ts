import type { Program, Registers } from '../../page/steps.js';

/** A segment that a writer published: `whole + (cycles - base) * mult` nanoseconds, for the counter of one epoch. */
export interface Published {
  readonly base: bigint;
  readonly maxDelta: bigint;
  readonly mult: bigint;
  readonly whole: bigint;
  /** Which meaning of the counter it was computed for: 0 until it jumps or the guest migrates, then 1. */
  readonly epoch: number;
}

/** What a writer knows of the page when it starts an update. */
export interface Known {
  /** What it published last. */
  readonly latest: Published;
  /** What each copy holds of what was published whole. */
  readonly copies: readonly [Published, Published];
}

/** One update by a writer. */
export interface Update {
  readonly program: Program;
  /** Earliest counter at which the writer reads it, ticks of the epoch: it waits for its turn. */
  readonly earliestTick: number;
  /** What readers are sent to once the count is `count`; null where the store changes nothing about that. */
  offers(count: bigint, registers: Registers): readonly Published[] | null;
  /** What the writer knows afterwards. */
  known(registers: Registers): Known;
}

/** Somebody who updates the page. */
export interface Writer {
  /** The update after `done` of them; null when there is no more. */
  next(done: number, known: Known): Update | null;
}

/** Something that happens to the world at one instant, between any two steps. */
export interface WorldEvent {
  readonly note: string;
  /** The counter's meaning changes: the next epoch starts at its origin. The reader's CPU is interrupted. */
  readonly newEpoch?: true;
  /** Words that change with it, given the ones that are there. */
  words?(load: (at: number) => bigint): ReadonlyMap<number, bigint>;
  /** What is current from then on. */
  readonly current?: readonly Published[];
  /** The writer stops here for ever; or another takes its place. */
  readonly writer?: 'stops' | 'is replaced';
}

/** A reader in a world in which something can go wrong. */
export interface Scenario {
  /** Distinguishes scenarios of one cell: `main` first. */
  readonly variant: string;
  /** What the variant is, for people. */
  readonly about: string;
  /** The rule that readers rely on and that is broken here, if one is. */
  readonly brokenRule: string | null;
  readonly reader: Program;
  readonly writer: Writer | null;
  readonly successor: Writer | null;
  /** In this order, each once or not at all. */
  readonly events: readonly WorldEvent[];
  /** The counter at tick 0 of each epoch, cycles; it stays a tick a cycle. */
  readonly origins: readonly bigint[];
  /** Last tick of an epoch that is looked at. */
  readonly lastTick: number;
  /** The words at the start, by address; those that change are in `shared`. */
  readonly words: ReadonlyMap<number, bigint>;
  readonly shared: ReadonlySet<number>;
  readonly known: Known;
  readonly current: readonly Published[];
  /** What the count is kept modulo: all ones, but where it is to come back. */
  readonly countMask: bigint;
  /**
   * Whether a second read is made after the first. Without it nothing is lost where all segments of an epoch lie on one line:
   * then values that are right are one function of the counter, and the second read's counter is the later one.
   */
  readonly ordered: boolean;
  /** Whether the reader's bounds on tries and waits can be reached; else they are beyond all that is explored. */
  readonly bounded: boolean;
}

/** The word by which a writer moves the counter: no word of the page, and written through to every CPU at once. */
export const ADJUST_AT = 8192;
