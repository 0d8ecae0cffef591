import { parsePolicy } from '../smear/custom-policy.js';
import { POLICIES, windowOf } from '../smear/policy.js';
import type { Smear } from '../smear/smear.js';
import { maxBigint, NS_PER_SEC } from '../units.js';
import { formatNs, formatPpm, plural } from './format.js';
import { rateEvidence, SmearJudge } from './kept-judge.js';
import {
  type Kept,
  placedSmear,
  type Reading,
  readFor,
  type StartKept,
  taiNow,
  withKept,
} from './kept-page.js';
import {
  BUSY,
  LEAST_READINGS,
  SMEAR_REPORT,
  skipped,
  steppedVerdict,
  wrongReadings,
} from './kept-verdict.js';
import type { Check, CheckContext, Evidence, Verdict } from './model.js';

/** Timekeepers at a time: each has a thread that reads a page's layout before it starts. */
const AT_ONCE = 3;

const PHASES = ['start', 'middle', 'end'] as const;
type Phase = (typeof PHASES)[number];

/** A policy, and where in its window now is to be. */
export interface Case {
  readonly policy: string;
  readonly sign: 1 | -1;
  readonly phase: Phase;
}

/** The shapes that there are, of several lengths. */
const FEW = ['google-24h', 'ntpd', 'utc-sls', 'chrony'];
/** How far within a window its start and its end are looked at: it takes that long to start a timekeeper, and less. */
const WITHIN_NS = 10n * NS_PER_SEC;

/** The first `count` of all policies, phases and signs: those of the four shapes first, each phase of each among 12. */
export function smearCases(count: number): Case[] {
  const few = Array.from({ length: 12 }, (_, at): Case => {
    const sign = (at + Math.floor(at / 4)) % 2 === 0 ? 1 : -1;
    return { policy: FEW[at % 4] as string, phase: PHASES[at % 3] as Phase, sign };
  });
  const all = POLICIES.filter(({ shape }) => shape !== 'step').flatMap(({ name }) =>
    PHASES.flatMap((phase) => ([1, -1] as const).map((sign): Case => ({ policy: name, phase, sign }))),
  );
  const isFew = (one: Case): boolean =>
    few.some(({ policy, phase, sign }) => policy === one.policy && phase === one.phase && sign === one.sign);
  return [...few, ...all.filter((one) => !isFew(one))].slice(0, count);
}

/** Where a leap second is to be, TAI in ns, so that `now` is in that phase of the policy's window. */
export function leapFor({ policy, sign, phase }: Case, now: bigint): bigint {
  const { startNs, endNs } = windowOf(parsePolicy(policy), sign);
  switch (phase) {
    case 'start':
      return now - startNs - WITHIN_NS;
    case 'middle':
      // Not the middle itself, at which the rate of some shapes turns.
      return now - startNs - ((endNs - startNs) * 2n) / 5n;
    case 'end':
      return now - endNs + WITHIN_NS;
  }
}

interface CaseResult {
  readonly judge: SmearJudge;
  readonly isRateRight: boolean;
  readonly isEnough: boolean;
  readonly tolerancePpm: number;
  readonly evidence: Evidence;
}

async function judgeCase(context: CheckContext, one: Case, smear: Smear, kept: Kept): Promise<CaseResult> {
  const judge = new SmearJudge(smear);
  let first: Reading | null = null;
  let last: Reading | null = null;
  const tally = await readFor({
    context,
    kept,
    ms: context.budget.keptMs,
    take: (reading) => {
      judge.take(reading);
      // A stretch over which the policy's rate does not turn.
      if (reading.ns.tai >= smear.endNs) return;
      first ??= reading;
      last = reading;
    },
  });
  const rate = rateEvidence(smear, first, last);
  return {
    judge,
    isRateRight: rate?.isRight ?? false,
    isEnough: judge.readings >= LEAST_READINGS && rate !== null,
    tolerancePpm: (rate?.rate['tolerancePpm'] as number | undefined) ?? 0,
    evidence: {
      ...one,
      source: kept.source,
      readings: judge.readings,
      refused: tally.refused,
      largestBoundNs: judge.largestBoundNs,
      farthestNs: judge.farthestNs,
      smearedOff: judge.smearedOff,
      saneOff: judge.saneOff,
      realtimeOff: judge.realtimeOff,
      backwards: judge.backwards,
      worstBackNs: judge.worstBackNs,
      ...(rate?.rate ?? {}),
      examples: judge.examples,
    },
  };
}

function sum(results: readonly CaseResult[], count: (judge: SmearJudge) => number): number {
  return results.reduce((total, { judge }) => total + count(judge), 0);
}

/** The verdict on several phases. */
function phasesVerdict(
  cases: readonly Case[],
  results: readonly CaseResult[],
  kept: readonly Kept[],
): Verdict {
  const readings = sum(results, (judge) => judge.readings);
  const bounds = results.map(({ judge }) => judge.largestBoundNs).reduce(maxBigint, 0n);
  const tolerance = Math.max(0, ...results.map(({ tolerancePpm }) => tolerancePpm));
  const evidence: Evidence = {
    phases: results.map((result) => result.evidence),
    readings,
    wrong: sum(results, (judge) => judge.wrong),
    largestBoundNs: bounds,
  };
  const bound = `${plural(readings, 'reading')}, each to its roundings (2 ns); rates to ${formatPpm(tolerance)}; sources to ${formatNs(Number(bounds))}`;
  const fault = (at: number, what: string): Verdict => {
    const { policy, phase, sign } = cases[at] as Case;
    return {
      status: 'fail',
      reason: `${policy}, ${phase} of a ${sign === 1 ? 'positive' : 'negative'} leap second: ${what}`,
      bound,
      evidence,
      advice: SMEAR_REPORT,
    };
  };
  const wrong = results.findIndex(({ judge }) => wrongReadings(judge) !== null);
  const slow = results.findIndex(({ isRateRight, isEnough }) => isEnough && !isRateRight);
  if (wrong >= 0 || slow >= 0) {
    const stepped = steppedVerdict(kept, evidence);
    if (stepped !== null) return stepped;
    const result = results[wrong];
    return result === undefined
      ? fault(slow, "the rate is not the policy's")
      : fault(wrong, wrongReadings(result.judge) as string);
  }
  if (results.length < cases.length || results.some(({ isEnough }) => !isEnough)) {
    return skipped('too few readings in a phase', evidence, BUSY);
  }
  const policies = new Set(cases.map(({ policy }) => policy)).size;
  return {
    status: 'pass',
    reason: `${policies} policies, ${plural(cases.length, 'phase')}, ${plural(readings, 'reading')}: values and rates are the policy's`,
    bound,
    evidence,
  };
}

export function phasesCheck(start: StartKept): Check {
  return {
    id: 'smear.phases',
    claim: "In a smear's window smeared-realtime has the policy's value and rate, sane-realtime none of it",
    async run(context) {
      const cases = smearCases(context.budget.smearPhases);
      const results: CaseResult[] = [];
      let verdict: Verdict | null = null;
      for (let at = 0; at < cases.length && (verdict === null || verdict.status === 'pass'); at += AT_ONCE) {
        const batch = cases.slice(at, at + AT_ONCE);
        const now = taiNow(context);
        const smears = batch.map((one) => placedSmear(one.policy, leapFor(one, now), one.sign));
        const options = smears.map(({ policy, leap: { taiNs, sign } }) => ({
          smear: { policy: policy.name, leap: { taiNs, sign } },
        }));
        verdict = await withKept(start, context, options, async (kept) => {
          for (const [index, each] of kept.entries()) {
            results.push(await judgeCase(context, batch[index] as Case, smears[index] as Smear, each));
            context.progress(results.length / cases.length);
          }
          return phasesVerdict(cases.slice(0, results.length), results, kept);
        });
      }
      return verdict ?? skipped('no phase was asked for', {}, 'Run it with another budget.');
    },
  };
}
