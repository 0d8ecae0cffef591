import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import {
  aFunction,
  aListOf,
  anInteger,
  anObject,
  aSignal,
  aText,
  aU64,
  checkArgument,
  oneOf,
  optional,
} from '../arguments.js';
import { isLatchclockError, type LatchclockErrorCode } from '../errors.js';
import { chooseCpus } from '../host/cpus.js';
import { type Host, type HostSummary, summarizeHost } from '../host/host.js';
import { seededRandom } from '../random.js';
import { BUDGETS, type Budget, type BudgetName } from './budget.js';
import {
  type Check,
  type CheckContext,
  type CheckKind,
  type CheckResult,
  type CheckStatus,
  groupOf,
  kindOf,
  type Verdict,
} from './model.js';
import { RunMonitor } from './monitor.js';
import { CHECKS, selectChecks } from './registry.js';

/** What to run, and how. */
export interface RunOptions {
  /** How much to measure; `default` takes about 10 s. */
  budget?: BudgetName;
  /** Ids, groups or kinds (`host`, `self`) of checks to run; all by default. */
  only?: readonly string[];
  /** Ids, groups or kinds of checks to leave out. */
  skip?: readonly string[];
  /** CPUs to measure on, a subset of the thread's affinity; by default all of it. */
  cpus?: readonly number[];
  /** Seed of every random choice, unsigned 64 bits; by default drawn from the clock. */
  seed?: bigint;
  /** Stops the run: checks that have ended are reported, the one under way as skipped. */
  signal?: AbortSignal;
  /** Called as the run goes on, often. */
  onProgress?: (progress: RunProgress) => void;
}

/** How far a run is. */
export interface RunProgress {
  /** The check under way. */
  id: string;
  /** Checks that have ended, and how many there are. */
  done: number;
  total: number;
  /** How far the check under way is, from 0 to 1. */
  fraction: number;
}

/** Checks by how they ended. */
export type CheckCounts = Readonly<Record<CheckStatus, number>>;

/** All checks by how they ended, and those of each kind. */
export type RunSummary = CheckCounts & Readonly<Record<CheckKind, CheckCounts>>;

/** What a run found. */
export interface RunReport {
  startedAt: Date;
  durationMs: number;
  host: HostSummary;
  budget: BudgetName;
  cpus: readonly number[];
  /** Of these, the ones that the thread could not run on any more at some time (hotplug, a cpuset, taskset). */
  takenAway: readonly number[];
  seed: bigint;
  checks: CheckResult[];
  summary: RunSummary;
  /** True if the run was stopped before its end. */
  interrupted: boolean;
}

/** What keeps a check from running, rather than making its claim false. */
const CANNOT_RUN: readonly LatchclockErrorCode[] = [
  'ERR_NO_VDSO',
  'ERR_NO_KERNEL_PAGE',
  'ERR_PAGE_NOT_PROVED',
  'ERR_COUNTER_DISABLED',
  'ERR_COUNTER_UNSUPPORTED',
  'ERR_SYSTEM_CALL',
  'ERR_FILE',
];

class Interrupted extends Error {}

/** The CPUs of a run, as they come and go. */
class RunCpus {
  readonly #takenAway = new Set<number>();

  constructor(
    readonly host: Host,
    readonly wanted: readonly number[],
  ) {}

  /** Those that were taken away so far, ascending. */
  get takenAway(): readonly number[] {
    return [...this.#takenAway].toSorted((a, b) => a - b);
  }

  /** Those of the run that there are now; where none is left, those that the kernel has moved the thread to. */
  now(): readonly number[] {
    const allowed = this.host.addon.cpuAffinity();
    const left = this.wanted.filter((cpu) => allowed.includes(cpu));
    for (const cpu of this.wanted) if (!allowed.includes(cpu)) this.#takenAway.add(cpu);
    return left.length > 0 ? left : allowed;
  }
}

/** The verdict of a check; again, where it could not be had since a CPU was taken away from under it. */
async function verdictOnCpus(
  check: Check,
  context: Omit<CheckContext, 'cpus'>,
  runCpus: RunCpus,
): Promise<Verdict> {
  for (let again = 0; ; again++) {
    const cpus = runCpus.now();
    const verdict = await verdictOf(check, { ...context, cpus });
    if (verdict.status !== 'skip' || verdict.reason === INTERRUPTED) return verdict;
    const left = runCpus.now();
    // CPUs may come back and go again: for each of the run one more time, so that this ends.
    if (again === runCpus.wanted.length || cpus.every((cpu) => left.includes(cpu))) return verdict;
  }
}

const INTERRUPTED = 'interrupted';

async function verdictOf(check: Check, context: CheckContext): Promise<Verdict> {
  try {
    return await check.run(context);
  } catch (error) {
    const bound = 'nothing was measured';
    if (error instanceof Interrupted) {
      return {
        status: 'skip',
        reason: INTERRUPTED,
        bound,
        evidence: {},
        advice: 'Let the run come to its end.',
      };
    }
    if (!isLatchclockError(error)) throw error;
    const cannotRun = CANNOT_RUN.includes(error.code);
    // The bare name of a native function tells a reader nothing.
    const place = error.where === undefined || /^\w+$/.test(error.where) ? '' : ` (${error.where})`;
    return {
      status: cannotRun ? 'skip' : 'fail',
      reason: `${error.what}${place}`,
      bound,
      evidence: { code: error.code, errno: error.errno ?? null, syscall: error.syscall ?? null },
      advice: error.todo ?? 'Without this error the check would run.',
    };
  }
}

function countsOf(checks: readonly CheckResult[]): CheckCounts {
  const count = (status: CheckStatus): number => checks.filter((check) => check.status === status).length;
  return { pass: count('pass'), fail: count('fail'), warn: count('warn'), skip: count('skip') };
}

/** How checks ended, in whole and by kind. */
export function summaryOf(checks: readonly CheckResult[]): RunSummary {
  const ofKind = (kind: CheckKind): CheckCounts => countsOf(checks.filter((check) => check.kind === kind));
  return { ...countsOf(checks), host: ofKind('host'), self: ofKind('self') };
}

/** A run that has been checked against its options: nothing has been measured yet. */
export interface PreparedRun {
  run(): Promise<RunReport>;
}

const someNames = optional(aListOf(aText, 'a list of names'));
const someOptions = anObject({
  budget: optional(oneOf(Object.keys(BUDGETS))),
  only: someNames,
  skip: someNames,
  cpus: optional(aListOf(anInteger(0, 65_535), 'a list of CPUs')),
  seed: optional(aU64),
  signal: optional(aSignal),
  onProgress: optional(aFunction),
});

// A run pins the thread to one CPU after another: a second one in the same thread waits, or it would take the
// first one's pin for the thread's own affinity.
let lastRun: Promise<unknown> = Promise.resolve();

/**
 * Takes the options of a run apart, so that a mistake is found before anything is measured.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for an unknown check or budget, a CPU outside the affinity, or a seed
 *   that is no unsigned 64-bit integer
 */
export function prepareRun(host: Host, options: RunOptions): PreparedRun {
  checkArgument('validate', 'options', options, someOptions);
  const selected = selectChecks(options.only ?? [], options.skip ?? []);
  const budget = BUDGETS[options.budget ?? 'default'];
  const cpus = chooseCpus(host, options.cpus);
  const seed = options.seed ?? process.hrtime.bigint();
  return {
    run: () => {
      const run = lastRun.then(() => runChecks(host, options, budget, selected, cpus, seed));
      lastRun = run.catch(() => undefined);
      return run;
    },
  };
}

async function runChecks(
  host: Host,
  options: RunOptions,
  budget: Budget,
  selected: readonly Check[],
  cpus: readonly number[],
  seed: bigint,
): Promise<RunReport> {
  const startedAt = new Date();
  const start = performance.now();
  const { signal } = options;

  const random = seededRandom(seed);
  const monitor = new RunMonitor(host);
  const runCpus = new RunCpus(host, cpus);
  const isAborted = (): boolean => signal?.aborted === true;
  const results = new Map<string, CheckResult>();
  const inOrder = [...selected.filter((check) => !check.last), ...selected.filter((check) => check.last)];
  for (const check of inOrder) {
    if (isAborted()) break;
    const progress = (fraction: number): void =>
      options.onProgress?.({ id: check.id, done: results.size, total: selected.length, fraction });
    progress(0);
    const breathe = async (milliseconds = 0): Promise<void> => {
      // A timer of 0 waits a millisecond: too long between chunks of one.
      if (milliseconds === 0) await nextTurn();
      else
        await sleep(milliseconds, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
      if (isAborted()) throw new Interrupted();
      monitor.observeIfDue();
    };
    const checkStart = performance.now();
    const context = { host, budget, random, monitor, progress, breathe };
    const verdict = await verdictOnCpus(check, context, runCpus);
    results.set(check.id, {
      id: check.id,
      group: groupOf(check),
      kind: kindOf(groupOf(check)),
      claim: check.claim,
      ...verdict,
      durationMs: performance.now() - checkStart,
    });
    // Between two checks as within one: a signal must get its turn even if none of them waits.
    await nextTurn();
  }
  // Those that went during the last check, too.
  runCpus.now();
  const checks = CHECKS.flatMap((check) => results.get(check.id) ?? []);
  return {
    startedAt,
    durationMs: performance.now() - start,
    host: summarizeHost(host),
    budget: budget.name,
    cpus,
    takenAway: runCpus.takenAway,
    seed,
    checks,
    summary: summaryOf(checks),
    interrupted: isAborted(),
  };
}
