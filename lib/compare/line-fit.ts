import { linearRegression, mean, sampleCorrelation, sum } from 'simple-statistics';

/** A straight line through a phase: its frequency error and its phase error at the start. */
export interface LineFit {
  /** Nanoseconds at second 0. */
  readonly phaseNs: number;
  /** Nanoseconds a second, that is parts in 10^9. */
  readonly frequencyPpb: number;
  /** Half of the interval that has the true value in 95 of 100 cases, for a line with noise as the residuals have it. */
  readonly phaseHalfWidthNs: number;
  readonly frequencyHalfWidthPpb: number;
  /** The farthest that a sample lies from the line, nanoseconds. */
  readonly worstResidualNs: number;
  /** Samples that are worth as much, if each were independent of the others. */
  readonly effectiveSamples: number;
}

/** Two-sided 95 % of the normal distribution. */
const QUANTILE = 1.96;

/** Correlation of neighbours, from 0 to below 1; 0 where the residuals do not vary. */
function neighbourCorrelation(residuals: readonly number[]): number {
  const found = sampleCorrelation(residuals.slice(0, -1), residuals.slice(1));
  return Number.isFinite(found) ? Math.min(Math.max(found, 0), 0.999) : 0;
}

/**
 * Least squares. Residuals of a clock that is steered are not independent: the widths take as many samples as a series with
 * that correlation of neighbours is worth, `n (1 - r) / (1 + r)` (first-order autoregression), and no fewer than 3.
 *
 * @param seconds rising
 * @param phaseNs as many, at least 3
 */
export function fitLine(seconds: readonly number[], phaseNs: readonly number[]): LineFit {
  const { m: frequencyPpb, b } = linearRegression(seconds.map((x, at) => [x, phaseNs[at] as number]));
  const residuals = seconds.map((x, at) => (phaseNs[at] as number) - b - frequencyPpb * x);
  const r = neighbourCorrelation(residuals);
  const effectiveSamples = Math.max(3, (seconds.length * (1 - r)) / (1 + r));
  const middle = mean([...seconds]);
  const spread = mean(seconds.map((x) => (x - middle) ** 2));
  const variance = sum(residuals.map((one) => one * one)) / seconds.length;
  // Of so many samples two are used up by the line.
  const ofMean = variance / (effectiveSamples - 2);
  return {
    phaseNs: b,
    frequencyPpb,
    phaseHalfWidthNs: QUANTILE * Math.sqrt(ofMean * (1 + (middle * middle) / spread)),
    frequencyHalfWidthPpb: QUANTILE * Math.sqrt(ofMean / spread),
    worstResidualNs: residuals.reduce((worst, one) => Math.max(worst, Math.abs(one)), 0),
    effectiveSamples,
  };
}
