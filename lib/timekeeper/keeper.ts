import { LatchclockError } from '../errors.js';
import { nearest, rational } from '../smear/rational.js';
import { maxBigint, minBigint, NS_PER_SEC } from '../units.js';
import type { KeeperEvent } from './events.js';
import { type FreeRun, freeRunOf, withChange, withSlewEnded } from './free-run.js';
import { type Line, nsAt, readingAt, rescaled, scaledAt } from './line.js';
import { Schedule, type ScheduledChange } from './schedule.js';
import type { SourceSample } from './source.js';
import type { Slope, Standing } from './standing.js';
import type { UtcScale } from './utc-scale.js';
import type { RealtimePreference } from './view.js';

/** What a keeper goes by. Times are cycles of the counter. */
export interface KeeperOptions {
  /** Of all lines: 0..63. See {@link shiftFor}. */
  readonly shift: number;
  readonly utc: UtcScale;
  /** Whether nobody but the schedule corrects the source. */
  readonly isFree: boolean;
  /** For how long a standing holds at the most. */
  readonly window: bigint;
  /** How long before a corner that is known the standing after it is published. */
  readonly cornerLead: bigint;
  /** TAI - UTC of the source at the start, seconds. */
  readonly taiOffsetSeconds: number;
  readonly preferences: readonly RealtimePreference[];
  /** Whether readers look at no window, and go on past the end of one: those of a seqlock. */
  readonly readersGoOn: boolean;
  /** What a writer that died left behind; null: nothing. Of the same shift. */
  readonly previous: Standing | null;
  /** What it has offered besides, for when `previous` ends; its base is still to come. */
  readonly offered?: Standing | null;
}

/** What is to be published. */
export interface Plan {
  /** The standing that holds now, with its end moved; null where it need not be published again. */
  readonly revised: Standing | null;
  /** The one that follows. */
  readonly next: Standing;
  /** Whether `next` starts where the one before it ends: else nobody could read in between. */
  readonly touches: boolean;
  readonly events: readonly KeeperEvent[];
  readonly after: Progress;
}

/** How far a keeper has come. Immutable. */
interface Progress {
  readonly sample: SourceSample;
  readonly current: Standing;
  /** The reading from which on nobody can have read `current`. */
  readonly givenUpTo: bigint;
  /** The one after `current`, while its base has not come. */
  readonly next: Standing | null;
  readonly free: FreeRun | null;
  /** tai - monotonic, ns. */
  readonly taiOffsetNs: bigint;
  readonly preferences: readonly RealtimePreference[];
  /** Changes that `current` and `next` have in them. */
  readonly made: readonly ScheduledChange[];
}

/** What a standing's tai goes by. */
type Shape = Pick<Standing, 'base' | 'shift' | 'shared' | 'taiOffsetNs'>;

const PARTS = 1_000_000_000_000n;
/** The fastest that monotonic is steered: 500 ppm, as adjtime and NTP have it. */
const MOST_STEER_PPT = 500_000_000n;
/** What no rate that a kernel may have explains (adjtimex: 10 % and mult another 11 %) is a jump. */
const MOST_RATE_EXCESS = 8n;
const TOLERATED_JUMP_NS = 1_000_000n;
/** Bits of a ns that smears are computed with. */
const SMEAR_BITS = 20;

/** The largest shift at which a mult, and one of twice the rate, has 63 bits; at most 63. */
export function shiftFor(hz: number): number {
  return Math.max(0, Math.min(63, Math.floor(61 - Math.log2(1e9 / hz))));
}

function magnitude(value: bigint): bigint {
  return value < 0n ? -value : value;
}

function lineOf({ base, shift }: Pick<Standing, 'base' | 'shift'>, slope: Slope): Line {
  return { base, shift, ...slope };
}

/** tai along a standing. */
function taiLine(standing: Shape): Line {
  const line = lineOf(standing, standing.shared);
  return { ...line, scaledNs: line.scaledNs + (standing.taiOffsetNs << BigInt(standing.shift)) };
}

/** How far a standing says that its clocks may be off at a reading, ns, rounded up. */
export function boundNsAt(standing: Standing, cycles: bigint): bigint {
  return nsAt(lineOf(standing, standing.bound), cycles) + 1n;
}

/** A correction that takes `error` away in `cycles`, at no more than 500 ppm. */
function steered(target: Line, error: bigint, cycles: bigint): bigint {
  if (error === 0n) return 0n;
  const most = (target.mult * MOST_STEER_PPT) / PARTS;
  const wanted = error / cycles;
  return maxBigint(-most, minBigint(most, wanted));
}

/**
 * Makes standings from samples: pure, but for what it remembers. Every clock is one function of the counter, since each
 * standing starts where the one before it ends, at the value that it has there; only tai and what hangs on it step.
 */
export class Keeper {
  readonly #options: KeeperOptions;
  readonly #schedule = new Schedule();
  #progress: Progress | null = null;
  #preferences: readonly RealtimePreference[];

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#preferences = options.preferences;
  }

  /** The standing that was published last for now, and the one for later, if one was. */
  get standings(): readonly Standing[] {
    if (this.#progress === null) return [];
    const { current, next } = this.#progress;
    return next === null ? [current] : [current, next];
  }

  get scheduled(): number {
    return this.#schedule.length;
  }

  /** What `realtime` of a page is to be from the next corner on. */
  prefer(page: number, preference: RealtimePreference): void {
    this.#preferences = this.#preferences.with(page, preference);
  }

  /**
   * Schedules a change.
   *
   * @param now the counter, cycles
   * @throws LatchclockError `ERR_SCHEDULE` as {@link Schedule.add}, and where the source is corrected by others
   */
  add(change: ScheduledChange, now: bigint): void {
    if (!this.#options.isFree && change.kind !== 'preference') {
      throw new LatchclockError(
        'ERR_SCHEDULE',
        `a ${change.kind} would be undone: the source is corrected by others`,
        {
          where: `${change.kind}`,
          todo: "schedule it with the source 'counter'",
        },
      );
    }
    const last = this.standings.at(-1);
    if (last === undefined)
      throw new LatchclockError('ERR_SCHEDULE', 'nothing was published yet', { where: change.kind });
    const earliest = maxBigint(now + this.#options.cornerLead, last.base + 1n);
    const slewEnd = this.#progress?.free?.slewEnd ?? null;
    const tai = taiLine(last);
    this.#schedule.add(change, earliest, tai);
    const isRate = change.kind === 'frequency' || change.kind === 'slew';
    if (isRate && slewEnd !== null) {
      const tick = 'cycles' in change.at ? change.at.cycles : readingAt(tai, change.at.taiNs);
      if (tick >= slewEnd) return;
      this.#schedule.drop([change]);
      throw new LatchclockError('ERR_SCHEDULE', 'the change overlaps a slew that goes on', {
        where: `${change.kind} at cycles ${tick}`,
        todo: `give an instant after cycles ${slewEnd}`,
      });
    }
  }

  /**
   * What to publish next; null while a standing waits for its base, which is the corner to come.
   *
   * @param now the counter, read after the sample was taken, cycles
   * @param lead how much later readers can be sent to what is planned now
   * @param steer in how many cycles an error is to be gone
   * @throws LatchclockError `ERR_SOURCE` where the source, or the counter, stopped, jumped or went back
   */
  plan(said: SourceSample, now: bigint, lead: bigint, steer: bigint): Plan | null {
    const sample = this.#rescaled(said);
    const before = this.#progress ?? this.#adopted(sample);
    if (before === null) return this.#first(sample, now, lead, steer);
    const isOther = sample.generation !== (before.next ?? before.current).generation;
    const { next } = before;
    // One of another generation than the standing before it is all that says where clocks stood in its own.
    const holds =
      next !== null && (isOther ? next.generation !== before.current.generation : next.base <= now);
    const settled = holds ? { ...before, current: next, next: null, givenUpTo: next.end } : before;
    // A reading of the counter as it was names no instant any longer.
    if (isOther) this.#schedule.dropReadings();
    // A standing that waits for its base may be in the page already: it is the one that follows, gap or none.
    const isLate = settled.next === null && now >= settled.current.end;
    if (!isOther) this.#check(settled.sample, sample, isLate);
    if (isOther || isLate) return this.#anew(settled, sample, now, now + lead, steer, isOther);
    if (settled.next !== null) return null;
    const corner = this.#nextCorner(settled.current, settled.free);
    const isNear = corner !== null && corner <= now + this.#options.cornerLead;
    const at = isNear ? corner : now + lead;
    const current = { ...settled.current, end: at };
    const revised = at === settled.current.end ? null : current;
    const line = lineOf(current, current.shared);
    const raw = lineOf(current, current.raw);
    const start = { shared: scaledAt(line, at), raw: scaledAt(raw, at) };
    return this.#follow(settled, sample, at, start, steer, { current, revised, touches: true });
  }

  /** That a plan was published. */
  commit(plan: Plan): void {
    this.#progress = plan.after;
    this.#schedule.drop(plan.after.made);
  }

  /**
   * That the standing of now may have been read beyond its end, which came too late, or which readers do not look at.
   *
   * @param end its end, cycles
   * @param cycles a counter that nobody had who was sent past the end
   */
  wasLate(end: bigint, cycles: bigint): void {
    const before = this.#progress;
    if (before === null) return;
    const standing = before.next !== null && before.next.base <= cycles ? before.next : before.current;
    this.#progress = { ...before, current: { ...standing, end }, next: null, givenUpTo: cycles };
  }

  /** How far a keeper is that has published nothing itself. */
  #begun(sample: SourceSample, current: Standing): Progress {
    return {
      sample,
      current,
      givenUpTo: current.end,
      next: null,
      free: this.#options.isFree ? freeRunOf(sample.monotonic) : null,
      taiOffsetNs: sample.realtimeOffsetNs + BigInt(this.#options.taiOffsetSeconds) * NS_PER_SEC,
      preferences: this.#preferences,
      made: [],
    };
  }

  /** Where a dead writer would go on, if two standings of it are offered: readers need the one, and then the other. */
  #adopted(sample: SourceSample): Progress | null {
    const { offered = null } = this.#options;
    const previous = this.#previousIn(sample.generation);
    if (previous === null || offered === null) return null;
    this.#refuseAhead(offered, offered.base, sample.monotonic, offered.base);
    this.#progress = { ...this.#begun(sample, previous), next: offered };
    return this.#progress;
  }

  /** What was left behind, as far as it is of this generation: the counter may have moved since it was found. */
  #previousIn(generation: bigint): Standing | null {
    const { previous } = this.#options;
    return previous?.generation === generation ? previous : null;
  }

  #first(sample: SourceSample, now: bigint, lead: bigint, steer: bigint): Plan | null {
    const previous = this.#previousIn(sample.generation);
    const at = now + lead;
    const target = sample.monotonic;
    const progress = this.#begun(sample, previous ?? this.#emptyStanding(sample, at));
    if (previous === null) {
      const start = { shared: scaledAt(target, at), raw: scaledAt(sample.raw, at) };
      return this.#follow(progress, sample, at, start, steer, {
        current: progress.current,
        revised: null,
        touches: false,
      });
    }
    // A dead writer's readers may have gone on by another end, if it died as it moved that.
    const touches = at < previous.end;
    const from = touches ? previous.end : at;
    const latest = this.#options.readersGoOn ? at : minBigint(at, previous.end + this.#options.window);
    const given = touches ? previous.end : latest;
    this.#refuseAhead(previous, given, target, from);
    if (touches && previous.base <= now) {
      // It holds: from here on as if it were this keeper's own.
      this.#progress = progress;
      return this.plan(sample, now, lead, steer);
    }
    return this.#resume(progress, sample, from, given, steer, touches, []);
  }

  /** Refuses clocks that a page gives at a reading, if they are far ahead of the source at another. */
  #refuseAhead(standing: Standing, given: bigint, target: Line, from: bigint): void {
    const ahead = scaledAt(lineOf(standing, standing.shared), given) - scaledAt(target, from);
    if (ahead <= NS_PER_SEC << BigInt(target.shift)) return;
    throw new LatchclockError(
      'ERR_BAD_PAGE',
      `the page's clocks are ${ahead >> BigInt(target.shift)} ns ahead of the source`,
      {
        where: 'the copy that its last writer left',
        todo: 'remove the page, if nobody reads it: it is from another boot or another machine',
      },
    );
  }

  /** From the source again, at values no lower than any that was given. */
  #anew(
    before: Progress,
    sample: SourceSample,
    now: bigint,
    at: bigint,
    steer: bigint,
    isOther: boolean,
  ): Plan {
    const { generation } = sample;
    const { end } = before.current;
    const gapNs = nsAt(sample.monotonic, at) - nsAt(sample.monotonic, end);
    const event: KeeperEvent = isOther
      ? { kind: 'disrupted', generation, cycles: now }
      : { kind: 'late', gapNs: maxBigint(gapNs, 0n), cycles: now };
    // In another generation the old line says nothing of the counter: the reading at the last sample is the last one known.
    // Nor does it of what readers got that went on past a window in which the machine slept.
    const slept = this.#options.readersGoOn && sample.boottimeOffsetNs !== before.sample.boottimeOffsetNs;
    const known = slept ? end : maxBigint(end, before.givenUpTo);
    const given = isOther ? maxBigint(before.sample.cycles, before.current.base) : known;
    return this.#resume(before, sample, at, given, steer, false, [event]);
  }

  #resume(
    before: Progress,
    sample: SourceSample,
    at: bigint,
    given: bigint,
    steer: bigint,
    touches: boolean,
    events: readonly KeeperEvent[],
  ): Plan {
    const { current } = before;
    const { free } = this.#freeAt(before, sample, at, current);
    const last = (slope: Slope): bigint => scaledAt(lineOf(current, slope), given);
    const shared = scaledAt(free?.line ?? sample.monotonic, at);
    const raw = scaledAt(sample.raw, at);
    const start = touches
      ? { shared: last(current.shared), raw: last(current.raw) }
      : { shared: maxBigint(shared, last(current.shared)), raw: maxBigint(raw, last(current.raw)) };
    return this.#follow(before, sample, at, start, steer, { current, revised: null, touches }, events);
  }

  /** The standing from `at` on. */
  #follow(
    before: Progress,
    sample: SourceSample,
    at: bigint,
    start: { shared: bigint; raw: bigint },
    steer: bigint,
    plan: { current: Standing; revised: Standing | null; touches: boolean },
    already: readonly KeeperEvent[] = [],
  ): Plan {
    const { shift, utc } = this.#options;
    const scale = BigInt(shift);
    const made = this.#freeAt(before, sample, at, plan.current);
    const { offsetNs, events: moves } = this.#taiOffset(before, sample, at, start.shared);
    const steps = made.due.map(({ change }) => (change.kind === 'step' ? change.byNs : 0n));
    const taiOffsetNs = steps.reduce((sum, byNs) => sum + byNs, offsetNs);
    const target = made.free?.line ?? sample.monotonic;
    const rawTarget = sample.raw;
    const error = start.shared - scaledAt(target, at);
    const rawError = start.raw - scaledAt(rawTarget, at);
    const correction = steered(target, error, steer);
    const rawCorrection = steered(rawTarget, rawError, steer);
    const mult = target.mult - correction;
    const shared = { scaledNs: start.shared, mult };
    // Of the source's own rates: what is steered away from them changes nothing in how far they may be off.
    const drift = (maxBigint(target.mult, rawTarget.mult) * sample.driftPpt) / PARTS + 1n;
    const worst = maxBigint(magnitude(error), magnitude(rawError));
    const tai = { base: at, scaledNs: start.shared + (taiOffsetNs << scale), mult, shift };
    const taiNs = nsAt(tai, at);
    const preferences = this.#preferencesAt(made.due);
    const end = this.#endOf({ base: at, shift, shared, taiOffsetNs }, taiNs, made.free);
    const next: Standing = {
      base: at,
      end,
      shift,
      generation: sample.generation,
      shared,
      boottimeOffsetNs: sample.boottimeOffsetNs,
      taiOffsetNs,
      saneOffsetNs: taiOffsetNs - utc.saneOffsetNs(taiNs),
      smeared: this.#smeared(tai, end),
      raw: { scaledNs: start.raw, mult: rawTarget.mult - rawCorrection },
      bound: {
        scaledNs:
          worst +
          (sample.boundNs << scale) +
          drift * maxBigint(at - sample.cycles, 0n) +
          // A smear that is curved is followed to 1/16 ns.
          (utc.straightForNs(taiNs) === null ? 0n : 1n << maxBigint(scale - 4n, 0n)),
        mult: drift + maxBigint(magnitude(correction), magnitude(rawCorrection)),
      },
      preferences,
    };
    const changes: KeeperEvent[] = made.due.map(({ change, tick }) => ({
      kind: 'change',
      change,
      cycles: tick,
      lateNs: ((at - tick) * mult) >> scale,
    }));
    const events = [...already, ...this.#exceeded(before, sample, already), ...moves, ...changes];
    const after: Progress = {
      sample,
      current: plan.current,
      givenUpTo: plan.current.end,
      next,
      free: made.free,
      taiOffsetNs,
      preferences,
      made: made.due.map(({ change }) => change),
    };
    return { ...plan, next, events, after };
  }

  /**
   * Changes of the schedule up to a reading, and what they make of a source that runs free. In another generation it starts
   * anew from the source, and no line says yet what is due: the next update does.
   */
  #freeAt(
    before: Progress,
    sample: SourceSample,
    at: bigint,
    current: Standing,
  ): { free: FreeRun | null; due: { change: ScheduledChange; tick: bigint }[] } {
    if (current.generation !== sample.generation) {
      return { free: before.free === null ? null : freeRunOf(sample.monotonic), due: [] };
    }
    const due = this.#schedule.due(at, taiLine(current));
    let { free } = before;
    if (free === null) return { free, due };
    for (const { change, tick } of due) free = withChange(withSlewEnded(free, tick), change, tick);
    return { free: withSlewEnded(free, at), due };
  }

  #preferencesAt(due: readonly { change: ScheduledChange }[]): readonly RealtimePreference[] {
    for (const { change } of due)
      if (change.kind === 'preference') this.prefer(change.page, change.preference);
    return this.#preferences;
  }

  /** Where a standing must end: its window, a corner, or where a curve has left the straight line. */
  #endOf(standing: Shape, taiNs: bigint, free: FreeRun | null): bigint {
    const { window, utc } = this.#options;
    let end = standing.base + window;
    const corner = this.#nextCorner(standing, free);
    if (corner !== null) end = minBigint(end, corner);
    const straight = utc.straightForNs(taiNs);
    if (straight !== null) {
      const cycles = (straight << BigInt(standing.shift)) / standing.shared.mult;
      end = minBigint(end, standing.base + maxBigint(cycles, 1n));
    }
    return end;
  }

  /** The first reading after a standing's base at which a clock has a corner; null: none is known. */
  #nextCorner(standing: Shape, free: FreeRun | null): bigint | null {
    const tai = taiLine(standing);
    const knot = this.#options.utc.nextKnotNs(nsAt(tai, standing.base));
    const ticks = [
      this.#schedule.nextTick(tai),
      free?.slewEnd ?? null,
      knot === null ? null : readingAt(tai, knot),
    ];
    let first: bigint | null = null;
    for (const tick of ticks) {
      if (tick !== null && tick > standing.base && (first === null || tick < first)) first = tick;
    }
    return first;
  }

  /** smeared-realtime along a tai line up to `end`: through the smear's exact values at both. */
  #smeared(tai: Line, end: bigint): Slope {
    const { utc } = this.#options;
    const scale = BigInt(tai.shift);
    const fromNs = nsAt(tai, tai.base);
    const whole = utc.unsmearedOffsetNs(fromNs);
    if (whole !== null) return { scaledNs: tai.scaledNs - (whole << scale), mult: tai.mult };
    const offset = (cycles: bigint): bigint => {
      const ns = rescaled(scaledAt(tai, cycles), tai.shift, SMEAR_BITS);
      const { numerator, denominator } = utc.smearedOffsetNs(rational(ns, 1n << BigInt(SMEAR_BITS)), fromNs);
      return nearest(rational(numerator << scale, denominator));
    };
    const first = offset(tai.base);
    return { scaledNs: tai.scaledNs - first, mult: tai.mult - (offset(end) - first) / (end - tai.base) };
  }

  /** What the source's realtime has done since the last sample, and tai - monotonic after it. */
  #taiOffset(
    before: Progress,
    sample: SourceSample,
    at: bigint,
    shared: bigint,
  ): { offsetNs: bigint; events: KeeperEvent[] } {
    const events: KeeperEvent[] = [];
    const last = before.sample;
    const slept = sample.boottimeOffsetNs - last.boottimeOffsetNs;
    if (slept !== 0n) events.push({ kind: 'slept', byNs: slept, cycles: at });
    const moved = sample.realtimeOffsetNs - last.realtimeOffsetNs;
    const leapt = sample.taiOffsetSeconds - last.taiOffsetSeconds;
    if (moved === 0n) return { offsetNs: before.taiOffsetNs, events };
    if (moved === -BigInt(leapt) * NS_PER_SEC) {
      const taiNs = (shared >> BigInt(this.#options.shift)) + before.taiOffsetNs;
      const lateNs = this.#options.utc.sinceLeapNs(taiNs, leapt);
      events.push({ kind: 'source-leap', bySeconds: -leapt, lateNs, cycles: at });
      return { offsetNs: before.taiOffsetNs, events };
    }
    events.push({ kind: 'step', byNs: moved, cycles: at });
    return { offsetNs: before.taiOffsetNs + moved, events };
  }

  /** Whether the source was where the standing of then said that it would be. */
  #exceeded(before: Progress, sample: SourceSample, already: readonly KeeperEvent[]): KeeperEvent[] {
    const { current } = before;
    const { cycles } = sample;
    if (already.length > 0 || before.free !== null || cycles < current.base || cycles >= current.end)
      return [];
    const target = sample.monotonic;
    const error = magnitude(scaledAt(lineOf(current, current.shared), cycles) - scaledAt(target, cycles));
    const errorNs = (error >> BigInt(target.shift)) - sample.boundNs;
    const boundNs = boundNsAt(current, cycles);
    return errorNs > boundNs ? [{ kind: 'bound-exceeded', errorNs, boundNs, cycles }] : [];
  }

  /** Throws where what a source says cannot follow from what it said before. */
  #check(last: SourceSample, sample: SourceSample, isLate: boolean): void {
    const broken = (what: string): never => {
      throw new LatchclockError('ERR_SOURCE', what, {
        where: `between cycles ${last.cycles} and ${sample.cycles}`,
        todo: 'start a new timekeeper once the source can be trusted',
      });
    };
    if (sample.cycles < last.cycles) broken(`the counter went back by ${last.cycles - sample.cycles} cycles`);
    const target = last.monotonic;
    const was = nsAt(target, last.cycles);
    const isNow = nsAt(sample.monotonic, sample.cycles);
    const elapsed = nsAt(target, sample.cycles) - was;
    const tolerance = TOLERATED_JUMP_NS + last.boundNs + sample.boundNs;
    if (isNow < was - tolerance) broken(`the source's monotonic went back by ${was - isNow} ns`);
    if (isNow === was && elapsed > tolerance) broken(`the source's monotonic stood still for ${elapsed} ns`);
    const jump = isNow - was - elapsed;
    const excess = elapsed / MOST_RATE_EXCESS + tolerance;
    // A clock that stands still while the machine sleeps, and the writer with it, is as it should be.
    if (jump > excess || (jump < -excess && !isLate)) broken(`the source's monotonic jumped by ${jump} ns`);
  }

  /** A sample with lines of the shift that all lines have here. */
  #rescaled(sample: SourceSample): SourceSample {
    return {
      ...sample,
      monotonic: this.#rescaledLine(sample.monotonic),
      raw: this.#rescaledLine(sample.raw),
    };
  }

  #rescaledLine({ base, scaledNs, mult, shift }: Line): Line {
    const { shift: own } = this.#options;
    return { base, scaledNs: rescaled(scaledNs, shift, own), mult: rescaled(mult, shift, own), shift: own };
  }

  /** What stands before the first standing: nothing that anybody can read. */
  #emptyStanding(sample: SourceSample, at: bigint): Standing {
    const slope = { scaledNs: 0n, mult: 1n };
    return {
      ...{ base: at, end: at, shift: this.#options.shift, generation: sample.generation },
      ...{ shared: slope, smeared: slope, raw: slope, bound: slope },
      ...{ boottimeOffsetNs: 0n, taiOffsetNs: 0n, saneOffsetNs: 0n },
      preferences: this.#preferences,
    };
  }
}
