import { EventEmitter } from 'node:events';
import { Worker } from 'node:worker_threads';
import {
  aBigint,
  aListOf,
  aNumber,
  anInteger,
  anObject,
  aPath,
  aSignal,
  aText,
  aValue,
  checkArgument,
  either,
  type Guard,
  nullable,
  oneOf,
  optional,
} from '../arguments.js';
import { isLatchclockError, LatchclockError } from '../errors.js';
import { parsePolicy } from '../smear/custom-policy.js';
import { aSign, aTaiNs } from '../smear/guards.js';
import { parseLeapDay } from '../smear/instant.js';
import { type LeapTimeline, withLeap } from '../smear/leap.js';
import type { SmearPolicy } from '../smear/policy.js';
import { checkChange, checkPreference } from './check-change.js';
import { ClockPage } from './clock-page.js';
import type { KeeperEvent } from './events.js';
import { leapTimeline } from './leap-timeline.js';
import { SOURCE_NAMES, type SourceName } from './open-source.js';
import type { PagePlace } from './page-lock.js';
import type { RunStatus } from './run.js';
import type { ScheduledChange } from './schedule.js';
import {
  errorOf,
  type News,
  type NumberedOrder,
  type Order,
  type SourceOptions,
  type ThreadData,
} from './thread-messages.js';
import { TimeNamespace } from './time-namespace.js';
import { withPlacedLeap } from './utc-scale.js';
import type { RealtimePreference, View } from './view.js';

/** A page, and how the clocks look in it. */
export interface PageView {
  /** The page, or its file: made if it is not there, and taken over from a writer that is gone if it is. */
  page: ClockPage | string;
  /** What `realtime` is in it (default `sane`). */
  preference?: RealtimePreference;
  /** Default: the initial one. */
  namespace?: TimeNamespace;
}

/** What smeared-realtime does. */
export interface SmearOptions {
  /** As `latchclock smear --policy` takes it. */
  policy: string;
  /**
   * The leap seconds that it smears: those of the table (default `next`), or one more that is supposed: at the end of a
   * UTC day, or at an instant (TAI, ns since 1970; see {@link Leap.taiNs}). What the table has after it is left out then.
   */
  leap?: 'next' | { date: string; sign: 1 | -1 } | { taiNs: bigint; sign: 1 | -1 };
}

/** How to start a timekeeper. */
export interface TimekeeperOptions extends PageView {
  /** Where time comes from (default `auto`: the kernel's page if it is proved, else `clock_gettime`). */
  source?: SourceName;
  sourceOptions?: SourceOptions;
  /** More pages, of the same protocol, that differ in preference or namespace. */
  views?: readonly PageView[];
  /** Null, the default: smeared-realtime is what sane-realtime is. */
  smear?: SmearOptions | null;
  /** A `leap-seconds.list`, or tzdata's `leapseconds`; default: the system's, else the package's own. */
  leapTable?: string;
  /** Between two updates, ms: 1..1000 (default 8). */
  updateMs?: number;
  /** For how long readers go on without their writer, ms: 4 updates to 60,000 (default 200). */
  windowMs?: number;
  changes?: readonly ScheduledChange[];
  /** Stops the timekeeper when it is aborted. */
  signal?: AbortSignal;
}

interface SourceFacts {
  /** The source that it follows. */
  readonly source: string;
  /** What is to be known of it before its time is trusted: sentences. */
  readonly warnings: readonly string[];
}

/** How a timekeeper is getting on. */
export interface TimekeeperStatus extends RunStatus, SourceFacts {}

/** What a timekeeper emits, and with what. */
export interface TimekeeperEvents {
  event: [event: KeeperEvent];
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(reason: unknown): void;
}

function deferred<T>(): Deferred<T> {
  let settle: Omit<Deferred<T>, 'promise'> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, ...(settle as Omit<Deferred<T>, 'promise'>) };
}

const aMethodOptions = anObject({
  allowancePpt: optional(aBigint),
  hz: optional(aNumber),
  driftPpt: optional(aBigint),
});
const aPlacedLeap: Guard = (value) =>
  anObject({ sign: aSign })(value) ??
  ('taiNs' in (value as object) ? anObject({ taiNs: aTaiNs }) : anObject({ date: aText }))(value);
const aView = {
  page: either(
    aPath,
    aValue((page) => page instanceof ClockPage, ''),
    'a ClockPage, or a path',
  ),
  preference: optional(oneOf(['sane', 'smeared'])),
  namespace: optional(
    aValue(
      (namespace) => namespace instanceof TimeNamespace,
      'a TimeNamespace, such as TimeNamespace.initial',
    ),
  ),
};
/** Whatever can be refused before there is a thread. */
const someOptions = anObject({
  ...aView,
  source: optional(oneOf(SOURCE_NAMES)),
  sourceOptions: optional(aMethodOptions),
  views: optional(aListOf(anObject(aView), 'a list of views')),
  smear: optional(
    nullable(
      anObject({
        policy: aText,
        leap: optional(either(oneOf(['next']), aPlacedLeap, "'next', or { date, sign } or { taiNs, sign }")),
      }),
    ),
  ),
  leapTable: optional(aPath),
  updateMs: optional(aNumber),
  windowMs: optional(aNumber),
  changes: optional(aListOf(anObject({}), 'a list of changes')),
  signal: optional(aSignal),
});

function bad(what: string, todo: string): LatchclockError {
  return new LatchclockError('ERR_BAD_ARGUMENT', what, { where: 'Timekeeper.start', todo });
}

/** The page of a file, which is made if it is not there. */
function pageOf(place: ClockPage | string): ClockPage {
  if (place instanceof ClockPage) return place;
  // Another process may make or remove it in between, but hardly time and again.
  for (let tries = 0; tries < 3; tries++) {
    try {
      return ClockPage.open(place);
    } catch (error) {
      if (!isLatchclockError(error, 'ERR_FILE') || error.errno !== 'ENOENT') throw error;
    }
    try {
      return ClockPage.create(place);
    } catch (error) {
      if (!isLatchclockError(error, 'ERR_FILE') || error.errno !== 'EEXIST') throw error;
    }
  }
  throw new LatchclockError('ERR_FILE', 'the clock page comes and goes', {
    where: place,
    todo: 'leave it to one process',
  });
}

function viewOf({ preference = 'sane', namespace = TimeNamespace.initial }: PageView): View {
  const { monotonicNs, boottimeNs } = namespace;
  return { preference, namespace: { monotonicNs, boottimeNs } };
}

/** Where the thread finds the pages. */
function placesOf(pages: readonly ClockPage[]): PagePlace[] {
  if (pages.length > 1 && pages.some(({ header }) => header.generationSource === 'page')) {
    throw bad('a page has a generation of its own', 'give it a timekeeper of its own');
  }
  return pages.map(({ path, fileDescriptor }) => {
    if (path !== null) return { path };
    if (fileDescriptor < 0) throw bad('the page is closed', 'give one that is open');
    return { fileDescriptor };
  });
}

/** The leap seconds to come by the table and by what is supposed, and the policy that smears them. */
function scaleOf({ smear, leapTable }: Pick<TimekeeperOptions, 'smear' | 'leapTable'>): {
  timeline: LeapTimeline;
  policy: SmearPolicy | null;
} {
  const timeline = leapTimeline(leapTable);
  if (smear === undefined || smear === null) return { timeline, policy: null };
  const policy = parsePolicy(smear.policy);
  const leap = smear.leap ?? 'next';
  if (leap === 'next') return { timeline, policy };
  const { sign } = leap;
  if ('taiNs' in leap) return { timeline: withPlacedLeap(timeline, leap.taiNs, sign), policy };
  if (leap.date.startsWith('-'))
    throw bad(`'${leap.date}' has a sign`, 'give the day, and the sign beside it');
  const { unixSeconds } = parseLeapDay(leap.date, timeline);
  return { timeline: withLeap(timeline, unixSeconds, sign).timeline, policy };
}

/** Whether Node could not start a thread, for want of what it needs for one. */
function isRefusedThread(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ERR_WORKER_INIT_FAILED';
}

function noThread(cause: unknown): LatchclockError {
  return new LatchclockError('ERR_SYSTEM_CALL', 'no thread can be started for the timekeeper', {
    where: cause instanceof Error ? cause.message : String(cause),
    todo: 'raise the limits of open files, processes and memory (ulimit)',
    cause,
  });
}

/** Does what hands data to another thread; says what cannot be handed there. */
function plainly<T>(hand: () => T): T {
  try {
    return hand();
  } catch (cause) {
    if (!(cause instanceof DOMException) || cause.name !== 'DataCloneError') throw cause;
    throw bad(`an option cannot be handed to a thread: ${cause.message}`, 'give plain data');
  }
}

function startThread(data: ThreadData): Worker {
  try {
    return plainly(
      () =>
        new Worker(new URL('./timekeeper-worker.js', import.meta.url), {
          workerData: data,
          // Not the flags of this process, which may be about its main module.
          execArgv: [],
          name: 'timekeeper',
        }),
    );
  } catch (cause) {
    throw isRefusedThread(cause) ? noThread(cause) : cause;
  }
}

/**
 * Keeps the time on clock pages, in a thread of its own. Emits `event` with a {@link KeeperEvent} for what its owner may want
 * to know of.
 *
 * It keeps its process alive, as a server does, unless it is `unref`ed. Readers go on for the window after it has ended, in
 * whatever way it did, and are refused from then on.
 */
export class Timekeeper extends EventEmitter<TimekeeperEvents> {
  /** The pages that it writes: the first, then those of `views`. They stay open when it ends. */
  readonly pages: readonly ClockPage[];
  /**
   * Resolves when the timekeeper has stopped as it was asked to, and rejects with a LatchclockError when it has died:
   * `ERR_SOURCE`, `ERR_BAD_PAGE` (a page was cut short), or `ERR_WRITER_DIED` where the thread ended without a word. A
   * death that nobody has a handler for is an unhandled rejection, which ends a Node process by default.
   */
  readonly ended: Promise<void>;
  readonly #worker: Worker;
  readonly #wake: Int32Array;
  readonly #started = deferred<void>();
  readonly #ending = deferred<void>();
  readonly #answers = new Map<number, Deferred<RunStatus | null>>();
  #orders = 0;
  #source: SourceFacts | null = null;
  #isStopped = false;
  #isOver = false;
  #failure: LatchclockError | null = null;

  private constructor(pages: readonly ClockPage[], data: ThreadData) {
    super();
    this.pages = pages;
    this.ended = this.#ending.promise;
    this.#wake = data.wake;
    this.#worker = startThread(data);
    this.#worker.on('message', (news: News) => this.#hear(news));
    this.#worker.on('error', (cause) => {
      if (isRefusedThread(cause)) {
        this.#failure = noThread(cause);
        return;
      }
      this.#failure = new LatchclockError('ERR_WRITER_DIED', 'the thread of the timekeeper failed', {
        where: String(cause instanceof Error ? cause.message : cause),
        todo: 'report this: no error but a LatchclockError should end it',
        cause,
      });
    });
    this.#worker.on('exit', (code) => this.#end(code));
  }

  /**
   * Starts a timekeeper; resolves once its first values can be read.
   *
   * @throws LatchclockError `ERR_PAGE_TAKEN` where another timekeeper writes a page, in this process or another; `ERR_FILE`
   *   where a page cannot be opened or made, or belongs to another user; `ERR_BAD_PAGE` where a file is no page; `ERR_SOURCE`
   *   where the source cannot be followed; `ERR_SCHEDULE` for changes that cannot be; `ERR_BAD_LEAP_TABLE`;
   *   `ERR_BAD_ARGUMENT` for the rest. What the signal was aborted with, if it was.
   */
  static async start(options: TimekeeperOptions): Promise<Timekeeper> {
    checkArgument('Timekeeper.start', 'options', options, someOptions);
    const {
      source = 'auto',
      sourceOptions = {},
      views = [],
      changes = [],
      signal,
      updateMs,
      windowMs,
    } = options;
    signal?.throwIfAborted();
    for (const change of changes) checkChange(change);
    const { timeline, policy } = scaleOf(options);
    const wanted = [options, ...views];
    const shown = wanted.map(viewOf);
    const pages = wanted.map(({ page }) => pageOf(page));
    try {
      const timekeeper = new Timekeeper(pages, {
        wake: new Int32Array(new SharedArrayBuffer(4)),
        source,
        sourceOptions,
        pages: placesOf(pages).map((place, at) => ({ place, view: shown[at] as View })),
        timeline,
        policy,
        updateMs,
        windowMs,
        changes,
      });
      await timekeeper.#started.promise;
      if (signal !== undefined) await timekeeper.#stopOn(signal);
      return timekeeper;
    } catch (error) {
      for (const [at, page] of pages.entries()) if (page !== wanted[at]?.page) page.close();
      throw error;
    }
  }

  /**
   * Schedules a change; resolves once the thread has taken it.
   *
   * @throws LatchclockError `ERR_SCHEDULE` where it lies in the past, does not go together with another, or the source is
   *   corrected by others; `ERR_BAD_ARGUMENT` where it is none, or the timekeeper has ended
   */
  async schedule(change: ScheduledChange): Promise<void> {
    checkChange(change);
    await this.#ask({ kind: 'schedule', change });
  }

  /**
   * What `realtime` of a page is from the next update on. Nobody reads a mixture of both.
   *
   * @param page its place in {@link Timekeeper.pages}
   * @throws LatchclockError `ERR_BAD_ARGUMENT` for no preference, no such page, or a timekeeper that has ended
   */
  async setPreference(preference: RealtimePreference, page = 0): Promise<void> {
    checkPreference(preference);
    checkArgument('setPreference', 'page', page, anInteger(0, 2 ** 31 - 1));
    await this.#ask({ kind: 'preference', page, preference });
  }

  /** How it is getting on. Throws LatchclockError `ERR_BAD_ARGUMENT` where the timekeeper has ended. */
  async status(): Promise<TimekeeperStatus> {
    const status = (await this.#ask({ kind: 'status' })) as RunStatus;
    return { ...(this.#source as SourceFacts), ...status };
  }

  /** Stops it, and resolves when the thread has ended and the pages are free for another. Rejects as {@link ended}. */
  stop(): Promise<void> {
    if (!this.#isStopped && !this.#isOver) {
      this.#isStopped = true;
      this.#post({ kind: 'stop' });
    }
    return this.ended;
  }

  /** As {@link Timekeeper.stop}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** As {@link Timekeeper.stop}, without waiting; of its end, `ended` tells whoever asks. */
  [Symbol.dispose](): void {
    this.stop().catch(() => undefined);
  }

  /** Lets the process end while the timekeeper runs. */
  unref(): this {
    this.#worker.unref();
    return this;
  }

  /** Takes {@link unref} back. */
  ref(): this {
    this.#worker.ref();
    return this;
  }

  /** Stops with a signal, which may have been aborted meanwhile. */
  async #stopOn(signal: AbortSignal): Promise<void> {
    if (signal.aborted) await this.stop();
    signal.throwIfAborted();
    const onAbort = (): void => {
      // Whoever looks at `ended` hears of it; an abort is no failure.
      this.stop();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#worker.once('exit', () => signal.removeEventListener('abort', onAbort));
  }

  #post(order: Order): number {
    const number = this.#orders++;
    plainly(() => this.#worker.postMessage({ number, order } satisfies NumberedOrder));
    Atomics.add(this.#wake, 0, 1);
    Atomics.notify(this.#wake, 0);
    return number;
  }

  async #ask(order: Order): Promise<RunStatus | null> {
    if (this.#isOver || this.#isStopped) return Promise.reject(this.#over());
    const answer = deferred<RunStatus | null>();
    this.#answers.set(this.#post(order), answer);
    return answer.promise;
  }

  #over(): LatchclockError {
    return new LatchclockError('ERR_BAD_ARGUMENT', 'the timekeeper has ended', {
      where: this.#failure?.message ?? 'it was stopped',
      todo: 'start another one',
    });
  }

  #take(number: number): Deferred<RunStatus | null> | undefined {
    const answer = this.#answers.get(number);
    this.#answers.delete(number);
    return answer;
  }

  #hear(news: News): void {
    switch (news.kind) {
      case 'started':
        this.#source = { source: news.source, warnings: news.warnings };
        this.#started.resolve();
        return;
      case 'event':
        this.emit('event', news.event);
        return;
      case 'answer':
        this.#take(news.number)?.resolve(news.status);
        return;
      case 'refusal':
        this.#take(news.number)?.reject(errorOf(news.error));
        return;
      case 'stopped':
        this.#isOver = true;
        return;
      case 'failed':
        this.#failure = errorOf(news.error);
    }
  }

  #end(code: number): void {
    if (!this.#isOver) {
      this.#failure ??= new LatchclockError(
        'ERR_WRITER_DIED',
        'the thread of the timekeeper ended without a word',
        {
          where: `exit code ${code}`,
          todo: 'start another one: it goes on where this one ended',
        },
      );
    }
    this.#isOver = true;
    for (const answer of this.#answers.values()) answer.reject(this.#over());
    this.#answers.clear();
    if (this.#failure === null) {
      this.#ending.resolve();
      return;
    }
    this.#ending.reject(this.#failure);
    // One that never started has no owner who could look at `ended`: `start` says it.
    if (this.#source === null) {
      this.ended.catch(() => undefined);
      this.#started.reject(this.#failure);
    }
  }
}
