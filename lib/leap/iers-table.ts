import { dateOf } from './date.js';
import { badTable, checkedTable, DAY_SECONDS, type LeapTable, linesOf, type PlacedEntry } from './table.js';

/** Modified Julian date of 1970-01-01. */
const UNIX_MJD = 40_587n;
const ROW = /^(\d{5})\.0\s+(\d{1,2})\s+(\d{1,2})\s+(\d{4})\s+([+-]?\d{1,6})$/;
const EXPIRY = /^#\s*File expires on\s+(\d{1,2})\s+([A-Za-z]+)\s+(\d{4})\s*$/;
const REMEDY = 'give a complete Leap_Second.dat';

function dayOf(year: string, month: string, day: string): bigint | null {
  const parsed = new Date(`${day} ${month} ${year} 00:00:00 UTC`);
  return parsed.getUTCDate() === Number(day) ? BigInt(parsed.getTime() / 1000) : null;
}

function entryOf(match: RegExpExecArray, place: string): PlacedEntry {
  const [, mjd = '', day = '', month = '', year = '', offset = ''] = match;
  const unixSeconds = (BigInt(mjd) - UNIX_MJD) * DAY_SECONDS;
  const date = `${year}-${month.padStart(2, '0')}-${day.padStart(2, '0')}`;
  if (dateOf(unixSeconds) !== date) {
    throw badTable(`${mjd} is not the Modified Julian Date of ${date}`, place, REMEDY);
  }
  return { unixSeconds, taiOffsetSeconds: Number(offset), name: date, place };
}

/** True if a text looks like the `Leap_Second.dat` of IERS rather than like another table. */
export function isIersTable(text: string): boolean {
  return /^[ \t]*\d{5}\.\d/m.test(text);
}

/**
 * Parses the `Leap_Second.dat` of IERS: a row has a Modified Julian Date, the same as day, month and year, and TAI - UTC
 * from then on; a comment names the day of expiry. There is no hash, and nothing at its end tells that it is whole.
 *
 * @throws LatchclockError `ERR_BAD_LEAP_TABLE` with the line, if a line is malformed, the two dates of a row differ, or
 *   as {@link checkedTable}
 */
export function parseIersTable(text: string): LeapTable {
  const entries: PlacedEntry[] = [];
  let expires: bigint | null = null;
  const lines = linesOf(text);
  for (const [index, raw] of lines.entries()) {
    const place = `line ${index + 1}`;
    const expiry = EXPIRY.exec(raw);
    if (expiry !== null) {
      const [, day = '', month = '', year = ''] = expiry;
      expires = dayOf(year, month, day);
      if (expires === null) throw badTable(`there is no ${day} ${month} ${year}`, place, REMEDY);
    }
    const content = raw.replace(/#.*/, '').trim();
    if (content === '') continue;
    const match = ROW.exec(content);
    if (match === null) throw badTable('line is neither a comment nor a date and TAI - UTC', place, REMEDY);
    entries.push(entryOf(match, place));
  }
  return checkedTable(entries, { updated: null, expires }, 'absent', `line ${lines.length}`);
}
