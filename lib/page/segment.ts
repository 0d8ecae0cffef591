import { aBigint, anInteger, anObject, aU64, checkArgument, oneOf } from '../arguments.js';
import { LatchclockError } from '../errors.js';
import { U64_MAX, wrapU64 } from '../units.js';

/**
 * What a page says of a counter outside the window of a segment:
 *
 * | rule | counter behind the base | counter at or past `base + maxDelta` |
 * |---|---|---|
 * | `refuse` | an error | an error |
 * | `clamp-wide` | the value at the base | 128-bit product and sum, 64 bits after the shift: Linux 6.10 and later |
 * | `clamp-narrow` | the value at the base | product and sum wrap at 64 bits: Linux before 6.10 |
 *
 * `clamp-wide` works on 63-bit cycles and calls a counter "behind" when bit 62 of the difference is set;
 * `clamp-narrow` compares 64-bit cycles (arch/x86/include/asm/vdso/gettimeofday.h in each).
 */
export type OutOfWindowRule = 'refuse' | 'clamp-wide' | 'clamp-narrow';

/**
 * A straight piece of a clock: `wholeNs + ((scaledNs + (cycles - base) * mult) >> shift)`. The design's
 * `offset` is `(wholeNs << shift) + scaledNs`, kept in two parts because the kernel's narrow arithmetic wraps
 * in the second part only. Immutable.
 */
export interface Segment {
  /** Counter reading at which the segment starts, cycles, unsigned 64 bits. */
  readonly base: bigint;
  /** Length of the window, cycles: valid for `0 <= cycles - base < maxDelta`. At most 2^64. */
  readonly maxDelta: bigint;
  /** Nanoseconds per cycle, scaled by `2^shift`; unsigned, at most 64 bits. */
  readonly mult: bigint;
  /** 0..63 for the kernel's arithmetic; any whole number from 0 for exact arithmetic. */
  readonly shift: number;
  /** Nanoseconds; may be negative (a time namespace). */
  readonly wholeNs: bigint;
  /** Nanoseconds scaled by `2^shift`, unsigned 64 bits. */
  readonly scaledNs: bigint;
  readonly outOfWindow: OutOfWindowRule;
}

const S64_MAX = U64_MAX >> 1n;
const BIT_62 = 1n << 62n;

const RULES: readonly OutOfWindowRule[] = ['refuse', 'clamp-wide', 'clamp-narrow'];
/** Exact arithmetic has no limit, but a bigint has. */
const MOST_SHIFT = 65_536;
const aShift = anInteger(0, MOST_SHIFT);
const aSegment = anObject({
  base: aBigint,
  maxDelta: aBigint,
  mult: aBigint,
  shift: aShift,
  wholeNs: aBigint,
  scaledNs: aBigint,
  outOfWindow: oneOf(RULES),
});
const aRate = anObject({ mult: aBigint, shift: aShift });

/**
 * True if `cycles` lies in the window of `segment`, taking `cycles - base` as unsigned 64 bits.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for what is no segment, or no bigint
 */
export function isInWindow(segment: Segment, cycles: bigint): boolean {
  checkArgument('isInWindow', 'segment', segment, aSegment);
  checkArgument('isInWindow', 'cycles', cycles, aBigint);
  return isInside(segment, cycles);
}

function isInside(segment: Segment, cycles: bigint): boolean {
  return wrapU64(cycles - segment.base) < segment.maxDelta;
}

function nsAt(segment: Segment, delta: bigint): bigint {
  return segment.wholeNs + ((segment.scaledNs + delta * segment.mult) >> BigInt(segment.shift));
}

function nsAtNarrow(segment: Segment, delta: bigint): bigint {
  return segment.wholeNs + (wrapU64(segment.scaledNs + delta * segment.mult) >> BigInt(segment.shift));
}

/** A 128-bit product and sum, of which the kernel's function returns 64 bits after the shift. */
function nsAtWide(segment: Segment, delta: bigint): bigint {
  return segment.wholeNs + wrapU64((segment.scaledNs + delta * segment.mult) >> BigInt(segment.shift));
}

/**
 * The clock's value at a counter reading, nanoseconds, rounded down (towards minus infinity), bit for bit as the
 * page's own reader computes it.
 *
 * @param cycles counter reading, unsigned 64 bits
 * @throws LatchclockError `ERR_OUT_OF_WINDOW` outside the window of a segment whose rule is `refuse`;
 *   `ERR_BAD_ARGUMENT` for what is no segment, or `cycles` that are no unsigned 64-bit integer
 */
export function evaluate(segment: Segment, cycles: bigint): bigint {
  checkArgument('evaluate', 'segment', segment, aSegment);
  checkArgument('evaluate', 'cycles', cycles, aU64);
  switch (segment.outOfWindow) {
    case 'refuse': {
      if (isInside(segment, cycles)) return nsAt(segment, wrapU64(cycles - segment.base));
      throw new LatchclockError('ERR_OUT_OF_WINDOW', `counter ${cycles} is outside the window`, {
        where: `base ${segment.base}, maxDelta ${segment.maxDelta}`,
        todo: 'read the page again, or ask the kernel by system call',
      });
    }
    case 'clamp-wide': {
      const delta = wrapU64((cycles & S64_MAX) - segment.base);
      if (delta < segment.maxDelta) return nsAtNarrow(segment, delta);
      if ((delta & BIT_62) !== 0n) return nsAt(segment, 0n);
      return nsAtWide(segment, delta & S64_MAX);
    }
    case 'clamp-narrow':
      return nsAtNarrow(segment, cycles > segment.base ? cycles - segment.base : 0n);
  }
}

/**
 * Nanoseconds per second of the counter's own rate: the counter's frequency in Hz, `1e9 * 2^shift / mult`.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for what has no mult and shift
 */
export function frequencyHz(segment: Pick<Segment, 'mult' | 'shift'>): number {
  checkArgument('frequencyHz', 'segment', segment, aRate);
  // mult is below 2^64 and the quotient is wanted to 1e-15 only: doubles do.
  return (1e9 * 2 ** segment.shift) / Number(segment.mult);
}
