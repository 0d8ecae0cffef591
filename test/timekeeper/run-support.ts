import { closeSync } from 'node:fs';
import { createMemfdPage, type WritableClockPage } from '../../lib/host/clock-page-memory.js';
import { type Addon, ReadEnd, ReaderGeneration, ReaderProtocol } from '../../lib/native/addon.js';
import { getAddon } from '../../lib/native/load.js';
import {
  CLOCK_PAGE_OFFSETS,
  type ClockPageHeader,
  OWN_CLOCKS,
  type OwnClockName,
} from '../../lib/page/clock-page.js';
import { readOwnPage } from '../../lib/page/protocols/readers.js';
import { bytesMemory } from '../../lib/page/steps.js';
import { Run, type RunOptions } from '../../lib/timekeeper/run.js';
import { SimulatedSource, type SimulatedStart } from '../../lib/timekeeper/simulated-source.js';
import type { Standing } from '../../lib/timekeeper/standing.js';
import { NO_OFFSETS, type View } from '../../lib/timekeeper/view.js';
import { QUIET } from './support.js';

export const PROTOCOLS = ['two-window', 'latch', 'seqlock'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** Readers that refuse outside the window, where the protocol has one. */
export const READERS = { 'two-window': 'two-window', latch: 'latch-window', seqlock: 'seqlock' } as const;

const native = getAddon();

export function pageFor(
  protocol: Protocol,
  generationSource: ClockPageHeader['generationSource'] = 'none',
): WritableClockPage {
  const header: ClockPageHeader = {
    counter: 'tsc',
    protocol,
    generationSource,
    arithmetic: 'wide',
    clocks: [...OWN_CLOCKS],
  };
  const page = createMemfdPage(native, header);
  closeSync(page.fileDescriptor);
  return page;
}

/** What whoever moves the counter does. */
export function setGeneration({ bytes }: WritableClockPage, generation: bigint): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setBigUint64(CLOCK_PAGE_OFFSETS.generation, generation, true);
}

/** A clock of a page at a reading of the counter, ns; null where the reader refuses. */
export function readAt(
  { bytes, header }: WritableClockPage,
  clock: OwnClockName,
  cycles: bigint,
): bigint | null {
  const { end, ns } = native.readClockPageAt(
    bytes,
    ReaderProtocol[READERS[header.protocol]],
    ReaderGeneration.none,
    true,
    OWN_CLOCKS.indexOf(clock),
    cycles,
    0n,
    8,
    8,
  );
  return end === ReadEnd.value ? ns : null;
}

/** The same by the protocol's step program, which knows nothing of the native reader. */
export function stepRead(
  { bytes, header }: WritableClockPage,
  clock: OwnClockName,
  cycles: bigint,
): bigint | null {
  const outcome = readOwnPage(
    READERS[header.protocol],
    { clock, generation: 'none', arithmetic: 'wide', mostTries: 8, mostSpins: 8 },
    bytesMemory(bytes),
    () => cycles,
  );
  return outcome.end === 'value' ? outcome.ns : null;
}

/** A simulated source whose counter runs while its readers look: on by `pace()` with every reading. */
export class RunningSource extends SimulatedSource {
  pace: () => bigint = () => 900n;
  /** Called with every reading of the counter, once it has moved. */
  watch: (cycles: bigint) => void = () => {};

  override counter(): bigint {
    this.advance(this.pace());
    const cycles = super.counter();
    this.watch(cycles);
    return cycles;
  }

  /** The counter as it is, which nobody reads. */
  get cycles(): bigint {
    return super.counter();
  }
}

/** The native writer, with somebody who looks after every update. */
function addonWatched(published: () => void): Addon {
  const publishClockPage: Addon['publishClockPage'] = (...update) => {
    native.publishClockPage(...update);
    published();
  };
  return new Proxy(native, {
    get: (target, name, receiver) =>
      name === 'publishClockPage' ? publishClockPage : Reflect.get(target, name, receiver),
  });
}

/** What a reader got: in the order in which readers came. */
export interface Seen {
  readonly page: number;
  readonly cycles: bigint;
  readonly ns: bigint | null;
}

/** A run on a simulated source, and readers of its pages who look at every reading of the counter and after every update. */
export class WatchedRun {
  readonly source: RunningSource;
  readonly pages: readonly WritableClockPage[];
  readonly views: readonly View[];
  readonly seen: Seen[] = [];
  /** All that were ever published, by base. */
  readonly standings = new Map<bigint, Standing>();
  run: Run;
  readonly #options: RunOptions;

  constructor(
    protocol: Protocol,
    options: Partial<RunOptions> & {
      start?: SimulatedStart;
      views?: readonly View[];
      clock?: OwnClockName;
    } = {},
  ) {
    const {
      start,
      views = [{ preference: 'sane', namespace: NO_OFFSETS }],
      clock = 'monotonic',
      ...rest
    } = options;
    this.source = new RunningSource(start);
    this.views = views;
    this.pages = views.map(() => pageFor(protocol));
    const look = (): void => {
      for (const [page, of] of this.pages.entries()) {
        const { cycles } = this.source;
        this.seen.push({ page, cycles, ns: readAt(of, clock, cycles) });
      }
    };
    this.source.watch = look;
    this.#options = {
      addon: addonWatched(look),
      source: this.source,
      pages: this.pages.map((page, at) => ({ page, view: views[at] as View })),
      timeline: QUIET,
      policy: null,
      ...rest,
    };
    this.run = new Run(this.#options);
    this.#keep();
  }

  /** One update, and the counter on to where the next is due, and `late` cycles more. */
  step(late = 0n): void {
    const ms = this.run.step();
    this.#keep();
    this.source.advance(BigInt(Math.ceil((ms * this.source.hz) / 1000)) + late);
  }

  /** So many updates. */
  steps(count: number): void {
    for (let at = 0; at < count; at++) this.step();
  }

  /** A new writer on the same pages. */
  succeed(options: Partial<RunOptions> = {}): void {
    this.run = new Run({ ...this.#options, ...options });
    this.#keep();
  }

  /** The standing that holds at a reading, of all that were published. */
  truthAt(cycles: bigint): Standing {
    let found: Standing | null = null;
    for (const standing of this.standings.values()) {
      if (standing.base <= cycles && (found === null || standing.base > found.base)) found = standing;
    }
    if (found === null) throw new Error(`nothing was published for ${cycles}`);
    return found;
  }

  #keep(): void {
    for (const standing of this.run.status().standings) this.standings.set(standing.base, standing);
  }
}
