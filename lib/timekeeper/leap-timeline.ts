import { aPath, checkArgument, optional } from '../arguments.js';
import { machineFiles } from '../host/files.js';
import { leapTableOf } from '../host/leap-table.js';
import { type LeapTimeline, timelineOf } from '../smear/leap.js';

/**
 * The leap seconds of a table. Past the table's expiry functions that map times refuse to; `assumingNoLeaps` gives a
 * timeline with which they do.
 *
 * @param path a `leap-seconds.list`, tzdata's `leapseconds`, the `Leap_Second.dat` of IERS, or a compiled time zone file
 *   with leap seconds; default: of the sound ones of where systems keep them, and the copy that this package brings, the
 *   one that covers most
 * @throws LatchclockError `ERR_FILE` where a path cannot be read, `ERR_BAD_LEAP_TABLE` where what is there is malformed,
 *   `ERR_BAD_ARGUMENT` for what is no path
 */
export function leapTimeline(path?: string): LeapTimeline {
  checkArgument('leapTimeline', 'path', path, optional(aPath));
  return timelineOf(leapTableOf(machineFiles, { path }).table);
}
