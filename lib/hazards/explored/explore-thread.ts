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

/** What a thread found of one cell; one that is also another cell's is told once, and then by its place among the task's. */
export interface ExploredReport {
  readonly reader: number;
  readonly hazard: HazardName;
  readonly cases: readonly (ExploredCase | number)[];
}

function exploreTask({ quick, readers, hazards }: ExploreTask, tell: (report: ExploredReport) => void): void {
  const known = new Map<string, ExploredCase>();
  const told: ExploredCase[] = [];
  for (const hazard of hazards) {
    for (const reader of readers) {
      const cases = exploreHazard(MATRIX_READERS[reader] as MatrixReader, hazard, { quick, known });
      const before = cases.map((one) => told.indexOf(one));
      tell({
        reader,
        hazard,
        cases: cases.map((one, at) => (before[at] === -1 ? one : (before[at] as number))),
      });
      told.push(...cases.filter((_, at) => before[at] === -1));
    }
  }
}

parentPort?.on('message', (task: ExploreTask) => {
  exploreTask(task, (report) => parentPort?.postMessage(report));
  parentPort?.postMessage(null);
});
