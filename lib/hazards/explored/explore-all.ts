import { Worker } from 'node:worker_threads';
import { LatchclockError } from '../../errors.js';
import { type HazardName, MATRIX_READERS, type MatrixReader } from '../model.js';
import type { ExploredReport, ExploreTask } from './explore-thread.js';
import type { ExploredCase } from './explored.js';

/** The compiled thread, from the sources as from what is shipped. */
const THREAD = new URL('../../../dist/hazards/explored/explore-thread.js', import.meta.url);

/** Hazards that are one and the same where nothing moves. */
const TOGETHER: readonly HazardName[] = ['update', 'counter-unfenced'];

/** What was found of a cell. Cases that are one exploration for several cells are one object. */
export interface ExploredCell {
  readonly reader: MatrixReader;
  readonly hazard: HazardName;
  readonly cases: readonly ExploredCase[];
}

/** The cells apart into tasks that have nothing in common: the protocol that takes longest first, and of it the quick ones. */
function tasksOf(
  readers: readonly MatrixReader[],
  hazards: readonly HazardName[],
  quick: boolean,
): ExploreTask[] {
  const places = readers.map((reader) => MATRIX_READERS.indexOf(reader));
  const protocolOf = (place: number): string => (MATRIX_READERS[place] as MatrixReader).native.protocol;
  const protocols = [...new Set(places.map(protocolOf))];
  const alone = hazards.filter((hazard) => !TOGETHER.includes(hazard)).map((hazard) => [hazard]);
  const together = hazards.filter((hazard) => TOGETHER.includes(hazard));
  const groups = [...alone.toReversed(), together].filter((of) => of.length > 0);
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
  onCell: (cell: ExploredCell) => void,
  signal: AbortSignal,
): Promise<void> {
  const tasks = tasksOf(readers, hazards, quick);
  const workers: Worker[] = [];
  const runThread = async (): Promise<void> => {
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string, cause?: unknown): void =>
        reject(
          new LatchclockError('ERR_CANNOT_RUN', `a thread that explores ended: ${why}`, {
            where: THREAD.pathname,
            todo: "build the package ('npx tsc -b'), or raise the limits of processes and memory (ulimit)",
            cause,
          }),
        );
      let worker: Worker;
      try {
        worker = new Worker(THREAD);
      } catch (error) {
        fail(error instanceof Error ? error.message : String(error), error);
        return;
      }
      workers.push(worker);
      const next = (): void => {
        const task = tasks.shift();
        if (task === undefined || signal.aborted) resolve();
        else worker.postMessage(task);
      };
      let told: ExploredCase[] = [];
      worker.on('message', (report: ExploredReport | null) => {
        if (report === null) {
          told = [];
          next();
          return;
        }
        const { reader, hazard } = report;
        const fresh = report.cases.filter((one) => typeof one !== 'number');
        told.push(...fresh);
        const cases = report.cases.map((one) =>
          typeof one === 'number' ? (told[one] as ExploredCase) : one,
        );
        onCell({ reader: MATRIX_READERS[reader] as MatrixReader, hazard, cases });
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
