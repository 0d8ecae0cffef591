import { whyTaiIsLeftOut } from '../host/discipline.js';
import { kernelCounterHz } from '../host/host.js';
import { referencePath } from '../host/reference-path.js';
import { ClockPath } from '../native/addon.js';
import { layoutBytes } from '../page/kernel-layout.js';
import { decodeKernelPage, type KernelPageSnapshot, kernelSegment } from '../page/kernel-page.js';
import { CLOCK_IDS } from '../page/posix-clocks.js';
import { evaluate } from '../page/segment.js';
import { maxBigint } from '../units.js';
import { formatNs, plural } from './format.js';
import { readingEvidence } from './kept-judge.js';
import {
  type Kept,
  type Reading,
  readOnce,
  type StartKept,
  taiNow,
  taiOffsetNow,
  withKept,
} from './kept-page.js';
import { BUSY, LEAST_READINGS, skipped, steppedVerdict } from './kept-verdict.js';
import type { Check, CheckContext, Evidence, Verdict, VerdictBase } from './model.js';
import { type Case, leapFor } from './smear-phases.js';

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

async function judgeKernel(context: CheckContext, kept: Kept): Promise<Verdict> {
  const left = whyTaiIsLeftOut(context.host.addon, taiOffsetNow(context));
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

export function kernelCheck(start: StartKept): Check {
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
