import { setImmediate as nextTurn } from 'node:timers/promises';
import { LatchclockError } from '../errors.js';
import { chooseCpus } from '../host/cpus.js';
import { type Host, type HostSummary, summarizeHost } from '../host/host.js';
import { isU64 } from '../units.js';
import { bearsOut, expectedUnderStress, STRESSED } from './expected.js';
import {
  type Cell,
  EVIDENCE_KINDS,
  type EvidenceKind,
  HAZARD_NAMES,
  type HazardName,
  MATRIX_READERS,
  type MatrixReader,
  PROTOCOLS,
  type ProtocolName,
} from './model.js';
import {
  addTallies,
  progressOf,
  type StressAmount,
  type StressResult,
  stress,
  verdictOf,
} from './stressed.js';

/** What to run of the matrix, and how. */
export interface HazardOptions {
  /** Kinds of evidence, protocols and hazards; those of one kind add up, the kinds narrow each other. */
  only?: readonly string[];
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
  /** Cells that were run, and of these the ones that are not as expected. */
  run: number;
  unexpected: number;
  interrupted: boolean;
}

const AMOUNTS = {
  quick: { milliseconds: 12, kills: 12 },
  default: { milliseconds: 100, kills: 125 },
} as const;

/** Names as {@link HazardOptions.only} takes them, apart by what they name. */
interface Selection {
  evidence: Set<EvidenceKind>;
  protocols: Set<ProtocolName>;
  hazards: Set<HazardName>;
}

function select(only: readonly string[]): Selection {
  const pick = <T extends string>(known: readonly T[]): Set<T> => {
    const named = known.filter((name) => only.includes(name));
    return new Set(named.length === 0 ? known : named);
  };
  const known: readonly string[] = [...EVIDENCE_KINDS, ...PROTOCOLS, ...HAZARD_NAMES];
  const stranger = only.find((name) => !known.includes(name));
  if (stranger !== undefined) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', `there is no evidence, protocol or hazard '${stranger}'`, {
      where: 'only',
      todo: `choose from ${known.join(', ')}`,
    });
  }
  return { evidence: pick(EVIDENCE_KINDS), protocols: pick(PROTOCOLS), hazards: pick(HAZARD_NAMES) };
}

function notApplicable({ protocol, generation }: MatrixReader, hazard: HazardName): Cell {
  return {
    ...{ protocol, generation, hazard, evidence: 'stressed', verdict: 'not-applicable' },
    ...{ expected: 'not-applicable', holds: true, progress: null, counts: {}, latencyNs: null },
  };
}

function cellOf({ protocol, generation }: MatrixReader, hazard: HazardName, result: StressResult): Cell {
  const { tally, latencyNs } = result;
  const verdict = verdictOf(tally);
  const expected = expectedUnderStress(protocol, hazard);
  return {
    ...{ protocol, generation, hazard, evidence: 'stressed', verdict, expected },
    ...{ holds: bearsOut(verdict, expected), progress: progressOf(tally), counts: { ...tally }, latencyNs },
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
  const selection = select(options.only ?? []);
  const cpus = chooseCpus(host, options.cpus);
  const seed = options.seed ?? process.hrtime.bigint();
  if (!isU64(seed)) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', `the seed ${seed} is no unsigned 64-bit bigint`, {
      where: 'seed',
    });
  }
  // Throws what keeps every cell from being run.
  host.addon.readCounter(1);
  return { run: () => runHazards(host, options, selection, cpus, seed) };
}

class Interrupted extends Error {}

/** Runs what is selected, cell by cell into `cells`; the one that is under way when it is interrupted is left out. */
async function fillCells(
  host: Host,
  { onProgress }: HazardOptions,
  selection: Selection,
  cpus: readonly number[],
  amount: StressAmount,
  cells: Cell[],
  breathe: () => Promise<void>,
): Promise<void> {
  const readers = MATRIX_READERS.filter(({ protocol }) => selection.protocols.has(protocol));
  const hazards = HAZARD_NAMES.filter((hazard) => selection.hazards.has(hazard));
  const total = readers.length * hazards.length;
  for (const reader of readers) {
    const results = new Map<string, StressResult>();
    for (const hazard of hazards) {
      const kind = STRESSED[hazard];
      if (kind === undefined) {
        cells.push(notApplicable(reader, hazard));
        continue;
      }
      const done = cells.length;
      onProgress?.({ id: `${reader.protocol} ${hazard}`, done, total, fraction: 0 });
      await breathe();
      let result = results.get(kind);
      if (result === undefined) {
        const narrow = await stress(host, { ...reader.native, wide: false }, kind, cpus, amount, breathe);
        onProgress?.({ id: `${reader.protocol} ${hazard}`, done, total, fraction: 0.5 });
        const wide = await stress(host, { ...reader.native, wide: true }, kind, cpus, amount, breathe);
        result = { tally: addTallies(narrow.tally, wide.tally), latencyNs: wide.latencyNs };
        results.set(kind, result);
      }
      cells.push(cellOf(reader, hazard, result));
    }
  }
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
  const isAborted = (): boolean => options.signal?.aborted === true;
  const breathe = async (): Promise<void> => {
    await nextTurn();
    if (isAborted()) throw new Interrupted();
  };
  try {
    await fillCells(host, options, selection, cpus, amount, cells, breathe);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
  }
  const applicable = cells.filter(({ verdict }) => verdict !== 'not-applicable');
  return {
    startedAt,
    durationMs: performance.now() - start,
    host: summarizeHost(host),
    quick,
    cpus,
    seed,
    cells,
    run: applicable.length,
    unexpected: applicable.filter(({ holds }) => !holds).length,
    interrupted: isAborted(),
  };
}
