import { LatchclockError } from '../errors.js';
import type { WritableClockPage } from '../host/clock-page-memory.js';
import type { Addon } from '../native/addon.js';
import type { LeapTimeline } from '../smear/leap.js';
import type { SmearPolicy } from '../smear/policy.js';
import { maxBigint, minBigint } from '../units.js';
import type { KeeperEvent } from './events.js';
import { boundNsAt, Keeper, type Plan, shiftFor } from './keeper.js';
import { scaledAt } from './line.js';
import { PageWriter } from './page-writer.js';
import type { ScheduledChange } from './schedule.js';
import type { SourceSample, TimeSource } from './source.js';
import type { Standing } from './standing.js';
import { takeOver } from './takeover.js';
import { tableOffsetSeconds, UtcScale } from './utc-scale.js';
import type { RealtimePreference, View } from './view.js';

/** What a timekeeper is made of. */
export interface RunOptions {
  readonly addon: Addon;
  readonly source: TimeSource;
  /** At least one, all of one protocol. */
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
/** What a step waits for without sleeping, at the most: that, and the lead of an update that was made again twice. */
const MOST_WAIT_MS = SPIN_MS + (4 * LEAD_US) / 1000;
/**
 * A reader's second load of the count may execute before its counter is read, by what a CPU holds in flight: so much, in
 * cycles, an end must lie ahead of its publication.
 */
const IN_FLIGHT = 4096n;
/** How long before a base a seqlock's readers are made to wait: code that sleeps between updates is slow, up to 70 us seen. */
const HELD_BEFORE_US = 100;
const MOST_TRIES = 10;
/** A base that the counter will not reach for so long is of another boot. */
const FOREIGN_MS = 60_000;

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
  /** When the next step is due, cycles: by the counter as it was when that was said, and its generation. */
  #due = { cycles: 0n, said: 0n, generation: 0n };
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
    const window = this.#cycles(windowMs);
    const { previous, offered } = takeOver({
      writers: this.#writers,
      shift,
      generation: sample.generation,
      preferences,
      readersGoOn: this.#isHeld,
      foreignFrom: sample.cycles + this.#cycles(FOREIGN_MS),
      window,
      lead: this.#cycles(LEAD_US / 1000),
      counter: () => source.counter(),
      furthest: () => this.#furthest(),
    });
    this.#keeper = new Keeper({
      shift,
      utc,
      isFree: source.isFree,
      window,
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
   * One update, or a part of one. It may be called before it is due.
   *
   * @returns {@link msUntilDue}
   * @throws LatchclockError `ERR_SOURCE` where the source stopped, jumped or went back, `ERR_BAD_PAGE` where a page was cut
   *   short; readers of all pages are refused from then on, and the run is over
   */
  step(): number {
    return this.#orWithdrawn(() => {
      const held = this.#held;
      if (held === null || this.#hasMoved()) this.#update(this.#source.sample());
      else this.#finish(held);
      return this.#msUntilDue();
    });
  }

  /**
   * How long until the next step is due, ms: 0 to the time between two updates. It is due at once if the counter or its
   * generation was moved since the last one. Whoever sleeps so long asks again afterwards: what is due later than that is
   * not waited for in one sleep. Throws as {@link step}.
   */
  msUntilDue(): number {
    return this.#orWithdrawn(() => this.#msUntilDue());
  }

  /**
   * Schedules a change. Throws LatchclockError `ERR_SCHEDULE` where it cannot be, `ERR_BAD_ARGUMENT` for no such page, and
   * what {@link step} throws: where the counter was moved just now, an update comes first.
   */
  schedule(change: ScheduledChange): void {
    if (change.kind === 'preference') this.#checkPage(change.page);
    if (this.#hasMoved()) this.step();
    if (this.#hasMoved()) {
      throw new LatchclockError('ERR_SCHEDULE', 'the counter was moved: no line says yet when that will be', {
        where: change.kind,
        todo: "schedule it again after the event 'disrupted'",
      });
    }
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

  #checkPage(page: number): void {
    if (Number.isInteger(page) && page >= 0 && page < this.#writers.length) return;
    throw bad(`there is no page ${page}`, `give 0 to ${this.#writers.length - 1}`);
  }

  #cycles(ms: number): bigint {
    return BigInt(Math.round((this.#source.hz / 1000) * ms));
  }

  #msUntilDue(): number {
    return this.#hasMoved() ? 0 : Math.min(this.#updateMs, this.#msUntil(this.#due.cycles));
  }

  /** `act()`; if that fails the run is over, and no reader has a value any longer. */
  #orWithdrawn<T>(act: () => T): T {
    if (this.#isOver) throw bad('the timekeeper has ended', 'start another one');
    try {
      return act();
    } catch (error) {
      this.#isOver = true;
      for (const writer of this.#writers) writer.withdraw();
      throw error;
    }
  }

  /** Whether the counter's meaning is another than when it was last said what is due, or it is behind where it was. */
  #hasMoved(): boolean {
    return this.#isOther(this.#due.generation) || this.#source.counter() < this.#due.said;
  }

  #isOther(generation: bigint): boolean {
    return this.#source.generation !== undefined && this.#source.generation() !== generation;
  }

  #setDue(cycles: bigint, generation: bigint): void {
    this.#due = { cycles, said: this.#source.counter(), generation };
  }

  /**
   * Waits for a reading that is near, in a generation. False if it will not come: the counter was moved meanwhile, or it
   * is farther away than a step ever waits for.
   */
  #waitFor(cycles: bigint, generation: bigint): boolean {
    const most = this.#cycles(MOST_WAIT_MS);
    for (let last = this.#source.counter(); last < cycles; ) {
      const now = this.#source.counter();
      if (now < last || cycles - now > most || this.#isOther(generation)) return false;
      last = now;
    }
    return !this.#isOther(generation);
  }

  #msUntil(cycles: bigint): number {
    return Math.max(0, (Number(cycles - this.#source.counter()) / this.#source.hz) * 1000);
  }

  #update(first: SourceSample): void {
    let sample = first;
    this.#judge(sample);
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      // While readers wait nothing can come too late, once it is past what they may have read before.
      const lead = this.#isHolding ? 2n * IN_FLIGHT : this.#cycles((LEAD_US / 1000) * 2 ** tries);
      const now = this.#source.counter();
      if (this.#isOther(sample.generation) || now < sample.cycles) {
        // Of the counter of then the sample says something, and nothing of the one of now.
        sample = this.#source.sample();
        continue;
      }
      // A sample without an error of its own is followed at once, a noisy one slowly.
      const steer = this.#cycles(this.#updateMs * (sample.boundNs === 0n ? 2 : 25));
      const plan = this.#keeper.plan(sample, now, lead, steer);
      if (plan === null) {
        const waiting = this.#keeper.standings.at(-1) as Standing;
        this.#setDue(waiting.base, sample.generation);
        return;
      }
      if (this.#isHeld && !plan.touches && !this.#isHolding) {
        this.#holdPastEnd(sample.generation);
        continue;
      }
      if (plan.revised !== null && !this.#revise(plan.revised)) {
        this.#wasLate(plan.revised, this.#furthest());
        this.#counts.repeated++;
        continue;
      }
      this.#finish(plan);
      return;
    }
    // Never in time: the next update finds the window ended, and starts anew.
    this.#setDue(sample.cycles, sample.generation);
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
  #holdPastEnd(generation: bigint): void {
    this.#hold();
    const furthest = this.#furthest();
    const standing = this.#keeper.standings.findLast(
      (of) => of.generation === generation && of.base <= furthest,
    );
    if (standing !== undefined) this.#wasLate(standing, furthest);
  }

  /** That readers may have gone on by a standing up to a reading, unless that is one of another generation. */
  #wasLate({ end, generation }: Pick<Standing, 'end' | 'generation'>, furthest: bigint): void {
    if (!this.#isOther(generation)) this.#keeper.wasLate(end, furthest);
  }

  #hold(): void {
    for (const writer of this.#writers) writer.hold();
    this.#isHolding = true;
  }

  /** Publishes the standing that follows, where two can be offered at once; else when its base comes. */
  #finish(plan: Plan): void {
    const { next } = plan;
    this.#held = null;
    if (!this.#isBeside && plan.touches) {
      if (this.#msUntil(next.base) > SPIN_MS) {
        this.#held = plan;
        this.#setDue(next.base - this.#cycles(SPIN_MS / 2), next.generation);
        return;
      }
      const from = next.base - (this.#isHeld ? this.#cycles(HELD_BEFORE_US / 1000) : IN_FLIGHT);
      const isThere = this.#waitFor(from, next.generation);
      if (!isThere || (this.#isHeld && !this.#isHolding && !this.#holdBefore(next))) {
        this.#planAnew(next);
        return;
      }
    }
    // A seqlock's readers take a counter before the base for the base.
    if (this.#isHeld && !this.#waitFor(next.base, next.generation)) {
      this.#planAnew(next);
      return;
    }
    for (const writer of this.#writers) writer.offer(next);
    this.#isHolding = false;
    this.#keeper.commit(plan);
    this.#counts.updates++;
    for (const event of plan.events) {
      if (event.kind === 'late') this.#counts.late++;
      this.#options.onEvent?.(event);
    }
    // Where it ends soon, its own successor is due as soon as it has begun.
    const now = this.#source.counter();
    const usual = minBigint(now + this.#cycles(this.#updateMs), next.end - this.#cycles(CORNER_LEAD_MS));
    this.#setDue(maxBigint(next.base, usual), next.generation);
  }

  /** Nothing came of a plan: the next step makes another one, at once. */
  #planAnew({ generation }: Standing): void {
    this.#setDue(this.#source.counter(), generation);
  }

  /** Lets the readers of all pages wait for a base. False if one may have gone on past it: they wait then for another. */
  #holdBefore({ base, generation }: Standing): boolean {
    this.#hold();
    const furthest = this.#furthest();
    if (furthest <= base) return true;
    this.#wasLate({ end: base, generation }, furthest);
    this.#counts.repeated++;
    return false;
  }

  /** How far the clocks are from the source now. */
  #judge({ cycles, monotonic, generation }: SourceSample): void {
    const standing = this.#keeper.standings.find(({ base, end }) => base <= cycles && cycles < end);
    if (standing === undefined || standing.generation !== generation) return;
    const { base, shared, shift } = standing;
    const ours = scaledAt({ base, ...shared, shift }, cycles);
    const theirs = scaledAt(monotonic, cycles) << BigInt(shift - monotonic.shift);
    this.#errorNs = Number(ours - theirs) / 2 ** shift;
    this.#largestErrorNs = Math.max(this.#largestErrorNs, Math.abs(this.#errorNs));
    this.#boundNs = boundNsAt(standing, cycles);
  }
}
