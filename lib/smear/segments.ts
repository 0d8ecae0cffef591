import { aBigint, aNumber, anObject, checkArgument, optional } from '../arguments.js';
import { LatchclockError } from '../errors.js';
import type { Segment } from '../page/segment.js';
import { isU64, maxBigint, minBigint, NS_PER_SEC, U64_MAX } from '../units.js';
import { holdCovered } from './coverage.js';
import { piecesOf } from './curve.js';
import { aSmear } from './guards.js';
import {
  add,
  ceiling,
  divide,
  floor,
  multiply,
  nearest,
  type Rational,
  rational,
  squareRoot,
  subtract,
} from './rational.js';
import { type Smear, smearedAt } from './smear.js';

/** A counter that counts TAI at a constant rate: the instant of a reading is exact. */
export interface TaiCounter {
  /** A reading, and its instant: ns since 1970 on the TAI scale. */
  readonly cycles: bigint;
  readonly taiNs: bigint;
  /** Hz, 1..2^53. */
  readonly hz: bigint;
}

/** How near segments are to be, and what they are to cover. */
export interface SegmentOptions {
  /** How far a segment may be off the smeared time, ns, its rounding to whole ns included; 0.6 to 1e9. Default 1. */
  boundNs?: number;
  /** The stretch to cover, ns since 1970 on the TAI scale. Default: the window of the smear. */
  fromTaiNs?: bigint;
  toTaiNs?: bigint;
}

const aCounter = anObject({ cycles: aBigint, taiNs: aBigint, hz: aBigint });
const someOptions = anObject({
  boundNs: optional(aNumber),
  fromTaiNs: optional(aBigint),
  toTaiNs: optional(aBigint),
});
const LEAST_BOUND_NS = 0.6;
const MOST_BOUND_NS = 1e9;
const MOST_SHIFT = 63n;
/** Of the bound, 1/2 ns goes to the rounding, and this much to `mult` and `scaledNs` being whole numbers. */
const FIXED_POINT_SHARE = rational(1n, 64n);
/** A `mult` that is off by 1/2 is off by less than 1/128 ns after `2^(shift - 6)` cycles. */
const FIXED_POINT_BITS = 6n;
const HALF = rational(1n, 2n);

function bad(what: string, todo: string): LatchclockError {
  return new LatchclockError('ERR_BAD_ARGUMENT', what, { where: 'segmentsOf', todo });
}

function chordBound(boundNs: number): Rational {
  if (!(boundNs >= LEAST_BOUND_NS && boundNs <= MOST_BOUND_NS)) {
    throw bad(`a bound of ${boundNs} ns is out of range`, `give ${LEAST_BOUND_NS} to ${MOST_BOUND_NS} ns`);
  }
  const bound = rational(BigInt(Math.floor(boundNs * 1e6)), 1_000_000n);
  return subtract(subtract(bound, HALF), FIXED_POINT_SHARE);
}

function instantOf({ cycles, taiNs, hz }: TaiCounter, reading: bigint): Rational {
  return rational(taiNs * hz + (reading - cycles) * NS_PER_SEC, hz);
}

/** The first reading at or after an instant. */
function readingFrom({ cycles, taiNs, hz }: TaiCounter, at: bigint): bigint {
  return cycles + ceiling(rational((at - taiNs) * hz, NS_PER_SEC));
}

/** Cycles over which a straight line through two points of a curve stays within `chord` ns of it: `c h^2 / 8`. */
function longestChord(curvature: Rational, hz: bigint, chord: Rational): bigint | null {
  if (curvature.numerator === 0n) return null;
  // In thousandths of a ns, or the root of a short window would be rounded to nothing.
  const squared = divide(multiply(rational(8_000_000n), chord), multiply(curvature, rational(NS_PER_SEC)));
  return maxBigint((squareRoot(squared) * hz) / (1000n * NS_PER_SEC), 1n);
}

interface Stretch {
  /** The reading after the last. */
  end: bigint;
  /** Cycles of a segment at most; null if the smear is straight here. */
  most: bigint | null;
}

/** The stretches between the kinks of the smear, up to a reading. */
function stretchesOf(smear: Smear, counter: TaiCounter, chord: Rational, to: bigint): Stretch[] {
  const kink = (ns: bigint): bigint => readingFrom(counter, smear.startNs + ns);
  const inside = piecesOf(smear.curve).map(({ endNs, curvature }) => ({
    end: kink(endNs),
    most: longestChord(curvature, counter.hz, chord),
  }));
  const all = [{ end: kink(0n), most: null }, ...inside, { end: to, most: null }];
  return all.map(({ end, most }) => ({ end: minBigint(end, to), most }));
}

/** The segment for at most `most` readings from `base` on: straight through the first and the last of them. */
function pieceOf(smear: Smear, counter: TaiCounter, base: bigint, most: bigint): Segment {
  const first = smearedAt(smear, instantOf(counter, base));
  const slopeTo = (length: bigint): Rational =>
    length === 1n
      ? rational(NS_PER_SEC, counter.hz)
      : divide(
          subtract(smearedAt(smear, instantOf(counter, base + length - 1n)), first),
          rational(length - 1n),
        );
  let length = most;
  let slope = slopeTo(length);
  let shift = MOST_SHIFT;
  // Down to 33 at the least: from one reading to the next at most 2 s pass on the smeared clock.
  while (nearest(multiply(slope, rational(1n << shift))) > U64_MAX) shift--;
  // Years long, and so straight: the slope stays what it is.
  const fixedPointLimit = 1n << (shift - FIXED_POINT_BITS);
  if (length > fixedPointLimit) {
    length = fixedPointLimit;
    slope = slopeTo(length);
  }
  const mult = nearest(multiply(slope, rational(1n << shift)));
  // 1/2 ns more: evaluation rounds down, and the nearest ns is wanted.
  const start = add(first, HALF);
  const wholeNs = floor(start);
  return {
    base,
    maxDelta: length,
    mult,
    shift: Number(shift),
    wholeNs,
    scaledNs: floor(multiply(subtract(start, rational(wholeNs)), rational(1n << shift))),
    outOfWindow: 'refuse',
  };
}

/**
 * The smeared clock as segments of a counter, one after the other without a gap, computed as they are asked for. At
 * each counter reading of its window the value of a segment ({@link evaluate}) is within `boundNs` of the smeared time:
 * 1/2 ns by rounding, 1/64 ns by fixed point, and the rest by being straight. A linear stretch is one segment. Values do
 * not go back from one segment to the next where a cycle is longer than 1/32 ns on the smeared clock (but at a step).
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT`, on the first segment, if an option is out of range, or if the stretch is
 *   empty, lies outside what 64 bits of the counter count, or outside what the table of leap seconds covers
 */
export function* segmentsOf(
  smear: Smear,
  counter: TaiCounter,
  options: SegmentOptions = {},
): Generator<Segment, void> {
  checkArgument('segmentsOf', 'smear', smear, aSmear);
  checkArgument('segmentsOf', 'counter', counter, aCounter);
  checkArgument('segmentsOf', 'options', options, someOptions);
  const { boundNs = 1, fromTaiNs = smear.startNs, toTaiNs = smear.endNs } = options;
  const chord = chordBound(boundNs);
  if (counter.hz < 1n || counter.hz > 1n << 53n) {
    throw bad(`a frequency of ${counter.hz} Hz is out of range`, 'give 1 to 2^53 Hz');
  }
  if (fromTaiNs >= toTaiNs) throw bad('the stretch is empty', 'give an end after the start');
  const [from, to] = [readingFrom(counter, fromTaiNs), readingFrom(counter, toTaiNs)];
  if (!isU64(from) || !isU64(to)) {
    throw bad('the counter does not count this stretch in 64 bits', 'give a stretch nearer to its reading');
  }
  let base = from;
  holdCovered(smear.coverage, fromTaiNs);
  // The end is no part of the stretch.
  holdCovered(smear.coverage, toTaiNs - 1n);
  for (const { end, most } of stretchesOf(smear, counter, chord, to)) {
    while (base < end) {
      const piece = pieceOf(smear, counter, base, minBigint(most ?? end - base, end - base));
      yield piece;
      base += piece.maxDelta;
    }
  }
}
