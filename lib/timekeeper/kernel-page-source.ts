import { LatchclockError } from '../errors.js';
import type { Host } from '../host/host.js';
import type { ProvedKernelPage } from '../host/kernel-page.js';
import { type Addon, CounterMethod } from '../native/addon.js';
import { layoutBytes } from '../page/kernel-layout.js';
import {
  ClockMode,
  decodeKernelPage,
  type KernelPageSnapshot,
  kernelSegment,
  modeName,
} from '../page/kernel-page.js';
import { frequencyHz, type Segment } from '../page/segment.js';
import { NS_PER_SEC, U64_MAX } from '../units.js';
import type { Line } from './line.js';
import type { SourceSample, TimeSource } from './source.js';
import { readOf, sourceError } from './source-error.js';

const NAME = 'kernel-page';
const PARTS = 1_000_000_000_000n;

/** Some 100 ms: longer than a writer of the kernel's page is preempted by its hypervisor, as a rule. */
const MOST_ATTEMPTS = 4_000;
/** Attempts made for a counter that is behind the page: it has then had the time to come up, if it ever will. */
const MOST_BEHIND = 16;

export interface KernelPageSourceOptions {
  /**
   * How far the kernel's rate may change between two samples beyond the dither of {@link ditherPpt}, parts in 10^12.
   * Default 0: what NTP or adjtime change is then followed from the next sample on, and until then the clocks may be
   * outside their bound by the change times the time between two samples (8 ns for 1 ppm and 8 ms). adjtime slews with
   * 500 ppm (500,000,000).
   */
  allowancePpt?: bigint;
}

/**
 * The dither of the kernel's rate: between settings of the frequency, and outside slews, mult is one of two neighbours,
 * m0 and m0 + 1 (`timekeeping_adjust`, kernel/time/timekeeping.c; 21 of 21 settings recorded on 5.10, 6.1, 6.12 and 7.2).
 * One unit of mult, parts in 10^12, rounded up: 154,743 for a mult of 6462360.
 *
 * @param mult above 0
 */
export function ditherPpt(mult: bigint): bigint {
  return (PARTS + mult - 1n) / mult;
}

function lineOf({ base, mult, shift, wholeNs, scaledNs }: Segment): Line {
  return { base, scaledNs: (wholeNs << BigInt(shift)) + scaledNs, mult, shift };
}

/**
 * Why the kernel's own arithmetic is not the segment's straight line at a reading, in its fast path; null where it is. A
 * counter behind the base is clamped to it; max_cycles ends the fast path, where the kernel has it; and in the fast path
 * product and sum have 64 bits. (The kernel's 63 bits of the counter do no harm: a counter that has more is multiplied in
 * 128 bits, to the same value.)
 */
export function offLine(segment: Segment, cycles: bigint): string | null {
  const { base, maxDelta, mult, scaledNs } = segment;
  const delta = cycles - base;
  if (delta < 0n) return `the counter is ${-delta} cycles behind the page's cycle_last`;
  if (delta >= maxDelta) return `the page was not updated for ${delta} cycles, more than its max_cycles`;
  if (scaledNs + delta * mult > U64_MAX)
    return `the page was not updated for ${delta} cycles: 64 bits do not hold them`;
  return null;
}

function checkMode({ main, raw }: KernelPageSnapshot): void {
  const other = [main, raw].find(({ mode }) => mode !== ClockMode.tsc);
  if (other === undefined) return;
  throw sourceError(
    NAME,
    `the kernel's clocksource is not the counter: the page's mode is ${modeName(other.mode)}`,
    "take the source 'clock-gettime', or make the clocksource tsc and start a new timekeeper",
  );
}

/** The difference of two base times of one copy, ns; throws where it is not whole. */
function wholeNsBetween(later: Line, earlier: Line, what: string): bigint {
  const scale = BigInt(later.shift);
  const scaled = later.scaledNs - earlier.scaledNs;
  const ns = scaled >> scale;
  if (ns << scale === scaled) return ns;
  throw sourceError(NAME, `${what} is no whole number of ns`, "take the source 'clock-gettime'");
}

/**
 * What a snapshot of the page says at a reading in its fast path's window: at `cycles` and for as long as the page stays
 * as it is, its lines are the kernel's clocks bit for bit, in the time namespace that the snapshot has. Exact: the bound
 * is 0.
 *
 * @param cycles a counter reading made while the page had these words
 * @throws LatchclockError `ERR_SOURCE` where the page gives no TSC cycles, where the reading is not in the window
 *   ({@link offLine}), and for offsets that are not whole
 */
export function kernelPageSample(
  snapshot: KernelPageSnapshot,
  cycles: bigint,
  allowancePpt: bigint,
): SourceSample {
  checkMode(snapshot);
  const segments = {
    monotonic: kernelSegment(snapshot, 'monotonic'),
    raw: kernelSegment(snapshot, 'monotonic-raw'),
  };
  for (const segment of Object.values(segments)) {
    const problem = offLine(segment, cycles);
    if (problem !== null)
      throw sourceError(NAME, problem, 'start a new timekeeper once the kernel keeps its page again');
  }
  const line = (clock: 'boottime' | 'realtime' | 'tai'): Line => lineOf(kernelSegment(snapshot, clock));
  const monotonic = lineOf(segments.monotonic);
  const realtime = line('realtime');
  const taiNs = wholeNsBetween(line('tai'), realtime, 'tai - realtime');
  if (taiNs % NS_PER_SEC !== 0n) {
    throw sourceError(
      NAME,
      'tai - realtime is no whole number of seconds',
      "take the source 'clock-gettime'",
    );
  }
  return {
    cycles,
    monotonic,
    raw: lineOf(segments.raw),
    boottimeOffsetNs: wholeNsBetween(line('boottime'), monotonic, 'boottime - monotonic'),
    realtimeOffsetNs: wholeNsBetween(realtime, monotonic, 'realtime - monotonic'),
    taiOffsetSeconds: Number(taiNs / NS_PER_SEC),
    boundNs: 0n,
    driftPpt: ditherPpt(monotonic.mult) + allowancePpt,
    generation: 0n,
  };
}

/**
 * The kernel's clocks by its own proved page: exact, as far as the page says now what will be. In a time namespace
 * monotonic, monotonic-raw and boottime are this process's. It does not tell when the counter's meaning changes.
 *
 * Each sample's reading of the counter lies between two copies of the page that are equal, so that the page had these
 * words when the counter had that value. What may come between two samples is `driftPpt`: a unit of mult and the allowance.
 * Besides, setting realtime takes monotonic's fraction of a ns away (less than 1 ns).
 */
class KernelPageSource implements TimeSource {
  readonly name = NAME;
  readonly hasGeneration = false;
  readonly isFree = false;
  readonly hz: number;
  readonly #addon: Addon;
  readonly #proved: ProvedKernelPage;
  readonly #bytes: number;
  readonly #allowancePpt: bigint;
  readonly #clocksource: string;

  constructor(host: Host, allowancePpt: bigint) {
    this.#addon = host.addon;
    this.#proved = host.page();
    this.#bytes = layoutBytes(this.#proved.layout);
    this.#allowancePpt = allowancePpt;
    const { snapshot } = readOf(NAME, () => this.#still());
    checkMode(snapshot);
    this.hz = frequencyHz(snapshot.raw);
    this.#clocksource = clocksourceOf(snapshot);
  }

  counter(): bigint {
    return readOf(NAME, () => this.#addon.readCounter(CounterMethod['lfence-rdtsc']));
  }

  sample(): SourceSample {
    return readOf(NAME, () => {
      const { snapshot, cycles } = this.#still();
      const clocksource = clocksourceOf(snapshot);
      if (clocksource !== this.#clocksource) {
        throw sourceError(
          NAME,
          `the kernel changed its clocksource: ${clocksource}, was ${this.#clocksource}`,
          'start a new timekeeper',
        );
      }
      return kernelPageSample(snapshot, cycles, this.#allowancePpt);
    });
  }

  /** A state of the page, and a counter reading at which the page was in it. */
  #still(): { snapshot: KernelPageSnapshot; cycles: bigint } {
    const { layout, page, namespaceNs } = this.#proved;
    const copy = (): Uint8Array => this.#addon.copyMemory(page.address, this.#bytes);
    let before = copy();
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const cycles = this.#addon.readCounter(CounterMethod['lfence-rdtsc']);
      const after = copy();
      if (Buffer.compare(before, after) === 0) {
        const snapshot = decodeKernelPage(after, layout, namespaceNs);
        const { main, raw } = snapshot;
        const isEven = main.seq % 2 === 0 && raw.seq % 2 === 0;
        // A CPU's counter may be behind that of the CPU which made the update, by less than an attempt takes.
        const isBehind = main.mode === ClockMode.tsc && cycles < main.cycleLast && attempt < MOST_BEHIND;
        if (isEven && !isBehind) return { snapshot, cycles };
      }
      before = after;
    }
    throw sourceError(
      NAME,
      `the page never stood still in ${MOST_ATTEMPTS} attempts`,
      "take the source 'clock-gettime', or start a new timekeeper",
    );
  }
}

/** What a clocksource of the counter is known by in the page. */
function clocksourceOf({ raw }: KernelPageSnapshot): string {
  return `mult ${raw.mult}, shift ${raw.shift}, max_cycles ${raw.maxCycles ?? 'none'}`;
}

/**
 * The kernel's clocks by its own page ({@link KernelPageSource}).
 *
 * @throws LatchclockError `ERR_NO_KERNEL_PAGE` or `ERR_PAGE_NOT_PROVED` without a page that can be read, `ERR_SOURCE` where
 *   the kernel's clocksource is not the counter, `ERR_BAD_ARGUMENT` for an allowance below 0
 */
export function kernelPageSource(
  host: Host,
  { allowancePpt = 0n }: KernelPageSourceOptions = {},
): TimeSource {
  if (allowancePpt < 0n) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', `an allowance of ${allowancePpt} ppt is below 0`, {
      where: 'kernelPageSource',
      todo: 'give parts in 10^12, 0 or more',
    });
  }
  return new KernelPageSource(host, allowancePpt);
}
