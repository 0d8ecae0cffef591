import { CLOCK_PAGE_OFFSETS } from '../../page/clock-page.js';
import type { CellVerdict, HazardName, MatrixReader, Progress, Trace } from '../model.js';
import { MEMORY_MODELS, type MemoryModel } from './model.js';
import type { Scenario } from './scenario.js';
import { type ScenarioEdits, scenariosOf } from './scenarios.js';
import { type Exploration, explore } from './search.js';

function modelsOf({ protocol }: MatrixReader, quick: boolean): readonly MemoryModel[] {
  if (quick) return [MAIN_MODEL];
  // The sketches are here for being unsafe. What happens in order can happen out of order too, so that they stay that.
  return protocol.startsWith('literal') ? ['sc', 'tso'] : MEMORY_MODELS;
}

/** Updates of a writer that publishes again and again: as many as can be exhausted in some seconds. */
function updatesOf({ protocol }: MatrixReader, model: MemoryModel, isMain: boolean, quick: boolean): number {
  if (model === 'weak') return isMain && protocol !== 'two-window' ? 2 : 1;
  return isMain && !quick && !protocol.startsWith('literal') ? 3 : 2;
}

/** The model whose verdict is the cell's: that of the processors that this is for. */
export const MAIN_MODEL: MemoryModel = 'tso';

/** One variant of a hazard under one memory model. */
export interface ExploredCase {
  variant: string;
  about: string;
  brokenRule: string | null;
  model: MemoryModel;
  verdict: Exclude<CellVerdict, 'not-applicable'>;
  progress: Progress;
  /** `states`, `steps` between them, and in how many states a read ended by each end. */
  counts: Record<string, number>;
  /** The shortest way to a wrong value, or else to one that is out of order. */
  trace: Trace | null;
}

function verdictOf({ wrong, disordered }: Exploration): ExploredCase['verdict'] {
  if (wrong !== null) return 'unsafe';
  return disordered === null ? 'safe' : 'lags';
}

function progressOf({ waits, ends }: Exploration): Progress {
  if (waits) return 'waits';
  return Object.keys(ends).some((end) => end !== 'value' && end !== 'wrong') ? 'refuses' : 'free';
}

function caseOf(scenario: Scenario, model: MemoryModel): ExploredCase {
  const exploration = explore(scenario, model);
  const { variant, about, brokenRule } = scenario;
  const { states, steps, ends, wrong, disordered, complete } = exploration;
  if (!complete) throw new RangeError(`${scenario.reader.name}, ${variant}: too many states under ${model}`);
  return {
    ...{ variant, about, brokenRule, model },
    counts: { states, steps, ...ends },
    verdict: verdictOf(exploration),
    progress: progressOf(exploration),
    trace: wrong ?? disordered,
  };
}

/** How a hazard is explored. */
export interface ExploreOptions {
  /** The main variants alone, under the main model, with two updates at the most. */
  readonly quick?: boolean;
  /** What is known of other readers, to which this one may be equal; added to. */
  readonly known?: Map<string, ExploredCase>;
  /** Programs that are broken on purpose. */
  readonly edits?: ScenarioEdits;
}

/** Explores every variant of a hazard under the memory models that tell something of it, the main variant first. */
export function exploreHazard(
  reader: MatrixReader,
  hazard: HazardName,
  options: ExploreOptions = {},
): ExploredCase[] {
  const { quick = false, known = new Map<string, ExploredCase>(), edits = {} } = options;
  return modelsOf(reader, quick).flatMap((model) => {
    const variants = scenariosOf(reader, hazard, 2, edits).length;
    return Array.from({ length: quick ? 1 : variants }, (_, variant) => {
      const updates = updatesOf(reader, model, variant === 0, quick);
      const scenario = scenariosOf(reader, hazard, updates, edits)[variant] as Scenario;
      const key = sharedKey(reader, hazard, scenario, model);
      const found = key === null ? undefined : known.get(key);
      if (found !== undefined) return found;
      const explored = caseOf(scenario, model);
      if (key !== null) known.set(key, explored);
      return explored;
    });
  });
}

/**
 * What a reader with a generation, and the one without, have in common where the generation never changes: its loads and
 * the tags' are then loads of constants, which commute with every other step, so that the two are one exploration. Null
 * where it may change.
 */
function sharedKey(
  { native }: MatrixReader,
  hazard: HazardName,
  { variant, shared }: Scenario,
  model: MemoryModel,
): string | null {
  if (shared.has(CLOCK_PAGE_OFFSETS.generation)) return null;
  // Where nothing moves, the counter does not either.
  const same = hazard === 'counter-unfenced' && model === 'sc' ? 'update' : hazard;
  return `${native.protocol},${same},${variant},${model}`;
}
