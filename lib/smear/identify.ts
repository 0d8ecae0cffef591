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
  /** True where the sign is beyond doubt: an ntpd told the offset itself. Default: false. */
  readonly isSignCertain?: boolean;
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

/** What an identification comes to: a policy, none of them, or too little to say. */
export type Verdict = 'found' | 'none' | 'undecided';

/** Observations that fit with the other sign, and do not as they are. */
export interface Negated {
  /** The policy that they fit, negated; null where several are left. */
  readonly smear: Smear | null;
  /** That the sign is the other one, with either sign thought equally likely beforehand: 0.95 to 1. */
  readonly probability: number;
}

export interface Identification {
  /** The likeliest first; one for each smear, and one for none of them. */
  readonly candidates: readonly Candidate[];
  readonly verdict: Verdict;
  /** How many observations lie where not all of the policies show the same: only these are judged. */
  readonly telling: number;
  /** Of the other observations the one that is farthest from what all policies show, ns; null if there are none. */
  readonly largestElsewhereNs: number | null;
  readonly negated: Negated | null;
  /** Where an observation would best tell the two likeliest policies apart; null if they are the same. */
  readonly next: { readonly taiNs: bigint; readonly apartNs: number } | null;
}

/** A clock that follows none of the policies is anywhere within a second of UTC: its density, a ns. */
const NONE_DENSITY = 1 / 2e9;

function logSum(logs: readonly number[]): number {
  const most = Math.max(...logs);
  return most + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - most), 0));
}

/** A candidate less probable than this is not called found. */
const LEAST_PROBABILITY = 0.95;

/** True if two smears of one leap second are one curve, whatever they are called. */
function isSame(a: Smear, b: Smear): boolean {
  const [one, other] = [a, b].map(({ startNs, endNs, curve }) => [startNs, endNs, ...Object.values(curve)]);
  return one?.length === other?.length && one?.every((value, i) => value === other?.[i]) === true;
}

/** True where not all of the smears show the same. Where none of them lasts, every instant is judged. */
function isTelling(smears: readonly Smear[], taiNs: bigint): boolean {
  const lasting = smears.filter(({ startNs, endNs }) => startNs < endNs);
  return lasting.length === 0 || lasting.some(({ startNs, endNs }) => taiNs >= startNs && taiNs < endNs);
}

/** What each smear leaves of each observation, ns. */
function residualsOf(
  smears: readonly Smear[],
  against: Smear,
  observations: readonly Observation[],
): { asGiven: number[]; negated: number[] }[] {
  return smears.map((smear) => {
    const asGiven: number[] = [];
    const negated: number[] = [];
    for (const { taiNs, offsetNs, isSignCertain = false } of observations) {
      const told = subtract(offsetAt(smear, taiNs), offsetAt(against, taiNs));
      asGiven.push(toNumber(subtract(rational(offsetNs), told)));
      negated.push(toNumber(subtract(rational(isSignCertain ? offsetNs : -offsetNs), told)));
    }
    return { asGiven, negated };
  });
}

/**
 * Which policy a clock follows, by Bayes: observations are independent, their errors normal with the standard deviation
 * `sigmaNs`; all policies, and none of them, are equally likely beforehand. In floating point; what is subtracted is
 * exact.
 *
 * The verdict allows for the other sign, too: a policy is found, or none is, if it is so with at least 95 % among all
 * policies with either sign, equally likely beforehand, and none. Where the negated observations have these 95 %, nothing
 * is decided, and `negated` says so.
 *
 * Observations outside of every policy's window count only where there are no others: they fit all policies alike, and would
 * speak against none of them without telling which.
 *
 * @param smears the policies, at work on one leap second; at least one
 * @param against what the clock was measured against: a clock that follows this smear
 * @param observations at least one
 * @param sigmaNs positive; below 0.25 s, or an offset that fits would be less likely than one of no policy
 */
export function identify(
  smears: readonly Smear[],
  against: Smear,
  observations: readonly Observation[],
  sigmaNs: number,
): Identification {
  const telling = observations.filter(({ taiNs }) => isTelling(smears, taiNs));
  const elsewhere = observations.filter(({ taiNs }) => !isTelling(smears, taiNs));
  const judged = telling.length === 0 ? observations : telling;
  const residuals = residualsOf(smears, against, judged);
  const peak = -Math.log(sigmaNs * Math.sqrt(2 * Math.PI));
  const logOf = (all: readonly number[]): number =>
    all.reduce((sum, ns) => sum + peak - (ns / sigmaNs) ** 2 / 2, 0);
  const logs = residuals.map(({ asGiven }) => logOf(asGiven));
  const none = judged.length * Math.log(NONE_DENSITY);
  const total = logSum([...logs, none]);
  const candidates: Candidate[] = smears.map((smear, i) => {
    const all = residuals[i]?.asGiven as number[];
    return {
      smear,
      probability: Math.exp((logs[i] as number) - total),
      rmsNs: Math.sqrt(all.reduce((sum, ns) => sum + ns * ns, 0) / all.length),
      largestNs: all.reduce((most, ns) => Math.max(most, Math.abs(ns)), 0),
    };
  });
  candidates.push({ smear: null, probability: Math.exp(none - total), rmsNs: null, largestNs: null });
  candidates.sort((a, b) => b.probability - a.probability);
  const negatedLogs = judged.every(({ isSignCertain = false }) => isSignCertain)
    ? []
    : residuals.map((all) => logOf(all.negated));
  const negated = telling.length === 0 ? null : negatedOf(smears, logs, negatedLogs, none);
  const decided = decide(smears, candidates, [logs, negatedLogs], none);
  return {
    candidates,
    verdict: telling.length === 0 || negated !== null ? 'undecided' : decided,
    telling: telling.length,
    largestElsewhereNs:
      elsewhere.length === 0
        ? null
        : (residualsOf([smears[0] as Smear], against, elsewhere)[0]?.asGiven.reduce(
            (most, ns) => (Math.abs(ns) > Math.abs(most) ? ns : most),
            0,
          ) ?? null),
    negated,
    next: nextObservation(candidates),
  };
}

/** The verdict if the sign is as given: the likeliest, with all that is the same curve, among all with either sign. */
function decide(
  smears: readonly Smear[],
  candidates: readonly Candidate[],
  bySign: readonly (readonly number[])[],
  none: number,
): Verdict {
  const [best] = candidates as readonly [Candidate, ...Candidate[]];
  const all = logSum([...bySign.flat(), none]);
  if (best.smear === null) return Math.exp(none - all) >= LEAST_PROBABILITY ? 'none' : 'undecided';
  const likeliest = best.smear;
  const same = smears.map((smear) => isSame(smear, likeliest));
  const asGiven = candidates
    .filter(({ smear }) => smear !== null && isSame(smear, likeliest))
    .reduce((sum, { probability }) => sum + probability, 0);
  const own = logSum(bySign.flatMap((logs) => logs.filter((_, i) => same[i])));
  return asGiven >= LEAST_PROBABILITY && Math.exp(own - all) >= LEAST_PROBABILITY ? 'found' : 'undecided';
}

/** What the negated observations come to, where they have 95 % of all that is possible; else null. */
function negatedOf(
  smears: readonly Smear[],
  logs: readonly number[],
  negatedLogs: readonly number[],
  none: number,
): Negated | null {
  if (negatedLogs.length === 0) return null;
  const own = logSum(negatedLogs);
  const probability = Math.exp(own - logSum([...logs, ...negatedLogs, none]));
  if (probability < LEAST_PROBABILITY) return null;
  const best = smears[negatedLogs.indexOf(Math.max(...negatedLogs))] as Smear;
  const same = logSum(negatedLogs.filter((_, i) => isSame(smears[i] as Smear, best)));
  return { smear: Math.exp(same - own) >= LEAST_PROBABILITY ? best : null, probability };
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
