import type { Budget } from '../../lib/checks/budget.ts';
import type { Check, CheckContext, Verdict } from '../../lib/checks/model.ts';
import { RunMonitor } from '../../lib/checks/monitor.ts';
import { CHECKS } from '../../lib/checks/registry.ts';
import { openHost } from '../../lib/host/host.ts';
import { seededRandom } from '../../lib/random.ts';
import { type SimulatedHost, type SimulatedHostOptions, simulatedHost } from './simulated-host.ts';

/** Enough to tell right from wrong on a simulated machine, where a sample costs microseconds. */
const SMALL: Budget = {
  name: 'quick',
  exactSamplesPerClock: 200,
  samplesPerPair: 40,
  fastPathCalls: 20,
  frequencySpanMs: 0.01,
  counterReadsPerCpu: 2_000,
  warpReads: 2_000,
  pingPongRounds: 200,
  monotonicMs: 0.02,
  coarseSamples: 200,
  recordMs: 1,
  stressMs: 1,
  kills: 2,
  keptMs: 20,
  smearPhases: 3,
  smearWindowMs: 1_100,
  againstKernelMs: 60,
};

/** Runs one check on a simulated machine, after `edit` has had it; throws what the check throws. */
export async function runCheckOn(
  options: SimulatedHostOptions,
  id: string,
  edit: (machine: SimulatedHost) => void = () => undefined,
): Promise<Verdict> {
  const machine = simulatedHost(options);
  edit(machine);
  const check = CHECKS.find((known) => known.id === id);
  if (check === undefined) throw new Error(`there is no check ${id}`);
  return runCheck(machine, check);
}

/** Runs a check on a simulated machine; throws what it throws. */
export async function runCheck({ addon, files }: SimulatedHost, check: Check): Promise<Verdict> {
  const host = openHost(addon, files);
  const context: CheckContext = {
    host,
    budget: SMALL,
    cpus: addon.cpuAffinity(),
    random: seededRandom(1n),
    monitor: new RunMonitor(host),
    progress: () => undefined,
    breathe: async () => undefined,
  };
  return check.run(context);
}
