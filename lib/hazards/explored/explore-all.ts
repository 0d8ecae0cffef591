import { Worker } from 'node:worker_threads';
import { LatchclockError } from '../../errors.js';
import { type HazardName, MATRIX_READERS, type MatrixReader, readerName } from '../model.js';
import type { ExploredReport, ExploreTask } from './explore-thread.js';

/** The compiled thread, from the sources as from what is shipped. */
const THREAD = new URL('../../../dist/hazards/explored/explore-thread.js', import.meta.url);

/** Hazards that are one and the same where nothing moves. */
const TOGETHER: readonly HazardName[] = ['update', 'counter-unfenced'];

/** The cells apart into tasks that have nothing in common, the longest first. */
function tasksOf(
  readers: readonly MatrixReader[],
  hazards: readonly HazardName[],
  quick: boolean,
): ExploreTask[] {
  const places = readers.map((reader) => MATRIX_READERS.indexOf(reader));
  const protocolOf = (place: number): string => (MATRIX_READERS[place] as MatrixReader).native.protocol;
  const protocols = [...new Set(places.map(protocolOf))];
  const alone = hazards.filter((hazard) => !TOGETHER.includes(hazard)).map((hazard) => [hazard]);
  const groups = [hazards.filter((hazard) => TOGETHER.includes(hazard)), ...alone].filter(
    (of) => of.length > 0,
  );
  const weight = (protocol: string): number => (protocol.includes('two-window') ? 0 : 1);
  return protocols
    .toSorted((a, b) => weight(a) - weight(b))
    .flatMap((protocol) => {
      const of = places.filter((place) => protocolOf(place) === protocol);
      return groups.map((group) => ({ quick, readers: of, hazards: group }));
    });
}

/**
 * Explores every reader against every hazard, on threads beside this one.
 *
 * @param threads how many at the most, 1 or more
 * @param onCell told of each cell as it is found, in no order
 * @param signal ends the threads; what was found has been told of
 * @throws LatchclockError `ERR_CANNOT_RUN` where a thread cannot be started or dies
 */
export async function exploreAll(
  readers: readonly MatrixReader[],
  hazards: readonly HazardName[],
  quick: boolean,
  threads: number,
  onCell: (report: ExploredReport) => void,
  signal: AbortSignal,
): Promise<void> {
  const tasks = tasksOf(readers, hazards, quick);
  const workers: Worker[] = [];
  const runThread = async (): Promise<void> => {
    const worker = new Worker(THREAD);
    workers.push(worker);
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string, cause?: unknown): void =>
        reject(
          new LatchclockError('ERR_CANNOT_RUN', `a thread that explores ended: ${why}`, {
            where: THREAD.pathname,
            todo: "build the package: 'npx tsc -b'",
            cause,
          }),
        );
      const next = (): void => {
        const task = tasks.shift();
        if (task === undefined || signal.aborted) resolve();
        else worker.postMessage(task);
      };
      worker.on('message', (reports: ExploredReport[]) => {
        for (const report of reports) onCell(report);
        next();
      });
      worker.on('error', (error) => fail(error.message, error));
      worker.on('exit', (code) => (signal.aborted ? resolve() : fail(`exit ${code}`)));
      next();
    });
  };
  const stop = (): void => {
    for (const worker of workers) void worker.terminate();
  };
  signal.addEventListener('abort', stop);
  try {
    await Promise.all(Array.from({ length: Math.min(threads, tasks.length) }, runThread));
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}

/** What is under way, for people. */
export function reportName({ reader, hazard }: ExploredReport): string {
  return `${readerName(MATRIX_READERS[reader] as MatrixReader)} ${hazard}`;
}
