import { AssertionError } from 'node:assert';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { createContext, runInNewContext, Script } from 'node:vm';
import { LatchclockError, type LatchclockErrorCode } from '../../lib/errors.ts';
import { applyAll, concat, type Mutation, mutationsOf, type Sample } from './mutate.ts';
import { randomFor } from './random.ts';

/** What is fuzzed. */
export interface Subject {
  name: string;
  samples: readonly Sample[];
  /** The codes with which it may refuse. */
  codes: readonly LatchclockErrorCode[];
  /**
   * Parses `bytes` and uses the result; throws an `AssertionError` if the result makes no sense. Where several
   * uses may each be refused, `attempt` makes one of them.
   */
  run(bytes: Uint8Array, attempt: Attempt): void;
}

/** Makes one use of a parsed input, and takes note if it is refused. */
export type Attempt = (use: () => void) => void;

export interface Limits {
  /** A single input may take no longer, milliseconds, in the best of several attempts. */
  slowMs: number;
  /** An input that takes this long is stopped. */
  hangMs: number;
  /** Heap and buffers that one input may leave behind, alive or not, bytes. */
  memoryBytes: number;
  shrinkMs: number;
}

export const LIMITS: Limits = { slowMs: 1000, hangMs: 5000, memoryBytes: 96 << 20, shrinkMs: 15_000 };

export interface Fault {
  kind: 'threw' | 'slow' | 'memory';
  /** Equal for two inputs that show the same fault, as far as one can tell. */
  signature: string;
  message: string;
}

export interface Finding {
  subject: string;
  seed: bigint;
  index: number;
  fault: Fault;
  /** The shrunk input. */
  bytes: Uint8Array;
  /** Which mutations of which sample the fault needs; `bytes` was shrunk further. */
  origin: string;
}

export interface FuzzRun {
  inputs: number;
  /** Inputs that gave a result: at least one use of them was not refused. */
  results: number;
  /** Refused inputs and refused uses, by the reason without its numbers: which ways through the parser were taken. */
  reasons: Map<string, number>;
  slowestMs: number;
  slowestIndex: number;
  findings: Finding[];
}

const MOST_FINDINGS = 5;
/** A run that meets this many slow inputs behind the first ends: the others would take too long. */
const MOST_SLOW_INPUTS = 4;
const MOST_MESSAGE_LENGTH = 1000;
const SLOW_ATTEMPTS = 3;
/** Inputs run in batches: between two of them the event loop gets its turn. */
const BATCH_MS = 250;
const MOST_KEPT_BYTES = 64 << 10;

interface Outcome {
  fault: Fault | null;
  refusals: LatchclockError[];
  hasResult: boolean;
  ms: number;
}

const sandbox = createContext({ body: null });
const callBody = new Script('body()');

/**
 * Runs `body` and stops it after `ms`, wherever it is. Returns false if it was stopped. A time limit of a script
 * holds for every function that the script calls.
 */
function runBounded(body: () => void, ms: number): boolean {
  sandbox['body'] = body;
  try {
    callBody.runInContext(sandbox, { timeout: Math.ceil(ms) });
    return true;
  } catch (error) {
    // The error of the time limit belongs to the sandbox: it is no instance of this realm's Error.
    if ((error as { code?: unknown } | null)?.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return false;
    throw error;
  } finally {
    sandbox['body'] = null;
  }
}

function faultOfError(error: unknown, codes: readonly LatchclockErrorCode[]): Fault | null {
  if (error instanceof LatchclockError && codes.includes(error.code)) {
    const { message } = error;
    if (!/[\n\r]/.test(message) && message.length <= MOST_MESSAGE_LENGTH) return null;
    return { kind: 'threw', signature: 'message', message: 'a message is longer than a line should be' };
  }
  if (error instanceof AssertionError) {
    return { kind: 'threw', signature: `claim: ${error.message.split('\n', 1)[0]}`, message: error.message };
  }
  if (error instanceof Error) {
    const code = error instanceof LatchclockError ? ` ${error.code}` : '';
    const reason = error.message.replace(/\d+/g, '#').slice(0, 80);
    return {
      kind: 'threw',
      signature: `${error.name}${code}: ${reason}`,
      message: error.stack ?? String(error),
    };
  }
  return { kind: 'threw', signature: typeof error, message: `threw ${String(error)}` };
}

setFlagsFromString('--expose-gc');

/** Collects all garbage now. */
export const collectGarbage: () => void = runInNewContext('gc');

function memoryInUse(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}

/** Garbage that has been collected in between is not seen; a large block is not collected that soon. */
function runOnce(subject: Subject, bytes: Uint8Array, limits: Limits): Outcome {
  let fault: Fault | null = null;
  let results = 0;
  const refusals: LatchclockError[] = [];
  const attempt = (use: () => void): void => {
    try {
      use();
      results++;
    } catch (error) {
      const isRefusal = error instanceof LatchclockError && faultOfError(error, subject.codes) === null;
      if (!isRefusal) throw error;
      refusals.push(error);
    }
  };
  const before = memoryInUse();
  const start = performance.now();
  try {
    subject.run(bytes, attempt);
    if (refusals.length === 0) results++;
  } catch (error) {
    fault = faultOfError(error, subject.codes);
    if (error instanceof LatchclockError) refusals.push(error);
  }
  const ms = performance.now() - start;
  const grown = memoryInUse() - before;
  if (fault === null && grown > limits.memoryBytes) {
    fault = { kind: 'memory', signature: 'memory', message: `${grown} bytes for ${bytes.length} of input` };
  }
  return { fault, refusals, hasResult: results > 0, ms };
}

const SLOW = 'slow';

function slowFault(ms: number): Fault {
  return { kind: 'slow', signature: SLOW, message: `took ${Math.round(ms)} ms and more` };
}

/**
 * One input, stopped if it hangs. Slow is what is slow in every attempt: the machine may be busy.
 *
 * @param suspected a kind that the input has shown before, if any: it is then looked for alone, and more closely
 */
export function tryInput(
  subject: Subject,
  bytes: Uint8Array,
  limits: Limits,
  suspected?: Fault['kind'],
): Fault | null {
  const longestMs = suspected === 'slow' ? limits.slowMs : limits.hangMs;
  let fastest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < SLOW_ATTEMPTS; i++) {
    let outcome: Outcome | null = null;
    const copy = Uint8Array.from(bytes);
    // Garbage of earlier inputs that is collected during this one would hide what it takes.
    if (suspected === 'memory') collectGarbage();
    const start = performance.now();
    const isDone = runBounded(() => {
      outcome = runOnce(subject, copy, limits);
    }, longestMs);
    if (isDone) {
      const { fault, ms } = outcome as unknown as Outcome;
      if (fault !== null) return fault;
      if (ms <= limits.slowMs) return null;
    }
    fastest = Math.min(fastest, performance.now() - start);
    if (fastest >= limits.hangMs) break;
  }
  return slowFault(fastest);
}

interface Case {
  sample: Sample;
  mutations: Mutation[];
}

function caseAt(subject: Subject, seed: bigint, index: number): Case {
  const random = randomFor(seed, index);
  const sample = random.pick(subject.samples);
  return { sample, mutations: mutationsOf(random, sample, subject.samples) };
}

/** The input number `index` of the runs with `seed`. */
export function inputAt(subject: Subject, seed: bigint, index: number): Uint8Array {
  const { sample, mutations } = caseAt(subject, seed, index);
  return applyAll(sample.bytes, mutations);
}

/** Smaller and smaller chunks of `items` are left out, as long as what is left still `holds`. */
function deltaDebug<T>(items: readonly T[], holds: (rest: readonly T[]) => boolean): readonly T[] {
  let current = items;
  for (let chunk = Math.ceil(current.length / 2); chunk >= 1 && current.length > 1; ) {
    let isSmaller = false;
    for (let at = 0; at < current.length; ) {
      const rest = [...current.slice(0, at), ...current.slice(at + chunk)];
      if (rest.length > 0 && holds(rest)) {
        current = rest;
        isSmaller = true;
      } else {
        at += chunk;
      }
    }
    if (!isSmaller || chunk > current.length) chunk = Math.floor(Math.min(chunk, current.length) / 2);
  }
  return current;
}

/** Leaves out, and then zeroes, chunks of `bytes` as long as what is left still `holds`; half of `ms` for each. */
function shrinkBytes(bytes: Uint8Array, holds: (bytes: Uint8Array) => boolean, ms: number): Uint8Array {
  let current = bytes;
  const tryEach = (change: (at: number, chunk: number) => Uint8Array | null): void => {
    const deadline = performance.now() + ms / 2;
    for (let chunk = 2 ** Math.floor(Math.log2(Math.max(1, current.length))); chunk >= 1; chunk /= 2) {
      // From the end: what comes last is needed least, and its absence moves nothing.
      for (let at = Math.floor((current.length - 1) / chunk) * chunk; at >= 0; at -= chunk) {
        if (performance.now() > deadline) return;
        const candidate = change(at, chunk);
        if (candidate !== null && holds(candidate)) current = candidate;
      }
    }
  };
  tryEach((at, chunk) =>
    at >= current.length ? null : concat(current.subarray(0, at), current.subarray(at + chunk)),
  );
  tryEach((at, chunk) => {
    if (current.subarray(at, at + chunk).every((byte) => byte === 0)) return null;
    return Uint8Array.from(current).fill(0, at, at + chunk);
  });
  return current;
}

/** Fewer mutations first, then fewer bytes, for as long as `limits` give: the same fault, easier to see. */
function shrink(subject: Subject, found: Case, fault: Fault, limits: Limits): [Uint8Array, string] {
  const holds = (bytes: Uint8Array): boolean =>
    tryInput(subject, bytes, limits, fault.kind)?.signature === fault.signature;
  const mutations = deltaDebug(found.mutations, (rest) => holds(applyAll(found.sample.bytes, rest)));
  const origin = `${found.sample.name}: ${mutations.map(({ what }) => what).join(', ')}`;
  return [shrinkBytes(applyAll(found.sample.bytes, mutations), holds, limits.shrinkMs), origin];
}

/**
 * Runs inputs 0 to `count - 1` of `seed` through `subject`. Does not throw on a fault: findings, one for each
 * signature, are in the result.
 */
export async function fuzz(
  subject: Subject,
  seed: bigint,
  count: number,
  limits: Limits = LIMITS,
): Promise<FuzzRun> {
  const run: FuzzRun = {
    inputs: 0,
    results: 0,
    reasons: new Map(),
    slowestMs: 0,
    slowestIndex: 0,
    findings: [],
  };
  const signatures = new Set<string>();
  const suspects: { index: number; kind: Fault['kind'] }[] = [];
  let index = 0;
  let slowInputs = 0;
  const step = (): void => {
    const end = performance.now() + BATCH_MS;
    while (index < count && performance.now() < end) {
      const outcome = runOnce(subject, inputAt(subject, seed, index), limits);
      const fault = outcome.fault ?? (outcome.ms > limits.slowMs ? slowFault(outcome.ms) : null);
      if (outcome.ms > run.slowestMs) [run.slowestMs, run.slowestIndex] = [outcome.ms, index];
      run.inputs++;
      index++;
      if (fault === null) {
        note(run, outcome);
        continue;
      }
      if (signatures.has(fault.signature)) {
        if (fault.kind === 'slow') slowInputs++;
        continue;
      }
      suspects.push({ index: index - 1, kind: fault.kind });
      return;
    }
  };
  while (index < count && run.findings.length < MOST_FINDINGS && slowInputs < MOST_SLOW_INPUTS) {
    if (!runBounded(step, BATCH_MS + limits.hangMs)) {
      run.inputs++;
      if (signatures.has(SLOW)) slowInputs++;
      suspects.push({ index: index++, kind: 'slow' });
    }
    for (const suspect of suspects.splice(0)) {
      if (suspect.kind === 'slow' && signatures.has(SLOW)) continue;
      const found = caseAt(subject, seed, suspect.index);
      const bytes = applyAll(found.sample.bytes, found.mutations);
      const fault = tryInput(subject, bytes, limits, suspect.kind);
      if (fault === null || signatures.has(fault.signature)) continue;
      signatures.add(fault.signature);
      const [shrunk, origin] = shrink(subject, found, fault, limits);
      run.findings.push({ subject: subject.name, seed, index: suspect.index, fault, bytes: shrunk, origin });
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  return run;
}

function note(run: FuzzRun, { refusals, hasResult }: Outcome): void {
  if (hasResult) run.results++;
  for (const { code, what } of refusals) {
    const reason = `${code} ${what.replace(/0x[0-9a-f]+|\d+/g, '#')}`;
    run.reasons.set(reason, (run.reasons.get(reason) ?? 0) + 1);
  }
}

function isTooLarge(bytes: Uint8Array): boolean {
  return bytes.length > MOST_KEPT_BYTES;
}

/**
 * Writes a finding to `folder`, from where it is run again for ever; one too large to keep goes to the folder for
 * temporary files. Returns the path.
 */
export function keep(finding: Finding, folder: string): string {
  const hash = createHash('sha256').update(finding.bytes).digest('hex').slice(0, 12);
  const place = isTooLarge(finding.bytes) ? tmpdir() : folder;
  const path = join(place, `${finding.subject}-${hash}.bin`);
  mkdirSync(place, { recursive: true });
  writeFileSync(path, finding.bytes);
  return path;
}

/** A finding in words, with what to do to see it again. */
export function describeFinding(finding: Finding, path: string): string {
  const { subject, seed, index, fault, bytes, origin } = finding;
  return [
    `${subject}: ${fault.kind}, ${fault.message}`,
    `  shrunk to ${bytes.length} bytes in ${path}${
      isTooLarge(bytes) ? '' : ', which test/fuzz/fuzz.test.ts runs again'
    }`,
    `  found as input ${index} of LATCHCLOCK_FUZZ_SEED=${seed}, from ${origin}`,
  ].join('\n');
}
