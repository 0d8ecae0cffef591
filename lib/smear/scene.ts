import { LatchclockError } from '../errors.js';
import type { FoundLeapTable } from '../leap/find.js';
import { parseInstant, parseLeapDay } from './instant.js';
import { assumingNoLeaps, type Leap, type LeapTimeline, nearestLeap, timelineOf, withLeap } from './leap.js';

/** The leap second that a question is about, and where it is known from. */
export interface Scene {
  readonly table: FoundLeapTable;
  readonly timeline: LeapTimeline;
  readonly leap: Leap;
  /** The table's expiry, Unix seconds, where no leap second is assumed from then on; null: nothing is assumed. */
  readonly assumesNoLeapsFrom: bigint | null;
}

/** What a question supposes. */
export interface Suppositions {
  /**
   * The day that a leap second ends: `2016-12-31` or, negative, `-2016-12-31`. The table need not have it. Default: its
   * last.
   */
  day?: string | undefined;
  /** That no leap second comes after the table's expiry. */
  noLeaps?: boolean;
}

/**
 * The scene of the leap second of a day, or, without a day, of the table's last.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if the text is no day or the table has no leap second
 */
export function sceneOf(table: FoundLeapTable, { day, noLeaps = false }: Suppositions = {}): Scene {
  const told = timelineOf(table.table);
  // Beyond a leap second that is supposed there is no expiry either.
  const assumesNoLeapsFrom = noLeaps ? told.expires : null;
  const timeline = noLeaps ? assumingNoLeaps(told) : told;
  if (day !== undefined) {
    const { unixSeconds, sign } = parseLeapDay(day, timeline);
    return { table, ...withLeap(timeline, unixSeconds, sign), assumesNoLeapsFrom };
  }
  const leap = timeline.leaps.at(-1);
  if (leap === undefined) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', 'the table has no leap second', {
      where: table.source,
      todo: 'suppose one by --leap DATE',
    });
  }
  return { table, timeline, leap, assumesNoLeapsFrom };
}

/**
 * An instant (see {@link parseInstant}) and its scene: without a day, an instant that names no leap second is seen from
 * the nearest one.
 */
export function sceneAt(
  table: FoundLeapTable,
  text: string,
  suppositions: Suppositions = {},
): { scene: Scene; taiNs: bigint } {
  const scene = sceneOf(table, suppositions);
  const taiNs = parseInstant(text, scene.timeline, scene.leap);
  const isRelative = suppositions.day !== undefined || text.startsWith('L');
  return {
    scene: isRelative ? scene : { ...scene, leap: nearestLeap(scene.timeline, taiNs) ?? scene.leap },
    taiNs,
  };
}
