import { setTimeout as sleep } from 'node:timers/promises';
// As it is built: a timekeeper's thread is JavaScript.
import { BUDGETS } from '../../dist/checks/budget.js';
import { type KeptOptions, type StartKept, startKept } from '../../dist/checks/kept-page.js';
import type { Check, Verdict } from '../../dist/checks/model.js';
import { RunMonitor } from '../../dist/checks/monitor.js';
import { type Host, openMachine } from '../../dist/host/host.js';
import { LatchclockError } from '../../dist/index.js';
import { seededRandom } from '../../dist/random.js';
import { OWN_CLOCKS, type OwnClockName } from '../../lib/page/clock-page.ts';

/** Words of a set before its clocks: the counter, the generation, the bound. */
const FIRST_CLOCK = 3;

/** Runs a check on this machine, or on one that is made of it, for a short time. */
export async function runKept(check: Check | undefined, host: Host = openMachine()): Promise<Verdict> {
  if (check === undefined) throw new Error('there is no such check');
  return check.run({
    host,
    budget: { ...BUDGETS.quick, smearPhases: 2, smearWindowMs: 1_200 },
    cpus: host.addon.cpuAffinity(),
    random: seededRandom(1n),
    monitor: new RunMonitor(host),
    progress: () => undefined,
    breathe: (ms = 0) => sleep(ms),
  });
}

/** A timekeeper whose pages are spoilt on the way to their readers: `spoil` changes the words of each reading. */
export function spoilt(spoil: (words: BigInt64Array, page: number) => void): StartKept {
  return async (context, options: KeptOptions) => {
    const kept = await startKept(context, options);
    const read = kept.read.map((into, page) => (words: BigInt64Array) => {
      into(words);
      spoil(words, page);
    });
    return { ...kept, read };
  };
}

/** Adds to a clock of a reading. */
export function add(words: BigInt64Array, clock: OwnClockName, ns: bigint): void {
  const at = FIRST_CLOCK + OWN_CLOCKS.indexOf(clock);
  words[at] = (words[at] as bigint) + ns;
}

/** No timekeeper can be had. */
export const noTimekeeper: StartKept = async () => {
  throw new LatchclockError('ERR_SOURCE', 'the clocksource is no counter', { todo: 'use the tsc' });
};
