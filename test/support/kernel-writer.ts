import { type KernelPageLayout, KNOWN_LAYOUTS } from '../../lib/page/kernel-layout.ts';
import { ClockMode, type KernelPageSnapshot, NO_NAMESPACE } from '../../lib/page/kernel-page.ts';
import type { PageClockName } from '../../lib/page/posix-clocks.ts';

const SECOND = 1_000_000_000n;
const DAY = 86_400n;
const U64 = 1n << 64n;

export interface Counter {
  mode: number;
  multRaw: bigint;
  shift: bigint;
}

/** As the kernel's log has them for 2,596,144 kHz, 1 GHz (a paravirtual clock) and 3 GHz. */
export const COUNTERS = {
  tsc: { mode: ClockMode.tsc, multRaw: 6_462_360n, shift: 24n },
  'tsc-refined': { mode: ClockMode.tsc, multRaw: 6_462_391n, shift: 24n },
  pvclock: { mode: ClockMode.pvclock, multRaw: 8_388_608n, shift: 23n },
  fast: { mode: ClockMode.tsc, multRaw: 5_592_405n, shift: 24n },
  hyperv: { mode: ClockMode.hvclock, multRaw: 1_677_721_600n, shift: 24n },
  hpet: { mode: ClockMode.none, multRaw: 2_684_354_560n, shift: 26n },
} as const satisfies Record<string, Counter>;

export interface KernelWriterOptions {
  hz?: number;
  counter?: Counter;
  layout?: KernelPageLayout;
  /** Whether the coarse clocks keep their own nanoseconds, as since Linux 6.15. */
  coarseApart?: boolean;
  cycleLast?: bigint;
  seq?: number;
  realtimeSeconds?: bigint;
  uptimeNs?: bigint;
  sleptNs?: bigint;
  taiOffset?: bigint;
}

type Base = { seconds: bigint; nsecAsStored: bigint };

/**
 * A model of the kernel's timekeeper that publishes a page: every interval is added by itself, seconds are carried
 * as they overflow. It keeps realtime, raw, and offsets, as the kernel does, and derives the other clocks.
 */
export class KernelWriter {
  private readonly hz: bigint;
  private readonly layout: KernelPageLayout;
  private readonly coarseApart: boolean;
  private counter: Counter;
  cycleLast: bigint;
  mult: bigint;
  private seq: number;
  private seconds: bigint;
  /** Scaled; below a second. */
  private nsec: bigint;
  private rawSeconds = 1_000n;
  private rawNsec = 77n;
  private monotonicLessRealtimeNs: bigint;
  private sleptNs: bigint;
  taiOffset: bigint;
  private coarseNsec: bigint;
  private secondCounted = false;
  private leap: { second: bigint; by: bigint } | null = null;
  /** Sign of the leap second that the last tick made, if it made one. */
  leapMade: 1 | -1 | null = null;
  private published: KernelPageSnapshot | null = null;

  constructor(options: KernelWriterOptions = {}) {
    this.hz = BigInt(options.hz ?? 250);
    this.layout = options.layout ?? (KNOWN_LAYOUTS.at(-1) as KernelPageLayout);
    this.coarseApart = options.coarseApart ?? true;
    this.counter = options.counter ?? COUNTERS.tsc;
    this.cycleLast = options.cycleLast ?? 123_456_789_012n;
    this.mult = this.counter.multRaw;
    this.seq = options.seq ?? 4_000;
    this.seconds = options.realtimeSeconds ?? 1_795_348_680n;
    this.nsec = 12_345_678_901_234n;
    this.monotonicLessRealtimeNs = (options.uptimeNs ?? 3_456_789_012_345n) - this.seconds * SECOND;
    this.sleptNs = options.sleptNs ?? 5_000_000_001n;
    this.taiOffset = options.taiOffset ?? 37n;
    this.coarseNsec = this.nsec >> this.counter.shift;
  }

  /** Cycles nearest to a tick at the counter's own rate. */
  get interval(): bigint {
    const tick = (SECOND / this.hz) << this.counter.shift;
    const below = tick / this.counter.multRaw;
    return 2n * (tick - below * this.counter.multRaw) >= this.counter.multRaw ? below + 1n : below;
  }

  get multRaw(): bigint {
    return this.counter.multRaw;
  }

  /** Realtime as it will be so many cycles after the last update, nanoseconds, rounded down. */
  realtimeNs(cycles: bigint): bigint {
    return this.seconds * SECOND + ((this.nsec + cycles * this.mult) >> this.counter.shift);
  }

  private get scaledSecond(): bigint {
    return SECOND << this.counter.shift;
  }

  private renewCoarse(): void {
    this.coarseNsec = this.nsec >> this.counter.shift;
  }

  private carrySeconds(): void {
    while (this.nsec >= this.scaledSecond) {
      this.nsec -= this.scaledSecond;
      this.seconds += 1n;
      if (this.secondCounted) {
        this.secondCounted = false;
        continue;
      }
      if (this.leap?.second !== this.seconds) continue;
      this.seconds += this.leap.by;
      this.monotonicLessRealtimeNs -= this.leap.by * SECOND;
      this.taiOffset -= this.leap.by;
      this.leapMade = this.leap.by === -1n ? 1 : -1;
      this.leap = null;
    }
  }

  private addRaw(cycles: bigint): void {
    this.rawNsec += cycles * this.counter.multRaw;
    while (this.rawNsec >= this.scaledSecond) {
      this.rawNsec -= this.scaledSecond;
      this.rawSeconds += 1n;
    }
  }

  /**
   * Schedules a leap second for the end of the present UTC day: 1 inserts one, -1 leaves one out. Returns the
   * second of realtime at which it will be made.
   */
  scheduleLeap(sign: 1 | -1): bigint {
    const midnight = (this.seconds / DAY + 1n) * DAY;
    this.leap = sign === 1 ? { second: midnight, by: -1n } : { second: midnight - 1n, by: 1n };
    return this.leap.second;
  }

  /**
   * A tick, or with less than an interval of cycles a frequency change between ticks: the counter stands `cycles`
   * past `cycle_last`. `correction` replaces the correction of the base, in units of 2^-shift ns: a kernel's fault.
   */
  tick(cycles: bigint, mult = this.mult, correction?: bigint): KernelPageSnapshot {
    this.leapMade = null;
    let rest = cycles;
    for (; rest >= this.interval; rest -= this.interval) {
      this.cycleLast = (this.cycleLast + this.interval) % U64;
      this.nsec += this.interval * this.mult;
      this.carrySeconds();
      this.addRaw(this.interval);
    }
    this.nsec -= correction ?? rest * (mult - this.mult);
    this.mult = mult;
    if (this.nsec < 0n) {
      this.nsec += this.scaledSecond;
      this.seconds -= 1n;
      this.secondCounted = true;
    }
    this.carrySeconds();
    if (!this.coarseApart || rest !== cycles) this.renewCoarse();
    return this.publish();
  }

  private bringForward(cycles: bigint): void {
    this.cycleLast = (this.cycleLast + cycles) % U64;
    this.nsec += cycles * this.mult;
    this.addRaw(cycles);
    while (this.nsec >= this.scaledSecond) {
      this.nsec -= this.scaledSecond;
      this.seconds += 1n;
    }
    this.renewCoarse();
  }

  private addRealtime(ns: bigint): void {
    const total = this.seconds * this.scaledSecond + this.nsec + (ns << this.counter.shift);
    this.seconds = total / this.scaledSecond;
    this.nsec = total % this.scaledSecond;
    this.monotonicLessRealtimeNs -= ns;
    this.renewCoarse();
  }

  /** What the kernel does before it suspends. */
  forward(cycles: bigint): KernelPageSnapshot {
    this.bringForward(cycles);
    return this.publish();
  }

  setOffset(cycles: bigint, ns: bigint): KernelPageSnapshot {
    this.bringForward(cycles);
    this.addRealtime(ns);
    return this.publish();
  }

  /** Also returns the fraction of a nanosecond that was lost, scaled. */
  setTime(cycles: bigint, ns: bigint): { page: KernelPageSnapshot; lost: bigint } {
    this.bringForward(cycles);
    const was = this.seconds * SECOND + (this.nsec >> this.counter.shift);
    const lost = this.nsec % (1n << this.counter.shift);
    this.seconds = ns / SECOND;
    this.nsec = (ns % SECOND) << this.counter.shift;
    this.monotonicLessRealtimeNs -= ns - was;
    this.renewCoarse();
    return { page: this.publish(), lost };
  }

  setTai(offset: bigint): KernelPageSnapshot {
    this.taiOffset = offset;
    return this.publish();
  }

  /** Resumes at another counter reading, with the sleep known at once. */
  resume(cycleLast: bigint, sleptNs: bigint): KernelPageSnapshot {
    this.addRealtime(sleptNs);
    this.sleptNs += sleptNs;
    this.cycleLast = cycleLast;
    return this.publish();
  }

  /** Sleep that is known only once the machine runs again. */
  injectSleep(cycles: bigint, sleptNs: bigint): KernelPageSnapshot {
    this.bringForward(cycles);
    this.addRealtime(sleptNs);
    this.sleptNs += sleptNs;
    return this.publish();
  }

  changeCounter(cycles: bigint, counter: Counter, cycleLast: bigint): KernelPageSnapshot {
    this.bringForward(cycles);
    const by = counter.shift - this.counter.shift;
    const rescale = (value: bigint): bigint => (by < 0n ? value >> -by : value << by);
    this.nsec = rescale(this.nsec);
    this.rawNsec = rescale(this.rawNsec);
    this.counter = counter;
    this.mult = counter.multRaw;
    this.cycleLast = cycleLast;
    this.secondCounted = false;
    return this.publish();
  }

  publish(): KernelPageSnapshot {
    this.seq = (this.seq + 2) % 2 ** 32;
    this.published = this.page();
    return this.published;
  }

  /** The page as the kernel would write it now, without counting an update. */
  page(): KernelPageSnapshot {
    const { mode } = this.counter;
    const normal = (nsec: bigint, second: bigint): Base => ({
      seconds: this.seconds + (nsec - (((nsec % second) + second) % second)) / second,
      nsecAsStored: ((nsec % second) + second) % second,
    });
    const scaled = (ns: bigint): Base => normal(this.nsec + (ns << this.counter.shift), this.scaledSecond);
    const alwaysWritten = {
      realtime: scaled(0n),
      'realtime-coarse': normal(this.coarseNsec, SECOND),
      'monotonic-coarse': normal(this.coarseNsec + this.monotonicLessRealtimeNs, SECOND),
    };
    if (mode === ClockMode.none && this.published !== null) {
      const { main, raw, basetimes } = this.published;
      const words = { seq: this.seq, mode };
      return {
        ...this.published,
        main: { ...main, ...words },
        raw: { ...raw, ...words },
        basetimes: { ...basetimes, ...alwaysWritten },
      };
    }
    const words = {
      seq: this.seq,
      mode,
      cycleLast: this.cycleLast,
      maxCycles:
        this.layout.main.maxCycles === null
          ? null
          : (U64 - 1n) / (this.counter.multRaw + (this.counter.multRaw * 11n) / 100n),
      mask: U64 - 1n,
      shift: Number(this.counter.shift),
    };
    const basetimes: Record<PageClockName, Base> = {
      ...alwaysWritten,
      monotonic: scaled(this.monotonicLessRealtimeNs),
      boottime: scaled(this.monotonicLessRealtimeNs + this.sleptNs),
      tai: scaled(this.taiOffset * SECOND),
      'monotonic-raw': { seconds: this.rawSeconds, nsecAsStored: this.rawNsec },
    };
    return {
      main: { ...words, mult: this.mult },
      raw: { ...words, mult: this.counter.multRaw },
      basetimes,
      hrtimerResNs: 1,
      namespaceNs: NO_NAMESPACE,
    };
  }
}
