import { LatchclockError } from '../errors.js';
import { type Line, nsAt, readingAt } from './line.js';
import type { RealtimePreference } from './view.js';

/** When a change takes effect: at the first reading at which `tai` shows this, or at this reading itself. */
export type ChangeInstant = { readonly taiNs: bigint } | { readonly cycles: bigint };

/** What can be scheduled. Plain data. */
export type ChangeKind =
  /** The rate from then on, beside the source's nominal one, parts in 10^12; only where the source runs free. */
  | { readonly kind: 'frequency'; readonly ratePpt: bigint }
  /** Moves all clocks but monotonic-raw by `byNs`, at a rate of so much (positive), parts in 10^12; runs free only. */
  | { readonly kind: 'slew'; readonly byNs: bigint; readonly ratePpt: bigint }
  /** Moves tai, sane-realtime and smeared-realtime by `byNs` at once; only where the source runs free. */
  | { readonly kind: 'step'; readonly byNs: bigint }
  /** What `realtime` of a page is from then on. */
  | { readonly kind: 'preference'; readonly page: number; readonly preference: RealtimePreference };

/** A change, and when it takes effect. Plain data. */
export type ScheduledChange = { readonly at: ChangeInstant } & ChangeKind;

/** The largest rate of a frequency change or slew, parts in 10^12: 10 %, as adjtimex has it. */
export const MOST_RATE_PPT = 100_000_000_000n;

function refused(what: string, todo: string, change: ScheduledChange): LatchclockError {
  const at = 'taiNs' in change.at ? `taiNs ${change.at.taiNs}` : `cycles ${change.at.cycles}`;
  return new LatchclockError('ERR_SCHEDULE', what, { where: `${change.kind} at ${at}`, todo });
}

/** Whether two changes, the one that comes first before the other, do not go together. */
function overlap(
  first: ScheduledChange,
  firstEnd: bigint,
  second: ScheduledChange,
  secondAt: bigint,
): boolean {
  const isRate = (change: ScheduledChange): boolean => change.kind === 'frequency' || change.kind === 'slew';
  if (isRate(first) && isRate(second)) return secondAt < firstEnd;
  if (first.kind === 'preference' && second.kind === 'preference') {
    return first.page === second.page && secondAt < firstEnd;
  }
  return first.kind === second.kind && secondAt < firstEnd;
}

/** The reading at which a change takes effect, by the tai line of now. */
export function tickOf({ at }: ScheduledChange, tai: Line): bigint {
  return 'cycles' in at ? at.cycles : readingAt(tai, at.taiNs);
}

/** Cycles for which a change goes on: a slew's, by a line's rate; another has one corner alone. */
export function cyclesOf(change: ScheduledChange, { mult, shift }: Pick<Line, 'mult' | 'shift'>): bigint {
  if (change.kind !== 'slew') return 1n;
  const extra = slewMult(change, mult);
  const wanted = (change.byNs < 0n ? -change.byNs : change.byNs) << BigInt(shift);
  return (wanted + extra - 1n) / extra;
}

/** By how much a slew changes a mult, without its sign; at least 1. */
export function slewMult({ ratePpt }: { ratePpt: bigint }, mult: bigint): bigint {
  const extra = (mult * ratePpt) / 1_000_000_000_000n;
  return extra === 0n ? 1n : extra;
}

/** Changes to come, in no order. */
export class Schedule {
  #changes: readonly ScheduledChange[] = [];

  /** How many are still to come. */
  get length(): number {
    return this.#changes.length;
  }

  /**
   * Adds a change.
   *
   * @param earliest the first counter reading at which a change can still be made, cycles
   * @param tai the tai line of now, by which instants are compared
   * @throws LatchclockError `ERR_SCHEDULE` if it would come before that, or does not go together with another, or says
   *   nothing
   */
  add(change: ScheduledChange, earliest: bigint, tai: Line): void {
    const at = tickOf(change, tai);
    if (at < earliest) {
      const lateNs = nsAt(tai, earliest) - nsAt(tai, at);
      throw refused(`the change lies in the past, or ${lateNs} ns too near`, 'give a later instant', change);
    }
    if (change.kind === 'frequency' && (change.ratePpt > MOST_RATE_PPT || change.ratePpt < -MOST_RATE_PPT)) {
      throw refused(
        `a rate of ${change.ratePpt} parts in 10^12 is out of range`,
        'give at most 10 %',
        change,
      );
    }
    if (change.kind === 'slew' && (change.ratePpt < 1n || change.ratePpt > MOST_RATE_PPT)) {
      throw refused(
        `a slew of ${change.ratePpt} parts in 10^12 is out of range`,
        'give a rate from 1 to 10^11; the sign is that of byNs',
        change,
      );
    }
    if ((change.kind === 'slew' || change.kind === 'step') && change.byNs === 0n) {
      throw refused('the change changes nothing', 'give a byNs other than 0', change);
    }
    const end = at + cyclesOf(change, tai);
    for (const other of this.#changes) {
      const otherAt = tickOf(other, tai);
      const otherEnd = otherAt + cyclesOf(other, tai);
      if (at <= otherAt ? overlap(change, end, other, otherAt) : overlap(other, otherEnd, change, at)) {
        throw refused(
          `the change overlaps a ${other.kind} that is scheduled`,
          'give another instant, or end the other first',
          change,
        );
      }
    }
    this.#changes = [...this.#changes, change];
  }

  /** The earliest reading at which a change takes effect; null if none is to come. */
  nextTick(tai: Line): bigint | null {
    const ticks = this.#changes.map((change) => tickOf(change, tai));
    return ticks.reduce<bigint | null>(
      (first, tick) => (first === null || tick < first ? tick : first),
      null,
    );
  }

  /** Those that take effect up to a reading, it included, in order; they stay until they are {@link drop}ped. */
  due(cycles: bigint, tai: Line): { change: ScheduledChange; tick: bigint }[] {
    if (this.#changes.length === 0) return [];
    return this.#changes
      .map((change) => ({ change, tick: tickOf(change, tai) }))
      .filter(({ tick }) => tick <= cycles)
      .toSorted((a, b) => (a.tick < b.tick ? -1 : a.tick > b.tick ? 1 : 0));
  }

  /** Forgets changes that are to be made at readings of the counter, whose meaning is another. */
  dropReadings(): void {
    this.#changes = this.#changes.filter(({ at }) => !('cycles' in at));
  }

  /** Forgets changes that have been made. */
  drop(made: readonly ScheduledChange[]): void {
    if (made.length > 0) this.#changes = this.#changes.filter((change) => !made.includes(change));
  }
}
