import type { ScheduledChange } from './schedule.js';

/** Something that a timekeeper's owner may want to know of. Plain data. */
export type KeeperEvent = {
  readonly cycles: bigint;
} /** The window ended before the writer came: readers were refused for so long. */ & (
  | { readonly kind: 'late'; readonly gapNs: bigint }
  /** The source stepped its realtime; tai, sane-realtime and smeared-realtime follow from this reading on. */
  | { readonly kind: 'step'; readonly byNs: bigint }
  /** The machine slept: boottime gained on monotonic. */
  | { readonly kind: 'slept'; readonly byNs: bigint }
  /**
   * The source made a leap second. `lateNs`: how long after sane-realtime, which made it at its exact tick; until then
   * the two differed by a second. Null where this timekeeper knows of no such leap second.
   */
  | { readonly kind: 'source-leap'; readonly bySeconds: number; readonly lateNs: bigint | null }
  /** A scheduled change was made at its tick; `lateNs`: how long after it readers got the new line, 0 if in time. */
  | { readonly kind: 'change'; readonly change: ScheduledChange; readonly lateNs: bigint }
  /** The source turned out to be farther away than the bound said that had been published. */
  | { readonly kind: 'bound-exceeded'; readonly errorNs: bigint; readonly boundNs: bigint }
  /** The counter's meaning changed: clocks start anew from the source. */
  | { readonly kind: 'disrupted'; readonly generation: bigint }
);
