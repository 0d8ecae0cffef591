import { type ChildProcess, fork } from 'node:child_process';
import { LatchclockError, type LatchclockErrorCode } from '../errors.js';
import type { TrialPlan, TrialResult } from './trial.js';
import type { TrialNews } from './trial-process.js';

/** Longer than any trial takes; one that hangs is ended. */
const TRIAL_LIMIT_MS = 600_000;

const TRIAL = new URL('../../dist/bench/trial-process.js', import.meta.url);

/**
 * Runs a trial in a process of its own; null if it was interrupted.
 *
 * @throws LatchclockError what the trial threw; `ERR_CANNOT_RUN` where the process ended without a word
 */
export function runInProcess(plan: TrialPlan, signal: AbortSignal | undefined): Promise<TrialResult | null> {
  return new Promise((resolve, reject) => {
    const child: ChildProcess = fork(TRIAL, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    let said = '';
    child.stderr?.on('data', (bytes: Buffer) => {
      said = (said + bytes.toString()).slice(-500);
    });
    let news: TrialNews | null = null;
    const end = (): boolean => child.kill('SIGKILL');
    const limit = setTimeout(end, TRIAL_LIMIT_MS);
    signal?.addEventListener('abort', end, { once: true });
    child.once('message', (message: TrialNews) => {
      news = message;
    });
    child.once('error', reject);
    child.once('close', (code, by) => {
      clearTimeout(limit);
      signal?.removeEventListener('abort', end);
      if (signal?.aborted === true) resolve(null);
      else if (news !== null && 'result' in news) resolve(news.result);
      else if (news !== null && news.code !== '') {
        const { code: reason, what, where } = news;
        reject(new LatchclockError(reason as LatchclockErrorCode, what, { where: `a trial: ${where}` }));
      } else {
        reject(
          new LatchclockError('ERR_CANNOT_RUN', `a trial ended without a result (${by ?? code})`, {
            where: news?.what ?? said.trim(),
            todo: 'report this if it happens again',
          }),
        );
      }
    });
    if (signal?.aborted === true) end();
    else child.send(plan);
  });
}
