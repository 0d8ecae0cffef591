import { isLatchclockError } from '../errors.js';
import { kernelCounterHz, orNull } from '../host/host.js';
import { pageClock } from '../host/kernel-page.js';
import { referencePath, systemCallRefusal } from '../host/reference-path.js';
import {
  ClockPath,
  type ClockPathName,
  type LockStepTally,
  type PageClock,
  ReadingSource,
} from '../native/addon.js';
import { CLOCK_IDS, CLOCK_NAMES, type ClockName, PAGE_CLOCKS } from '../page/posix-clocks.js';
import { formatNs, formatNsRange, plural } from './format.js';
import type { Check, CheckContext, Evidence, Verdict } from './model.js';
import { addStrays, astrayVerdict, NO_STRAY } from './pinning.js';

/** The fastest path by which a clock can be read here, or null. */
function bestPath({ host }: CheckContext, clock: ClockName): ClockPathName | null {
  for (const path of Object.keys(ClockPath) as ClockPathName[]) {
    try {
      host.addon.readClock(ClockPath[path], CLOCK_IDS[clock]);
      return path;
    } catch (error) {
      if (!isLatchclockError(error)) throw error;
    }
  }
  return null;
}

/** Where the page keeps its count, for any clock: to tell what happens across an update. */
function watchedPage({ host }: CheckContext, clock: ClockName): PageClock | null {
  const page = orNull(() => host.page());
  if (page === null) return null;
  const known = PAGE_CLOCKS.find((name) => name === clock);
  return pageClock(page, known ?? 'monotonic');
}

// Where the kernel does not tell the counter's frequency: some CPUs run this for twice the time, some for half.
const ASSUMED_HZ = 2_500_000_000;
const MOST_READS = 100_000_000;

/** Readings in one thread, and hand-overs for each CPU, below which nothing is said of a clock. */
const LEAST_READS = 100;
const LEAST_HAND_OVERS_PER_CPU = 50;
/** How often a clock is tried again whose threads hardly met. */
const MOST_TRIES_AGAIN = 10;

interface ClockOrder {
  clock: ClockName;
  path: ClockPathName;
  alone: LockStepTally;
  /** Null on one CPU, and for the CPU time of a thread, which other threads cannot read. */
  together: LockStepTally | null;
}

function leastHandOvers(cpus: number): number {
  return cpus > 1 ? LEAST_HAND_OVERS_PER_CPU * cpus : 0;
}

function isShort({ reads, handOvers }: LockStepTally, cpus: number): boolean {
  return reads < LEAST_READS || handOvers < leastHandOvers(cpus);
}

/** Two runs on the same CPUs as one. */
function addTallies(a: LockStepTally, b: LockStepTally): LockStepTally {
  const steps = [a.smallestStep, b.smallestStep].filter((step) => step !== null);
  return {
    reads: a.reads + b.reads,
    handOvers: a.handOvers + b.handOvers,
    backwards: a.backwards + b.backwards,
    worst: Math.max(a.worst, b.worst),
    backwardsAcrossUpdate: a.backwardsAcrossUpdate + b.backwardsAcrossUpdate,
    worstAcrossUpdate: Math.max(a.worstAcrossUpdate, b.worstAcrossUpdate),
    smallestStep: steps.length === 0 ? null : Math.min(...steps),
    stray: addStrays(a.stray, b.stray),
  };
}

async function measureOrder(context: CheckContext): Promise<ClockOrder[]> {
  const { host, cpus, budget, random, progress, breathe } = context;
  const hz = orNull(() => kernelCounterHz(host)) ?? ASSUMED_HZ;
  const mostCycles = Math.round((budget.monotonicMs / 1000) * hz);
  const found: ClockOrder[] = [];
  for (const [index, clock] of random.shuffle(CLOCK_NAMES).entries()) {
    progress(index / CLOCK_NAMES.length);
    const path = bestPath(context, clock);
    if (path === null) continue;
    const measureOnce = async (on: readonly number[]): Promise<LockStepTally> => {
      const page = watchedPage(context, clock);
      const tally = host.addon.lockStep(
        ReadingSource[path],
        CLOCK_IDS[clock],
        page,
        Uint32Array.from(on),
        MOST_READS,
        mostCycles,
      );
      await breathe();
      return tally;
    };
    const measure = async (on: readonly number[]): Promise<LockStepTally> => {
      let tally = await measureOnce(on);
      for (let again = 0; again < MOST_TRIES_AGAIN && isShort(tally, on.length); again++) {
        if (tally.stray.astray > 0) break;
        tally = addTallies(tally, await measureOnce(on));
      }
      return tally;
    };
    const [single] = random.shuffle(cpus) as [number];
    const alone = await measure([single]);
    const shared = cpus.length > 1 && clock !== 'thread-cputime';
    found.push({ clock, path, alone, together: shared ? await measure(cpus) : null });
  }
  return CLOCK_NAMES.flatMap((clock) => found.find((entry) => entry.clock === clock) ?? []);
}

function tallyEvidence({ stray, ...counts }: LockStepTally): Evidence {
  return { ...counts, stray: { ...stray } };
}

/** Clocks that may be set: the kernel does not promise that they never go back. */
const SETTABLE: readonly ClockName[] = ['realtime', 'realtime-coarse', 'realtime-alarm', 'tai'];

function talliesOf(
  orders: readonly ClockOrder[],
): { clock: ClockName; where: string; tally: LockStepTally }[] {
  return orders.flatMap(({ clock, alone, together }) => [
    { clock, where: 'in one thread', tally: alone },
    ...(together === null ? [] : [{ clock, where: 'across threads', tally: together }]),
  ]);
}

const monotonic: Check = {
  id: 'clock.monotonic',
  claim: 'No clock goes back: in one thread, or when its last value is handed over to another CPU',
  async run(context) {
    const orders = await measureOrder(context);
    const tallies = talliesOf(orders);
    const reads = tallies.reduce((sum, { tally }) => sum + tally.reads, 0);
    const handOvers = tallies.reduce((sum, { tally }) => sum + tally.handOvers, 0);
    const evidence: Evidence = {
      reads,
      handOvers,
      clocks: Object.fromEntries(
        orders.map(({ clock, path, alone, together }) => [
          clock,
          {
            path,
            alone: tallyEvidence(alone),
            together: together === null ? null : tallyEvidence(together),
          },
        ]),
      ),
    };
    const bound = `${plural(handOvers, 'hand-over')} between CPUs, compared exactly`;
    // In one thread the order holds wherever it runs: its CPU is no part of the claim.
    const stray = orders.reduce((sum, { together }) => addStrays(sum, together?.stray ?? NO_STRAY), NO_STRAY);
    const broken = tallies.filter(({ tally }) => tally.backwards > 0);
    const worst = broken.toSorted((a, b) => b.tally.worst - a.tally.worst)[0];
    if (worst !== undefined) {
      const settable = broken.every(({ clock }) => SETTABLE.includes(clock));
      const unwatched = watchedPage(context, 'monotonic') === null;
      return {
        status: settable && unwatched ? 'warn' : 'fail',
        reason: `${worst.clock} went back ${worst.where} by up to ${formatNs(worst.tally.worst)}`,
        bound,
        evidence,
        advice:
          'Programs that measure intervals see negative ones. If counter.warp or counter.offset fail too, the CPUs ' +
          'differ: do what these advise.',
      };
    }
    // What kernels are known to do: they read the counter before the page's write section opens, so that a reader
    // can use the old rate for longer than the new one reckons.
    const updates = tallies.filter(({ tally }) => tally.backwardsAcrossUpdate > 0);
    const largest = updates.toSorted((a, b) => b.tally.worstAcrossUpdate - a.tally.worstAcrossUpdate)[0];
    if (largest !== undefined) {
      return {
        status: 'warn',
        reason: `${largest.clock} went back by ${formatNs(largest.tally.worstAcrossUpdate)} as the kernel changed rate or time`,
        bound,
        evidence,
        advice:
          'Linux is known to do this at a change of mult (microseconds at 10 %, nothing seen below 500 ppm), and when ' +
          'the clock is set. Let the time daemon settle; slew more slowly.',
      };
    }
    if (stray.astray > 0) return astrayVerdict(stray, evidence);
    const short = orders.filter(
      ({ alone, together }) =>
        isShort(alone, 1) || (together !== null && isShort(together, context.cpus.length)),
    );
    if (short.length > 0) return tooFewReads(short, orders.length, context.cpus.length, evidence);
    return {
      status: 'pass',
      reason: `${plural(orders.length, 'clock')}, ${plural(reads, 'reading')}, none back`,
      bound,
      evidence,
    };
  },
};

/** What is said where the threads that read some clocks hardly met. */
function tooFewReads(
  short: readonly ClockOrder[],
  clocks: number,
  cpus: number,
  evidence: Evidence,
): Verdict {
  const { clock, alone, together } = short[0] as ClockOrder;
  const needed = leastHandOvers(cpus);
  const had = isShort(alone, 1)
    ? `${plural(alone.reads, 'reading')} of the ${LEAST_READS} needed`
    : `${plural(together?.handOvers ?? 0, 'hand-over')} of the ${needed} needed`;
  return {
    status: 'skip',
    reason: `${clock} had ${had}`,
    bound: `${short.length} of ${plural(clocks, 'clock')} had too few; none went back`,
    evidence,
    advice:
      'The CPUs hardly ever ran at the same time, the machine is too busy: run it again when it is less so, or with ' +
      'fewer CPUs (--cpus).',
  };
}

interface Resolution {
  clock: ClockName;
  /** By each path, nanoseconds. */
  told: Partial<Record<ClockPathName, bigint>>;
}

function readResolutions({ host }: CheckContext): Resolution[] {
  const found: Resolution[] = [];
  for (const clock of CLOCK_NAMES) {
    const told: Resolution['told'] = {};
    for (const path of Object.keys(ClockPath) as ClockPathName[]) {
      try {
        told[path] = host.addon.clockResolution(ClockPath[path], CLOCK_IDS[clock]);
      } catch (error) {
        if (!isLatchclockError(error)) throw error;
      }
    }
    if (Object.keys(told).length > 0) found.push({ clock, told });
  }
  return found;
}

// Several, so that one late tick does not decide.
const WATCHED_TICKS = 24n;

/** The smallest step that a coarse clock makes, watched for some ticks; nanoseconds, null if it made none. */
function coarseStepNs({ host }: CheckContext, clock: ClockName, tickNs: bigint): bigint | null {
  const path = ClockPath[referencePath(host.addon, 'monotonic')];
  const read = (): bigint => host.addon.readClock(path, CLOCK_IDS[clock]);
  const start = host.addon.readClock(path, CLOCK_IDS.monotonic);
  let smallest: bigint | null = null;
  let last = read();
  while (host.addon.readClock(path, CLOCK_IDS.monotonic) - start < WATCHED_TICKS * tickNs) {
    const now = read();
    const step = now - last;
    if (step > 0n && (smallest === null || step < smallest)) smallest = step;
    last = now;
  }
  return smallest;
}

const FINE_READS = 20_000;

/** The smallest step that monotonic makes in readings as fast as they go, nanoseconds; 0 if it made none. */
function fineStepNs(context: CheckContext): bigint {
  const path = bestPath(context, 'monotonic');
  if (path === null) return 0n;
  const values = new BigInt64Array(FINE_READS);
  context.host.addon.readClocks(ClockPath[path], CLOCK_IDS.monotonic, values);
  let smallest = 0n;
  for (let i = 1; i < values.length; i++) {
    const step = (values[i] as bigint) - (values[i - 1] as bigint);
    if (step > 0n && (smallest === 0n || step < smallest)) smallest = step;
  }
  return smallest;
}

const resolution: Check = {
  id: 'clock.resolution',
  claim: 'clock_getres says the same by every path, and coarse clocks step by what it says',
  async run(context) {
    const resolutions = readResolutions(context);
    const refusal = systemCallRefusal(context.host.addon);
    const differing = resolutions.filter(({ told }) => new Set(Object.values(told)).size > 1);
    const coarse = resolutions.filter(({ clock }) => clock.endsWith('-coarse'));
    const steps: { clock: ClockName; toldNs: bigint; stepNs: bigint | null }[] = [];
    for (const { clock, told } of coarse) {
      const toldNs = told.syscall ?? told.libc ?? told.vdso ?? 0n;
      steps.push({ clock, toldNs, stepNs: coarseStepNs(context, clock, toldNs) });
      await context.breathe();
    }
    const fine = resolutions.find(({ clock }) => clock === 'monotonic')?.told ?? {};
    const fineNs = fine.syscall ?? fine.libc ?? fine.vdso ?? null;
    const fineStep = fineStepNs(context);
    const evidence: Evidence = {
      fineStepNs: fineStep,
      told: Object.fromEntries(resolutions.map(({ clock, told }) => [clock, { ...told }])),
      coarseSteps: steps.map((step) => ({ ...step })),
      refused: refusal?.errno ?? null,
    };
    const bound = 'told values compared exactly; coarse steps neither smaller by 1 % nor all twice as large';
    if (differing.length > 0) {
      return {
        status: 'fail',
        reason: `paths differ for ${differing.map(({ clock }) => clock).join(', ')}`,
        bound,
        evidence,
        advice:
          'Libc, vDSO or a sandbox answers for the kernel: programs may wait for too short or too long.',
      };
    }
    const wrong = steps.filter(
      ({ toldNs, stepNs }) => stepNs === null || stepNs * 100n < toldNs * 99n || stepNs >= 2n * toldNs,
    );
    if (wrong.length > 0) {
      return {
        status: 'warn',
        reason: wrong
          .map(({ clock, stepNs }) =>
            stepNs === null ? `${clock} stood still` : `${clock} stepped by ${stepNs} ns`,
          )
          .join(', '),
        bound,
        evidence,
        advice:
          'A coarse clock moves by one tick at a time while a CPU is busy: the clock was set meanwhile, or ticks are lost. ' +
          'Run again.',
      };
    }
    const coarseNs = steps.map(({ toldNs }) => Number(toldNs));
    const coarseSeen = coarseNs.length === 0 ? 'none' : formatNsRange(coarseNs);
    const without = refusal === null ? '' : `; without syscall (${refusal.errno})`;
    if (fineNs !== null && fineNs > 1n) {
      return {
        status: 'warn',
        reason: `${fineNs} ns: timers wait for ticks`,
        bound,
        evidence,
        advice:
          'High-resolution timers are off (highres=off, or no usable timer): sleeps are as coarse as the tick.',
      };
    }
    return {
      status: 'pass',
      reason: `${fineNs} ns told, steps of ${formatNs(Number(fineStep))} seen; coarse ${coarseSeen}${without}`,
      bound,
      evidence,
    };
  },
};

interface CoarseTally {
  clock: ClockName;
  samples: number;
  ahead: number;
  mostBehindNs: bigint;
  tickNs: bigint;
}

// A machine in use updates at each tick; the kernel's own work, and a hypervisor's, can delay one.
const LATE_TICKS = 2n;
const BREATHE_EVERY = 5_000;

async function measureCoarse(
  context: CheckContext,
  coarse: ClockName,
  fine: ClockName,
): Promise<CoarseTally> {
  const { host, budget, breathe } = context;
  const path = host.addon.vdsoBase() === null ? ClockPath.syscall : ClockPath.vdso;
  const tally: CoarseTally = {
    clock: coarse,
    samples: 0,
    ahead: 0,
    mostBehindNs: 0n,
    tickNs: host.addon.clockResolution(ClockPath[referencePath(host.addon, coarse)], CLOCK_IDS[coarse]),
  };
  while (tally.samples < budget.coarseSamples) {
    const before = host.addon.readClock(path, CLOCK_IDS[fine]);
    const value = host.addon.readClock(path, CLOCK_IDS[coarse]);
    const after = host.addon.readClock(path, CLOCK_IDS[fine]);
    tally.samples++;
    if (value > after) tally.ahead++;
    if (before - value > tally.mostBehindNs) tally.mostBehindNs = before - value;
    if (tally.samples % BREATHE_EVERY === 0) await breathe();
  }
  return tally;
}

const coarse: Check = {
  id: 'clock.coarse',
  claim: 'Coarse clocks are never ahead of the fine ones, and behind by no more than two ticks',
  async run(context) {
    const tallies = [
      await measureCoarse(context, 'monotonic-coarse', 'monotonic'),
      await measureCoarse(context, 'realtime-coarse', 'realtime'),
    ];
    const ahead = tallies.filter((tally) => tally.ahead > 0);
    const late = tallies.filter((tally) => tally.mostBehindNs > LATE_TICKS * tally.tickNs);
    const mostBehindNs = tallies.reduce(
      (most, tally) => (tally.mostBehindNs > most ? tally.mostBehindNs : most),
      0n,
    );
    const tickNs = tallies[0]?.tickNs ?? 0n;
    const evidence: Evidence = { tallies: tallies.map((tally) => ({ ...tally })), mostBehindNs, tickNs };
    const bound = `read between two readings of the fine clock, ${plural(context.budget.coarseSamples, 'time')} each`;
    const behind = `up to ${formatNs(Number(mostBehindNs))} behind, tick ${formatNs(Number(tickNs))}`;
    if (ahead.length > 0) {
      // Realtime may be set between two readings; monotonic may not.
      const onlyRealtime = ahead.every(({ clock }) => clock === 'realtime-coarse');
      return {
        status: onlyRealtime ? 'warn' : 'fail',
        reason: `${ahead.map(({ clock }) => clock).join(', ')} ahead of the fine clock`,
        bound,
        evidence,
        advice:
          'Mixing coarse and fine readings gives negative intervals. Was the clock set meanwhile? Else report the kernel.',
      };
    }
    if (late.length > 0) {
      return {
        status: 'warn',
        reason: behind,
        bound,
        evidence,
        advice:
          'Ticks come late: steal time, a hypervisor that deschedules this machine, or long work with interrupts off.',
      };
    }
    return { status: 'pass', reason: behind, bound, evidence };
  },
};

export const clockOrderChecks: readonly Check[] = [monotonic, resolution, coarse];
