import type { Random } from '../random.js';
import type { Spread } from './environment.js';
import type { BenchRatio, BenchResult } from './model.js';
import { distributionOf, medianInterval, medianOf } from './statistics.js';
import { type Subject, subjectName } from './subject.js';
import type { TrialResult } from './trial.js';

/** The rounds of one subject, a row a trial, each less the loop of its round. */
type Rounds = readonly (readonly number[])[];

function netOf(costs: readonly number[], empty: readonly number[]): number[] {
  return costs.map((cost, round) => cost - (empty[round] as number));
}

function flat(rounds: Rounds): number[] {
  return rounds.flat();
}

/** What is told as a ratio of the same rounds: the path by that of the second, of the same clock where both have one. */
const RATIOS: readonly {
  runtime: Subject['runtime'];
  path: string;
  by: string;
}[] = [
  { runtime: 'native', path: 'syscall', by: 'vdso' },
  { runtime: 'native', path: 'libc', by: 'vdso' },
  { runtime: 'native', path: 'page', by: 'vdso' },
  { runtime: 'native', path: 'vdso', by: 'lfence-rdtsc' },
  ...['seqlock', 'latch', 'latch-window', 'two-window'].flatMap((path) =>
    [path, `${path}+gen`].map((one) => ({ runtime: 'native' as const, path: one, by: 'lfence-rdtsc' })),
  ),
  { runtime: 'native', path: 'two-window', by: 'vdso' },
  ...[
    'now',
    'nowInto',
    'two-window',
    'process.hrtime',
    'performance.now',
    'Date.now',
    'microtime.now',
    'nano-time',
  ].map((path) => ({ runtime: 'js' as const, path, by: 'process.hrtime.bigint' })),
];

/** Clocks that are one for every subject with it: the counter, and functions that have one clock alone. */
const ANY_CLOCK: readonly string[] = ['lfence-rdtsc', 'process.hrtime.bigint'];

/** What all trials found. */
export interface Collected {
  readonly subjects: readonly Subject[];
  readonly trials: readonly TrialResult[];
  readonly random: Random;
}

function roundsOf({ trials }: Collected, at: number, runtime: Subject['runtime']): Rounds {
  return trials.map(({ costs, empty }) => netOf(costs[at] as number[], empty[runtime].costs));
}

/** What one path costs by another, of the same rounds. */
export function ratiosOf(collected: Collected): BenchRatio[] {
  const { subjects, random } = collected;
  return RATIOS.flatMap(({ runtime, path, by }) =>
    subjects.flatMap((subject, at) => {
      if (subject.path !== path || subject.runtime !== runtime) return [];
      const isBase = (one: Subject): boolean =>
        one.path === by && one.runtime === runtime && (ANY_CLOCK.includes(by) || one.clock === subject.clock);
      const base = subjects.findIndex(isBase);
      if (base === -1) return [];
      const [above, below] = [roundsOf(collected, at, runtime), roundsOf(collected, base, runtime)];
      const rounds = above.map((row, trial) =>
        row.map((cost, round) => cost / (below[trial]?.[round] as number)),
      );
      return [
        {
          name: `${path}/${by}`,
          clock: subject.clock,
          runtime,
          threads: 1,
          median: medianOf(flat(rounds)),
          ci: medianInterval(rounds, random),
        },
      ];
    }),
  );
}

/** What each subject costs, by one thread and by several at once. */
export async function resultsOf(collected: Collected, threads: readonly number[]): Promise<BenchResult[]> {
  const { subjects, trials, random } = collected;
  const results: BenchResult[] = [];
  for (const [at, subject] of subjects.entries()) {
    const { runtime } = subject;
    if (threads.includes(1)) {
      const rounds = roundsOf(collected, at, runtime);
      const bracket = medianOf(trials.flatMap(({ empty }) => empty[runtime].singles));
      results.push({
        ...subject,
        threads: 1,
        medianNs: medianOf(flat(rounds)),
        ciNs: medianInterval(rounds, random),
        single: await distributionOf(
          trials.flatMap(({ singles }) => singles[at] as number[]),
          bracket,
        ),
      });
    }
    for (const [row, count] of threads.filter((one) => one > 1).entries()) {
      const loop = medianOf(trials.flatMap(({ empty }) => empty[runtime].costs));
      const rounds = trials.flatMap(({ together }) => {
        const costs = together[row]?.[at] ?? null;
        return costs === null ? [] : [costs.map((cost) => cost - loop)];
      });
      if (rounds.length === 0) continue;
      results.push({
        ...subject,
        threads: count,
        medianNs: medianOf(flat(rounds)),
        ciNs: medianInterval(rounds, random),
        single: null,
      });
    }
  }
  return results;
}

/** How far apart the medians of trials are, of the subject that they differ most in; null with one trial. */
export function spreadOf(collected: Collected): Spread | null {
  if (collected.trials.length < 2) return null;
  const spreads = collected.subjects.map((subject, at): Spread => {
    const medians = roundsOf(collected, at, subject.runtime)
      .map(medianOf)
      .toSorted((a, b) => a - b);
    const middle = medianOf(medians);
    // One trial of many may have had a neighbour: the medians in between are what tells of the machine.
    const cut = Math.floor(medians.length / 4);
    const width = (medians.at(-1 - cut) as number) - (medians[cut] as number);
    // Of what takes next to nothing the loop's own noise is all.
    return { share: middle < 1 ? 0 : width / middle, subject: subjectName(subject) };
  });
  return spreads.reduce((most, one) => (one.share > most.share ? one : most));
}
