import { LatchclockError } from '../errors.js';
import { dateOf, dateTimeOf } from '../leap/date.js';
import { DAY_SECONDS } from '../leap/table.js';
import { NS_PER_SEC } from '../units.js';
import { coverageOf, holdCovered } from './coverage.js';
import { formatSeconds, parseSeconds } from './decimal.js';
import { type Leap, type LeapTimeline, taiOffsetAt } from './leap.js';

const RFC_3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;
/** The Modified Julian Day of 1970-01-01, in billionths of a day. */
const MJD_OF_1970_NS = 40_587n * NS_PER_SEC;

function bad(text: string, what: string, todo?: string): LatchclockError {
  return new LatchclockError('ERR_BAD_ARGUMENT', what, {
    where: `'${text}'`,
    todo:
      todo ??
      'give tai:SECONDS, unix:SECONDS, mjd:DAYS, now, a UTC time such as 2016-12-31T23:59:60Z, or L+SECONDS',
  });
}

interface Label {
  /** 00:00:00 of the day, Unix seconds. */
  midnight: bigint;
  /** Seconds of the day, 0..86400. */
  secondOfDay: bigint;
  fractionNs: bigint;
}

/** The parts of an RFC 3339 time in UTC; null if the text has another form. */
function parseLabel(text: string): Label | null {
  const match = RFC_3339.exec(text);
  if (match === null) return null;
  const [
    ,
    year,
    month,
    day,
    hour,
    minute,
    second,
    fraction = '',
    ,
    offsetHours = '00',
    offsetMinutes = '00',
  ] = match;
  if (offsetHours !== '00' || offsetMinutes !== '00') {
    throw bad(text, 'this is not in UTC', 'give the time in UTC, with Z at its end');
  }
  const date = `${year}-${month}-${day}`;
  const midnight = Date.parse(`${date}T00:00:00Z`);
  const isDay = !Number.isNaN(midnight) && new Date(midnight).toISOString().startsWith(date);
  const [hours, minutes, seconds] = [Number(hour), Number(minute), Number(second)];
  const isTime = hours < 24 && minutes < 60 && (seconds < 60 || (second === '60' && minute === '59'));
  if (!isDay || !isTime || (seconds === 60 && hours !== 23)) throw bad(text, 'there is no such day or time');
  return {
    midnight: BigInt(midnight / 1000),
    secondOfDay: BigInt(hours * 3600 + minutes * 60 + seconds),
    fractionNs: BigInt(fraction.padEnd(9, '0')),
  };
}

/** 00:00:00 UTC of the day after the label's, on the TAI scale, seconds: where the day's seconds end. */
function endOfDay(timeline: LeapTimeline, midnight: bigint): bigint {
  const next = midnight + DAY_SECONDS;
  return next + BigInt(taiOffsetAt(timeline, next));
}

function instantOf(text: string, timeline: LeapTimeline, label: Label): bigint {
  const start = label.midnight + BigInt(taiOffsetAt(timeline, label.midnight));
  const second = start + label.secondOfDay;
  if (second >= endOfDay(timeline, label.midnight)) {
    throw bad(
      text,
      'no leap second gives this day such a second',
      label.secondOfDay === DAY_SECONDS
        ? 'give --leap DATE to suppose one'
        : 'give a second that the day has',
    );
  }
  return second * NS_PER_SEC + label.fractionNs;
}

/** The instant, if the timeline tells what UTC is there. */
function held(text: string, timeline: LeapTimeline, taiNs: bigint): bigint {
  holdCovered(coverageOf(timeline), taiNs, `'${text}'`);
  return taiNs;
}

/** When a clock that steps shows a time, ns since 1970 as it counts; of a second that it repeats the first. */
function instantOfUnix(text: string, timeline: LeapTimeline, unixNs: bigint): bigint {
  const seconds = floorSeconds(unixNs);
  const secondOfDay = ((seconds % DAY_SECONDS) + DAY_SECONDS) % DAY_SECONDS;
  const fractionNs = unixNs - seconds * NS_PER_SEC;
  return instantOf(text, timeline, { midnight: seconds - secondOfDay, secondOfDay, fractionNs });
}

/** What the system's realtime clock shows, ns since 1970, to the ms: a clock that steps. */
function systemUnixNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

/**
 * An instant, ns since 1970 on the TAI scale, from `tai:SECONDS[.FRACTION]`, an RFC 3339 time in UTC (23:59:60 where
 * there is a leap second), `L+SECONDS` and `L-SECONDS`, `unix:SECONDS[.FRACTION]` (what a clock that steps shows; of a
 * second that it repeats the first), `mjd:DAYS[.FRACTION]` (Modified Julian Day, of days that are 86400 s long as for a clock
 * that steps), or `now`.
 *
 * @param leap what `L` is
 * @param nowUnixNs what `now` is, ns since 1970 as a clock that steps counts. Default: what the system's realtime shows
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if the text is none of these, or is a time that does not exist or that the
 *   timeline does not tell
 */
export function parseInstant(
  text: string,
  timeline: LeapTimeline,
  leap: Leap,
  nowUnixNs: () => bigint = systemUnixNs,
): bigint {
  if (text === 'now') return held(text, timeline, instantOfUnix(text, timeline, nowUnixNs()));
  const [, prefix, digits] = /^(tai:|unix:|mjd:|L)(.*)$/.exec(text) ?? [];
  if (prefix === 'L' && digits === '') return leap.taiNs;
  if (prefix !== undefined) {
    const ns = prefix === 'L' && !/^[+-]/.test(digits ?? '') ? null : parseSeconds(digits ?? '');
    if (ns === null)
      throw bad(
        text,
        `these are no ${prefix === 'mjd:' ? 'days' : 'seconds'} with up to 9 digits after the point`,
      );
    if (prefix === 'mjd:')
      return held(text, timeline, instantOfUnix(text, timeline, (ns - MJD_OF_1970_NS) * DAY_SECONDS));
    if (prefix === 'unix:') return held(text, timeline, instantOfUnix(text, timeline, ns));
    return held(text, timeline, prefix === 'L' ? leap.taiNs + ns : ns);
  }
  const label = parseLabel(text);
  if (label === null) throw bad(text, 'this is no instant');
  return held(text, timeline, instantOf(text, timeline, label));
}

/**
 * What a smeared clock shows, ns since 1970 as a POSIX clock counts, from an RFC 3339 time or `unix:SECONDS[.FRACTION]`.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if the text is neither, or is a 23:59:60, which no smeared clock shows
 */
export function parseSmeared(text: string): bigint {
  const todo = 'give a time such as 2016-12-31T18:00:00Z, or unix:SECONDS';
  if (text.startsWith('unix:')) {
    const ns = parseSeconds(text.slice('unix:'.length));
    if (ns === null) throw bad(text, 'these are no seconds with up to 9 digits after the point', todo);
    return ns;
  }
  const label = parseLabel(text);
  if (label === null) throw bad(text, 'this is no time', todo);
  if (text.includes(':59:60')) throw bad(text, 'a smeared clock shows no second 60', todo);
  return (label.midnight + label.secondOfDay) * NS_PER_SEC + label.fractionNs;
}

/** The whole second that a number of ns lies in. */
function floorSeconds(ns: bigint): bigint {
  return ns >= 0n ? ns / NS_PER_SEC : -((-ns + NS_PER_SEC - 1n) / NS_PER_SEC);
}

/**
 * The number of ns since 1970 as a date and time with up to 9 digits after the point, and Z.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if it is outside of the years 0 to 9999
 */
export function formatUnixNs(ns: bigint): string {
  const seconds = floorSeconds(ns);
  const fraction = formatSeconds(ns - seconds * NS_PER_SEC).slice(1);
  return dateTimeOf(seconds).replace('Z', `${fraction}Z`);
}

/**
 * An instant (ns, TAI) as a time in UTC; within a positive leap second it ends in `23:59:60`.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if the timeline does not cover it
 */
export function formatUtc(timeline: LeapTimeline, taiNs: bigint): string {
  holdCovered(coverageOf(timeline), taiNs);
  const inLeap = timeline.leaps.find(
    ({ sign, taiNs: start }) => sign === 1 && taiNs >= start && taiNs < start + NS_PER_SEC,
  );
  if (inLeap !== undefined) {
    return `${inLeap.date}T23:59:60${formatSeconds(taiNs - inLeap.taiNs).slice(1)}Z`;
  }
  const last = timeline.leaps.findLast((leap) => taiNs >= leap.taiNs);
  return formatUnixNs(taiNs - BigInt(last?.taiOffsetAfter ?? timeline.startTaiOffset) * NS_PER_SEC);
}

/** An instant as `L`, `L+SECONDS` or `L-SECONDS`, exactly. */
export function formatFromLeap(leap: Leap, taiNs: bigint): string {
  const ns = taiNs - leap.taiNs;
  return ns === 0n ? 'L' : `L${ns > 0n ? '+' : ''}${formatSeconds(ns)}`;
}

/**
 * The day of `--leap`: `2016-12-31` for a positive leap second at its end, `-2016-12-31` for a negative one.
 *
 * @returns the 00:00:00 UTC after it, Unix seconds
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if it is no day, or the day after a leap second of the timeline
 */
export function parseLeapDay(text: string, timeline: LeapTimeline): { unixSeconds: bigint; sign: 1 | -1 } {
  const [, minus, date] = /^([+-]?)(\d{4}-\d\d-\d\d)$/.exec(text) ?? [];
  const todo = 'give a day such as 2016-12-31, with - before it for a negative leap second';
  const milliseconds = Date.parse(`${date}T00:00:00Z`);
  if (date === undefined || Number.isNaN(milliseconds)) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', `'${text}' is no day`, { where: '--leap', todo });
  }
  const midnight = BigInt(milliseconds / 1000);
  if (dateOf(midnight) !== date) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', `'${text}' is no day`, { where: '--leap', todo });
  }
  const before = timeline.leaps.find((leap) => leap.unixSeconds === midnight);
  if (before !== undefined) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', `the leap second is at the end of the day before ${date}`, {
      where: '--leap',
      todo: `give ${before.date}`,
    });
  }
  return { unixSeconds: midnight + DAY_SECONDS, sign: minus === '-' ? -1 : 1 };
}
