import { LatchclockError } from '../../errors.js';
import {
  advance,
  type FenceOrder,
  type LoadOrder,
  type Program,
  type Registers,
  type StepState,
  type StoreOrder,
  startOf,
} from '../../page/steps.js';

/** What a thread does next that others can see, or that sees them. */
export type Access =
  | { readonly kind: 'load'; readonly at: number; readonly order: LoadOrder; readonly note: string }
  | {
      readonly kind: 'store';
      readonly at: number;
      readonly value: bigint;
      readonly order: StoreOrder;
      readonly note: string;
    }
  | { readonly kind: 'counter'; readonly fenced: boolean; readonly note: string }
  | { readonly kind: 'fence'; readonly order: FenceOrder; readonly note: string }
  | { readonly kind: 'end'; readonly end: string; readonly note: string };

/** A state of a thread in which its next step is an {@link Access}. */
export interface ThreadState {
  /** The same for equal states of one thread. */
  readonly id: number;
  readonly pc: number;
  readonly registers: Registers;
  readonly access: Access;
}

/** Words that no step of the other threads changes, or that none reads: accesses to them commute with everything. */
export interface PrivateWords {
  /** Words that hold one value throughout. */
  readonly constant: ReadonlyMap<number, bigint>;
  /** Words that nobody loads. */
  isUnread(at: number): boolean;
}

/**
 * Registers that only count towards a bound. Where the bounds of readers are far beyond what is explored, the counts decide
 * nothing, and states that differ in them alone are one.
 */
const COUNTING = ['retries', 'tries'] as const;

/**
 * One step program as a thread. Steps that touch nothing shared are made at once with the step before them: they
 * commute with every step of every other thread, so that no interleaving is lost.
 */
export class Thread {
  readonly program: Program;
  readonly #words: PrivateWords;
  readonly #states = new Map<string, ThreadState>();
  readonly #next = new Map<number, Map<bigint, ThreadState>>();
  /** Registers that one try leaves to the next. */
  readonly #kept: readonly string[] | null;
  readonly #counts: boolean;
  readonly #start: ThreadState;

  /**
   * @param kept of a reader: the registers that one try leaves to the next, and the last one to whoever reads; a try writes
   *   every other one before it reads it, so that states between tries, or at the end, which differ in those alone are one.
   *   Null: nothing is known of that.
   * @param counts whether the registers that count towards a bound decide something
   */
  constructor(program: Program, words: PrivateWords, kept: readonly string[] | null = null, counts = false) {
    this.program = program;
    this.#words = words;
    this.#kept = kept;
    this.#counts = counts;
    this.#start = this.#settle(startOf(this.program));
  }

  start(): ThreadState {
    return this.#start;
  }

  /** Whether a reader is where each of its tries begins. */
  isAtStart(state: ThreadState): boolean {
    return state.pc === this.#start.pc;
  }

  /** The state after `state`'s access, which was answered by `answer` if it asked anything. */
  after(state: ThreadState, answer: bigint): ThreadState {
    let answers = this.#next.get(state.id);
    if (answers === undefined) {
      answers = new Map();
      this.#next.set(state.id, answers);
    }
    let next = answers.get(answer);
    if (next === undefined) {
      const step = this.program.steps[state.pc];
      if (step === undefined) throw missing(this.program, state.pc);
      next = this.#settle(advance(step, state, answer));
      answers.set(answer, next);
    }
    return next;
  }

  /** Makes the steps that touch nothing shared. */
  #settle(from: StepState): ThreadState {
    let state = from;
    for (;;) {
      const step = this.program.steps[state.pc];
      if (step === undefined) throw missing(this.program, state.pc);
      switch (step.kind) {
        case 'compute':
        case 'branch':
          state = advance(step, state);
          break;
        case 'load': {
          const at = step.at(state.registers);
          const constant = this.#words.constant.get(at);
          if (constant === undefined) {
            return this.#intern(state, { kind: 'load', at, order: step.order, note: step.note });
          }
          state = advance(step, state, constant);
          break;
        }
        case 'store': {
          const at = step.at(state.registers);
          const value = BigInt.asUintN(64, step.value(state.registers));
          const constant = this.#words.constant.get(at);
          if (constant === undefined && !this.#words.isUnread(at)) {
            return this.#intern(state, { kind: 'store', at, value, order: step.order, note: step.note });
          }
          if (constant !== undefined && constant !== value) {
            throw new LatchclockError('ERR_BAD_ARGUMENT', `the word at ${at} is no constant`, {
              where: `${this.program.name}: ${step.note}`,
            });
          }
          state = advance(step, state);
          break;
        }
        case 'counter':
          return this.#intern(state, { kind: 'counter', fenced: step.fenced, note: step.note });
        case 'fence':
          return this.#intern(state, { kind: 'fence', order: step.order, note: step.note });
        case 'end':
          return this.#intern(state, { kind: 'end', end: step.end, note: step.note });
      }
    }
  }

  #intern(state: StepState, access: Access): ThreadState {
    const registers: Record<string, bigint> = { ...state.registers };
    if (!this.#counts) for (const name of COUNTING) if (name in registers) registers[name] = 0n;
    if (this.#kept !== null && (access.kind === 'end' || state.pc === this.#start?.pc)) {
      for (const name of Object.keys(registers)) {
        const isCount = this.#counts && access.kind !== 'end' && COUNTING.some((count) => count === name);
        if (!isCount && !this.#kept.includes(name)) registers[name] = this.#start?.registers[name] ?? 0n;
      }
    }
    const key = `${state.pc}|${Object.values(registers).join(',')}`;
    let known = this.#states.get(key);
    if (known === undefined) {
      known = { id: this.#states.size, pc: state.pc, registers, access };
      this.#states.set(key, known);
    }
    return known;
  }
}

function missing(program: Program, pc: number): LatchclockError {
  return new LatchclockError('ERR_BAD_ARGUMENT', `there is no step ${pc}`, {
    where: `program ${program.name}`,
  });
}
