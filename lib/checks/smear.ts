import { kernelCounterHz, orNull } from '../host/host.js';
import { referencePath } from '../host/reference-path.js';
import { ClockPath } from '../native/addon.js';
import type { OwnClockName } from '../page/clock-page.js';
import { layoutBytes } from '../page/kernel-layout.js';
import { decodeKernelPage, type KernelPageSnapshot, kernelSegment } from '../page/kernel-page.js';
import { CLOCK_IDS } from '../page/posix-clocks.js';
import { evaluate } from '../page/segment.js';
import { parsePolicy } from '../smear/custom-policy.js';
import { POLICIES, windowOf } from '../smear/policy.js';
import { rateAt, type Smear } from '../smear/smear.js';
import { maxBigint, NS_PER_SEC } from '../units.js';
import { formatNs, formatPpm, plural } from './format.js';
import { ppmOf, rateBetween, readingEvidence, SmearJudge } from './kept-judge.js';
import {
  type Kept,
  placedSmear,
  type Reading,
  readFor,
  readOnce,
  type StartKept,
  sourceStep,
  startKept,
  taiNow,
  withKept,
} from './kept-page.js';
import type { Check, CheckContext, Evidence, Verdict, VerdictBase } from './model.js';

/** Fewer show nothing. */
const LEAST_READINGS = 100;
/** Timekeepers at a time: each has a thread that reads a page's layout before it starts. */
const AT_ONCE = 3;

const REPORT = 'The timekeeper is not to be trusted with smears on this host: please report the evidence.';

function skipped(reason: string, evidence: Evidence, advice: string): Verdict {
  return { status: 'skip', reason, bound: 'nothing was measured', evidence, advice };
}

export const BUSY = 'The machine is too busy: run it again when it is less so.';

/** A skip where the source itself stepped: what readers saw then is its doing. */
export function steppedVerdict(kept: readonly Kept[], evidence: Evidence): Verdict | null {
  const event = kept.map(sourceStep).find((step) => step !== undefined);
  if (event === undefined) return null;
  return skipped(
    `the kernel's clock was stepped meanwhile, or the machine slept (${event.kind})`,
    evidence,
    'Run it again when nobody sets the clock.',
  );
}

const PHASES = ['start', 'middle', 'end'] as const;
type Phase = (typeof PHASES)[number];

interface Case {
  readonly policy: string;
  readonly sign: 1 | -1;
  readonly phase: Phase;
}

/** The shapes that there are, of several lengths. */
const FEW = ['google-24h', 'ntpd', 'utc-sls', 'chrony'];
/** How far within a window its start and its end are looked at: it takes that long to start a timekeeper, and less. */
const WITHIN_NS = 10n * NS_PER_SEC;

/** The first `count` of all policies, phases and signs: those of the four shapes first, each phase of each among 12. */
function smearCases(count: number): Case[] {
  const few = Array.from({ length: 12 }, (_, at): Case => {
    const sign = (at + Math.floor(at / 4)) % 2 === 0 ? 1 : -1;
    return { policy: FEW[at % 4] as string, phase: PHASES[at % 3] as Phase, sign };
  });
  const all = POLICIES.filter(({ shape }) => shape !== 'step').flatMap(({ name }) =>
    PHASES.flatMap((phase) => ([1, -1] as const).map((sign): Case => ({ policy: name, phase, sign }))),
  );
  const isFew = (one: Case): boolean =>
    few.some(({ policy, phase, sign }) => policy === one.policy && phase === one.phase && sign === one.sign);
  return [...few, ...all.filter((one) => !isFew(one))].slice(0, count);
}

/** Where a leap second is to be, TAI in ns, so that `now` is in that phase of the policy's window. */
function leapFor({ policy, sign, phase }: Case, now: bigint): bigint {
  const { startNs, endNs } = windowOf(parsePolicy(policy), sign);
  switch (phase) {
    case 'start':
      return now - startNs - WITHIN_NS;
    case 'middle':
      // Not the middle itself, at which the rate of some shapes turns.
      return now - startNs - ((endNs - startNs) * 2n) / 5n;
    case 'end':
      return now - endNs + WITHIN_NS;
  }
}

/** What a stretch of readings says of the rate, as evidence. */
function rateEvidence(
  smear: Smear,
  from: Reading | null,
  to: Reading | null,
): { isRight: boolean; rate: Evidence } | null {
  const rate = from === null || to === null ? null : rateBetween(smear, from, to);
  if (rate === null || from === null || to === null) return null;
  const perRaw = (clock: OwnClockName): number =>
    (Number(to.ns[clock] - from.ns[clock]) / Number(to.ns['monotonic-raw'] - from.ns['monotonic-raw']) - 1) *
    1e6;
  return {
    isRight: rate.isRight,
    rate: {
      measuredPpm: ppmOf(rate.measured),
      leastPpm: ppmOf(rate.least),
      greatestPpm: ppmOf(rate.greatest),
      tolerancePpm: ppmOf(rate.tolerance),
      taiBesideRawPpm: perRaw('tai'),
      smearedBesideRawPpm: perRaw('smeared-realtime'),
    },
  };
}

interface CaseResult {
  readonly judge: SmearJudge;
  readonly isRateRight: boolean;
  readonly isEnough: boolean;
  readonly tolerancePpm: number;
  readonly evidence: Evidence;
}

async function judgeCase(context: CheckContext, one: Case, smear: Smear, kept: Kept): Promise<CaseResult> {
  const judge = new SmearJudge(smear);
  let first: Reading | null = null;
  let last: Reading | null = null;
  const tally = await readFor({
    context,
    kept,
    ms: context.budget.keptMs,
    take: (reading) => {
      judge.take(reading);
      // A stretch over which the policy's rate does not turn.
      if (reading.ns.tai >= smear.endNs) return;
      first ??= reading;
      last = reading;
    },
  });
  const rate = rateEvidence(smear, first, last);
  return {
    judge,
    isRateRight: rate?.isRight ?? false,
    isEnough: judge.readings >= LEAST_READINGS && rate !== null,
    tolerancePpm: (rate?.rate['tolerancePpm'] as number | undefined) ?? 0,
    evidence: {
      ...one,
      source: kept.source,
      readings: judge.readings,
      refused: tally.refused,
      largestBoundNs: judge.largestBoundNs,
      farthestNs: judge.farthestNs,
      smearedOff: judge.smearedOff,
      saneOff: judge.saneOff,
      realtimeOff: judge.realtimeOff,
      backwards: judge.backwards,
      worstBackNs: judge.worstBackNs,
      ...(rate?.rate ?? {}),
      examples: judge.examples,
    },
  };
}

/** What is wrong with readings of a smear, in words; null: nothing. */
export function wrongReadings(judge: SmearJudge): string | null {
  if (judge.smearedOff > 0) {
    return `smeared-realtime is not the policy's, by up to ${formatNs(judge.farthestNs)}`;
  }
  if (judge.saneOff > 0) return 'sane-realtime is not tai by whole seconds';
  if (judge.realtimeOff > 0) return 'realtime is neither sane nor smeared';
  if (judge.backwards > 0) return `a clock went back by up to ${formatNs(Number(judge.worstBackNs))}`;
  return judge.unbounded > 0 ? 'the page states no bound' : null;
}

function sum(results: readonly CaseResult[], count: (judge: SmearJudge) => number): number {
  return results.reduce((total, { judge }) => total + count(judge), 0);
}

/** The verdict on several phases. */
function phasesVerdict(
  cases: readonly Case[],
  results: readonly CaseResult[],
  kept: readonly Kept[],
): Verdict {
  const readings = sum(results, (judge) => judge.readings);
  const bounds = results.map(({ judge }) => judge.largestBoundNs).reduce(maxBigint, 0n);
  const tolerance = Math.max(0, ...results.map(({ tolerancePpm }) => tolerancePpm));
  const evidence: Evidence = {
    phases: results.map((result) => result.evidence),
    readings,
    wrong: sum(results, (judge) => judge.wrong),
    largestBoundNs: bounds,
  };
  const bound = `${plural(readings, 'reading')}, each to its roundings (2 ns); rates to ${formatPpm(tolerance)}; sources to ${formatNs(Number(bounds))}`;
  const fault = (at: number, what: string): Verdict => {
    const { policy, phase, sign } = cases[at] as Case;
    return {
      status: 'fail',
      reason: `${policy}, ${phase} of a ${sign === 1 ? 'positive' : 'negative'} leap second: ${what}`,
      bound,
      evidence,
      advice: REPORT,
    };
  };
  const wrong = results.findIndex(({ judge }) => wrongReadings(judge) !== null);
  const slow = results.findIndex(({ isRateRight, isEnough }) => isEnough && !isRateRight);
  if (wrong >= 0 || slow >= 0) {
    const stepped = steppedVerdict(kept, evidence);
    if (stepped !== null) return stepped;
    const result = results[wrong];
    return result === undefined
      ? fault(slow, "the rate is not the policy's")
      : fault(wrong, wrongReadings(result.judge) as string);
  }
  if (results.length < cases.length || results.some(({ isEnough }) => !isEnough)) {
    return skipped('too few readings in a phase', evidence, BUSY);
  }
  const policies = new Set(cases.map(({ policy }) => policy)).size;
  return {
    status: 'pass',
    reason: `${policies} policies, ${plural(cases.length, 'phase')}, ${plural(readings, 'reading')}: values and rates are the policy's`,
    bound,
    evidence,
  };
}

function phases(start: StartKept): Check {
  return {
    id: 'smear.phases',
    claim: "In a smear's window smeared-realtime has the policy's value and rate, sane-realtime none of it",
    async run(context) {
      const cases = smearCases(context.budget.smearPhases);
      const results: CaseResult[] = [];
      let verdict: Verdict | null = null;
      for (let at = 0; at < cases.length && (verdict === null || verdict.status === 'pass'); at += AT_ONCE) {
        const batch = cases.slice(at, at + AT_ONCE);
        const now = taiNow(context);
        const smears = batch.map((one) => placedSmear(one.policy, leapFor(one, now), one.sign));
        const options = smears.map(({ policy, leap: { taiNs, sign } }) => ({
          smear: { policy: policy.name, leap: { taiNs, sign } },
        }));
        verdict = await withKept(start, context, options, async (kept) => {
          for (const [index, each] of kept.entries()) {
            results.push(await judgeCase(context, batch[index] as Case, smears[index] as Smear, each));
            context.progress(results.length / cases.length);
          }
          return phasesVerdict(cases.slice(0, results.length), results, kept);
        });
      }
      return verdict ?? skipped('no phase was asked for', {}, 'Run it with another budget.');
    },
  };
}

/** How long before its window a timekeeper is started, ms: longer, if it took longer to start. */
export const LEADS_MS = [300, 1_500, 6_000];

/** A corner, as the readings next to it have it: ns of TAI from it, negative before. */
function corner(at: bigint, before: Reading | null, after: Reading | null): Evidence {
  return {
    lastBeforeNs: before === null ? null : before.ns.tai - at,
    firstAfterNs: after === null ? null : after.ns.tai - at,
  };
}

interface Stretch {
  first: Reading | null;
  last: Reading | null;
  readings: number;
}

const NEAR_NS = 5_000_000n;
/** Two windows at once have their corners so far apart that a reader is at each of them. */
const APART_NS = 100_000_000n;

type Part = 'before' | 'inside' | 'after';

/** A run through a window. */
interface WindowResult {
  readonly wrong: string | null;
  /** What there was too little of; null: nothing. */
  readonly few: string | null;
  readonly ppm: number;
  readonly toleranceNs: number;
  readonly readings: number;
  readonly evidence: Evidence;
}

/** Whether a corner is so near that nothing else is to come between, by the ns until then. */
function isNear(ns: bigint): boolean {
  return ns > 0n && ns < NEAR_NS;
}

async function judgeWindow(context: CheckContext, smear: Smear, kept: Kept): Promise<WindowResult> {
  const judge = new SmearJudge(smear);
  const stretch = (): Stretch => ({ first: null, last: null, readings: 0 });
  const parts: Record<Part, Stretch> = { before: stretch(), inside: stretch(), after: stretch() };
  let now = 0n;
  const marginNs = BigInt(Math.round(context.budget.keptMs * 1e6));
  const tally = await readFor({
    context,
    kept,
    ms: Number((smear.endNs + marginNs - taiNow(context)) / 1_000_000n) + 1_000,
    until: () => now > smear.endNs + marginNs,
    isBusy: () => isNear(smear.startNs - now) || isNear(smear.endNs - now),
    take: (reading) => {
      judge.take(reading);
      now = reading.ns.tai;
      const part = parts[now < smear.startNs ? 'before' : now < smear.endNs ? 'inside' : 'after'];
      part.first ??= reading;
      part.last = reading;
      part.readings++;
    },
  });
  const { before, inside, after } = parts;
  const names = Object.keys(parts) as Part[];
  const rates = names.map((part) => ({
    part,
    rate: rateEvidence(smear, parts[part].first, parts[part].last),
  }));
  const off = rates.find(({ rate }) => rate !== null && !rate.isRight);
  const isFew = (part: Part): boolean => parts[part].readings < 2;
  return {
    wrong:
      wrongReadings(judge) ??
      (off === undefined ? null : `the rate ${off.part} the window is not the policy's`),
    few: names.find(isFew) ?? (judge.readings < LEAST_READINGS ? 'around' : null),
    ppm: ppmOf(rateAt(smear, smear.startNs)),
    toleranceNs: judge.toleranceNs,
    readings: judge.readings,
    evidence: {
      policy: smear.policy.name,
      sign: smear.leap.sign,
      source: kept.source,
      readings: judge.readings,
      refused: tally.refused,
      wrong: judge.wrong,
      farthestNs: judge.farthestNs,
      largestBoundNs: judge.largestBoundNs,
      start: corner(smear.startNs, before.last, inside.first),
      end: corner(smear.endNs, inside.last, after.first),
      rates: rates.map(({ part, rate }) => ({ part, ...(rate?.rate ?? {}) })),
      examples: judge.examples,
    },
  };
}

function windowVerdict(results: readonly WindowResult[], kept: readonly Kept[]): Verdict {
  const evidence: Evidence = { windows: results.map((result) => result.evidence) };
  const readings = results.reduce((total, result) => total + result.readings, 0);
  const tolerance = Math.max(...results.map(({ toleranceNs }) => toleranceNs));
  const bound = `${plural(readings, 'reading')}, each to its roundings (${formatNs(tolerance)})`;
  const wrong = results.find((result) => result.wrong !== null);
  if (wrong !== undefined) {
    const fail: Verdict = { status: 'fail', reason: wrong.wrong as string, bound, evidence, advice: REPORT };
    return steppedVerdict(kept, evidence) ?? fail;
  }
  const few = results.find((result) => result.few !== null);
  if (few !== undefined) return skipped(`too few readings ${few.few} the window`, evidence, BUSY);
  const ppm = results.map((result) => formatPpm(result.ppm, true)).join(' and ');
  return {
    status: 'pass',
    reason: `both corners seen; ${ppm} between them, nothing outside`,
    bound,
    evidence,
  };
}

function window(start: StartKept): Check {
  return {
    id: 'smear.window',
    claim: 'A smear starts and ends at its exact instants, without a step, in one run from before to after',
    async run(context) {
      const { smearWindowMs } = context.budget;
      const tooLong = skipped('a window of a second takes too long', {}, 'It runs without --quick.');
      if (smearWindowMs === 0) return tooLong;
      const half = (smearWindowMs / 2_000).toFixed(3);
      const policy = `linear:-${half}..${half}`;
      let verdict: Verdict = tooLong;
      for (const leadMs of LEADS_MS) {
        const taiNs = taiNow(context) + BigInt(Math.round((leadMs + smearWindowMs / 2) * 1e6));
        const smears = ([1, -1] as const).map((sign, at) =>
          placedSmear(policy, taiNs + BigInt(at) * APART_NS, sign),
        );
        const options = smears.map(({ leap: { sign, taiNs: leapNs } }) => ({
          smear: { policy, leap: { taiNs: leapNs, sign } },
        }));
        verdict = await withKept(start, context, options, async (kept) => {
          const results = kept.map((each, at) => judgeWindow(context, smears[at] as Smear, each));
          return windowVerdict(await Promise.all(results), kept);
        });
        // A timekeeper that started after its window had: the next one has more time to.
        if (verdict.status !== 'skip') break;
      }
      return verdict;
    },
  };
}

/** The kernel's clock for each of ours that it has. */
const KERNEL_CLOCKS = {
  'monotonic-raw': 'monotonic-raw',
  monotonic: 'monotonic',
  boottime: 'boottime',
  tai: 'tai',
  'sane-realtime': 'realtime',
} as const;
type ComparedClock = keyof typeof KERNEL_CLOCKS;

/** Differences of one clock from the kernel's. */
interface Differences {
  samples: number;
  outside: number;
  /** Outside after the kernel's rate had moved by more than its own dither, which the bound leaves out. */
  outsideAcrossRateChange: number;
  largestNs: bigint;
}

interface Comparison {
  readonly clocks: Readonly<Partial<Record<ComparedClock, Differences>>>;
  readonly boundsNs: number[];
  readonly how: string;
  samples: number;
  refused: number;
  unsteady: number;
  examples: Evidence[];
}

function take(
  comparison: Comparison,
  clock: ComparedClock,
  reading: Reading,
  distance: bigint,
  isAcross: boolean,
): void {
  const differences = comparison.clocks[clock];
  if (differences === undefined) return;
  const size = distance < 0n ? -distance : distance;
  differences.samples++;
  differences.largestNs = maxBigint(differences.largestNs, size);
  if (reading.boundNs !== null && size <= reading.boundNs) return;
  if (isAcross) differences.outsideAcrossRateChange++;
  else differences.outside++;
  if (comparison.examples.length < 4) {
    comparison.examples.push({ clock, distanceNs: distance, ...readingEvidence(reading) });
  }
}

/** How long a change of the kernel's rate may hide between two samples of the timekeeper, ms: some of its updates. */
const RATE_CHANGE_MS = 50;

/** One sample: the page read between two equal copies of the kernel's, whose clocks are evaluated at the same cycles. */
function kernelComparer(context: CheckContext): (kept: Kept, comparison: Comparison) => void {
  const { addon } = context.host;
  const { page, layout, namespaceNs } = context.host.page();
  const bytes = layoutBytes(layout);
  const copy = (): Uint8Array => addon.copyMemory(page.address, bytes);
  let before = copy();
  let snapshot: KernelPageSnapshot | null = null;
  // mult is one of two neighbours while nobody sets the frequency.
  let dither = { least: 0n, greatest: 0n };
  let changedMs = Number.NEGATIVE_INFINITY;
  return (kept, comparison) => {
    const reading = readOnce(kept);
    const after = copy();
    const isSteady = Buffer.compare(before, after) === 0;
    if (!isSteady) snapshot = null;
    before = after;
    if (reading === null) {
      comparison.refused++;
      return;
    }
    if (!isSteady) {
      comparison.unsteady++;
      return;
    }
    snapshot ??= decodeKernelPage(after, layout, namespaceNs);
    const { main, raw } = snapshot;
    if (main.seq % 2 !== 0 || raw.seq % 2 !== 0) {
      comparison.unsteady++;
      return;
    }
    const least = dither.least === 0n || main.mult < dither.least ? main.mult : dither.least;
    dither = { least, greatest: maxBigint(dither.greatest, main.mult) };
    if (dither.greatest - dither.least > 1n) {
      dither = { least: main.mult, greatest: main.mult };
      changedMs = kept.nowMs();
    }
    const isAcross = kept.nowMs() - changedMs < RATE_CHANGE_MS;
    comparison.samples++;
    comparison.boundsNs.push(Number(reading.boundNs ?? -1n));
    for (const clock of Object.keys(comparison.clocks) as ComparedClock[]) {
      const kernel = evaluate(kernelSegment(snapshot, KERNEL_CLOCKS[clock]), reading.cycles);
      take(comparison, clock, reading, reading.ns[clock] - kernel, isAcross);
    }
  };
}

/** One sample where the kernel's page does not tell: each clock by `clock_gettime` before and after the page is read. */
function bracketComparer({ host: { addon } }: CheckContext): (kept: Kept, comparison: Comparison) => void {
  const ask = (clock: ComparedClock): bigint => {
    const name = KERNEL_CLOCKS[clock];
    return addon.readClock(ClockPath[referencePath(addon, name)], CLOCK_IDS[name]);
  };
  return (kept, comparison) => {
    for (const clock of Object.keys(comparison.clocks) as ComparedClock[]) {
      const first = ask(clock);
      const reading = readOnce(kept);
      const second = ask(clock);
      if (reading === null) {
        comparison.refused++;
        continue;
      }
      comparison.samples++;
      comparison.boundsNs.push(Number(reading.boundNs ?? -1n));
      const ours = reading.ns[clock];
      take(
        comparison,
        clock,
        reading,
        ours < first ? ours - first : ours > second ? ours - second : 0n,
        false,
      );
    }
  };
}

function kernelEvidence(comparison: Comparison, kept: Kept, left: string | null): Evidence {
  const bounds = comparison.boundsNs.toSorted((a, b) => a - b);
  return {
    source: kept.source,
    how: comparison.how,
    samples: comparison.samples,
    refused: comparison.refused,
    // Samples that cannot be judged: the kernel rewrote its page meanwhile.
    acrossUpdate: comparison.unsteady,
    largestBoundNs: bounds.at(-1) ?? 0,
    medianBoundNs: bounds[bounds.length >> 1] ?? 0,
    clocks: Object.fromEntries(Object.entries(comparison.clocks).map(([clock, all]) => [clock, { ...all }])),
    taiLeftOut: left,
    rateChanges: kept.events.filter(({ kind }) => kind === 'bound-exceeded').length,
    late: kept.events.filter(({ kind }) => kind === 'late').length,
    examples: comparison.examples,
  };
}

/** Why the kernel's tai cannot be compared; null where it can. */
function taiLeftOut({ host: { addon } }: CheckContext): string | null {
  const offset = orNull(() => addon.adjtimex().taiOffsetSeconds);
  if (offset === null) return 'adjtimex is refused: whether its TAI offset is set is not known';
  return offset === 0 ? "the kernel's TAI offset was never set: its tai is UTC" : null;
}

async function judgeKernel(context: CheckContext, kept: Kept): Promise<Verdict> {
  const left = taiLeftOut(context);
  const none = (): Differences => ({ samples: 0, outside: 0, outsideAcrossRateChange: 0, largestNs: 0n });
  const names = (Object.keys(KERNEL_CLOCKS) as ComparedClock[]).filter(
    (clock) => clock !== 'tai' || left === null,
  );
  const isByPage = kernelCounterHz(context.host) !== null;
  const comparison: Comparison = {
    clocks: Object.fromEntries(names.map((clock) => [clock, none()])),
    boundsNs: [],
    how: isByPage ? "the kernel's page at the same counter reading" : 'brackets of clock_gettime',
    ...{ samples: 0, refused: 0, unsteady: 0, examples: [] },
  };
  const sample = isByPage ? kernelComparer(context) : bracketComparer(context);
  const { againstKernelMs } = context.budget;
  const begin = kept.nowMs();
  for (let turn = begin; kept.nowMs() - begin < againstKernelMs; ) {
    sample(kept, comparison);
    kept.check();
    if (kept.nowMs() - turn < 4) continue;
    context.progress((kept.nowMs() - begin) / againstKernelMs);
    await context.breathe(1);
    turn = kept.nowMs();
  }
  return kernelVerdict(comparison, kernelEvidence(comparison, kept, left), kept);
}

function kernelVerdict(comparison: Comparison, evidence: Evidence, kept: Kept): Verdict {
  const all = Object.entries(comparison.clocks);
  const outside = all.reduce((total, [, clock]) => total + clock.outside, 0);
  const across = all.reduce((total, [, clock]) => total + clock.outsideAcrossRateChange, 0);
  const largest = all.reduce((most, [, clock]) => maxBigint(most, clock.largestNs), 0n);
  const base: Omit<VerdictBase, 'reason'> = {
    bound: `as stated with each reading: median ${evidence['medianBoundNs']} ns, at most ${evidence['largestBoundNs']} ns; ${comparison.how}`,
    evidence,
  };
  if (comparison.samples < LEAST_READINGS) return skipped('too few readings', evidence, BUSY);
  if (outside > 0) {
    const [clock] = all.find(([, { outside: count }]) => count > 0) as [string, Differences];
    return (
      steppedVerdict([kept], evidence) ?? {
        ...base,
        status: 'fail',
        reason: `${clock} is outside its bound in ${plural(outside, 'sample')}, by up to ${formatNs(Number(largest))} from the kernel's`,
        advice: `The bounds that a timekeeper states do not hold on this host: please report the evidence.`,
      }
    );
  }
  if (across > 0) {
    return {
      ...base,
      status: 'warn',
      reason: `${plural(across, 'sample')} outside the bound, only right after the kernel's rate was set`,
      advice:
        "A time daemon is setting the clock's frequency: bounds leave that out unless `allowancePpt` says how much it may be.",
    };
  }
  const tai = evidence['taiLeftOut'] === null ? '' : '; tai left out';
  return {
    ...base,
    status: 'pass',
    reason: `${plural(all.length, 'clock')}, ${plural(comparison.samples, 'sample')}, at most ${formatNs(Number(largest))} from the kernel's, none outside${tai}`,
  };
}

function kernel(start: StartKept): Check {
  return {
    id: 'smear.kernel',
    claim:
      "Beside a smear every other clock of a page is the kernel's at the same counter reading, within its bound",
    run(context) {
      const one: Case = { policy: 'google-24h', sign: 1, phase: 'start' };
      const leap = { taiNs: leapFor(one, taiNow(context)), sign: one.sign };
      return withKept(start, context, [{ smear: { policy: one.policy, leap } }], ([kept]) =>
        judgeKernel(context, kept as Kept),
      );
    },
  };
}

export function smearChecksWith(start: StartKept): readonly Check[] {
  return [phases(start), window(start), kernel(start)];
}

export const smearChecks = smearChecksWith(startKept);
