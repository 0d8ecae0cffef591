import { setTimeout as sleep } from 'node:timers/promises';
import { LatchclockError } from '../errors.js';
import type { Addon, ClockPathId } from '../native/addon.js';
import { ClockPath, CounterMethod } from '../native/addon.js';
import { CLOCK_IDS } from '../page/posix-clocks.js';
import { referencePath } from './reference-path.js';

/** How a clock moves, as readings in a row show it. */
export interface ClockStep {
  /** At most so much does a value lie behind its time, nanoseconds; an upper bound of the clock's own step. */
  stepNs: bigint;
  /** Whether readings in a row were equal: the step is then the clock's, and not the time that a reading takes. */
  stoodStill: boolean;
}

/** A reading of monotonic-raw between two readings of the counter. */
export interface CounterAnchor extends ClockStep {
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

/** What values of whole nanoseconds are off by, one against another. */
const ROUNDING_NS = 2n;

/**
 * The step of a clock from readings in a row, ascending or equal: the least of their differences, and of the distances
 * between these. All are multiples of the step, but for the rounding to whole nanoseconds, so that neither is below it.
 * Null if the clock did not move.
 */
export function clockStepOf(values: readonly bigint[]): ClockStep | null {
  const differences = values.slice(1).map((value, index) => value - (values[index] as bigint));
  const moves = [...new Set(differences.filter((one) => one > 0n))].toSorted((a, b) => Number(a - b));
  const [least] = moves;
  if (least === undefined) return null;
  let stepNs = least;
  for (const [index, move] of moves.slice(1).entries()) {
    const apart = move - (moves[index] as bigint);
    if (apart > ROUNDING_NS && apart < stepNs) stepNs = apart;
  }
  return { stepNs, stoodStill: differences.includes(0n) };
}

/** The coarsest step of a clock that the counter is measured against, nanoseconds: above it nothing is told in a run. */
export const COARSEST_REFERENCE_NS = 1_000n;

/** Whether the counter can be measured against a clock that moves so. */
export function isReference({ stepNs, stoodStill }: ClockStep): boolean {
  return !stoodStill || stepNs <= COARSEST_REFERENCE_NS;
}

export const REFERENCE_REMEDY =
  "let the kernel count by a finer clocksource (tsc, kvm-clock, hpet, acpi_pm: 'available_clocksource' in " +
  '/sys/devices/system/clocksource/clocksource0 has those of this host)';

/**
 * Refuses a clock that is no reference.
 *
 * @throws LatchclockError `ERR_CANNOT_RUN`
 */
export function requireReference(step: ClockStep): void {
  if (isReference(step)) return;
  throw new LatchclockError(
    'ERR_CANNOT_RUN',
    `monotonic-raw moves in steps of ${step.stepNs} ns: the counter cannot be measured against it`,
    { where: 'clocksource', todo: REFERENCE_REMEDY },
  );
}

const TRIES = 200;
const BURST = 1_000;
/** Readings take a tenth of a microsecond or more: as many as the longest tick, 10 ms, has room for, and some. */
const MOST_BURSTS = 400;
/** Of a clock that was not seen to move at all. */
const STANDING_NS = 1_000_000_000n;

/** Of a coarse clock: one move may have been a longer one, over which the thread was kept off its CPU. */
const LEAST_MOVES = 4;

/** Reads on until the clock has moved some times: one that moves with the kernel's tick has not, in some hundred readings. */
function stepFrom(addon: Addon, path: ClockPathId, seen: readonly bigint[]): ClockStep {
  const burst = new BigInt64Array(BURST);
  // Each value once.
  const moves: bigint[] = [];
  let stoodStill = false;
  const take = (values: Iterable<bigint>): void => {
    for (const value of values) {
      if (value === moves.at(-1)) stoodStill = true;
      else moves.push(value);
    }
  };
  take(seen);
  for (let bursts = 0; moves.length <= LEAST_MOVES && bursts < MOST_BURSTS; bursts++) {
    addon.readClocks(path, CLOCK_IDS['monotonic-raw'], burst);
    take(burst);
  }
  const step = clockStepOf(moves);
  return step === null ? { stepNs: STANDING_NS, stoodStill: true } : { stepNs: step.stepNs, stoodStill };
}

/**
 * How monotonic-raw moves: all clocks of the kernel that are not coarse move so, since one clocksource is behind them.
 *
 * @throws LatchclockError what the readings throw
 */
export function measureClockStep(addon: Addon): ClockStep {
  return stepFrom(addon, ClockPath[referencePath(addon, 'monotonic-raw')], []);
}

/**
 * The narrowest of many brackets: counter, monotonic-raw by system call (by the vDSO where that is refused), counter; and
 * the step of monotonic-raw.
 *
 * @throws LatchclockError `ERR_CANNOT_RUN` if the counter ran backwards in every one; what the readings throw
 */
export function takeAnchor(addon: Addon): CounterAnchor {
  const path = ClockPath[referencePath(addon, 'monotonic-raw')];
  let best: Pick<CounterAnchor, 'before' | 'ns' | 'after'> | null = null;
  const values: bigint[] = [];
  for (let i = 0; i < TRIES; i++) {
    const before = addon.readCounter(CounterMethod['lfence-rdtsc']);
    const ns = addon.readClock(path, CLOCK_IDS['monotonic-raw']);
    const after = addon.readCounter(CounterMethod['lfence-rdtsc']);
    values.push(ns);
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
  return { ...best, ...stepFrom(addon, path, values) };
}

/** What the time between two readings is uncertain by, either way, nanoseconds: 1 at least. */
export function largerStepNs(a: ClockStep, b: ClockStep): bigint {
  const larger = a.stepNs > b.stepNs ? a.stepNs : b.stepNs;
  return larger > 1n ? larger : 1n;
}

/**
 * The counter's frequency against monotonic-raw between two anchors. Between the two clock readings at least
 * `second.before - first.after` and at most `second.after - first.before` cycles passed, and the clock's values
 * are floors to its step, so that the time between them is known to a step either way (1 ns at least).
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if `second` is not more than a step after `first`
 */
export function measureFrequency(first: CounterAnchor, second: CounterAnchor): MeasuredFrequency {
  const spanNs = second.ns - first.ns;
  const stepNs = largerStepNs(first, second);
  if (spanNs <= stepNs) {
    throw new LatchclockError(
      'ERR_BAD_ARGUMENT',
      `a span of ${spanNs} ns tells no frequency by a clock with steps of ${stepNs} ns`,
      { where: 'measureFrequency' },
    );
  }
  const lowest = (Number(second.before - first.after) * 1e9) / Number(spanNs + stepNs);
  const highest = (Number(second.after - first.before) * 1e9) / Number(spanNs - stepNs);
  const hz = (lowest + highest) / 2;
  return { hz, boundPpm: ((highest - lowest) / 2 / hz) * 1e6, spanNs };
}

/** A span of so many steps of the clock gives the counter's rate to a twentieth. */
const LEAST_STEPS = 20n;

/**
 * The counter's frequency against monotonic-raw over `milliseconds`, or over twenty steps of the clock where that takes
 * longer.
 *
 * @throws LatchclockError as {@link takeAnchor}
 */
export async function measureCounter(addon: Addon, milliseconds: number): Promise<MeasuredFrequency> {
  const first = takeAnchor(addon);
  for (;;) {
    await sleep(milliseconds);
    const last = takeAnchor(addon);
    if (last.ns - first.ns >= LEAST_STEPS * largerStepNs(first, last)) return measureFrequency(first, last);
  }
}
