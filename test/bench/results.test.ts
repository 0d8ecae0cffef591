import { describe, expect, test } from 'vitest';
import { type Collected, ratiosOf, resultsOf, spreadOf } from '../../lib/bench/results.ts';
import type { Subject } from '../../lib/bench/subject.ts';
import type { TrialResult } from '../../lib/bench/trial.ts';
import { seededRandom } from '../../lib/random.ts';

const native = (path: string, clock: Subject['clock'] = 'monotonic'): Subject => ({
  path,
  clock,
  runtime: 'native',
});
const SUBJECTS = [native('vdso'), native('syscall'), { ...native('now'), runtime: 'js' as const }];

/** A trial in which the loop takes 2 ns natively and 5 from JavaScript, a bracket 20 and 50, and reads as given besides. */
function trial(...net: readonly (readonly number[])[]): TrialResult {
  const loops = { native: 2, js: 5 };
  const brackets = { native: 20, js: 50 };
  const of = (at: number): Subject['runtime'] => (SUBJECTS[at] as Subject).runtime;
  const rounds = (net[0] as readonly number[]).length;
  const empty = (runtime: Subject['runtime']) => ({
    costs: Array.from({ length: rounds }, () => loops[runtime]),
    singles: [brackets[runtime]],
  });
  return {
    costs: net.map((row, at) => row.map((cost) => cost + loops[of(at)])),
    singles: net.map((row, at) => row.map((cost) => cost + brackets[of(at)])),
    empty: { native: empty('native'), js: empty('js') },
    together: [net.map((row, at) => (of(at) === 'js' ? null : row.map((cost) => 2 * cost + loops.native)))],
    granularityNs: 10,
    hz: 1e9,
  };
}

function collect(...trials: TrialResult[]): Collected {
  return { subjects: SUBJECTS, trials, random: seededRandom(1n) };
}

const TRIALS = collect(
  trial([20, 20, 40], [200, 200, 400], [30, 30, 30]),
  trial([20, 20, 20], [200, 200, 200], [30, 30, 30]),
);

describe('what trials found', () => {
  test('is a cost less the loop of its round and runtime, and single reads less their bracket', async () => {
    const [vdso, syscall, now] = (await resultsOf(TRIALS, [1])) as {
      medianNs: number;
      single: { percentiles: Record<string, number> };
    }[];
    expect([vdso?.medianNs, syscall?.medianNs, now?.medianNs]).toEqual([20, 200, 30]);
    expect(vdso?.single.percentiles['p50']).toBeCloseTo(20, 0);
    expect(now?.single.percentiles['p50']).toBeCloseTo(30, 0);
  });

  test('has figures of threads where there are any, and none from JavaScript', async () => {
    const results = await resultsOf(TRIALS, [1, 2]);
    expect(results.map(({ path, threads, medianNs }) => [path, threads, medianNs])).toEqual([
      ['vdso', 1, 20],
      ['vdso', 2, 40],
      ['syscall', 1, 200],
      ['syscall', 2, 400],
      ['now', 1, 30],
    ]);
  });

  test('has ratios of the same rounds: what slowed both of a round down changes none', () => {
    expect(ratiosOf(TRIALS)).toEqual([
      { name: 'syscall/vdso', clock: 'monotonic', runtime: 'native', threads: 1, median: 10, ci: [10, 10] },
    ]);
  });

  test('tells which subject the trials differ most in, and by how much', () => {
    const apart = collect(trial([20], [200], [30]), trial([22], [300], [30]));
    expect(spreadOf(apart)).toEqual({ share: 100 / 250, subject: 'native syscall monotonic' });
    expect(spreadOf(collect(trial([20], [200], [30])))).toBeNull();
  });
});
