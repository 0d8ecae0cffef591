import { LatchclockError } from '../errors.js';
import type { WritableClockPage } from '../host/clock-page-memory.js';
import type { Addon } from '../native/addon.js';
import type { LeapTimeline } from '../smear/leap.js';
import type { SmearPolicy } from '../smear/policy.js';
import type { KeeperEvent } from './events.js';
import { boundNsAt, Keeper, type Plan, shiftFor } from './keeper.js';
import { scaledAt } from './line.js';
import { PageWriter } from './page-writer.js';
import type { ScheduledChange } from './schedule.js';
import type { SourceSample, TimeSource } from './source.js';
import type { Standing } from './standing.js';
import { tableOffsetSeconds, UtcScale } from './utc-scale.js';
import type { RealtimePreference, View } from './view.js';

/** What a timekeeper is made of. */
export interface RunOptions {
  readonly addon: Addon;
  readonly source: TimeSource;
  /** At least one, all of one protocol; the first is the one from which a dead writer is taken over. */
  readonly pages: readonly { readonly page: WritableClockPage; readonly view: View }[];
  /** TAI - UTC, with leap seconds that are only supposed. */
  readonly timeline: LeapTimeline;
  /** What smeared-realtime does at each of them; null: what sane-realtime does. */
  readonly policy: SmearPolicy | null;
  /** Between two updates, ms: 1..1000. Default 8. */
  readonly updateMs?: number;
  /** For how long readers may go on without a writer, ms: at least 4 updates, at most 60,000. Default 200. */
  readonly windowMs?: number;
  readonly changes?: readonly ScheduledChange[];
  readonly onEvent?: (event: KeeperEvent) => void;
}

/** How a timekeeper is getting on. Plain data. */
export interface RunStatus {
  readonly updates: number;
  /** Updates that were made again, because readers could not be told in time. */
  readonly repeated: number;
  /** Times that readers were refused, since a window ended before its successor was there. */
  readonly late: number;
  readonly scheduled: number;
  /** How far monotonic was from the source's when last sampled, ns; signed: positive if it was ahead. */
  readonly errorNs: number;
  readonly largestErrorNs: number;
  /** What was published for the same instant. */
  readonly boundNs: bigint;
  /** The standing that holds, and the one that is to follow, if it is known. */
  readonly standings: readonly Standing[];
}

const DEFAULT_UPDATE_MS = 8;
const DEFAULT_WINDOW_MS = 200;
/** How long before a corner its successor is published: a writer is preempted for less, as a rule. */
export const CORNER_LEAD_MS = 50;
/** Longer than an update takes, so that what is planned is published before it begins: 0.4 ms while code is not yet compiled. */
const LEAD_US = 1000;
/** How long before a base a writer that cannot offer two standings is called: it then waits for it without sleeping. */
const SPIN_MS = 1.5;
/**
 * A reader's second load of the count may execute before its counter is read, by what a CPU holds in flight: so much, in
 * cycles, an end must lie ahead of its publication.
 */
const IN_FLIGHT = 4096n;
/** How long before a base a seqlock's readers are made to wait: code that sleeps between updates is slow, up to 70 us seen. */
const HELD_BEFORE_US = 100;
const MOST_TRIES = 10;
/** Turns of a wait, each a reading of the counter: a tenth of a second or more. */
const MOST_TURNS = 1 << 20;

function bad(what: string, todo: string): LatchclockError {
  return new LatchclockError('ERR_BAD_ARGUMENT', what, { where: 'timekeeper', todo });
}

/** A number of ms within a range. */
function within(name: string, value: number, least: number, most: number): number {
  if (value >= least && value <= most) return value;
  throw bad(`${name} of ${value} ms is out of range`, `give ${least} to ${most} ms`);
}

/** A timekeeper at work on its pages: each {@link step} is one update. It has no thread of its own. */
export class Run {
  readonly #source: TimeSource;
  readonly #keeper: Keeper;
  readonly #writers: readonly PageWriter[];
  readonly #options: RunOptions;
  readonly #updateMs: number;
  readonly #isBeside: boolean;
  readonly #isHeld: boolean;
  readonly #fence = new Int32Array(1);
  /** Published but for its last part, for which the base must come. */
  #held: Plan | null = null;
  /** Whether a seqlock's readers wait now. */
  #isHolding = false;
  #isOver = false;
  #counts = { updates: 0, repeated: 0, late: 0 };
  #errorNs = 0;
  #largestErrorNs = 0;
  #boundNs = 0n;

  /**
   * Publishes the first standing.
   *
   * @throws LatchclockError `ERR_BAD_ARGUMENT` for options that cannot be, `ERR_SCHEDULE` for a change that cannot be,
   *   `ERR_SOURCE` where the source cannot be read, `ERR_BAD_PAGE` where a page makes no sense
   */
  constructor(options: RunOptions) {
    const { source, pages, policy, timeline, addon } = options;
    this.#options = options;
    this.#source = source;
    this.#updateMs = within('an update', options.updateMs ?? DEFAULT_UPDATE_MS, 1, 1000);
    const windowMs = within('a window', options.windowMs ?? DEFAULT_WINDOW_MS, 4 * this.#updateMs, 60_000);
    const [first] = pages;
    if (first === undefined) throw bad('there is no page', 'give at least one');
    const { protocol } = first.page.header;
    if (pages.some(({ page }) => page.header.protocol !== protocol)) {
      throw bad('the pages are written for different protocols', 'give pages of one protocol');
    }
    this.#isBeside = protocol === 'two-window';
    this.#isHeld = protocol === 'seqlock';
    const utc = new UtcScale(timeline, policy);
    const straight = utc.shortestStraightNs();
    if (straight !== null && Number(straight) < 2.5e6 * this.#updateMs) {
      throw bad(
        `the smear is too sharp: a straight line follows it for ${straight} ns only`,
        'give a longer window, a linear shape, or updates that come more often',
      );
    }
    const shift = shiftFor(source.hz);
    this.#writers = pages.map(({ page, view }, at) => new PageWriter(addon, page, at, view.namespace));
    const sample = source.sample();
    const unixNs = (sample.monotonic.scaledNs >> BigInt(sample.monotonic.shift)) + sample.realtimeOffsetNs;
    const preferences = pages.map(({ view }) => view.preference);
    const { previous, offered } = this.#found(shift, sample, preferences);
    this.#keeper = new Keeper({
      shift,
      utc,
      isFree: source.isFree,
      window: this.#cycles(windowMs),
      cornerLead: this.#cycles(Math.min(CORNER_LEAD_MS, windowMs / 4)),
      taiOffsetSeconds: tableOffsetSeconds(timeline, unixNs),
      preferences,
      readersGoOn: this.#isHeld,
      previous,
      offered,
    });
    this.#update(sample);
    for (const change of options.changes ?? []) this.schedule(change);
  }

  /**
   * One update.
   *
   * @returns ms until the next one is due, 0 or more
   * @throws LatchclockError `ERR_SOURCE` where the source stopped, jumped or went back, `ERR_BAD_PAGE` where a page was cut
   *   short; readers of all pages are refused from then on, and the run is over
   */
  step(): number {
    if (this.#isOver) throw bad('the timekeeper has ended', 'start another one');
    try {
      return this.#held === null ? this.#update(this.#source.sample()) : this.#finish(this.#held);
    } catch (error) {
      this.#isOver = true;
      for (const writer of this.#writers) writer.withdraw();
      throw error;
    }
  }

  /** Schedules a change. Throws LatchclockError `ERR_SCHEDULE` where it cannot be, `ERR_BAD_ARGUMENT` for no such page. */
  schedule(change: ScheduledChange): void {
    if (change.kind === 'preference') this.#checkPage(change.page);
    this.#keeper.add(change, this.#source.counter());
  }

  /** What `realtime` of a page (by its place) is from the next corner on. */
  setPreference(page: number, preference: RealtimePreference): void {
    this.#checkPage(page);
    this.#keeper.prefer(page, preference);
  }

  status(): RunStatus {
    return {
      ...this.#counts,
      scheduled: this.#keeper.scheduled,
      errorNs: this.#errorNs,
      largestErrorNs: this.#largestErrorNs,
      boundNs: this.#boundNs,
      standings: this.#keeper.standings,
    };
  }

  /** Ends the run. What was published holds until its window ends, and not longer. */
  stop(): void {
    this.#isOver = true;
  }

  /** What a dead writer left that is still to be reckoned with, on all pages alike. */
  #found(
    shift: number,
    { cycles, generation }: SourceSample,
    preferences: readonly RealtimePreference[],
  ): { previous: Standing | null; offered: Standing | null } {
    const found = this.#writers.map((writer) => writer.found(shift));
    const [latest, earlier] = [found[0], this.#writers[0]?.foundBeside(shift)].map((standing) =>
      standing == null ? null : { ...standing, preferences },
    );
    // A base that the counter will not reach for a minute is of another boot: nobody reads by it. Nor does the counter of
    // another generation say anything of it.
    const isForeign =
      latest == null || latest.base > cycles + this.#cycles(60_000) || latest.generation !== generation;
    if (isForeign) return { previous: null, offered: null };
    if (earlier == null || latest.base <= this.#source.counter()) return { previous: latest, offered: null };
    // It may have died before it came to this page.
    for (const [at, writer] of this.#writers.entries()) {
      if (found[at]?.base === latest.base) continue;
      writer.revise(earlier);
      writer.offer(latest);
    }
    return { previous: earlier, offered: latest };
  }

  #checkPage(page: number): void {
    if (Number.isInteger(page) && page >= 0 && page < this.#writers.length) return;
    throw bad(`there is no page ${page}`, `give 0 to ${this.#writers.length - 1}`);
  }

  #cycles(ms: number): bigint {
    return BigInt(Math.round((this.#source.hz / 1000) * ms));
  }

  /** Waits for a reading that is near; not for ever, since a counter can be moved back. */
  #waitFor(cycles: bigint): void {
    for (let turn = 0; turn < MOST_TURNS && this.#source.counter() < cycles; turn++);
  }

  #msUntil(cycles: bigint): number {
    return Math.max(0, (Number(cycles - this.#source.counter()) / this.#source.hz) * 1000);
  }

  #update(sample: SourceSample): number {
    this.#judge(sample);
    // A sample without an error of its own is followed at once, a noisy one slowly.
    const steer = this.#cycles(this.#updateMs * (sample.boundNs === 0n ? 2 : 25));
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      // While readers wait nothing can come too late, once it is past what they may have read before.
      const lead = this.#isHolding ? 2n * IN_FLIGHT : this.#cycles((LEAD_US / 1000) * 2 ** tries);
      const plan = this.#keeper.plan(sample, this.#source.counter(), lead, steer);
      if (plan === null) {
        const waiting = this.#keeper.standings.at(-1) as Standing;
        return this.#msUntil(waiting.base);
      }
      if (this.#isHeld && !plan.touches && !this.#isHolding) {
        this.#holdPastEnd();
        continue;
      }
      if (plan.revised !== null && !this.#revise(plan.revised)) {
        this.#keeper.wasLate(plan.revised.end, this.#furthest());
        this.#counts.repeated++;
        continue;
      }
      return this.#finish(plan);
    }
    // Never in time: the next update finds the window ended, and starts anew.
    return 0;
  }

  /** Moves the end of the standing that holds. False if it was not ahead any longer once all readers saw it. */
  #revise(standing: Standing): boolean {
    // It has no end that readers look at: they are held before it.
    if (this.#isHeld) return true;
    for (const writer of this.#writers) writer.revise(standing);
    return this.#furthest() <= standing.end;
  }

  /** A counter that nobody had who saw nothing of what was stored until now. */
  #furthest(): bigint {
    // A full fence: what was stored is seen by all before the counter is read.
    Atomics.store(this.#fence, 0, 1);
    return this.#source.counter() + IN_FLIGHT;
  }

  /** Lets readers wait who would go on past a window that has ended: how far they came is known then. */
  #holdPastEnd(): void {
    this.#hold();
    const furthest = this.#furthest();
    const standing = this.#keeper.standings.findLast(({ base }) => base <= furthest);
    if (standing !== undefined) this.#keeper.wasLate(standing.end, furthest);
  }

  #hold(): void {
    for (const writer of this.#writers) writer.hold();
    this.#isHolding = true;
  }

  /** Publishes the standing that follows, where two can be offered at once; else when its base comes. */
  #finish(plan: Plan): number {
    const { next } = plan;
    this.#held = null;
    if (!this.#isBeside && plan.touches) {
      if (this.#msUntil(next.base) > SPIN_MS) {
        this.#held = plan;
        return this.#msUntil(next.base) - SPIN_MS / 2;
      }
      this.#waitFor(next.base - (this.#isHeld ? this.#cycles(HELD_BEFORE_US / 1000) : IN_FLIGHT));
      if (this.#isHeld && !this.#isHolding && !this.#holdBefore(next.base)) return 0;
    }
    // A seqlock's readers take a counter before the base for the base.
    if (this.#isHeld) this.#waitFor(next.base);
    for (const writer of this.#writers) writer.offer(next);
    this.#isHolding = false;
    this.#keeper.commit(plan);
    this.#counts.updates++;
    for (const event of plan.events) {
      if (event.kind === 'late') this.#counts.late++;
      this.#options.onEvent?.(event);
    }
    // Where it ends soon, its own successor is due as soon as it has begun.
    const usual = Math.min(this.#updateMs, this.#msUntil(next.end) - CORNER_LEAD_MS);
    return Math.max(this.#msUntil(next.base), usual);
  }

  /** Lets the readers of all pages wait for a base. False if one may have gone on past it: they wait then for another. */
  #holdBefore(base: bigint): boolean {
    this.#hold();
    const furthest = this.#furthest();
    if (furthest <= base) return true;
    this.#keeper.wasLate(base, furthest);
    this.#counts.repeated++;
    return false;
  }

  /** How far the clocks are from the source now. */
  #judge({ cycles, monotonic }: SourceSample): void {
    const standing = this.#keeper.standings.find(({ base, end }) => base <= cycles && cycles < end);
    if (standing === undefined) return;
    const { base, shared, shift } = standing;
    const ours = scaledAt({ base, ...shared, shift }, cycles);
    const theirs = scaledAt(monotonic, cycles) << BigInt(shift - monotonic.shift);
    this.#errorNs = Number(ours - theirs) / 2 ** shift;
    this.#largestErrorNs = Math.max(this.#largestErrorNs, Math.abs(this.#errorNs));
    this.#boundNs = boundNsAt(standing, cycles);
  }
}
