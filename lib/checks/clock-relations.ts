import { isLatchclockError } from '../errors.js';
import { stateInWords, statusNames } from '../host/discipline.js';
import { orNull } from '../host/host.js';
import { readKernelPage } from '../host/kernel-page.js';
import { leapTableOf } from '../host/leap-table.js';
import { FILTER_ERRNOS, referencePath, systemCallRefusal } from '../host/reference-path.js';
import {
  type Adjtimex,
  BadPointer,
  type BadPointerName,
  ClockPath,
  type ClockPathName,
} from '../native/addon.js';
import { ClockMode } from '../page/kernel-page.js';
import { CLOCK_IDS, type ClockName, clockIdOfDevice } from '../page/posix-clocks.js';
import { timelineOf } from '../smear/leap.js';
import { NS_PER_SEC, ppmBetween } from '../units.js';
import { formatNs, formatPpm, plural } from './format.js';
import type { Check, CheckContext, Evidence, Verdict } from './model.js';
import { timekeepingDoubts } from './timekeeping-state.js';

/** Bounds of the difference of two clocks, nanoseconds: the first read before and after the second. */
interface Difference {
  lowestNs: bigint;
  highestNs: bigint;
}

const TRIES = 100;

/** The tightest bounds of `minuend - subtrahend` in many tries. */
function boundDifference({ host }: CheckContext, minuend: ClockName, subtrahend: ClockName): Difference {
  const path = host.addon.vdsoBase() === null ? ClockPath.syscall : ClockPath.vdso;
  const read = (clock: ClockName): bigint => host.addon.readClock(path, CLOCK_IDS[clock]);
  let best: Difference | null = null;
  for (let i = 0; i < TRIES; i++) {
    const before = read(subtrahend);
    const value = read(minuend);
    const after = read(subtrahend);
    const seen = { lowestNs: value - after, highestNs: value - before };
    if (best === null || seen.highestNs - seen.lowestNs < best.highestNs - best.lowestNs) best = seen;
  }
  return best as Difference;
}

function contains({ lowestNs, highestNs }: Difference, ns: bigint): boolean {
  return lowestNs <= ns && ns <= highestNs;
}

/** USER_HZ ticks a second: the nominal length of a tick is 10,000 us. */
const NOMINAL_TICK_US = 10_000;

/** How much faster than monotonic-raw the discipline asks the kernel to run its clocks, ppm. */
function askedPpm({ frequency, tickUs }: Adjtimex): number {
  return Number(frequency) / 65_536 + ((Number(tickUs) - NOMINAL_TICK_US) / NOMINAL_TICK_US) * 1e6;
}

/** What mult does beside what was asked: it dithers between two whole numbers, and slews away a phase error. */
const SLEW_PPM = 500;

interface Slope {
  pagePpm: number;
  askedPpm: number;
  stepPpm: number;
}

function readSlope({ host }: CheckContext): Slope | null {
  return orNull(() => {
    const { main, raw } = readKernelPage(host.addon, host.page());
    if (main.mode !== ClockMode.tsc) return null;
    return {
      pagePpm: ppmBetween(Number(main.mult), Number(raw.mult)),
      askedPpm: askedPpm(host.addon.adjtimex()),
      stepPpm: 1e6 / Number(raw.mult),
    };
  });
}

/** The whole seconds that lie in the bounds of a difference; null where none or several do. */
function wholeSeconds({ lowestNs, highestNs }: Difference): number | null {
  const seconds = Math.round(Number(lowestNs + highestNs) / 2e9);
  const isOnly = highestNs - lowestNs < NS_PER_SEC / 2n;
  return isOnly && contains({ lowestNs, highestNs }, BigInt(seconds) * NS_PER_SEC) ? seconds : null;
}

/** What is doubtful about the kernel's timekeeping, by the host's table of leap seconds. */
function doubtsOf({ host }: CheckContext, offsetSeconds: number | null, state: Adjtimex | null): string[] {
  if (offsetSeconds === null) return [];
  const path = ClockPath[referencePath(host.addon, 'realtime')];
  const unixNs = host.addon.readClock(path, CLOCK_IDS.realtime);
  const { source, table } = leapTableOf(host.files);
  return timekeepingDoubts(offsetSeconds, state, { timeline: timelineOf(table), source }, unixNs);
}

const relations: Check = {
  id: 'clock.relations',
  claim:
    'TAI is realtime and the leap seconds of the table, boottime is monotonic and sleep, monotonic is raw and the correction',
  run(context) {
    const { host } = context;
    const discipline = orNull(() => host.addon.adjtimex());
    const tai = boundDifference(context, 'tai', 'realtime');
    const boot = boundDifference(context, 'boottime', 'monotonic');
    const slope = readSlope(context);
    const offsetSec = discipline?.taiOffsetSeconds ?? null;
    const namespace = orNull(() => host.page())?.namespaceNs ?? null;
    // By the clocks themselves where adjtimex is refused.
    const doubts = doubtsOf(context, offsetSec ?? wholeSeconds(tai), discipline);
    const bootOffsetNs = namespace === null ? 0n : namespace.boottime - namespace.monotonic;
    const evidence: Evidence = {
      taiMinusRealtimeNs: { ...tai },
      taiOffsetSeconds: offsetSec,
      boottimeMinusMonotonicNs: { ...boot },
      sleptNs: boot.highestNs - bootOffsetNs,
      slope: slope === null ? null : { ...slope },
      state: discipline === null ? null : stateInWords(discipline.state).name,
      status: discipline === null ? null : statusNames(discipline.status),
      doubts,
    };
    const bound = `differences known to ${formatNs(Number(tai.highestNs - tai.lowestNs))}; mult may leave what was asked by ${SLEW_PPM} ppm, to slew`;
    const faults: string[] = [];
    if (offsetSec !== null && !contains(tai, BigInt(offsetSec) * NS_PER_SEC)) {
      faults.push(`TAI - realtime is ${tai.lowestNs} ns, the kernel's offset ${offsetSec} s`);
    }
    if (boot.highestNs < bootOffsetNs) faults.push('boottime is behind monotonic');
    if (slope !== null && Math.abs(slope.pagePpm - slope.askedPpm) > SLEW_PPM + slope.stepPpm) {
      faults.push(
        `monotonic runs ${formatPpm(slope.pagePpm, true)} to raw, asked ${formatPpm(slope.askedPpm, true)}`,
      );
    }
    if (faults.length > 0) {
      return {
        status: 'fail',
        reason: faults[0] as string,
        bound,
        evidence: { ...evidence, faults },
        advice:
          'Times of different clocks cannot be converted on this host: was one set meanwhile? Else report the kernel.',
      };
    }
    if (doubts.length > 0) {
      return {
        status: 'warn',
        reason: doubts.join('; '),
        bound,
        evidence,
        advice:
          'Clocks can be read, but TAI, or UTC at the end of a day, will be wrong for programs: find what set it (chronyd, ntpd, ptp4l, adjtimex), and whether the table is the newest.',
      };
    }
    const remark =
      offsetSec === 0
        ? 'TAI offset 0: never set'
        : offsetSec === null
          ? 'TAI offset not told'
          : `TAI offset ${offsetSec} s`;
    const slept = boot.highestNs - bootOffsetNs;
    const slopeSeen = slope === null ? '' : `, correction ${formatPpm(slope.pagePpm, true)}`;
    return {
      status: 'pass',
      reason: `${remark}, slept ${(Number(slept) / 1e9).toFixed(1)} s${slopeSeen}`,
      bound,
      evidence,
    };
  },
};

/** Ids that no clock has: holes in the table, beyond it, and devices and processes that are not there. */
const BAD_IDS: readonly number[] = [10, 12, 13, 14, 15, 24, 63, 0x7fff_ffff, clockIdOfDevice(0xffff)];

function errnoOf(read: () => unknown): string {
  try {
    read();
    return 'none';
  } catch (error) {
    if (isLatchclockError(error)) return error.errno ?? error.code;
    throw error;
  }
}

/** Where a path answers a bad id otherwise than the system call. */
function findErrnoDifferences({ host: { addon } }: CheckContext): { told: string[]; differences: string[] } {
  const told: string[] = [];
  const differences: string[] = [];
  const calls = {
    clock_gettime: (path: ClockPathName, id: number) => addon.readClock(ClockPath[path], id),
    clock_getres: (path: ClockPathName, id: number) => addon.clockResolution(ClockPath[path], id),
  };
  for (const [call, read] of Object.entries(calls)) {
    for (const id of BAD_IDS) {
      const reference = errnoOf(() => read('syscall', id));
      told.push(`${call}(${id}) ${reference}`);
      if (reference === 'none') differences.push(`${call}(${id}) works by system call`);
      for (const path of ['vdso', 'libc'] as const) {
        const errno = errnoOf(() => read(path, id));
        // A path that cannot be used at all is another check's matter.
        if (errno === 'ERR_NO_VDSO' || errno === 'ERR_COUNTER_DISABLED') continue;
        if (errno !== reference)
          differences.push(`${call}(${id}): ${path} ${errno}, system call ${reference}`);
      }
    }
  }
  return { told, differences };
}

const EFAULT = 14;

interface PointerEnding {
  path: ClockPathName;
  pointer: BadPointerName;
  /** `EFAULT`, `signal N`, `errno N`; null if the path could not be tried. */
  ending: string | null;
  /** Why it could not. */
  problem: string | null;
}

function probePointers({ host: { addon } }: CheckContext): PointerEnding[] {
  return (Object.keys(ClockPath) as ClockPathName[]).flatMap((path) =>
    (Object.keys(BadPointer) as BadPointerName[]).map((pointer): PointerEnding => {
      try {
        const { errorNumber, signal } = addon.probeBadPointer(
          ClockPath[path],
          CLOCK_IDS.monotonic,
          BadPointer[pointer],
        );
        const ending =
          signal > 0 ? `signal ${signal}` : errorNumber === EFAULT ? 'EFAULT' : `errno ${errorNumber}`;
        return { path, pointer, ending, problem: null };
      } catch (error) {
        if (isLatchclockError(error)) return { path, pointer, ending: null, problem: error.what };
        throw error;
      }
    }),
  );
}

const errors: Check = {
  id: 'clock.errors',
  claim: 'A bad clock id gives the same errno by every path, a bad pointer EFAULT by system call',
  run(context): Verdict {
    const refusal = systemCallRefusal(context.host.addon);
    if (refusal?.errno !== undefined && FILTER_ERRNOS.includes(refusal.errno)) {
      return {
        status: 'skip',
        reason: `${refusal.what}: the kernel's own answers cannot be had`,
        bound: 'nothing was measured',
        evidence: { errno: refusal.errno, syscall: refusal.syscall ?? null },
        advice: 'It runs where no sandbox (seccomp) refuses clock_gettime and clock_getres to this process.',
      };
    }
    const { told, differences } = findErrnoDifferences(context);
    const pointers = probePointers(context);
    const unharmed = pointers.filter(({ ending }) => ending === 'errno 0');
    const wrong = pointers.filter(({ path, ending }) => path === 'syscall' && ending !== 'EFAULT');
    const killed = [
      ...new Set(pointers.filter(({ ending }) => ending?.startsWith('signal')).map(({ path }) => path)),
    ];
    const tried = pointers.filter(({ ending }) => ending !== null);
    const problems = [...new Set(pointers.flatMap(({ problem }) => problem ?? []))];
    const evidence: Evidence = {
      told,
      differences,
      pointers: pointers.map((entry) => ({ ...entry })),
    };
    const bound = `${plural(BAD_IDS.length, 'id')} by clock_gettime and clock_getres, ${plural(tried.length, 'bad pointer')}`;
    const fault =
      differences[0] ??
      [...unharmed, ...wrong].map(({ path, pointer, ending }) => `${path}, ${pointer} pointer: ${ending}`)[0];
    if (fault !== undefined) {
      return {
        status: 'fail',
        reason: fault,
        bound,
        evidence,
        advice:
          'Something answers in place of the kernel (a sandbox, a preloaded library): programs cannot rely on errors.',
      };
    }
    const untried = problems.length === 0 ? '' : `; not tried everywhere: ${problems.join(', ')}`;
    const death = killed.length === 0 ? '' : `; ${killed.join(' and ')} die of them, as they may`;
    return {
      status: 'pass',
      reason: `${plural(BAD_IDS.length, 'bad id')} refused alike, bad pointers by EFAULT${death}${untried}`,
      bound,
      evidence,
    };
  },
};

export const clockRelationChecks: readonly Check[] = [relations, errors];
