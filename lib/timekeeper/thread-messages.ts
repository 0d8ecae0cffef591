import { LatchclockError, type LatchclockErrorCode } from '../errors.js';
import type { LeapTimeline } from '../smear/leap.js';
import type { SmearPolicy } from '../smear/policy.js';
import type { KeeperEvent } from './events.js';
import type { SourceName } from './open-source.js';
import type { PagePlace } from './page-lock.js';
import type { RunStatus } from './run.js';
import type { ScheduledChange } from './schedule.js';
import type { RealtimePreference, View } from './view.js';

/** What a source is told. For whichever sources it means something to. */
export interface SourceOptions {
  /**
   * `kernel-page`, `clock-gettime`: how far the kernel's rate may change between two samples beyond its dither, parts in
   * 10^12 (default 0n). What NTP changes is followed at the next sample, and until then clocks may be outside their bound by
   * the change times the time in between.
   */
  readonly allowancePpt?: bigint;
  /** `counter`: its frequency, Hz, 1e6..1e11. Default: what the source of its first sample says. */
  readonly hz?: number;
  /** `counter`: how far the oscillator may be from that, parts in 10^12. Default 50 ppm (50,000,000n). */
  readonly driftPpt?: bigint;
}

/** What a timekeeper's thread is started with. Plain data, as all that crosses between threads. */
export interface ThreadData {
  /** One word of shared memory: counts what is posted to the thread, which sleeps on it. */
  readonly wake: Int32Array;
  readonly source: SourceName;
  readonly sourceOptions: SourceOptions;
  readonly pages: readonly { readonly place: PagePlace; readonly view: View }[];
  readonly timeline: LeapTimeline;
  readonly policy: SmearPolicy | null;
  readonly updateMs: number | undefined;
  readonly windowMs: number | undefined;
  readonly changes: readonly ScheduledChange[];
}

/** What the thread is asked for. */
export type Order =
  | { readonly kind: 'schedule'; readonly change: ScheduledChange }
  | { readonly kind: 'preference'; readonly page: number; readonly preference: RealtimePreference }
  | { readonly kind: 'status' }
  | { readonly kind: 'stop' };

/** An order, and the number by which its answer is known. */
export interface NumberedOrder {
  readonly number: number;
  readonly order: Order;
}

/** A LatchclockError between threads. */
export interface PlainError {
  readonly code: LatchclockErrorCode;
  readonly what: string;
  readonly details: Readonly<Record<'where' | 'todo' | 'errno' | 'syscall', string | undefined>>;
}

/** What the thread tells. */
export type News =
  /** Values can be read. */
  | { readonly kind: 'started'; readonly source: string; readonly warnings: readonly string[] }
  | { readonly kind: 'event'; readonly event: KeeperEvent }
  | { readonly kind: 'answer'; readonly number: number; readonly status: RunStatus | null }
  | { readonly kind: 'refusal'; readonly number: number; readonly error: PlainError }
  /** The thread ends, as it was asked to. */
  | { readonly kind: 'stopped' }
  /** The thread ends, as it cannot go on. */
  | { readonly kind: 'failed'; readonly error: PlainError };

export function plainError({ code, what, where, todo, errno, syscall }: LatchclockError): PlainError {
  return { code, what, details: { where, todo, errno, syscall } };
}

export function errorOf({ code, what, details }: PlainError): LatchclockError {
  const known = Object.entries(details).filter(([, text]) => text !== undefined);
  return new LatchclockError(code, what, Object.fromEntries(known));
}
