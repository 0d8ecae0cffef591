import { gammaln } from 'simple-statistics';

const PRECISION = 1e-13;
const MOST_TERMS = 100_000;
/** In place of a zero that would be divided by (Lentz's method). */
const TINY = 1e-300;

/** `1 / (1 + d1 / (1 + d2 / (1 + ...)))` by the modified method of Lentz (DLMF 3.10.3). */
function continuedFraction(term: (index: number) => number): number {
  let value = 1;
  let c = 1;
  let d = 0;
  for (let index = 1; index < MOST_TERMS; index++) {
    const numerator = term(index);
    d = 1 / (1 + numerator * d || TINY);
    c = 1 + numerator / c || TINY;
    value *= c * d;
    if (Math.abs(c * d - 1) < PRECISION) break;
  }
  return 1 / value;
}

/** The regularized incomplete beta function I_x(a, b) at 0 < x < (a + 1) / (a + b + 2), by its continued fraction (DLMF 8.17.22). */
function regularizedBeta(x: number, a: number, b: number, logOfBeta: number): number {
  const front = Math.exp(a * Math.log(x) + b * Math.log1p(-x) - logOfBeta - Math.log(a));
  const fraction = continuedFraction((index) => {
    const m = index >> 1;
    return index % 2 === 0
      ? (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
      : (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
  });
  return front * fraction;
}

/**
 * The distribution function of Student's t (Abramowitz and Stegun, 26.7.1 by 26.5.27).
 *
 * @param degrees of freedom, above 0
 */
export function studentCdf(degrees: number): (t: number) => number {
  const [a, b] = [degrees / 2, 0.5];
  const logOfBeta = gammaln(a) + gammaln(b) - gammaln(a + b);
  return (t) => {
    if (t === 0) return 0.5;
    const square = t * t;
    const x = degrees / (degrees + square);
    // By whichever of I_x(a, b) and 1 - I_1-x(b, a) converges fast; 1 - x without the loss of its digits.
    const tail =
      x < (a + 1) / (a + b + 2)
        ? regularizedBeta(x, a, b, logOfBeta)
        : 1 - regularizedBeta(square / (degrees + square), b, a, logOfBeta);
    return t > 0 ? 1 - tail / 2 : tail / 2;
  };
}

/** The regularized incomplete gamma function P(a, x): its series (DLMF 8.11.4), or beyond a its continued fraction (8.9.2). */
function regularizedGamma(a: number, x: number): number {
  if (x <= 0) return 0;
  const front = Math.exp(a * Math.log(x) - x - gammaln(a + 1));
  if (x < a + 1) {
    let term = 1;
    let sum = 1;
    for (let n = 1; n < MOST_TERMS && term > sum * PRECISION; n++) {
      term *= x / (a + n);
      sum += term;
    }
    return front * sum;
  }
  const fraction = continuedFraction((index) => {
    const m = index >> 1;
    return index % 2 === 0 ? m / x : (m + 1 - a) / x;
  });
  return 1 - ((front * a) / x) * fraction;
}

/**
 * The distribution function of chi-squared (Abramowitz and Stegun, 26.4.19).
 *
 * @param degrees of freedom, above 0; need not be whole
 */
function chiSquaredCdf(x: number, degrees: number): number {
  return regularizedGamma(degrees / 2, x / 2);
}

/**
 * The value below which chi-squared lies with a probability, to 10 digits; by bisection.
 *
 * @param probability above 0 and below 1
 * @param degrees of freedom, above 0; need not be whole
 */
export function chiSquaredQuantile(probability: number, degrees: number): number {
  let high = degrees + 10;
  while (chiSquaredCdf(high, degrees) < probability) high *= 2;
  let low = 0;
  while (high - low > 1e-11 * high) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    if (chiSquaredCdf(middle, degrees) < probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Student's t, moved and scaled, with a share of a mixture. */
export interface StudentPart {
  readonly share: number;
  readonly centre: number;
  /** Above 0. */
  readonly scale: number;
}

/**
 * Half of the interval around a value that has a share of a mixture of Student's t, to 6 digits.
 *
 * @param parts shares that add up to 1
 * @param degrees of freedom of each
 * @param content share of the mixture that lies in the interval, above 0 and below 1
 */
export function centralHalfWidth(
  parts: readonly StudentPart[],
  value: number,
  degrees: number,
  content: number,
): number {
  const cdf = studentCdf(degrees);
  const outside = (half: number): number =>
    parts.reduce((sum, { share, centre, scale }) => {
      const [low, high] = [(value - half - centre) / scale, (value + half - centre) / scale];
      return sum + share * (cdf(low) + cdf(-high));
    }, 0) -
    (1 - content);
  // Illinois: regula falsi, whose end that stays is weighed down.
  let [low, atLow] = [0, content];
  let high = parts.reduce((sum, { share, scale }) => sum + share * scale, 0) * 2;
  let atHigh = outside(high);
  while (atHigh > 0) {
    [low, atLow] = [high, atHigh];
    high *= 2;
    atHigh = outside(high);
  }
  for (let turn = 0; turn < 200 && high - low > 1e-6 * high; turn++) {
    const next = (low * atHigh - high * atLow) / (atHigh - atLow);
    const found = outside(next);
    if (Math.abs(found) < 1e-8) return next;
    if (found < 0) {
      [high, atHigh] = [next, found];
      atLow /= 2;
    } else {
      [low, atLow] = [next, found];
      atHigh /= 2;
    }
  }
  return (low + high) / 2;
}
