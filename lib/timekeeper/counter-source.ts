import { LatchclockError } from '../errors.js';
import type { Host } from '../host/host.js';
import { CounterMethod } from '../native/addon.js';
import { type Line, rescaled, scaledAt } from './line.js';
import type { SourceSample, TimeSource } from './source.js';
import { readOf } from './source-error.js';

const NAME = 'counter';
/** 50 ppm: what a computer's oscillator is off by, as a rule. */
const OSCILLATOR_PPT = 50_000_000n;
const SHIFT = 48;

export interface CounterSourceOptions {
  /** The counter's frequency, Hz: 1e6..1e11. Default: what monotonic-raw of the first source says. */
  hz?: number;
  /**
   * How far the oscillator's frequency may be from that, parts in 10^12: manufacture, temperature, age. Default 50 ppm.
   * Whoever disciplines the clock may know it better.
   */
  driftPpt?: bigint;
}

/**
 * The counter alone: the clocks are another source's at one reading of the counter, and go on at one rate, which nobody
 * corrects but the owner of the timekeeper. Of what the kernel does later (steps, TAI offset, sleep) it knows nothing.
 */
class CounterSource implements TimeSource {
  readonly name = NAME;
  readonly hasGeneration = false;
  readonly isFree = true;
  readonly hz: number;
  readonly #host: Host;
  readonly #start: TimeSource;
  readonly #givenHz: number | null;
  readonly #driftPpt: bigint;
  #first: SourceSample;

  constructor(host: Host, start: TimeSource, hz: number | null, driftPpt: bigint) {
    this.#host = host;
    this.#start = start;
    this.hz = hz ?? start.hz;
    this.#givenHz = hz;
    this.#driftPpt = driftPpt;
    this.#first = this.#begun();
  }

  restart(): void {
    this.#first = this.#begun();
  }

  #begun(): SourceSample {
    const hz = this.#givenHz;
    const first = this.#start.sample();
    const mult =
      hz === null
        ? rescaled(first.raw.mult, first.raw.shift, SHIFT)
        : BigInt(Math.round((1e9 / hz) * 2 ** SHIFT));
    const from = (line: Line): Line => ({
      base: first.cycles,
      scaledNs: rescaled(scaledAt(line, first.cycles), line.shift, SHIFT),
      mult,
      shift: SHIFT,
    });
    return {
      ...first,
      monotonic: from(first.monotonic),
      raw: from(first.raw),
      driftPpt: this.#driftPpt,
      generation: 0n,
    };
  }

  counter(): bigint {
    return readOf(NAME, () => this.#host.addon.readCounter(CounterMethod['lfence-rdtsc']));
  }

  sample(): SourceSample {
    return { ...this.#first, cycles: this.counter() };
  }
}

/**
 * A source that runs free from one sample of another on ({@link CounterSource}), for those who discipline the clock
 * themselves: `boundNs` stays as it was at that sample, since there is nothing else to be away from.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for a frequency or a drift out of range; what the first sample throws
 */
export function counterSource(
  host: Host,
  start: TimeSource,
  { hz, driftPpt = OSCILLATOR_PPT }: CounterSourceOptions = {},
): TimeSource {
  const bad = (what: string, todo: string): LatchclockError =>
    new LatchclockError('ERR_BAD_ARGUMENT', what, { where: 'counterSource', todo });
  if (hz !== undefined && !(hz >= 1e6 && hz <= 1e11)) {
    throw bad(`a frequency of ${hz} Hz is out of range`, 'give 1e6 to 1e11 Hz');
  }
  if (driftPpt < 0n) throw bad(`a drift of ${driftPpt} ppt is below 0`, 'give parts in 10^12, 0 or more');
  return new CounterSource(host, start, hz ?? null, driftPpt);
}
