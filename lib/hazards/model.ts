import type { ReaderGenerationName, ReaderProtocolName } from '../native/addon.js';
import type { MemoryModel } from './explored/model.js';

/** The protocols of the matrix. */
export const PROTOCOLS = [
  'seqlock',
  'latch',
  'latch-window',
  'two-window',
  'untagged-latch-window',
  'literal-latch-window',
  'literal-two-window',
] as const;
export type ProtocolName = (typeof PROTOCOLS)[number];

/** What can happen while a reader is between two of its instructions, each in a sentence. */
export const HAZARDS = {
  update: 'the writer publishes, once or several times',
  'writer-stalled': 'the writer stops half-way, for long',
  'writer-killed': 'the writer dies half-way',
  'writer-restarted': 'a new writer takes over what a dead one left',
  'counter-behind': "the counter is behind the copy's base",
  'window-expired': 'no writer came in time',
  'counter-wrapped': 'the counter wrapped',
  'adjust-held': 'the counter jumps with the write side held and fenced',
  'adjust-held-unfenced': 'the counter jumps with the write side held, without the fence',
  'adjust-unheld': 'the counter jumps behind the back of the writer',
  'counter-unfenced': 'the counter read moves across the other loads',
  'migration-different': "page, counter and generation become another host's, the counts differ",
  'migration-equal': "page, counter and generation become another host's, the counts are equal",
  'migration-own-page': 'counter and generation change, the page comes along',
  'writer-killed-after-migration':
    'counter and generation change, the page comes along, and its writer dies: a new one takes over',
  'generation-late': 'the generation changes after the counter does',
  'generation-early': 'the generation changes before the counter does',
  'count-aba': 'the count comes back to the value first read',
} as const;
export type HazardName = keyof typeof HAZARDS;
export const HAZARD_NAMES = Object.keys(HAZARDS) as HazardName[];

/** How a cell was found out. */
export const EVIDENCE_KINDS = ['explored', 'stepped', 'stressed'] as const;
export type EvidenceKind = (typeof EVIDENCE_KINDS)[number];

/**
 * `safe`: every value was right and in order; `lags`: right, but below a value that was returned before; `unsafe`: a
 * wrong value was returned; `not-applicable`: this evidence cannot make the hazard happen.
 */
export type CellVerdict = 'safe' | 'lags' | 'unsafe' | 'not-applicable';

/** `free`: reads end by themselves; `waits`: they go on until the writer does; `refuses`: some end without a value. */
export type Progress = 'free' | 'waits' | 'refuses';

/**
 * How long the reads took that began while the writer stood half-way, nanoseconds, by fenced counter readings around
 * each; percentiles are known to a sixteenth (upwards), the longest to the counter's step. A reader that waits begins
 * one read to a stall, one that does not begins thousands: the percentiles are of reads, not of moments.
 */
export interface Latencies {
  samples: number;
  p50: number;
  p99: number;
  p999: number;
  max: number;
}

/** A protocol of the matrix as one reader: the untagged one is a reader of latch-window. */
export interface MatrixReader {
  protocol: ProtocolName;
  generation: boolean;
  native: { protocol: ReaderProtocolName; generation: ReaderGenerationName };
}

/** Steps that lead to what is wrong. */
export interface Trace {
  steps: string[];
  verdict: string;
}

/** One variant of a hazard, under one memory model where it was explored. */
export interface CellCase {
  /** `main` is the one whose verdict is the cell's. */
  variant: string;
  model: MemoryModel | null;
  verdict: CellVerdict;
  expected: CellVerdict;
  progress: Progress;
  expectedProgress: Progress;
  /** The rule that readers rely on and that is broken here, if one is known to be. */
  brokenRule: string | null;
  counts: Record<string, number>;
  trace: Trace | null;
}

/** One reader against one hazard. */
export interface Cell {
  protocol: ProtocolName;
  generation: boolean;
  hazard: HazardName;
  evidence: EvidenceKind;
  verdict: CellVerdict;
  expected: CellVerdict;
  /** Whether what was found, in every case, is what the protocol is held to: verdict and progress. */
  holds: boolean;
  /** Null where nothing was run. */
  progress: Progress | null;
  /** Null where nothing was run, and where it is not held: under stress, if it depends on when threads run. */
  expectedProgress: Progress | null;
  counts: Record<string, number>;
  latencyNs: Latencies | null;
  /** What was explored or stepped, variant by variant; empty for stress. */
  cases: CellCase[];
}

/** `latch-window`, or with the generation `latch-window+gen`, as readers are called on the command line. */
export function readerName({ protocol, generation }: Pick<Cell, 'protocol' | 'generation'>): string {
  return generation && protocol !== 'untagged-latch-window' ? `${protocol}+gen` : protocol;
}

/** Every reader of the matrix, in its order. */
export const MATRIX_READERS: readonly MatrixReader[] = PROTOCOLS.flatMap((protocol): MatrixReader[] => {
  if (protocol === 'untagged-latch-window')
    return [{ protocol, generation: true, native: { protocol: 'latch-window', generation: 'untagged' } }];
  const plain: MatrixReader = { protocol, generation: false, native: { protocol, generation: 'none' } };
  if (protocol === 'literal-latch-window' || protocol === 'literal-two-window') return [plain];
  return [plain, { protocol, generation: true, native: { protocol, generation: 'tagged' } }];
});
