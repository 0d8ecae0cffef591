import { NS_PER_SEC } from '../units.js';
import { differenceAt, largestDifference } from './difference.js';
import { rational, subtract, toNumber } from './rational.js';
import { offsetAt, type Smear } from './smear.js';

/** What a clock was seen to be off another at an instant. */
export interface Observation {
  /** TAI, ns since 1970. */
  readonly taiNs: bigint;
  /** The clock less the one that it was measured against, ns. */
  readonly offsetNs: bigint;
}

/** How well one policy explains what was seen. */
export interface Candidate {
  /** The smear, or null for a clock that follows none of them. */
  readonly smear: Smear | null;
  /** Of the candidates, all thought equally likely beforehand: 0 to 1. */
  readonly probability: number;
  /** Root mean square and largest of what was seen less what the policy says, ns; null for none of them. */
  readonly rmsNs: number | null;
  readonly largestNs: number | null;
}

export interface Identification {
  /** The likeliest first; one for each smear, and one for none of them. */
  readonly candidates: readonly Candidate[];
  /** Where an observation would best tell the two likeliest policies apart; null if they are the same. */
  readonly next: { readonly taiNs: bigint; readonly apartNs: number } | null;
}

/** A clock that follows none of the policies is anywhere within a second of UTC: its density, a ns. */
const NONE_DENSITY = 1 / 2e9;

function logSum(logs: readonly number[]): number {
  const most = Math.max(...logs);
  return most + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - most), 0));
}

/**
 * Which policy a clock follows, by Bayes: observations are independent, their errors normal with the standard deviation
 * `sigmaNs`; all policies, and none of them, are equally likely beforehand. In floating point; what is subtracted is
 * exact.
 *
 * @param smears the policies, at work on one leap second; at least one
 * @param against what the clock was measured against: a clock that follows this smear
 * @param observations at least one
 * @param sigmaNs positive
 */
export function identify(
  smears: readonly Smear[],
  against: Smear,
  observations: readonly Observation[],
  sigmaNs: number,
): Identification {
  const residuals = smears.map((smear) =>
    observations.map(({ taiNs, offsetNs }) => {
      const told = subtract(offsetAt(smear, taiNs), offsetAt(against, taiNs));
      return toNumber(subtract(rational(offsetNs), told));
    }),
  );
  const peak = -Math.log(sigmaNs * Math.sqrt(2 * Math.PI));
  const logs = residuals.map((all) => all.reduce((sum, ns) => sum + peak - (ns / sigmaNs) ** 2 / 2, 0));
  const none = observations.length * Math.log(NONE_DENSITY);
  const total = logSum([...logs, none]);
  const candidates: Candidate[] = smears.map((smear, i) => {
    const all = residuals[i] as number[];
    return {
      smear,
      probability: Math.exp((logs[i] as number) - total),
      rmsNs: Math.sqrt(all.reduce((sum, ns) => sum + ns * ns, 0) / all.length),
      largestNs: Math.max(...all.map(Math.abs)),
    };
  });
  candidates.push({ smear: null, probability: Math.exp(none - total), rmsNs: null, largestNs: null });
  candidates.sort((a, b) => b.probability - a.probability);
  return { candidates, next: nextObservation(candidates) };
}

/** Where the two likeliest smears are farthest apart; a second before a step, for nobody observes its very instant. */
function nextObservation(candidates: readonly Candidate[]): Identification['next'] {
  const [first, second] = candidates.flatMap(({ smear }) => (smear === null ? [] : [smear]));
  if (first === undefined || second === undefined) return null;
  const { worst, atNs, isJustBefore, apart } = largestDifference(first, second);
  if (apart === null) return null;
  if (!isJustBefore) return { taiNs: atNs, apartNs: Math.abs(toNumber(worst)) };
  const taiNs = atNs - NS_PER_SEC;
  return { taiNs, apartNs: Math.abs(toNumber(differenceAt(first, second, taiNs))) };
}

/** What an identification comes to: a policy, none of them, or too little to say. */
export type Verdict = 'found' | 'none' | 'undecided';

/** A candidate less probable than this is not called found. */
const LEAST_PROBABILITY = 0.95;

/** The verdict of an identification, with 95 % as the least probability. */
export function verdictOf({ candidates }: Identification): Verdict {
  const [best] = candidates;
  if (best === undefined || best.probability < LEAST_PROBABILITY) return 'undecided';
  return best.smear === null ? 'none' : 'found';
}
