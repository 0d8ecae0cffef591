import { stateInWords, statusNames } from '../host/discipline.js';
import { orNull } from '../host/host.js';
import { readKernelPage } from '../host/kernel-page.js';
import { leapTableOf } from '../host/leap-table.js';
import { referencePath } from '../host/reference-path.js';
import { type Adjtimex, ClockPath } from '../native/addon.js';
import { ClockMode } from '../page/kernel-page.js';
import { CLOCK_IDS, type ClockName } from '../page/posix-clocks.js';
import { timelineOf } from '../smear/leap.js';
import { NS_PER_SEC, ppmBetween } from '../units.js';
import { formatNs, formatPpm } from './format.js';
import type { Check, CheckContext, Evidence } from './model.js';
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
      maxErrorUs: discipline?.maxErrorUs ?? null,
      estErrorUs: discipline?.estErrorUs ?? null,
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

export const clockRelationChecks: readonly Check[] = [relations];
