import { CLOCK_PAGE_OFFSETS } from '../../page/clock-page.js';
import type { Step } from '../../page/steps.js';
import { wrapU64 } from '../../units.js';
import type { MemoryModel } from './model.js';
import {
  ADJUST_AT,
  type Known,
  type Published,
  type Scenario,
  type Update,
  type Writer,
} from './scenario.js';
import { Thread, type ThreadState } from './thread.js';

/** Something that is the same object wherever it is equal, and is known by a number. */
interface Numbered {
  readonly id: number;
}

class Pool<T extends Numbered> {
  readonly #known = new Map<string, T>();

  /** The one of this key; made with its number if it is new. */
  of(key: string, make: (id: number) => T): T {
    let found = this.#known.get(key);
    if (found === undefined) {
      found = make(this.#known.size);
      this.#known.set(key, found);
    }
    return found;
  }
}

interface Words extends Numbered {
  readonly values: ReadonlyMap<number, bigint>;
  /** What they are after a store, by address and value, as far as that was asked. */
  readonly stored: Map<number, Map<bigint, Words>>;
}

/** What readers are sent to, or were since a read began. */
interface Segments extends Numbered {
  readonly list: readonly Published[];
}

/** A reading of the counter. */
interface Sample extends Numbered {
  readonly tick: number;
  readonly epoch: number;
}

/** The value of the first read, once it has ended. */
interface Prior extends Numbered {
  readonly ns: bigint;
  readonly epoch: number;
}

/** A store that is not yet seen by others. */
interface Pending extends Numbered {
  readonly at: number;
  readonly value: bigint;
  readonly release: boolean;
  /** Release fences before it. */
  readonly level: number;
  /** What readers are sent to once it is seen; null: unchanged. */
  readonly current: Segments | null;
  /** Of the last store of an update: what a successor knows from then on. */
  readonly known: Known | null;
  readonly note: string;
}

interface Buffer extends Numbered {
  readonly list: readonly Pending[];
  /** Whether a store in it was made before one that has left it. */
  readonly overtaken: boolean;
}

/** Loads made before their place in the program. */
interface Prefetched extends Numbered {
  readonly list: readonly (readonly [at: number, value: bigint])[];
}

interface WriterState extends Numbered {
  /** Which update this is, and what is known at its start. */
  readonly place: string;
  readonly writer: Writer;
  readonly done: number;
  readonly known: Known;
  /** The update under way; null after the last. */
  readonly running: { update: Update; thread: Thread; state: ThreadState } | null;
  readonly level: number;
}

/** A state of the world. */
export interface State {
  readonly reader: ThreadState;
  readonly prior: Prior | null;
  readonly sample: Sample | null;
  /** The tick that must have come when the read ends, since its counter says so: later than the one that it is. */
  readonly owed: number | null;
  /** Where the counter moves up: the earliest tick at which it can have been read. */
  readonly began: number | null;
  readonly prefetched: Prefetched;
  readonly writer: WriterState | null;
  /** What a writer that takes over would know. */
  readonly known: Known;
  readonly words: Words;
  readonly buffer: Buffer;
  readonly tick: number;
  readonly epoch: number;
  /** Events that have happened. */
  readonly events: number;
  readonly current: Segments;
  /** All that was current since the read began. */
  readonly seen: Segments;
}

/** Takes what is after a step; `label` says what the step is, for people. */
export type OnStep = (next: State, byReader: boolean, label: () => string) => void;

const { count: COUNT_AT, generation: GENERATION_AT } = CLOCK_PAGE_OFFSETS;

/** Loads that a reader has made ahead of their turn at one time, at the most, under `weak`. */
const MOST_AHEAD = 1;

/** What a reader's `ns` holds where nothing was ever put into it: no value of any segment. */
export const NO_VALUE = -0x7ead_7ead_7ead_7eadn;

function keyOf({ base, maxDelta, mult, whole, epoch }: Published): string {
  return `${base},${maxDelta},${mult},${whole},${epoch}`;
}

/** The value of a segment at a counter of its own epoch; null outside its window. */
function valueAt(segment: Published, cycles: bigint): bigint | null {
  const delta = wrapU64(cycles - segment.base);
  if (delta >= segment.maxDelta) return null;
  return BigInt.asIntN(64, segment.whole + delta * segment.mult);
}

/** Numbers that tell a state from every other. */
export const STATE_NUMBERS = 15;

/** The steps that can be made in each state of a scenario, under a memory model. */
export class World {
  readonly #scenario: Scenario;
  readonly #model: MemoryModel;
  readonly #constant: ReadonlyMap<number, bigint>;
  readonly #reader: Thread;
  readonly #readsUnfenced: boolean;
  readonly #updates = new Map<string, { update: Update; thread: Thread } | null>();
  readonly #writers = new Pool<WriterState>();
  readonly #afterWriters = new Map<number, Map<bigint, WriterState>>();
  readonly #nextWriters = new Map<number, WriterState>();
  readonly #seenWith = new Map<number, Map<number, Segments>>();
  readonly #pendings = new Pool<Pending>();
  readonly #pendingsOf = new Map<number, Pending>();
  readonly #knownIds = new Map<string, number>();
  readonly #knownIdOf = new WeakMap<Known, number>();
  readonly #words = new Pool<Words>();
  readonly #segments = new Pool<Segments>();
  readonly #samples = new Pool<Sample>();
  readonly #priors = new Pool<Prior>();
  readonly #buffers = new Pool<Buffer>();
  readonly #prefetches = new Pool<Prefetched>();
  readonly #prefetchable = new Map<number, readonly number[]>();

  constructor(scenario: Scenario, model: MemoryModel) {
    this.#scenario = scenario;
    this.#model = model;
    this.#constant = new Map([...scenario.words].filter(([at]) => !scenario.shared.has(at)));
    const words = { constant: this.#constant, isUnread: () => false };
    this.#reader = new Thread(scenario.reader, words, ['ns'], scenario.bounded);
    this.#readsUnfenced = scenario.reader.steps.some((step) => step.kind === 'counter' && !step.fenced);
  }

  start(): State {
    const { writer, shared, words, current, known } = this.#scenario;
    const now = this.#segmentsOf(current);
    return this.#run({
      reader: this.#pastFences(this.#reader.start()),
      ...{ prior: null, sample: null, owed: null, prefetched: this.#prefetchedOf([]) },
      began: this.#readsUnfenced && this.#model !== 'sc' ? 0 : null,
      writer: writer === null ? null : this.#writerAt(writer, 0, known, 0),
      known,
      words: this.#wordsOf(new Map([...shared].map((at) => [at, words.get(at) ?? 0n]))),
      buffer: this.#bufferOf([], false),
      ...{ tick: 0, epoch: 0, events: 0 },
      current: now,
      seen: now,
    });
  }

  /** Puts the numbers of a state into `out`: {@link STATE_NUMBERS} of them, equal for equal states only. */
  numbersInto(state: State, out: Int32Array): void {
    out[0] = state.reader.id;
    out[1] = state.prior === null ? -1 : state.prior.id;
    out[2] = state.sample === null ? -1 : state.sample.id;
    out[3] = state.owed ?? -1;
    out[4] = state.began ?? -1;
    out[5] = state.prefetched.id;
    out[6] = state.writer === null ? -1 : state.writer.id;
    out[7] = state.words.id;
    out[8] = state.buffer.id;
    out[9] = state.tick;
    out[10] = state.epoch;
    out[11] = state.events;
    out[12] = state.current.id;
    out[13] = state.seen.id;
    out[14] = this.#knownNumber(state.known);
  }

  /** What a successor would know, as a number, where there can be one. */
  #knownNumber(known: Known | null): number {
    if (this.#scenario.successor === null || known === null) return -1;
    let number = this.#knownIdOf.get(known);
    if (number === undefined) {
      const key = `${known.copies.map(keyOf).join()};${keyOf(known.latest)}`;
      number = this.#knownIds.get(key) ?? this.#knownIds.size;
      this.#knownIds.set(key, number);
      this.#knownIdOf.set(known, number);
    }
    return number;
  }

  /** The end of the reader's read, if that is where it is and its counter has been read. */
  endOf({ reader, owed }: State): string | null {
    return reader.access.kind === 'end' && owed === null ? reader.access.end : null;
  }

  /** What is wrong with the value that the reader returns here; null if nothing is, or it returns none. */
  wrongness(state: State): string | null {
    if (this.endOf(state) !== 'value') return null;
    const { reader, sample, seen } = state;
    const ns = reader.registers['ns'] as bigint;
    if (ns === NO_VALUE) return 'returns without a value';
    if (sample === null) return `returns ${ns} without a counter`;
    const cycles = this.#cyclesAt(sample.tick, sample.epoch);
    // The design's word for right: current at some instant of the read, not just when the counter was read, which where it
    // moves is no instant of the program's.
    const right = seen.list
      .filter((segment) => segment.epoch === sample.epoch)
      .map((segment) => valueAt(segment, cycles));
    if (right.includes(ns)) return null;
    const values = [...new Set(right.filter((value) => value !== null))];
    return `returns ${ns} at counter ${cycles}; right is ${values.length === 0 ? 'no value' : values.join(' or ')}`;
  }

  /**
   * How the value that the second reader returns here is below the first's; null if it is not. Across epochs nothing is
   * compared: where the generation changes with them no order is promised, and where it does not (a counter that is moved
   * with readers held back) all that was current before is wrong after, so that only the writer's choice of a line is left.
   */
  disorder(state: State): string | null {
    const { reader, prior, sample } = state;
    if (prior === null || sample === null || this.endOf(state) !== 'value') return null;
    const ns = reader.registers['ns'] as bigint;
    if (sample.epoch !== prior.epoch || ns >= prior.ns) return null;
    return `reader 2 returns ${ns}, after reader returned ${prior.ns}`;
  }

  /** Makes every step that can be made in `state`. */
  step(state: State, on: OnStep): void {
    if (this.endOf(state) !== null) {
      // What goes on beside a read that has ended, goes on beside the next one too.
      this.#startSecond(state, on);
      return;
    }
    this.#stepReader(state, on);
    if (state.writer !== null) this.#stepWriter(state, state.writer, on);
    this.#drain(state, on);
    this.#happen(state, on);
  }

  #cyclesAt(tick: number, epoch: number): bigint {
    return wrapU64((this.#scenario.origins[epoch] as bigint) + BigInt(tick));
  }

  #wordsOf(values: ReadonlyMap<number, bigint>): Words {
    return this.#words.of([...values.values()].join(), (id) => ({ id, values, stored: new Map() }));
  }

  #segmentsOf(list: readonly Published[]): Segments {
    return this.#segments.of(list.map(keyOf).join(';'), (id) => ({ id, list }));
  }

  #sampleOf(tick: number, epoch: number): Sample {
    return this.#samples.of(`${tick},${epoch}`, (id) => ({ id, tick, epoch }));
  }

  #bufferOf(list: readonly Pending[], overtaken: boolean): Buffer {
    const key = list.map(({ id }) => id).join();
    return this.#buffers.of(`${overtaken}|${key}`, (id) => ({ id, list, overtaken }));
  }

  #prefetchedOf(list: readonly (readonly [number, bigint])[]): Prefetched {
    return this.#prefetches.of(list.join(';'), (id) => ({ id, list }));
  }

  // ---- the reader

  #who({ prior }: State): string {
    return prior === null ? 'reader' : 'reader 2';
  }

  /** A reader's fences keep loads from being made early, which is seen where that is asked; they are no steps. */
  #pastFences(from: ThreadState): ThreadState {
    let reader = from;
    while (reader.access.kind === 'fence') reader = this.#reader.after(reader, 0n);
    return reader;
  }

  #readerAfter(state: State, answer: bigint): Pick<State, 'reader' | 'sample' | 'owed' | 'prefetched'> {
    const { access } = state.reader;
    const next = this.#reader.after(state.reader, answer);
    const reader = this.#pastFences(next);
    // A try that begins anew has no counter yet.
    const { sample, owed } = this.#reader.isAtStart(reader) ? { sample: null, owed: null } : state;
    // What was loaded early for a branch that was not taken is not used behind an acquire.
    const ordered = reader !== next || (access.kind === 'load' && access.order === 'acquire');
    return { reader, sample, owed, prefetched: ordered ? this.#prefetchedOf([]) : state.prefetched };
  }

  #stepReader(state: State, on: OnStep): void {
    const { access } = state.reader;
    if (access.kind === 'load') this.#load(state, access.at, access.note, on);
    else if (access.kind === 'counter') this.#readCounter(state, access.note, on);
    if (access.kind === 'end' && state.owed !== null) {
      const tick = Math.max(state.tick, state.owed);
      on({ ...state, tick, owed: null }, true, () => `${this.#who(state)}: its counter has been read by now`);
    }
    if (this.#model === 'weak') this.#prefetch(state, on);
  }

  #load(state: State, at: number, note: string, on: OnStep): void {
    const early = state.prefetched.list.find(([known]) => known === at);
    const value = early?.[1] ?? (state.words.values.get(at) as bigint);
    const used =
      early === undefined
        ? state
        : {
            ...state,
            prefetched: this.#prefetchedOf(state.prefetched.list.filter(([known]) => known !== at)),
          };
    const how = early === undefined ? '' : ', as loaded before';
    on(
      { ...used, ...this.#readerAfter(used, value) },
      true,
      () => `${this.#who(state)}: ${note}: ${value}${how}`,
    );
  }

  #readCounter(state: State, note: string, on: OnStep): void {
    const { epoch } = state;
    for (let tick = state.began ?? state.tick; tick <= this.#scenario.lastTick; tick++) {
      const cycles = this.#cyclesAt(tick, epoch);
      const after = this.#readerAfter(state, cycles);
      if (this.#model === 'sc') {
        const sample = this.#sampleOf(tick, epoch);
        on({ ...state, ...after, sample, tick }, true, () => `${this.#who(state)}: ${note}: ${cycles}`);
        continue;
      }
      // It may be read later than this, after loads that stand behind it: time need not have come so far yet.
      const sample = this.#sampleOf(tick, epoch);
      const owed = tick > state.tick ? tick : null;
      const when = tick === state.tick ? '' : tick < state.tick ? ', as it was before' : ', now or later';
      on({ ...state, ...after, sample, owed }, true, () => `${this.#who(state)}: ${note}: ${cycles}${when}`);
    }
  }

  #prefetch(state: State, on: OnStep): void {
    if (state.prefetched.list.length >= MOST_AHEAD) return;
    // Where a word does not change any more, loading it now is loading it in its turn.
    const changes = state.writer?.running !== null && state.writer !== null;
    const mayChange = (at: number): boolean =>
      changes || state.buffer.list.some((pending) => pending.at === at) || at === GENERATION_AT;
    for (const at of this.#prefetchableFrom(state.reader)) {
      if (!mayChange(at) || state.prefetched.list.some(([known]) => known === at)) continue;
      const value = state.words.values.get(at) as bigint;
      const list = [...state.prefetched.list, [at, value] as const].toSorted(([a], [b]) => a - b);
      on(
        { ...state, prefetched: this.#prefetchedOf(list) },
        true,
        () => `${this.#who(state)}: loads the word at ${at} ahead of its turn: ${value}`,
      );
    }
  }

  /** Addresses that the reader may load before the loads that stand before them: no acquire or fence is between. */
  #prefetchableFrom(from: ThreadState): readonly number[] {
    let known = this.#prefetchable.get(from.id);
    if (known === undefined) {
      known = this.#findPrefetchable(from);
      this.#prefetchable.set(from.id, known);
    }
    return known;
  }

  #findPrefetchable(from: ThreadState): readonly number[] {
    const { steps } = this.#reader.program;
    const found = new Set<number>();
    const walk = (pc: number, assigned: ReadonlySet<string>): void => {
      const step = steps[pc] as Step;
      switch (step.kind) {
        case 'load': {
          const used = new Set<string>();
          const registers = new Proxy(from.registers, {
            get: (target, name) => {
              used.add(String(name));
              return target[String(name)];
            },
          });
          const at = step.at(registers);
          // An address that hangs on a load which is still to be made cannot be loaded before it.
          const isKnown = ![...used].some((name) => assigned.has(name));
          if (isKnown && pc !== from.pc && this.#scenario.shared.has(at)) found.add(at);
          if (step.order !== 'acquire') walk(pc + 1, new Set([...assigned, step.into]));
          break;
        }
        case 'counter':
          walk(pc + 1, new Set([...assigned, step.into]));
          break;
        case 'compute':
          walk(pc + 1, new Set([...assigned, ...Object.keys(step.set(from.registers))]));
          break;
        case 'branch':
          // Forward, whichever way; the next try's loads are not made within this one.
          if (step.to > pc) walk(step.to, assigned);
          walk(pc + 1, assigned);
          break;
        case 'fence':
        case 'store':
        case 'end':
          break;
      }
    };
    walk(from.pc, new Set());
    return [...found];
  }

  /** The second reader starts, on another CPU, once the first has ended with a value that is right. */
  #startSecond(state: State, on: OnStep): void {
    const { sample, prior, reader } = state;
    if (!this.#scenario.ordered || prior !== null || sample === null) return;
    if (this.endOf(state) !== 'value' || this.wrongness(state) !== null) return;
    const ns = reader.registers['ns'] as bigint;
    const { epoch } = sample;
    const { tick } = state;
    const next: State = {
      ...state,
      reader: this.#pastFences(this.#reader.start()),
      prior: this.#priors.of(`${ns},${epoch}`, (id) => ({ id, ns, epoch })),
      ...{ sample: null, prefetched: this.#prefetchedOf([]) },
      began: state.began === null ? null : tick,
      seen: state.current,
    };
    on(next, true, () => `reader: returns ${ns}; reader 2 starts`);
  }

  // ---- the writer

  #writerAt(writer: Writer, done: number, known: Known, level: number): WriterState {
    const place = `${writer === this.#scenario.writer},${done},${known.copies.map(keyOf).join()},${keyOf(known.latest)}`;
    let running = this.#updates.get(place);
    if (running === undefined) {
      const update = writer.next(done, known);
      const words = {
        constant: this.#constant,
        isUnread: (at: number) => !this.#scenario.words.has(at) && at !== ADJUST_AT,
      };
      running = update === null ? null : { update, thread: new Thread(update.program, words) };
      this.#updates.set(place, running);
    }
    const state = running === null ? null : { ...running, state: running.thread.start() };
    return this.#writerOf({ place, writer, done, known, running: state, level });
  }

  /** The writer before its next step: fences that this model has no use for are passed. */
  #writerOf(given: Omit<WriterState, 'id'>): WriterState {
    const { place } = given;
    let { level, running } = given;
    while (running?.state.access.kind === 'fence') {
      const { order } = running.state.access;
      if (order === 'full' && this.#model !== 'sc') break;
      if (order !== 'acquire' && this.#model === 'weak') level++;
      running = { ...running, state: running.thread.after(running.state, 0n) };
    }
    const key = `${place}|${running?.state.id}|${level}`;
    return this.#writers.of(key, (id) => ({ ...given, running, level, id }));
  }

  #afterWriter(state: State, writer: WriterState, answer: bigint): State {
    const { running } = writer;
    if (running === null) return state;
    let answers = this.#afterWriters.get(writer.id);
    if (answers === undefined) {
      answers = new Map();
      this.#afterWriters.set(writer.id, answers);
    }
    let next = answers.get(answer);
    if (next === undefined) {
      const moved = { ...running, state: running.thread.after(running.state, answer) };
      next = this.#writerOf({ ...writer, running: moved });
      answers.set(answer, next);
    }
    return { ...state, writer: next };
  }

  /**
   * Makes the writer's steps that nobody else can see, and that see nothing of others: loads of words that only it
   * changes, and where stores wait in a buffer, stores. They commute with the steps of the others.
   */
  #run(from: State): State {
    let state = from;
    for (;;) {
      const { writer } = state;
      if (writer === null || writer.running === null) return state;
      const { update, state: at } = writer.running;
      const { access } = at;
      if (access.kind === 'load' && access.at !== GENERATION_AT) {
        const own = state.buffer.list.findLast((pending) => pending.at === access.at);
        const value = own?.value ?? (state.words.values.get(access.at) as bigint);
        state = this.#afterWriter(state, writer, value);
      } else if (access.kind === 'store' && access.at !== ADJUST_AT && this.#model !== 'sc') {
        const after = this.#afterWriter(state, writer, 0n);
        const pending = this.#pendingOf(writer, update, at, after);
        const { list, overtaken } = state.buffer;
        state = { ...after, buffer: this.#bufferOf([...list, pending], overtaken) };
      } else if (access.kind === 'fence' && state.buffer.list.length === 0) {
        state = this.#afterWriter(state, writer, 0n);
      } else if (access.kind === 'end') {
        let next = this.#nextWriters.get(writer.id);
        if (next === undefined) {
          const known = update.known(at.registers);
          next = this.#writerAt(writer.writer, writer.done + 1, known, writer.level);
          this.#nextWriters.set(writer.id, next);
        }
        state = { ...state, writer: next };
      } else {
        return state;
      }
    }
  }

  /** The store that a writer makes next. */
  #pendingOf(writer: WriterState, update: Update, at: ThreadState, after: State): Pending {
    let pending = this.#pendingsOf.get(writer.id);
    if (pending === undefined) {
      pending = this.#newPending(writer, update, at, after);
      this.#pendingsOf.set(writer.id, pending);
    }
    return pending;
  }

  #newPending(writer: WriterState, update: Update, at: ThreadState, after: State): Pending {
    const { access } = at;
    if (access.kind !== 'store') throw new TypeError('a store was expected');
    const isCount = access.at === COUNT_AT;
    const value = isCount ? access.value & this.#scenario.countMask : access.value;
    const offered = isCount ? update.offers(value, at.registers) : null;
    const next = after.writer?.running?.state;
    const current = offered === null ? null : this.#segmentsOf(offered);
    const known = next?.access.kind === 'end' ? update.known(next.registers) : null;
    const release = access.order === 'release';
    const { level } = writer;
    const key = `${access.at},${value},${release},${level},${current?.id},${this.#knownNumber(known)}`;
    const { at: where, note } = access;
    return this.#pendings.of(key, (id) => ({ id, at: where, value, release, level, current, known, note }));
  }

  #stepWriter(state: State, writer: WriterState, on: OnStep): void {
    const { running } = writer;
    if (running === null) return;
    const { update, state: at } = running;
    const { access } = at;
    if (access.kind === 'load') {
      const value = state.words.values.get(access.at) as bigint;
      const next = this.#run(this.#afterWriter(state, writer, value));
      on(next, false, () => `writer: ${access.note}: ${value}`);
    } else if (access.kind === 'counter') {
      for (let tick = Math.max(state.tick, update.earliestTick); tick <= this.#scenario.lastTick; tick++) {
        const cycles = this.#cyclesAt(tick, state.epoch);
        const next = this.#run({ ...this.#afterWriter(state, writer, cycles), tick });
        on(next, false, () => `writer: ${access.note}: ${cycles}`);
      }
    } else if (access.kind === 'store' && access.at === ADJUST_AT) {
      const next = this.#run(this.#newEpoch(this.#afterWriter(state, writer, 0n)));
      const waiting = state.buffer.list.map((pending) => pending.note).join(', ');
      const beside = waiting === '' ? '' : `, while in its store buffer there still waits: ${waiting}`;
      on(next, false, () => `writer: ${access.note}${beside}`);
    } else if (access.kind === 'store') {
      const after = this.#afterWriter(state, writer, 0n);
      const pending = this.#pendingOf(writer, update, at, after);
      on(this.#run(this.#commit(after, pending)), false, () => `writer: ${access.note}: ${pending.value}`);
    }
  }

  #commit(state: State, { at, value, current, known }: Pending): State {
    const next = { ...state, words: this.#stored(state.words, at, value), known: known ?? state.known };
    return current === null ? next : this.#withCurrent(next, current);
  }

  #stored(words: Words, at: number, value: bigint): Words {
    let values = words.stored.get(at);
    if (values === undefined) {
      values = new Map();
      words.stored.set(at, values);
    }
    let next = values.get(value);
    if (next === undefined) {
      next = this.#wordsOf(new Map(words.values).set(at, value));
      values.set(value, next);
    }
    return next;
  }

  #withCurrent(state: State, current: Segments): State {
    // A read that has made its last check is over, but for a counter that moves.
    if (state.reader.access.kind === 'end') return { ...state, current };
    let known = this.#seenWith.get(state.seen.id);
    if (known === undefined) {
      known = new Map();
      this.#seenWith.set(state.seen.id, known);
    }
    let seen = known.get(current.id);
    if (seen === undefined) {
      const keys = new Set(state.seen.list.map(keyOf));
      const fresh = current.list.filter((segment) => !keys.has(keyOf(segment)));
      seen = this.#segmentsOf([...state.seen.list, ...fresh]);
      known.set(current.id, seen);
    }
    return { ...state, current, seen };
  }

  #drain(state: State, on: OnStep): void {
    const { list } = state.buffer;
    for (const [place, pending] of list.entries()) {
      const before = list.slice(0, place);
      const mayGo =
        this.#model === 'weak'
          ? !before.some(({ at, level }) => at === pending.at || level < pending.level || pending.release)
          : place === 0;
      if (!mayGo) continue;
      const buffer = this.#bufferOf(
        list.toSpliced(place, 1),
        place > 0 || (state.buffer.overtaken && list.length > 1),
      );
      const next = this.#run(this.#commit({ ...state, buffer }, pending));
      on(next, false, () => `writer's store is seen: ${pending.note}: ${pending.value}`);
    }
  }

  // ---- what happens to the world

  /** The counter has another meaning. Nothing moves across that: time has come to where a reader's counter was read. */
  #newEpoch(state: State): State {
    return {
      ...state,
      epoch: state.epoch + 1,
      ...{ tick: 0, owed: null },
      began: state.began === null ? null : 0,
      prefetched: this.#prefetchedOf([]),
    };
  }

  #happen(state: State, on: OnStep): void {
    const event = this.#scenario.events[state.events];
    if (event === undefined) return;
    let next: State = { ...state, events: state.events + 1 };
    if (event.words !== undefined) {
      const changed = event.words((at) => state.words.values.get(at) ?? 0n);
      const values = new Map(state.words.values);
      // Words that this reader does not load are not of this page.
      for (const [at, value] of changed) if (values.has(at)) values.set(at, value);
      next = { ...next, words: this.#wordsOf(values) };
    }
    if (event.current !== undefined) next = this.#withCurrent(next, this.#segmentsOf(event.current));
    if (event.newEpoch === true) next = this.#newEpoch(next);
    if (event.writer !== undefined) {
      const { successor } = this.#scenario;
      // A dead writer's stores are seen up to where it died: it has not made those that still wait.
      if (state.buffer.overtaken || state.writer === null) return;
      next = { ...next, buffer: this.#bufferOf([], false) };
      const replaced = event.writer === 'is replaced' && successor !== null;
      next = { ...next, writer: replaced ? this.#writerAt(successor, 0, state.known, 0) : null };
    }
    on(this.#run(next), false, () => event.note);
  }
}
