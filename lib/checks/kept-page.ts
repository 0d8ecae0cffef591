import { isLatchclockError, LatchclockError } from '../errors.js';
import type { PageClockOptions } from '../host/page-clock.js';
import { referencePath } from '../host/reference-path.js';
import { ClockPath, CounterMethod, LockStepSource, PAGE_SET_WORDS } from '../native/addon.js';
import { type ClockPageHeader, OWN_CLOCKS, type OwnClockName } from '../page/clock-page.js';
import { CLOCK_IDS } from '../page/posix-clocks.js';
import { parsePolicy } from '../smear/custom-policy.js';
import { type Smear, smearOf } from '../smear/smear.js';
import { ClockPage } from '../timekeeper/clock-page.js';
import type { KeeperEvent } from '../timekeeper/events.js';
import { leapTimeline } from '../timekeeper/leap-timeline.js';
import type { ScheduledChange } from '../timekeeper/schedule.js';
import { type PageView, Timekeeper, type TimekeeperOptions } from '../timekeeper/timekeeper.js';
import { tableOffsetSeconds, withPlacedLeap } from '../timekeeper/utc-scale.js';
import type { RealtimePreference } from '../timekeeper/view.js';
import { NS_PER_SEC } from '../units.js';
import type { CheckContext, Verdict } from './model.js';

/** All clocks of a page at one reading of the counter, from one copy. */
export interface Reading {
  readonly cycles: bigint;
  /** As the page states it; null where it states none. */
  readonly boundNs: bigint | null;
  readonly ns: Readonly<Record<OwnClockName, bigint>>;
}

/** How a page is to be kept for a check. */
export interface KeptOptions
  extends Pick<TimekeeperOptions, 'source' | 'smear' | 'preference' | 'namespace' | 'updateMs'> {
  readonly protocol?: ClockPageHeader['protocol'];
  /** More pages of the same timekeeper. */
  readonly views?: readonly Omit<PageView, 'page'>[];
  /** Whether readers are refused at once where the page has no value, or wait for its writer (default). */
  readonly outOfWindow?: Extract<PageClockOptions['outOfWindow'], 'error' | 'spin'>;
}

/** Pages that a timekeeper in a thread of its own keeps while a check reads them. */
export interface Kept {
  /** Where its time comes from. */
  readonly source: string;
  /** One all-clocks reader a page: {@link PAGE_SET_WORDS} words, as `ClockPage.allClocks().readInto` fills them. */
  readonly read: readonly ((words: BigInt64Array) => void)[];
  readonly events: readonly KeeperEvent[];
  /** Throws what ended the timekeeper, if it has died. */
  check(): void;
  schedule(change: ScheduledChange): Promise<void>;
  setPreference(preference: RealtimePreference): Promise<void>;
  /** The counter now, cycles. */
  counter(): bigint;
  /** A time that goes on as readers do, ms. */
  nowMs(): number;
  stop(): Promise<void>;
}

/** Starts a timekeeper for a check. Rejects as {@link Timekeeper.start}. */
export type StartKept = (context: CheckContext, options: KeptOptions) => Promise<Kept>;

/** A timekeeper on pages in memory. */
export const startKept: StartKept = async ({ host, cpus }, options) => {
  // Node ends the process where it can make a thread but no stack for it: a thread that is not its own is refused first.
  host.addon.lockStep(LockStepSource.counter, 0, null, Uint32Array.from(cpus.slice(0, 1)), 1, 1);
  const { protocol = 'two-window', outOfWindow = 'spin', views = [], ...rest } = options;
  const pages = [rest, ...views].map(() => ClockPage.create(undefined, { protocol }));
  const close = (): void => {
    for (const page of pages) page.close();
  };
  const pageOf = (at: number): ClockPage => pages[at] as ClockPage;
  try {
    const timekeeper = await Timekeeper.start({
      ...rest,
      page: pageOf(0),
      views: views.map((view, at) => ({ ...view, page: pageOf(at + 1) })),
    });
    const events: KeeperEvent[] = [];
    let failure: unknown = null;
    timekeeper.on('event', (event) => events.push(event));
    timekeeper.ended.catch((error: unknown) => {
      failure = error;
    });
    return {
      source: (await timekeeper.status()).source,
      read: pages.map((page) => {
        const clocks = page.allClocks({ outOfWindow });
        return (words) => clocks.readInto(words);
      }),
      events,
      check: () => {
        if (failure !== null) throw failure;
      },
      schedule: (change) => timekeeper.schedule(change),
      setPreference: (preference) => timekeeper.setPreference(preference),
      counter: () => host.addon.readCounter(CounterMethod['lfence-rdtsc']),
      nowMs: () => performance.now(),
      stop: () => timekeeper.stop().finally(close),
    };
  } catch (error) {
    close();
    throw error;
  }
};

/** What says, at the start, that this place has no time to keep or no thread to keep it in. */
const NO_TIMEKEEPER = ['ERR_SOURCE', 'ERR_WRITER_DIED', 'ERR_CANNOT_RUN'] as const;

/**
 * Runs `judge` while timekeepers keep a page each, and stops them. Where none can be had, the verdict is a skip with the
 * reason; what ends one later is thrown.
 */
export async function withKept(
  start: StartKept,
  context: CheckContext,
  options: readonly KeptOptions[],
  judge: (kept: readonly Kept[]) => Promise<Verdict>,
): Promise<Verdict> {
  const outcomes = await Promise.allSettled(options.map((each) => start(context, each)));
  const kept = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  try {
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') continue;
      const error: unknown = outcome.reason;
      if (!isLatchclockError(error, ...NO_TIMEKEEPER)) throw error;
      return {
        status: 'skip',
        reason: `no timekeeper could be started: ${error.message}`,
        bound: 'nothing was measured',
        evidence: { code: error.code },
        advice: error.todo ?? 'Without this error the check would run.',
      };
    }
    const verdict = await judge(kept);
    for (const each of kept) each.check();
    return verdict;
  } finally {
    // How it ended, `check` has told.
    await Promise.all(kept.map((each) => each.stop().catch(() => undefined)));
  }
}

/** What makes a reader come again, rather than a page useless. */
const REFUSALS = ['ERR_OUT_OF_WINDOW', 'ERR_RETRIES'] as const;
/** Readings in a row, without a look at any of them. */
const BURST = 32;
/** How long readers go on before others get their turn, ms: timers, signals, and on one CPU the writer. */
const TURN_MS = 4;
const MOST_REFUSALS = 1_000;

function decoded(words: BigInt64Array): Reading {
  const bound = words[2] as bigint;
  return {
    cycles: BigInt.asUintN(64, words[0] as bigint),
    boundNs: bound < 0n ? null : bound,
    ns: Object.fromEntries(OWN_CLOCKS.map((clock, at) => [clock, words[3 + at] as bigint])) as Record<
      OwnClockName,
      bigint
    >,
  };
}

/** What readers met. */
export interface ReadTally {
  reads: number;
  /** Reads that ended without a value. */
  refused: number;
}

/** One reading of one of the pages; null where it was refused. Throws what else went wrong. */
export function readOnce(kept: Kept, page = 0): Reading | null {
  const words = new BigInt64Array(PAGE_SET_WORDS);
  try {
    kept.read[page]?.(words);
  } catch (error) {
    if (!isLatchclockError(error, ...REFUSALS)) throw error;
    kept.check();
    return null;
  }
  return decoded(words);
}

/** How to read for a while. */
export interface ReadingOptions {
  readonly context: CheckContext;
  readonly kept: Kept;
  /** At most so long, ms. */
  readonly ms: number;
  /** Has each reading, in the order in which they were made. */
  readonly take: (reading: Reading) => void;
  /** Has a refused read, when it happens. */
  readonly refused?: () => void;
  /** Whether it is enough already; looked at between bursts. */
  readonly until?: () => boolean;
  /** Whether others must wait for their turn now: near an instant at which nothing is to be missed. */
  readonly isBusy?: () => boolean;
}

/** Reads the first page again and again. */
export async function readFor(options: ReadingOptions): Promise<ReadTally> {
  const { context, kept, ms, take, refused, until = () => false, isBusy = () => false } = options;
  const read = kept.read[0] as Kept['read'][number];
  const rows = Array.from({ length: BURST }, () => new BigInt64Array(PAGE_SET_WORDS));
  const tally: ReadTally = { reads: 0, refused: 0 };
  const end = kept.nowMs() + ms;
  let turn = kept.nowMs();
  for (let inARow = 0; kept.nowMs() < end && !until(); ) {
    let taken = 0;
    for (const row of rows) {
      try {
        read(row);
      } catch (error) {
        if (!isLatchclockError(error, ...REFUSALS)) throw error;
        tally.refused++;
        inARow++;
        refused?.();
        break;
      }
      taken++;
      inARow = 0;
    }
    for (let at = 0; at < taken; at++) take(decoded(rows[at] as BigInt64Array));
    tally.reads += taken;
    kept.check();
    if (isBusy()) continue;
    if (inARow > MOST_REFUSALS || kept.nowMs() - turn >= TURN_MS) {
      inARow = 0;
      await context.breathe(1);
      turn = kept.nowMs();
    }
  }
  return tally;
}

function realtimeNs({ host: { addon } }: CheckContext): bigint {
  return addon.readClock(ClockPath[referencePath(addon, 'realtime')], CLOCK_IDS.realtime);
}

/** TAI by the kernel's realtime and the table of leap seconds, ns: what a timekeeper takes it for. */
export function taiNow(context: CheckContext): bigint {
  const unixNs = realtimeNs(context);
  return unixNs + BigInt(tableOffsetSeconds(leapTimeline(), unixNs)) * NS_PER_SEC;
}

/** TAI - UTC now by that table, seconds. */
export function taiOffsetNow(context: CheckContext): number {
  return tableOffsetSeconds(leapTimeline(), realtimeNs(context));
}

/** A policy at work on a leap second that is supposed: what a timekeeper makes of the same. */
export function placedSmear(policy: string, taiNs: bigint, sign: 1 | -1): Smear {
  const timeline = withPlacedLeap(leapTimeline(), taiNs, sign);
  const leap = timeline.leaps.at(-1);
  if (leap === undefined) throw new LatchclockError('ERR_BAD_ARGUMENT', 'no leap second was placed');
  return smearOf(parsePolicy(policy), leap, timeline);
}

/** What a source's own doings make of a clock that went back or stepped: nothing that a check can judge. */
export function sourceStep(kept: Kept): KeeperEvent | undefined {
  return kept.events.find(({ kind }) => kind === 'step' || kind === 'source-leap' || kind === 'slept');
}
