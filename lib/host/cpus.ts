import { LatchclockError } from '../errors.js';
import type { Host } from './host.js';

const LEAST_STRIDED = 3;
const MOST_RANGES = 16;

/**
 * CPUs as taskset takes them, ascending: `0,2-5,8-14:2`. Bounded for people: of more than 16 ranges the first are
 * shown, with the number of CPUs that are left out.
 */
export function formatCpuList(cpus: readonly number[]): string {
  const sorted = [...new Set(cpus)].toSorted((a, b) => a - b);
  const parts: string[] = [];
  let at = 0;
  while (at < sorted.length && parts.length < MOST_RANGES) {
    const first = sorted[at] as number;
    const stride = (sorted[at + 1] ?? first) - first;
    let end = at;
    while (stride > 0 && sorted[end + 1] === (sorted[end] as number) + stride) end++;
    const isRange = stride === 1 || end - at + 1 >= LEAST_STRIDED;
    if (end > at && isRange) {
      parts.push(`${first}-${sorted[end]}${stride === 1 ? '' : `:${stride}`}`);
      at = end + 1;
    } else {
      parts.push(String(first));
      at++;
    }
  }
  return at < sorted.length ? `${parts.join(',')} and ${sorted.length - at} more` : parts.join(',');
}

/** `CPU 1`, `CPUs 0-31`, as {@link formatCpuList} has them. */
export function nameCpus(cpus: readonly number[]): string {
  return `CPU${cpus.length === 1 ? '' : 's'} ${formatCpuList(cpus)}`;
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
      wanted.length === 0 ? 'no CPU is given' : `this process may not run on ${nameCpus(outside)}`,
      { where: 'cpus', todo: `choose from ${formatCpuList(allowed)}` },
    );
  }
  return [...new Set(wanted)].toSorted((a, b) => a - b);
}
