import { setImmediate as nextTurn } from 'node:timers/promises';
import { isLatchclockError } from '../errors.js';
import { whyTaiIsLeftOut } from '../host/discipline.js';
import type { Host } from '../host/host.js';
import { orNull } from '../host/host.js';
import { referencePath } from '../host/reference-path.js';
import { type Addon, ClockPath, PAGE_SET_WORDS } from '../native/addon.js';
import { OWN_CLOCKS, type OwnClockName } from '../page/clock-page.js';
import { layoutBytes } from '../page/kernel-layout.js';
import { ClockMode, decodeKernelPage, kernelSegment } from '../page/kernel-page.js';
import { CLOCK_IDS, type PageClockName } from '../page/posix-clocks.js';
import { evaluate } from '../page/segment.js';
import { ClockPage } from '../timekeeper/clock-page.js';
import { Timekeeper, type TimekeeperStatus } from '../timekeeper/timekeeper.js';
import { maxBigint, minBigint, NS_PER_SEC, wrapU64 } from '../units.js';

/** Our clocks that are the kernel's, by its names. */
const COMPARED = {
  realtime: 'sane-realtime',
  monotonic: 'monotonic',
  'monotonic-raw': 'monotonic-raw',
  boottime: 'boottime',
  tai: 'tai',
} as const satisfies Partial<Record<PageClockName, OwnClockName>>;
export type ComparedClock = keyof typeof COMPARED;
const COMPARED_CLOCKS = Object.keys(COMPARED) as ComparedClock[];

/** A clock of our page beside the kernel's. */
export interface OwnSample {
  readonly clock: ComparedClock;
  /** Where our page's reader had the counter. */
  readonly cycles: bigint;
  readonly ownNs: bigint;
  /** The kernel's clock then: exactly, or between two readings. */
  readonly kernelNs: readonly [bigint, bigint];
  /** As our page states it. */
  readonly boundNs: bigint;
}

export interface OwnClockTally {
  readonly id: ComparedClock;
  samples: number;
  /** Farthest from the kernel's clock, or from what lies between its two readings, nanoseconds. */
  maxAbsNs: bigint;
  /** Samples farther away than the bound that came with them. */
  beyond: number;
}

export interface OwnPageResult {
  readonly clocks: readonly OwnClockTally[];
  readonly samples: readonly OwnSample[];
  /** `exact`: at one and the same counter reading, by the kernel's page; `bracketed`: between two readings. */
  readonly method: 'exact' | 'bracketed';
  readonly sets: { compared: number; acrossUpdate: number; refused: number };
  readonly boundsNs: readonly [bigint, bigint] | null;
  readonly timekeeper: TimekeeperStatus;
  /** Clocks that could not be compared, and why. */
  readonly left: readonly { clock: ComparedClock; reason: string }[];
}

/** The kernel's clocks around one reading of ours. */
interface KernelBeside {
  readonly method: OwnPageResult['method'];
  /** Takes what is before the reading; the function that it gives takes what is after, null where an update came between. */
  begin(): (cycles: bigint) => ((clock: ComparedClock) => readonly [bigint, bigint]) | null;
}

function exactly(host: Host): KernelBeside | null {
  const proved = orNull(() => host.page());
  if (proved === null) return null;
  const { addon } = host;
  const bytes = layoutBytes(proved.layout);
  const copy = (): Uint8Array => addon.copyMemory(proved.page.address, bytes);
  const decode = (page: Uint8Array) => decodeKernelPage(page, proved.layout, proved.namespaceNs);
  if (decode(copy()).main.mode !== ClockMode.tsc) return null;
  return {
    method: 'exact',
    begin: () => {
      const before = copy();
      return (cycles) => {
        const after = copy();
        const page = decode(after);
        const isSound =
          page.main.seq % 2 === 0 && page.main.mode === ClockMode.tsc && cycles >= page.main.cycleLast;
        if (!isSound || Buffer.compare(before, after) !== 0) return null;
        return (clock) => {
          const ns = evaluate(kernelSegment(page, clock), cycles);
          return [ns, ns];
        };
      };
    },
  };
}

function bracketed(addon: Addon): KernelBeside {
  const ways = COMPARED_CLOCKS.map(
    (clock) => [ClockPath[referencePath(addon, clock)], CLOCK_IDS[clock]] as const,
  );
  const read = (): bigint[] => ways.map(([path, id]) => addon.readClock(path, id));
  return {
    method: 'bracketed',
    begin: () => {
      const before = read();
      return () => {
        const after = read();
        return (clock) => {
          const at = COMPARED_CLOCKS.indexOf(clock);
          return [before[at] as bigint, after[at] as bigint];
        };
      };
    },
  };
}

/** In one turn of the event loop, so that messages are answered. */
const SETS_A_TURN = 64;
/** Kept for the curve and the CSV: every so many of them, thinned as they come. */
const MOST_KEPT = 20_000;

/** Collects what is compared. */
export class OwnPageTally {
  readonly clocks: OwnClockTally[];
  samples: OwnSample[] = [];
  readonly sets = { compared: 0, acrossUpdate: 0, refused: 0 };
  bounds: [bigint, bigint] | null = null;
  #every = 1;

  constructor(ids: readonly ComparedClock[]) {
    this.clocks = ids.map((id) => ({ id, samples: 0, maxAbsNs: 0n, beyond: 0 }));
  }

  /**
   * A reading of all clocks ({@link PAGE_SET_WORDS} words) beside the kernel's: its clock then lay from the first to the
   * second value.
   */
  add(words: BigInt64Array, kernelAt: (clock: ComparedClock) => readonly [bigint, bigint]): void {
    const cycles = wrapU64(words[0] as bigint);
    const boundNs = words[2] as bigint;
    const isKept = this.sets.compared % this.#every === 0;
    this.sets.compared++;
    this.bounds =
      this.bounds === null
        ? [boundNs, boundNs]
        : [minBigint(this.bounds[0], boundNs), maxBigint(this.bounds[1], boundNs)];
    for (const clock of this.clocks) {
      const ownNs = words[3 + OWN_CLOCKS.indexOf(COMPARED[clock.id])] as bigint;
      const kernelNs = kernelAt(clock.id);
      const apart =
        ownNs < kernelNs[0] ? kernelNs[0] - ownNs : ownNs > kernelNs[1] ? ownNs - kernelNs[1] : 0n;
      clock.samples++;
      clock.maxAbsNs = maxBigint(clock.maxAbsNs, apart);
      if (apart > boundNs) clock.beyond++;
      // What lies beyond its bound is kept whatever happens.
      if (isKept || apart > boundNs) this.samples.push({ clock: clock.id, cycles, ownNs, kernelNs, boundNs });
    }
    if (this.samples.length > MOST_KEPT) this.#thin();
  }

  #thin(): void {
    const sets = new Map<bigint, number>();
    this.#every *= 2;
    this.samples = this.samples.filter((sample) => {
      if (!sets.has(sample.cycles)) sets.set(sample.cycles, sets.size);
      const [low, high] = sample.kernelNs;
      const isBeyond = sample.ownNs < low - sample.boundNs || sample.ownNs > high + sample.boundNs;
      return isBeyond || (sets.get(sample.cycles) as number) % 2 === 0;
    });
  }
}

/** Which clocks cannot be compared: tai, unless the kernel's TAI offset is that of the page, which goes by the table. */
export function leftOut(addon: Addon, own: BigInt64Array): OwnPageResult['left'] {
  const of = (clock: OwnClockName): bigint => own[3 + OWN_CLOCKS.indexOf(clock)] as bigint;
  const reason = whyTaiIsLeftOut(addon, Number((of('tai') - of('sane-realtime')) / NS_PER_SEC));
  return reason === null ? [] : [{ clock: 'tai', reason }];
}

/**
 * Keeps a page of our own from this machine's clocks, by a timekeeper in a thread, and holds its clocks against the
 * kernel's, until `isOver`.
 *
 * @throws LatchclockError what {@link Timekeeper.start} throws; the error that ended the timekeeper, if it died
 */
export async function compareOwnPage(host: Host, isOver: () => boolean): Promise<OwnPageResult> {
  const page = ClockPage.create();
  try {
    const timekeeper = await Timekeeper.start({ page });
    let failure: unknown = null;
    timekeeper.ended.catch((error: unknown) => {
      failure = error;
    });
    try {
      const kernel = exactly(host) ?? bracketed(host.addon);
      const all = page.allClocks({ outOfWindow: 'spin' });
      const words = new BigInt64Array(PAGE_SET_WORDS);
      all.readInto(words);
      const left = leftOut(host.addon, words);
      const tally = new OwnPageTally(COMPARED_CLOCKS.filter((id) => left.every(({ clock }) => clock !== id)));
      do {
        for (let i = 0; i < SETS_A_TURN; i++) {
          const end = kernel.begin();
          try {
            all.readInto(words);
          } catch (error) {
            if (!isLatchclockError(error, 'ERR_OUT_OF_WINDOW', 'ERR_RETRIES')) throw error;
            tally.sets.refused++;
            continue;
          }
          const kernelAt = end(wrapU64(words[0] as bigint));
          if (kernelAt === null) tally.sets.acrossUpdate++;
          else tally.add(words, kernelAt);
        }
        await nextTurn();
        if (failure !== null) throw failure;
      } while (!isOver());
      const status = await timekeeper.status();
      return {
        clocks: tally.clocks,
        samples: tally.samples,
        method: kernel.method,
        sets: tally.sets,
        boundsNs: tally.bounds,
        timekeeper: status,
        left,
      };
    } finally {
      await timekeeper.stop();
    }
  } finally {
    page.close();
  }
}
