import { atLeast, type Version } from './guest.ts';

/**
 * Whether a kernel counts by the TSC of two CPUs under emulation. Without a constant TSC, and without Intel's name, 5.10
 * and 6.1 call two counters unsynchronised, and do not look; 6.12 and later say so of two sockets only.
 */
export function trustsTwoCpus(version: Version): boolean {
  return atLeast(version, [6, 12]);
}

/** What a kernel counts by on two emulated CPUs. */
export function clocksourceOfTwoCpus(version: Version): string {
  return trustsTwoCpus(version) ? 'tsc' : 'hpet';
}
