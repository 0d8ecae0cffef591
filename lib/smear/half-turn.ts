import { type Rational, rational } from './rational.js';

const FRACTION_BITS = 128n;
const ONE_SCALED = 1n << FRACTION_BITS;
/** `floor(pi * 2^128)`. */
const PI_SCALED = 0x3_243f6a88_85a308d3_13198a2e_03707344n;

interface HalfTurn {
  /** `sin(pi x)`, scaled by 2^128. */
  sine: bigint;
  /** `1 - cos(pi x)`, scaled by 2^128. */
  versine: bigint;
}

/**
 * Sine and versine of `pi x` for `0 <= x <= 1/2`, by their Taylor series in fixed point. Each is off by less than
 * 2^-120. With u = 2^-128, t = pi x <= 1.571 and t^2 <= 2.47:
 *
 * - `angle` is off by less than 2 u (pi rounded down, the quotient rounded down), so `square` by less than
 *   2 * 1.571 * 2 u + u < 8 u;
 * - a term follows from the one before by a factor of at most 2.47 / 6, with an error e' <= 0.42 e + 1.571 * 8 u / 6 +
 *   u < 0.42 e + 3.1 u, and the first ones are off by at most 5 u: so every term is off by less than 6 u;
 * - terms alternate and fall, so what is left out is below the first term left out, which is below 2^-128 + 6 u;
 * - the terms are below 2^-128 from the 39th power on: at most 20 of each series are summed, and 20 * 6 u + 7 u < 2^7 u.
 */
function quarterTurn({ numerator, denominator }: Rational): HalfTurn {
  const angle = (PI_SCALED * numerator) / denominator;
  const square = (angle * angle) >> FRACTION_BITS;
  let sine = 0n;
  let versine = 0n;
  let sign = 1n;
  let term = angle;
  for (let power = 1n; term > 0n; power += 2n) {
    sine += sign * term;
    term = ((term * square) >> FRACTION_BITS) / ((power + 1n) * (power + 2n));
    sign = -sign;
  }
  sign = 1n;
  term = square / 2n;
  for (let power = 2n; term > 0n; power += 2n) {
    versine += sign * term;
    term = ((term * square) >> FRACTION_BITS) / ((power + 1n) * (power + 2n));
    sign = -sign;
  }
  return { sine, versine };
}

function halfTurn(x: Rational): HalfTurn {
  const { numerator, denominator } = x;
  if (2n * numerator <= denominator) return quarterTurn(x);
  const { sine, versine } = quarterTurn(rational(denominator - numerator, denominator));
  return { sine, versine: 2n * ONE_SCALED - versine };
}

/** `(1 - cos(pi x)) / 2` for `0 <= x <= 1`, off by less than 2^-121; exact at 0 and at 1. */
export function raisedCosine(x: Rational): Rational {
  return rational(halfTurn(x).versine, 2n * ONE_SCALED);
}

/** `pi / 2 * sin(pi x)`, the slope of {@link raisedCosine}, for `0 <= x <= 1`; off by less than 2^-119. */
export function raisedCosineSlope(x: Rational): Rational {
  return rational(PI_SCALED * halfTurn(x).sine, ONE_SCALED << (FRACTION_BITS + 1n));
}

/** `pi / 2`, the largest slope of {@link raisedCosine}, rounded up by less than 2^-128. */
export const LARGEST_SLOPE: Rational = rational(PI_SCALED + 1n, 2n * ONE_SCALED);

/** A bound from above on `pi^2 / 2`, the largest curvature of {@link raisedCosine}. */
export const LARGEST_CURVATURE: Rational = rational(49_349n, 10_000n);
