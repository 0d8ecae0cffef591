import type {
  ComputeStep,
  CounterStep,
  FenceOrder,
  FenceStep,
  LabelledBranch,
  LoadOrder,
  LoadStep,
  Registers,
  StoreOrder,
  StoreStep,
  WordBytes,
} from '../steps.js';

/** An address: the same always, or computed from registers. */
export type Address<R extends string> = number | ((registers: Registers<R>) => number);

function addressOf<R extends string>(at: Address<R>): (registers: Registers<R>) => number {
  return typeof at === 'number' ? () => at : at;
}

/** Short ways to write down steps over the registers `R`. */
export interface Items<R extends string> {
  load(note: string, at: Address<R>, into: R, order?: LoadOrder, bytes?: WordBytes): LoadStep<R>;
  store(
    note: string,
    at: Address<R>,
    value: (registers: Registers<R>) => bigint,
    order?: StoreOrder,
  ): StoreStep<R>;
  counter(note: string, into: R, fenced: boolean): CounterStep<R>;
  compute(note: string, set: (registers: Registers<R>) => Partial<Registers<R>>): ComputeStep<R>;
  branch(note: string, to: string, when: (registers: Registers<R>) => boolean): LabelledBranch<R>;
}

/** {@link Items} for a set of registers; words are of 8 bytes and accesses relaxed unless told otherwise. */
export function itemsOf<R extends string>(): Items<R> {
  return {
    load: (note, at, into, order = 'relaxed', bytes = 8) => ({
      kind: 'load',
      note,
      at: addressOf(at),
      bytes,
      order,
      into,
    }),
    store: (note, at, value, order = 'relaxed') => ({
      kind: 'store',
      note,
      at: addressOf(at),
      bytes: 8,
      order,
      value,
    }),
    counter: (note, into, fenced) => ({ kind: 'counter', note, fenced, into }),
    compute: (note, set) => ({ kind: 'compute', note, set }),
    branch: (note, to, when) => ({ kind: 'branch', note, when, to }),
  };
}

export function fence(order: FenceOrder, note: string): FenceStep {
  return { kind: 'fence', note, order };
}
