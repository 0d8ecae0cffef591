import { LatchclockError } from '../errors.js';

/**
 * **Step programs**: readers and writers of clock pages as data. Each step makes at most one access to memory, and
 * is otherwise a pure function of the registers, so that one description can be run straight or interleaved with
 * others at every step. The whole state of a run is a {@link StepState}.
 */

/** Values by name, unsigned unless a register says otherwise. Never changed in place. */
export type Registers<R extends string = string> = Readonly<Record<R, bigint>>;

/** Bytes of a word; a word lies at a multiple of its size. */
export type WordBytes = 1 | 4 | 8;

export type LoadOrder = 'relaxed' | 'acquire';
export type StoreOrder = 'relaxed' | 'release';
export type FenceOrder = 'acquire' | 'release' | 'full';

// Methods, not properties: a program whose registers are known is then one whose registers are not.

export interface LoadStep<R extends string = string> {
  readonly kind: 'load';
  /** For traces: what the step does, as a clause. */
  readonly note: string;
  /** Address, bytes. */
  at(registers: Registers<R>): number;
  readonly bytes: WordBytes;
  readonly order: LoadOrder;
  readonly into: R;
}

export interface StoreStep<R extends string = string> {
  readonly kind: 'store';
  readonly note: string;
  at(registers: Registers<R>): number;
  readonly bytes: WordBytes;
  readonly order: StoreOrder;
  /** What is stored; taken modulo the word's size. */
  value(registers: Registers<R>): bigint;
}

/** Reads the counter. Unfenced, the reading may move across loads before and after it. */
export interface CounterStep<R extends string = string> {
  readonly kind: 'counter';
  readonly note: string;
  readonly fenced: boolean;
  readonly into: R;
}

export interface FenceStep {
  readonly kind: 'fence';
  readonly note: string;
  readonly order: FenceOrder;
}

export interface ComputeStep<R extends string = string> {
  readonly kind: 'compute';
  readonly note: string;
  /** The registers that change; all are computed from the old ones. */
  set(registers: Registers<R>): Partial<Registers<R>>;
}

/** Goes on at `to` if `when` says so, else with the next step. */
export interface BranchStep<R extends string = string> {
  readonly kind: 'branch';
  readonly note: string;
  when(registers: Registers<R>): boolean;
  readonly to: number;
}

export interface EndStep<E extends string = string> {
  readonly kind: 'end';
  readonly note: string;
  readonly end: E;
}

export type Step<R extends string = string, E extends string = string> =
  | LoadStep<R>
  | StoreStep<R>
  | CounterStep<R>
  | FenceStep
  | ComputeStep<R>
  | BranchStep<R>
  | EndStep<E>;

/** Steps, and the registers that they start with. Immutable. */
export interface Program<R extends string = string, E extends string = string> {
  readonly name: string;
  readonly initial: Registers<R>;
  readonly steps: readonly Step<R, E>[];
}

/** A branch whose place is still a name. */
export interface LabelledBranch<R extends string = string> extends Omit<BranchStep<R>, 'to' | 'when'> {
  when(registers: Registers<R>): boolean;
  readonly to: string;
}

/** The place of a name in a list of steps. */
export interface Label {
  readonly kind: 'label';
  readonly label: string;
}

/** What a program is written down as. */
export type Item<R extends string = string, E extends string = string> =
  | Exclude<Step<R, E>, BranchStep<R>>
  | LabelledBranch<R>
  | Label;

/**
 * Makes a program of steps, labels and branches to labels.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if a label is missing or there twice, or the last step is not an end
 */
export function assemble<R extends string, E extends string>(
  name: string,
  initial: Registers<R>,
  items: readonly Item<R, E>[],
): Program<R, E> {
  const wrong = (what: string): LatchclockError =>
    new LatchclockError('ERR_BAD_ARGUMENT', what, { where: `program ${name}` });
  const places = new Map<string, number>();
  let count = 0;
  for (const item of items) {
    if (item.kind !== 'label') count++;
    else if (places.has(item.label)) throw wrong(`the label ${item.label} is there twice`);
    else places.set(item.label, count);
  }
  const steps = items.flatMap((item): Step<R, E>[] => {
    if (item.kind === 'label') return [];
    if (item.kind !== 'branch') return [item];
    const to = places.get(item.to);
    if (to === undefined) throw wrong(`the label ${item.to} is missing`);
    return [{ ...item, to }];
  });
  if (steps.at(-1)?.kind !== 'end' || [...places.values()].some((place) => place >= steps.length)) {
    throw wrong('the last step is no end');
  }
  return { name, initial, steps };
}

export function label(name: string): Label {
  return { kind: 'label', label: name };
}

/** Goes on at a label in any case. */
export function jump(to: string, note: string): LabelledBranch<never> {
  return { kind: 'branch', note, when: () => true, to };
}

/** Where a run is. */
export interface StepState<R extends string = string> {
  /** The step that comes next. */
  readonly pc: number;
  readonly registers: Registers<R>;
}

/** The state in which `program` starts; registers given here override its own. */
export function startOf<R extends string>(
  program: Program<R>,
  registers: Partial<Registers<NoInfer<R>>> = {},
): StepState<R> {
  return { pc: 0, registers: { ...program.initial, ...registers } };
}

/**
 * The state after a step. `answer` is what a load or a reading of the counter gave, and is ignored by other steps.
 * A state at an end stays there.
 */
export function advance<R extends string>(
  step: Step<R>,
  state: StepState<R>,
  answer: bigint = 0n,
): StepState<R> {
  const { pc, registers } = state;
  switch (step.kind) {
    case 'load':
    case 'counter':
      return { pc: pc + 1, registers: { ...registers, [step.into]: answer } };
    case 'compute':
      return { pc: pc + 1, registers: { ...registers, ...step.set(registers) } };
    case 'branch':
      return { pc: step.when(registers) ? step.to : pc + 1, registers };
    case 'store':
    case 'fence':
      return { pc: pc + 1, registers };
    case 'end':
      return state;
  }
}

/** Memory as steps see it. */
export interface StepMemory {
  /** The word at `at`, unsigned. */
  load(at: number, bytes: WordBytes, order: LoadOrder): bigint;
  /** Stores `value` modulo the word's size. */
  store(at: number, bytes: WordBytes, value: bigint, order: StoreOrder): void;
}

/** Reads the counter: cycles, unsigned 64 bits. */
export type StepCounter = () => bigint;

/**
 * Bytes as memory, little-endian, each access atomic and sequentially consistent: stronger than any order asked
 * for. The bytes may be shared with other threads.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if the bytes do not start at a multiple of 8; from an access outside
 *   the bytes, or not at a multiple of the word's size
 */
export function bytesMemory(bytes: Uint8Array): StepMemory {
  const { buffer, byteOffset, byteLength } = bytes;
  if (byteOffset % 8 !== 0) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', `bytes at ${byteOffset} of their buffer are not aligned`, {
      where: 'bytesMemory',
      todo: 'pass bytes that start at a multiple of 8',
    });
  }
  const words = new BigUint64Array(buffer, byteOffset, Math.floor(byteLength / 8));
  const halves = new Uint32Array(buffer, byteOffset, Math.floor(byteLength / 4));
  const check = (at: number, size: WordBytes): void => {
    if (Number.isInteger(at) && at >= 0 && at % size === 0 && at + size <= byteLength) return;
    throw new LatchclockError('ERR_BAD_ARGUMENT', `no word of ${size} bytes lies at ${at}`, {
      where: `memory of ${byteLength} bytes`,
    });
  };
  return {
    load(at, size) {
      check(at, size);
      if (size === 8) return Atomics.load(words, at / 8);
      return BigInt(size === 4 ? Atomics.load(halves, at / 4) : Atomics.load(bytes, at));
    },
    store(at, size, value) {
      check(at, size);
      if (size === 8) Atomics.store(words, at / 8, BigInt.asUintN(64, value));
      else if (size === 4) Atomics.store(halves, at / 4, Number(BigInt.asUintN(32, value)));
      else Atomics.store(bytes, at, Number(BigInt.asUintN(8, value)));
    },
  };
}

/** One memory of two: addresses from `boundary` on are the second's, counted from there. */
export function joinMemories(first: StepMemory, boundary: number, second: StepMemory): StepMemory {
  return {
    load(at, bytes, order) {
      return at < boundary ? first.load(at, bytes, order) : second.load(at - boundary, bytes, order);
    },
    store(at, bytes, value, order) {
      if (at < boundary) first.store(at, bytes, value, order);
      else second.store(at - boundary, bytes, value, order);
    },
  };
}

/** Makes the access of the step that comes next, if it has one, and goes on to the state after it. */
export function perform<R extends string>(
  program: Program<R>,
  state: StepState<R>,
  memory: StepMemory,
  counter: StepCounter,
): StepState<R> {
  const step = program.steps[state.pc];
  if (step === undefined) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', `there is no step ${state.pc}`, {
      where: `program ${program.name}`,
    });
  }
  switch (step.kind) {
    case 'load':
      return advance(step, state, memory.load(step.at(state.registers), step.bytes, step.order));
    case 'store':
      memory.store(step.at(state.registers), step.bytes, step.value(state.registers), step.order);
      return advance(step, state);
    case 'counter':
      return advance(step, state, BigInt.asUintN(64, counter()));
    default:
      return advance(step, state);
  }
}

/** How the program ended, if the step that comes next is an end. */
export function endOf<R extends string, E extends string>(
  program: Program<R, E>,
  state: StepState<R>,
): E | undefined {
  const step = program.steps[state.pc];
  return step?.kind === 'end' ? step.end : undefined;
}

export interface RunOptions<R extends string = string> {
  /** Steps at the most; by default 2^26, above what any bounded program here takes. */
  readonly mostSteps?: number;
  /** Where to start, instead of the beginning. */
  readonly from?: StepState<R>;
}

/** What a run came to. */
export interface StepRun<R extends string = string, E extends string = string> {
  readonly end: E;
  readonly registers: Registers<R>;
  /** Steps made, the end not counted. */
  readonly steps: number;
}

/**
 * Runs a program straight to its end.
 *
 * @throws LatchclockError `ERR_RETRIES` if it took more than `mostSteps`
 */
export function runSteps<R extends string, E extends string>(
  program: Program<R, E>,
  memory: StepMemory,
  counter: StepCounter,
  options: RunOptions<NoInfer<R>> = {},
): StepRun<R, E> {
  const mostSteps = options.mostSteps ?? 2 ** 26;
  let state = options.from ?? startOf<R>(program);
  for (let steps = 0; ; steps++) {
    const end = endOf(program, state);
    if (end !== undefined) return { end, registers: state.registers, steps };
    if (steps >= mostSteps) {
      throw new LatchclockError('ERR_RETRIES', `${steps} steps did not bring it to an end`, {
        where: `program ${program.name}`,
        todo: 'bound the tries of the program',
      });
    }
    state = perform(program, state, memory, counter);
  }
}
