import { isLatchclockError } from '../errors.js';
import { referencePath } from '../host/reference-path.js';
import { ClockPath } from '../native/addon.js';
import type { ClockPageHeader } from '../page/clock-page.js';
import { CLOCK_IDS } from '../page/posix-clocks.js';
import type { Smear } from '../smear/smear.js';
import { CORNER_LEAD_MS } from '../timekeeper/run.js';
import type { ScheduledChange } from '../timekeeper/schedule.js';
import { NS_PER_SEC } from '../units.js';
import { fitCorner, type Point } from './corner.js';
import { formatNs, plural } from './format.js';
import { SmearJudge } from './kept-judge.js';
import {
  type Kept,
  placedSmear,
  type Reading,
  readFor,
  readOnce,
  type StartKept,
  startKept,
  taiNow,
  withKept,
} from './kept-page.js';
import { BUSY, steppedVerdict, wrongReadings } from './kept-verdict.js';
import type { Check, CheckContext, Evidence, Verdict } from './model.js';
import { LEADS_MS } from './smear-window.js';

const REPORT = 'A change does not take effect as it was scheduled: please report the evidence.';
/** 5 %: a corner so sharp that the rounding of readings places it to some tens of cycles. */
const RATE_PPT = 50_000_000_000n;
/** How long before a change it is scheduled, ms: a timekeeper wants {@link CORNER_LEAD_MS}. */
const AHEAD_MS = 120;
/** How near a change readers do nothing else, ms. */
const NEAR_MS = 5;
/** Fewer on a side show no line. */
const LEAST_A_SIDE = 50;
const MOST_TRIES = 500;

const PROTOCOLS: readonly ClockPageHeader['protocol'][] = ['two-window', 'latch', 'seqlock'];

/** The counter's frequency, Hz, by two readings of monotonic-raw some ms apart: for placing a tick, not for judging. */
async function roughHz(context: CheckContext, kept: Kept): Promise<number | null> {
  let first: Reading | null = null;
  let last: Reading | null = null;
  await readFor({
    context,
    kept,
    ms: 2,
    take: (reading) => {
      first ??= reading;
      last = reading;
    },
  });
  const [from, to] = [first as Reading | null, last as Reading | null];
  if (from === null || to === null || to.cycles === from.cycles) return null;
  const ns = Number(to.ns['monotonic-raw'] - from.ns['monotonic-raw']);
  return (Number(to.cycles - from.cycles) / ns) * 1e9;
}

interface ChangeResult {
  readonly protocol: ClockPageHeader['protocol'];
  readonly fault: string | null;
  readonly isEnough: boolean;
  /** Reads refused between the last value before the tick and the first one after it. */
  readonly refusedAcross: number;
  readonly isLate: boolean;
  readonly cornerBoundNs: number;
  /** Between those two values, ns. */
  readonly acrossNs: number;
  readonly evidence: Evidence;
}

/** What readers saw of the tick, up to a verdict. */
function judgeChange(
  protocol: ClockPageHeader['protocol'],
  kept: Kept,
  readings: readonly { reading: Reading; refusedBefore: number }[],
  tick: bigint,
  refused: number,
): ChangeResult {
  const at = readings.findIndex(({ reading }) => reading.cycles >= tick);
  const last = at > 0 ? readings[at - 1]?.reading : undefined;
  const first = readings[at];
  const event = kept.events.find(({ kind }) => kind === 'change');
  const lateNs = event?.kind === 'change' ? event.lateNs : null;
  const lates = kept.events.filter(({ kind }) => kind === 'late').length;
  const none = {
    protocol,
    fault: null,
    isEnough: false,
    refusedAcross: 0,
    isLate: false,
    cornerBoundNs: 0,
    acrossNs: 0,
  };
  const counts = {
    protocol,
    before: Math.max(at, 0),
    after: at < 0 ? 0 : readings.length - at,
    refused,
    lateNs,
    lates,
  };
  if (
    last === undefined ||
    first === undefined ||
    counts.before < LEAST_A_SIDE ||
    counts.after < LEAST_A_SIDE
  ) {
    return { ...none, evidence: counts };
  }
  const origin = first.reading;
  const points = (clock: 'monotonic' | 'monotonic-raw', of: typeof readings): Point[] =>
    of.map(({ reading }) => ({
      cycles: Number(reading.cycles - tick),
      ns: Number(reading.ns[clock] - origin.ns[clock]),
    }));
  const [before, after] = [readings.slice(0, at), readings.slice(at)];
  const corner = fitCorner(points('monotonic', before), points('monotonic', after));
  const raw = fitCorner(points('monotonic-raw', before), points('monotonic-raw', after));
  const nsPerCycle = corner.before.slope;
  const wanted = Number(RATE_PPT) / 1e12;
  const rate = corner.after.slope / corner.before.slope - 1;
  const rateBound = (2 * (corner.before.slopeBound + corner.after.slopeBound)) / nsPerCycle;
  const back = readings.findIndex(
    ({ reading: { ns } }, index) =>
      index > 0 && ns.monotonic < (readings[index - 1] as { reading: Reading }).reading.ns.monotonic,
  );
  const evidence: Evidence = {
    ...counts,
    cornerOffCycles: corner.atCycles,
    cornerBoundCycles: corner.boundCycles,
    ratePpm: rate * 1e6,
    farthestFromLineNs: Math.max(corner.before.farthestNs, corner.after.farthestNs),
    rawRatePpm: (raw.after.slope / raw.before.slope - 1) * 1e6,
    refusedAcross: first.refusedBefore,
    acrossNs: Number(origin.cycles - last.cycles) * nsPerCycle,
    lastBeforeCycles: last.cycles - tick,
    firstAfterCycles: origin.cycles - tick,
  };
  const rawBound = (2 * (raw.before.slopeBound + raw.after.slopeBound)) / nsPerCycle;
  const faults = [
    [back >= 0, 'monotonic went back'],
    [
      !corner.before.isStraight || !corner.after.isStraight,
      'there is another corner beside that of the tick',
    ],
    [Math.abs(rate - wanted) > rateBound, `the rate changed by ${(rate * 1e6).toFixed(1)} ppm`],
    [
      Math.abs(corner.atCycles) > corner.boundCycles,
      `the corner lies ${corner.atCycles.toFixed(0)} cycles from the tick`,
    ],
    [Math.abs(raw.after.slope / raw.before.slope - 1) > rawBound, "monotonic-raw's rate changed too"],
  ] as const;
  return {
    protocol,
    fault: faults.find(([isFault]) => isFault)?.[1] ?? null,
    isEnough: true,
    refusedAcross: first.refusedBefore,
    isLate: lates > 0 || (lateNs ?? 0n) > 0n,
    cornerBoundNs: corner.boundCycles * nsPerCycle,
    acrossNs: evidence['acrossNs'] as number,
    evidence,
  };
}

/** Schedules a change; false where it reached the timekeeper after `latest`, which a slow machine makes of good time. */
async function isScheduled(kept: Kept, change: ScheduledChange, latest: bigint): Promise<boolean> {
  try {
    await kept.schedule(change);
    return true;
  } catch (error) {
    if (isLatchclockError(error, 'ERR_SCHEDULE') && kept.counter() > latest) return false;
    throw error;
  }
}

async function changeUnder(
  context: CheckContext,
  protocol: ClockPageHeader['protocol'],
  kept: Kept,
): Promise<ChangeResult | null> {
  const hz = await roughHz(context, kept);
  if (hz === null) return null;
  const cyclesOf = (ms: number): bigint => BigInt(Math.round((hz / 1000) * ms));
  const tick = kept.counter() + cyclesOf(AHEAD_MS);
  const change = { kind: 'frequency', ratePpt: RATE_PPT, at: { cycles: tick } } as const;
  if (!(await isScheduled(kept, change, tick - cyclesOf(CORNER_LEAD_MS)))) return null;
  const { keptMs } = context.budget;
  const readings: { reading: Reading; refusedBefore: number }[] = [];
  let refusedBefore = 0;
  let latest = kept.counter();
  // Both sides for as long: what comes long before the tick shows no more of it.
  const from = tick - cyclesOf(keptMs);
  const to = tick + cyclesOf(keptMs);
  const near = cyclesOf(NEAR_MS);
  const tally = await readFor({
    context,
    kept,
    ms: AHEAD_MS + keptMs + 1_000,
    until: () => latest > to,
    isBusy: () => latest < tick && tick - latest < near,
    refused: () => {
      refusedBefore++;
      latest = kept.counter();
    },
    take: (reading) => {
      latest = reading.cycles;
      if (latest >= from) readings.push({ reading, refusedBefore });
      refusedBefore = 0;
    },
  });
  return judgeChange(protocol, kept, readings, tick, tally.refused);
}

function frequencyVerdict(results: readonly ChangeResult[]): Verdict {
  const evidence: Evidence = { protocols: results.map((result) => result.evidence) };
  const cornerBoundNs = Math.max(0, ...results.map((result) => result.cornerBoundNs));
  const bound = `the corner to ${formatNs(cornerBoundNs)}: what the rounding of readings leaves`;
  const wrong = results.find(({ fault }) => fault !== null);
  if (wrong !== undefined) {
    const reason = `${wrong.protocol}: ${wrong.fault}`;
    // A timekeeper that comes late starts anew at no lower value, which is a corner of its own.
    const isExcused = results.every(({ fault, isLate }) => fault === null || isLate);
    return isExcused
      ? {
          status: 'warn',
          reason: `${reason}, where the timekeeper's thread came late`,
          bound,
          evidence,
          advice: BUSY,
        }
      : { status: 'fail', reason, bound, evidence, advice: REPORT };
  }
  if (results.length < PROTOCOLS.length || results.some(({ isEnough }) => !isEnough)) {
    const reason = 'too few readings around a change';
    return { status: 'skip', reason, bound: 'nothing was measured', evidence, advice: BUSY };
  }
  const free = results.find(({ protocol }) => protocol === 'two-window');
  if (free !== undefined && free.refusedAcross > 0) {
    const reason = `two-window: ${plural(free.refusedAcross, 'read')} refused across the tick`;
    // A writer that the scheduler kept from coming refuses readers by any protocol.
    return free.isLate
      ? {
          status: 'warn',
          reason: `${reason}, since the timekeeper's thread came late`,
          bound,
          evidence,
          advice: BUSY,
        }
      : { status: 'fail', reason, bound, evidence, advice: REPORT };
  }
  const told = results
    .filter(({ protocol }) => protocol !== 'two-window')
    .map(({ protocol, refusedAcross, acrossNs }) =>
      protocol === 'seqlock'
        ? `a seqlock's reader was given none for ${formatNs(acrossNs)}`
        : `${protocol} refused ${plural(refusedAcross, 'read')} in ${formatNs(acrossNs)}`,
    );
  return {
    status: 'pass',
    reason: `one corner, at its tick; across it two-window refused nobody, ${told.join(', ')}`,
    bound,
    evidence,
  };
}

function frequency(start: StartKept): Check {
  return {
    id: 'schedule.frequency',
    claim: 'A scheduled change of the rate is one corner for every reader, at its exact tick of the counter',
    run(context) {
      const options = PROTOCOLS.map(
        (protocol) =>
          // A seqlock's reader waits within its read; the others are refused at once, so that they can be counted.
          ({ source: 'counter', protocol, outOfWindow: protocol === 'seqlock' ? 'spin' : 'error' }) as const,
      );
      return withKept(start, context, options, async (kept) => {
        const results: ChangeResult[] = [];
        for (const [at, each] of kept.entries()) {
          const result = await changeUnder(context, PROTOCOLS[at] as ClockPageHeader['protocol'], each);
          if (result !== null) results.push(result);
          context.progress((at + 1) / kept.length);
        }
        return frequencyVerdict(results);
      });
    },
  };
}

interface LeapResult {
  readonly fault: string | null;
  readonly isEnough: boolean;
  readonly acrossNs: bigint;
  readonly apartNs: bigint;
  readonly evidence: Evidence;
}

/** sane-realtime - the kernel's realtime now, ns, to the middle of a bracket; null where the page refused. */
function besideKernel(
  { host: { addon } }: CheckContext,
  kept: Kept,
): { apartNs: bigint; boundNs: bigint } | null {
  const ask = (): bigint => addon.readClock(ClockPath[referencePath(addon, 'realtime')], CLOCK_IDS.realtime);
  // The first value of a page may be some reads ahead.
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const first = ask();
    const reading = readOnce(kept);
    const second = ask();
    if (reading === null) continue;
    return {
      apartNs: reading.ns['sane-realtime'] - ((first + second) >> 1n),
      boundNs: (second - first) / 2n + 1n + (reading.boundNs ?? 0n),
    };
  }
  return null;
}

async function judgeLeap(context: CheckContext, smear: Smear, kept: Kept): Promise<LeapResult> {
  const { leap } = smear;
  const judge = new SmearJudge(smear);
  const earlier = besideKernel(context, kept);
  let last: Reading | null = null;
  let first: Reading | null = null;
  let now = 0n;
  const marginNs = BigInt(Math.round(context.budget.keptMs * 1e6));
  const tally = await readFor({
    context,
    kept,
    ms: Number((leap.taiNs + marginNs - taiNow(context)) / 1_000_000n) + 1_000,
    until: () => now > leap.taiNs + marginNs,
    isBusy: () => now < leap.taiNs && leap.taiNs - now < BigInt(NEAR_MS) * 1_000_000n,
    take: (reading) => {
      judge.take(reading);
      now = reading.ns.tai;
      if (now < leap.taiNs) last = reading;
      else first ??= reading;
    },
  });
  const later = besideKernel(context, kept);
  const [before, after] = [last as Reading | null, first as Reading | null];
  const evidence: Evidence = {
    sign: leap.sign,
    source: kept.source,
    readings: judge.readings,
    refused: tally.refused,
    wrong: judge.wrong,
    lastBeforeNs: before === null ? null : before.ns.tai - leap.taiNs,
    firstAfterNs: after === null ? null : after.ns.tai - leap.taiNs,
    steppedNs:
      before === null || after === null
        ? null
        : after.ns['sane-realtime'] - before.ns['sane-realtime'] - (after.ns.tai - before.ns.tai),
    besideKernelBefore: earlier,
    besideKernelAfter: later,
    examples: judge.examples,
  };
  const isEnough = before !== null && after !== null && earlier !== null && later !== null;
  const stepNs = isEnough ? later.apartNs - earlier.apartNs + BigInt(leap.sign) * NS_PER_SEC : 0n;
  const apartBound = isEnough ? earlier.boundNs + later.boundNs : 0n;
  const isApart = stepNs > apartBound || stepNs < -apartBound;
  return {
    fault:
      wrongReadings(judge) ??
      (isApart ? `sane-realtime is ${stepNs} ns from a second beside the kernel's realtime` : null),
    isEnough,
    acrossNs: isEnough ? after.ns.tai - before.ns.tai : 0n,
    apartNs: later?.apartNs ?? 0n,
    evidence,
  };
}

function leapVerdict(results: readonly LeapResult[], kept: readonly Kept[]): Verdict {
  const evidence: Evidence = { leaps: results.map((result) => result.evidence) };
  const across = results.map(({ acrossNs }) => Number(acrossNs));
  const bound = `exact for each reading: sane-realtime by whole seconds from tai; the nearest two are ${formatNs(Math.max(...across))} apart`;
  const wrong = results.find(({ fault }) => fault !== null);
  if (wrong !== undefined) {
    const fail: Verdict = { status: 'fail', reason: wrong.fault as string, bound, evidence, advice: REPORT };
    return steppedVerdict(kept, evidence) ?? fail;
  }
  if (results.some(({ isEnough }) => !isEnough)) {
    const reason = 'no reading on one side of the leap second';
    return { status: 'skip', reason, bound: 'nothing was measured', evidence, advice: BUSY };
  }
  const apart = results.map(({ apartNs }) => `${(Number(apartNs) / 1e9).toFixed(6)} s`).join(' and ');
  return {
    status: 'pass',
    reason: `stepped at its tick; then ${apart} from the kernel's realtime, which makes a real one 5 to 22 ms late, and this supposed one never`,
    bound,
    evidence,
  };
}

function leap(start: StartKept): Check {
  return {
    id: 'schedule.leap',
    claim:
      'sane-realtime steps at the exact tick of a leap second, by exactly a second beside tai, in either direction',
    async run(context) {
      let verdict: Verdict | null = null;
      for (const leadMs of LEADS_MS) {
        const at = taiNow(context) + BigInt(leadMs) * 1_000_000n;
        const smears = ([1, -1] as const).map((sign, index) =>
          placedSmear('step', at + BigInt(index) * 50_000_000n, sign),
        );
        const options = smears.map(({ leap: { taiNs, sign } }) => ({
          smear: { policy: 'step', leap: { taiNs, sign } },
        }));
        verdict = await withKept(start, context, options, async (kept) => {
          const results = kept.map((each, index) => judgeLeap(context, smears[index] as Smear, each));
          return leapVerdict(await Promise.all(results), kept);
        });
        // A timekeeper that started after its leap second had: the next one has more time to.
        if (verdict.status !== 'skip') break;
      }
      return verdict as Verdict;
    },
  };
}

export function scheduleChecksWith(start: StartKept): readonly Check[] {
  return [frequency(start), leap(start)];
}

export const scheduleChecks = scheduleChecksWith(startKept);
