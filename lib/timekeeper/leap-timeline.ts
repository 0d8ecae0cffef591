import { aPath, checkArgument, optional } from '../arguments.js';
import { machineFiles, readText } from '../host/files.js';
import { findLeapTable, readLeapTable } from '../smear/find-leap-table.js';
import { type LeapTimeline, timelineOf } from '../smear/leap.js';

/**
 * The leap seconds of a table.
 *
 * @param path a `leap-seconds.list`, or tzdata's `leapseconds`; default: the first sound one of where systems keep them,
 *   else the copy that this package brings
 * @throws LatchclockError `ERR_FILE` where a path cannot be read, `ERR_BAD_LEAP_TABLE` where what is there is malformed,
 *   `ERR_BAD_ARGUMENT` for what is no path
 */
export function leapTimeline(path?: string): LeapTimeline {
  checkArgument('leapTimeline', 'path', path, optional(aPath));
  const read = (file: string): string => readText(machineFiles, file);
  const now = BigInt(Math.floor(Date.now() / 1000));
  return timelineOf((path === undefined ? findLeapTable(read, now) : readLeapTable(read, path, now)).table);
}
