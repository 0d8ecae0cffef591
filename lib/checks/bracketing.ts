import { isLatchclockError } from '../errors.js';
import type { BracketRow } from '../host/bracket.js';
import { type BracketRequest, BracketTotals } from '../host/bracket.js';
import type { Addon } from '../native/addon.js';
import type { CheckContext, Evidence } from './model.js';
import type { Pinning } from './pinning.js';

// Some milliseconds of the slowest pair (system call around system call): signals and progress get their turn.
const CHUNK = 20_000;

/** Restricts the calling thread to `cpus`; false if that is refused. */
function trySetAffinity(addon: Addon, cpus: readonly number[]): boolean {
  try {
    addon.setCpuAffinity(Uint32Array.from(cpus));
    return true;
  } catch (error) {
    if (isLatchclockError(error, 'ERR_SYSTEM_CALL')) return false;
    throw error;
  }
}

/**
 * Runs `work` once on each CPU of the run, pinned there, in an order drawn from the seed; CPUs that were taken away
 * meanwhile are passed over. When all is done the thread may run where it could before, or where somebody else
 * (taskset, a cpuset) has let it run meanwhile. Where pinning is refused or ignored, `work` runs wherever the thread is.
 */
export async function onEachCpu(
  { host, cpus, random }: Pick<CheckContext, 'host' | 'cpus' | 'random'>,
  work: (cpu: number) => Promise<void>,
): Promise<Pinning> {
  const { addon } = host;
  let home = addon.cpuAffinity();
  let pinnedTo: number | null = null;
  let pinning: Pinning = 'pinned';
  const unpin = (): void => {
    if (pinnedTo === null) return;
    const now = addon.cpuAffinity();
    if (now.length !== 1 || now[0] !== pinnedTo) home = now;
    // Refused where a cpuset has since taken all these CPUs away: the kernel has then moved the thread itself.
    else trySetAffinity(addon, home);
    pinnedTo = null;
  };
  // A CPU that the thread may no longer run on was taken away, and that is no affinity that is ignored.
  const look = (cpu: number): void => {
    if (!addon.isOnCpu(cpu) && addon.cpuAffinity().includes(cpu)) pinning = 'ignored';
  };
  let worked = false;
  try {
    for (const cpu of random.shuffle(cpus)) {
      unpin();
      if (!addon.cpuAffinity().includes(cpu)) continue;
      const isSet = trySetAffinity(addon, [cpu]);
      if (isSet) {
        pinnedTo = cpu;
        look(cpu);
      } else {
        pinning = 'refused';
      }
      await work(cpu);
      worked = true;
      if (isSet) look(cpu);
    }
    if (!worked) {
      pinning = 'refused';
      await work(cpus[0] as number);
    }
  } finally {
    unpin();
  }
  return pinning;
}

/** Takes `samples` samples for each request, spread evenly over the CPUs of the run, at least one on each. */
export async function takeBrackets(
  context: CheckContext,
  requests: readonly BracketRequest[],
  samples: number,
): Promise<{ totals: BracketTotals[]; pinning: Pinning }> {
  const totals = requests.map((request) => new BracketTotals(context.host.addon, request));
  const perCpu = Math.max(1, Math.ceil(samples / context.cpus.length));
  const wanted = perCpu * context.cpus.length * totals.length;
  let taken = 0;
  const pinning = await onEachCpu(context, async () => {
    for (const total of context.random.shuffle(totals)) {
      for (let left = perCpu; left > 0; left -= CHUNK) {
        const count = Math.min(CHUNK, left);
        total.take(count);
        taken += count;
        context.progress(taken / wanted);
        await context.breathe();
      }
    }
  });
  return { totals, pinning };
}

/** A sample outside its bracket, as evidence. */
export function rowEvidence(row: BracketRow): Evidence {
  return {
    verdict: row.verdict,
    outerFirstNs: row.outerFirstNs,
    innerNs: row.innerNs,
    outerSecondNs: row.outerSecondNs,
    counterBefore: row.counterBefore,
    counterAfter: row.counterAfter,
    pageCountBefore: row.seqBefore,
    pageCountAfter: row.seqAfter,
  };
}
