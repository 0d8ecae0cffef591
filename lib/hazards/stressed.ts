import { measureCounter } from '../host/frequency.js';
import { type Host, kernelCounterHz, orNull } from '../host/host.js';
import {
  LATENCY_BUCKETS,
  ReaderGeneration,
  type ReaderGenerationName,
  ReaderProtocol,
  type ReaderProtocolName,
  StressHazard,
  type StressHazardName,
  type StressTally,
} from '../native/addon.js';
import { wrapU64 } from '../units.js';
import type { CellVerdict, Latencies, Progress } from './model.js';

/** How long a run of stress takes, and how many writers it kills. */
export interface StressAmount {
  milliseconds: number;
  kills: number;
  seed: bigint;
}

/** What a run of stress found. */
export interface StressResult {
  tally: StressTally;
  latencyNs: Latencies | null;
}

const STALL_MS = 2;
/** Shorter than the stall, so that it ends in the middle of it. */
const SHORT_WINDOW_MS = 1.2;
/** As long as a writer may be away without anything being said of it, seconds. */
const LONG_WINDOW_SECONDS = 0.8;
/** The shortest windows that the native writer makes: two windows change so often. */
const TOUCHING_WINDOW_CYCLES = 1 << 17;
/** Over before the writers of a reader that waits for a change are killed. */
const LITERAL_WINDOW_CYCLES = 1 << 20;
/** Killing may take longer than it should where processes start slowly. */
const MOST_SECONDS = 2;

function windowCycles(protocol: ReaderProtocolName, hazard: StressHazardName, hz: number): number {
  const long = Math.ceil(LONG_WINDOW_SECONDS * hz);
  const short = Math.max(TOUCHING_WINDOW_CYCLES, Math.ceil((SHORT_WINDOW_MS / 1000) * hz));
  const touching = protocol === 'two-window' || protocol === 'literal-two-window';
  switch (hazard) {
    case 'update':
      return touching ? TOUCHING_WINDOW_CYCLES : long;
    case 'writer-stalled':
      // Without windows the end of one is no matter of a stall: that is window-expired.
      return protocol === 'seqlock' || protocol === 'latch' ? long : short;
    case 'writer-killed':
      return protocol === 'literal-two-window' ? LITERAL_WINDOW_CYCLES : long;
    case 'window-expired':
      return short;
    case 'counter-behind':
      return long;
  }
}

const EXACT_CYCLES = 16;

/** The most cycles that fall into a bucket of the addon's. */
function upperCycles(bucket: number): number {
  if (bucket < EXACT_CYCLES) return bucket;
  const power = Math.floor(bucket / EXACT_CYCLES) - 1;
  return (EXACT_CYCLES + (bucket % EXACT_CYCLES) + 1) * 2 ** power - 1;
}

/** Percentiles of latencies, each the upper end of its bucket; null where none were counted. */
export function latenciesOf(counts: BigInt64Array, longestCycles: number, hz: number): Latencies | null {
  const samples = Number(counts.reduce((sum, count) => sum + count, 0n));
  if (samples === 0) return null;
  const ns = (cycles: number): number => (Math.min(cycles, longestCycles) / hz) * 1e9;
  const at = (share: number): number => {
    let below = 0;
    const bucket = counts.findIndex((count) => {
      below += Number(count);
      return below >= share * samples;
    });
    return ns(upperCycles(bucket));
  };
  return { samples, p50: at(0.5), p99: at(0.99), p999: at(0.999), max: ns(longestCycles) };
}

/** A reader as the addon takes it. */
export interface StressedReader {
  protocol: ReaderProtocolName;
  generation: ReaderGenerationName;
  wide: boolean;
}

const MEASURED_MS = 20;

/**
 * The counter's frequency, Hz: the kernel's figure, or where it does not count by the TSC one measured: to some ppm, or
 * a twentieth where clocks move with the tick, which is enough for how long a run or a window takes.
 */
async function counterHz(host: Host): Promise<number> {
  return orNull(() => kernelCounterHz(host)) ?? (await measureCounter(host.addon, MEASURED_MS)).hz;
}

// The addon holds its thread for as long as a part takes: short enough that Ctrl-C is answered.
const PART_MS = 100;
const PART_KILLS = 10;

/**
 * Runs one kind of reader against one hazard, on the real counter, for `amount.milliseconds`, or until the writers are
 * killed. Calls `breathe` after each part of a tenth of a second, or of ten writers.
 *
 * @throws LatchclockError `ERR_COUNTER_DISABLED`, or `ERR_SYSTEM_CALL` where threads or processes cannot be started;
 *   and what `breathe` throws
 */
export async function stress(
  host: Host,
  reader: StressedReader,
  hazard: StressHazardName,
  cpus: readonly number[],
  amount: StressAmount,
  breathe: () => Promise<void>,
): Promise<StressResult> {
  const hz = await counterHz(host);
  const killed = hazard === 'writer-killed';
  const parts = Math.max(1, Math.ceil(killed ? amount.kills / PART_KILLS : amount.milliseconds / PART_MS));
  const seconds = killed ? MOST_SECONDS : amount.milliseconds / 1000 / parts;
  const latencies = new BigInt64Array(hazard === 'writer-stalled' ? LATENCY_BUCKETS : 0);
  let total: StressTally | null = null;
  for (let part = 0; part < parts; part++) {
    const tally = host.addon.latchStress(
      ReaderProtocol[reader.protocol],
      ReaderGeneration[reader.generation],
      reader.wide,
      StressHazard[hazard],
      Uint32Array.from(cpus),
      Math.ceil(seconds * hz),
      windowCycles(reader.protocol, hazard, hz),
      Math.ceil((STALL_MS / 1000) * hz),
      killed ? Math.min(PART_KILLS, amount.kills - part * PART_KILLS) : 0,
      wrapU64(amount.seed + BigInt(part * PART_KILLS)),
      latencies,
    );
    total = total === null ? tally : addTallies(total, tally);
    await breathe();
  }
  const tally = total as StressTally;
  return { tally, latencyNs: latenciesOf(latencies, tally.longestCycles, hz) };
}

/** Protocols whose readers know of no window: a counter outside of one is no fault of theirs. */
export const WINDOWLESS: readonly ReaderProtocolName[] = ['seqlock', 'latch'];

/** Hazards of windows themselves: what readers without one return there is what they are expected to get wrong. */
const OF_WINDOWS: readonly StressHazardName[] = ['window-expired', 'counter-behind'];

/**
 * Wrong values of any kind: torn, missing, and from outside the window of the copy. Of a reader without windows the last
 * ones count under the hazards of windows only: elsewhere they say that the writer was kept off its CPU for long.
 */
export function wrongValues(
  { torn, missing, outside }: StressTally,
  protocol: ReaderProtocolName,
  hazard: StressHazardName,
): number {
  const isOutsideWrong = !WINDOWLESS.includes(protocol) || OF_WINDOWS.includes(hazard);
  return torn + missing + (isOutsideWrong ? outside : 0);
}

/** What the counts of a run say of the reader. */
export function verdictOf(
  tally: StressTally,
  protocol: ReaderProtocolName,
  hazard: StressHazardName,
): CellVerdict {
  if (wrongValues(tally, protocol, hazard) > 0) return 'unsafe';
  return tally.backwards > 0 ? 'lags' : 'safe';
}

/** How reads ended, at the worst: one that ran out of its bound has waited. */
export function progressOf({ waited, ranOut, outOfWindow, refusedOtherwise }: StressTally): Progress {
  if (waited + ranOut > 0) return 'waits';
  return outOfWindow + refusedOtherwise > 0 ? 'refuses' : 'free';
}

/** Two runs of one reader as one. */
export function addTallies(a: StressTally, b: StressTally): StressTally {
  const sum = { ...a };
  for (const key of Object.keys(a) as (keyof StressTally)[]) sum[key] += b[key];
  sum.worstBackNs = Math.max(a.worstBackNs, b.worstBackNs);
  sum.longestCycles = Math.max(a.longestCycles, b.longestCycles);
  return sum;
}
