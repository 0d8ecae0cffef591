/** The Allan deviation at one averaging time. */
export interface AllanPoint {
  readonly tauSeconds: number;
  /** Dimensionless: of the fractional frequency. */
  readonly deviation: number;
  /** Second differences of the phase that went into it; they overlap. */
  readonly terms: number;
}

/**
 * The overlapping Allan deviation of a phase that was sampled evenly, at averaging times of 1, 2, 4, ... intervals, as long
 * as there are as many terms as intervals in one:
 * `sqrt(sum((x[i+2m] - 2 x[i+m] + x[i])^2) / (2 (m tau0)^2 (N - 2m)))` (Riley, Handbook of Frequency Stability Analysis,
 * NIST SP 1065, section 5.2.4). A constant frequency does not show in it.
 *
 * @param phase seconds, finite
 * @param tau0Seconds the interval between two samples, seconds, above 0
 */
export function allanDeviations(phase: readonly number[], tau0Seconds: number): AllanPoint[] {
  const points: AllanPoint[] = [];
  for (let m = 1; phase.length - 2 * m >= m; m *= 2) points.push(allanDeviation(phase, tau0Seconds, m));
  return points;
}

/**
 * One of them, at `m` intervals.
 *
 * @param m 1 to less than half of the samples
 */
export function allanDeviation(phase: readonly number[], tau0Seconds: number, m: number): AllanPoint {
  const terms = phase.length - 2 * m;
  let sum = 0;
  for (let i = 0; i < terms; i++) {
    const difference = (phase[i + 2 * m] as number) - 2 * (phase[i + m] as number) + (phase[i] as number);
    sum += difference * difference;
  }
  const tauSeconds = m * tau0Seconds;
  return { tauSeconds, deviation: Math.sqrt(sum / (2 * tauSeconds * tauSeconds * terms)), terms };
}
