import type { Verdict } from './model.js';

/** Every pair of CPUs once, the lower first. */
export function cpuPairs(cpus: readonly number[]): [number, number][] {
  return cpus.flatMap((here, index) => cpus.slice(index + 1).map((there): [number, number] => [here, there]));
}

/** What a check of pairs says where there is only one CPU to measure on. */
export function needsTwoCpus(cpus: readonly number[]): Verdict {
  return {
    status: 'skip',
    reason: `one CPU to measure on (${cpus.join(', ')})`,
    bound: 'nothing was measured',
    evidence: { cpus: [...cpus] },
    advice: 'It runs where the affinity and --cpus leave two CPUs or more.',
  };
}
