import { isLatchclockError } from '../errors.js';
import { type CallRow, decodeCallRow, isWellFormed, judgeCallRow } from '../host/call-bracket.js';
import { orNull } from '../host/host.js';
import { pageClock } from '../host/kernel-page.js';
import { FILTER_ERRNOS } from '../host/reference-path.js';
import {
  CALL_ROW_WORDS,
  type CallBracketTally,
  CallPath,
  type CallPathName,
  ClockCall,
  type ClockCallName,
  ClockPath,
  type ClockPathName,
  CounterMethod,
  type PageClock,
} from '../native/addon.js';
import { CLOCK_IDS, CLOCK_NAMES, type ClockName } from '../page/posix-clocks.js';
import { onEachCpu } from './bracketing.js';
import { formatNs, plural } from './format.js';
import type { Check, CheckContext, Evidence, Verdict } from './model.js';

const CALL_PATHS = Object.keys(CallPath) as CallPathName[];
const CLOCK_PATHS = Object.keys(ClockPath) as ClockPathName[];

/** Why a call cannot be made by a path: an errno or a code; null if it can. */
function refusalOf(
  { host }: CheckContext,
  call: ClockCallName,
  path: CallPathName,
  id: number,
): string | null {
  try {
    host.addon.callClock(ClockCall[call], CallPath[path], id, new BigInt64Array(2));
    return null;
  } catch (error) {
    if (isLatchclockError(error)) return error.errno ?? error.code;
    throw error;
  }
}

/** The paths by which a call can be made, and why not by the others. */
interface Ways {
  paths: CallPathName[];
  refusals: { path: CallPathName; error: string }[];
  /** The same for people. */
  refused: string[];
}

function waysOf(context: CheckContext, call: ClockCallName, id: number): Ways {
  const ways: Ways = { paths: [], refusals: [], refused: [] };
  for (const path of CALL_PATHS) {
    // The page has three calls, none of which takes a clock.
    if (path === 'vsyscall' && (call === 'clock_gettime' || call === 'clock_getres')) continue;
    const refusal = refusalOf(context, call, path, id);
    if (refusal === null) {
      ways.paths.push(path);
      continue;
    }
    ways.refusals.push({ path, error: refusal });
    // Kernels of today need not have this page.
    if (path !== 'vsyscall') ways.refused.push(`${call} by ${path} (${refusal})`);
  }
  return ways;
}

/** A call by a path, between two of `clock_gettime` by another. */
interface Pair {
  call: ClockCallName;
  path: CallPathName;
  clock: ClockName;
  outer: ClockPathName;
  outerClock: ClockName;
}

const nameOf = ({ call, path, clock, outer, outerClock }: Pair): string =>
  call === 'clock_gettime'
    ? `clock_gettime(${clock}) by ${path}`
    : `${call} by ${path} in ${outerClock} by ${outer}`;

/** What many samples of a pair said. */
class PairTotals {
  samples = 0;
  outside = 0;
  outsideAcrossUpdate = 0;
  malformed = 0;
  malformedOuter = 0;
  worstNs = 0;
  /** Rows judged again in `bigint`, and those of which the native loop said otherwise. */
  recomputed = 0;
  readonly differing: string[] = [];
  /** The first samples that are wrong. */
  readonly wrong: CallRow[] = [];
  readonly #rows = new BigInt64Array(64 * CALL_ROW_WORDS);

  constructor(readonly pair: Pair) {}

  take({ host }: CheckContext, page: PageClock | null, count: number): void {
    const { call, path, clock, outer, outerClock } = this.pair;
    const tally = host.addon.bracketCall(
      ClockCall[call],
      CallPath[path],
      CLOCK_IDS[clock],
      ClockPath[outer],
      CLOCK_IDS[outerClock],
      page,
      count,
      Math.max(1, Math.floor(count / 32)),
      this.#rows,
    );
    this.#add(tally);
  }

  #add(tally: CallBracketTally): void {
    this.samples += tally.samples;
    this.outside += tally.outside;
    this.outsideAcrossUpdate += tally.outsideAcrossUpdate;
    this.malformed += tally.malformed;
    this.malformedOuter += tally.malformedOuter;
    this.worstNs = Math.max(this.worstNs, tally.worstNs);
    const seen = { outside: 0, malformed: 0, malformedOuter: 0 };
    for (let index = 0; index < tally.rows; index++) {
      const row = decodeCallRow(this.#rows.slice(index * CALL_ROW_WORDS, (index + 1) * CALL_ROW_WORDS));
      const judged = judgeCallRow(this.pair.call, row);
      this.recomputed++;
      seen.outside += Number(judged.distanceNs > 0n);
      seen.malformed += Number(judged.malformed);
      seen.malformedOuter += Number(judged.malformedOuter);
      const wrong = judged.distanceNs > 0n || judged.malformed || judged.malformedOuter;
      if (wrong && this.wrong.length < 4) this.wrong.push(row);
    }
    // Every wrong sample has a row while there is room: the counts must then be the loop's.
    const counted = {
      outside: tally.outside + tally.outsideAcrossUpdate,
      malformed: tally.malformed,
      malformedOuter: tally.malformedOuter,
    };
    const room = tally.rows < this.#rows.length / CALL_ROW_WORDS;
    for (const key of ['outside', 'malformed', 'malformedOuter'] as const) {
      if (room ? seen[key] !== counted[key] : seen[key] > counted[key]) {
        this.differing.push(`${nameOf(this.pair)}: ${key} ${counted[key]}, judged again ${seen[key]}`);
      }
    }
  }

  get evidence(): Evidence {
    const { samples, outside, outsideAcrossUpdate, malformed, malformedOuter, worstNs } = this;
    return { samples, outside, outsideAcrossUpdate, malformed, malformedOuter, worstNs };
  }

  get wrongRows(): Evidence[] {
    return this.wrong.map(({ acrossUpdate, first, inner, second }) => ({
      pair: nameOf(this.pair),
      acrossUpdate,
      first: [first.seconds, first.fraction],
      answer: [inner.seconds, inner.fraction],
      second: [second.seconds, second.fraction],
    }));
  }
}

/** The clock whose place in the page has the count that is watched; null where no page is known. */
function watchedPage({ host }: CheckContext): PageClock | null {
  const page = orNull(() => host.page());
  return page === null ? null : pageClock(page, 'monotonic');
}

const CHUNK = 20_000;

async function takeSamples(context: CheckContext, pairs: readonly Pair[]): Promise<PairTotals[]> {
  const totals = pairs.map((pair) => new PairTotals(pair));
  const page = watchedPage(context);
  const perPair = Math.max(100, Math.ceil(context.budget.samplesPerPair));
  for (const [index, total] of totals.entries()) {
    for (let left = perPair; left > 0; left -= CHUNK) total.take(context, page, Math.min(CHUNK, left));
    context.progress((index + 1) / totals.length);
    await context.breathe();
  }
  return totals;
}

const OTHER_TIMES = [
  { call: 'gettimeofday', clock: 'realtime' },
  // time gives the seconds that the kernel last wrote: those of the coarse clock.
  { call: 'time', clock: 'realtime-coarse' },
] as const;

/** The paths by which `clock_gettime` gives a clock. */
function outerPaths(context: CheckContext, clock: ClockName): ClockPathName[] {
  return CLOCK_PATHS.filter((path) => refusalOf(context, 'clock_gettime', path, CLOCK_IDS[clock]) === null);
}

/** Errors that say something of the process, not of the clock. */
const OF_THE_PROCESS: readonly string[] = [...FILTER_ERRNOS, 'ERR_NO_VDSO', 'ERR_COUNTER_DISABLED'];

interface Resolutions {
  read: number;
  differences: string[];
  refused: string[];
  /** Clocks that nobody can read, and of which a path tells a resolution: vDSOs of Linux 6.18 do, of auxiliary clocks. */
  ofMissing: string[];
}

/** What `clock_getres` gives by each path, and where they differ. */
function compareResolutions(context: CheckContext): Resolutions {
  const { addon } = context.host;
  const differences: string[] = [];
  const refused = new Set<string>();
  const ofMissing: string[] = [];
  let read = 0;
  for (const clock of CLOCK_NAMES) {
    const ways = waysOf(context, 'clock_getres', CLOCK_IDS[clock]);
    if (ways.paths.length === 0) continue;
    if (outerPaths(context, clock).length === 0) {
      ofMissing.push(`${clock} by ${ways.paths.join(', ')}`);
      continue;
    }
    for (const { path, error } of ways.refusals) {
      refused.add(`clock_getres by ${path} (${error})`);
      if (!OF_THE_PROCESS.includes(error)) {
        differences.push(`clock_getres(${clock}): ${path} ${error}, yet told by ${ways.paths.join(', ')}`);
      }
    }
    read++;
    const answers = ways.paths.map((path) => {
      const words = new BigInt64Array(2);
      addon.callClock(ClockCall.clock_getres, CallPath[path], CLOCK_IDS[clock], words);
      return { path, seconds: words[0] as bigint, fraction: words[1] as bigint };
    });
    const last = answers.at(-1) as (typeof answers)[number];
    for (const { path, seconds, fraction } of answers) {
      if (!isWellFormed('clock_getres', { seconds, fraction })) {
        differences.push(`clock_getres(${clock}) by ${path} is ${seconds} s and ${fraction} ns`);
      } else if (seconds !== last.seconds || fraction !== last.fraction) {
        differences.push(
          `clock_getres(${clock}): ${seconds} s ${fraction} ns by ${path}, ${last.seconds} s ${last.fraction} ns by ${last.path}`,
        );
      }
    }
  }
  return { read, differences, refused: [...refused], ofMissing };
}

interface CpuAnswers {
  ways: Ways;
  cpus: number;
  pinned: boolean;
  /** Where two ways to ask name different CPUs within one stay on a CPU. */
  differences: string[];
  /** Where all name one CPU, and it is not the one that the thread is pinned to. */
  elsewhere: string[];
}

const CPU_ROUNDS = 32;

/** TSC_AUX, which Linux makes `node << 12 | cpu`; null where `rdtscp` cannot be used. */
function readAux({ host }: CheckContext): number | null {
  const aux = new Uint32Array(1);
  try {
    host.addon.readCounters(CounterMethod.rdtscp, new BigInt64Array(1), aux);
    return aux[0] as number;
  } catch (error) {
    if (isLatchclockError(error)) return null;
    throw error;
  }
}

/** Asks which CPU this is, by every way, pinned to one after another. */
async function askForCpus(context: CheckContext): Promise<CpuAnswers> {
  const { addon } = context.host;
  const ways = waysOf(context, 'getcpu', 0);
  const differences = new Set<string>();
  const elsewhere = new Set<string>();
  const words = new BigInt64Array(2);
  const ask = (path: CallPathName): string => {
    addon.callClock(ClockCall.getcpu, CallPath[path], 0, words);
    return `CPU ${words[0]} node ${words[1]}`;
  };
  const reference = ways.paths.find((path) => path === 'syscall') ?? ways.paths[0];
  let cpus = 0;
  const pinning = await onEachCpu(context, async (cpu) => {
    if (reference === undefined) return;
    cpus++;
    for (const path of ways.paths) {
      // A thread that is not pinned may move to another CPU within a round, and back: hardly in every round.
      const disagreements: string[] = [];
      for (let round = 0; round < CPU_ROUNDS; round++) {
        const before = ask(reference);
        const answer = ask(path);
        if (before === ask(reference) && answer !== before) {
          disagreements.push(`getcpu by ${path} says ${answer}, by ${reference} ${before}`);
        }
      }
      if (disagreements.length > CPU_ROUNDS / 2) differences.add(disagreements[0] as string);
    }
    const told = ask(reference);
    const aux = readAux(context);
    const byAux = aux === null ? null : `CPU ${aux & 0xfff} node ${aux >>> 12}`;
    if (byAux !== null && byAux !== told && ask(reference) === told) {
      elsewhere.add(`rdtscp says ${byAux}, getcpu ${told}`);
    }
    const allowed = addon.cpuAffinity();
    if (allowed.length === 1 && allowed[0] === cpu && !told.startsWith(`CPU ${cpu} `)) {
      elsewhere.add(`pinned to CPU ${cpu}, getcpu says ${told}`);
    }
    await context.breathe();
  });
  return {
    ways,
    cpus,
    pinned: pinning === 'pinned',
    differences: [...differences],
    elsewhere: [...elsewhere],
  };
}

const HOOK_ADVICE =
  'Something answers in place of the kernel for some calls only: look for a preloaded library (LD_PRELOAD, faketime), a ' +
  'sandbox or an emulator, else report the kernel.';

const calls: Check = {
  id: 'clock.calls',
  claim:
    'gettimeofday, time, clock_getres and getcpu say the same by vDSO, libc, system call and vsyscall page, and as the clocks',
  async run(context): Promise<Verdict> {
    const ways = OTHER_TIMES.map(({ call, clock }) => ({ call, clock, ...waysOf(context, call, 0) }));
    const pairs = ways.flatMap(({ call, clock, paths }) =>
      paths.flatMap((path) =>
        outerPaths(context, clock).map((outer) => ({ call, path, clock, outer, outerClock: clock }) as Pair),
      ),
    );
    const totals = await takeSamples(context, pairs);
    const resolutions = compareResolutions(context);
    const cpus = await askForCpus(context);
    const outside = totals.filter(({ outside }) => outside > 0);
    const worst = outside.toSorted((a, b) => b.worstNs - a.worstNs)[0];
    const differing = totals.flatMap(({ differing }) => differing);
    const refused = [...ways.flatMap((way) => way.refused), ...resolutions.refused, ...cpus.ways.refused];
    const evidence: Evidence = {
      pairs: Object.fromEntries(totals.map((total) => [nameOf(total.pair), total.evidence])),
      rows: totals.flatMap(({ wrongRows }) => wrongRows),
      recomputed: totals.reduce((sum, { recomputed }) => sum + recomputed, 0),
      differing,
      resolutions: resolutions.read,
      resolutionDifferences: resolutions.differences,
      resolutionsOfMissing: resolutions.ofMissing,
      cpus: cpus.cpus,
      cpuPaths: cpus.ways.paths,
      pinned: cpus.pinned,
      cpuDifferences: cpus.differences,
      cpuElsewhere: cpus.elsewhere,
      refused,
    };
    const bound = 'gettimeofday to its microsecond, time to its second, clock_getres and getcpu exactly';
    const fault =
      worst === undefined
        ? (resolutions.differences[0] ?? cpus.differences[0] ?? differing[0])
        : `${nameOf(worst.pair)}: outside by up to ${formatNs(worst.worstNs)}, ` +
          `${plural(worst.outside, 'time')} in ${plural(worst.samples, 'sample')}`;
    if (fault !== undefined) return { status: 'fail', reason: fault, bound, evidence, advice: HOOK_ADVICE };
    if (pairs.length === 0 && resolutions.read === 0 && cpus.cpus === 0) {
      return {
        status: 'skip',
        reason: `none of these calls can be made: ${refused[0] ?? 'no CPU is left'}`,
        bound: 'nothing was measured',
        evidence,
        advice: 'It runs where the sandbox (seccomp) of this process passes gettimeofday, time or getcpu.',
      };
    }
    const samples = totals.reduce((sum, total) => sum + total.samples, 0);
    const seen =
      `${plural(pairs.length, 'pair')} of calls, ${plural(samples, 'sample')}, none outside; ` +
      `${plural(resolutions.read, 'resolution')}; getcpu on ${plural(cpus.cpus, 'CPU')}`;
    if (cpus.elsewhere.length > 0) {
      return {
        status: 'warn',
        reason: `${cpus.elsewhere[0]}; else ${seen}`,
        bound,
        evidence,
        advice:
          'A sandbox or an emulator takes an affinity and does not keep it, or makes CPU numbers up: what is said of single ' +
          'CPUs on this host cannot be relied on.',
      };
    }
    const without = refused.length === 0 ? '' : `; without ${refused.join(', ')}`;
    return { status: 'pass', reason: `${seen}${without}`, bound, evidence };
  },
};

const fields: Check = {
  id: 'clock.fields',
  claim: 'Seconds come with a fraction from 0 to below one second, as each call left them, by every path',
  async run(context): Promise<Verdict> {
    const pairs = [
      ...CLOCK_NAMES.flatMap((clock) =>
        outerPaths(context, clock).map(
          (path): Pair => ({ call: 'clock_gettime', path, clock, outer: path, outerClock: clock }),
        ),
      ),
      ...OTHER_TIMES.flatMap(({ call, clock }) =>
        waysOf(context, call, 0).paths.flatMap((path) =>
          outerPaths(context, clock)
            .slice(0, 1)
            .map((outer): Pair => ({ call, path, clock, outer, outerClock: clock })),
        ),
      ),
    ];
    const totals = await takeSamples(context, pairs);
    const malformed = totals.filter(({ malformed }) => malformed > 0);
    const differing = totals.flatMap(({ differing }) => differing);
    const samples = totals.reduce((sum, total) => sum + total.samples, 0);
    const evidence: Evidence = {
      samples,
      calls: Object.fromEntries(
        totals.map((total) => [nameOf(total.pair), { samples: total.samples, malformed: total.malformed }]),
      ),
      rows: malformed.flatMap(({ wrongRows }) => wrongRows),
      recomputed: totals.reduce((sum, { recomputed }) => sum + recomputed, 0),
      differing,
    };
    const bound = 'every answer as the call left it, before any arithmetic';
    if (totals.length === 0) {
      return {
        status: 'skip',
        reason: 'no clock can be read',
        bound: 'nothing was measured',
        evidence,
        advice: 'It runs where the sandbox (seccomp) of this process passes clock_gettime.',
      };
    }
    const first = malformed[0];
    if (first !== undefined || differing.length > 0) {
      const row = first?.wrong[0]?.inner;
      const seen = row === undefined ? '' : `, such as ${row.seconds} and ${row.fraction}`;
      return {
        status: 'fail',
        reason:
          first === undefined
            ? (differing[0] as string)
            : `${nameOf(first.pair)}: ${plural(first.malformed, 'answer')} of ${plural(first.samples, 'sample')} not normalised${seen}` +
              (malformed.length > 1 ? `; ${plural(malformed.length - 1, 'other call')} likewise` : ''),
        bound,
        evidence,
        advice: `Programs take seconds and fraction apart and trust POSIX in that: they compute wrong times, or refuse. ${HOOK_ADVICE}`,
      };
    }
    return {
      status: 'pass',
      reason: `${plural(totals.length, 'call')} by every path, ${plural(samples, 'sample')}, each normalised`,
      bound,
      evidence,
    };
  },
};

export const clockCallChecks: readonly Check[] = [calls, fields];
