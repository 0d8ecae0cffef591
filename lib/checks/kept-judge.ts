import type { OwnClockName } from '../page/clock-page.js';
import {
  add,
  compare,
  magnitude,
  multiply,
  ONE,
  type Rational,
  rational,
  subtract,
  toNumber,
} from '../smear/rational.js';
import { largestRate, rateAt, type Smear, smearedAt } from '../smear/smear.js';
import { maxBigint, NS_PER_SEC } from '../units.js';
import type { Reading } from './kept-page.js';
import type { Evidence } from './model.js';

/** ns by which a timekeeper's straight lines may be off a smear: 1/16 for a curve, less than that for the rest. */
const LINE_NS = rational(1n, 8n);
const MOST_EXAMPLES = 4;
const ZERO = rational(0n);

/** Clocks that never go back by themselves. The others step at a positive leap second. */
const STEADY: readonly OwnClockName[] = ['monotonic-raw', 'monotonic', 'boottime', 'tai'];
const STEPPING: readonly OwnClockName[] = ['sane-realtime', 'realtime'];

/** A reading, as evidence. */
export function readingEvidence({ cycles, boundNs, ns }: Reading): Evidence {
  return { cycles, boundNs, ...ns };
}

/**
 * Holds readings of a page, in order, against a leap second and the policy that smears it: each against the policy's own
 * arithmetic for the tai of the same reading, and against the one before it.
 */
export class SmearJudge {
  readonly smear: Smear;
  readings = 0;
  /** Readings in which smeared-realtime was not the policy's, sane-realtime not tai by whole seconds, realtime neither. */
  smearedOff = 0;
  saneOff = 0;
  realtimeOff = 0;
  /** Clocks below the reading before. */
  backwards = 0;
  worstBackNs = 0n;
  unbounded = 0;
  largestBoundNs = 0n;
  /** Farthest that smeared-realtime was from the policy for the whole ns of tai, both rounded down. */
  farthestNs = 0;
  readonly examples: Evidence[] = [];
  readonly #lowest: Rational;
  readonly #highest: Rational;
  #last: Reading | null = null;

  constructor(smear: Smear) {
    this.smear = smear;
    const rate = largestRate(smear) ?? ZERO;
    // The end of a window lies between two readings of the counter, less than a ns apart: a line may end there.
    const slack = add(LINE_NS, magnitude(rate));
    // tai and smeared-realtime are rounded down, each by less than 1 ns.
    this.#lowest = subtract(ZERO, add(ONE, slack));
    this.#highest = add(add(ONE, rate.numerator > 0n ? rate : ZERO), slack);
  }

  /** What the two roundings and the line leave open, ns. */
  get toleranceNs(): number {
    return toNumber(this.#highest);
  }

  take(reading: Reading): void {
    const { ns, boundNs } = reading;
    const { leap } = this.smear;
    this.readings++;
    if (boundNs === null) this.unbounded++;
    else this.largestBoundNs = maxBigint(this.largestBoundNs, boundNs);
    const offset = ns.tai >= leap.taiNs ? leap.taiOffsetAfter : leap.taiOffsetBefore;
    const isSaneOff = ns['sane-realtime'] !== ns.tai - BigInt(offset) * NS_PER_SEC;
    const off = subtract(rational(ns['smeared-realtime']), smearedAt(this.smear, ns.tai));
    const isSmearedOff = compare(off, this.#lowest) <= 0 || compare(off, this.#highest) > 0;
    const isRealtimeOff = ns.realtime !== ns['sane-realtime'] && ns.realtime !== ns['smeared-realtime'];
    this.farthestNs = Math.max(this.farthestNs, Math.abs(toNumber(off)));
    this.saneOff += Number(isSaneOff);
    this.smearedOff += Number(isSmearedOff);
    this.realtimeOff += Number(isRealtimeOff);
    if (isSaneOff || isSmearedOff || isRealtimeOff) this.#keep(reading);
    this.#order(reading);
    this.#last = reading;
  }

  get wrong(): number {
    return this.smearedOff + this.saneOff + this.realtimeOff + this.backwards;
  }

  #order(reading: Reading): void {
    const last = this.#last;
    if (last === null) return;
    const { leap, curve } = this.smear;
    const isAcross = last.ns.tai < leap.taiNs && reading.ns.tai >= leap.taiNs;
    const steps = isAcross ? [] : STEPPING;
    // Where the policy is a step, smeared-realtime steps too.
    const smeared = isAcross && curve.shape === 'step' ? [] : (['smeared-realtime'] as const);
    for (const clock of [...STEADY, ...smeared, ...steps]) {
      const back = last.ns[clock] - reading.ns[clock];
      if (back <= 0n) continue;
      this.backwards++;
      this.worstBackNs = maxBigint(this.worstBackNs, back);
      this.#keep(reading);
    }
  }

  #keep(reading: Reading): void {
    if (this.examples.length < MOST_EXAMPLES) this.examples.push(readingEvidence(reading));
  }
}

/** A rate as it was measured, and what the policy says of it. Parts, dimensionless: the rate less 1. */
export interface MeasuredRate {
  readonly measured: Rational;
  /** The policy's least and greatest between the two readings. */
  readonly least: Rational;
  readonly greatest: Rational;
  /** How far the measured rate may be off: the rounding of four values, over the time between the readings. */
  readonly tolerance: Rational;
  readonly isRight: boolean;
}

/**
 * The rate of smeared-realtime beside tai, and so beside sane-realtime, from one reading to a later one, between which the
 * policy's rate does not turn (so that it is between those at the two). Null where no time has passed.
 */
function rateBetween(smear: Smear, from: Reading, to: Reading): MeasuredRate | null {
  const elapsed = to.ns.tai - from.ns.tai;
  if (elapsed <= 0n) return null;
  const gained = to.ns['smeared-realtime'] - from.ns['smeared-realtime'] - elapsed;
  const measured = rational(gained, elapsed);
  // The rate at a kink is that after it: a reading just before the end tells what was until then.
  const rates = [rateAt(smear, from.ns.tai), rateAt(smear, to.ns.tai)];
  const [least, greatest] = rates.toSorted(compare) as [Rational, Rational];
  const steepest = magnitude(largestRate(smear) ?? ZERO);
  const roundings = multiply(rational(2n), add(add(ONE, steepest), LINE_NS));
  const tolerance = multiply(roundings, rational(1n, elapsed));
  const isRight =
    compare(measured, subtract(least, tolerance)) >= 0 && compare(measured, add(greatest, tolerance)) <= 0;
  return { measured, least, greatest, tolerance, isRight };
}

/** A rate in ppm, for people and evidence. */
export function ppmOf(rate: Rational): number {
  return toNumber(rate) * 1e6;
}

/** What a stretch of readings says of the rate, as evidence. */
export function rateEvidence(
  smear: Smear,
  from: Reading | null,
  to: Reading | null,
): { isRight: boolean; rate: Evidence } | null {
  const rate = from === null || to === null ? null : rateBetween(smear, from, to);
  if (rate === null || from === null || to === null) return null;
  const perRaw = (clock: OwnClockName): number =>
    (Number(to.ns[clock] - from.ns[clock]) / Number(to.ns['monotonic-raw'] - from.ns['monotonic-raw']) - 1) *
    1e6;
  return {
    isRight: rate.isRight,
    rate: {
      measuredPpm: ppmOf(rate.measured),
      leastPpm: ppmOf(rate.least),
      greatestPpm: ppmOf(rate.greatest),
      tolerancePpm: ppmOf(rate.tolerance),
      taiBesideRawPpm: perRaw('tai'),
      smearedBesideRawPpm: perRaw('smeared-realtime'),
    },
  };
}
