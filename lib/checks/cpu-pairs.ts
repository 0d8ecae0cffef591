import { formatCpuList } from '../host/cpus.js';
import { formatCount, plural } from './format.js';
import type { Evidence, Verdict } from './model.js';

/** Every pair of CPUs once, the lower first. */
export function cpuPairs(cpus: readonly number[]): [number, number][] {
  return cpus.flatMap((here, index) => cpus.slice(index + 1).map((there): [number, number] => [here, there]));
}

/** What a check of pairs says where there is only one CPU to measure on. */
export function needsTwoCpus(cpus: readonly number[]): Verdict {
  return {
    status: 'skip',
    reason: `one CPU to measure on (${formatCpuList(cpus)})`,
    bound: 'nothing was measured',
    evidence: { cpus: [...cpus] },
    advice: 'It runs where the affinity and --cpus leave two CPUs or more.',
  };
}

/** What a check of pairs says where some of them had too few of what it needs: what they had, and what would help. */
export function tooFew(
  what: string,
  needed: number,
  short: readonly { pair: readonly [number, number]; had: number }[],
  pairs: number,
  evidence: Evidence,
): Verdict {
  const worst = short.toSorted((a, b) => a.had - b.had)[0] as (typeof short)[number];
  const [here, there] = worst.pair;
  return {
    status: 'skip',
    reason: `CPUs ${here} and ${there} had ${plural(worst.had, what)} of the ${formatCount(needed)} needed`,
    bound: `${plural(short.length, 'pair')} of ${formatCount(pairs)} had too few`,
    evidence,
    advice:
      'Two CPUs hardly ever ran at the same time, the machine is too busy: run it again when it is less so.',
  };
}
