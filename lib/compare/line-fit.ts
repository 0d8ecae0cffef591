import { linearRegression, mean } from 'simple-statistics';
import { autoregressiveLine, isAutoregression } from './autoregression.js';
import { centralHalfWidth } from './distributions.js';

/**
 * Why a line has no intervals.
 *
 * | reason | meaning |
 * |---|---|
 * | `few` | below {@link LEAST_FOR_INTERVALS} samples the correlation of neighbours cannot be told well enough |
 * | `correlated` | the residuals have correlations that no first-order autoregression has: a curve, a period, several noises |
 * | `random-walk` | the residuals may be a random walk, which no number of samples averages out |
 */
export type NoIntervals = 'few' | 'correlated' | 'random-walk';

/** A straight line through a phase: its frequency error and its phase error at the start. */
export interface LineFit {
  /** Nanoseconds at second 0. */
  readonly phaseNs: number;
  /** Nanoseconds a second, that is parts in 10^9. */
  readonly frequencyPpb: number;
  /** Half of the interval that has the true value in 95 of 100 cases; null where that cannot be said. */
  readonly phaseHalfWidthNs: number | null;
  readonly frequencyHalfWidthPpb: number | null;
  /** Null where there are intervals. */
  readonly noIntervals: NoIntervals | null;
  /** The farthest that a sample lies from the line, nanoseconds. */
  readonly worstResidualNs: number;
  /** Samples that are worth as much, if each were independent of the others; at most as many as there are. */
  readonly effectiveSamples: number;
}

/**
 * From here on intervals hold the true value in 93 to 97 of 100 cases, whatever the correlation of neighbours up to 0.9 (by
 * simulation: test/compare/line-fit.test.ts). With 5 samples of a correlation of 0.9 no method can tell it from 0.
 */
export const LEAST_FOR_INTERVALS = 200;
const CONTENT = 0.95;
/** Odds above which residuals are called a random walk. Real ones are missed in 4 of 100 cases then, at 200 samples. */
const RANDOM_WALK_ODDS = 4;

/**
 * Least squares. Residuals of a clock that is steered are not independent: the intervals take them as a first-order
 * autoregression of a correlation that is not known (see {@link autoregressiveLine}), with Student's t. Neighbours are
 * those of the series, so samples should be evenly spaced.
 *
 * @param seconds rising
 * @param phaseNs as many, at least 3
 */
export function fitLine(seconds: readonly number[], phaseNs: readonly number[]): LineFit {
  const { m: frequencyPpb, b: phase } = linearRegression(seconds.map((x, at) => [x, phaseNs[at] as number]));
  const residuals = seconds.map((x, at) => (phaseNs[at] as number) - phase - frequencyPpb * x);
  const worstResidualNs = residuals.reduce((worst, one) => Math.max(worst, Math.abs(one)), 0);
  const line = { phaseNs: phase, frequencyPpb, worstResidualNs };
  const count = seconds.length;
  const none = (noIntervals: NoIntervals, effectiveSamples: number): LineFit => ({
    ...line,
    phaseHalfWidthNs: null,
    frequencyHalfWidthPpb: null,
    noIntervals,
    effectiveSamples,
  });
  if (worstResidualNs === 0) {
    if (count < LEAST_FOR_INTERVALS) return none('few', count);
    return {
      ...line,
      phaseHalfWidthNs: 0,
      frequencyHalfWidthPpb: 0,
      noIntervals: null,
      effectiveSamples: count,
    };
  }
  // Of the residuals and around the middle: the products keep their digits.
  const middle = mean([...seconds]);
  const unit = ((seconds.at(-1) as number) - (seconds[0] as number)) / 2;
  const scaled = seconds.map((x) => (x - middle) / unit);
  const about = autoregressiveLine(
    scaled,
    residuals.map((one) => one / worstResidualNs),
    -middle / unit,
  );
  const correlation = Math.max(about.correlation, 0);
  const effectiveSamples = (count * (1 - correlation)) / (1 + correlation);
  if (count < LEAST_FOR_INTERVALS) return none('few', effectiveSamples);
  if (!isAutoregression(residuals, about.correlation)) return none('correlated', effectiveSamples);
  if (about.randomWalkOdds > RANDOM_WALK_ODDS) return none('random-walk', effectiveSamples);
  return {
    ...line,
    phaseHalfWidthNs: worstResidualNs * centralHalfWidth(about.value, 0, count - 2, CONTENT),
    frequencyHalfWidthPpb: (worstResidualNs / unit) * centralHalfWidth(about.slope, 0, count - 2, CONTENT),
    noIntervals: null,
    effectiveSamples,
  };
}
