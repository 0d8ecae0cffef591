import { type FoundLeapTable, findLeapTable, readLeapTable } from '../leap/find.js';
import type { HostFiles } from './files.js';

/** Tables have some kB; more of a file is not read. */
const MOST_BYTES = 1 << 20;

/** How a table of leap seconds is chosen. */
export interface LeapTableChoice {
  /** A file of any format that can be read. Default: the table of the system, or this package's own, that covers most. */
  path?: string | undefined;
  /** False: a list of that path whose hash is missing or does not match is taken. */
  isChecked?: boolean;
}

/**
 * The table of leap seconds to use on a host: what `smear`, `inspect`, timekeeper and checks take alike.
 *
 * @throws LatchclockError `ERR_FILE` where a path cannot be read, `ERR_BAD_LEAP_TABLE` where what is there is malformed
 */
export function leapTableOf(
  files: HostFiles,
  { path, isChecked = true }: LeapTableChoice = {},
): FoundLeapTable {
  const read = (file: string): Uint8Array => files.read(file, MOST_BYTES);
  const now = BigInt(Math.floor(Date.now() / 1000));
  return path === undefined ? findLeapTable(read, now) : readLeapTable(read, path, now, isChecked);
}
