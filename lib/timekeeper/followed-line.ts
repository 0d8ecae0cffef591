import { maxBigint } from '../units.js';
import { type Line, scaledAt } from './line.js';

/** A clock's value, rounded down, somewhere between two readings of the counter. */
export interface ClockBracket {
  readonly before: bigint;
  readonly ns: bigint;
  readonly after: bigint;
}

/** A line through brackets, and how far it can be trusted. */
export interface FollowedLine {
  readonly line: Line;
  /** How far the clock may be from the line at `line.base`, ns, rounded up. */
  readonly boundNs: bigint;
  /** How far the clock's rate may be from the line's, parts in 10^12, rounded up. */
  readonly driftPpt: bigint;
}

/** Of the lines: a rate is kept far below 10^-12 for counters up to 2^44 Hz. */
export const FOLLOWED_SHIFT = 56;
const PARTS = 1_000_000_000_000n;
/** The largest change of rate that is taken for a correction: adjtime's 500 ppm, and some. What is more is a jump. */
const MOST_CORRECTION_PPT = 600_000_000n;

/** ns of cycles at a mult of {@link FOLLOWED_SHIFT}, rounded up. */
export function nsOfCycles(cycles: bigint, mult: bigint): bigint {
  return -((-cycles * mult) >> BigInt(FOLLOWED_SHIFT));
}

function middle({ before, after }: ClockBracket): bigint {
  return (before + after) >> 1n;
}

function magnitude(value: bigint): bigint {
  return value < 0n ? -value : value;
}

/** A part of a whole, in 10^12, rounded up. */
function partsOf(part: bigint, whole: bigint): bigint {
  return (magnitude(part) * PARTS + whole - 1n) / whole;
}

/** What a bracket leaves open of the clock at its middle. */
export interface Openness {
  /** Steps of the counter, cycles. */
  readonly counterStep: bigint;
  /** Steps of the clock, ns: at least 1, since values are rounded down. */
  readonly clockStepNs: bigint;
}

/**
 * Follows a clock by brackets: a line goes through the middle of the last one, with the rate from an older one. The older
 * one is half a span to a span old, once there is one, so that what brackets leave open is spread over a long time; and
 * starts anew where the last bracket is not where the line said: after a correction with the rate since the bracket before
 * it, and a drift that holds whatever adjtime does; after a jump with the rate from before it.
 */
export class LineFollower {
  readonly #openness: Openness;
  readonly #spanNs: bigint;
  readonly #ditherPpt: bigint;
  #older: ClockBracket;
  /** The older one to come. */
  #newer: ClockBracket;
  #last: { bracket: ClockBracket; followed: FollowedLine } | null = null;

  /**
   * @param spanNs how far back the older bracket is at the most, ns
   * @param ditherPpt how far the clock's rate now may be from its rate over the span, parts in 10^12
   */
  constructor(first: ClockBracket, openness: Openness, spanNs: bigint, ditherPpt: bigint) {
    this.#older = first;
    this.#newer = first;
    this.#openness = openness;
    this.#spanNs = spanNs;
    this.#ditherPpt = ditherPpt;
  }

  /** The line with one bracket more, which must be later than those before it by some time. */
  take(bracket: ClockBracket): FollowedLine {
    const followed = this.#follow(bracket);
    if (bracket.ns - this.#newer.ns >= this.#spanNs / 2n) {
      this.#older = this.#newer;
      this.#newer = bracket;
    }
    return followed;
  }

  #follow(bracket: ClockBracket): FollowedLine {
    const fresh = this.#through(this.#older, bracket);
    const before = this.#last;
    this.#last = { bracket, followed: fresh };
    if (before === null) return fresh;
    const { bracket: lastBracket, followed: last } = before;
    if (this.#isWhereExpected(last, fresh)) return fresh;
    this.#older = bracket;
    this.#newer = bracket;
    // The next one has no line to be held against, for this one's rate is a guess.
    this.#last = null;
    const implied = this.#through(lastBracket, bracket);
    const turnPpt = partsOf(implied.line.mult - last.line.mult, last.line.mult);
    if (turnPpt <= MOST_CORRECTION_PPT) {
      // Nothing says when it turned: just now, it may have turned to anything that a correction can.
      return { ...implied, driftPpt: implied.driftPpt + MOST_CORRECTION_PPT };
    }
    const line = { ...fresh.line, mult: last.line.mult };
    return { line, boundNs: this.#boundNs(bracket, last.line.mult), driftPpt: last.driftPpt };
  }

  #isWhereExpected(last: FollowedLine, { line, boundNs }: FollowedLine): boolean {
    const elapsed = line.base - last.line.base;
    const error = magnitude(line.scaledNs - scaledAt(last.line, line.base)) >> BigInt(FOLLOWED_SHIFT);
    const driftNs = (nsOfCycles(maxBigint(elapsed, 0n), last.line.mult) * last.driftPpt) / PARTS + 1n;
    return error <= boundNs + last.boundNs + driftNs;
  }

  #boundNs({ before, after }: ClockBracket, mult: bigint): bigint {
    const { counterStep, clockStepNs } = this.#openness;
    return nsOfCycles(after - middle({ before, after, ns: 0n }) + counterStep, mult) + clockStepNs;
  }

  #through(older: ClockBracket, bracket: ClockBracket): FollowedLine {
    const scale = BigInt(FOLLOWED_SHIFT);
    const base = middle(bracket);
    const ns = maxBigint(bracket.ns - older.ns, 1n);
    const mult = (ns << scale) / maxBigint(base - middle(older), 1n);
    const boundNs = this.#boundNs(bracket, mult);
    return {
      // The value was rounded down: half a ns more is its middle.
      line: { base, scaledNs: (bracket.ns << scale) + (1n << (scale - 1n)), mult, shift: FOLLOWED_SHIFT },
      boundNs,
      driftPpt: partsOf(boundNs + this.#boundNs(older, mult), ns) + this.#ditherPpt,
    };
  }
}
