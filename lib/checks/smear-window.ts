import { rateAt, type Smear } from '../smear/smear.js';
import { formatNs, formatPpm, plural } from './format.js';
import { ppmOf, rateEvidence, SmearJudge } from './kept-judge.js';
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

/** How long before its window a timekeeper is started, ms: longer, if it took longer to start. */
export const LEADS_MS = [300, 1_500, 6_000];

/** A corner, as the readings next to it have it: ns of TAI from it, negative before. */
function corner(at: bigint, before: Reading | null, after: Reading | null): Evidence {
  return {
    lastBeforeNs: before === null ? null : before.ns.tai - at,
    firstAfterNs: after === null ? null : after.ns.tai - at,
  };
}

interface Stretch {
  first: Reading | null;
  last: Reading | null;
  readings: number;
}

const NEAR_NS = 5_000_000n;
/** Two windows at once have their corners so far apart that a reader is at each of them. */
const APART_NS = 100_000_000n;

type Part = 'before' | 'inside' | 'after';

/** A run through a window. */
interface WindowResult {
  readonly wrong: string | null;
  /** What there was too little of; null: nothing. */
  readonly few: string | null;
  readonly ppm: number;
  readonly toleranceNs: number;
  readonly readings: number;
  readonly evidence: Evidence;
}

/** Whether a corner is so near that nothing else is to come between, by the ns until then. */
function isNear(ns: bigint): boolean {
  return ns > 0n && ns < NEAR_NS;
}

async function judgeWindow(context: CheckContext, smear: Smear, kept: Kept): Promise<WindowResult> {
  const judge = new SmearJudge(smear);
  const stretch = (): Stretch => ({ first: null, last: null, readings: 0 });
  const parts: Record<Part, Stretch> = { before: stretch(), inside: stretch(), after: stretch() };
  let now = 0n;
  const marginNs = BigInt(Math.round(context.budget.keptMs * 1e6));
  const tally = await readFor({
    context,
    kept,
    ms: Number((smear.endNs + marginNs - taiNow(context)) / 1_000_000n) + 1_000,
    until: () => now > smear.endNs + marginNs,
    isBusy: () => isNear(smear.startNs - now) || isNear(smear.endNs - now),
    take: (reading) => {
      judge.take(reading);
      now = reading.ns.tai;
      const part = parts[now < smear.startNs ? 'before' : now < smear.endNs ? 'inside' : 'after'];
      part.first ??= reading;
      part.last = reading;
      part.readings++;
    },
  });
  const { before, inside, after } = parts;
  const names = Object.keys(parts) as Part[];
  const rates = names.map((part) => ({
    part,
    rate: rateEvidence(smear, parts[part].first, parts[part].last),
  }));
  const off = rates.find(({ rate }) => rate !== null && !rate.isRight);
  const isFew = (part: Part): boolean => parts[part].readings < 2;
  return {
    wrong:
      wrongReadings(judge) ??
      (off === undefined ? null : `the rate ${off.part} the window is not the policy's`),
    few: names.find(isFew) ?? (judge.readings < LEAST_READINGS ? 'around' : null),
    ppm: ppmOf(rateAt(smear, smear.startNs)),
    toleranceNs: judge.toleranceNs,
    readings: judge.readings,
    evidence: {
      policy: smear.policy.name,
      sign: smear.leap.sign,
      source: kept.source,
      readings: judge.readings,
      refused: tally.refused,
      wrong: judge.wrong,
      farthestNs: judge.farthestNs,
      largestBoundNs: judge.largestBoundNs,
      start: corner(smear.startNs, before.last, inside.first),
      end: corner(smear.endNs, inside.last, after.first),
      rates: rates.map(({ part, rate }) => ({ part, ...(rate?.rate ?? {}) })),
      examples: judge.examples,
    },
  };
}

function windowVerdict(results: readonly WindowResult[], kept: readonly Kept[]): Verdict {
  const evidence: Evidence = { windows: results.map((result) => result.evidence) };
  const readings = results.reduce((total, result) => total + result.readings, 0);
  const tolerance = Math.max(...results.map(({ toleranceNs }) => toleranceNs));
  const bound = `${plural(readings, 'reading')}, each to its roundings (${formatNs(tolerance)})`;
  const wrong = results.find((result) => result.wrong !== null);
  if (wrong !== undefined) {
    const fail: Verdict = {
      status: 'fail',
      reason: wrong.wrong as string,
      bound,
      evidence,
      advice: SMEAR_REPORT,
    };
    return steppedVerdict(kept, evidence) ?? fail;
  }
  const few = results.find((result) => result.few !== null);
  if (few !== undefined) return skipped(`too few readings ${few.few} the window`, evidence, BUSY);
  const ppm = results.map((result) => formatPpm(result.ppm, true)).join(' and ');
  return {
    status: 'pass',
    reason: `both corners seen; ${ppm} between them, nothing outside`,
    bound,
    evidence,
  };
}

export function windowCheck(start: StartKept): Check {
  return {
    id: 'smear.window',
    claim: 'A smear starts and ends at its exact instants, without a step, in one run from before to after',
    async run(context) {
      const { smearWindowMs } = context.budget;
      const tooLong = skipped('a window of a second takes too long', {}, 'It runs without --quick.');
      if (smearWindowMs === 0) return tooLong;
      const half = (smearWindowMs / 2_000).toFixed(3);
      const policy = `linear:-${half}..${half}`;
      let verdict: Verdict = tooLong;
      for (const leadMs of LEADS_MS) {
        const taiNs = taiNow(context) + BigInt(Math.round((leadMs + smearWindowMs / 2) * 1e6));
        const smears = ([1, -1] as const).map((sign, at) =>
          placedSmear(policy, taiNs + BigInt(at) * APART_NS, sign),
        );
        const options = smears.map(({ leap: { sign, taiNs: leapNs } }) => ({
          smear: { policy, leap: { taiNs: leapNs, sign } },
        }));
        verdict = await withKept(start, context, options, async (kept) => {
          const results = kept.map((each, at) => judgeWindow(context, smears[at] as Smear, each));
          return windowVerdict(await Promise.all(results), kept);
        });
        // A timekeeper that started after its window had: the next one has more time to.
        if (verdict.status !== 'skip') break;
      }
      return verdict;
    },
  };
}
