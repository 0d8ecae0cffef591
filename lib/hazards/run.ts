import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { isLatchclockError, LatchclockError } from '../errors.js';
import { chooseCpus } from '../host/cpus.js';
import { type Host, type HostSummary, summarizeHost } from '../host/host.js';
import { didYouMean } from '../nearest.js';
import { isU64 } from '../units.js';
import { exploredCell, notApplicable, steppedCell, stressedCell } from './cells.js';
import { STRESSED } from './expected.js';
import { type ExploredCell, exploreAll } from './explored/explore-all.js';
import {
  type Cell,
  EVIDENCE_KINDS,
  type EvidenceKind,
  HAZARD_NAMES,
  type HazardName,
  MATRIX_READERS,
  type MatrixReader,
  readerName,
} from './model.js';
import { runStepper, steppedCells } from './stepped.js';
import { addTallies, type StressAmount, type StressResult, stress } from './stressed.js';

/** What to run of the matrix, and how. */
export interface HazardOptions {
  /**
   * Kinds of evidence, readers and hazards; those of one kind add up, the kinds narrow each other. A protocol's name is
   * that of its readers with and without the generation.
   */
  only?: readonly string[];
  /** One reader alone, by its whole name: without `+gen` the one without. */
  reader?: string;
  quick?: boolean;
  cpus?: readonly number[];
  seed?: bigint;
  signal?: AbortSignal;
  onProgress?: (progress: { id: string; done: number; total: number; fraction: number }) => void;
}

/** What was found. */
export interface HazardReport {
  startedAt: Date;
  durationMs: number;
  host: HostSummary;
  quick: boolean;
  cpus: readonly number[];
  seed: bigint;
  cells: Cell[];
  /** Evidence that was asked for and cannot be had here, and why. */
  unavailable: { evidence: EvidenceKind; reason: string }[];
  /** Cells that were run, and of these the ones that are not as expected. */
  run: number;
  unexpected: number;
  interrupted: boolean;
}

const AMOUNTS = {
  quick: { milliseconds: 12, kills: 12 },
  default: { milliseconds: 100, kills: 125 },
} as const;

/** What runs beside us is looked after so often, so that Ctrl-C is answered. */
const POLL_MS = 50;

/** Names as {@link HazardOptions.only} takes them, apart by what they name. */
interface Selection {
  evidence: Set<EvidenceKind>;
  readers: readonly MatrixReader[];
  hazards: readonly HazardName[];
}

function select(only: readonly string[], reader: string | undefined): Selection {
  const pick = <T>(all: readonly T[], isNamed: (one: T) => boolean): readonly T[] => {
    const named = all.filter(isNamed);
    return named.length === 0 ? all : named;
  };
  const readerNames = MATRIX_READERS.map(readerName);
  const known: readonly string[] = [...EVIDENCE_KINDS, ...new Set(readerNames), ...HAZARD_NAMES];
  const stranger = only.find((name) => !known.includes(name));
  if (stranger !== undefined) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', `there is no evidence, reader or hazard '${stranger}'`, {
      where: 'only',
      todo: `${didYouMean(stranger, known)}choose from ${known.join(', ')}`,
    });
  }
  return {
    evidence: new Set(pick(EVIDENCE_KINDS, (kind) => only.includes(kind))),
    readers: pick(MATRIX_READERS, (one) =>
      reader === undefined
        ? only.includes(one.protocol) || only.includes(readerName(one))
        : readerName(one) === reader,
    ),
    hazards: pick(HAZARD_NAMES, (hazard) => only.includes(hazard)),
  };
}

/** A run that has been checked against its options: nothing has been measured yet. */
export interface PreparedHazards {
  run(): Promise<HazardReport>;
}

/**
 * Takes the options of a run apart, so that a mistake is found before anything is measured.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for an unknown name, a CPU outside the affinity, or a seed that is no
 *   unsigned 64-bit integer; `ERR_COUNTER_DISABLED` where this thread cannot read the counter
 */
export function prepareHazards(host: Host, options: HazardOptions): PreparedHazards {
  const selection = select(options.only ?? [], options.reader);
  const cpus = chooseCpus(host, options.cpus);
  const seed = options.seed ?? process.hrtime.bigint();
  if (!isU64(seed)) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', `the seed ${seed} is no unsigned 64-bit bigint`, {
      where: 'seed',
    });
  }
  // Throws what keeps every such cell from being run.
  if (selection.evidence.has('stressed')) host.addon.readCounter(1);
  return { run: () => runHazards(host, options, selection, cpus, seed) };
}

class Interrupted extends Error {}

/** What one run has to go by. */
interface Task {
  readonly host: Host;
  readonly readers: readonly MatrixReader[];
  readonly hazards: readonly HazardName[];
  readonly cpus: readonly number[];
  readonly quick: boolean;
  readonly amount: StressAmount;
  /** Cells go here as they are found; the one that is under way when the run is interrupted is left out. */
  readonly cells: Cell[];
  /** Lets others have a turn; throws when the run is interrupted. */
  breathe(what: string): Promise<void>;
}

/** Explores beside this thread, which goes on breathing. */
async function runExplorer(task: Task, stop: AbortController): Promise<void> {
  const { readers, hazards, quick, cpus, cells, breathe } = task;
  let latest = 'explored';
  let ended = false;
  const exploring = exploreAll(
    readers,
    hazards,
    quick,
    Math.min(2, cpus.length),
    onCell,
    stop.signal,
  ).finally(() => {
    ended = true;
  });
  function onCell({ reader, hazard, cases }: ExploredCell): void {
    latest = `explored: ${readerName(reader)} ${hazard}`;
    cells.push(exploredCell(reader, hazard, cases));
  }
  // Awaited below.
  exploring.catch(() => undefined);
  while (!ended) {
    await breathe(latest);
    await sleep(POLL_MS);
  }
  await exploring;
}

/** Starts the stepper, which runs beside us; what is returned waits for it. */
function startStepping(task: Task, signal: AbortSignal): () => Promise<void> {
  const { readers, hazards, quick, cells, breathe } = task;
  const [hazard] = hazards;
  const protocols = new Set(readers.map(({ native }) => native.protocol));
  const [protocol] = protocols;
  let ended = false;
  const lines = runStepper({
    quick,
    signal,
    ...(protocols.size === 1 && protocol !== undefined ? { protocol } : {}),
    ...(hazards.length === 1 && hazard !== undefined ? { hazard } : {}),
  }).finally(() => {
    ended = true;
  });
  // Awaited below, perhaps much later.
  lines.catch(() => undefined);
  return async () => {
    while (!ended) {
      await breathe('stepped: every instruction of every reader');
      await sleep(POLL_MS);
    }
    const found = steppedCells(await lines);
    for (const reader of readers) {
      for (const name of hazards) {
        const cell = found.find(
          ({ protocol: of, generation, hazard: at }) =>
            of === reader.protocol && generation === reader.generation && at === name,
        );
        cells.push(cell === undefined ? notApplicable(reader, name, 'stepped') : steppedCell(reader, cell));
      }
    }
  };
}

/** Returns the readers of which no writer could be killed. */
async function stressAll({
  host,
  readers,
  hazards,
  cpus,
  amount,
  cells,
  breathe,
}: Task): Promise<readonly string[]> {
  const unkilled: string[] = [];
  for (const reader of readers) {
    const results = new Map<string, StressResult>();
    for (const hazard of hazards) {
      const kind = STRESSED[hazard];
      if (kind === undefined) {
        cells.push(notApplicable(reader, hazard, 'stressed'));
        continue;
      }
      const pause = (): Promise<void> => breathe(`stressed: ${readerName(reader)} ${hazard}`);
      await pause();
      let result = results.get(kind);
      if (result === undefined) {
        const narrow = await stress(host, { ...reader.native, wide: false }, kind, cpus, amount, pause);
        const wide = await stress(host, { ...reader.native, wide: true }, kind, cpus, amount, pause);
        result = { tally: addTallies(narrow.tally, wide.tally), latencyNs: wide.latencyNs };
        results.set(kind, result);
      }
      if (kind === 'writer-killed' && result.tally.kills === 0) {
        cells.push(notApplicable(reader, hazard, 'stressed'));
        unkilled.push(readerName(reader));
        continue;
      }
      cells.push(stressedCell(reader, hazard, kind, result));
    }
  }
  return [...new Set(unkilled)];
}

async function runHazards(
  host: Host,
  options: HazardOptions,
  selection: Selection,
  cpus: readonly number[],
  seed: bigint,
): Promise<HazardReport> {
  const startedAt = new Date();
  const start = performance.now();
  const quick = options.quick === true;
  const amount = { ...AMOUNTS[quick ? 'quick' : 'default'], seed };
  const cells: Cell[] = [];
  const unavailable: HazardReport['unavailable'] = [];
  const isAborted = (): boolean => options.signal?.aborted === true;
  const stop = new AbortController();
  const { readers, hazards } = selection;
  const total = readers.length * hazards.length * selection.evidence.size;
  const task: Task = {
    ...{ host, readers, hazards, cpus, quick, amount, cells },
    async breathe(id) {
      options.onProgress?.({ id, done: cells.length, total, fraction: 0 });
      await nextTurn();
      if (isAborted()) throw new Interrupted();
    },
  };
  try {
    // The stepper is a process of its own, with a CPU of its own where there are two: beside the explorer, not the stress.
    const stepped = selection.evidence.has('stepped') ? startStepping(task, stop.signal) : null;
    if (selection.evidence.has('explored')) await runExplorer(task, stop);
    try {
      await stepped?.();
    } catch (error) {
      if (!isLatchclockError(error, 'ERR_CANNOT_RUN')) throw error;
      unavailable.push({ evidence: 'stepped', reason: error.message });
      for (const reader of readers) {
        for (const hazard of hazards) cells.push(notApplicable(reader, hazard, 'stepped'));
      }
    }
    const unkilled = selection.evidence.has('stressed') ? await stressAll(task) : [];
    if (unkilled.length > 0) {
      const reason = `no writer of ${unkilled.join(', ')} died: kill is answered here without being done`;
      unavailable.push({ evidence: 'stressed', reason });
    }
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
  } finally {
    stop.abort();
  }
  // Found in no order.
  const place = ({ evidence, protocol, generation, hazard }: Cell): number =>
    EVIDENCE_KINDS.indexOf(evidence) * 1e4 +
    MATRIX_READERS.findIndex((one) => one.protocol === protocol && one.generation === generation) * 100 +
    HAZARD_NAMES.indexOf(hazard);
  cells.sort((a, b) => place(a) - place(b));
  const applicable = cells.filter(({ verdict }) => verdict !== 'not-applicable');
  return {
    startedAt,
    durationMs: performance.now() - start,
    host: summarizeHost(host),
    quick,
    cpus,
    seed,
    cells,
    unavailable,
    run: applicable.length,
    unexpected: applicable.filter(({ holds }) => !holds).length,
    interrupted: isAborted(),
  };
}
