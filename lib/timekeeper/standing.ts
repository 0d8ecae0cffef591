import type { Line } from './line.js';
import type { RealtimePreference } from './view.js';

/** A clock's line without its base and shift, which the clocks of a standing have in common. */
export type Slope = Pick<Line, 'scaledNs' | 'mult'>;

/**
 * How all clocks stand from one counter reading to another: what one copy of a page says. The mult of monotonic,
 * boottime, tai and sane-realtime is one, `shared`, and they differ by whole nanoseconds: a rate that differs cannot be
 * said here.
 */
export interface Standing {
  /** The counter from which it holds, cycles. */
  readonly base: bigint;
  /** The counter at which it holds no longer, cycles. */
  readonly end: bigint;
  /** Of all lines: 0..63. */
  readonly shift: number;
  /** The generation that it was computed for. */
  readonly generation: bigint;
  /** monotonic. */
  readonly shared: Slope;
  /** boottime - monotonic, tai - monotonic, sane-realtime - monotonic; ns. */
  readonly boottimeOffsetNs: bigint;
  readonly taiOffsetNs: bigint;
  readonly saneOffsetNs: bigint;
  readonly smeared: Slope;
  readonly raw: Slope;
  /** How far any clock may be from the source's at the same counter, ns; it grows along the standing as a clock does. */
  readonly bound: Slope;
  /** What `realtime` is, a page each. */
  readonly preferences: readonly RealtimePreference[];
}
