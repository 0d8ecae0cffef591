import { LatchclockError } from '../errors.js';
import { NS_PER_SEC, U64_MAX } from '../units.js';
import { ClockMode, type KernelPageSnapshot, modeName } from './kernel-page.js';
import { isCoarse, PAGE_CLOCKS } from './posix-clocks.js';

/** What one update of the page did besides letting time pass. */
export type UpdateStep =
  /** A leap second: 1 for one inserted (realtime goes back a second), -1 for one left out. TAI goes on. */
  | { name: 'leap'; sign: 1 | -1 }
  /** TAI alone moved, by a new TAI offset (ADJ_TAI). */
  | { name: 'tai'; seconds: bigint }
  /** Realtime and TAI moved by nanoseconds (ADJ_SETOFFSET, or a kernel that warps its clock to UTC). */
  | { name: 'setoffset'; ns: bigint }
  /**
   * Realtime was set (settimeofday, clock_settime), and TAI with it: moved by nanoseconds from its old value
   * rounded down to one. Monotonic and boottime lost the same fraction below 1 ns.
   */
  | { name: 'settime'; ns: bigint }
  /** Realtime, TAI and boottime gained the nanoseconds, above 0, that the machine slept. */
  | { name: 'suspend'; ns: bigint };

/** What {@link explainUpdate} makes of an update. */
export type UpdateExplanation =
  /** The count advanced by more than one update: `missed` lie between, and no equation spans them. */
  | { kind: 'unobserved'; missed: bigint }
  /**
   * The clocksource is none that the vDSO reads, before and after. Nothing was evaluated: since Linux 5.7 all but
   * the coarse clocks and realtime stands still, and realtime is in a scale that the page does not give.
   */
  | { kind: 'frozen' }
  /**
   * Another clocksource: mode, shift or mult_raw changed. `cycles` is how far the clocks went on by the old counter
   * and the old mult; null if one of the two clocksources is none that the vDSO reads. Then only this is held: the
   * distance of realtime-coarse and monotonic-coarse stayed, and a page with a mode is right by itself. How far the
   * clocks moved is not, and of raw, boottime and TAI nothing.
   */
  | { kind: 'clocksource'; cycles: bigint | null }
  | {
      kind: 'tick';
      /** Whole intervals that were added, 0 or more; 0 for an adjtimex call between two ticks. */
      intervals: bigint;
      /** mult after less mult before, in units of 2^-shift ns a cycle. */
      multChange: bigint;
      /**
       * Cycles from the new `cycle_last` to the reading at which mult changed, 0 or more and below one interval;
       * null if mult did not change. It is computed from monotonic, so with a change of 1 or -1 an error that
       * monotonic, realtime, boottime and TAI share cannot be told from another rest, if it is below one interval's
       * cycles in units of 2^-shift ns (0.62 ns at 2.6 GHz and 250 Hz): no bit is claimed there.
       */
      restCycles: bigint | null;
      /** At most one: a leap second, or a TAI offset (then nothing else moved). */
      steps: UpdateStep[];
    }
  | {
      kind: 'forward';
      /**
       * How far `cycle_last` moved. With a step `suspend` it may be negative (the counter started anew), and the
       * clocks may have skipped it.
       */
      cycles: bigint;
      /**
       * At most one of setoffset, settime and suspend. None: the clocks were only brought to the present, which
       * the kernel does before it suspends, and before Linux 6.13 when it refuses a setting.
       */
      steps: UpdateStep[];
    }
  /** Each reason names a state or an equation that does not hold, with both sides. */
  | { kind: 'unexplained'; reasons: string[] };

function badArgument(what: string, where: string): LatchclockError {
  return new LatchclockError('ERR_BAD_ARGUMENT', what, { where });
}

// What include/linux/jiffies.h allows.
const LEAST_HZ = 12;
const MOST_HZ = 12_287;

function checkHz(hz: number, where: string): void {
  if (Number.isInteger(hz) && hz >= LEAST_HZ && hz <= MOST_HZ) return;
  throw badArgument(`a tick rate of ${hz} Hz is no integer from ${LEAST_HZ} to ${MOST_HZ}`, where);
}

/**
 * Cycles that the kernel adds at once: one tick at the clocksource's own rate, rounded to nearest, at least 1
 * (`tk_setup_internals`, kernel/time/timekeeping.c).
 *
 * @param hz the kernel's tick rate, CONFIG_HZ: 12..12287
 * @param multRaw mult of monotonic-raw, above 0
 * @param shift 0..63
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if an argument is out of range
 */
export function cycleInterval(hz: number, multRaw: bigint, shift: number): bigint {
  checkHz(hz, 'cycleInterval');
  if (multRaw <= 0n) throw badArgument(`a mult of ${multRaw} is not above 0`, 'cycleInterval');
  if (!Number.isInteger(shift) || shift < 0 || shift > 63) {
    throw badArgument(`a shift of ${shift} is no integer from 0 to 63`, 'cycleInterval');
  }
  const cycles = (((NS_PER_SEC / BigInt(hz)) << BigInt(shift)) + multRaw / 2n) / multRaw;
  return cycles === 0n ? 1n : cycles;
}

/**
 * The kernel's tick rate (CONFIG_HZ) from the resolution of a coarse clock, which is one tick, 1e9 / HZ rounded to
 * nearest (`TICK_NSEC`, include/linux/jiffies.h).
 *
 * @param resolutionNs what `clock_getres` gives for CLOCK_MONOTONIC_COARSE, nanoseconds
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if no rate from 12 to 12287 has that tick
 */
export function hzOfCoarseResolution(resolutionNs: bigint): number {
  const nearest = (over: bigint): bigint => (NS_PER_SEC + over / 2n) / over;
  const hz = resolutionNs > 0n ? nearest(resolutionNs) : 0n;
  if (hz < LEAST_HZ || hz > MOST_HZ || nearest(hz) !== resolutionNs) {
    throw badArgument(`a coarse resolution of ${resolutionNs} ns is no tick`, 'hzOfCoarseResolution');
  }
  return Number(hz);
}

type Reasons = string[];

function holdEqual<T extends bigint | number | null>(
  reasons: Reasons,
  equation: string,
  left: T,
  right: T,
): void {
  if (left !== right) reasons.push(`${equation}: ${left} is not ${right}`);
}

function hold(reasons: Reasons, holds: boolean, otherwise: string): void {
  if (!holds) reasons.push(otherwise);
}

/** The clocks that follow the counter; their base times are scaled. */
type FineClock = 'realtime' | 'monotonic' | 'monotonic-raw' | 'boottime' | 'tai';
type Totals = Readonly<Record<FineClock, bigint>>;

/** A second in the page's scale. */
function scaledSecond(page: KernelPageSnapshot): bigint {
  return NS_PER_SEC << BigInt(page.main.shift);
}

/** Base times since the clock's epoch, nanoseconds scaled by `2^shift`. */
function totalsOf(page: KernelPageSnapshot): Totals {
  const total = (clock: FineClock): bigint => {
    const { seconds, nsecAsStored } = page.basetimes[clock];
    return seconds * scaledSecond(page) + nsecAsStored;
  };
  return {
    realtime: total('realtime'),
    monotonic: total('monotonic'),
    'monotonic-raw': total('monotonic-raw'),
    boottime: total('boottime'),
    tai: total('tai'),
  };
}

function coarseNs(page: KernelPageSnapshot, clock: 'realtime-coarse' | 'monotonic-coarse'): bigint {
  const { seconds, nsecAsStored } = page.basetimes[clock];
  return seconds * NS_PER_SEC + nsecAsStored;
}

/** Nanoseconds of realtime within its second, rounded down. */
function realtimeNsec(page: KernelPageSnapshot): bigint {
  return page.basetimes.realtime.nsecAsStored >> BigInt(page.main.shift);
}

type Labelled = readonly (readonly [label: string, page: KernelPageSnapshot])[];

// The kernel writes these words to both copies from one timekeeper (update_vsyscall, kernel/time/vsyscall.c).
const COMMON_WORDS = ['seq', 'mode', 'cycleLast', 'maxCycles', 'mask', 'shift'] as const;

function copyReasons(pages: Labelled): Reasons {
  const reasons: Reasons = [];
  for (const [label, { main, raw }] of pages) {
    for (const word of COMMON_WORDS) {
      holdEqual(reasons, `${label}: ${word} of both copies`, main[word], raw[word]);
    }
    hold(reasons, main.seq % 2 === 0, `${label}: seq ${main.seq} is odd: the page was being written`);
  }
  return reasons;
}

/** What must hold of a page by itself, whatever the update. */
function stateReasons(label: string, page: KernelPageSnapshot): Reasons {
  const reasons: Reasons = [];
  const { main, raw, basetimes } = page;
  const second = scaledSecond(page);
  const fractionBits = (1n << BigInt(main.shift)) - 1n;
  for (const clock of PAGE_CLOCKS) {
    const { nsecAsStored } = basetimes[clock];
    const limit = isCoarse(clock) ? NS_PER_SEC : second;
    hold(reasons, nsecAsStored < limit, `${label}: nsec of ${clock} below a second: ${nsecAsStored} is not`);
  }
  const totals = totalsOf(page);
  for (const clock of ['realtime', 'boottime'] as const) {
    const rest = (totals[clock] - totals.monotonic) & fractionBits;
    holdEqual(reasons, `${label}: (${clock} - monotonic) mod 2^shift`, rest, 0n);
  }
  holdEqual(
    reasons,
    `${label}: nsec of tai and of realtime`,
    basetimes.tai.nsecAsStored,
    basetimes.realtime.nsecAsStored,
  );
  // The coarse pair is built from realtime's seconds, one count of nanoseconds, and realtime - monotonic.
  holdEqual(
    reasons,
    `${label}: seconds of realtime-coarse and of realtime`,
    basetimes['realtime-coarse'].seconds,
    basetimes.realtime.seconds,
  );
  holdEqual(
    reasons,
    `${label}: realtime-coarse - monotonic-coarse and realtime - monotonic`,
    coarseNs(page, 'realtime-coarse') - coarseNs(page, 'monotonic-coarse'),
    (totals.realtime - totals.monotonic) >> BigInt(main.shift),
  );
  // All clocksources that the vDSO reads count in 64 bits; `dc` below relies on it.
  if (main.mask !== null) holdEqual(reasons, `${label}: mask`, main.mask, U64_MAX);
  // adjtimex can ask for 10 % by the tick's length, 12.5 % by a phase of 0.5 s, and 0.1 % by frequency and slewing.
  const correction = main.mult > raw.mult ? main.mult - raw.mult : raw.mult - main.mult;
  hold(
    reasons,
    correction * 4n < raw.mult,
    `${label}: mult within a quarter of mult_raw: ${main.mult} is not of ${raw.mult}`,
  );
  return reasons;
}

/** Two pages one update apart, of one clocksource. */
interface Pair {
  readonly before: KernelPageSnapshot;
  readonly after: KernelPageSnapshot;
  readonly from: Totals;
  /** How far each clock moved, nanoseconds scaled by `2^shift`. */
  readonly moved: Totals;
  /** How far `cycle_last` moved, as a signed 64-bit number. */
  readonly cycles: bigint;
}

function pairOf(before: KernelPageSnapshot, after: KernelPageSnapshot): Pair {
  const from = totalsOf(before);
  const to = totalsOf(after);
  const moved = {
    realtime: to.realtime - from.realtime,
    monotonic: to.monotonic - from.monotonic,
    'monotonic-raw': to['monotonic-raw'] - from['monotonic-raw'],
    boottime: to.boottime - from.boottime,
    tai: to.tai - from.tai,
  };
  return {
    before,
    after,
    from,
    moved,
    cycles: BigInt.asIntN(64, after.main.cycleLast - before.main.cycleLast),
  };
}

function unless(reasons: Reasons, explanation: UpdateExplanation): UpdateExplanation {
  return reasons.length === 0 ? explanation : { kind: 'unexplained', reasons };
}

const SECONDS_PER_DAY = 86_400n;
// MAX_TAI_OFFSET, kernel/time/ntp.c
const MOST_TAI_OFFSET_SECONDS = 100_000n;

/**
 * True if realtime counted the second at which the kernel applies the leap: 00:00:00 if one is inserted, 23:59:59
 * if one is left out (`second_overflow`, kernel/time/ntp.c). It counts after adding intervals at the old mult, and
 * again after changing mult, so the farther of the two tells.
 */
function countsLeapSecond({ before, from, moved, cycles }: Pair, sign: 1 | -1): boolean {
  const added = cycles * before.main.mult;
  const reached = from.realtime + (added > moved.monotonic ? added : moved.monotonic);
  const day = (seconds: bigint): bigint => (seconds + (sign === 1 ? 0n : 1n)) / SECONDS_PER_DAY;
  return day(reached / scaledSecond(before)) > day(before.basetimes.realtime.seconds);
}

/** Steps of a tick; realtime and TAI are compared with monotonic. */
function tickSteps(pair: Pair, multChange: bigint, reasons: Reasons): UpdateStep[] {
  const { before, after, moved, cycles } = pair;
  const second = scaledSecond(before);
  const realtime = moved.realtime - moved.monotonic;
  const tai = moved.tai - moved.monotonic;
  if (realtime === 0n && tai === 0n) return [];
  if (tai === 0n && (realtime === -second || realtime === second)) {
    const sign = realtime < 0n ? 1 : -1;
    const at = sign === 1 ? '00:00:00' : '23:59:59';
    hold(
      reasons,
      countsLeapSecond(pair, sign),
      `realtime - monotonic moved by a second, as by a leap second: realtime did not come to ${at} UTC`,
    );
    return [{ name: 'leap', sign }];
  }
  holdEqual(reasons, 'd(realtime) and d(monotonic), but for a leap second', moved.realtime, moved.monotonic);
  if (tai === 0n) return [];
  const seconds = tai / second;
  const offset = after.basetimes.tai.seconds - after.basetimes.realtime.seconds;
  // ADJ_TAI has an update of its own, without a reading of the counter.
  const still = cycles === 0n && multChange === 0n && moved.monotonic === 0n;
  hold(
    reasons,
    still && offset >= 0n && offset <= MOST_TAI_OFFSET_SECONDS,
    `d(tai) and d(monotonic), but for an offset from 0 to ${MOST_TAI_OFFSET_SECONDS} s set alone: ` +
      `${moved.tai} is not ${moved.monotonic}`,
  );
  return [{ name: 'tai', seconds }];
}

/**
 * `timekeeping_advance` (kernel/time/timekeeping.c): whole intervals are added at the old mult, then mult changes,
 * and the bases are corrected so that the clocks do not jump at the reading that the kernel had taken.
 */
function explainTick(pair: Pair, interval: bigint): UpdateExplanation {
  const { before, after, moved, cycles } = pair;
  const reasons: Reasons = [];
  const intervals = cycles / interval;
  hold(
    reasons,
    cycles >= 0n && cycles % interval === 0n,
    `dc = k * cycle_interval, k >= 0: ${cycles} is no such multiple of ${interval}`,
  );
  holdEqual(reasons, 'd(monotonic-raw) = dc * mult_raw', moved['monotonic-raw'], cycles * before.raw.mult);
  const multChange = after.main.mult - before.main.mult;
  const added = cycles * before.main.mult;
  const corrected = added - moved.monotonic;
  let restCycles: bigint | null = null;
  if (multChange === 0n) {
    holdEqual(reasons, 'd(monotonic) = dc * mult', moved.monotonic, added);
  } else {
    restCycles = corrected / multChange;
    hold(
      reasons,
      corrected % multChange === 0n && restCycles >= 0n && restCycles < interval,
      `d(monotonic) = dc * mult - rest * (mult change), 0 <= rest < ${interval}: ` +
        `${moved.monotonic} is not ${added} - rest * ${multChange}`,
    );
  }
  holdEqual(reasons, 'd(boottime) and d(monotonic)', moved.boottime, moved.monotonic);
  const steps = tickSteps(pair, multChange, reasons);
  // With k = 0 Linux 6.15 and later leave the coarse nanoseconds as they were, and earlier ones take the new base.
  // Both are accepted from any kernel: the page does not tell which it is, for the change may be backported.
  const coarse = after.basetimes['realtime-coarse'].nsecAsStored;
  const kept = intervals === 0n && coarse === before.basetimes['realtime-coarse'].nsecAsStored;
  if (!kept) holdEqual(reasons, 'realtime-coarse = realtime >> shift', coarse, realtimeNsec(after));
  return unless(reasons, { kind: 'tick', intervals, multChange, restCycles, steps });
}

/**
 * `timekeeping_forward_now` and what follows it, and `timekeeping_resume` (kernel/time/timekeeping.c): the bases
 * are brought to a reading of the counter, at an unchanged mult; then at most one step is made.
 */
function explainForward(pair: Pair): UpdateExplanation {
  const { before, after, from, moved, cycles } = pair;
  const reasons: Reasons = [];
  const { mult, shift } = before.main;
  // A resume takes a new cycle_last and lets raw and monotonic skip what lies between.
  const skipped = cycles !== 0n && moved['monotonic-raw'] === 0n && moved.monotonic === 0n;
  const counted = skipped ? 0n : cycles;
  const added = counted * mult;
  hold(reasons, counted >= 0n, `dc >= 0: ${counted} is not`);
  holdEqual(reasons, 'mult, after and before', after.main.mult, mult);
  holdEqual(reasons, 'd(monotonic-raw) = dc * mult_raw', moved['monotonic-raw'], counted * before.raw.mult);
  const fraction = (from.monotonic + added) & ((1n << BigInt(shift)) - 1n);
  const set = fraction !== 0n && moved.monotonic === added - fraction;
  if (!set) holdEqual(reasons, 'd(monotonic) = dc * mult', moved.monotonic, added);
  // Whole nanoseconds, as the states have them.
  const boottime = (moved.boottime - moved.monotonic) >> BigInt(shift);
  const realtime = (moved.realtime - moved.monotonic) >> BigInt(shift);
  const tai = (moved.tai - moved.monotonic) >> BigInt(shift);
  holdEqual(reasons, 'steps of tai and of realtime, ns', tai, realtime);
  const slept = !set && boottime > 0n && boottime === realtime;
  if (!slept) holdEqual(reasons, 'd(boottime) and d(monotonic)', moved.boottime, moved.monotonic);
  hold(
    reasons,
    slept || !skipped,
    `dc = 0 while monotonic-raw and monotonic stand still and no clock gains sleep: ${cycles} is not 0 ` +
      '(a resume that measured no sleep would look so)',
  );
  // Every kernel renews the coarse clocks here.
  holdEqual(
    reasons,
    'realtime-coarse = realtime >> shift',
    after.basetimes['realtime-coarse'].nsecAsStored,
    realtimeNsec(after),
  );
  const steps: UpdateStep[] = [];
  if (set) steps.push({ name: 'settime', ns: realtime });
  else if (slept) steps.push({ name: 'suspend', ns: boottime });
  else if (realtime !== 0n) steps.push({ name: 'setoffset', ns: realtime });
  return unless(reasons, { kind: 'forward', cycles, steps });
}

/** `clocks_calc_max_nsecs` (kernel/time/clocksource.c) for a 64-bit counter, with the largest adjustment of 11 %. */
function maxCyclesOf(mult: bigint): bigint {
  return U64_MAX / (mult + (mult * 11n) / 100n);
}

function rescale(value: bigint, shifts: number): bigint {
  return shifts >= 0 ? value << BigInt(shifts) : value >> BigInt(-shifts);
}

/**
 * `change_clocksource` (kernel/time/timekeeping.c): the bases are brought to a reading of the old counter and taken
 * over into the new scale, rounded down; `cycle_last` is a later reading of the new counter.
 */
function explainClocksource(before: KernelPageSnapshot, after: KernelPageSnapshot): UpdateExplanation {
  const reasons: Reasons = [];
  const coarseDistance = (page: KernelPageSnapshot): bigint =>
    coarseNs(page, 'realtime-coarse') - coarseNs(page, 'monotonic-coarse');
  holdEqual(
    reasons,
    'realtime-coarse - monotonic-coarse, after and before',
    coarseDistance(after),
    coarseDistance(before),
  );
  if (after.main.mode === ClockMode.none) return unless(reasons, { kind: 'clocksource', cycles: null });
  holdEqual(reasons, 'mult and mult_raw of a new clocksource', after.main.mult, after.raw.mult);
  if (after.main.maxCycles !== null) {
    holdEqual(reasons, 'max_cycles by mult_raw', after.main.maxCycles, maxCyclesOf(after.raw.mult));
  }
  holdEqual(
    reasons,
    'realtime-coarse = realtime >> shift',
    after.basetimes['realtime-coarse'].nsecAsStored,
    realtimeNsec(after),
  );
  if (before.main.mode === ClockMode.none) return unless(reasons, { kind: 'clocksource', cycles: null });
  const from = totalsOf(before);
  const to = totalsOf(after);
  const shifts = after.main.shift - before.main.shift;
  const rate = before.raw.mult;
  // The fewest cycles that bring raw to its new value. One more would take it beyond, for a mult is larger than what
  // the rescaling drops; and where raw went back, rounding towards zero gives a number that fails below.
  const cycles = (rescale(to['monotonic-raw'], -shifts) - from['monotonic-raw'] + rate - 1n) / rate;
  for (const [clock, mult] of [
    ['monotonic-raw', rate],
    ['monotonic', before.main.mult],
  ] as const) {
    const expected = rescale(from[clock] + cycles * mult, shifts);
    holdEqual(reasons, `${clock} after ${cycles} cycles, in the new scale`, to[clock], expected);
  }
  const distance = (page: KernelPageSnapshot, of: Totals, clock: 'boottime' | 'tai'): bigint =>
    (of[clock] - of.monotonic) >> BigInt(page.main.shift);
  // The coarse clocks above kept the distance of realtime.
  for (const clock of ['boottime', 'tai'] as const) {
    holdEqual(
      reasons,
      `${clock} - monotonic, after and before`,
      distance(after, to, clock),
      distance(before, from, clock),
    );
  }
  return unless(reasons, { kind: 'clocksource', cycles });
}

function sameClocksource(before: KernelPageSnapshot, after: KernelPageSnapshot): boolean {
  return (
    before.main.mode === after.main.mode &&
    before.main.shift === after.main.shift &&
    before.raw.mult === after.raw.mult
  );
}

function explainSameClocksource(
  before: KernelPageSnapshot,
  after: KernelPageSnapshot,
  hz: number,
): UpdateExplanation {
  const reasons: Reasons = [];
  holdEqual(reasons, 'max_cycles, after and before', after.main.maxCycles, before.main.maxCycles);
  if (reasons.length > 0) return { kind: 'unexplained', reasons };
  const pair = pairOf(before, after);
  const interval = cycleInterval(hz, before.raw.mult, before.main.shift);
  const tick = explainTick(pair, interval);
  if (tick.kind !== 'unexplained') return tick;
  const forward = explainForward(pair);
  if (forward.kind !== 'unexplained') return forward;
  return pair.cycles >= 0n && pair.cycles % interval === 0n ? tick : forward;
}

/**
 * Explains one update of the kernel's clock page to the bit: which of the few things that the kernel does leads
 * from `before` to `after`. Every word of the seven clocks is accounted for, by an equation between the two pages
 * or by what a page must be by itself (the copies agree; nanoseconds are below a second; realtime, boottime and
 * TAI differ from monotonic by whole nanoseconds, TAI from realtime by whole seconds; the coarse clocks go
 * together); where an explanation leaves something open, it says so. A tick is preferred if it holds.
 *
 * What two pages cannot tell, besides what the fields say:
 * - a wrong mult, where mult did not change: it looks changed at a reading at the very end of an interval. The next
 *   update tells;
 * - where no cycle passed, a TAI offset from a TAI that is wrong by whole seconds; whether the coarse clocks should
 *   have been renewed; and which of the two pages came first;
 * - setoffset from suspend, if boottime is wrong by exactly the step; a leap second from a setoffset of a second, if
 *   TAI is wrong by exactly that; settime from setoffset, where monotonic had no fraction of a nanosecond;
 * - the `cycle_last` of a resume; a mode that is wrong in both copies from another clocksource of the same rate;
 * - on kernels without max_cycles (before 6.10), a wrong mult_raw that equals mult from a refined clocksource.
 *
 * Offsets of a time namespace take no part: base times are the real page's.
 *
 * The equations follow from what kernel/time/timekeeping.c and kernel/time/vsyscall.c do. A change of clocksource
 * that leaves mode, shift and mult_raw as they were (tsc-early to tsc at boot) is not known from any other page
 * whose `cycle_last` is wrong, and is unexplained.
 *
 * @param before a consistent state of the page
 * @param after a later state with another count, under the same layout
 * @param hz the kernel's tick rate, CONFIG_HZ ({@link hzOfCoarseResolution})
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if `hz` is no integer from 12 to 12287; never for what a page holds
 */
export function explainUpdate(
  before: KernelPageSnapshot,
  after: KernelPageSnapshot,
  hz: number,
): UpdateExplanation {
  checkHz(hz, 'explainUpdate');
  const pages = [
    ['before', before],
    ['after', after],
  ] as const;
  const copies = copyReasons(pages);
  if (copies.length > 0) return { kind: 'unexplained', reasons: copies };

  const advance = (after.main.seq - before.main.seq) >>> 0;
  if (advance === 0) {
    return { kind: 'unexplained', reasons: [`seq stands still at ${after.main.seq}: there was no update`] };
  }
  if (advance !== 2) return { kind: 'unobserved', missed: BigInt(advance / 2 - 1) };

  const live = pages.filter(([, page]) => page.main.mode !== ClockMode.none);
  if (live.length === 0) return { kind: 'frozen' };
  const states = live.flatMap(([label, page]) => stateReasons(label, page));
  // The resolution falls from a tick to 1 ns once, when the kernel comes to have high-resolution timers.
  if (after.hrtimerResNs !== 1) {
    holdEqual(states, 'hrtimer_res, after and before', after.hrtimerResNs, before.hrtimerResNs);
  }
  if (states.length > 0) return { kind: 'unexplained', reasons: states };

  if (sameClocksource(before, after)) return explainSameClocksource(before, after, hz);
  const found = explainClocksource(before, after);
  if (found.kind !== 'unexplained') return found;
  const modes = `mode ${modeName(before.main.mode)} to ${modeName(after.main.mode)}`;
  const rates = `mult_raw ${before.raw.mult} to ${after.raw.mult}`;
  return { kind: 'unexplained', reasons: [`a new clocksource (${modes}, ${rates})`, ...found.reasons] };
}
