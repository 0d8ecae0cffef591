import { chiSquaredQuantile, type StudentPart } from './distributions.js';

/** What residuals that follow a first-order autoregression say of a line's coefficients. */
export interface AutoregressiveLine {
  /** Of the slope: Student's t with two degrees of freedom less than there are values, for each correlation. */
  readonly slope: readonly StudentPart[];
  /** Of the line's value at one x, likewise; where residuals are a random walk it has none. */
  readonly value: readonly StudentPart[];
  /** Of neighbours, the mean of what it may be; from -1 to 1. */
  readonly correlation: number;
  /** How many times likelier the residuals are as a random walk than as an autoregression that stays. */
  readonly randomWalkOdds: number;
}

/** Sums of products of the vectors 1, x and y, of which every correlation's are made. */
interface Products {
  readonly count: number;
  /** By pair: each with itself without the first value, with the value before, without the last; and the first alone. */
  readonly later: readonly number[];
  readonly lagged: readonly number[];
  readonly earlier: readonly number[];
  readonly first: readonly number[];
}

const PAIRS = [
  [0, 0],
  [0, 1],
  [0, 2],
  [1, 1],
  [1, 2],
  [2, 2],
] as const;

function productsOf(x: readonly number[], y: readonly number[]): Products {
  const vectors = [x.map(() => 1), x, y] as const;
  const sums = (of: (a: readonly number[], b: readonly number[], i: number) => number): number[] =>
    PAIRS.map(([one, other]) => {
      let sum = 0;
      for (let i = 1; i < x.length; i++) sum += of(vectors[one], vectors[other], i);
      return sum;
    });
  const at = (values: readonly number[], i: number): number => values[i] as number;
  return {
    count: x.length,
    later: sums((a, b, i) => at(a, i) * at(b, i)),
    lagged: sums((a, b, i) => at(a, i) * at(b, i - 1) + at(a, i - 1) * at(b, i)),
    earlier: sums((a, b, i) => at(a, i - 1) * at(b, i - 1)),
    first: PAIRS.map(([one, other]) => at(vectors[one], 0) * at(vectors[other], 0)),
  };
}

/** The generalized least squares of a line under one correlation, and how well that fits. */
interface Fit {
  readonly logLikelihood: number;
  readonly slope: number;
  readonly slopeScale: number;
  readonly value: number;
  readonly valueScale: number;
}

/** A sum of squares that rounding has made 0 or less still has a logarithm. */
function positive(squares: number, of: number): number {
  return Math.max(squares, of * 1e-15, Number.MIN_VALUE);
}

/**
 * Under a stationary autoregression (the transformation of Prais and Winsten), with the restricted likelihood, in which
 * line and variance are integrated out.
 */
function fitAt(
  { count, later, lagged, earlier, first }: Products,
  correlation: number,
  position: number,
): Fit {
  const r = correlation;
  const [ones, x, y, xx, xy, yy] = PAIRS.map(
    (_, pair) =>
      (later[pair] as number) -
      r * (lagged[pair] as number) +
      r * r * (earlier[pair] as number) +
      (1 - r * r) * (first[pair] as number),
  ) as [number, number, number, number, number, number];
  const determinant = ones * xx - x * x;
  const slope = (ones * xy - x * y) / determinant;
  const intercept = (xx * y - x * xy) / determinant;
  const squares = positive(yy - intercept * y - slope * xy, yy);
  const variance = squares / (count - 2);
  return {
    logLikelihood: (Math.log1p(-r * r) - Math.log(determinant) - (count - 2) * Math.log(squares)) / 2,
    slope,
    slopeScale: Math.sqrt((variance * ones) / determinant),
    value: intercept + slope * position,
    valueScale: Math.sqrt((variance * (xx - 2 * position * x + position * position * ones)) / determinant),
  };
}

/** As a random walk: the limit of {@link fitAt} at a correlation of 1, in which the first value tells nothing. */
function fitWalk(products: Products): Omit<Fit, 'value' | 'valueScale'> {
  const [, , , xx, xy, yy] = PAIRS.map(
    (_, pair) =>
      (products.later[pair] as number) -
      (products.lagged[pair] as number) +
      (products.earlier[pair] as number),
  ) as [number, number, number, number, number, number];
  const slope = xy / xx;
  const squares = positive(yy - slope * xy, yy);
  return {
    logLikelihood: (-Math.log(xx) - (products.count - 2) * Math.log(squares)) / 2,
    slope,
    slopeScale: Math.sqrt(squares / (products.count - 2) / xx),
  };
}

const NODES = 20;
/** Logarithm of a likelihood beside which another is nothing. */
const NEGLIGIBLE = 14;

/** Roots of the Legendre polynomial and their weights on -1 to 1 (Abramowitz and Stegun, 25.4.29), by Newton's method. */
function legendre(count: number): readonly { node: number; weight: number }[] {
  return Array.from({ length: count }, (_, i) => {
    let node = Math.cos((Math.PI * (i + 0.75)) / (count + 0.5));
    let derivative = 1;
    for (let turn = 0; turn < 20; turn++) {
      let [value, before] = [1, 0];
      for (let j = 0; j < count; j++) {
        [value, before] = [((2 * j + 1) * node * value - j * before) / (j + 1), value];
      }
      derivative = (count * (node * value - before)) / (node * node - 1);
      node -= value / derivative;
    }
    return { node, weight: 2 / ((1 - node * node) * derivative * derivative) };
  }).toReversed();
}
const LEGENDRE = legendre(NODES);

interface Weighed extends Fit {
  readonly correlation: number;
  readonly weight: number;
}

/** Fits at correlations that matter: the range is narrowed to where the likelihood is, until it is seen finely. */
function fitsThatMatter(products: Products, position: number): Weighed[] {
  let [low, high] = [-1, 1];
  for (let round = 0; ; round++) {
    const half = (high - low) / 2;
    const fits = LEGENDRE.map(({ node, weight }) => {
      const correlation = low + half * (1 + node);
      return { ...fitAt(products, correlation, position), correlation, weight: weight * half };
    });
    const most = Math.max(...fits.map((fit) => fit.logLikelihood));
    const matters = fits.map((fit) => fit.logLikelihood > most - NEGLIGIBLE);
    const [first, last] = [matters.indexOf(true), matters.lastIndexOf(true)];
    // Half of the nodes see enough of it.
    if (last - first > NODES / 2 || round === 8) return fits.filter((_, at) => matters[at]);
    low = fits[first - 1]?.correlation ?? low;
    high = fits[last + 1]?.correlation ?? high;
  }
}

/** How likely a random walk is held to be before there are values. By simulation (see docs/comparing.md). */
const RANDOM_WALK_BEFORE = 0.05;

/**
 * What values around a line say of its slope and of its value at one position, where their neighbours are correlated by an amount that is
 * not known: for each correlation generalized least squares give Student's t exactly, and these are weighed by the restricted
 * likelihood of the correlation (all from -1 to 1 held equally likely before, and a random walk by 5 in 100). An estimate
 * put in the place of the correlation would make intervals too narrow, since it is too small and itself uncertain (Harville, 1977;
 * Kenward and Roger, 1997).
 *
 * @param x rising
 * @param y as many, at least 3, not all on one line
 * @param position the x whose value is wanted
 */
export function autoregressiveLine(
  x: readonly number[],
  y: readonly number[],
  position: number,
): AutoregressiveLine {
  const products = productsOf(x, y);
  const fits = fitsThatMatter(products, position);
  const walk = fitWalk(products);
  const most = Math.max(walk.logLikelihood, ...fits.map((fit) => fit.logLikelihood));
  // The density of correlations that are equally likely on -1 to 1 is 1/2.
  const stays = fits.map((fit) => (fit.weight / 2) * Math.exp(fit.logLikelihood - most));
  const all = stays.reduce((sum, one) => sum + one, 0);
  const walks = Math.exp(walk.logLikelihood - most);
  const total = (1 - RANDOM_WALK_BEFORE) * all + RANDOM_WALK_BEFORE * walks;
  const shares = stays.map((one) => one / all);
  return {
    slope: [
      ...fits.map(({ slope, slopeScale }, at) => ({
        share: ((1 - RANDOM_WALK_BEFORE) * (stays[at] as number)) / total,
        centre: slope,
        scale: slopeScale,
      })),
      { share: (RANDOM_WALK_BEFORE * walks) / total, centre: walk.slope, scale: walk.slopeScale },
    ].filter(({ share }) => share > 1e-6),
    value: fits
      .map(({ value, valueScale }, at) => ({
        share: shares[at] as number,
        centre: value,
        scale: valueScale,
      }))
      .filter(({ share }) => share > 1e-6),
    correlation: fits.reduce((sum, { correlation }, at) => sum + correlation * (shares[at] as number), 0),
    randomWalkOdds: walks / all,
  };
}

const LAGS = 10;
/** A first-order autoregression is denied once in a thousand. */
const DENIED = 0.999;
const MOST_BY_CHANCE = chiSquaredQuantile(DENIED, LAGS - 1);

/**
 * Whether residuals can be a first-order autoregression of this correlation: what is left of them has no correlations over
 * 1 to 10 steps (Ljung and Box, 1978, at 1 in 1000).
 *
 * @param residuals more than 10
 */
export function isAutoregression(residuals: readonly number[], correlation: number): boolean {
  const left = residuals.slice(1).map((one, at) => one - correlation * (residuals[at] as number));
  const count = left.length;
  const mean = left.reduce((sum, one) => sum + one, 0) / count;
  const centred = left.map((one) => one - mean);
  const squares = centred.reduce((sum, one) => sum + one * one, 0);
  if (squares === 0) return true;
  let statistic = 0;
  for (let lag = 1; lag <= LAGS; lag++) {
    let products = 0;
    for (let i = lag; i < count; i++) products += (centred[i] as number) * (centred[i - lag] as number);
    statistic += (products / squares) ** 2 / (count - lag);
  }
  return count * (count + 2) * statistic <= MOST_BY_CHANCE;
}
