import { isLatchclockError } from '../errors.js';
import { openMachine } from '../host/host.js';
import { runTrial, type TrialPlan, type TrialResult } from './trial.js';

/** What the process says: that it has started; and when it ends, what it found, or what kept it from it. */
export type TrialNews =
  | { readonly started: true }
  | { readonly result: TrialResult }
  | { readonly code: string; readonly what: string; readonly where: string };

// Whoever started it is gone, however it ended: there is nobody to measure for.
const leave = (): never => process.exit(1);
process.once('disconnect', leave);
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
    .then((news) =>
      process.send?.(news, () => {
        process.off('disconnect', leave);
        process.disconnect();
      }),
    );
});
process.send?.({ started: true } satisfies TrialNews);
