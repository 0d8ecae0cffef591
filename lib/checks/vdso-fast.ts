import { median } from 'simple-statistics';
import { isLatchclockError } from '../errors.js';
import { readTextOrNull } from '../host/files.js';
import { orNull } from '../host/host.js';
import { readKernelLog } from '../host/kernel-log.js';
import { readKernelPage } from '../host/kernel-page.js';
import { readPvclockPage } from '../host/pvclock-page.js';
import { systemCallRefusal } from '../host/reference-path.js';
import { ClockPath, CounterMethod, type KernelEntries } from '../native/addon.js';
import { modeName } from '../page/kernel-page.js';
import { CLOCK_IDS, isCoarse, PAGE_CLOCKS, type PageClockName } from '../page/posix-clocks.js';
import { adviseOnSlowClocks, describeSlowClocks } from './clocksource-advice.js';
import { type CycleRate, cycleRate, describeRate, formatCost, nsOf } from './cycle-rate.js';
import { formatCount, plural } from './format.js';
import type { CheckContext, Evidence, Verdict } from './model.js';
import { type SlowClockFacts, slowClockCause } from './slow-clock-cause.js';

const ROUNDS = 9;
const CALLS_A_ROUND = 2_000;

interface Costs {
  /** The clock that was read. */
  clock: PageClockName;
  /** Median cost of a call, cycles. */
  vdso: number;
  /** Null where the system call is refused. */
  syscall: number | null;
  counter: number;
  /** System call over vDSO, rounded to a tenth. */
  ratio: number | null;
}

/** What a read of `clock` costs by each path: medians of interleaved rounds, in one run. */
function measureCosts({ host }: CheckContext, clock: PageClockName): Costs {
  const { addon } = host;
  const out = new BigInt64Array(CALLS_A_ROUND);
  const costOf = (work: () => void): number => {
    const before = addon.readCounter(CounterMethod['lfence-rdtsc']);
    work();
    return Number(addon.readCounter(CounterMethod['lfence-rdtsc']) - before) / CALLS_A_ROUND;
  };
  const hasSystemCall = systemCallRefusal(addon) === null;
  const rounds = Array.from({ length: ROUNDS }, () => ({
    vdso: costOf(() => addon.readClocks(ClockPath.vdso, CLOCK_IDS[clock], out)),
    syscall: hasSystemCall
      ? costOf(() => addon.readClocks(ClockPath.syscall, CLOCK_IDS[clock], out))
      : Number.NaN,
    counter: costOf(() => addon.readCounters(CounterMethod['lfence-rdtsc'], out)),
  }));
  const middle = (path: 'vdso' | 'syscall' | 'counter'): number => median(rounds.map((round) => round[path]));
  const costs = { clock, vdso: middle('vdso'), counter: middle('counter') };
  if (!hasSystemCall) return { ...costs, syscall: null, ratio: null };
  const syscall = middle('syscall');
  return { ...costs, syscall, ratio: Math.round((10 * syscall) / costs.vdso) / 10 };
}

/** What is known of this host, for the cause of slow clocks. */
function slowClockFacts(
  { host }: CheckContext,
  tested: readonly PageClockName[],
  slow: readonly PageClockName[],
): SlowClockFacts {
  const counter = orNull(() => host.counter());
  return {
    tested,
    slow,
    mode: orNull(() => readKernelPage(host.addon, host.page()).main.mode),
    clocksource: host.clocksource(),
    doubts: orNull(() => readKernelLog(host.files))?.doubts ?? null,
    hypervisor: counter?.hypervisor ?? null,
    isInvariant: counter?.invariant ?? null,
    pvclockFlags: orNull(() => readPvclockPage(host.addon, host.files, host.page()).flags),
    kernelRelease: readTextOrNull(host.files, '/proc/sys/kernel/osrelease'),
    vdsoText: orNull(() => host.vdsoText()),
  };
}

/** The subject and verb: `monotonic-raw enters the kernel`, `all 7 clocks enter the kernel`. */
function whoEnters(slow: readonly PageClockName[]): string {
  const computed = PAGE_CLOCKS.filter((clock) => !isCoarse(clock));
  const isAllComputed = slow.length === computed.length && slow.every((clock) => !isCoarse(clock));
  const who =
    slow.length === PAGE_CLOCKS.length
      ? `all ${slow.length} clocks`
      : isAllComputed
        ? `the ${slow.length} clocks that need the counter`
        : slow.join(', ');
  return `${who} ${slow.length === 1 ? 'enters' : 'enter'} the kernel`;
}

/** How many of so many calls of each clock entered the kernel; the refusal where they cannot be counted. */
function countEntries({ host, budget }: CheckContext): KernelEntries[] | string {
  const ids = Uint32Array.from(PAGE_CLOCKS, (clock) => CLOCK_IDS[clock]);
  try {
    return host.addon.countKernelEntries(ids, budget.fastPathCalls);
  } catch (error) {
    if (!isLatchclockError(error, 'ERR_SYSTEM_CALL')) throw error;
    return error.message;
  }
}

/** What was counted and timed, as evidence. */
function evidenceOf(
  context: CheckContext,
  counts: KernelEntries[] | string,
  costs: Costs,
  rate: CycleRate | null,
): Evidence {
  return {
    entries:
      typeof counts === 'string'
        ? null
        : Object.fromEntries(
            PAGE_CLOCKS.map((clock, index) => [clock, counts[index]?.kernelEntries ?? null]),
          ),
    callsPerClock: context.budget.fastPathCalls,
    probeRefused: typeof counts === 'string' ? counts : null,
    timedClock: costs.clock,
    vdsoCycles: costs.vdso,
    syscallCycles: costs.syscall,
    fencedCounterCycles: costs.counter,
    syscallOverVdso: costs.ratio,
    vdsoNs: nsOf(costs.vdso, rate),
    syscallNs: costs.syscall === null ? null : nsOf(costs.syscall, rate),
    fencedCounterNs: nsOf(costs.counter, rate),
    cyclesPerSecond: rate === null ? null : rate.hz,
    cyclesPerSecondBy: rate === null ? null : rate.by,
  };
}

/** The failure: what enters the kernel, why, what it costs, and what to do about that cause. */
function judgeSlow(
  context: CheckContext,
  tested: readonly PageClockName[],
  slow: readonly PageClockName[],
  said: { who: string; cost: string; bound: string; evidence: Evidence },
): Verdict {
  const facts = slowClockFacts(context, tested, slow);
  const cause = slowClockCause(facts);
  const { clocksource, doubts, vdsoText, mode } = facts;
  return {
    status: 'fail',
    reason: `${said.who}: ${describeSlowClocks(cause)}; ${said.cost}`,
    bound: said.bound,
    evidence: {
      ...said.evidence,
      slow,
      cause,
      mode: mode === null ? null : modeName(mode),
      clocksource: clocksource.current,
      available: clocksource.available,
      bootParameters: clocksource.bootParameters,
      kernelDoubts: doubts === null ? null : doubts.map(({ line }) => line),
      hypervisor: facts.hypervisor,
      kernelRelease: facts.kernelRelease,
      vdsoText,
    },
    advice: adviseOnSlowClocks(cause),
  };
}

/** Without a filter that counts: a vDSO that makes the system call costs what the call costs. */
function judgeByCost(
  context: CheckContext,
  costs: Costs,
  seen: string,
  how: string,
  evidence: Evidence,
): Verdict {
  if (costs.syscall === null) {
    return {
      status: 'skip',
      reason: 'the system call is refused, and so is a filter to count kernel entries',
      bound: 'nothing was counted, and there is nothing to compare with',
      evidence,
      advice: 'It runs where the sandbox (seccomp) of this process passes clock_gettime, or another filter.',
    };
  }
  const bound = `judged by cost alone: a filter to count kernel entries was refused; ${how}`;
  // Half of a system call is far from both.
  if (costs.vdso < costs.syscall / 2) return { status: 'pass', reason: seen, bound, evidence };
  const who = `${costs.clock} seems to enter the kernel`;
  return judgeSlow(context, [costs.clock], [costs.clock], { who, cost: seen, bound, evidence });
}

/** Whether reading a clock through the vDSO, which this process has, enters the kernel; if so, why, and at what cost. */
export function judgeFastPath(context: CheckContext): Verdict {
  const counts = countEntries(context);
  const slow =
    typeof counts === 'string'
      ? []
      : PAGE_CLOCKS.filter((_, index) => (counts[index]?.kernelEntries ?? 0) > 0);
  const costs = measureCosts(context, slow[0] ?? 'monotonic');
  const rate = cycleRate(context);
  const evidence = evidenceOf(context, counts, costs, rate);
  const read = `a read of ${costs.clock} costs ${formatCost(costs.vdso, rate)}`;
  const call =
    costs.syscall === null
      ? 'a system call is refused'
      : `by system call ${formatCost(costs.syscall, rate)} (${costs.ratio} times as much)`;
  const how = `costs are medians of ${ROUNDS} rounds of ${formatCount(CALLS_A_ROUND)} calls, ${describeRate(rate)}`;
  if (typeof counts === 'string') return judgeByCost(context, costs, `${read}, ${call}`, how, evidence);
  const bound = `${formatCount(context.budget.fastPathCalls)} calls of each clock, kernel entries counted exactly; ${how}`;
  if (slow.length === 0) {
    return {
      status: 'pass',
      reason: `${plural(PAGE_CLOCKS.length, 'clock')} never enter the kernel; ${read}, ${call}`,
      bound,
      evidence,
    };
  }
  const cost = `${read}, a reading of the counter ${formatCost(costs.counter, rate)}`;
  return judgeSlow(context, PAGE_CLOCKS, slow, { who: whoEnters(slow), cost, bound, evidence });
}
