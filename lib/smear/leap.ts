import { checkArgument } from '../arguments.js';
import { LatchclockError } from '../errors.js';
import { dateOf } from '../leap/date.js';
import { DAY_SECONDS, type LeapTableEntry } from '../leap/table.js';
import { NS_PER_SEC } from '../units.js';
import { aSign, aTimeline, aUnixSeconds } from './guards.js';

/** A leap second, positive (inserted) or negative (left out). */
export interface Leap {
  readonly sign: 1 | -1;
  /** The UTC day at whose end it comes, such as `2016-12-31`. */
  readonly date: string;
  /** The 00:00:00 UTC after it, in Unix seconds. */
  readonly unixSeconds: bigint;
  /** TAI - UTC, seconds. */
  readonly taiOffsetBefore: number;
  readonly taiOffsetAfter: number;
  /**
   * The instant that the literature of smears calls the leap, on the TAI scale: the start of 23:59:60 of a positive
   * one; of a negative one the start of the 23:59:59 that is left out, which is the start of the next 00:00:00. In ns
   * since 1970-01-01 00:00:00 TAI.
   */
  readonly taiNs: bigint;
  /** True if no table has it. */
  readonly hypothetical: boolean;
}

/** Leap seconds in order, with the offset before the first: what relates TAI to UTC. */
export interface LeapTimeline {
  /** Start of the first entry of the table, Unix seconds: UTC is not told before. */
  readonly startUnixSeconds: bigint;
  readonly startTaiOffset: number;
  readonly leaps: readonly Leap[];
  /** From when on (Unix seconds) there may be leap seconds that are not here; null if that is not told. */
  readonly expires: bigint | null;
}

function leapAt(unixSeconds: bigint, before: number, after: number, hypothetical: boolean): Leap {
  return {
    sign: after > before ? 1 : -1,
    date: dateOf(unixSeconds - DAY_SECONDS),
    unixSeconds,
    taiOffsetBefore: before,
    taiOffsetAfter: after,
    taiNs: (unixSeconds + BigInt(Math.min(before, after))) * NS_PER_SEC,
    hypothetical,
  };
}

/** The leap seconds of a table. The first entry of a table states an offset and is none. */
export function timelineOf(table: {
  entries: readonly LeapTableEntry[];
  expires: bigint | null;
}): LeapTimeline {
  const { entries, expires } = table;
  const first = entries[0] as LeapTableEntry;
  return {
    startUnixSeconds: first.unixSeconds,
    startTaiOffset: first.taiOffsetSeconds,
    leaps: entries
      .slice(1)
      .map((entry, index) =>
        leapAt(
          entry.unixSeconds,
          (entries[index] as LeapTableEntry).taiOffsetSeconds,
          entry.taiOffsetSeconds,
          false,
        ),
      ),
    expires,
  };
}

/**
 * The timeline as if no leap second came after its expiry: clocks that run on past it do so, and who asks for it.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if this is no timeline
 */
export function assumingNoLeaps(timeline: LeapTimeline): LeapTimeline {
  checkArgument('assumingNoLeaps', 'timeline', timeline, aTimeline);
  return { ...timeline, expires: null };
}

/** TAI - UTC at a UTC time, seconds; before the start of the timeline that of its start. */
export function taiOffsetAt({ leaps, startTaiOffset }: LeapTimeline, unixSeconds: bigint): number {
  return leaps.findLast((leap) => leap.unixSeconds <= unixSeconds)?.taiOffsetAfter ?? startTaiOffset;
}

/**
 * The timeline up to a leap second of this sign at the end of the day before `unixSeconds`, and that leap second: the
 * timeline's own, or a hypothetical one. A hypothetical one takes the place of one of the other sign on that day; what
 * the timeline has later is left out, for it may have come otherwise then.
 *
 * @param unixSeconds a 00:00:00 UTC
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if the day is not after the start of the timeline, or no calendar has it
 */
export function withLeap(
  timeline: LeapTimeline,
  unixSeconds: bigint,
  sign: 1 | -1,
): { timeline: LeapTimeline; leap: Leap } {
  checkArgument('withLeap', 'timeline', timeline, aTimeline);
  checkArgument('withLeap', 'unixSeconds', unixSeconds, aUnixSeconds);
  checkArgument('withLeap', 'sign', sign, aSign);
  const own = timeline.leaps.find((leap) => leap.unixSeconds === unixSeconds && leap.sign === sign);
  if (own !== undefined) return { timeline, leap: own };
  if (unixSeconds - DAY_SECONDS < timeline.startUnixSeconds) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', `no leap second can be put before the table's start`, {
      where: `--leap ${dateOf(unixSeconds - DAY_SECONDS)}`,
      todo: `give a day from ${dateOf(timeline.startUnixSeconds)} on`,
    });
  }
  const earlier = timeline.leaps.filter((leap) => leap.unixSeconds < unixSeconds);
  const before = earlier.at(-1)?.taiOffsetAfter ?? timeline.startTaiOffset;
  const leap = leapAt(unixSeconds, before, before + sign, true);
  return { timeline: { ...timeline, leaps: [...earlier, leap], expires: null }, leap };
}

/** The leap second that is nearest to an instant (ns, TAI), the later of two; undefined if there is none at all. */
export function nearestLeap({ leaps }: LeapTimeline, taiNs: bigint): Leap | undefined {
  const distance = (leap: Leap): bigint => (leap.taiNs < taiNs ? taiNs - leap.taiNs : leap.taiNs - taiNs);
  let best: Leap | undefined;
  for (const leap of leaps) if (best === undefined || distance(leap) <= distance(best)) best = leap;
  return best;
}
