import { LatchclockError } from '../errors.js';
import { NS_PER_SEC } from '../units.js';
import { type Line, scaledAt } from './line.js';
import type { SourceSample, TimeSource } from './source.js';

/** A simulated source at its start. */
export interface SimulatedStart {
  /** The counter's frequency, Hz. Default 1e9. */
  hz?: number;
  /** Default 1,000,000. */
  cycles?: bigint;
  /** Default 0. */
  monotonicNs?: bigint;
  /** UTC, ns since 1970. Default 1,800,000,000 s. */
  realtimeNs?: bigint;
  taiOffsetSeconds?: number;
  boundNs?: bigint;
  driftPpt?: bigint;
  isFree?: boolean;
}

const SHIFT = 32;

/** A source of time that goes as it is told, for simulations and tests: its counter stands until it is advanced. */
export class SimulatedSource implements TimeSource {
  readonly name = 'simulated';
  readonly hasGeneration = true;
  readonly isFree: boolean;
  readonly hz: number;
  readonly #nominal: bigint;
  readonly #boundNs: bigint;
  readonly #driftPpt: bigint;
  #cycles: bigint;
  #monotonic: Line;
  #raw: Line;
  #boottimeOffsetNs = 0n;
  #realtimeOffsetNs: bigint;
  #taiOffsetSeconds: number;
  #generation = 1n;
  #broken: string | null = null;

  constructor(start: SimulatedStart = {}) {
    this.hz = start.hz ?? 1e9;
    this.isFree = start.isFree ?? false;
    this.#nominal = BigInt(Math.round((1e9 / this.hz) * 2 ** SHIFT));
    this.#cycles = start.cycles ?? 1_000_000n;
    const line = { base: this.#cycles, mult: this.#nominal, shift: SHIFT };
    const monotonicNs = start.monotonicNs ?? 0n;
    this.#monotonic = { ...line, scaledNs: monotonicNs << BigInt(SHIFT) };
    this.#raw = { ...line, scaledNs: 0n };
    this.#realtimeOffsetNs = (start.realtimeNs ?? 1_800_000_000n * NS_PER_SEC) - monotonicNs;
    this.#taiOffsetSeconds = start.taiOffsetSeconds ?? 37;
    this.#boundNs = start.boundNs ?? 0n;
    this.#driftPpt = start.driftPpt ?? 0n;
  }

  counter(): bigint {
    return this.#cycles;
  }

  generation(): bigint {
    return this.#generation;
  }

  sample(): SourceSample {
    if (this.#broken !== null) throw new LatchclockError('ERR_SOURCE', this.#broken, { where: this.name });
    return {
      cycles: this.#cycles,
      monotonic: this.#monotonic,
      raw: this.#raw,
      boottimeOffsetNs: this.#boottimeOffsetNs,
      realtimeOffsetNs: this.#realtimeOffsetNs,
      taiOffsetSeconds: this.#taiOffsetSeconds,
      boundNs: this.#boundNs,
      driftPpt: this.#driftPpt,
      generation: this.#generation,
    };
  }

  /** Lets the counter run on. */
  advance(cycles: bigint): void {
    this.#cycles += cycles;
  }

  /** monotonic's rate from now on, beside the nominal, parts in 10^12. */
  setRate(ratePpt: bigint): void {
    const mult = (this.#nominal * (1_000_000_000_000n + ratePpt)) / 1_000_000_000_000n;
    this.#monotonic = this.#turned(this.#monotonic, 0n, mult);
  }

  /** Steps realtime and tai. */
  stepRealtime(byNs: bigint): void {
    this.#realtimeOffsetNs += byNs;
  }

  /** A leap second as the kernel makes it: realtime steps, and TAI - UTC changes against it. */
  leap(sign: 1 | -1): void {
    this.#realtimeOffsetNs -= BigInt(sign) * NS_PER_SEC;
    this.#taiOffsetSeconds += sign;
  }

  /** Sleep: the counter runs on, monotonic stands, boottime and realtime gain. */
  sleep(cycles: bigint): void {
    const ns = (cycles * this.#nominal) >> BigInt(SHIFT);
    const was = scaledAt(this.#monotonic, this.#cycles);
    this.#cycles += cycles;
    this.#monotonic = { ...this.#monotonic, base: this.#cycles, scaledNs: was };
    this.#boottimeOffsetNs += ns;
    this.#realtimeOffsetNs += ns;
  }

  /** Moves monotonic, which no sound source does. */
  jump(byNs: bigint): void {
    this.#monotonic = this.#turned(this.#monotonic, byNs << BigInt(SHIFT), this.#monotonic.mult);
  }

  /** monotonic stands still. */
  stop(): void {
    this.#monotonic = this.#turned(this.#monotonic, 0n, 0n);
  }

  /** The counter has another value, and clocks go on from there; with a new generation, or behind everybody's back. */
  moveCounter(cycles: bigint, isTold: boolean): void {
    const by = cycles - this.#cycles;
    this.#cycles = cycles;
    this.#monotonic = { ...this.#monotonic, base: this.#monotonic.base + by };
    this.#raw = { ...this.#raw, base: this.#raw.base + by };
    if (isTold) this.#generation++;
  }

  /** It cannot be read any longer. */
  break(what: string): void {
    this.#broken = what;
  }

  #turned(line: Line, by: bigint, mult: bigint): Line {
    return { ...line, base: this.#cycles, scaledNs: scaledAt(line, this.#cycles) + by, mult };
  }
}
