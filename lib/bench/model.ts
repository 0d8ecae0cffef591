import type { HostSummary } from '../host/host.js';
import type { Circumstance } from './environment.js';
import type { Distribution } from './statistics.js';
import type { Subject } from './subject.js';

/** What one subject costs. */
export interface BenchResult extends Subject {
  /** Threads that read at once, each on a CPU of its own. */
  readonly threads: number;
  /** Nanoseconds a read in a loop, less the loop: the median over all rounds. */
  readonly medianNs: number;
  /** The 95 % interval of that median, by bootstrap. */
  readonly ciNs: readonly [number, number];
  /** Of single reads, less their bracket; null where threads read at once. */
  readonly single: Distribution | null;
}

/** One cost by another, from the same rounds. */
export interface BenchRatio {
  /** `syscall/vdso` */
  readonly name: string;
  readonly clock: Subject['clock'];
  readonly runtime: Subject['runtime'];
  readonly threads: number;
  readonly median: number;
  readonly ci: readonly [number, number];
}

/** What was asked for and cannot be timed here. */
export interface BenchSkip extends Subject {
  readonly reason: string;
}

/** How the figures were made. */
export interface BenchMethod {
  readonly trials: number;
  readonly rounds: number;
  readonly batchNs: number;
  readonly singles: number;
  readonly chained: boolean;
  readonly cpu: number;
  /** What was subtracted from each: a turn of the loop, and a bracket around nothing, nanoseconds. */
  readonly overheadNs: Readonly<Record<Subject['runtime'], { loop: number; bracket: number }>>;
  readonly granularityNs: number;
}

export interface BenchReport {
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly host: HostSummary;
  readonly quick: boolean;
  readonly seed: bigint;
  readonly interrupted: boolean;
  readonly method: BenchMethod;
  readonly environment: readonly Circumstance[];
  readonly results: readonly BenchResult[];
  readonly ratios: readonly BenchRatio[];
  readonly skipped: readonly BenchSkip[];
  /** Against an earlier report; null where none was given. */
  readonly changes: readonly BenchChange[] | null;
}

/** How a figure went from an earlier report to this one. */
export interface BenchChange extends Subject {
  readonly threads: number;
  readonly beforeNs: number;
  readonly afterNs: number;
  /** `(after / before - 1) * 100`. */
  readonly percent: number;
  /** `same`: the intervals overlap, or the difference is below what is told. */
  readonly verdict: 'faster' | 'slower' | 'same';
}
