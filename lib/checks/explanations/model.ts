import type { CheckStatus } from '../model.js';

/** A verdict that a fault brings about. */
export interface FailureExample {
  /** The fault, as one clause. */
  readonly fault: string;
  readonly status: Exclude<CheckStatus, 'pass' | 'skip'>;
  /** The reason that the check gives on a simulated machine with this fault; digits may differ. */
  readonly reason: string;
}

/** What a user wants to know of a check that did not pass. Each text is one or more whole sentences. */
export interface Explanation {
  /** What is measured, and how. */
  readonly measured: string;
  /** What each verdict means. A check without a text for `fail` or `warn` never ends so. */
  readonly verdicts: Readonly<Partial<Record<CheckStatus, string>>>;
  /** What to do where it did not pass. */
  readonly remedy: string;
  /** Ids of the checks whose verdicts rest on what this one holds. */
  readonly neededBy: readonly string[];
  readonly example: FailureExample;
}

/** Explanations by the id of the check. */
export type Explanations = Readonly<Record<string, Explanation>>;
