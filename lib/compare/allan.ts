import { chiSquaredQuantile } from './distributions.js';
import { identifyNoise, type PowerLawNoise } from './noise.js';

/** The Allan deviation at one averaging time. */
export interface AllanPoint {
  readonly tauSeconds: number;
  /** Dimensionless: of the fractional frequency. */
  readonly deviation: number;
  /** Second differences of the phase that went into it; they overlap. */
  readonly terms: number;
}

/** Where the true deviation lies, in 95 of 100 cases, for noise of one kind. */
export interface AllanInterval {
  readonly noise: PowerLawNoise;
  /** Independent terms that the overlapping ones are worth, equivalent degrees of freedom. */
  readonly degrees: number;
  readonly low: number;
  readonly high: number;
}

/** With its interval; null where no kind of noise can be told. */
export type AllanEstimate = AllanPoint & { readonly interval: AllanInterval | null };

/**
 * The overlapping Allan deviation of a phase that was sampled evenly, at averaging times of 1, 2, 4, ... intervals, as long
 * as there are as many terms as intervals in one:
 * `sqrt(sum((x[i+2m] - 2 x[i+m] + x[i])^2) / (2 (m tau0)^2 (N - 2m)))` (Riley, Handbook of Frequency Stability Analysis,
 * NIST SP 1065, section 5.2.4). A constant frequency does not show in it.
 *
 * Intervals are those of chi-squared, with the degrees of freedom that the kind of noise leaves to overlapping terms
 * (section 5.4). The kind is told at each time; where too few samples are left for that, it is taken to be that of the
 * time before.
 *
 * @param phase seconds, finite
 * @param tau0Seconds the interval between two samples, seconds, above 0
 */
export function allanDeviations(phase: readonly number[], tau0Seconds: number): AllanEstimate[] {
  const points: AllanEstimate[] = [];
  let noise: PowerLawNoise | null = null;
  for (let m = 1; phase.length - 2 * m >= m; m *= 2) {
    const point = allanDeviation(phase, tau0Seconds, m);
    const identified = identifyNoise(phase, m);
    if (identified !== 'too-few') noise = identified;
    points.push({ ...point, interval: allanInterval(point.deviation, noise, phase.length, m) });
  }
  return points;
}

/**
 * Equivalent degrees of freedom of an overlapping Allan variance (Riley, NIST SP 1065, table 5, after Stein, 1985). At one
 * interval flicker FM has the square of N - 2, as Stein has it; the handbook's print lacks it.
 *
 * @param count samples of the phase, N
 * @param m intervals in the averaging time; 3 m at most N
 */
export function degreesOfFreedom(noise: PowerLawNoise, count: number, m: number): number {
  const n = count;
  switch (noise) {
    case 'white-pm':
      return ((n + 1) * (n - 2 * m)) / (2 * (n - m));
    case 'flicker-pm':
      return Math.exp(Math.sqrt(Math.log((n - 1) / (2 * m)) * Math.log(((2 * m + 1) * (n - 1)) / 4)));
    case 'white-fm':
      return (((3 * (n - 1)) / (2 * m) - (2 * (n - 2)) / n) * (4 * m * m)) / (4 * m * m + 5);
    case 'flicker-fm':
      return m === 1 ? (2 * (n - 2) ** 2) / (2.3 * n - 4.9) : (5 * n * n) / (4 * m * (n + 3 * m));
    case 'random-walk-fm':
      return (((n - 2) / m) * ((n - 1) ** 2 - 3 * m * (n - 1) + 4 * m * m)) / (n - 3) ** 2;
  }
}

const TAIL = 0.025;

/** The interval of a deviation, `deviation * sqrt(degrees / chi-squared)` (SP 1065, section 5.4.1). */
export function allanInterval(
  deviation: number,
  noise: PowerLawNoise | null,
  count: number,
  m: number,
): AllanInterval | null {
  if (noise === null || deviation === 0) return null;
  const degrees = degreesOfFreedom(noise, count, m);
  const at = (probability: number): number =>
    deviation * Math.sqrt(degrees / chiSquaredQuantile(probability, degrees));
  return { noise, degrees, low: at(1 - TAIL), high: at(TAIL) };
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
