import { describe, expect, test } from 'vitest';
import { onEachCpu } from '../../lib/checks/bracketing.ts';
import type { CheckContext } from '../../lib/checks/model.ts';
import { LatchclockError } from '../../lib/errors.ts';
import type { Addon } from '../../lib/native/addon.ts';
import { seededRandom } from '../../lib/random.ts';
import { simulatedHost } from '../support/simulated-host.ts';

const CPUS = [0, 1, 2, 3];

function contextOf(addon: Addon): CheckContext {
  return { host: { addon }, cpus: CPUS, random: seededRandom(1n) } as unknown as CheckContext;
}

/** A machine of four CPUs whose kernel refuses to pin a thread to what `refuses` names. */
function machine(refuses: (cpus: readonly number[]) => boolean = () => false): Addon {
  const { addon } = simulatedHost({ cpus: CPUS });
  const { setCpuAffinity } = addon;
  addon.setCpuAffinity = (cpus) => {
    if (refuses([...cpus]))
      throw new LatchclockError('ERR_SYSTEM_CALL', 'sched_setaffinity failed', { errno: 'EINVAL' });
    setCpuAffinity(cpus);
  };
  return addon;
}

describe('onEachCpu', () => {
  test('works pinned to each CPU once, and leaves the affinity as it was', async () => {
    const addon = machine();
    const seen: number[] = [];
    expect(await onEachCpu(contextOf(addon), async () => void seen.push(...addon.cpuAffinity()))).toBe(
      'pinned',
    );
    expect(seen.toSorted()).toEqual(CPUS);
    expect(addon.cpuAffinity()).toEqual(CPUS);
  });

  test('leaves the affinity as it was where some of the CPUs are refused', async () => {
    const addon = machine((cpus) => cpus.length === 1 && cpus[0] !== 2);
    let works = 0;
    expect(await onEachCpu(contextOf(addon), async () => void works++)).toBe('refused');
    expect(works).toBe(CPUS.length);
    expect(addon.cpuAffinity()).toEqual(CPUS);
  });

  test('leaves the affinity as it was where the work fails', async () => {
    const addon = machine();
    await expect(onEachCpu(contextOf(addon), () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(addon.cpuAffinity()).toEqual(CPUS);
  });

  test('keeps what somebody else sets meanwhile', async () => {
    const addon = machine();
    let works = 0;
    await onEachCpu(contextOf(addon), async () => {
      if (++works === 2) addon.setCpuAffinity(Uint32Array.of(1, 3));
    });
    expect(addon.cpuAffinity()).toEqual([1, 3]);
  });

  test('ends without an error where the CPUs of before are refused at the end', async () => {
    const addon = machine((cpus) => cpus.length > 1);
    expect(await onEachCpu(contextOf(addon), async () => undefined)).toBe('pinned');
  });

  test('tells an affinity that is accepted and ignored', async () => {
    const { addon } = simulatedHost({ cpus: CPUS, stuckOnCpu: 2 });
    expect(await onEachCpu(contextOf(addon), async () => undefined)).toBe('ignored');
  });

  test('passes over CPUs that were taken away, and does not call that ignored', async () => {
    const gone: number[] = [];
    const { addon } = simulatedHost({ cpus: CPUS, takenAway: () => gone });
    const seen: number[] = [];
    const pinning = await onEachCpu(contextOf(addon), async (cpu) => {
      seen.push(cpu);
      // The one that it is on now, and the others but one.
      if (seen.length === 1) gone.push(...CPUS.filter((other) => other !== (cpu + 1) % 4));
    });
    expect(pinning).toBe('pinned');
    expect(seen).toEqual([seen[0], ((seen[0] as number) + 1) % 4]);
  });

  test('works all the same where every CPU of the run was taken away', async () => {
    const { addon } = simulatedHost({ cpus: [...CPUS, 9], takenAway: () => CPUS });
    let works = 0;
    expect(await onEachCpu(contextOf(addon), async () => void works++)).toBe('refused');
    expect(works).toBe(1);
  });
});
