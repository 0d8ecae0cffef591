import { closeSync } from 'node:fs';
import { isLatchclockError } from '../../lib/errors.js';
import { createMemfdPage, type WritableClockPage } from '../../lib/host/clock-page-memory.js';
import { type Addon, ReadEnd, ReaderGeneration, ReaderProtocol } from '../../lib/native/addon.js';
import { getAddon } from '../../lib/native/load.js';
import {
  CLOCK_PAGE_BYTES,
  CLOCK_PAGE_HEADER_BYTES,
  CLOCK_PAGE_OFFSETS,
  COPY_OFFSETS,
  COPY_WORDS,
  type CopyNumber,
  OWN_CLOCKS,
} from '../../lib/page/clock-page.js';
import { nextTwoWindowCount } from '../../lib/page/protocols/two-window-writer.js';
import { seededRandom } from '../../lib/random.js';
import { scaledAt } from '../../lib/timekeeper/line.js';
import { withGenerationOf } from '../../lib/timekeeper/page-generation.js';
import { Run, type RunOptions } from '../../lib/timekeeper/run.js';
import { SimulatedSource } from '../../lib/timekeeper/simulated-source.js';
import type { SourceSample, TimeSource } from '../../lib/timekeeper/source.js';
import type { View } from '../../lib/timekeeper/view.js';
import { wrapU64 } from '../../lib/units.js';
import { PROTOCOLS, type Protocol, READERS } from './run-support.js';
import { QUIET } from './support.js';

/**
 * One history of a timekeeper, made of a seed: writers that are killed between any two stores, successors at once or late,
 * sources ahead of and behind the page, a counter that moves up or down at any point. The timekeeper is the real one, from
 * its planner to its native writer; only the source, the counter and the sleep are simulated. A writer stores to pages of
 * its own, and a double of it takes its stores over to those that readers look at, one by one, for as long as it lives: what
 * a dead writer's clean-up does reaches nobody.
 */

const native = getAddon();
const MOST_PAGES = 5;
const HZ = 1e9;
const MS = 1_000_000n;
/** For how long a page may be without a value while a writer lives and no interruption adds to it: two updates, and some. */
const MOST_LAPSE = 20n * MS;
/** A source's rate stays within half of it of the nominal one, so that no two of its lines differ by more. */
const DRIFT_PPT = 400_000_000n;
const ALL = (1 << OWN_CLOCKS.length) - 1;
const COUNT = CLOCK_PAGE_OFFSETS.count / 8;
const GENERATION = CLOCK_PAGE_OFFSETS.generation / 8;
const BASES = ([0, 1] as const).map((copy) => COPY_OFFSETS[copy].base / 8);
const LENGTHS = ([0, 1] as const).map((copy) => COPY_OFFSETS[copy].maxDelta / 8);
const TAGS = ([0, 1] as const).map((copy) => COPY_OFFSETS[copy].tag / 8);
const STORE_ORDER = ([0, 1] as const).map((copy) =>
  COPY_WORDS.map(({ field }) => COPY_OFFSETS[copy][field] / 8),
);
const TAI_OFFSET_NS = 37_000_000_000n;
const VIEWS: readonly View[] = [
  { preference: 'sane', namespace: { monotonicNs: 0n, boottimeNs: 0n } },
  { preference: 'smeared', namespace: { monotonicNs: -400_000n, boottimeNs: 7_000_000_000n } },
  { preference: 'sane', namespace: { monotonicNs: 5n, boottimeNs: 5n } },
  { preference: 'smeared', namespace: { monotonicNs: 0n, boottimeNs: -1n } },
  { preference: 'sane', namespace: { monotonicNs: 1_000_000_000n, boottimeNs: 0n } },
];
const OFFSETS = VIEWS.map(({ namespace: { monotonicNs, boottimeNs } }) =>
  OWN_CLOCKS.map((clock) =>
    clock === 'boottime' ? boottimeNs : clock.startsWith('monotonic') ? monotonicNs : 0n,
  ),
);

/** The writer is killed: thrown through its code, which is never entered again. One for all: a trace of calls is costly. */
const KILLED = new Error('killed');

/** What a history came to that no history may. */
export class Violation extends Error {}

interface Mapped {
  readonly page: WritableClockPage;
  readonly words: BigUint64Array;
}

function mapped(protocol: Protocol, isTold: boolean): Mapped {
  const page = createMemfdPage(native, {
    counter: 'tsc',
    protocol,
    generationSource: isTold ? 'page' : 'none',
    arithmetic: 'wide',
    clocks: [...OWN_CLOCKS],
  });
  closeSync(page.fileDescriptor);
  return { page, words: new BigUint64Array(page.bytes.buffer, page.bytes.byteOffset, CLOCK_PAGE_BYTES / 8) };
}

/** Pages by protocol, and whether they have a generation: made once, and emptied for each history. */
const sets = new Map<string, { shared: Mapped[]; own: Mapped[] }>();

function emptyPages(protocol: Protocol, isTold: boolean): { shared: Mapped[]; own: Mapped[] } {
  const key = `${protocol} ${isTold}`;
  const made = (): Mapped[] => Array.from({ length: MOST_PAGES }, () => mapped(protocol, isTold));
  const set = sets.get(key) ?? { shared: made(), own: made() };
  sets.set(key, set);
  for (const { words } of [...set.shared, ...set.own]) words.fill(0n, CLOCK_PAGE_HEADER_BYTES / 8);
  return set;
}

/** A change of the rate by the owner of a timekeeper. */
interface RateChange {
  readonly tick: bigint;
  readonly ratePpt: bigint;
}

/** What the clocks of a standing are to be held against: the source as its writer had it, and what its owner changed. */
interface Truth {
  readonly jumpedNs: bigint;
  readonly changes: readonly RateChange[];
}

class Source extends SimulatedSource {
  readonly #history: History;

  constructor(history: History, isFree: boolean, boundNs: bigint) {
    super({
      hz: HZ,
      cycles: 10n ** 15n,
      monotonicNs: 10n ** 15n,
      driftPpt: DRIFT_PPT,
      isFree,
      boundNs,
    });
    this.#history = history;
  }

  override counter(): bigint {
    this.#history.point();
    this.#history.pass(this.#history.pace());
    const cycles = super.counter();
    this.#history.point();
    return cycles;
  }

  override sample(): SourceSample {
    this.#history.point();
    const sample = super.sample();
    this.#history.point();
    return sample;
  }

  /** Without anybody noticing. */
  get cycles(): bigint {
    return super.counter();
  }

  get truth(): SourceSample {
    return super.sample();
  }
}

/** What a history did: for saying that each kind of thing has happened. */
export interface Happened {
  killed: number;
  killedInTakeover: number;
  moved: number;
  movedInStep: number;
  succeeded: number;
  values: number;
  refusals: number;
}

export class History {
  readonly happened: Happened = {
    killed: 0,
    killedInTakeover: 0,
    moved: 0,
    movedInStep: 0,
    succeeded: 0,
    values: 0,
    refusals: 0,
  };
  readonly protocol: Protocol;
  readonly trace: string[] = [];
  readonly #seed: bigint;
  readonly #next: () => bigint;
  readonly #isTold: boolean;
  readonly #isFree: boolean;
  readonly #count: number;
  readonly #shared: Mapped[];
  readonly #own: Mapped[];
  readonly #source: Source;
  readonly #options: RunOptions;
  readonly #paces: readonly bigint[];
  readonly #perStore: bigint;
  readonly #lookEvery: number;
  #paced = 0;
  #run: Run | null = null;
  #isDead = true;
  #isStepping = false;
  #stepsSinceMove = 9;
  #isMortal = true;
  /** Whether readers look between stores too, and often in sleeps: about the time at which something happens. */
  #isWatched = true;
  /** So many points and stores there were since the step began, and at which something is to happen. */
  #points = 0;
  #stores = 0;
  #killAt = -1;
  #moveAt = -1;
  /** Cycles that passed, whatever the counter did. */
  #elapsed = 0n;
  #aliveSince = 0n;
  readonly #valueAt: bigint[];
  #generation = 1n;
  /** The largest values that each page gave in this generation, and of those that the pages of the writer gave. */
  readonly #most: (bigint | null)[][] = VIEWS.map(() => OWN_CLOCKS.map(() => null));
  readonly #mostOfAll: (bigint | null)[] = OWN_CLOCKS.map(() => null);
  /** The pages of the writer, by their places; and whether they were those of the writer before it. */
  #places: readonly number[] = [];
  #isOrdered = true;
  #jumpedNs = 0n;
  #changes: RateChange[] = [];
  /** What the standings of a base and a tag are held against; more than one where a successor made them of a dead writer's. */
  readonly #truths = new Map<string, readonly Truth[]>();
  /** Those of the writers before, in this generation. */
  #earlier: Truth[] = [];
  #isTakingOver = false;

  constructor(seed: bigint) {
    this.#seed = seed;
    this.#next = seededRandom(seed).next;
    this.protocol = this.#one(PROTOCOLS);
    this.#isTold = this.#chance(75);
    this.#isFree = this.#chance(30);
    this.#count = this.#one([1, 2, 2, 5]);
    const { shared, own } = emptyPages(this.protocol, this.#isTold);
    this.#shared = shared.slice(0, this.#count);
    this.#own = own.slice(0, this.#count);
    this.#valueAt = this.#shared.map(() => 0n);
    this.#source = new Source(this, this.#isFree, this.#one([0n, 0n, 300n]));
    this.#paces = Array.from({ length: 7 }, () => this.#one([60n, 250n, 900n, 900n, 4_000n, 70_000n]));
    this.#perStore = this.#one([1n, 8n, 8n, 90n, 3_000n]);
    this.#lookEvery = this.#one([5, 11, 13, 29]);
    for (const { words } of [...this.#shared, ...this.#own]) words[GENERATION] = this.#generation;
    const source: TimeSource = this.#isTold
      ? withGenerationOf((this.#own[0] as Mapped).page, this.#source)
      : this.#source;
    this.#options = {
      addon: { ...native, publishClockPage: (...update) => this.#publish(...update) },
      source,
      pages: this.#own.map(({ page }, at) => ({ page, view: VIEWS[at] as View })),
      timeline: QUIET,
      policy: null,
      windowMs: this.#one([200, 200, 40]),
    };
    this.#say(
      `${this.protocol}, ${this.#count} pages, ${this.#isTold ? 'with' : 'no'} generation, ${this.#isFree ? 'free' : 'followed'}, window ${this.#options.windowMs} ms`,
    );
  }

  /** Plays it. Throws a {@link Violation} where it came to what no history may. */
  play(): void {
    const store = Atomics.store;
    const pages = new Map(this.#own.map(({ words }, at) => [words.buffer, at]));
    const double = (array: BigInt64Array | BigUint64Array, index: number, value: bigint): bigint => {
      const page = pages.get(array.buffer as ArrayBuffer);
      if (page !== undefined && this.#isDead) return value;
      const stored = store(array, index, value);
      if (page !== undefined) this.#take(page, array.byteOffset / 8 + index, BigInt.asUintN(64, value));
      return stored;
    };
    Atomics.store = double as typeof Atomics.store;
    try {
      this.#live();
    } catch (error) {
      if (error instanceof Violation) throw error;
      throw new Violation(
        isLatchclockError(error)
          ? `the writer ended: ${error.message}`
          : `the writer broke: ${error instanceof Error ? error.stack : error}`,
      );
    } finally {
      Atomics.store = store;
    }
  }

  // What the source and the double of the pages call.

  /** Where something may happen: between any two things that a writer does. */
  point(): void {
    if (this.#isDead) throw KILLED;
    if (++this.#points === this.#moveAt) {
      this.#moveAt = -1;
      this.#move();
    }
  }

  /** Lets time go on. */
  pass(cycles: bigint): void {
    this.#source.advance(cycles);
    this.#elapsed += cycles;
  }

  pace(): bigint {
    return this.#paces[this.#paced++ % this.#paces.length] as bigint;
  }

  // The double of a page.

  /** One update: by the native writer on the page of its own, and store by store on the shared one. */
  #publish(
    ...[memory, protocol, words, keep, atOnce, keptFirst]: Parameters<Addon['publishClockPage']>
  ): void {
    if (this.#isDead) return;
    const page = this.#own.findIndex((own) => own.page.memory === memory);
    if (!this.#places.includes(page)) throw new Error("a page is written that is not the timekeeper's");
    const { words: own } = this.#own[page] as Mapped;
    const found = own[COUNT] as bigint;
    native.publishClockPage(memory, protocol, words, keep, atOnce, keptFirst);
    this.#know(words);
    const copy = (
      this.protocol === 'seqlock' ? 0 : this.protocol === 'latch' ? Number(found & 1n) ^ 1 : keep ^ 1
    ) as CopyNumber;
    if (this.protocol === 'seqlock') this.#take(page, COUNT, found + ((found & 1n) === 0n ? 1n : 2n));
    if (this.protocol === 'two-window')
      this.#take(page, COUNT, nextTwoWindowCount(found, true, keep as CopyNumber));
    for (const at of STORE_ORDER[copy] as number[]) this.#take(page, at, own[at] as bigint);
    this.#take(page, COUNT, own[COUNT] as bigint);
    const shared = this.#shared[page] as Mapped;
    if (Buffer.compare(shared.page.bytes, (this.#own[page] as Mapped).page.bytes) !== 0)
      throw new Error('the double of the page has not what the native writer stored');
    this.#look(page);
  }

  /** One store, which the shared page takes, or the writer is dead. */
  #take(page: number, at: number, value: bigint): void {
    if (++this.#stores === this.#killAt) {
      this.#isDead = true;
      throw KILLED;
    }
    const { words } = this.#shared[page] as Mapped;
    words[at] = value;
    this.pass(this.#perStore);
    this.point();
    if (this.#isWatched && this.#stores % this.#lookEvery === 0) this.#look(page);
  }

  /** Remembers what a standing is to be held against. */
  #know(words: BigInt64Array): void {
    const key = `${wrapU64(words[0] as bigint)} ${words[2]}`;
    if (this.#truths.has(key)) return;
    const own = { jumpedNs: this.#jumpedNs, changes: this.#changes };
    // What a successor makes before its first step may be of what it found.
    this.#truths.set(key, this.#isTakingOver ? [own, ...this.#earlier] : [own]);
  }

  // Readers.

  #lookAll(): void {
    for (let page = 0; page < this.#count; page++) this.#look(page);
  }

  #look(page: number): void {
    const { page: of, words: shared } = this.#shared[page] as Mapped;
    const { cycles } = this.#source;
    const { end, words } = native.readClockPageSetAt(
      of.bytes,
      ReaderProtocol[READERS[this.protocol]],
      this.#isTold ? ReaderGeneration.tagged : ReaderGeneration.none,
      true,
      ALL,
      cycles,
      4,
      4,
    );
    if (end !== ReadEnd.value) {
      this.happened.refusals++;
      const since = [this.#valueAt[page] as bigint, this.#aliveSince].reduce((a, b) => (a > b ? a : b));
      if (!this.#isDead && this.#places.includes(page) && this.#elapsed - since > MOST_LAPSE)
        this.#fail(`page ${page} has no value for ${(this.#elapsed - since) / MS} ms: end ${end}`);
      return;
    }
    this.happened.values++;
    this.#valueAt[page] = this.#elapsed;
    const offsets = OFFSETS[page] as bigint[];
    for (let clock = 0; clock < OWN_CLOCKS.length; clock++) {
      const ns = (words[3 + clock] as bigint) - (offsets[clock] as bigint);
      const own = this.#most[page] as (bigint | null)[];
      const isOfAll = this.#isOrdered && this.#places.includes(page);
      const most = (isOfAll ? this.#mostOfAll : own)[clock] ?? null;
      if (most !== null && ns < most)
        this.#fail(`${OWN_CLOCKS[clock]} of page ${page} is back by ${most - ns} ns`);
      own[clock] = ns;
      if (isOfAll) this.#mostOfAll[clock] = ns;
    }
    this.#judge(page, cycles, words, this.#standingOf(shared, cycles));
  }

  /** The base and tag of the copy that a reading came from. */
  #standingOf(words: BigUint64Array, cycles: bigint): { base: bigint; tag: bigint } {
    const count = words[COUNT] as bigint;
    let copy = this.protocol === 'seqlock' ? 0 : Number(count & 1n);
    const base = BASES[copy] as number;
    const isOut = wrapU64(cycles - (words[base] as bigint)) >= (words[LENGTHS[copy] as number] as bigint);
    if (this.protocol === 'two-window' && isOut) copy ^= 1;
    return { base: words[BASES[copy] as number] as bigint, tag: words[TAGS[copy] as number] as bigint };
  }

  /** Whether what a reader got is as near to the source as it says. */
  #judge(
    page: number,
    cycles: bigint,
    words: BigInt64Array,
    { base, tag }: { base: bigint; tag: bigint },
  ): void {
    const truths = this.#truths.get(`${base} ${BigInt.asIntN(64, tag)}`);
    if (truths === undefined) this.#fail(`page ${page} has a standing that was never published`);
    const bound = words[2] as bigint;
    const { monotonic, raw, realtimeOffsetNs } = this.#source.truth;
    const offsets = OFFSETS[page] as bigint[];
    const off = truths.map(({ jumpedNs, changes }) => {
      const scale = BigInt(monotonic.shift);
      let scaled = scaledAt(monotonic, cycles) - ((this.#jumpedNs - jumpedNs) << scale);
      let before = 0n;
      for (const { tick, ratePpt } of changes) {
        if (tick > base) break;
        scaled += ((cycles - tick) * (ratePpt - before) * (1n << scale)) / 10n ** 12n;
        before = ratePpt;
      }
      const ns = scaled >> scale;
      const tai = ns + realtimeOffsetNs + TAI_OFFSET_NS;
      const sane = ns + realtimeOffsetNs;
      const wanted = [scaledAt(raw, cycles) >> BigInt(raw.shift), ns, ns, tai, sane, sane, sane];
      return wanted.reduce((most, value, clock) => {
        const error = (words[3 + clock] as bigint) - (offsets[clock] as bigint) - value;
        const far = error < 0n ? -error : error;
        return far > most ? far : most;
      }, 0n);
    });
    if (off.every((far) => far > bound))
      this.#fail(`page ${page} is ${off} ns from its source, and says ${bound}`);
  }

  #fail(what: string): never {
    // It is thrown through the writer, whose clean-up is nobody's business.
    this.#isDead = true;
    throw new Violation(`${what}, at ${this.#elapsed} cycles (counter ${this.#source.cycles})`);
  }

  // What happens.

  #live(): void {
    const lives = 1 + this.#below(4);
    for (let life = 0; life < lives; life++) {
      const isLast = life === lives - 1;
      this.#isMortal = !isLast;
      if (this.#begin(isLast ? 0 : 30)) {
        const steps = this.#below(6);
        for (let step = 0; step < steps && this.#step(); step++) this.#isWatched = step < 1;
        if (!isLast && !this.#isDead) {
          this.#arm();
          for (let step = 0; step < 3 && this.#step(); step++);
          this.#kill('in its sleep');
        }
      }
      if (this.#isDead) this.#between();
    }
    this.#killAt = -1;
    this.#moveAt = -1;
    if (this.#isDead) this.#begin(0);
    for (let step = 0; step < 5; step++) {
      this.#step();
      this.#isWatched = step < 2;
    }
  }

  /** A writer on what there is. False if it was killed before it had begun. */
  #begin(percentKilled: number): boolean {
    for (const [at, { page }] of this.#shared.entries()) (this.#own[at] as Mapped).page.bytes.set(page.bytes);
    const isSuccessor = this.#run !== null;
    this.#isDead = false;
    this.#aliveSince = this.#elapsed;
    this.#changes = [];
    this.#isTakingOver = true;
    this.#isWatched = true;
    this.#choosePages();
    if (this.#chance(percentKilled)) this.#killAt = this.#stores + 1 + this.#below(90 * this.#count);
    if (this.#isTold && this.#chance(percentKilled)) this.#moveAt = this.#points + 1 + this.#below(12);
    this.#say(`a writer begins${isSuccessor ? ' after another' : ''}`);
    if (isSuccessor) this.happened.succeeded++;
    const was = this.happened.killed;
    this.#attempt(() => {
      const pages = this.#places.map((at) => this.#options.pages[at] as RunOptions['pages'][number]);
      this.#run = new Run({ ...this.#options, pages });
    });
    this.#isTakingOver = false;
    if (!this.#isDead) this.#unite();
    this.happened.killedInTakeover += this.happened.killed - was;
    if (this.#isDead) return false;
    this.#killAt = -1;
    // It may be late for its first step, as for any other.
    this.#sleep(this.#chance(40) ? this.#below(8_000) / 1000 : 0);
    return true;
  }

  /** Most writers have all pages; some have others than the writer before them. */
  #choosePages(): void {
    const all = this.#shared.map((_, at) => at);
    const some = all.filter(() => this.#chance(60));
    const places = some.length > 0 && this.#chance(20) ? some : all;
    this.#isOrdered &&= this.#places.length === 0 || this.#places.join() === places.join();
    this.#places = places;
  }

  /** From now on the pages of the writer are all as one, whoever wrote them before. */
  #unite(): void {
    if (this.#isOrdered) return;
    for (const clock of OWN_CLOCKS.keys()) {
      const given = this.#places.flatMap((at) => this.#most[at]?.[clock] ?? []);
      this.#mostOfAll[clock] = given.length === 0 ? null : given.reduce((a, b) => (a > b ? a : b));
    }
    this.#isOrdered = true;
  }

  /** Decides what is to happen within the next steps. */
  #arm(): void {
    this.#isWatched = true;
    const isMove = this.#isTold && this.#chance(60);
    // As many as a step has: two updates of each page, and the readings of the counter and the source between.
    const stores = 60 * this.#count;
    if (isMove) this.#moveAt = this.#points + 1 + this.#below(this.#chance(50) ? 12 : stores + 12);
    // With a move soon after it, if there is one: what the writer has done in the new generation, or has not.
    if (!isMove || this.#chance(60))
      this.#killAt = this.#stores + 1 + this.#below(isMove ? 3 * stores : stores);
  }

  /** One step and its sleep. False if the writer was killed in it. */
  #step(): boolean {
    if (this.#isDead) return false;
    this.#attempt(() => this.#order());
    if (this.#isDead) return false;
    let ms = 0;
    this.#isStepping = true;
    this.#attempt(() => {
      ms = (this.#run as Run).step();
    });
    this.#isStepping = false;
    if (this.#isDead) return false;
    // All that it has published in a new generation is one standing, or two.
    if (++this.#stepsSinceMove <= 2 && this.#isMortal && this.#chance(35)) this.#kill('just after a move');
    if (this.#isDead) return false;
    this.#sleep(ms);
    return true;
  }

  /** What an owner may want at any time. */
  #order(): void {
    if (!this.#chance(15)) return;
    const run = this.#run as Run;
    if (this.#chance(50) || !this.#isFree || this.#changes.length > 0) {
      run.setPreference(this.#below(this.#places.length), this.#one(['sane', 'smeared']));
      return;
    }
    const generation = this.#generation;
    const tick = this.#source.cycles + 60n * MS + BigInt(this.#below(60_000_000));
    const ratePpt = this.#one([90_000_000_000n, -90_000_000_000n, 3_000_000n]);
    try {
      run.schedule({ kind: 'frequency', ratePpt, at: { cycles: tick } });
    } catch (error) {
      // A base that is still to come leaves no room before it.
      if (isLatchclockError(error) && error.code === 'ERR_SCHEDULE') return;
      throw error;
    }
    // Moved meanwhile: what was to be made at a reading of the counter that was is dropped.
    if (this.#generation !== generation) return;
    this.#changes = [{ tick, ratePpt }];
    this.#say(`a rate of ${ratePpt} ppt is scheduled at ${tick}`);
  }

  #attempt(act: () => void): void {
    try {
      act();
    } catch (error) {
      if (error !== KILLED) throw error;
      this.happened.killed++;
      this.#say(`killed at store ${this.#stores}`);
    }
  }

  #sleep(ms: number): void {
    let left = BigInt(Math.ceil(Math.min(ms, 1e12) * (HZ / 1000)));
    this.#lookAll();
    while (left > 0n) {
      const part = BigInt(this.#below(this.#isWatched ? 5_000_000 : 12_000_000) + 1);
      const passed = part < left ? part : left;
      this.pass(passed);
      left -= passed;
      this.#lookAll();
    }
    if (this.#isTold && this.#chance(3)) this.#move();
  }

  #kill(when: string): void {
    if (this.#isDead) return;
    this.#isDead = true;
    this.happened.killed++;
    this.#say(`killed ${when}`);
  }

  /** While nobody writes: time passes, the machine may move, and the source of the next writer is another. */
  #between(): void {
    this.#killAt = -1;
    this.#moveAt = -1;
    this.#earlier.push({ jumpedNs: this.#jumpedNs, changes: this.#changes });
    const gap = this.#one([
      BigInt(this.#below(300_000)),
      BigInt(this.#below(9_000_000)),
      BigInt(this.#below(300_000_000)),
    ]);
    this.#lookAll();
    for (let part = 0; part < 3; part++) {
      this.pass(gap / 3n);
      this.#lookAll();
    }
    if (this.#isTold && this.#chance(10)) this.#move();
    const by = this.#one([0n, 0n, 300n, -300n, 100_000n, -100_000n, 50_000_000n, -50_000_000n]);
    this.#jump(by);
    this.#source.setRate(this.#rate());
    this.#say(`${gap} cycles without a writer; the source is ahead by ${by} ns`);
  }

  /** Another counter and generation, and maybe a source that is elsewhere. */
  #move(): void {
    const { cycles } = this.#source;
    const to = this.#one([
      10n ** 12n + BigInt(this.#below(1_000_000_000)),
      10n ** 15n + 10n ** 13n + BigInt(this.#below(1_000_000_000)),
      cycles,
      cycles + BigInt(this.#below(60_000_000)),
      cycles - BigInt(this.#below(60_000_000)),
    ]);
    this.#source.moveCounter(to, true);
    this.#generation++;
    for (const { words } of [...this.#shared, ...this.#own]) words[GENERATION] = this.#generation;
    this.#jump(this.#one([0n, 0n, 40_000n, 50_000_000n, -50_000_000n]));
    this.#source.setRate(this.#rate());
    for (const of of [...this.#most, this.#mostOfAll]) of.fill(null);
    this.#aliveSince = this.#elapsed;
    // What its owner changed in the old generation, a timekeeper that begins anew does not have any longer.
    this.#changes = [];
    this.#earlier = [];
    this.#stepsSinceMove = 0;
    this.happened.moved++;
    if (this.#isStepping) this.happened.movedInStep++;
    this.#say(`the counter moves from ${cycles} to ${to}: generation ${this.#generation}`);
  }

  #jump(byNs: bigint): void {
    this.#source.jump(byNs);
    this.#jumpedNs += byNs;
  }

  #rate(): bigint {
    return BigInt(this.#below(Number(DRIFT_PPT))) - DRIFT_PPT / 2n;
  }

  #below(count: number): number {
    return Number(this.#next() % BigInt(count));
  }

  #chance(percent: number): boolean {
    return this.#below(100) < percent;
  }

  #one<T>(of: readonly T[]): T {
    return of[this.#below(of.length)] as T;
  }

  #say(what: string): void {
    this.trace.push(`${this.#elapsed}: ${what}`);
  }

  get seed(): bigint {
    return this.#seed;
  }
}
