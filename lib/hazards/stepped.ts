import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { LatchclockError } from '../errors.js';
import type { ReaderGenerationName, ReaderProtocolName } from '../native/addon.js';
import {
  type CellVerdict,
  type HazardName,
  MATRIX_READERS,
  type Progress,
  type ProtocolName,
} from './model.js';

/** Hazards that stepping can make happen. The others are a matter of the order in which a CPU shows its accesses. */
export const STEPPED_HAZARDS = [
  'update',
  'writer-stalled',
  'writer-killed',
  'writer-restarted',
  'counter-behind',
  'window-expired',
  'counter-wrapped',
  'adjust-held',
  'adjust-unheld',
  'migration-different',
  'migration-equal',
  'migration-own-page',
  'writer-killed-after-migration',
  'generation-late',
  'generation-early',
  'count-aba',
] as const satisfies readonly HazardName[];

const COUNTS = [
  'instructions',
  'boundaries',
  'splits',
  'runs',
  'reads',
  'right',
  'refused',
  'outside',
  'garbage',
  'missing',
  'retried',
  'waited',
  'backwards',
] as const;

/**
 * What stepping counted. `instructions` of the undisturbed reads, and `boundaries`: before how many of these the hazard
 * was made to happen; `splits`: at how many later accesses, at the most, the second part of one that comes in two was.
 * Of the `runs` with `reads` altogether these were `right`, `refused`, `outside` (from outside a window), `garbage`
 * (of no segment that was current) or `missing` (a value promised, and none given); `retried` threw a copy away,
 * `waited` waited for a writer or ran out of tries; `backwards` were right, and below a value returned before.
 */
export type SteppedCounts = Record<(typeof COUNTS)[number], number>;

/** A value that was wrong: before which instruction of the undisturbed read what was made to happen. */
export interface SteppedExample {
  boundary: number;
  /** Offset within the function, and bytes. */
  instruction: string;
  what: string;
}

/** One line of the stepper. */
export interface SteppedLine {
  protocol: ReaderProtocolName;
  generation: ReaderGenerationName;
  wide: boolean;
  hazard: HazardName;
  variant: string;
  counts: SteppedCounts;
  /** FNV-1a of the reader's machine code, 16 hexadecimal digits. */
  machineCode: string;
  example: SteppedExample | null;
}

/** One form of a hazard against one reader, narrow and wide added up. */
export interface SteppedVariant {
  variant: string;
  verdict: CellVerdict;
  progress: Progress;
  counts: SteppedCounts;
  example: SteppedExample | null;
}

/** One reader against one hazard. */
export interface SteppedCell {
  protocol: ProtocolName;
  generation: boolean;
  hazard: HazardName;
  /** Of the variant `main`. */
  verdict: CellVerdict;
  progress: Progress;
  counts: SteppedCounts;
  example: SteppedExample | null;
  variants: SteppedVariant[];
  /** Of the arithmetics that were stepped, narrow first. */
  machineCode: string[];
}

/** What to step. */
export interface StepperOptions {
  protocol?: ReaderProtocolName;
  hazard?: HazardName;
  quick?: boolean;
  signal?: AbortSignal;
  /** Folder of the package: where `build/` lies. */
  root?: string;
  onLine?: (line: SteppedLine) => void;
}

/** It ends by itself before. */
const TIME_LIMIT_MS = 150_000;
const MOST_LINES = 5_000;
const MOST_STDERR = 1 << 12;

/**
 * The stepper's program.
 *
 * @throws LatchclockError `ERR_CANNOT_RUN` where it is not built
 */
export function findStepper(root = fileURLToPath(new URL('../..', import.meta.url))): string {
  const found = ['Release', 'Debug']
    .map((kind) => `${root}/build/${kind}/reader-stepper`)
    .find((file) => existsSync(file));
  if (found !== undefined) return found;
  throw new LatchclockError('ERR_CANNOT_RUN', 'the instruction stepper is not built', {
    where: `looked in build/Release and build/Debug of ${root}`,
    todo: "run 'npm run build' there (it needs python3, make and g++)",
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isExample(value: unknown): value is SteppedExample {
  if (!isRecord(value)) return false;
  const { boundary, instruction, what } = value;
  return Number.isSafeInteger(boundary) && typeof instruction === 'string' && typeof what === 'string';
}

const NAMES = {
  protocol: new Set<unknown>(MATRIX_READERS.map(({ native }) => native.protocol)),
  generation: new Set<unknown>(MATRIX_READERS.map(({ native }) => native.generation)),
  hazard: new Set<unknown>(STEPPED_HAZARDS),
};

/**
 * A line of the stepper's output.
 *
 * @throws LatchclockError `ERR_CANNOT_RUN` for a line that says why the stepper cannot run, or that is not one of its
 *   lines
 */
export function parseSteppedLine(text: string): SteppedLine {
  const bad = (why: string): LatchclockError =>
    new LatchclockError('ERR_CANNOT_RUN', `the instruction stepper wrote what is no line of its: ${why}`, {
      where: text.slice(0, 120),
      todo: 'build the addon and the stepper again, from one source',
    });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw bad('no JSON');
  }
  if (!isRecord(value)) throw bad('no object');
  if (typeof value['error'] === 'string') {
    throw new LatchclockError('ERR_CANNOT_RUN', 'the instruction stepper cannot run here', {
      where: `${value['error']}: ${String(value['why'])}`,
    });
  }
  for (const [name, known] of Object.entries(NAMES)) if (!known.has(value[name])) throw bad(name);
  const { wide, variant, machineCode, example } = value;
  if (typeof wide !== 'boolean') throw bad('wide');
  if (typeof variant !== 'string' || variant === '') throw bad('variant');
  if (typeof machineCode !== 'string' || !/^[0-9a-f]{16}$/.test(machineCode)) throw bad('machineCode');
  if (example !== null && !isExample(example)) throw bad('example');
  const counts = {} as SteppedCounts;
  for (const name of COUNTS) {
    const count = value[name];
    if (!Number.isSafeInteger(count) || (count as number) < 0) throw bad(name);
    counts[name] = count as number;
  }
  const { reads, right, refused, outside, garbage, missing, runs } = counts;
  if (runs === 0 || right + refused + outside + garbage + missing !== reads) throw bad('the sum of reads');
  const { protocol, generation, hazard } = value as unknown as SteppedLine;
  return { protocol, generation, wide, hazard, variant, counts, machineCode, example };
}

/**
 * Runs the stepper, a process of its own: some 15 s, a third of it if `quick`, on one CPU.
 *
 * @throws LatchclockError `ERR_CANNOT_RUN` where it is not built, cannot do its work here (why), or did not end in
 *   time; `ERR_BAD_ARGUMENT` where it does not know the protocol or the hazard; and the reason of `signal`
 */
export async function runStepper(options: StepperOptions = {}): Promise<SteppedLine[]> {
  const program = findStepper(options.root);
  const { signal } = options;
  signal?.throwIfAborted();
  const arguments_ = [
    ...(options.protocol === undefined ? [] : ['--only', options.protocol]),
    ...(options.hazard === undefined ? [] : ['--hazard', options.hazard]),
    ...(options.quick === true ? ['--quick'] : []),
  ];
  const child = spawn(program, arguments_, { stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  const timer = setTimeout(kill, TIME_LIMIT_MS);
  signal?.addEventListener('abort', kill, { once: true });
  let told = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    told = (told + text).slice(0, MOST_STDERR);
  });
  const ended = new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, killedBy) => resolve(code ?? killedBy));
  });
  // Awaited below, whatever the lines come to.
  ended.catch(() => undefined);
  const lines: SteppedLine[] = [];
  let wrong: unknown;
  try {
    for await (const text of createInterface({ input: child.stdout })) {
      if (lines.length === MOST_LINES) throw new Error('it does not stop writing');
      const line = parseSteppedLine(text);
      lines.push(line);
      options.onLine?.(line);
    }
  } catch (error) {
    wrong = error;
    kill();
  }
  let end: number | NodeJS.Signals | null;
  try {
    end = await ended;
  } catch (cause) {
    throw new LatchclockError('ERR_CANNOT_RUN', 'the instruction stepper cannot be started', {
      where: `${program}: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause,
    });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', kill);
  }
  signal?.throwIfAborted();
  if (wrong !== undefined) throw wrong;
  if (end === 0) return lines;
  const where = told.trim().split('\n')[0] || `it ended with ${end}`;
  if (end === 2) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', 'the instruction stepper refused what to step', { where });
  }
  throw new LatchclockError('ERR_CANNOT_RUN', 'the instruction stepper did not come to its end', { where });
}

/** What the counts say of the reader. */
export function steppedVerdict({ outside, garbage, missing, backwards }: SteppedCounts): CellVerdict {
  if (outside + garbage + missing > 0) return 'unsafe';
  return backwards > 0 ? 'lags' : 'safe';
}

/** How reads ended while nobody else took a step, at the worst. */
export function steppedProgress({ waited, refused }: SteppedCounts): Progress {
  if (waited > 0) return 'waits';
  return refused > 0 ? 'refuses' : 'free';
}

function add(all: readonly SteppedCounts[]): SteppedCounts {
  const sum = Object.fromEntries(COUNTS.map((name) => [name, 0])) as SteppedCounts;
  for (const counts of all) for (const name of COUNTS) sum[name] += counts[name];
  // No sum: as far as any of them went.
  sum.splits = Math.max(...all.map(({ splits }) => splits));
  return sum;
}

function variantOf(variant: string, lines: readonly SteppedLine[]): SteppedVariant {
  const counts = add(lines.map((line) => line.counts));
  const example = lines.find((line) => line.example !== null)?.example ?? null;
  return { variant, verdict: steppedVerdict(counts), progress: steppedProgress(counts), counts, example };
}

function groups<T, K>(all: readonly T[], keyOf: (one: T) => K): [K, T[]][] {
  const found = new Map<K, T[]>();
  for (const one of all) {
    const group = found.get(keyOf(one));
    if (group === undefined) found.set(keyOf(one), [one]);
    else group.push(one);
  }
  return [...found];
}

/** Lines as cells, one for each reader and hazard that has lines, in the order of the matrix and of the lines. */
export function steppedCells(lines: readonly SteppedLine[]): SteppedCell[] {
  return MATRIX_READERS.flatMap(({ protocol, generation, native }) => {
    const own = lines.filter(
      (line) => line.protocol === native.protocol && line.generation === native.generation,
    );
    return groups(own, (line) => line.hazard).map(([hazard, ofHazard]): SteppedCell => {
      const variants = groups(ofHazard, (line) => line.variant).map(([variant, ofVariant]) =>
        variantOf(variant, ofVariant),
      );
      const { verdict, progress, counts, example } = (variants.find(({ variant }) => variant === 'main') ??
        variants[0]) as SteppedVariant;
      const machineCode = [...new Set(ofHazard.map((line) => line.machineCode))];
      return { protocol, generation, hazard, verdict, progress, counts, example, variants, machineCode };
    });
  });
}
