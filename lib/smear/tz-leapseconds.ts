import { LatchclockError } from '../errors.js';
import type { LeapTable, LeapTableEntry } from '../leap-table.js';

const LEAP =
  /^Leap\s+(\d{4})\s+(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\s+(\d{1,2})\s+(\d\d:\d\d:\d\d)\s+([+-])\s+(\S+)$/;
const STAMP = /^#(updated|expires)[ \t]+([0-9]{1,12})\b/;
/** TAI - UTC of 1972-01-01, which the file leaves out (ITU-R TF.460, annex 1). */
const FIRST_ENTRY: LeapTableEntry = { unixSeconds: 63_072_000n, taiOffsetSeconds: 10 };
const DAY_SECONDS = 86_400n;

function bad(what: string, line: number): LatchclockError {
  return new LatchclockError('ERR_BAD_LEAP_TABLE', what, {
    where: `line ${line}`,
    todo: "give a complete leap-seconds.list or tzdata's leapseconds",
  });
}

function midnightAfter(year: string, month: string, day: string): bigint | null {
  const parsed = new Date(`${day} ${month} ${year} 00:00:00 UTC`);
  // A day that the month lacks would be taken for one of the next month.
  return parsed.getUTCDate() === Number(day) ? BigInt(parsed.getTime() / 1000) + DAY_SECONDS : null;
}

function nextEntry(match: RegExpExecArray, previous: LeapTableEntry, line: number): LeapTableEntry {
  const [, year = '', month = '', day = '', time, sign, kind] = match;
  const unixSeconds = midnightAfter(year, month, day);
  if (unixSeconds === null) throw bad(`there is no ${day} ${month} ${year}`, line);
  if (time !== (sign === '+' ? '23:59:60' : '23:59:59')) {
    throw bad(`a leap second of sign ${sign} is not at ${time}`, line);
  }
  if (kind !== 'S') throw bad(`leap second of kind '${kind}', and UTC has stationary ones (S) only`, line);
  if (unixSeconds <= previous.unixSeconds) {
    throw bad(`leap second of ${day} ${month} ${year} is not later than the one before`, line);
  }
  return { unixSeconds, taiOffsetSeconds: previous.taiOffsetSeconds + (sign === '+' ? 1 : -1) };
}

/** True if a text looks like tzdata's `leapseconds` rather than like a `leap-seconds.list`. */
export function isTzLeapseconds(text: string): boolean {
  return /^(Leap|Expires)\s/m.test(text);
}

/**
 * Parses tzdata's `leapseconds`, which zic(8) reads. It has no hash; its comments `#updated` and `#expires`, at its
 * end, tell that it is whole.
 *
 * @throws LatchclockError `ERR_BAD_LEAP_TABLE` with the line, if a line is malformed, leap seconds do not ascend or are
 *   not at the end of a UTC day, there is none, or `#updated` is missing
 */
export function parseTzLeapseconds(text: string): LeapTable {
  const entries = [FIRST_ENTRY];
  const stamps = new Map<string, bigint>();
  const lines = text.split('\n');
  for (const [index, raw] of lines.entries()) {
    const line = index + 1;
    const stamp = STAMP.exec(raw);
    if (stamp !== null) stamps.set(stamp[1] as string, BigInt(stamp[2] as string));
    const content = raw.replace(/#.*/, '').trim();
    // The row `Expires` says in words what the comment `#expires` says in seconds.
    if (content === '' || /^Expires\s/.test(content)) continue;
    const match = LEAP.exec(content);
    if (match === null) throw bad('line is neither a comment nor a leap second', line);
    entries.push(nextEntry(match, entries.at(-1) as LeapTableEntry, line));
  }
  if (entries.length === 1) throw bad('leap-second table has no entry', lines.length);
  const updated = stamps.get('updated');
  if (updated === undefined) throw bad('#updated is missing: the table may be cut short', lines.length);
  return { updated, expires: stamps.get('expires') ?? null, entries, hash: 'absent' };
}
