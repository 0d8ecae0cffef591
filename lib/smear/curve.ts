import { LARGEST_CURVATURE, LARGEST_SLOPE, raisedCosine, raisedCosineSlope } from './half-turn.js';
import { compare, divide, multiply, ONE, type Rational, rational, subtract, ZERO } from './rational.js';

/**
 * How much of a leap is done after how much of a smear's window, each from 0 to 1:
 *
 * - `step`: all at once, in a window of no length;
 * - `linear`: at a constant rate;
 * - `cosine`: `(1 - cos(pi u / window)) / 2`;
 * - `quadratic`: the rate rises linearly for `rampNs`, stays, and falls again for `rampNs` (chrony's `smoothtime`).
 *
 * A linear or a cosine curve would be done after `spanNs`. Where its window ends before that, what is left of the leap is
 * a step at the window's end.
 */
export type Curve =
  | { readonly shape: 'step'; readonly windowNs: 0n }
  | { readonly shape: 'linear' | 'cosine'; readonly windowNs: bigint; readonly spanNs: bigint }
  | { readonly shape: 'quadratic'; readonly windowNs: bigint; readonly rampNs: bigint };

/** The shape of a {@link Curve}. */
export type Shape = Curve['shape'];

/** Largest rate of a quadratic curve, a ns: the area under the trapezoid of rates is 1. */
function plateau({ windowNs, rampNs }: { windowNs: bigint; rampNs: bigint }): Rational {
  return rational(1n, windowNs - rampNs);
}

function rampShare(curve: { windowNs: bigint; rampNs: bigint }, elapsedNs: Rational): Rational {
  return divide(multiply(multiply(elapsedNs, elapsedNs), plateau(curve)), rational(2n * curve.rampNs));
}

/** The share inside the window, its end included: there it is what the share comes to before a step. */
function shareInside(curve: Exclude<Curve, { shape: 'step' }>, elapsedNs: Rational): Rational {
  switch (curve.shape) {
    case 'linear':
      return divide(elapsedNs, rational(curve.spanNs));
    case 'cosine':
      return raisedCosine(divide(elapsedNs, rational(curve.spanNs)));
    case 'quadratic': {
      const leftNs = subtract(rational(curve.windowNs), elapsedNs);
      const ramp = rational(curve.rampNs);
      if (compare(elapsedNs, ramp) <= 0) return rampShare(curve, elapsedNs);
      if (compare(leftNs, ramp) <= 0) return subtract(ONE, rampShare(curve, leftNs));
      return multiply(plateau(curve), subtract(elapsedNs, rational(curve.rampNs, 2n)));
    }
  }
}

/**
 * The share of the leap that is done `elapsedNs` after the start of the window: 0 before it, 1 from its end on. Exact,
 * but for `cosine`: that is off by less than 2^-121 inside the window.
 */
export function shareDone(curve: Curve, elapsedNs: Rational): Rational {
  if (compare(elapsedNs, rational(curve.windowNs)) >= 0) return ONE;
  return elapsedNs.numerator <= 0n || curve.shape === 'step' ? ZERO : shareInside(curve, elapsedNs);
}

/** What the share comes to from before `elapsedNs`: {@link shareDone}, but at the end of a window that ends in a step. */
export function shareBefore(curve: Curve, elapsedNs: Rational): Rational {
  if (compare(elapsedNs, rational(curve.windowNs)) > 0) return ONE;
  return elapsedNs.numerator <= 0n || curve.shape === 'step' ? ZERO : shareInside(curve, elapsedNs);
}

/** The share that a step at the end of the window does, 0 to 1: all of it for `step`. Exact as {@link shareDone}. */
export function finalStep(curve: Curve): Rational {
  const isWhole = curve.shape === 'quadratic' || (curve.shape !== 'step' && curve.windowNs === curve.spanNs);
  return isWhole ? ZERO : subtract(ONE, shareBefore(curve, rational(curve.windowNs)));
}

/**
 * The rate at which the share grows, a ns; at the ends of a window and at other kinks the rate after them. Exact, but
 * for `cosine`: that is off by less than 2^-119 / `spanNs`. 0 outside the window, and for `step` everywhere.
 */
export function shareRate(curve: Curve, elapsedNs: Rational): Rational {
  if (elapsedNs.numerator < 0n || compare(elapsedNs, rational(curve.windowNs)) >= 0) return ZERO;
  switch (curve.shape) {
    case 'step':
      return ZERO;
    case 'linear':
      return rational(1n, curve.spanNs);
    case 'cosine': {
      const span = rational(curve.spanNs);
      return divide(raisedCosineSlope(divide(elapsedNs, span)), span);
    }
    case 'quadratic': {
      const leftNs = subtract(rational(curve.windowNs), elapsedNs);
      const ramp = rational(curve.rampNs);
      const nearerEnd = compare(elapsedNs, leftNs) < 0 ? elapsedNs : leftNs;
      const peak = plateau(curve);
      return compare(nearerEnd, ramp) >= 0 ? peak : multiply(peak, divide(nearerEnd, ramp));
    }
  }
}

/** The largest rate of the share, a ns: null for `step`. For `cosine` rounded up, by less than 2^-128 / `spanNs`. */
export function largestShareRate(curve: Curve): Rational | null {
  switch (curve.shape) {
    case 'step':
      return null;
    case 'linear':
      return rational(1n, curve.spanNs);
    case 'cosine':
      return divide(LARGEST_SLOPE, rational(curve.spanNs));
    case 'quadratic':
      return plateau(curve);
  }
}

/** A stretch of a curve in which its rate changes smoothly. */
export interface CurvePiece {
  /** ns from the start of the window. */
  readonly startNs: bigint;
  readonly endNs: bigint;
  /** A bound on how fast the rate changes, a ns^2. */
  readonly curvature: Rational;
}

/** The pieces of the window, in order and without a gap; none for `step`. */
export function piecesOf(curve: Curve): CurvePiece[] {
  const { windowNs } = curve;
  switch (curve.shape) {
    case 'step':
      return [];
    case 'linear':
      return [{ startNs: 0n, endNs: windowNs, curvature: ZERO }];
    case 'cosine': {
      const curvature = divide(LARGEST_CURVATURE, rational(curve.spanNs * curve.spanNs));
      return [{ startNs: 0n, endNs: windowNs, curvature }];
    }
    case 'quadratic': {
      const [rise, fall] = [curve.rampNs, windowNs - curve.rampNs];
      const curvature = divide(plateau(curve), rational(curve.rampNs));
      const pieces = [
        { startNs: 0n, endNs: rise, curvature },
        { startNs: rise, endNs: fall, curvature: ZERO },
        { startNs: fall, endNs: windowNs, curvature },
      ];
      return pieces.filter(({ startNs, endNs }) => startNs < endNs);
    }
  }
}

/** Where, from the start of the window, the curve has a jump or a kink in its value or its rate; ascending, ns. */
export function knotsNs(curve: Curve): bigint[] {
  return [0n, ...piecesOf(curve).map(({ endNs }) => endNs)];
}
