import { isLatchclockError } from '../errors.js';
import type { BracketRow } from '../host/bracket.js';
import { type BracketRequest, BracketTotals } from '../host/bracket.js';
import type { CheckContext, Evidence } from './model.js';

// Some milliseconds of the slowest pair (system call around system call): signals and progress get their turn.
const CHUNK = 20_000;

/**
 * Runs `work` once on each CPU of the run, pinned there, in an order drawn from the seed; the thread may run
 * where it could before when all is done. Returns false if pinning was refused: `work` then ran unpinned.
 */
export async function onEachCpu(
  { host, cpus, random }: CheckContext,
  work: (cpu: number) => Promise<void>,
): Promise<boolean> {
  const before = Uint32Array.from(host.addon.cpuAffinity());
  let pinned = true;
  try {
    for (const cpu of random.shuffle(cpus)) {
      try {
        host.addon.setCpuAffinity(Uint32Array.of(cpu));
      } catch (error) {
        if (!isLatchclockError(error, 'ERR_SYSTEM_CALL')) throw error;
        pinned = false;
      }
      await work(cpu);
    }
  } finally {
    if (pinned) host.addon.setCpuAffinity(before);
  }
  return pinned;
}

/** Takes `samples` samples for each request, spread evenly over the CPUs of the run, at least one on each. */
export async function takeBrackets(
  context: CheckContext,
  requests: readonly BracketRequest[],
  samples: number,
): Promise<{ totals: BracketTotals[]; pinned: boolean }> {
  const totals = requests.map((request) => new BracketTotals(context.host.addon, request));
  const perCpu = Math.max(1, Math.ceil(samples / context.cpus.length));
  const wanted = perCpu * context.cpus.length * totals.length;
  let taken = 0;
  const pinned = await onEachCpu(context, async () => {
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
  return { totals, pinned };
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
