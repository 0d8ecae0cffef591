import { setImmediate as nextTurn } from 'node:timers/promises';
import { LatchclockError } from '../errors.js';
import { measureCounter } from '../host/frequency.js';
import { type Host, kernelCounterHz, orNull } from '../host/host.js';
import { type BenchArguments, type BenchTiming, CounterMethod } from '../native/addon.js';
import { type JsRead, JsReads } from './javascript.js';
import { emptyLoop, isMoving, nativeArguments, type Subject, subjectName } from './subject.js';

/** What a child process is to time. */
export interface TrialPlan {
  readonly subjects: readonly Subject[];
  /** The CPU that it is pinned to. */
  readonly cpu: number;
  /** Rounds that count; those that warm up come before them. */
  readonly rounds: number;
  /** About how long a subject is timed in a round, nanoseconds. */
  readonly batchNs: number;
  /** Single reads of each subject. */
  readonly singles: number;
  /** Whether each native read waits for the one before it: latency instead of throughput. */
  readonly chained: boolean;
  /** CPUs whose threads read at once: a row of costs for each number of threads above 1. */
  readonly together: readonly (readonly number[])[];
}

/** What a child process found. */
export interface TrialResult {
  /** By subject: nanoseconds a read, a round each, the loop's own cost included. */
  readonly costs: readonly (readonly number[])[];
  /** By subject: nanoseconds of single reads, the bracket's own cost included. */
  readonly singles: readonly (readonly number[])[];
  /** The loops with nothing in them, and the brackets; likewise. */
  readonly empty: { readonly native: Empty; readonly js: Empty };
  /** By number of threads, by subject: nanoseconds a read of the slowest thread, a round each; null from JavaScript. */
  readonly together: readonly (readonly (readonly number[] | null)[])[];
  /** The least step between two different readings of the counter, nanoseconds. */
  readonly granularityNs: number;
  readonly hz: number;
}

export interface Empty {
  readonly costs: readonly number[];
  readonly singles: readonly number[];
}

/** Rounds that are thrown away: caches, branch predictors and the compiler settle. */
const WARM_UP_ROUNDS = 3;
const LEAST_READS = 20;
const MOST_READS = 200_000;
const FIRST_READS = 500;
/** Of threads: so many rounds are enough for a ratio. */
const TOGETHER_SHARE = 0.25;

/** One subject, ready to be timed. */
interface Ready {
  /** Nanoseconds a read, of so many reads in a loop. */
  loop(reads: number): number;
  /** Nanoseconds of single reads. */
  singles(count: number): number[];
  readonly native: BenchArguments | null;
}

/**
 * Says what cannot be if each value was read: it then lies between those before and after the loop.
 *
 * @throws LatchclockError `ERR_CANNOT_RUN`
 */
export function checkValues(
  subject: Subject,
  reads: number,
  { span, advance }: Pick<BenchTiming, 'span' | 'advance'>,
): void {
  const isWithin = span < 1n << 62n && advance >= 0n && advance <= BigInt(reads) * span;
  if (isWithin && (advance > 0n || !isMoving(subject))) return;
  throw new LatchclockError(
    'ERR_CANNOT_RUN',
    'a timed loop did not read: its values cannot be those of a clock',
    {
      where: `${subjectName(subject)}: ${reads} reads, span ${span}, sum ${advance}`,
      todo: 'report this: the compiler left something out, or the clock went back',
    },
  );
}

function nativeReady(host: Host, subject: Subject, hz: number, chained: boolean): Ready {
  const { addon } = host;
  const given = nativeArguments(host, subject);
  // What cannot be timed was left out before.
  if (given === null)
    throw new LatchclockError('ERR_NO_KERNEL_PAGE', 'the page is gone', { where: subject.path });
  return {
    native: given,
    loop: (reads) => {
      const timing = addon.timeReads(...given, chained, reads);
      checkValues(subject, reads, timing);
      return ((timing.cycles / hz) * 1e9) / reads;
    },
    singles: (count) => {
      const cycles = new BigInt64Array(count);
      addon.timeSingleReads(...given, cycles);
      return Array.from(cycles, (one) => (Number(one) / hz) * 1e9);
    },
  };
}

/** One loop a subject, so that each is compiled for its own call and not for a mix of all. */
function loopFor(name: string): (read: () => unknown, count: number) => unknown {
  const body = `let last; for (let i = 0; i < count; i++) last = read(); return last; // ${name}`;
  return new Function('read', 'count', body) as (read: () => unknown, count: number) => unknown;
}

function jsReady(host: Host, subject: Subject, { read, value }: JsRead, hz: number): Ready {
  const loop = loopFor(subjectName(subject));
  const out = new BigInt64Array(1);
  const counter = host.addon.counterReader(CounterMethod['lfence-rdtsc'], out);
  return {
    native: null,
    loop: (reads) => {
      const first = value(read());
      const start = process.hrtime.bigint();
      const last = value(loop(read, reads));
      const ns = Number(process.hrtime.bigint() - start);
      const end = value(read());
      // Of the values the last is kept: it stands for them all.
      checkValues(subject, 1, { span: end - first, advance: last - first });
      return ns / reads;
    },
    singles: (count) =>
      Array.from({ length: count }, () => {
        counter();
        const start = out[0] as bigint;
        read();
        counter();
        return (Number((out[0] as bigint) - start) / hz) * 1e9;
      }),
  };
}

/** The least distance of two different readings in a row, nanoseconds. */
function granularityNs({ addon }: Host, hz: number): number {
  const readings = new BigInt64Array(4096);
  addon.readCounters(CounterMethod['lfence-rdtsc'], readings);
  let least = Number.POSITIVE_INFINITY;
  const steps = new Set<number>();
  for (let i = 1; i < readings.length; i++)
    steps.add(Number((readings[i] as bigint) - (readings[i - 1] as bigint)));
  const sorted = [...steps].filter((step) => step > 0).toSorted((a, b) => a - b);
  for (let i = 1; i < sorted.length; i++)
    least = Math.min(least, (sorted[i] as number) - (sorted[i - 1] as number));
  return ((Number.isFinite(least) ? least : (sorted[0] ?? 0)) / hz) * 1e9;
}

const CALIBRATION_MS = 200;

/** The counter's frequency: the kernel's, or measured where its page does not tell. */
async function counterHz(host: Host): Promise<number> {
  return orNull(() => kernelCounterHz(host)) ?? (await measureCounter(host.addon, CALIBRATION_MS)).hz;
}

/** So many reads that a batch takes about `batchNs`; the loops before it warm up. */
function readsFor({ loop }: Ready, batchNs: number): number {
  const cost = Math.min(...Array.from({ length: 3 }, () => loop(FIRST_READS)));
  return Math.round(Math.min(MOST_READS, Math.max(LEAST_READS, batchNs / Math.max(cost, 0.1))));
}

function timeTogether(
  host: Host,
  ready: Ready,
  cpus: readonly number[],
  reads: number,
  hz: number,
): number | null {
  if (ready.native === null) return null;
  const timings = host.addon.timeReadsTogether(...ready.native, Uint32Array.from(cpus), reads);
  return ((Math.max(...timings.map(({ cycles }) => cycles)) / hz) * 1e9) / reads;
}

/**
 * Times the subjects in this process, in interleaved rounds, each begun with another one, and then single reads of each.
 *
 * @throws LatchclockError what the readings throw; `ERR_CANNOT_RUN` for a loop whose values cannot have been read
 */
export async function runTrial(host: Host, plan: TrialPlan): Promise<TrialResult> {
  const hz = await counterHz(host);
  const functions = new JsReads();
  try {
    const all = [...plan.subjects, emptyLoop('native'), emptyLoop('js')];
    const ready: Ready[] = [];
    for (const subject of all) {
      ready.push(
        subject.runtime === 'native'
          ? nativeReady(host, subject, hz, plan.chained)
          : jsReady(host, subject, await functions.open(subject), hz),
      );
    }
    // Now that threads which others may have started run where they like.
    host.addon.setCpuAffinity(Uint32Array.of(plan.cpu));
    const reads = ready.map((one) => readsFor(one, plan.batchNs));
    const costs = ready.map((): number[] => []);
    for (let round = -WARM_UP_ROUNDS; round < plan.rounds; round++) {
      for (let i = 0; i < ready.length; i++) {
        const at = (i + round + WARM_UP_ROUNDS) % ready.length;
        const cost = (ready[at] as Ready).loop(reads[at] as number);
        if (round >= 0) costs[at]?.push(cost);
      }
      await nextTurn();
    }
    const together = plan.together.map((cpus) => {
      const rows = ready.map((one): number[] | null => (one.native === null ? null : []));
      for (let round = -1; round < plan.rounds * TOGETHER_SHARE; round++) {
        for (const [at, one] of ready.entries()) {
          const cost = timeTogether(host, one, cpus, reads[at] as number, hz);
          if (cost !== null && round >= 0) rows[at]?.push(cost);
        }
      }
      return rows;
    });
    const singles = ready.map((one) => {
      one.singles(Math.min(plan.singles, 200));
      return one.singles(plan.singles);
    });
    const count = plan.subjects.length;
    const emptyOf = (at: number): Empty => ({
      costs: costs[at] as number[],
      singles: singles[at] as number[],
    });
    return {
      costs: costs.slice(0, count),
      singles: singles.slice(0, count),
      empty: { native: emptyOf(count), js: emptyOf(count + 1) },
      together: together.map((rows) => rows.slice(0, count)),
      granularityNs: granularityNs(host, hz),
      hz,
    };
  } finally {
    await functions.close();
  }
}
