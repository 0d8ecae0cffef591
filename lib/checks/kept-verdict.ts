import { formatNs } from './format.js';
import type { SmearJudge } from './kept-judge.js';
import { type Kept, sourceStep } from './kept-page.js';
import type { Evidence, Verdict } from './model.js';

/** Fewer readings show nothing. */
export const LEAST_READINGS = 100;

/** A check that measured nothing. */
export function skipped(reason: string, evidence: Evidence, advice: string): Verdict {
  return { status: 'skip', reason, bound: 'nothing was measured', evidence, advice };
}

/** What lets a check run that the machine had no time for. */
export const BUSY = 'The machine is too busy: run it again when it is less so.';

/** A skip where the source itself stepped: what readers saw then is its doing. */
export function steppedVerdict(kept: readonly Kept[], evidence: Evidence): Verdict | null {
  const event = kept.map(sourceStep).find((step) => step !== undefined);
  if (event === undefined) return null;
  return skipped(
    `the kernel's clock was stepped meanwhile, or the machine slept (${event.kind})`,
    evidence,
    'Run it again when nobody sets the clock.',
  );
}

/** What a fault of a smear means. */
export const SMEAR_REPORT =
  'The timekeeper is not to be trusted with smears on this host: please report the evidence.';

/** What is wrong with readings of a smear, in words; null: nothing. */
export function wrongReadings(judge: SmearJudge): string | null {
  if (judge.smearedOff > 0) {
    return `smeared-realtime is not the policy's, by up to ${formatNs(judge.farthestNs)}`;
  }
  if (judge.saneOff > 0) return 'sane-realtime is not tai by whole seconds';
  if (judge.realtimeOff > 0) return 'realtime is neither sane nor smeared';
  if (judge.backwards > 0) return `a clock went back by up to ${formatNs(Number(judge.worstBackNs))}`;
  return judge.unbounded > 0 ? 'the page states no bound' : null;
}
