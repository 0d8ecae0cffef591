import { maxBigint, minBigint } from '../units.js';
import { piecesOf } from './curve.js';
import {
  add,
  compare,
  divide,
  floor,
  magnitude,
  multiply,
  type Rational,
  rational,
  reduced,
  subtract,
  toNumber,
} from './rational.js';
import { offsetAt, offsetBefore, rateAt, type Smear } from './smear.js';

/** How far apart two smears of one leap second are: `a - b`, ns, at the worst. */
export interface Difference {
  /** Signed. If not {@link isExact}, no difference is greater by more than 1/4 ns. */
  readonly worst: Rational;
  /** TAI, ns since 1970: the first instant, to the ns before it, at which it is this large. */
  readonly atNs: bigint;
  /** True if it is this large just before the instant, and no longer at it: a step. */
  readonly isJustBefore: boolean;
  /** False where a cosine is involved: then the worst was searched for, not solved for. */
  readonly isExact: boolean;
  /** The stretch outside of which they are equal, TAI, ns; null if they are equal throughout. */
  readonly apart: { readonly fromNs: bigint; readonly toNs: bigint } | null;
}

/** No interval is searched further that cannot hold a difference greater than the greatest found by this, ns. */
const TOLERANCE_NS = 0.25;
/** More than what floating point makes of a second in ns. */
const FLOAT_NOISE_NS = 1e-6;
const FIRST_PARTS = 64n;

interface Best {
  worst: Rational;
  atNs: bigint;
  isJustBefore: boolean;
}

/** `a - b` at an instant, exact but for cosines (see {@link offsetAt}). */
export function differenceAt(a: Smear, b: Smear, taiNs: bigint | Rational): Rational {
  return subtract(offsetAt(a, taiNs), offsetAt(b, taiNs));
}

/** What `a - b` comes to from before an instant: another than at it where one of them steps. */
function differenceBefore(a: Smear, b: Smear, taiNs: bigint | Rational): Rational {
  return subtract(offsetBefore(a, taiNs), offsetBefore(b, taiNs));
}

/** Instants between which both smears change smoothly, ascending. */
function knotsOf(a: Smear, b: Smear): bigint[] {
  const knots = [a, b].flatMap((smear) => [
    smear.startNs,
    ...piecesOf(smear.curve).map(({ endNs }) => smear.startNs + endNs),
  ]);
  return [...new Set(knots)].toSorted((x, y) => (x < y ? -1 : 1));
}

/** The curvature bound of a smear between two neighbouring knots, a ns, and whether it is a cosine there. */
function curvatureIn({ curve, startNs }: Smear, from: bigint): { perNs: number; isCosine: boolean } {
  const piece = piecesOf(curve).find((one) => from >= startNs + one.startNs && from < startNs + one.endNs);
  const perNs = piece === undefined ? 0 : toNumber(piece.curvature) * 1e9;
  return { perNs, isCosine: piece !== undefined && curve.shape === 'cosine' };
}

function consider(best: Best, worst: Rational, atNs: bigint, isJustBefore = false): void {
  if (compare(magnitude(worst), magnitude(best.worst)) > 0) {
    Object.assign(best, { worst: reduced(worst), atNs, isJustBefore });
  }
}

/** Between knots without a cosine the difference is a parabola: its vertex, where that lies inside. */
function considerVertex(best: Best, a: Smear, b: Smear, from: bigint, to: bigint): void {
  const rate = (at: Rational): Rational => subtract(rateAt(a, at), rateAt(b, at));
  const start = rate(rational(from));
  // The rate at the end may already be that of the next stretch: it is continued from the middle.
  const middle = rate(rational(from + to, 2n));
  const end = subtract(multiply(rational(2n), middle), start);
  if (start.numerator * end.numerator >= 0n) return;
  const share = divide(start, subtract(start, end));
  const at = add(rational(from), multiply(share, rational(to - from)));
  consider(best, differenceAt(a, b, at), floor(at));
}

/**
 * Branch and bound: between two instants `h` ns apart the difference exceeds those at its ends by at most
 * `curvature * h^2 / 8`.
 */
function considerInside(
  best: Best,
  a: Smear,
  b: Smear,
  [from, to]: readonly [bigint, bigint],
  curvature: number,
): void {
  interface Interval {
    from: bigint;
    to: bigint;
    atFrom: number;
    atTo: number;
  }
  const look = (at: bigint): number => {
    // The limit at the end is told apart where it is no value.
    const exact = at < to ? differenceAt(a, b, at) : differenceBefore(a, b, at);
    if (at < to) consider(best, exact, at);
    return Math.abs(toNumber(exact));
  };
  const open: Interval[] = [];
  let before = { at: from, value: look(from) };
  for (let part = 1n; part <= FIRST_PARTS; part++) {
    const at = from + ((to - from) * part) / FIRST_PARTS;
    const value = look(at);
    open.push({ from: before.at, to: at, atFrom: before.value, atTo: value });
    before = { at, value };
  }
  for (let interval = open.pop(); interval !== undefined; interval = open.pop()) {
    const { from: start, to: end, atFrom, atTo } = interval;
    const length = Number(end - start);
    const most = Math.max(atFrom, atTo) + (curvature * length * length) / 8 + FLOAT_NOISE_NS;
    if (length <= 1 || most <= Math.abs(toNumber(best.worst)) + TOLERANCE_NS) continue;
    const middle = (start + end) / 2n;
    const value = look(middle);
    open.push({ from: start, to: middle, atFrom, atTo: value });
    open.push({ from: middle, to: end, atFrom: value, atTo });
  }
}

/** What makes two curves of one shape and one window differ. */
function parameterOf({ curve }: Smear): bigint {
  switch (curve.shape) {
    case 'step':
      return 0n;
    case 'quadratic':
      return curve.rampNs;
    default:
      return curve.spanNs;
  }
}

function isSame(a: Smear, b: Smear): boolean {
  const isOneWindow = a.startNs === b.startNs && a.endNs === b.endNs;
  return isOneWindow && a.curve.shape === b.curve.shape && parameterOf(a) === parameterOf(b);
}

/** The greatest difference of two smears of one leap second, and where it is. */
export function largestDifference(a: Smear, b: Smear): Difference {
  const knots = knotsOf(a, b);
  const fromNs = minBigint(a.startNs, b.startNs);
  const toNs = maxBigint(a.endNs, b.endNs);
  const best: Best = { worst: rational(0n), atNs: fromNs, isJustBefore: false };
  if (isSame(a, b)) return { ...best, isExact: true, apart: null };
  let isExact = true;
  for (const [i, to] of knots.entries()) {
    const from = knots[i - 1] ?? to - 1n;
    const [inA, inB] = [curvatureIn(a, from), curvatureIn(b, from)];
    if (inA.isCosine || inB.isCosine) {
      isExact = false;
      considerInside(best, a, b, [from, to], inA.perNs + inB.perNs);
    } else {
      considerVertex(best, a, b, from, to);
    }
    const at = differenceAt(a, b, to);
    const before = differenceBefore(a, b, to);
    consider(best, before, to, compare(before, at) !== 0);
    consider(best, at, to);
  }
  return { ...best, isExact, apart: { fromNs, toNs } };
}

/** Two smears, by their places in a list, and how far apart they are. */
export interface Pair {
  readonly a: number;
  readonly b: number;
  readonly difference: Difference;
}

/** The largest differences of all pairs of a list, each once, `a` before `b`. */
export function allDifferences(smears: readonly Smear[]): Pair[] {
  return smears.flatMap((first, a) =>
    smears.slice(a + 1).map((second, i) => ({
      a,
      b: a + 1 + i,
      difference: largestDifference(first, second),
    })),
  );
}
