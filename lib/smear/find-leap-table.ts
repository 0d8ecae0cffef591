import { isLatchclockError, LatchclockError } from '../errors.js';
import { type LeapTable, parseLeapSecondsList } from '../leap-table.js';
import { BUNDLED_LEAP_TABLE } from './bundled-leap-table.js';
import { dateOf } from './leap.js';
import { isTzLeapseconds, parseTzLeapseconds } from './tz-leapseconds.js';

/** A table of leap seconds, where it is from, and what a user should hear about it. */
export interface FoundLeapTable {
  /** A path, or `bundled copy of DATE`. */
  source: string;
  isBundled: boolean;
  table: LeapTable;
  /** Sentences: tables that were passed over, and why; an expiry that has passed. */
  notes: string[];
}

/** Reads a text file whole. Throws LatchclockError `ERR_FILE`. */
export type ReadText = (path: string) => string;

/** Where distributions keep tables, the likeliest first. */
export const SYSTEM_PATHS = [
  '/usr/share/zoneinfo/leap-seconds.list',
  '/usr/share/lib/zoneinfo/leap-seconds.list',
  '/etc/ntp/leap-seconds.list',
  '/etc/leap-seconds.list',
  '/usr/share/zoneinfo/leapseconds',
] as const;

function parse(text: string): LeapTable {
  if (isTzLeapseconds(text)) return parseTzLeapseconds(text);
  const table = parseLeapSecondsList(text);
  if (table.hash === 'match') return table;
  const what =
    table.hash === 'absent' ? 'there is no #h line: the table may be cut short' : 'the hash does not match';
  throw new LatchclockError('ERR_BAD_LEAP_TABLE', what, { todo: 'get the table again' });
}

function found(source: string, isBundled: boolean, table: LeapTable, nowUnixSeconds: bigint): FoundLeapTable {
  const { expires } = table;
  const notes =
    expires !== null && expires <= nowUnixSeconds
      ? [`The table expired on ${dateOf(expires)}: leap seconds from then on are not in it.`]
      : [];
  return { source, isBundled, table, notes };
}

/**
 * The table in a file, `leap-seconds.list` or tzdata's `leapseconds`.
 *
 * @param nowUnixSeconds what an expiry is held against
 * @throws LatchclockError `ERR_FILE` if it cannot be read, `ERR_BAD_LEAP_TABLE` if it is malformed or its hash is
 *   missing or does not match
 */
export function readLeapTable(read: ReadText, path: string, nowUnixSeconds: bigint): FoundLeapTable {
  const text = read(path);
  try {
    return found(path, false, parse(text), nowUnixSeconds);
  } catch (error) {
    if (!isLatchclockError(error)) throw error;
    const { code, what, where, todo } = error;
    throw new LatchclockError(code, what, {
      where: where === undefined ? path : `${path}, ${where}`,
      todo: todo ?? 'give another table',
    });
  }
}

/**
 * The system's table: the first of {@link SYSTEM_PATHS} that is sound, and, where none is, the copy that this package
 * brings. What was passed over, and the use of the copy, are told in the notes.
 *
 * @param nowUnixSeconds what an expiry is held against
 */
export function findLeapTable(read: ReadText, nowUnixSeconds: bigint): FoundLeapTable {
  const notes: string[] = [];
  for (const path of SYSTEM_PATHS) {
    try {
      const table = readLeapTable(read, path, nowUnixSeconds);
      return { ...table, notes: [...notes, ...table.notes] };
    } catch (error) {
      if (!isLatchclockError(error)) throw error;
      if (error.code === 'ERR_BAD_LEAP_TABLE') notes.push(`Not used: ${error.message}.`);
    }
  }
  const date = dateOf(BUNDLED_LEAP_TABLE.updated ?? 0n);
  const bundled = found(`bundled copy of ${date}`, true, BUNDLED_LEAP_TABLE, nowUnixSeconds);
  notes.push(`The system has no sound table of leap seconds: this is this package's own, of ${date}.`);
  return { ...bundled, notes: [...notes, ...bundled.notes] };
}
