import { LatchclockError } from '../errors.js';
import type { FoundLeapTable } from './find-leap-table.js';
import { parseInstant, parseLeapDay } from './instant.js';
import { type Leap, type LeapTimeline, nearestLeap, timelineOf, withLeap } from './leap.js';

/** The leap second that a question is about, and where it is known from. */
export interface Scene {
  readonly table: FoundLeapTable;
  readonly timeline: LeapTimeline;
  readonly leap: Leap;
}

/**
 * The scene of the leap second of a day, `2016-12-31` or, negative, `-2016-12-31`, which the table need not have;
 * without a day, of the table's last.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if the text is no day or the table has no leap second
 */
export function sceneOf(table: FoundLeapTable, day?: string): Scene {
  const timeline = timelineOf(table.table);
  if (day !== undefined) {
    const { unixSeconds, sign } = parseLeapDay(day, timeline);
    return { table, ...withLeap(timeline, unixSeconds, sign) };
  }
  const leap = timeline.leaps.at(-1);
  if (leap === undefined) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', 'the table has no leap second', {
      where: table.source,
      todo: 'suppose one by --leap DATE',
    });
  }
  return { table, timeline, leap };
}

/**
 * An instant (see {@link parseInstant}) and its scene: without a day, an instant that names no leap second is seen from
 * the nearest one.
 */
export function sceneAt(table: FoundLeapTable, text: string, day?: string): { scene: Scene; taiNs: bigint } {
  const scene = sceneOf(table, day);
  const taiNs = parseInstant(text, scene.timeline, scene.leap);
  const isRelative = day !== undefined || text.startsWith('L');
  return {
    scene: isRelative ? scene : { ...scene, leap: nearestLeap(scene.timeline, taiNs) ?? scene.leap },
    taiNs,
  };
}
