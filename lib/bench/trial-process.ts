import { isLatchclockError } from '../errors.js';
import { openMachine } from '../host/host.js';
import { runTrial, type TrialPlan, type TrialResult } from './trial.js';

/** What the process says when it ends: what it found, or what kept it from it. */
export type TrialNews =
  | { readonly result: TrialResult }
  | { readonly code: string; readonly what: string; readonly where: string };

process.once('message', (plan: TrialPlan) => {
  void runTrial(openMachine(), plan)
    .then(
      (result): TrialNews => ({ result }),
      (error: unknown): TrialNews =>
        isLatchclockError(error)
          ? { code: error.code, what: error.what, where: error.where ?? '' }
          : {
              code: '',
              what: error instanceof Error ? (error.stack ?? error.message) : String(error),
              where: '',
            },
    )
    .then((news) => process.send?.(news, () => process.disconnect()));
});
