import { release } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { isLatchclockError, LatchclockError } from '../errors.js';
import { type Host, type HostSummary, kernelCounterHz, orNull, summarizeHost } from '../host/host.js';
import { type RecordedPage, startRecording } from '../host/page-recording.js';
import { referencePath } from '../host/reference-path.js';
import { ClockPath } from '../native/addon.js';
import { ClockMode } from '../page/kernel-page.js';
import { cycleInterval, hzOfCoarseResolution } from '../page/kernel-update.js';
import { CLOCK_IDS, PAGE_CLOCKS } from '../page/posix-clocks.js';
import { frequencyHz } from '../page/segment.js';
import { type DriftResult, driftOf, LEAST_STATES } from './drift.js';
import { type FollowResult, type FrequencySetting, follow, predictMult } from './follow.js';
import { compareOwnPage, type OwnPageResult } from './own-page.js';
import type { Recording } from './recording.js';
import { compareReference, openReference, type ReferenceResult } from './reference.js';
import { sampleVdso, type VdsoSample } from './vdso-sample.js';

export const COMPARE_MODES = ['follow', 'free', 'page'] as const;
export type CompareMode = (typeof COMPARE_MODES)[number];

/** For how long to compare. */
export type CompareSpan = { readonly seconds: number } | { readonly updates: number };

export interface CompareOptions {
  /** Default `follow`. */
  mode?: CompareMode;
  /** Default 10 s; up to {@link MOST_SECONDS}, or 1 to {@link MOST_UPDATES} updates of the kernel's page. */
  span?: CompareSpan;
  /** A clock from elsewhere instead of a simulation: `vmclock`, or `ptp:` and a device. */
  against?: string;
  /** A recording to judge instead of this machine. */
  replay?: Recording;
  signal?: AbortSignal;
  onProgress?: (progress: { id: string; done: number; total: number; fraction: number }) => void;
}

/** What one of the modes found. */
export type CompareFinding =
  | { readonly mode: 'follow'; readonly follow: FollowResult }
  /** `drift` is null where the run was interrupted before there was a curve. */
  | { readonly mode: 'free'; readonly follow: FollowResult; readonly drift: DriftResult | null }
  | { readonly mode: 'page'; readonly own: OwnPageResult }
  | { readonly mode: 'against'; readonly reference: ReferenceResult };

export interface CompareReport {
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly host: HostSummary;
  /** What was compared: this machine's kernel or a recorded one. */
  readonly kernel: string;
  readonly replayed: boolean;
  readonly finding: CompareFinding;
  /** What the pages of `follow` and `free` were; null in the other modes. */
  readonly recording: Recording | null;
  /** By the mult of the kernel that was compared; null where it does not count by the TSC. */
  readonly counterHz: number | null;
  /** Whether all that was compared agrees as it must; a drift is no fault. */
  readonly holds: boolean;
  readonly interrupted: boolean;
}

export const MOST_SECONDS = 300;
export const MOST_UPDATES = 50_000;
const DEFAULT_SECONDS = 10;
const LEAST_SECONDS = 0.1;

function bad(what: string, where: string, todo: string): LatchclockError {
  return new LatchclockError('ERR_BAD_ARGUMENT', what, { where, todo });
}

function checkSpan(span: CompareSpan): CompareSpan {
  if ('seconds' in span) {
    if (span.seconds >= LEAST_SECONDS && span.seconds <= MOST_SECONDS) return span;
    throw bad(
      `${span.seconds} s is not from ${LEAST_SECONDS} to ${MOST_SECONDS} s`,
      'for',
      'a longer run is several',
    );
  }
  if (Number.isInteger(span.updates) && span.updates >= 1 && span.updates <= MOST_UPDATES) return span;
  throw bad(`${span.updates} updates are not from 1 to ${MOST_UPDATES}`, 'for', 'a longer run is several');
}

function checkTogether({ mode, against, replay, span }: CompareOptions): void {
  if (against !== undefined && mode !== undefined) {
    throw bad('a clock from elsewhere needs no simulation', 'against', 'leave the mode out');
  }
  if (replay === undefined) return;
  if (against !== undefined || mode === 'page') {
    throw bad('a recording holds the kernel’s page alone', 'replay', 'follow it, or run free from it');
  }
  if (span !== undefined) throw bad('a recording is as long as it is', 'replay', 'leave the time out');
}

function hzOf({ addon }: Host): number {
  const path = referencePath(addon, 'monotonic-coarse');
  return hzOfCoarseResolution(addon.clockResolution(ClockPath[path], CLOCK_IDS['monotonic-coarse']));
}

const BREATH_MS = 5;

/** Tells when a run is over, and how far it is. */
interface Watch {
  isOver(captured?: number): boolean;
  readonly interrupted: boolean;
}

function watch(span: CompareSpan, id: string, { signal, onProgress }: CompareOptions): Watch {
  const start = performance.now();
  const seconds = 'seconds' in span ? span.seconds : MOST_SECONDS;
  return {
    isOver: (captured = 0) => {
      const passed = (performance.now() - start) / 1000;
      // One state more than updates.
      const updates = 'updates' in span ? (captured - 1) / span.updates : 0;
      const fraction = Math.max(0, updates, passed / seconds);
      onProgress?.({ id, done: 0, total: 1, fraction });
      return signal?.aborted === true || fraction >= 1;
    },
    get interrupted() {
      return signal?.aborted === true;
    },
  };
}

/** Records the kernel's page, and reads every clock through the vDSO meanwhile. */
async function record(
  host: Host,
  span: CompareSpan,
  over: Watch,
  hz: number,
): Promise<{ states: RecordedPage[]; vdso: VdsoSample[] | null }> {
  // Throws the reason where the page is not known.
  host.page();
  const counterHz = kernelCounterHz(host);
  if (counterHz === null) {
    throw new LatchclockError(
      'ERR_CANNOT_RUN',
      'the page does not count by the TSC: there is nothing to simulate',
      {
        where: `clocksource ${host.clocksource().current ?? 'unknown'}`,
        todo: 'it runs with the clocksource tsc',
      },
    );
  }
  const vdso: VdsoSample[] = [];
  let refused = false;
  let states: RecordedPage[];
  const recording = startRecording(
    host,
    counterHz,
    'seconds' in span ? span.seconds + 1 : MOST_SECONDS,
    2 * hz,
  );
  try {
    while (!over.isOver(recording.captured())) {
      try {
        for (const clock of PAGE_CLOCKS) vdso.push(sampleVdso(host.addon, clock));
      } catch (error) {
        if (!isLatchclockError(error, 'ERR_NO_VDSO', 'ERR_SYSTEM_CALL')) throw error;
        refused = true;
      }
      await sleep(BREATH_MS);
    }
  } finally {
    states = recording.stop();
  }
  const most = 'updates' in span ? span.updates + 1 : states.length;
  return { states: states.slice(0, most), vdso: refused ? null : vdso };
}

/** The kernel's frequency setting; null where a sandbox refuses to tell. */
function settingOf({ addon }: Host): FrequencySetting | null {
  return orNull(() => addon.adjtimex());
}

/** The mult that the setting makes; null where it changed meanwhile, or is not told. */
function predictionOf(
  hz: number,
  first: RecordedPage | undefined,
  before: FrequencySetting | null,
  after: FrequencySetting | null,
): bigint | null {
  if (first?.snapshot.main.mode !== ClockMode.tsc || before === null || after === null) return null;
  if (before.frequency !== after.frequency || before.tickUs !== after.tickUs) return null;
  const { main, raw } = first.snapshot;
  return predictMult(after, hz, first.snapshot, cycleInterval(hz, raw.mult, main.shift));
}

function counterHzOf([first]: readonly RecordedPage[]): number | null {
  return first?.snapshot.main.mode === ClockMode.tsc ? frequencyHz(first.snapshot.raw) : null;
}

function holdsOf({ tally, clocks }: FollowResult): boolean {
  return (
    tally.unexplained === 0 &&
    clocks.every(({ maxAbsNs, vdso }) => maxAbsNs === 0n && (vdso?.outside ?? 0) === 0)
  );
}

function judgeRecording(
  mode: 'follow' | 'free',
  found: FollowResult,
  states: readonly RecordedPage[],
  interrupted: boolean,
): CompareFinding {
  if (mode === 'follow') return { mode, follow: found };
  const isEnough = !interrupted || states.length >= LEAST_STATES;
  return { mode, follow: found, drift: isEnough ? driftOf(states) : null };
}

/** A comparison whose options have been checked: nothing has been measured yet. */
export interface PreparedCompare {
  run(): Promise<CompareReport>;
}

/**
 * Takes the options of a comparison apart, so that a mistake is found before anything is measured.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for a span out of range, or options that do not go together;
 *   `ERR_CANNOT_RUN` where the clock from elsewhere is not there
 */
export function prepareCompare(host: Host, options: CompareOptions): PreparedCompare {
  checkTogether(options);
  const span = checkSpan(options.span ?? { seconds: DEFAULT_SECONDS });
  const mode = options.mode ?? 'follow';
  if ('updates' in span && (mode === 'page' || options.against !== undefined)) {
    throw bad('updates are counted of the kernel’s page', 'for', 'give a time');
  }
  const startedAt = new Date();
  const start = performance.now();
  const report = (
    finding: CompareFinding,
    holds: boolean,
    rest: Partial<CompareReport> = {},
  ): CompareReport => ({
    startedAt,
    durationMs: performance.now() - start,
    host: summarizeHost(host),
    kernel: release(),
    replayed: false,
    recording: null,
    counterHz: kernelCounterHz(host),
    interrupted: options.signal?.aborted === true,
    finding,
    holds,
    ...rest,
  });
  const { against, replay } = options;
  if (against !== undefined) {
    const reference = openReference(host, against);
    return {
      run: async () => {
        try {
          const over = watch(span, against, options);
          const result = await compareReference(
            reference,
            () => over.isOver(),
            () => sleep(BREATH_MS),
          );
          return report({ mode: 'against', reference: result }, result.points.length > 0);
        } finally {
          reference.close();
        }
      },
    };
  }
  if (mode === 'page') {
    return {
      run: async () => {
        const over = watch(span, mode, options);
        const own = await compareOwnPage(host, () => over.isOver());
        const isWithin = own.clocks.every(({ beyond }) => beyond === 0);
        return report({ mode, own }, isWithin && own.sets.compared > 0);
      },
    };
  }
  if (replay !== undefined) {
    return {
      run: async () => {
        const found = follow(replay, null, null);
        return report(
          judgeRecording(mode, found, replay.states, false),
          holdsOf(found) && found.tally.explained > 0,
          {
            kernel: replay.kernel,
            replayed: true,
            recording: replay,
            counterHz: counterHzOf(replay.states),
          },
        );
      },
    };
  }
  return {
    run: async () => {
      const hz = hzOf(host);
      const before = settingOf(host);
      const over = watch(span, mode, options);
      const { states, vdso } = await record(host, span, over, hz);
      const [first] = states;
      if (states.length < 2 && !over.interrupted) {
        throw new LatchclockError('ERR_CANNOT_RUN', `no update was seen: ${states.length} states`, {
          where: `compare --mode ${mode}`,
          todo: 'let it run for longer, or on a machine that is less busy',
        });
      }
      const found = follow({ states, hz }, vdso, predictionOf(hz, first, before, settingOf(host)));
      return report(
        judgeRecording(mode, found, states, over.interrupted),
        holdsOf(found) && found.tally.explained > 0,
        {
          recording: { kernel: release(), hz, states },
        },
      );
    },
  };
}
