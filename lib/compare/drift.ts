import { LatchclockError } from '../errors.js';
import type { RecordedPage } from '../host/page-recording.js';
import { ClockMode, type KernelPageSnapshot, modeName } from '../page/kernel-page.js';
import { frequencyHz } from '../page/segment.js';
import { type AllanEstimate, allanDeviations } from './allan.js';
import { fitLine, type LineFit } from './line-fit.js';
import { lastAtMost } from './timeline.js';

/** The clocks that follow the counter. */
const DRIFTING_CLOCKS = ['realtime', 'monotonic', 'monotonic-raw', 'boottime', 'tai'] as const;
export type DriftingClock = (typeof DRIFTING_CLOCKS)[number];

/** How far the kernel's clock has gone from the frozen one. */
export interface DriftPoint {
  /** By the counter's own rate, since the snapshot that was frozen. */
  readonly seconds: number;
  readonly cycles: bigint;
  /** Kernel time less simulated time, nanoseconds with their fraction. */
  readonly ns: number;
}

export interface ClockDrift {
  readonly id: DriftingClock;
  readonly points: readonly DriftPoint[];
  readonly maxAbsNs: number;
  readonly fit: LineFit;
  /** Of the kernel's clock against the counter. */
  readonly allan: readonly AllanEstimate[];
}

export interface DriftResult {
  readonly seconds: number;
  /** Parts in 10^6 by which the frozen mult lies above the counter's own. */
  readonly frozenPpm: number;
  readonly clocks: readonly ClockDrift[];
}

const MOST_POINTS = 1024;
/** Fewer make no curve. */
export const LEAST_STATES = 8;

function cannot(what: string, todo: string): LatchclockError {
  return new LatchclockError('ERR_CANNOT_RUN', what, { where: 'compare --mode free', todo });
}

/** On the straight line of a page, scaled by `2^shift`, whatever the counter. */
function scaledAt(page: KernelPageSnapshot, clock: DriftingClock, cycles: bigint): bigint {
  const { main, raw, basetimes } = page;
  const { seconds, nsecAsStored } = basetimes[clock];
  const { mult } = clock === 'monotonic-raw' ? raw : main;
  const second = 1_000_000_000n << BigInt(main.shift);
  return seconds * second + nsecAsStored + (cycles - main.cycleLast) * mult;
}

/** The states from the first on that have the clocksource of the first. */
function ofOneClocksource(states: readonly RecordedPage[]): readonly RecordedPage[] {
  const [first] = states;
  if (first === undefined) return [];
  const { main, raw } = first.snapshot;
  const end = states.findIndex(
    ({ snapshot: one }) =>
      one.main.mode !== main.mode || one.main.shift !== main.shift || one.raw.mult !== raw.mult,
  );
  return end === -1 ? states : states.slice(0, end);
}

/**
 * Freezes the first page of a recording, lets it run on the counter alone, and holds the kernel's pages against it at up to
 * {@link MOST_POINTS} counter readings, evenly spread. At each the kernel's clock is that of the last page that had been
 * seen by then.
 *
 * @throws LatchclockError `ERR_CANNOT_RUN` where the page does not count by the TSC, or the recording has fewer than
 *   {@link LEAST_STATES} states
 */
export function driftOf(recorded: readonly RecordedPage[]): DriftResult {
  const states = ofOneClocksource(recorded);
  const [first, last] = [states[0], states.at(-1)];
  if (first === undefined || last === undefined || states.length < LEAST_STATES) {
    throw cannot(`${states.length} states are too few for a curve`, 'let it run for longer');
  }
  const frozen = first.snapshot;
  if (frozen.main.mode !== ClockMode.tsc) {
    throw cannot(
      `the page's mode is ${modeName(frozen.main.mode)}, not tsc: there is no counter to run on`,
      'it runs with the clocksource tsc',
    );
  }
  const hz = frequencyHz(frozen.raw);
  const span = last.after - first.after;
  const count = Math.min(MOST_POINTS, states.length);
  const readings = Array.from(
    { length: count },
    (_, at) => first.after + (span * BigInt(at)) / BigInt(count - 1),
  );
  const pages = readings.map((cycles) => {
    const at = lastAtMost(states, cycles, ({ after }) => after) ?? 0;
    return (states[at] as RecordedPage).snapshot;
  });
  const seconds = readings.map((cycles) => Number(cycles - first.after) / hz);
  const clocks = DRIFTING_CLOCKS.map((id) => {
    const points = readings.map((cycles, at) => {
      const scaled = scaledAt(pages[at] as KernelPageSnapshot, id, cycles) - scaledAt(frozen, id, cycles);
      return { seconds: seconds[at] as number, cycles, ns: Number(scaled) / 2 ** frozen.main.shift };
    });
    const ns = points.map((point) => point.ns);
    return {
      id,
      points,
      maxAbsNs: ns.reduce((most, one) => Math.max(most, Math.abs(one)), 0),
      fit: fitLine(seconds, ns),
      allan: allanDeviations(
        ns.map((one) => one / 1e9),
        (seconds.at(-1) as number) / (count - 1),
      ),
    };
  });
  return {
    seconds: seconds.at(-1) as number,
    frozenPpm: (Number(frozen.main.mult - frozen.raw.mult) / Number(frozen.raw.mult)) * 1e6,
    clocks,
  };
}
