/** How much a run measures. */
export interface Budget {
  readonly name: BudgetName;
  /** Samples of each clock for `page.exact`. */
  readonly exactSamplesPerClock: number;
  /** Samples of each ordered pair of paths for `clock.paths`. */
  readonly samplesPerPair: number;
  /** Calls of each clock for `vdso.fast`. */
  readonly fastPathCalls: number;
  /** Least time between the two ends of `counter.frequency`, milliseconds. */
  readonly frequencySpanMs: number;
}

export type BudgetName = 'quick' | 'default' | 'thorough';

/** About 2 s, 10 s and a minute on two cores. */
export const BUDGETS: Readonly<Record<BudgetName, Budget>> = {
  quick: {
    name: 'quick',
    exactSamplesPerClock: 100_000,
    samplesPerPair: 500,
    fastPathCalls: 1_000,
    frequencySpanMs: 1_200,
  },
  default: {
    name: 'default',
    exactSamplesPerClock: 2_000_000,
    samplesPerPair: 5_000,
    fastPathCalls: 10_000,
    frequencySpanMs: 9_000,
  },
  thorough: {
    name: 'thorough',
    exactSamplesPerClock: 20_000_000,
    samplesPerPair: 100_000,
    fastPathCalls: 100_000,
    frequencySpanMs: 60_000,
  },
};
