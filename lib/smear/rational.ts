/**
 * An exact fraction. The denominator is positive; the fraction need not be in lowest terms (see `reduced`).
 * What it counts (ns, or a share of the leap) is said where it is used.
 */
export interface Rational {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

/** `numerator / denominator`; the denominator must be positive. */
export function rational(numerator: bigint, denominator = 1n): Rational {
  return { numerator, denominator };
}

export const ZERO = rational(0n);
export const ONE = rational(1n);

export function add(a: Rational, b: Rational): Rational {
  return a.denominator === b.denominator
    ? rational(a.numerator + b.numerator, a.denominator)
    : rational(a.numerator * b.denominator + b.numerator * a.denominator, a.denominator * b.denominator);
}

export function negate(a: Rational): Rational {
  return rational(-a.numerator, a.denominator);
}

export function subtract(a: Rational, b: Rational): Rational {
  return add(a, negate(b));
}

export function multiply(a: Rational, b: Rational): Rational {
  return rational(a.numerator * b.numerator, a.denominator * b.denominator);
}

/** `a / b`; `b` must not be zero. */
export function divide(a: Rational, b: Rational): Rational {
  return b.numerator < 0n
    ? rational(-a.numerator * b.denominator, -b.numerator * a.denominator)
    : rational(a.numerator * b.denominator, b.numerator * a.denominator);
}

export function magnitude(a: Rational): Rational {
  return a.numerator < 0n ? negate(a) : a;
}

/** Negative, zero or positive, as `a` is less than, equal to or greater than `b`. */
export function compare(a: Rational, b: Rational): number {
  const difference = a.numerator * b.denominator - b.numerator * a.denominator;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** The largest integer that is not greater than `a`. */
export function floor({ numerator, denominator }: Rational): bigint {
  const quotient = numerator / denominator;
  return numerator < 0n && quotient * denominator !== numerator ? quotient - 1n : quotient;
}

/** The smallest integer that is not less than `a`. */
export function ceiling(a: Rational): bigint {
  return -floor(negate(a));
}

/** The nearest integer; of two that are equally near, the greater. */
export function nearest({ numerator, denominator }: Rational): bigint {
  return floor(rational(2n * numerator + denominator, 2n * denominator));
}

/** The same fraction in lowest terms. */
export function reduced({ numerator, denominator }: Rational): Rational {
  let a = numerator < 0n ? -numerator : numerator;
  let b = denominator;
  while (b !== 0n) [a, b] = [b, a % b];
  return rational(numerator / a, denominator / a);
}

/** More bits than this would be infinite in floating point. */
const FLOAT_BITS = 1000;

/** In floating point, to about 3 parts in 1e16. */
export function toNumber({ numerator, denominator }: Rational): number {
  const size = numerator < 0n ? -numerator : numerator;
  const bits = (size > denominator ? size : denominator).toString(2).length;
  if (bits <= FLOAT_BITS) return Number(numerator) / Number(denominator);
  const excess = BigInt(bits - FLOAT_BITS);
  return Number(numerator >> excess) / Number(denominator >> excess);
}

/** The square root of a fraction that is not negative, rounded down to a whole number. */
export function squareRoot(a: Rational): bigint {
  const target = floor(a);
  if (target < 2n) return target;
  // Newton's method from above: each guess is smaller, and the last before it stops falling is the root.
  let guess = 1n << BigInt((target.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (guess + target / guess) >> 1n;
    if (next >= guess) return guess;
    guess = next;
  }
}
