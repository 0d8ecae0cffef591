import type { RecordedPage } from '../host/page-recording.js';
import { type Addon, ClockPath, CounterMethod } from '../native/addon.js';
import { kernelSegment } from '../page/kernel-page.js';
import { CLOCK_IDS, type PageClockName } from '../page/posix-clocks.js';
import { evaluate } from '../page/segment.js';
import { maxBigint, minBigint } from '../units.js';
import { statesBetween } from './timeline.js';

/** A value that came through the vDSO, and the counter readings around the call. */
export interface VdsoSample {
  readonly clock: PageClockName;
  /** Cycles. */
  readonly before: bigint;
  readonly ns: bigint;
  /** Cycles. */
  readonly after: bigint;
}

/** Takes one. Throws what the vDSO or the counter throws. */
export function sampleVdso(addon: Addon, clock: PageClockName): VdsoSample {
  const before = addon.readCounter(CounterMethod['lfence-rdtsc']);
  const ns = addon.readClock(ClockPath.vdso, CLOCK_IDS[clock]);
  const after = addon.readCounter(CounterMethod['lfence-rdtsc']);
  return { clock, before, ns, after };
}

/**
 * How far a sample lies outside of what the pages that can have been in force give at the counter readings around it,
 * nanoseconds: above 0 if it is too late, below 0 if too early, 0 inside. Null where one of those pages was not recorded.
 */
export function outsideNs(
  { clock, before, ns, after }: VdsoSample,
  states: readonly RecordedPage[],
): bigint | null {
  const possible = statesBetween(states, before, after);
  if (possible === null) return null;
  const segments = possible.map(({ snapshot }) => kernelSegment(snapshot, clock));
  const least = segments.map((segment) => evaluate(segment, before)).reduce(minBigint);
  const most = segments.map((segment) => evaluate(segment, after)).reduce(maxBigint);
  return ns < least ? ns - least : ns > most ? ns - most : 0n;
}
