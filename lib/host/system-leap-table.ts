import { LatchclockError } from '../errors.js';
import { type LeapTable, parseLeapSecondsList } from '../leap-table.js';
import { type HostFiles, readText } from './files.js';

/** Where distributions keep the IERS list, the likeliest first. */
const PATHS = [
  '/usr/share/zoneinfo/leap-seconds.list',
  '/usr/share/lib/zoneinfo/leap-seconds.list',
  '/etc/ntp/leap-seconds.list',
  '/etc/leap-seconds.list',
];

export interface SystemLeapTable {
  path: string;
  table: LeapTable;
}

/**
 * The system's table of leap seconds.
 *
 * @throws LatchclockError `ERR_FILE` if there is none, `ERR_BAD_LEAP_TABLE` if it is malformed
 */
export function readSystemLeapTable(files: HostFiles): SystemLeapTable {
  for (const path of PATHS) {
    let text: string;
    try {
      text = readText(files, path);
    } catch {
      continue;
    }
    return { path, table: parseLeapSecondsList(text) };
  }
  throw new LatchclockError('ERR_FILE', 'no table of leap seconds', {
    where: PATHS.join(', '),
    todo: 'install tzdata',
  });
}
