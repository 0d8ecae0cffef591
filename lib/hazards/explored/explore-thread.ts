import { parentPort } from 'node:worker_threads';
import { type HazardName, MATRIX_READERS, type MatrixReader } from '../model.js';
import { type ExploredCase, exploreHazard } from './explored.js';

/** Cells that are explored one after the other, since the later ones may be equal to earlier ones. Plain data. */
export interface ExploreTask {
  readonly quick: boolean;
  /** Places in {@link MATRIX_READERS}. */
  readonly readers: readonly number[];
  readonly hazards: readonly HazardName[];
}

/** What a thread found of one cell. */
export interface ExploredReport {
  readonly reader: number;
  readonly hazard: HazardName;
  readonly cases: ExploredCase[];
}

function exploreTask({ quick, readers, hazards }: ExploreTask): ExploredReport[] {
  const known = new Map<string, ExploredCase>();
  return hazards.flatMap((hazard) =>
    readers.map((reader) => {
      const cases = exploreHazard(MATRIX_READERS[reader] as MatrixReader, hazard, { quick, known });
      return { reader, hazard, cases };
    }),
  );
}

// At once, so that what is one exploration of two cells arrives as one.
parentPort?.on('message', (task: ExploreTask) => parentPort?.postMessage(exploreTask(task)));
