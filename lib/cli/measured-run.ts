import { setImmediate as nextTurn } from 'node:timers/promises';
import { abortOnSignals, Interrupted } from './interruption.js';
import { type Output, openOutput } from './output.js';
import { type ProgressState, progressLine } from './progress.js';

/** What a run is told: when to stop, and whom to tell how far it is. */
export interface RunHooks {
  signal: AbortSignal;
  onProgress: (state: ProgressState) => void;
}

interface Prepared<Report> {
  run(): Promise<Report>;
}

async function whileInterruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interruption = abortOnSignals();
  try {
    return await work(interruption.signal);
  } finally {
    interruption.release();
  }
}

/**
 * Runs what measures for a while, with progress on a terminal, and writes its report, whole or not at all. `prepare`
 * finds what is wrong with the options, and the output is found to be writable, before anything is measured; SIGINT,
 * SIGTERM and SIGHUP end the run early with what it has.
 */
export function reportRun<Report>(
  path: string | undefined,
  prepare: (hooks: RunHooks) => Prepared<Report> | Promise<Prepared<Report>>,
  render: (report: Report, stream: Output['stream']) => string | Promise<string>,
): Promise<Report> {
  const progress = progressLine();
  return whileInterruptible(async (signal) => {
    const prepared = await prepare({ signal, onProgress: (state) => progress.show(state) });
    const output = await openOutput(path, signal);
    try {
      const report = await prepared.run();
      progress.clear();
      await output.write(await render(report, output.stream));
      return report;
    } catch (error) {
      progress.clear();
      throw error;
    } finally {
      output.discard();
    }
  });
}

/**
 * Writes what `answer` gives without measuring, whole or not at all.
 *
 * @throws Interrupted by SIGINT, SIGTERM or SIGHUP before it is written
 */
export function writeAnswer(
  path: string | undefined,
  answer: (stream: Output['stream']) => string | Promise<string>,
): Promise<void> {
  return whileInterruptible(async (signal) => {
    const output = await openOutput(path, signal);
    try {
      const text = await answer(output.stream);
      // Lets in a signal that came meanwhile.
      await nextTurn();
      if (signal.aborted) throw new Interrupted();
      await output.write(text);
    } finally {
      output.discard();
    }
  });
}
