import { LatchclockError } from '../errors.js';
import { dateOf, END_OF_DATES_SECONDS } from '../leap/date.js';
import { NS_PER_SEC } from '../units.js';
import { formatSeconds } from './decimal.js';
import { type LeapTimeline, taiOffsetAt } from './leap.js';
import type { Rational } from './rational.js';

/** The span in which a timeline tells what UTC is: from its start up to its expiry, TAI, ns since 1970. */
export interface Coverage {
  readonly fromTaiNs: bigint;
  /** The first instant after the span. */
  readonly untilTaiNs: bigint;
  /** Start and expiry, Unix seconds; null: there is no expiry, and the span ends with the year 9999. */
  readonly startUnixSeconds: bigint;
  readonly expires: bigint | null;
}

/** What a timeline covers. An expiry after the year 9999 is none: later times have no date (RFC 3339). */
export function coverageOf(timeline: LeapTimeline): Coverage {
  const { startUnixSeconds, startTaiOffset, expires } = timeline;
  const until = expires === null || expires > END_OF_DATES_SECONDS ? END_OF_DATES_SECONDS : expires;
  return {
    fromTaiNs: (startUnixSeconds + BigInt(startTaiOffset)) * NS_PER_SEC,
    untilTaiNs: (until + BigInt(taiOffsetAt(timeline, until))) * NS_PER_SEC,
    startUnixSeconds,
    expires: until === expires ? expires : null,
  };
}

/** An instant as the command line takes it. */
export function instantName(tai: bigint | Rational): string {
  const ns = typeof tai === 'bigint' ? tai : tai.numerator / tai.denominator;
  return `tai:${formatSeconds(ns)}`;
}

function uncovered(what: string, where: string, todo: string): LatchclockError {
  return new LatchclockError('ERR_BAD_ARGUMENT', what, { where, todo });
}

/**
 * Holds that an instant lies in the span. Every function that maps times asks here: what TAI - UTC is outside of the
 * table, nobody can tell.
 *
 * @param tai TAI, ns since 1970
 * @param where what the error calls the instant
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if the instant is before the span or after it
 */
export function holdCovered(
  { fromTaiNs, untilTaiNs, startUnixSeconds, expires }: Coverage,
  tai: bigint | Rational,
  where: string | typeof instantName = instantName,
): void {
  const [numerator, denominator] = typeof tai === 'bigint' ? [tai, 1n] : [tai.numerator, tai.denominator];
  const place = (): string => (typeof where === 'string' ? where : where(tai));
  if (numerator < fromTaiNs * denominator) {
    const todo = `give a time from ${dateOf(startUnixSeconds)} on`;
    throw uncovered('this is before the table of leap seconds', place(), todo);
  }
  if (numerator < untilTaiNs * denominator) return;
  if (expires === null) throw uncovered('this is after the year 9999', place(), 'give an earlier time');
  throw uncovered(
    `the table of leap seconds expired on ${dateOf(expires)}, before this`,
    place(),
    'give a newer one by --table, suppose a leap second by --leap DATE, or none by --assume-no-leaps',
  );
}
