import { LatchclockError } from '../errors.js';
import type { Host } from './host.js';

/**
 * The CPUs to measure on, ascending: `wanted`, or all that this thread may run on.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for an empty list, or a CPU outside the affinity
 */
export function chooseCpus(host: Host, wanted: readonly number[] | undefined): readonly number[] {
  const allowed = host.addon.cpuAffinity();
  if (wanted === undefined) return allowed;
  const outside = wanted.filter((cpu) => !allowed.includes(cpu));
  if (wanted.length === 0 || outside.length > 0) {
    throw new LatchclockError(
      'ERR_BAD_ARGUMENT',
      wanted.length === 0 ? 'no CPU is given' : `this process may not run on CPU ${outside.join(', ')}`,
      { where: 'cpus', todo: `choose from ${allowed.join(', ')}` },
    );
  }
  return [...new Set(wanted)].toSorted((a, b) => a - b);
}
