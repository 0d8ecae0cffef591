import { LatchclockError } from '../errors.js';
import type { Host } from './host.js';

const MOST_RANGES = 8;

/** CPUs as `0,2-5`: of many ranges the first, and how many CPUs are left out. */
function cpuRanges(cpus: readonly number[]): string {
  const ranges: { first: number; last: number }[] = [];
  for (const cpu of [...new Set(cpus)].toSorted((a, b) => a - b)) {
    const range = ranges.at(-1);
    if (range?.last === cpu - 1) range.last = cpu;
    else ranges.push({ first: cpu, last: cpu });
  }
  const shown = ranges
    .slice(0, MOST_RANGES)
    .map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
  const left = ranges.slice(MOST_RANGES).reduce((sum, { first, last }) => sum + last - first + 1, 0);
  return left === 0 ? shown.join(',') : `${shown.join(',')} and ${left} more`;
}

/**
 * The CPUs to measure on, ascending: `wanted`, or all that this thread may run on.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for an empty list, or a CPU outside the affinity
 */
export function chooseCpus(host: Host, wanted: readonly number[] | undefined): readonly number[] {
  const allowed = host.addon.cpuAffinity();
  if (wanted === undefined) return allowed;
  const known = new Set(allowed);
  const outside = wanted.filter((cpu) => !known.has(cpu));
  if (wanted.length === 0 || outside.length > 0) {
    throw new LatchclockError(
      'ERR_BAD_ARGUMENT',
      wanted.length === 0 ? 'no CPU is given' : `this process may not run on CPU ${cpuRanges(outside)}`,
      { where: 'cpus', todo: `choose from ${cpuRanges(allowed)}` },
    );
  }
  return [...new Set(wanted)].toSorted((a, b) => a - b);
}
