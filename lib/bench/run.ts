import { isLatchclockError, LatchclockError } from '../errors.js';
import { chooseCpus } from '../host/cpus.js';
import { measureClockStep, requireReference } from '../host/frequency.js';
import { type Host, summarizeHost } from '../host/host.js';
import { CounterMethod } from '../native/addon.js';
import { didYouMean } from '../nearest.js';
import { CLOCK_NAMES, type ClockName } from '../page/posix-clocks.js';
import { seededRandom } from '../random.js';
import { isU64 } from '../units.js';
import { changesBetween, type EarlierReport } from './earlier.js';
import { judgeEnvironment, readCpuTimes, readLoad } from './environment.js';
import { JsReads } from './javascript.js';
import type { BenchReport, BenchSkip } from './model.js';
import { type Collected, ratiosOf, resultsOf, spreadOf } from './results.js';
import { medianOf } from './statistics.js';
import { BENCH_PATHS, nativeArguments, type Subject, subjectName, subjectsOf } from './subject.js';
import type { TrialPlan, TrialResult } from './trial.js';
import { runInProcess } from './trial-child.js';

export interface BenchOptions {
  /** Clocks of the kernel; default {@link DEFAULT_CLOCKS}, with `quick` fewer. */
  clocks?: readonly string[];
  /** Ids of {@link BENCH_PATHS}; default all but special variants. */
  paths?: readonly string[];
  /** Numbers of threads that read at once; default 1, and without `quick` as many as there are CPUs, up to 4. */
  threads?: readonly number[];
  /** Rounds of each trial: 5..100,000. */
  rounds?: number;
  quick?: boolean;
  /** Latency: each native read waits for the one before it. */
  latency?: boolean;
  /** The last of these is what one thread is pinned to; default: all that this process may run on. */
  cpus?: readonly number[];
  /** Of the bootstrap. */
  seed?: bigint;
  earlier?: EarlierReport;
  signal?: AbortSignal;
  onProgress?: (progress: { id: string; done: number; total: number; fraction: number }) => void;
}

const DEFAULT_CLOCKS: readonly ClockName[] = [
  'monotonic',
  'realtime',
  'monotonic-raw',
  'monotonic-coarse',
  'process-cputime',
  'thread-cputime',
];
const QUICK_CLOCKS: readonly ClockName[] = ['monotonic', 'monotonic-coarse', 'thread-cputime'];

const AMOUNTS = {
  quick: { trials: 8, rounds: 60, batchNs: 100_000, singles: 1_000 },
  default: { trials: 12, rounds: 150, batchNs: 200_000, singles: 4_000 },
} as const;

const LEAST_ROUNDS = 5;
const MOST_ROUNDS = 100_000;
const MOST_DEFAULT_THREADS = 4;
function bad(what: string, where: string, todo: string): LatchclockError {
  return new LatchclockError('ERR_BAD_ARGUMENT', what, { where, todo });
}

function checkNames<T extends string>(
  given: readonly string[],
  known: readonly T[],
  where: string,
  kind: string,
): readonly T[] {
  const stranger = given.find((name) => !(known as readonly string[]).includes(name));
  if (stranger !== undefined)
    throw bad(
      `there is no ${kind} '${stranger}'`,
      where,
      `${didYouMean(stranger, known)}choose from ${known.join(', ')}`,
    );
  return given as readonly T[];
}

function checkThreads(given: readonly number[] | undefined, quick: boolean, cpus: number): readonly number[] {
  if (given === undefined) return quick || cpus < 2 ? [1] : [1, Math.min(cpus, MOST_DEFAULT_THREADS)];
  for (const threads of given) {
    if (Number.isInteger(threads) && threads >= 1 && threads <= cpus) continue;
    throw bad(`${threads} threads are not from 1 to ${cpus}`, 'threads', 'each has a CPU of its own');
  }
  return [...new Set(given)].toSorted((a, b) => a - b);
}

/** Why a subject cannot be timed here; null if it can. */
async function refusalOf(host: Host, subject: Subject, functions: JsReads): Promise<string | null> {
  try {
    if (subject.runtime === 'js') {
      (await functions.open(subject)).read();
      return null;
    }
    const given = nativeArguments(host, subject);
    // Throws the reason.
    if (given === null) host.page();
    else host.addon.timeReads(...given, false, 2);
    return null;
  } catch (error) {
    if (isLatchclockError(error)) return error.message;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ERR_MODULE_NOT_FOUND')
      return 'the package is not installed: npm install it beside latchclock';
    if (code === 'ERR_DLOPEN_FAILED' || code === 'MODULE_NOT_FOUND')
      return 'the package was not built for this machine';
    return `it fails: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** A run whose options have been checked: nothing has been measured yet. */
export interface PreparedBench {
  run(): Promise<BenchReport>;
}

/**
 * Takes the options of a run apart, so that a mistake is found before anything is measured.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for an unknown clock or path, threads or rounds out of range, a CPU outside the
 *   affinity, a seed that is no unsigned 64-bit integer, or an earlier report that timed something else;
 *   `ERR_COUNTER_DISABLED` where this thread cannot read the counter; `ERR_CANNOT_RUN` where the clocks move in steps of
 *   more than a microsecond
 */
export function prepareBench(host: Host, options: BenchOptions): PreparedBench {
  const quick = options.quick === true;
  const clocks = checkNames(
    options.clocks ?? (quick ? QUICK_CLOCKS : DEFAULT_CLOCKS),
    CLOCK_NAMES,
    'clocks',
    'clock',
  );
  const paths = checkNames(options.paths ?? [], BENCH_PATHS, 'paths', 'path');
  const cpus = chooseCpus(host, options.cpus);
  const threads = checkThreads(options.threads, quick, cpus.length);
  const amount = quick ? AMOUNTS.quick : AMOUNTS.default;
  const rounds = options.rounds ?? amount.rounds;
  if (!Number.isInteger(rounds) || rounds < LEAST_ROUNDS || rounds > MOST_ROUNDS) {
    throw bad(`${rounds} rounds are not from ${LEAST_ROUNDS} to ${MOST_ROUNDS}`, 'rounds', 'see --help');
  }
  const seed = options.seed ?? process.hrtime.bigint();
  if (!isU64(seed)) throw bad(`the seed ${seed} is no unsigned 64-bit bigint`, 'seed', 'see --help');
  const chained = options.latency === true;
  if (options.earlier !== undefined && options.earlier.chained !== chained) {
    throw bad(
      `the earlier report has ${options.earlier.chained ? 'latencies' : 'throughputs'}`,
      'compare',
      `run ${options.earlier.chained ? 'with' : 'without'} --latency`,
    );
  }
  // Throws the reason: nothing is timed without it, and functions of others would raise a signal.
  host.addon.readCounter(CounterMethod['lfence-rdtsc']);
  // Cycles are turned into nanoseconds by it where the kernel does not tell, and loops of JavaScript are timed by a clock.
  requireReference(measureClockStep(host.addon));
  const wanted = subjectsOf(paths, clocks);
  if (wanted.length === 0) throw bad('no path has one of these clocks', 'paths, clocks', 'see --help');
  const plan = {
    cpu: cpus.at(-1) as number,
    rounds,
    ...{ batchNs: amount.batchNs, singles: amount.singles, chained },
    together: threads.filter((count) => count > 1).map((count) => cpus.slice(0, count)),
  };
  return {
    run: () => runBench(host, { options, wanted, threads, trials: amount.trials, plan, quick, seed }),
  };
}

interface Task {
  readonly options: BenchOptions;
  readonly wanted: readonly Subject[];
  readonly threads: readonly number[];
  readonly trials: number;
  readonly plan: Omit<TrialPlan, 'subjects'>;
  readonly quick: boolean;
  readonly seed: bigint;
}

/** Apart what can be timed here and what cannot. */
async function triage(
  host: Host,
  wanted: readonly Subject[],
): Promise<{ subjects: Subject[]; skipped: BenchSkip[] }> {
  const functions = new JsReads();
  try {
    const subjects: Subject[] = [];
    const skipped: BenchSkip[] = [];
    for (const subject of wanted) {
      const reason = await refusalOf(host, subject, functions);
      if (reason === null) subjects.push(subject);
      else skipped.push({ ...subject, reason });
    }
    return { subjects, skipped };
  } finally {
    await functions.close();
  }
}

async function runBench(
  host: Host,
  { options, wanted, threads, trials, plan, quick, seed }: Task,
): Promise<BenchReport> {
  const { signal, onProgress } = options;
  const startedAt = new Date();
  const start = performance.now();
  const seen = { load: readLoad(host), before: readCpuTimes(host) };
  const { subjects, skipped } = await triage(host, wanted);
  if (subjects.length === 0) {
    throw new LatchclockError('ERR_CANNOT_RUN', 'nothing of it can be timed here', {
      where: skipped.map((one) => `${subjectName(one)}: ${one.reason}`).join('; '),
      todo: 'choose other paths or clocks',
    });
  }
  const found: TrialResult[] = [];
  for (let trial = 0; trial < trials && signal?.aborted !== true; trial++) {
    onProgress?.({ id: 'trial', done: trial, total: trials, fraction: trial / trials });
    const result = await runInProcess({ ...plan, subjects }, signal);
    if (result !== null) found.push(result);
  }
  const collected: Collected = { subjects, trials: found, random: seededRandom(seed) };
  const isEmpty = found.length === 0;
  const results = isEmpty ? [] : await resultsOf(collected, threads);
  const overhead = (runtime: Subject['runtime']): { loop: number; bracket: number } => ({
    loop: medianOf(found.flatMap(({ empty }) => empty[runtime].costs)),
    bracket: medianOf(found.flatMap(({ empty }) => empty[runtime].singles)),
  });
  const { rounds, batchNs, singles, chained, cpu } = plan;
  return {
    startedAt,
    durationMs: performance.now() - start,
    host: summarizeHost(host),
    quick,
    seed,
    interrupted: signal?.aborted === true,
    method: {
      ...{ trials: found.length, rounds, batchNs, singles, chained, cpu },
      overheadNs: { native: overhead('native'), js: overhead('js') },
      granularityNs: medianOf(found.map(({ granularityNs }) => granularityNs)),
    },
    environment: judgeEnvironment(host, cpu, {
      ...seen,
      after: readCpuTimes(host),
      spread: isEmpty ? null : spreadOf(collected),
    }),
    results,
    ratios: isEmpty || !threads.includes(1) ? [] : ratiosOf(collected),
    skipped,
    changes: options.earlier === undefined ? null : changesBetween(options.earlier.results, results),
  };
}
