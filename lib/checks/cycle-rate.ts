import { measureFrequency, takeAnchor } from '../host/frequency.js';
import { kernelCounterHz, orNull } from '../host/host.js';
import { declaredFrequencies } from './counter.js';
import { formatCount, formatHz, formatNs } from './format.js';
import type { CheckContext } from './model.js';

/** How many cycles the counter makes in a second, and who says so. */
export interface CycleRate {
  hz: number;
  /** `kernel's page`, `CPUID leaf 0x15`, `kernel log`, `measurement`, ... */
  by: string;
}

const WORST_BOUND_PPM = 10_000;

/**
 * The rate by which cycles are told as nanoseconds: the kernel's, where it counts by this counter; else what is
 * declared; else what was measured since the run began, if that is good to 1 %. Null where none is known.
 */
export function cycleRate(context: CheckContext): CycleRate | null {
  const { host, monitor } = context;
  const kernelHz = orNull(() => kernelCounterHz(host));
  if (kernelHz !== null) return { hz: kernelHz, by: "kernel's page" };
  const [declared] = declaredFrequencies(context);
  if (declared !== undefined) return { hz: declared.hz, by: declared.by };
  const first = monitor.observations[0]?.anchor;
  if (first === undefined) return null;
  const measured = orNull(() => measureFrequency(first, takeAnchor(host.addon)));
  return measured === null || measured.boundPpm > WORST_BOUND_PPM
    ? null
    : { hz: measured.hz, by: 'measurement' };
}

/** Cycles as nanoseconds, to a tenth; null where the rate is not known. */
export function nsOf(cycles: number, rate: CycleRate | null): number | null {
  return rate === null ? null : Math.round((cycles / rate.hz) * 1e10) / 10;
}

/** A cost for people: `24.1 ns`; in cycles where the rate is not known. */
export function formatCost(cycles: number, rate: CycleRate | null): string {
  const ns = nsOf(cycles, rate);
  return ns === null ? `${formatCount(Math.round(cycles))} cycles` : formatNs(ns);
}

/** `cycles to ns by kernel's page, 2596.136 MHz`. */
export function describeRate(rate: CycleRate | null): string {
  return rate === null ? 'no rate known for ns' : `cycles to ns by ${rate.by}, ${formatHz(rate.hz)}`;
}
