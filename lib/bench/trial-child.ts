import { type ChildProcess, fork } from 'node:child_process';
import { LatchclockError, type LatchclockErrorCode } from '../errors.js';
import type { TrialPlan, TrialResult } from './trial.js';
import type { TrialNews } from './trial-process.js';

/** How long is waited for a process of a trial, milliseconds. */
export interface TrialLimits {
  /** Until it says that it has started: Node hangs at its start where it gets some of its threads and not all. */
  readonly startMs: number;
  /** Until it ends: longer than any trial takes. */
  readonly runMs: number;
}

const LIMITS: TrialLimits = { startMs: 30_000, runMs: 600_000 };

const TRIAL = new URL('../../dist/bench/trial-process.js', import.meta.url);

const LIFT = 'raise the limits of processes, open files and memory (ulimit -u, -n, -v, pids.max)';

function notStarted(where: string, cause?: unknown): LatchclockError {
  return new LatchclockError('ERR_CANNOT_RUN', 'no process can be started for a trial', {
    where,
    todo: LIFT,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** What a trial that gave no result died of. */
function failureOf(news: TrialNews | null, ending: string, said: string): LatchclockError {
  if (news === null) return notStarted([ending, said.trim()].filter((part) => part !== '').join(': '));
  if ('code' in news && news.code !== '') {
    const { code, what, where } = news;
    return new LatchclockError(code as LatchclockErrorCode, what, { where: `a trial: ${where}` });
  }
  return new LatchclockError('ERR_CANNOT_RUN', `a trial ended without a result (${ending})`, {
    where: 'what' in news ? news.what : said.trim(),
    todo: 'report this if it happens again',
  });
}

/**
 * Runs a trial in a process of its own; null if it was interrupted. The process ends with this one.
 *
 * @throws LatchclockError what the trial threw; `ERR_CANNOT_RUN` where no process can be started, or it ended without a word
 */
export function runInProcess(
  plan: TrialPlan,
  signal: AbortSignal | undefined,
  { startMs, runMs }: TrialLimits = LIMITS,
): Promise<TrialResult | null> {
  return new Promise((resolve, reject) => {
    let child: ChildProcess;
    try {
      child = fork(TRIAL, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    } catch (cause) {
      // For want of descriptors fork throws, and does not tell later.
      reject(notStarted(cause instanceof Error ? cause.message : String(cause), cause));
      return;
    }
    let said = '';
    child.stderr?.on('data', (bytes: Buffer) => {
      said = (said + bytes.toString()).slice(-500);
    });
    let news: TrialNews | null = null;
    let ranOut = '';
    const end = (): boolean => child.kill('SIGKILL');
    const endAfter = (milliseconds: number): NodeJS.Timeout =>
      setTimeout(() => {
        ranOut = `no word in ${milliseconds / 1000} s`;
        end();
      }, milliseconds);
    let limit = endAfter(startMs);
    signal?.addEventListener('abort', end, { once: true });
    child.on('message', (message: TrialNews) => {
      if (news === null) {
        clearTimeout(limit);
        limit = endAfter(runMs);
      }
      news = message;
    });
    const stop = (): void => {
      clearTimeout(limit);
      signal?.removeEventListener('abort', end);
    };
    // More than one may come: that it cannot be started, and that nothing can be sent to it.
    child.on('error', (cause) => {
      stop();
      end();
      reject(notStarted(cause.message, cause));
    });
    child.once('close', (code, by) => {
      stop();
      if (signal?.aborted === true) resolve(null);
      else if (news !== null && 'result' in news) resolve(news.result);
      else reject(failureOf(news, ranOut === '' ? String(by ?? `exit code ${code}`) : ranOut, said));
    });
    if (signal?.aborted === true) end();
    // What cannot be sent, since the process has ended: its end says more.
    else child.send(plan, () => undefined);
  });
}
