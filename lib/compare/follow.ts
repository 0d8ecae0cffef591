import type { RecordedPage } from '../host/page-recording.js';
import { ClockMode, type KernelPageSnapshot, kernelSegment } from '../page/kernel-page.js';
import { PAGE_CLOCKS, type PageClockName } from '../page/posix-clocks.js';
import { evaluate } from '../page/segment.js';
import { maxBigint, minBigint } from '../units.js';
import { type ExplainedUpdate, explainRecording } from './explain.js';
import type { Recording } from './recording.js';
import { tallyUpdates, type UpdateTally } from './tally.js';
import { outsideNs, type VdsoSample } from './vdso-sample.js';

/** A clock at one counter reading, by the kernel's page and by the simulated one. */
export interface ClockSample {
  readonly clock: PageClockName;
  readonly cycles: bigint;
  readonly kernelNs: bigint;
  readonly simulatedNs: bigint;
  /** By the page before the update, had it gone on. */
  readonly predictedNs: bigint;
}

/** What was found of one clock. */
export interface FollowedClock {
  readonly id: PageClockName;
  readonly samples: number;
  /** Simulated less kernel time, the farthest, nanoseconds, at one and the same counter reading. */
  readonly maxAbsNs: bigint;
  /** Kernel time less what the page before would have given: how far an update moved the clock at the most, nanoseconds. */
  readonly maxMovedNs: bigint;
  /** Values that came through the vDSO meanwhile; null where none was taken. */
  readonly vdso: { samples: number; outside: number; maxOutsideNs: bigint; unjudged: number } | null;
}

/** How far an update moved monotonic from where the page before had it. */
export interface Movement {
  readonly cycles: bigint;
  /** Nanoseconds, with their fraction. */
  readonly ns: number;
}

/** The frequency that the kernel was set to, and the mults that follow from it. */
export interface PredictedMult {
  /** `m0`; outside slews mult is this or one more. */
  readonly mult: bigint;
  /** States with `m0` or `m0 + 1`, and with any other. */
  readonly as: number;
  readonly other: number;
}

export interface FollowResult {
  readonly tally: UpdateTally;
  readonly clocks: readonly FollowedClock[];
  readonly samples: readonly ClockSample[];
  readonly movements: readonly Movement[];
  /** Least and greatest mult; null without a state. */
  readonly mults: readonly [bigint, bigint] | null;
  /** Null where the kernel's frequency is not known, or was changed meanwhile. */
  readonly predictedMult: PredictedMult | null;
}

/** The kernel's frequency setting (adjtimex). */
export interface FrequencySetting {
  /** Units of 2^-16 ppm. */
  readonly frequency: bigint;
  /** Microseconds per USER_HZ tick. */
  readonly tickUs: bigint;
}

/**
 * The smaller of the two mults between which the kernel dithers for a setting: `floor(((tl >> (32 - shift)) - rem) / ci)`
 * (`ntp_update_frequency`, kernel/time/ntp.c; `timekeeping_adjust`, kernel/time/timekeeping.c).
 *
 * @param interval cycles of a tick, above 0
 */
export function predictMult(
  { frequency, tickUs }: FrequencySetting,
  hz: number,
  { main, raw }: Pick<KernelPageSnapshot, 'main' | 'raw'>,
  interval: bigint,
): bigint {
  const shift = BigInt(main.shift);
  const tickLength = (((tickUs * 100_000n) << 32n) + frequency * 65_536_000n) / BigInt(hz);
  const remainder = ((1_000_000_000n / BigInt(hz)) << shift) - interval * raw.mult;
  return ((tickLength >> (32n - shift)) - remainder) / interval;
}

function countedByTsc(...pages: readonly KernelPageSnapshot[]): boolean {
  return pages.every(({ main }) => main.mode === ClockMode.tsc);
}

/** Every clock when the update was first seen. */
function samplesOf({ before, after, simulated }: ExplainedUpdate): ClockSample[] {
  if (simulated === null || !countedByTsc(before.snapshot, after.snapshot)) return [];
  const cycles = after.after;
  const at = (page: KernelPageSnapshot, clock: PageClockName): bigint =>
    evaluate(kernelSegment(page, clock), cycles);
  return PAGE_CLOCKS.map((clock) => ({
    clock,
    cycles,
    kernelNs: at(after.snapshot, clock),
    simulatedNs: at(simulated, clock),
    predictedNs: at(before.snapshot, clock),
  }));
}

/** Monotonic at a counter reading, scaled by `2^shift`, on the straight line of a page. */
function scaledMonotonic({ main, basetimes: { monotonic } }: KernelPageSnapshot, cycles: bigint): bigint {
  const second = 1_000_000_000n << BigInt(main.shift);
  return monotonic.seconds * second + monotonic.nsecAsStored + (cycles - main.cycleLast) * main.mult;
}

function movementOf({ before, after, simulated }: ExplainedUpdate): Movement[] {
  if (simulated === null || !countedByTsc(before.snapshot, after.snapshot)) return [];
  const cycles = after.after;
  const scaled = scaledMonotonic(after.snapshot, cycles) - scaledMonotonic(before.snapshot, cycles);
  return [{ cycles, ns: Number(scaled) / 2 ** after.snapshot.main.shift }];
}

function distance(a: bigint, b: bigint): bigint {
  return a > b ? a - b : b - a;
}

function judgeVdso(clock: PageClockName, samples: readonly VdsoSample[], states: readonly RecordedPage[]) {
  const found = samples.filter((sample) => sample.clock === clock).map((sample) => outsideNs(sample, states));
  const judged = found.filter((ns) => ns !== null);
  return {
    samples: judged.length,
    outside: judged.filter((ns) => ns !== 0n).length,
    maxOutsideNs: judged.reduce((most, ns) => maxBigint(most, distance(ns, 0n)), 0n),
    unjudged: found.length - judged.length,
  };
}

/**
 * Follows a recording of the kernel's page, update by update.
 *
 * @param vdso values that came through the vDSO while it was taken; null where there are none
 * @param predicted the mult that the kernel's frequency makes, {@link predictMult}; null where it is not known
 */
export function follow(
  { states, hz }: Pick<Recording, 'states' | 'hz'>,
  vdso: readonly VdsoSample[] | null,
  predicted: bigint | null,
): FollowResult {
  const updates = explainRecording(states, hz);
  const samples = updates.flatMap(samplesOf);
  const clocks = PAGE_CLOCKS.map((id) => {
    const own = samples.filter(({ clock }) => clock === id);
    return {
      id,
      samples: own.length,
      maxAbsNs: own.reduce((most, one) => maxBigint(most, distance(one.simulatedNs, one.kernelNs)), 0n),
      maxMovedNs: own.reduce((most, one) => maxBigint(most, distance(one.predictedNs, one.kernelNs)), 0n),
      vdso: vdso === null ? null : judgeVdso(id, vdso, states),
    };
  });
  const mults = states.map(({ snapshot }) => snapshot.main.mult);
  const as = predicted === null ? 0 : mults.filter((m) => m === predicted || m === predicted + 1n).length;
  return {
    tally: tallyUpdates(updates),
    clocks,
    samples,
    movements: updates.flatMap(movementOf),
    mults: mults.length === 0 ? null : [mults.reduce(minBigint), mults.reduce(maxBigint)],
    predictedMult: predicted === null ? null : { mult: predicted, as, other: mults.length - as },
  };
}
