import { isLatchclockError, LatchclockError } from '../errors.js';
import { measureClockStep } from '../host/frequency.js';
import type { Host } from '../host/host.js';
import { CounterMethod, ReadingSource } from '../native/addon.js';
import { CLOCK_IDS } from '../page/posix-clocks.js';
import { maxBigint, minBigint, NS_PER_SEC, wrapU64 } from '../units.js';
import { type ClockBracket, FOLLOWED_SHIFT, LineFollower, nsOfCycles } from './followed-line.js';
import type { SourceSample, TimeSource } from './source.js';
import { readOf, sourceError } from './source-error.js';

const NAME = 'clock-gettime';
const PARTS = 1_000_000_000_000n;

const FOLLOWED = ['monotonic', 'monotonic-raw', 'boottime', 'realtime', 'tai'] as const;
type FollowedClock = (typeof FOLLOWED)[number];

export interface ClockGettimeSourceOptions {
  /**
   * How far the kernel's rate may change between two samples beyond the
   * dither, parts in 10^12. Default 0: a correction is then followed from the first sample on at which it has moved the
   * clock by more than the bound says, and of one larger than 600 ppm (adjtimex's tick) only the second sample has the rate.
   */
  allowancePpt?: bigint;
  /** Sleeps, ms; for tests. */
  pause?: (ms: number) => void;
}

const TRIES = 16;
const CALIBRATION_NS = 20_000_000n;
const WARMING_ROUNDS = 64;
const MOST_PAUSES = 1_000;
/** Long enough that what brackets leave open is below the dither. */
const SPAN_NS = NS_PER_SEC;
/**
 * The dither of the kernel's rate is one unit of mult, and a mult has 22 bits or more for counters up to 7.3 GHz
 * (`clocks_calc_mult_shift`, kernel/time/clocksource.c, with 600 s): 2^-21 at the most.
 */
const DITHER_PPT = 476_838n;

/**
 * How far a clock's value moves at once where its clocksource is slower than a ns, ns: HPET periods are 100 ns at the most
 * (IA-PC HPET specification 1.0a), the ACPI timer has 3.579545 MHz, Hyper-V's page counts in 100 ns.
 */
const CLOCK_STEPS_NS: Readonly<Record<string, bigint>> = {
  hpet: 100n,
  acpi_pm: 280n,
  hyperv_clocksource_tsc_page: 100n,
  hyperv_clocksource_msr: 100n,
};

/** The step of the kernel's clocks, ns: what their clocksource has by its kind, and what is seen where they stand still. */
function clockStepNs(host: Host): bigint {
  const ofKind = CLOCK_STEPS_NS[host.clocksource().current ?? ''] ?? 1n;
  const { stepNs, stoodStill } = measureClockStep(host.addon);
  return stoodStill ? maxBigint(ofKind, stepNs) : ofKind;
}

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function greatestDivisor(a: bigint, b: bigint): bigint {
  return b === 0n ? a : greatestDivisor(b, a % b);
}

/** Bounds of a difference of two clocks, ns, both included. */
interface Difference {
  readonly lowest: bigint;
  readonly highest: bigint;
}

/**
 * The kernel's clocks by `clock_gettime`, for hosts whose page cannot be read: each is read between two readings of the
 * counter, and of several tries the tightest counts. Its making takes 20 to 50 ms, in which the rate is measured for the
 * first time, to some ppm; after a second it is known to less than the dither.
 *
 * An offset is kept for as long as brackets of its two clocks do not exclude it, so that it does not jitter; what they
 * leave open is part of `boundNs`.
 */
class ClockGettimeSource implements TimeSource {
  readonly name = NAME;
  readonly hasGeneration = false;
  readonly isFree = false;
  readonly hz: number;
  readonly #allowancePpt: bigint;
  readonly #readCounter: () => bigint;
  readonly #read: Readonly<Record<FollowedClock, () => bigint>>;
  readonly #monotonic: LineFollower;
  readonly #raw: LineFollower;
  readonly #offsets = new Map<FollowedClock, bigint>();

  constructor(host: Host, allowancePpt: bigint, pause: (ms: number) => void) {
    const { addon } = host;
    this.#allowancePpt = allowancePpt;
    const word = new BigInt64Array(1);
    const counter = addon.counterReader(CounterMethod['lfence-rdtsc'], word);
    this.#readCounter = () => {
      counter();
      return wrapU64(word[0] as bigint);
    };
    const entries = FOLLOWED.map((clock) => [clock, readerOf(host, clock)] as const);
    this.#read = Object.fromEntries(entries) as Record<FollowedClock, () => bigint>;
    const openness = {
      counterStep: this.#counterStep(),
      clockStepNs: clockStepNs(host),
    };
    // Code that has run a few times only is slow, and its brackets wide: offsets are kept for long.
    for (let round = 0; round < WARMING_ROUNDS; round++) {
      for (const clock of FOLLOWED) this.#difference(clock, 'monotonic');
    }
    const first = this.#bracket('monotonic');
    const firstRaw = this.#bracket('monotonic-raw');
    this.#monotonic = new LineFollower(first, openness, SPAN_NS, DITHER_PPT);
    // Nobody corrects it.
    this.#raw = new LineFollower(firstRaw, openness, SPAN_NS, 0n);
    for (let pauses = 0; this.#read.monotonic() - first.ns < CALIBRATION_NS; pauses++) {
      if (pauses === MOST_PAUSES)
        throw sourceError(NAME, 'the monotonic clock stands still', 'look for what stops it');
      pause(5);
    }
    this.#monotonic.take(this.#bracket('monotonic'));
    const { line } = this.#raw.take(this.#bracket('monotonic-raw'));
    this.hz = (1e9 * 2 ** FOLLOWED_SHIFT) / Number(line.mult);
  }

  counter(): bigint {
    return readOf(NAME, this.#readCounter);
  }

  sample(): SourceSample {
    return readOf(NAME, () => {
      const monotonic = this.#monotonic.take(this.#bracket('monotonic'));
      const raw = this.#raw.take(this.#bracket('monotonic-raw'));
      const boottime = this.#offset('boottime');
      const { realtime, taiOffsetSeconds } = this.#utc();
      const cycles = this.#readCounter();
      const bounds = [monotonic, raw].map(({ line, boundNs, driftPpt }) => {
        const agedNs = nsOfCycles(cycles - line.base, line.mult);
        return boundNs + (agedNs * driftPpt) / PARTS + 1n;
      });
      return {
        cycles,
        monotonic: monotonic.line,
        raw: raw.line,
        boottimeOffsetNs: boottime.ns,
        realtimeOffsetNs: realtime.ns,
        taiOffsetSeconds,
        boundNs: bounds.reduce(maxBigint) + maxBigint(boottime.openNs, realtime.openNs),
        driftPpt: maxBigint(monotonic.driftPpt, raw.driftPpt) + this.#allowancePpt,
        generation: 0n,
      };
    });
  }

  /** What all differences of readings have in common, cycles. */
  #counterStep(): bigint {
    let step = 0n;
    let last = this.#readCounter();
    for (let reading = 0; reading < 64; reading++) {
      const next = this.#readCounter();
      step = greatestDivisor(maxBigint(next - last, 0n), step);
      last = next;
    }
    return step;
  }

  #bracket(clock: FollowedClock): ClockBracket {
    const read = this.#read[clock];
    let best: ClockBracket | null = null;
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const before = this.#readCounter();
      const ns = read();
      const after = this.#readCounter();
      // Backwards: the thread went to a CPU whose counter is behind. That is no bracket, however narrow.
      if (after < before) continue;
      if (best === null || after - before < best.after - best.before) best = { before, ns, after };
    }
    if (best !== null) return best;
    throw sourceError(
      NAME,
      `the counter ran backwards around every reading of ${clock}`,
      'keep the thread on one CPU',
    );
  }

  /**
   * Bounds of `clock - base`, which is constant but for steps: both clocks' fractions of a ns are the same, so that a
   * reading between two readings of the base bounds it without rounding.
   */
  #difference(clock: FollowedClock, base: FollowedClock): Difference {
    const [read, readBase] = [this.#read[clock], this.#read[base]];
    let bounds: Difference | null = null;
    let before = readBase();
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const ns = read();
      const after = readBase();
      const [lowest, highest] = [ns - after, ns - before];
      before = after;
      // The base was stepped back in between.
      if (lowest > highest) continue;
      const both: Difference =
        bounds === null
          ? { lowest, highest }
          : { lowest: maxBigint(lowest, bounds.lowest), highest: minBigint(highest, bounds.highest) };
      // Excluded by the tries before it: one of the clocks was stepped.
      bounds = both.lowest > both.highest ? { lowest, highest } : both;
    }
    if (bounds !== null) return bounds;
    throw sourceError(
      NAME,
      `${base} went back around every reading of ${clock}`,
      'keep the thread on one CPU',
    );
  }

  /** `clock - monotonic`, and how far it may be from the true difference, ns. */
  #offset(clock: 'boottime' | 'realtime'): { ns: bigint; openNs: bigint } {
    const { lowest, highest } = this.#difference(clock, 'monotonic');
    const kept = this.#offsets.get(clock);
    const ns = kept !== undefined && kept >= lowest && kept <= highest ? kept : (lowest + highest) >> 1n;
    this.#offsets.set(clock, ns);
    return { ns, openNs: maxBigint(ns - lowest, highest - ns) };
  }

  /** Realtime's offset and TAI's of one time: a leap second moves both, and one without the other is a step. */
  #utc(): { realtime: { ns: bigint; openNs: bigint }; taiOffsetSeconds: number } {
    let before = this.#taiOffsetSeconds();
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const realtime = this.#offset('realtime');
      const taiOffsetSeconds = this.#taiOffsetSeconds();
      if (taiOffsetSeconds === before) return { realtime, taiOffsetSeconds };
      before = taiOffsetSeconds;
    }
    throw sourceError(NAME, 'the TAI offset changes all the time', 'look for what sets it');
  }

  /** By the clocks themselves: containers are refused adjtimex, and it says the same. */
  #taiOffsetSeconds(): number {
    const { lowest, highest } = this.#difference('tai', 'realtime');
    const seconds = (highest - (((highest % NS_PER_SEC) + NS_PER_SEC) % NS_PER_SEC)) / NS_PER_SEC;
    if (seconds * NS_PER_SEC >= lowest) return Number(seconds);
    throw sourceError(
      NAME,
      `tai - realtime is ${lowest} to ${highest} ns: no whole number of seconds`,
      'set the clock',
    );
  }
}

/** By the vDSO, which makes the tightest brackets; by system call where there is none. */
function readerOf({ addon }: Host, clock: FollowedClock): () => bigint {
  const out = new BigInt64Array(1);
  const by = (path: 'vdso' | 'syscall'): (() => bigint) => {
    const read = addon.clockReader(ReadingSource[path], CLOCK_IDS[clock], null, out);
    read();
    return () => {
      read();
      return out[0] as bigint;
    };
  };
  try {
    return by('vdso');
  } catch (error) {
    if (!isLatchclockError(error, 'ERR_NO_VDSO')) throw error;
    return by('syscall');
  }
}

/**
 * The kernel's clocks by `clock_gettime` ({@link ClockGettimeSource}). Takes 20 to 50 ms.
 *
 * @throws LatchclockError `ERR_SOURCE` where a clock or the counter cannot be read, or stands still, `ERR_BAD_ARGUMENT` for
 *   an allowance below 0
 */
export function clockGettimeSource(
  host: Host,
  { allowancePpt = 0n, pause = sleep }: ClockGettimeSourceOptions = {},
): TimeSource {
  if (allowancePpt < 0n) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', `an allowance of ${allowancePpt} ppt is below 0`, {
      where: 'clockGettimeSource',
      todo: 'give parts in 10^12, 0 or more',
    });
  }
  return readOf(NAME, () => new ClockGettimeSource(host, allowancePpt, pause));
}
