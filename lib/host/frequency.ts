import { LatchclockError } from '../errors.js';
import type { Addon } from '../native/addon.js';
import { ClockPath, CounterMethod } from '../native/addon.js';
import { CLOCK_IDS } from '../page/posix-clocks.js';
import { referencePath } from './reference-path.js';

/** A reading of monotonic-raw between two readings of the counter. */
export interface CounterAnchor {
  before: bigint;
  ns: bigint;
  after: bigint;
}

/** A measured frequency, with the bound that the brackets give. */
export interface MeasuredFrequency {
  hz: number;
  /** The true frequency relative to monotonic-raw lies within this, parts per million either way. */
  boundPpm: number;
  spanNs: bigint;
}

const TRIES = 200;

/**
 * The narrowest of many brackets: counter, monotonic-raw by system call (by the vDSO where that is refused), counter.
 *
 * @throws LatchclockError `ERR_CANNOT_RUN` if the counter ran backwards in every one; what the readings throw
 */
export function takeAnchor(addon: Addon): CounterAnchor {
  const path = ClockPath[referencePath(addon, 'monotonic-raw')];
  let best: CounterAnchor | null = null;
  for (let i = 0; i < TRIES; i++) {
    const before = addon.readCounter(CounterMethod['lfence-rdtsc']);
    const ns = addon.readClock(path, CLOCK_IDS['monotonic-raw']);
    const after = addon.readCounter(CounterMethod['lfence-rdtsc']);
    // Backwards: the thread went to a CPU whose counter is behind. That is no bracket, however narrow.
    if (after < before) continue;
    if (best === null || after - before < best.after - best.before) best = { before, ns, after };
  }
  if (best === null) {
    throw new LatchclockError('ERR_CANNOT_RUN', 'the counter ran backwards around every reading', {
      where: 'monotonic-raw',
      todo: 'keep the thread on one CPU',
    });
  }
  return best;
}

/**
 * The counter's frequency against monotonic-raw between two anchors. Between the two clock readings at least
 * `second.before - first.after` and at most `second.after - first.before` cycles passed, and the clock's values
 * are floors, so that the time between them is known to 1 ns either way.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if `second` is not at least 2 ns after `first`
 */
export function measureFrequency(first: CounterAnchor, second: CounterAnchor): MeasuredFrequency {
  const spanNs = second.ns - first.ns;
  if (spanNs < 2n) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', `a span of ${spanNs} ns tells no frequency`, {
      where: 'measureFrequency',
    });
  }
  const lowest = (Number(second.before - first.after) * 1e9) / (Number(spanNs) + 1);
  const highest = (Number(second.after - first.before) * 1e9) / (Number(spanNs) - 1);
  const hz = (lowest + highest) / 2;
  return { hz, boundPpm: ((highest - lowest) / 2 / hz) * 1e6, spanNs };
}
