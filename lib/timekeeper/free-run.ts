import { type Line, scaledAt } from './line.js';
import { cyclesOf, type ScheduledChange, slewMult } from './schedule.js';

/** Parts of the unit of a rate. */
const PARTS = 1_000_000_000_000n;

/**
 * What monotonic is to be where nobody but the owner of the timekeeper corrects it: straight lines that meet at the ticks of
 * the changes made, exact. Immutable.
 */
export interface FreeRun {
  readonly line: Line;
  /** The source's own mult. */
  readonly nominalMult: bigint;
  /** What was set last, parts in 10^12. */
  readonly ratePpt: bigint;
  /** Where a slew ends; null while none goes on. */
  readonly slewEnd: bigint | null;
}

export function freeRunOf(line: Line): FreeRun {
  return { line, nominalMult: line.mult, ratePpt: 0n, slewEnd: null };
}

function turned(free: FreeRun, tick: bigint, mult: bigint): Line {
  return { ...free.line, base: tick, scaledNs: scaledAt(free.line, tick), mult };
}

/** The mult of a rate, rounded down: off by less than `2^-shift` ns a cycle. */
function multOf({ nominalMult }: FreeRun, ratePpt: bigint): bigint {
  return (nominalMult * (PARTS + ratePpt)) / PARTS;
}

/** With a change made at its tick. Other changes than of the rate leave it as it is. */
export function withChange(free: FreeRun, change: ScheduledChange, tick: bigint): FreeRun {
  if (change.kind === 'frequency') {
    const { ratePpt } = change;
    // A slew's length was foreseen by the rate of then, and may reach into what was to come after it.
    const slew = free.slewEnd === null ? 0n : free.line.mult - multOf(free, free.ratePpt);
    return { ...free, line: turned(free, tick, multOf(free, ratePpt) + slew), ratePpt };
  }
  if (change.kind !== 'slew') return free;
  const extra = slewMult(change, free.line.mult);
  const line = turned(free, tick, free.line.mult + (change.byNs < 0n ? -extra : extra));
  return { ...free, line, slewEnd: tick + cyclesOf(change, free.line) };
}

/** With a slew that ends at or before a reading ended at its tick. */
export function withSlewEnded(free: FreeRun, cycles: bigint): FreeRun {
  if (free.slewEnd === null || free.slewEnd > cycles) return free;
  return { ...free, line: turned(free, free.slewEnd, multOf(free, free.ratePpt)), slewEnd: null };
}
