import type { Host } from '../host/host.js';
import type { Random } from '../random.js';
import type { Budget } from './budget.js';
import type { RunMonitor } from './monitor.js';

/** How a check ended. */
export type CheckStatus = 'pass' | 'fail' | 'warn' | 'skip';
export const CHECK_STATUSES: readonly CheckStatus[] = ['pass', 'fail', 'warn', 'skip'];

/** Figures that back a verdict. Integers of 64 bits are `bigint`: decimal strings in JSON. */
export type EvidenceValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | readonly EvidenceValue[]
  | { readonly [key: string]: EvidenceValue };
/** Figures by name. */
export type Evidence = Readonly<Record<string, EvidenceValue>>;

/** What every verdict has. */
export interface VerdictBase {
  /** What was seen, with the telling figure: one sentence. */
  readonly reason: string;
  /** How wrong the statement can be at most: the resolution of what it rests on. */
  readonly bound: string;
  readonly evidence: Evidence;
}

/** What a check found. All but a pass say what it means for the user and what to do, or what would let it run. */
export type Verdict =
  | (VerdictBase & { readonly status: 'pass'; readonly advice?: undefined })
  | (VerdictBase & { readonly status: 'fail' | 'warn' | 'skip'; readonly advice: string });

/**
 * Whom a verdict is about: `host`, this machine's counter, clocks, vDSO and page; or `self`, latchclock's own readers and
 * timekeeper at work on this machine. A failed self-test says that latchclock is not to be trusted here, and nothing of
 * the clocks that other programs read.
 */
export type CheckKind = 'host' | 'self';
export const CHECK_KINDS: readonly CheckKind[] = ['host', 'self'];

/** The subject of a check. */
export type CheckGroup =
  | 'counter'
  | 'clock'
  | 'vdso'
  | 'page'
  | 'latch'
  | 'smear'
  | 'schedule'
  | 'preference'
  | 'namespace';

/** Whom the verdicts on a subject are about. */
const GROUP_KINDS: Readonly<Record<CheckGroup, CheckKind>> = {
  counter: 'host',
  clock: 'host',
  vdso: 'host',
  page: 'host',
  latch: 'self',
  smear: 'self',
  schedule: 'self',
  preference: 'self',
  namespace: 'self',
};

export function kindOf(group: CheckGroup): CheckKind {
  return GROUP_KINDS[group];
}

export interface CheckContext {
  readonly host: Host;
  readonly budget: Budget;
  /** CPUs to measure on, ascending. */
  readonly cpus: readonly number[];
  readonly random: Random;
  /** Watches the counter from the start of the run to its end. */
  readonly monitor: RunMonitor;
  /** Tells how far this check is, from 0 to 1. */
  progress(fraction: number): void;
  /** Lets timers and signals in; every loop calls it at least each tenth of a second. Throws if aborted. */
  breathe(milliseconds?: number): Promise<void>;
}

/** Holds one claim of a host against evidence. */
export interface Check {
  readonly id: `${CheckGroup}.${string}`;
  readonly claim: string;
  /** Measured over the whole run: executed after the others. */
  readonly last?: true;
  run(context: CheckContext): Promise<Verdict> | Verdict;
}

/** A verdict with the check that gave it. */
export type CheckResult = Verdict & {
  readonly id: string;
  readonly group: CheckGroup;
  readonly kind: CheckKind;
  readonly claim: string;
  readonly durationMs: number;
};

export function groupOf(check: Check): CheckGroup {
  return check.id.slice(0, check.id.indexOf('.')) as CheckGroup;
}
