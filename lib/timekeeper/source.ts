import type { Line } from './line.js';

/** What a source says of its clocks at one reading of the counter. */
export interface SourceSample {
  /** The counter when the sample was taken, cycles: readers cannot have a later one yet. */
  readonly cycles: bigint;
  /** The source's monotonic clock, and how it says that it goes on. */
  readonly monotonic: Line;
  /** The same of monotonic-raw, which nobody corrects. */
  readonly raw: Line;
  /** boottime - monotonic, ns. Whole ns, as the kernel's are. */
  readonly boottimeOffsetNs: bigint;
  /** realtime - monotonic, ns: UTC, as POSIX counts it. */
  readonly realtimeOffsetNs: bigint;
  /** The source's own TAI - UTC, seconds; 0 where it was never set. */
  readonly taiOffsetSeconds: number;
  /** How far `monotonic` and `raw` may be from the source's clocks at `cycles`, ns, rounded up: bracket, granularity. */
  readonly boundNs: bigint;
  /** How far the source's rate may be from the line's until the next sample, parts in 10^12. */
  readonly driftPpt: bigint;
  /** Changes whenever the counter's meaning may have; 0 where the source cannot tell. Loaded before the counter was read. */
  readonly generation: bigint;
}

/** Where a timekeeper has its time from. */
export interface TimeSource {
  readonly name: string;
  /** Whether it tells when the counter's meaning changes. */
  readonly hasGeneration: boolean;
  /** Whether nobody else corrects its clocks: then the owner of the timekeeper may. */
  readonly isFree: boolean;
  /** The counter's nominal frequency, Hz. */
  readonly hz: number;
  /**
   * One sample.
   *
   * @throws LatchclockError `ERR_SOURCE` where the source cannot be read, or can no longer be followed
   */
  sample(): SourceSample;
  /** The counter now, cycles. */
  counter(): bigint;
  /**
   * Takes its start anew, where its lines hang on a reading of the counter that was made once: the counter's meaning has
   * changed. Throws as {@link sample}.
   */
  restart?(): void;
  /** The generation of the counter now, as samples have it. Left out where the source cannot tell. */
  generation?(): bigint;
}
