import { isLatchclockError, LatchclockError } from '../errors.js';
import { BUNDLED_LEAP_TABLE } from './bundled.js';
import { dateOf } from './date.js';
import { parseLeapTable } from './parse.js';
import { DAY_SECONDS, type LeapTable } from './table.js';

/** A table of leap seconds, where it is from, why it is the one, and what a user should hear about it. */
export interface FoundLeapTable {
  /** A path, or `bundled copy of DATE`. */
  source: string;
  isBundled: boolean;
  table: LeapTable;
  /** Why this table, of those that there are. */
  reason: string;
  /** Sentences: tables that were passed over, and why; an expiry that is near or has passed; what the file leaves open. */
  notes: string[];
}

/** Reads a file whole. Throws LatchclockError `ERR_FILE`. */
export type ReadBytes = (path: string) => Uint8Array;

/** Where distributions keep tables, the likeliest first. */
export const SYSTEM_PATHS = [
  '/usr/share/zoneinfo/leap-seconds.list',
  '/usr/share/lib/zoneinfo/leap-seconds.list',
  '/etc/ntp/leap-seconds.list',
  '/etc/leap-seconds.list',
  '/usr/share/zoneinfo/leapseconds',
] as const;

/** A warning comes this long before the expiry: new tables are published half a year before. */
const WARNING_DAYS = 31n;

function expiryNotes({ expires }: LeapTable, nowUnixSeconds: bigint): string[] {
  if (expires === null) return [];
  const date = dateOf(expires);
  if (expires <= nowUnixSeconds) {
    return [`The table expired on ${date}: leap seconds from then on are not in it.`];
  }
  const days = (expires - nowUnixSeconds) / DAY_SECONDS;
  if (days >= WARNING_DAYS) return [];
  return [`The table expires on ${date}, in ${days} ${days === 1n ? 'day' : 'days'}: get a newer one.`];
}

interface Candidate {
  source: string;
  isBundled: boolean;
  table: LeapTable;
  doubts: string[];
}

function readCandidate(read: ReadBytes, path: string, isChecked: boolean): Candidate {
  const bytes = read(path);
  try {
    return { source: path, isBundled: false, ...parseLeapTable(bytes, isChecked) };
  } catch (error) {
    if (!isLatchclockError(error)) throw error;
    const { code, what, where, todo } = error;
    throw new LatchclockError(code, what, {
      where: where === undefined ? path : `${path}, ${where}`,
      todo: todo ?? 'give another table',
    });
  }
}

function foundOf(
  { source, isBundled, table, doubts }: Candidate,
  reason: string,
  notes: readonly string[],
  nowUnixSeconds: bigint,
): FoundLeapTable {
  const all = [...notes, ...doubts, ...expiryNotes(table, nowUnixSeconds)];
  return { source, isBundled, table, reason, notes: all };
}

/**
 * The table in a file of any format that {@link parseLeapTable} reads.
 *
 * @param nowUnixSeconds what an expiry is held against
 * @param isChecked false: a list without a matching hash is taken, and that is noted
 * @throws LatchclockError `ERR_FILE` if it cannot be read, `ERR_BAD_LEAP_TABLE` if it is malformed or its hash is
 *   missing or does not match
 */
export function readLeapTable(
  read: ReadBytes,
  path: string,
  nowUnixSeconds: bigint,
  isChecked = true,
): FoundLeapTable {
  return foundOf(readCandidate(read, path, isChecked), 'it was given', [], nowUnixSeconds);
}

function lastEntry({ entries }: LeapTable): bigint {
  return entries.at(-1)?.unixSeconds as bigint;
}

function untilWhen({ expires }: LeapTable): string {
  return expires === null ? 'for ever' : `until ${dateOf(expires)}`;
}

/** True if `a` covers more than `b`: it expires later, or, where it does not matter, it has news that `b` has not. */
function coversMore(a: LeapTable, b: LeapTable): boolean {
  // A table without an expiry covers all, unless it lacks a leap second that another has: then it is merely old.
  if (a.expires === null || b.expires === null) {
    if (lastEntry(a) !== lastEntry(b)) return lastEntry(a) > lastEntry(b);
    return a.expires === null && b.expires !== null;
  }
  return a.expires > b.expires;
}

function mostCovering(candidates: readonly [Candidate, ...Candidate[]]): Candidate {
  return candidates.reduce((best, one) => (coversMore(one.table, best.table) ? one : best));
}

const BUNDLED: Candidate = {
  source: `bundled copy of ${dateOf(BUNDLED_LEAP_TABLE.updated ?? 0n)}`,
  isBundled: true,
  table: BUNDLED_LEAP_TABLE,
  doubts: [],
};

/**
 * The table that covers most, of the sound ones of {@link SYSTEM_PATHS} and of the copy that this package brings; of
 * several that cover the same, the first in this order. What was passed over as malformed, and the use of the copy, are
 * told in the notes.
 *
 * @param nowUnixSeconds what an expiry is held against
 */
export function findLeapTable(read: ReadBytes, nowUnixSeconds: bigint): FoundLeapTable {
  const notes: string[] = [];
  const system: Candidate[] = [];
  for (const path of SYSTEM_PATHS) {
    try {
      system.push(readCandidate(read, path, true));
    } catch (error) {
      if (!isLatchclockError(error)) throw error;
      if (error.code === 'ERR_BAD_LEAP_TABLE') notes.push(`Not used: ${error.message}.`);
    }
  }
  const [first, ...rest] = [...system, BUNDLED];
  const best = mostCovering([first ?? BUNDLED, ...rest]);
  const until = untilWhen(best.table);
  if (best.isBundled && system.length === 0) {
    notes.push(
      `The system has no sound table of leap seconds: this is this package's own, of ${dateOf(best.table.updated ?? 0n)}.`,
    );
    return foundOf(best, `it is the only one: ${until}`, notes, nowUnixSeconds);
  }
  for (const { source, table } of best.isBundled ? system : []) {
    notes.push(`Not used: ${source}, which covers less, ${untilWhen(table)}.`);
  }
  return foundOf(best, `it covers most, ${until}`, notes, nowUnixSeconds);
}
