import { LatchclockError } from '../errors.js';
import { isIersTable, parseIersTable } from './iers-table.js';
import { parseLeapSecondsList } from './leap-seconds-list.js';
import type { LeapTable } from './table.js';
import { isTzLeapseconds, parseTzLeapseconds } from './tz-leapseconds.js';
import { isTzif, parseTzif } from './tzif.js';

/** A table, and what its file leaves open: sentences for its user. */
export interface ParsedTable {
  table: LeapTable;
  doubts: string[];
}

const NO_EXPIRY =
  'The table names no expiry: leap seconds that were announced after it was made are not in it.';
const MAY_BE_CUT = 'The table has no checksum: rows that were cut off at its end would not be noticed.';

/** What is wrong with the hash of a list; null if nothing is. */
function hashFault({ hash }: LeapTable): string | null {
  switch (hash) {
    case 'match':
      return null;
    case 'absent':
      return 'there is no #h line: the table may be cut short';
    case 'mismatch':
      return 'the hash does not match';
  }
}

function parseList(text: string, isChecked: boolean): ParsedTable {
  const table = parseLeapSecondsList(text);
  const fault = hashFault(table);
  if (fault === null) return { table, doubts: [] };
  if (!isChecked) return { table, doubts: [`The table is unchecked: ${fault}.`] };
  throw new LatchclockError('ERR_BAD_LEAP_TABLE', fault, {
    todo: 'get the table again, or give it as --unchecked-table',
  });
}

/**
 * The table of a file: a `leap-seconds.list`, tzdata's `leapseconds`, the `Leap_Second.dat` of IERS, or a compiled time
 * zone file with leap seconds. Which of them, its bytes tell.
 *
 * @param isChecked false: a list whose hash is missing or does not match is taken, and a `leapseconds` without
 *   `#updated`
 * @throws LatchclockError `ERR_BAD_LEAP_TABLE` if it is malformed, or may be cut short
 */
export function parseLeapTable(bytes: Uint8Array, isChecked = true): ParsedTable {
  if (isTzif(bytes)) {
    const table = parseTzif(bytes);
    return { table, doubts: table.expires === null ? [NO_EXPIRY] : [] };
  }
  const text = Buffer.from(bytes)
    .toString('utf8')
    .replace(/^\uFEFF/, '');
  if (isTzLeapseconds(text)) {
    const table = parseTzLeapseconds(text, isChecked);
    const isUnknown = table.updated === null;
    return {
      table,
      doubts: isUnknown ? ['The table is unchecked: #updated is missing: it may be cut short.'] : [],
    };
  }
  if (isIersTable(text)) {
    const table = parseIersTable(text);
    return { table, doubts: [MAY_BE_CUT, ...(table.expires === null ? [NO_EXPIRY] : [])] };
  }
  return parseList(text, isChecked);
}
