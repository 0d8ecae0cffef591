import { COARSEST_REFERENCE_NS, REFERENCE_REMEDY } from '../host/frequency.js';
import { formatNs } from './format.js';
import type { Verdict } from './model.js';

/** What a check of the counter says where monotonic-raw moves in steps too coarse to measure it against. */
export function noReference(stepNs: bigint): Verdict {
  return {
    status: 'skip',
    reason: `monotonic-raw moves in steps of ${formatNs(Number(stepNs))}: it is no reference for the counter`,
    bound: `a reference moves by ${formatNs(Number(COARSEST_REFERENCE_NS))} at most`,
    evidence: { referenceStepNs: stepNs },
    advice: `It runs against a finer clock: ${REFERENCE_REMEDY}.`,
  };
}
