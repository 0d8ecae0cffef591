import {
  badTable,
  checkedTable,
  DAY_SECONDS,
  FIRST_ENTRY,
  type LeapTable,
  linesOf,
  type PlacedEntry,
} from './table.js';

const LEAP =
  /^Leap\s+(\d{4})\s+(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\s+(\d{1,2})\s+(\d\d:\d\d:\d\d)\s+([+-])\s+(\S+)$/;
const STAMP = /^#(updated|expires)[ \t]+([0-9]{1,12})\b/;
const REMEDY = "give a complete leap-seconds.list or tzdata's leapseconds";

function midnightAfter(year: string, month: string, day: string): bigint | null {
  const parsed = new Date(`${day} ${month} ${year} 00:00:00 UTC`);
  // A day that the month lacks would be taken for one of the next month.
  return parsed.getUTCDate() === Number(day) ? BigInt(parsed.getTime() / 1000) + DAY_SECONDS : null;
}

function entryOf(match: RegExpExecArray, taiOffsetBefore: number, place: string): PlacedEntry {
  const [, year = '', month = '', day = '', time, sign, kind] = match;
  const name = `${day} ${month} ${year}`;
  const unixSeconds = midnightAfter(year, month, day);
  if (unixSeconds === null) throw badTable(`there is no ${name}`, place, REMEDY);
  if (time !== (sign === '+' ? '23:59:60' : '23:59:59')) {
    throw badTable(`a leap second of sign ${sign} is not at ${time}`, place, REMEDY);
  }
  if (kind !== 'S') {
    throw badTable(`leap second of kind '${kind}', and UTC has stationary ones (S) only`, place, REMEDY);
  }
  return { unixSeconds, taiOffsetSeconds: taiOffsetBefore + (sign === '+' ? 1 : -1), name, place };
}

/** True if a text looks like tzdata's `leapseconds` rather than like another table. */
export function isTzLeapseconds(text: string): boolean {
  return /^(Leap|Expires)\s/m.test(text);
}

/**
 * Parses tzdata's `leapseconds`, which zic(8) reads. It has no hash; its comments `#updated` and `#expires`, at its
 * end, tell that it is whole.
 *
 * @param isWholeKnown false: a file without `#updated` is taken
 * @throws LatchclockError `ERR_BAD_LEAP_TABLE` with the line, if a line is malformed, there is no leap second,
 *   `#updated` is missing, or as {@link checkedTable}
 */
export function parseTzLeapseconds(text: string, isWholeKnown = true): LeapTable {
  const entries: PlacedEntry[] = [{ ...FIRST_ENTRY, name: '1 Jan 1972', place: 'line 1' }];
  const stamps = new Map<string, bigint>();
  const lines = linesOf(text);
  const end = `line ${lines.length}`;
  for (const [index, raw] of lines.entries()) {
    const place = `line ${index + 1}`;
    const stamp = STAMP.exec(raw);
    if (stamp !== null) stamps.set(stamp[1] as string, BigInt(stamp[2] as string));
    const content = raw.replace(/#.*/, '').trim();
    // The row `Expires` says in words what the comment `#expires` says in seconds.
    if (content === '' || /^Expires\s/.test(content)) continue;
    const match = LEAP.exec(content);
    if (match === null) throw badTable('line is neither a comment nor a leap second', place, REMEDY);
    entries.push(entryOf(match, entries.at(-1)?.taiOffsetSeconds as number, place));
  }
  if (entries.length === 1) throw badTable('leap-second table has no entry', end, REMEDY);
  const updated = stamps.get('updated');
  if (updated === undefined && isWholeKnown) {
    throw badTable('#updated is missing: the table may be cut short', end, REMEDY);
  }
  return checkedTable(
    entries,
    { updated: updated ?? null, expires: stamps.get('expires') ?? null },
    'absent',
    end,
  );
}
