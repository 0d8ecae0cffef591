import { isLatchclockError } from '../errors.js';
import type { BracketRequest, BracketTotals } from '../host/bracket.js';
import { orNull } from '../host/host.js';
import { pageClock, readKernelPage } from '../host/kernel-page.js';
import { readableClocks } from '../host/prove-layout.js';
import { openPtpClocks } from '../host/ptp.js';
import { FILTER_ERRNOS } from '../host/reference-path.js';
import { ClockPath, type ClockPathName, type ReadingSourceName } from '../native/addon.js';
import { CLOCK_IDS, CLOCK_NAMES, type PageClockName } from '../page/posix-clocks.js';
import { rowEvidence, takeBrackets } from './bracketing.js';
import { formatNs, formatNsRange, plural } from './format.js';
import type { Check, CheckContext, Evidence, Verdict } from './model.js';
import { PINNING_ADVICE, type Pinning, pinningRemark } from './pinning.js';

interface Clock {
  name: string;
  id: number;
}

/** By which sources a clock can be read, and the error of each path that failed. */
interface Availability {
  sources: ReadingSourceName[];
  errors: { path: ClockPathName; error: string }[];
}

function probe({ host }: CheckContext, clock: Clock, ownClocks: ReadonlySet<string>): Availability {
  const sources: ReadingSourceName[] = ownClocks.has(clock.name) ? ['page'] : [];
  const errors: Availability['errors'] = [];
  for (const path of Object.keys(ClockPath) as ClockPathName[]) {
    try {
      host.addon.readClock(ClockPath[path], clock.id);
      sources.push(path);
    } catch (error) {
      if (!isLatchclockError(error)) throw error;
      errors.push({ path, error: error.errno ?? error.code });
    }
  }
  return { sources, errors };
}

/** Errors that say something of the process, not of the clock: the path is then left out, and said so. */
const PATH_WIDE = ['ERR_NO_VDSO', 'ERR_COUNTER_DISABLED'];

/** The errno by which a sandbox refuses the system call, or null. */
function filterErrno({ errors }: Availability): string | null {
  const error = errors.find(({ path }) => path === 'syscall')?.error;
  return error !== undefined && FILTER_ERRNOS.includes(error) ? error : null;
}

/** What is wrong if one path refuses a clock that another gives, or two refuse it differently; else null. */
function disagreement(clock: Clock, availability: Availability): string | null {
  const { sources, errors } = availability;
  // Where the vDSO or the libc answers like the filter, it had entered the kernel for this clock.
  const filtered = filterErrno(availability);
  const refusals = errors.filter(({ error }) => !PATH_WIDE.includes(error) && error !== filtered);
  const readable = sources.filter((source) => source !== 'page');
  const kinds = new Set(refusals.map(({ error }) => error));
  if (refusals.length === 0 || (readable.length === 0 && kinds.size === 1)) return null;
  const refused = refusals.map(({ path, error }) => `${path} ${error}`).join(', ');
  return `${clock.name}: ${refused}${readable.length === 0 ? '' : `, yet readable by ${readable.join(', ')}`}`;
}

interface PlannedPair {
  clock: string;
  /** `inner in outer`. */
  pair: string;
  request: BracketRequest;
}

interface Plan {
  pairs: PlannedPair[];
  clocksRead: number;
  unsupported: string[];
  disagreements: string[];
  leftOut: string[];
  /** Errnos by which a sandbox refuses the system call, and the clocks for which it does. */
  filtered: string[];
  filteredClocks: string[];
}

function planPairs(context: CheckContext, clocks: readonly Clock[]): Plan {
  const { host } = context;
  const page = orNull(() => host.page());
  const counterWorks = host.addon.counterState() !== 'disabled';
  const ownClocks = new Set<string>(
    page === null || !counterWorks ? [] : readableClocks(readKernelPage(host.addon, page), page.proof),
  );
  const plan: Plan = {
    pairs: [],
    clocksRead: 0,
    unsupported: [],
    disagreements: [],
    leftOut: [],
    filtered: [],
    filteredClocks: [],
  };
  const leftOut = new Set<string>();
  const filtered = new Set<string>();
  for (const clock of clocks) {
    const availability = probe(context, clock, ownClocks);
    const { sources, errors } = availability;
    for (const { path, error } of errors) if (PATH_WIDE.includes(error)) leftOut.add(`${path} (${error})`);
    const refused = filterErrno(availability);
    if (refused !== null) {
      filtered.add(refused);
      plan.filteredClocks.push(clock.name);
    }
    const differs = disagreement(clock, availability);
    if (differs !== null) plan.disagreements.push(differs);
    if (sources.length === 0) plan.unsupported.push(clock.name);
    else plan.clocksRead++;
    // A clock that the page lacks is bracketed with an eye on the page's count all the same.
    const watched = ownClocks.has(clock.name) ? (clock.name as PageClockName) : 'monotonic';
    for (const outer of sources) {
      for (const inner of sources.filter((source) => source !== outer)) {
        const request = {
          outer,
          inner,
          clockId: clock.id,
          page: page === null ? null : pageClock(page, watched),
        };
        plan.pairs.push({ clock: clock.name, pair: `${inner} in ${outer}`, request });
      }
    }
  }
  plan.leftOut = [...leftOut];
  plan.filtered = [...filtered];
  return plan;
}

type MeasuredPair = PlannedPair & { total: BracketTotals };

function pairEvidence(pairs: readonly MeasuredPair[]): Evidence {
  const clocks: Record<string, Record<string, Evidence>> = {};
  for (const { clock, pair, total } of pairs) {
    clocks[clock] ??= {};
    clocks[clock][pair] = {
      samples: total.samples,
      outside: total.outside,
      acrossUpdate: total.acrossUpdate,
      outsideAcrossUpdate: total.outsideAcrossUpdate,
      bracketNs: total.widthNs,
    };
  }
  return clocks;
}

function judgePairs(plan: Plan, pairs: readonly MeasuredPair[], pinning: Pinning): Verdict {
  const samples = pairs.reduce((sum, { total }) => sum + total.samples, 0);
  const outside = pairs.filter(({ total }) => total.outside > 0);
  const differing = pairs.flatMap(({ total }) => total.differing);
  const evidence: Evidence = {
    samples,
    clocksRead: plan.clocksRead,
    unsupported: plan.unsupported,
    disagreements: plan.disagreements,
    leftOut: plan.leftOut,
    filtered: plan.filtered,
    pinned: pinning === 'pinned',
    pinning,
    filteredClocks: plan.filteredClocks,
    recomputed: pairs.reduce((sum, { total }) => sum + total.recomputed, 0),
    differing,
    clocks: pairEvidence(pairs),
    outside: outside.flatMap(({ clock, pair, total }) =>
      total.outsideRows.slice(0, 4).map((row) => ({ clock, pair, ...rowEvidence(row) })),
    ),
  };
  if (pairs.length === 0) {
    return {
      status: 'skip',
      reason: 'no clock can be read by two paths',
      bound: 'nothing was measured',
      evidence,
      advice: `A vDSO and an enabled counter would let it run. Left out: ${plan.leftOut.join(', ') || 'none'}.`,
    };
  }
  const widths = pairs.map(({ total }) => total.widthNs).filter((width) => width > 0);
  const bound = `median brackets of ${formatNsRange(widths)}, 0 for coarse clocks${pinningRemark(pinning)}`;
  const worst = outside.toSorted((a, b) => b.total.worstNs - a.total.worstNs)[0];
  const fault =
    worst === undefined
      ? (plan.disagreements[0] ?? differing[0])
      : `${worst.clock}, ${worst.pair}: outside by up to ${formatNs(worst.total.worstNs)}, ` +
        `${plural(worst.total.outside, 'time')} in ${plural(worst.total.samples, 'sample')}`;
  if (fault !== undefined) {
    return {
      status: 'fail',
      reason: fault,
      bound,
      evidence,
      advice:
        'Two ways to read one clock disagree: programs that use different libraries see different times on this ' +
        'host. Look for a hook between program and kernel (sandbox, LD_PRELOAD, faketime), else report the kernel.',
    };
  }
  const seen = `${plural(plan.clocksRead, 'clock')}, ${plural(pairs.length, 'pair')} of paths, ${plural(samples, 'sample')}`;
  if (pinning === 'ignored') {
    const reason = `${seen}, none outside; but not on the CPUs asked for`;
    return { status: 'skip', reason, bound, evidence, advice: PINNING_ADVICE };
  }
  const acrossUpdate = pairs.filter(({ total }) => total.outsideAcrossUpdate > 0);
  if (acrossUpdate.length > 0) {
    const size = Math.max(...acrossUpdate.map(({ total }) => total.worstNs));
    return {
      status: 'warn',
      reason: `${seen}; outside by up to ${formatNs(size)}, only while the kernel rewrote its page`,
      bound,
      evidence,
      advice:
        'A clock went back as its rate or time was changed: kernels do that while a clock is stepped or slewed ' +
        'hard. Run again when the time daemon has settled.',
    };
  }
  if (plan.filtered.length > 0) {
    // A filter that looks at the clock's id is told by the clocks, one that does not by all of them.
    const some = plan.filteredClocks.length < plan.clocksRead;
    const forWhich = some ? ` for ${plan.filteredClocks.join(', ')}` : '';
    return {
      status: 'warn',
      reason: `the system call is refused with ${plan.filtered.join(', ')}${forWhich}; else ${seen}, none outside`,
      bound,
      evidence,
      advice:
        'A sandbox (seccomp) of this process does that, not the kernel: clocks of the vDSO work, CPU times and programs ' +
        'that make the call fail. Let it pass clock_gettime and clock_getres, and run again.',
    };
  }
  const without = plan.leftOut.length === 0 ? '' : `; without ${plan.leftOut.join(', ')}`;
  return { status: 'pass', reason: `${seen}, none outside${without}`, bound, evidence };
}

const paths: Check = {
  id: 'clock.paths',
  claim:
    'Own arithmetic, vDSO, libc and system call give the same clock, each inside the bracket of each other',
  async run(context) {
    const ptp = openPtpClocks();
    try {
      const named = CLOCK_NAMES.map((name) => ({ name, id: CLOCK_IDS[name] }));
      const plan = planPairs(context, [...named, ...ptp.clocks]);
      const { totals, pinning } = await takeBrackets(
        context,
        plan.pairs.map(({ request }) => request),
        context.budget.samplesPerPair,
      );
      const measured = plan.pairs.map((pair, index) => ({ ...pair, total: totals[index] as BracketTotals }));
      return judgePairs(plan, measured, pinning);
    } finally {
      ptp.close();
    }
  },
};

export const clockChecks: readonly Check[] = [paths];
