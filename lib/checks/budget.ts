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
  /** Readings of the counter on each CPU for `counter.order` and `counter.granularity`. */
  readonly counterReadsPerCpu: number;
  /** Readings in lock step for `counter.warp`, over all pairs of CPUs. */
  readonly warpReads: number;
  /** Rounds of ping-pong for `counter.offset`, over all pairs of CPUs. */
  readonly pingPongRounds: number;
  /** Time for each clock, in one thread and again across threads, for `clock.monotonic`, milliseconds. */
  readonly monotonicMs: number;
  /** Samples of each coarse clock for `clock.coarse`. */
  readonly coarseSamples: number;
  /** How long `page.updates` records, milliseconds. */
  readonly recordMs: number;
  /** How long each run of `latch.*` stresses the readers of clock pages, milliseconds. */
  readonly stressMs: number;
  /** Writers killed in each run of `latch.stress`. */
  readonly kills: number;
  /** How long each page that a timekeeper keeps is read, milliseconds. */
  readonly keptMs: number;
  /** Policies, signs and phases of `smear.phases`: so many timekeepers. */
  readonly smearPhases: number;
  /** The window that `smear.window` runs through, milliseconds: more than the second that it spreads. 0: not at all. */
  readonly smearWindowMs: number;
  /** How long `smear.kernel` holds a page against the kernel's, milliseconds. */
  readonly againstKernelMs: number;
}

/** How much a run measures: about 2 s, 10 s or some minutes. */
export type BudgetName = 'quick' | 'default' | 'thorough';

/** About 2 s, 10 s and some minutes on two cores. */
export const BUDGETS: Readonly<Record<BudgetName, Budget>> = {
  quick: {
    name: 'quick',
    exactSamplesPerClock: 50_000,
    samplesPerPair: 200,
    fastPathCalls: 1_000,
    frequencySpanMs: 1_000,
    counterReadsPerCpu: 50_000,
    warpReads: 500_000,
    pingPongRounds: 50_000,
    monotonicMs: 4,
    coarseSamples: 5_000,
    recordMs: 400,
    stressMs: 8,
    kills: 4,
    keptMs: 40,
    smearPhases: 3,
    smearWindowMs: 0,
    againstKernelMs: 100,
  },
  default: {
    name: 'default',
    exactSamplesPerClock: 1_500_000,
    samplesPerPair: 4_000,
    fastPathCalls: 10_000,
    frequencySpanMs: 9_000,
    counterReadsPerCpu: 500_000,
    warpReads: 12_000_000,
    pingPongRounds: 500_000,
    monotonicMs: 40,
    coarseSamples: 50_000,
    recordMs: 3_000,
    stressMs: 40,
    kills: 25,
    keptMs: 100,
    smearPhases: 12,
    smearWindowMs: 1_500,
    againstKernelMs: 600,
  },
  thorough: {
    name: 'thorough',
    exactSamplesPerClock: 20_000_000,
    samplesPerPair: 100_000,
    fastPathCalls: 100_000,
    frequencySpanMs: 60_000,
    counterReadsPerCpu: 5_000_000,
    warpReads: 300_000_000,
    pingPongRounds: 10_000_000,
    monotonicMs: 1_000,
    coarseSamples: 500_000,
    recordMs: 30_000,
    stressMs: 1_000,
    kills: 500,
    keptMs: 500,
    smearPhases: 54,
    smearWindowMs: 4_000,
    againstKernelMs: 60_000,
  },
};
