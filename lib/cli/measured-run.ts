import { abortOnSignals } from './interruption.js';
import { type Output, openOutput } from './output.js';
import { type ProgressState, progressLine } from './progress.js';

/** What a run is told: when to stop, and whom to tell how far it is. */
export interface RunHooks {
  signal: AbortSignal;
  onProgress: (state: ProgressState) => void;
}

/**
 * Runs what measures for a while, with progress on a terminal, and writes its report, whole or not at all. `prepare`
 * finds what is wrong with the options, and the output is opened, before anything is measured; SIGINT and SIGTERM end
 * the run early with what it has.
 */
export async function reportRun<Report>(
  path: string | undefined,
  prepare: (hooks: RunHooks) => { run(): Promise<Report> },
  render: (report: Report, stream: Output['stream']) => string | Promise<string>,
): Promise<Report> {
  const progress = progressLine();
  const interruption = abortOnSignals();
  try {
    const prepared = prepare({
      signal: interruption.signal,
      onProgress: (state) => progress.show(state),
    });
    const output = openOutput(path);
    try {
      const report = await prepared.run();
      progress.clear();
      await output.write(await render(report, output.stream));
      return report;
    } catch (error) {
      progress.clear();
      output.discard();
      throw error;
    }
  } finally {
    interruption.release();
  }
}
