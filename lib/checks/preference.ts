import { NS_PER_SEC } from '../units.js';
import { plural } from './format.js';
import { readingEvidence } from './kept-judge.js';
import {
  type Kept,
  type Reading,
  readFor,
  type StartKept,
  startKept,
  taiNow,
  withKept,
} from './kept-page.js';
import { BUSY } from './kept-verdict.js';
import type { Check, CheckContext, Evidence, Verdict } from './model.js';

const REPORT = 'A preference is not switched for all readers at once: please report the evidence.';
/** A window of a day, in the middle of which sane and smeared are half a second apart. */
const POLICY = 'google-24h';
/** Between two switches, ms: about as long as between two updates, so that each update has another preference. */
const SWITCH_MS = 9;
/** Fewer changes from one to the other show no switching. */
const LEAST_SEEN = 3;
const MOST_EXAMPLES = 4;

/** What readers saw of `realtime` while it was switched. */
class SwitchJudge {
  readonly seen = { sane: 0, smeared: 0 };
  /** Readings in which realtime was the other one than in the reading before. */
  changes = 0;
  /** Readings in which realtime was neither, or the two could not be told apart. */
  torn = 0;
  /** Readings of a clock that goes on by itself that were below the one before. */
  backwards = 0;
  readonly examples: Evidence[] = [];
  #last: { reading: Reading; is: 'sane' | 'smeared' } | null = null;

  take(reading: Reading): void {
    const { ns } = reading;
    const isSane = ns.realtime === ns['sane-realtime'];
    const isSmeared = ns.realtime === ns['smeared-realtime'];
    const last = this.#last;
    const isBack =
      last !== null &&
      (['monotonic', 'tai', 'sane-realtime', 'smeared-realtime'] as const).some(
        (clock) => ns[clock] < last.reading.ns[clock],
      );
    if (isSane === isSmeared) this.torn++;
    if (isBack) this.backwards++;
    if ((isSane === isSmeared || isBack) && this.examples.length < MOST_EXAMPLES) {
      this.examples.push(readingEvidence(reading));
    }
    if (isSane === isSmeared) return;
    const is = isSane ? 'sane' : 'smeared';
    this.seen[is]++;
    if (last !== null && last.is !== is) this.changes++;
    this.#last = { reading, is };
  }
}

async function judgeSwitching(context: CheckContext, kept: Kept): Promise<Verdict> {
  const judge = new SwitchJudge();
  let wanted: 'sane' | 'smeared' = 'sane';
  let asked = 0;
  let switchedMs = kept.nowMs();
  let failure: unknown = null;
  const tally = await readFor({
    context,
    kept,
    // Long enough for some ten switches, however short the budget is.
    ms: Math.max(context.budget.keptMs * 3, 12 * SWITCH_MS),
    take: (reading) => judge.take(reading),
    until: () => {
      if (kept.nowMs() - switchedMs >= SWITCH_MS) {
        switchedMs = kept.nowMs();
        wanted = wanted === 'sane' ? 'smeared' : 'sane';
        asked++;
        kept.setPreference(wanted).catch((error: unknown) => {
          failure = error;
        });
      }
      return failure !== null;
    },
  });
  if (failure !== null) throw failure;
  const { sane, smeared } = judge.seen;
  const readings = sane + smeared + judge.torn;
  const evidence: Evidence = {
    source: kept.source,
    readings,
    refused: tally.refused,
    asked,
    changes: judge.changes,
    sane,
    smeared,
    torn: judge.torn,
    backwards: judge.backwards,
    examples: judge.examples,
  };
  const bound = `exact for each of ${plural(readings, 'reading')}: realtime is one of two that are half a second apart`;
  if (judge.torn > 0 || judge.backwards > 0) {
    const reason =
      judge.torn > 0
        ? `${plural(judge.torn, 'reading')} in which realtime was neither sane nor smeared`
        : `${plural(judge.backwards, 'reading')} in which another clock went back`;
    return { status: 'fail', reason, bound, evidence, advice: REPORT };
  }
  if (judge.changes < LEAST_SEEN) {
    const reason = `only ${plural(judge.changes, 'change')} seen by readers, of ${asked}`;
    return { status: 'skip', reason, bound: 'nothing was measured', evidence, advice: BUSY };
  }
  return {
    status: 'pass',
    reason: `${plural(judge.changes, 'change')} under readers, ${plural(readings, 'reading')}, none torn`,
    bound,
    evidence,
  };
}

export function preferenceChecksWith(start: StartKept): readonly Check[] {
  return [
    {
      id: 'preference.switch',
      claim: 'realtime is switched between sane and smeared under its readers, and nobody reads a mixture',
      run(context) {
        // Not so soon that sane-realtime steps while it is looked at.
        const taiNs = taiNow(context) + 1_000n * NS_PER_SEC;
        const smear = { policy: POLICY, leap: { taiNs, sign: 1 as const } };
        return withKept(start, context, [{ smear, preference: 'sane' }], ([kept]) =>
          judgeSwitching(context, kept as Kept),
        );
      },
    },
  ];
}

export const preferenceChecks = preferenceChecksWith(startKept);
