import { LatchclockError } from '../errors.js';
import { dateOf, hasDate } from './date.js';

/** One row of a leap-second table. */
export interface LeapTableEntry {
  /** Start of validity of the offset, in Unix seconds: the 00:00:00 UTC that follows the leap second. */
  unixSeconds: bigint;
  /** TAI - UTC from then on, in seconds. */
  taiOffsetSeconds: number;
}

/** A table of leap seconds, from whatever format. */
export interface LeapTable {
  /** When the table was last changed, in Unix seconds; null if it does not say. */
  updated: bigint | null;
  /**
   * The first time at which the table may be wrong, in Unix seconds; null if it names none. The list of IERS keeps
   * naming one, although tzdata has called it obsolete since release 2026f: no leap second is to come.
   */
  expires: bigint | null;
  /** At least one row, in ascending order. The first states an offset; every later one is a leap second. */
  entries: LeapTableEntry[];
  /**
   * How the table's digits compare with its hash, which only a `leap-seconds.list` has: SHA-1 against accidents, no
   * proof of origin.
   */
  hash: 'match' | 'mismatch' | 'absent';
}

/** TAI - UTC of 1972-01-01, which some formats leave out (ITU-R TF.460, annex 1). */
export const FIRST_ENTRY: Readonly<LeapTableEntry> = { unixSeconds: 63_072_000n, taiOffsetSeconds: 10 };

export const DAY_SECONDS = 86_400n;

/** The error of a table that is malformed; `place` is a line or a record. */
export function badTable(what: string, place: string, todo?: string): LatchclockError {
  return new LatchclockError('ERR_BAD_LEAP_TABLE', what, {
    where: place,
    ...(todo === undefined ? {} : { todo }),
  });
}

/** The lines of a text: they end in LF, CRLF or CR alone. A byte order mark is no part of the first. */
export function linesOf(text: string): string[] {
  return text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/);
}

/** An entry as a parser has read it. */
export interface PlacedEntry extends LeapTableEntry {
  /** What the file calls it, such as its NTP time. */
  name: string;
  /** Where it is: `line 5`. */
  place: string;
}

function holdDate(unixSeconds: bigint | null, name: string, place: string): void {
  if (unixSeconds !== null && !hasDate(unixSeconds)) {
    throw badTable(`${name} is outside of the years 0 to 9999`, place);
  }
}

/** Whether an entry can follow the one before: what UTC allows of a leap second (ITU-R TF.460, section 2 of annex 1). */
function holdNext(entry: PlacedEntry, previous: LeapTableEntry, expires: bigint | null): void {
  const { unixSeconds, name, place } = entry;
  if (unixSeconds <= previous.unixSeconds) {
    throw badTable(`leap-second entry ${name} is not later than the one before`, place);
  }
  const step = entry.taiOffsetSeconds - previous.taiOffsetSeconds;
  if (step !== 1 && step !== -1) {
    throw badTable(
      `TAI offset changes by ${step} s, and a leap second is one second`,
      place,
      'give a table with all of its leap seconds',
    );
  }
  if (expires !== null && unixSeconds > expires) {
    throw badTable(
      `leap-second entry ${name} is after the table's own expiry on ${dateOf(expires)}`,
      place,
      'get the table again',
    );
  }
  if (!dateOf(unixSeconds).endsWith('-01')) {
    throw badTable(`leap-second entry ${name} is not at the start of a month`, place);
  }
}

/**
 * A table of what a parser has read, if that can be one.
 *
 * @throws LatchclockError `ERR_BAD_LEAP_TABLE` with the place, if there is no entry; if an entry is not at 00:00:00 UTC,
 *   is not later than the one before, changes TAI - UTC by anything but one second, is not at the start of a month or
 *   is after the table's own expiry; or if a time is outside of the years 0 to 9999
 */
export function checkedTable(
  entries: readonly PlacedEntry[],
  stamps: Pick<LeapTable, 'updated' | 'expires'>,
  hash: LeapTable['hash'],
  end: string,
): LeapTable {
  const { updated, expires } = stamps;
  if (entries.length === 0) {
    throw badTable('leap-second table has no entry', end, 'give a complete table of leap seconds');
  }
  holdDate(updated, "the table's update", end);
  holdDate(expires, "the table's expiry", end);
  for (const [index, entry] of entries.entries()) {
    const { unixSeconds, name, place } = entry;
    holdDate(unixSeconds, `leap-second entry ${name}`, place);
    if (unixSeconds % DAY_SECONDS !== 0n) {
      throw badTable(`leap-second entry ${name} is not at 00:00:00 UTC`, place);
    }
    const previous = entries[index - 1];
    if (previous !== undefined) holdNext(entry, previous, expires);
  }
  return {
    updated,
    expires,
    entries: entries.map(({ unixSeconds, taiOffsetSeconds }) => ({ unixSeconds, taiOffsetSeconds })),
    hash,
  };
}
