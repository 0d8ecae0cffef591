import { pendingLeap } from '../host/discipline.js';
import { dateOf } from '../leap/date.js';
import { DAY_SECONDS } from '../leap/table.js';
import type { Adjtimex } from '../native/addon.js';
import type { LeapTimeline } from '../smear/leap.js';
import { tableOffsetSeconds } from '../timekeeper/utc-scale.js';
import { NS_PER_SEC } from '../units.js';

/** A table of leap seconds, and what it is called. */
export interface NamedTimeline {
  readonly timeline: LeapTimeline;
  readonly source: string;
}

/** A kernel changes its TAI offset a second before a table does, and both are not asked at once. */
const AROUND_LEAP_NS = 2n * NS_PER_SEC;
/** For so long a leap second that is over may leave its flag: those who set it have poll intervals of up to 36 hours. */
const FLAG_LIFE_SECONDS = 2n * DAY_SECONDS;

function hasExpired({ expires }: LeapTimeline, unixSeconds: bigint): boolean {
  return expires !== null && expires <= unixSeconds;
}

function tableName({ timeline, source }: NamedTimeline, unixSeconds: bigint): string {
  const { expires } = timeline;
  const expired = hasExpired(timeline, unixSeconds) ? `, expired on ${dateOf(expires as bigint)}` : '';
  return `the leap table (${source}${expired})`;
}

/** What is wrong with a TAI offset by a table; null: nothing, or it was never set. */
function offsetDoubt(offsetSeconds: number, table: NamedTimeline, unixNs: bigint): string | null {
  if (offsetSeconds === 0) return null;
  const [before, now, after] = [-AROUND_LEAP_NS, 0n, AROUND_LEAP_NS].map((by) =>
    tableOffsetSeconds(table.timeline, unixNs + by),
  ) as [number, number, number];
  if ([before, now, after].includes(offsetSeconds)) return null;
  const name = tableName(table, unixNs / NS_PER_SEC);
  const sign = offsetSeconds === -now ? ': its sign is wrong' : '';
  return `the kernel's TAI offset is ${offsetSeconds} s, ${now} s by ${name}${sign}`;
}

/** What is wrong with the leap second that the kernel has been told of; null: nothing. */
function leapDoubt(state: Adjtimex, table: NamedTimeline, unixNs: bigint): string | null {
  const pending = pendingLeap(state);
  if (pending === null) return null;
  const { sign, when, by } = pending;
  const unixSeconds = unixNs / NS_PER_SEC;
  if (sign === null) return `the kernel is told to insert a second and to leave one out (${by})`;
  const { leaps } = table.timeline;
  const name = tableName(table, unixSeconds);
  if (when === 'over') {
    const has = leaps.some(
      (leap) =>
        leap.sign === sign &&
        leap.unixSeconds <= unixSeconds + 1n &&
        unixSeconds - leap.unixSeconds < FLAG_LIFE_SECONDS,
    );
    return has
      ? null
      : `a leap second is over, and its flag is stuck (${by}): ${name} has none in the last days`;
  }
  const midnight = (unixSeconds / DAY_SECONDS + 1n) * DAY_SECONDS;
  // The second that is being inserted has the name of the last one of the day, or already that of the next midnight.
  const known = leaps.some(
    (leap) =>
      leap.sign === sign &&
      (leap.unixSeconds === midnight || (when === 'now' && leap.unixSeconds === midnight - DAY_SECONDS)),
  );
  if (known) return null;
  const what = sign === 1 ? 'inserted' : 'left out';
  return when === 'now'
    ? `a second is being inserted (${by}), and ${name} has none now`
    : `a second is to be ${what} at the end of ${dateOf(unixSeconds)} (${by}), and ${name} has none then`;
}

/**
 * What is doubtful about the kernel's timekeeping, held against a table of leap seconds: a TAI offset that is set and is not
 * the table's, a leap second that the table does not have. None of it breaks a clock that is read, so none is a failure.
 *
 * @param offsetSeconds TAI - UTC as the kernel has it, seconds
 * @param state null where it is not told
 * @param unixNs realtime now, nanoseconds
 */
export function timekeepingDoubts(
  offsetSeconds: number,
  state: Adjtimex | null,
  table: NamedTimeline,
  unixNs: bigint,
): string[] {
  return [
    offsetDoubt(offsetSeconds, table, unixNs),
    state === null ? null : leapDoubt(state, table, unixNs),
  ].filter((doubt) => doubt !== null);
}
