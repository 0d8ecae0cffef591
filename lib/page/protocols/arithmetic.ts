import { wrapU64 } from '../../units.js';

/** How a reader computes: modulo 2^64, right under the bound that a page's header declares, or with 128 bits. */
export type ReaderArithmetic = 'narrow' | 'wide';

/** The words of a copy that a value is computed from, each unsigned 64 bits. */
export interface ValueWords {
  readonly base: bigint;
  readonly mult: bigint;
  readonly fraction: bigint;
  readonly shift: bigint;
  readonly whole: bigint;
}

/**
 * `whole + (((cycles - base) * mult + fraction) >> shift)`, nanoseconds as a signed 64-bit number, rounded down, as
 * the compiled readers compute it from any words: the shift modulo 64, the difference modulo 2^64, product and sum
 * modulo 2^64 (`narrow`) or exact (`wide`: they fit 128 bits), the last sum modulo 2^64.
 */
export function nanosecondsAt(arithmetic: ReaderArithmetic, cycles: bigint, words: ValueWords): bigint {
  const exact = wrapU64(cycles - words.base) * words.mult + words.fraction;
  const sum = arithmetic === 'narrow' ? wrapU64(exact) : exact;
  return BigInt.asIntN(64, words.whole + (sum >> (words.shift & 63n)));
}

/** What a reader without a window takes for the counter: a counter behind the base reads as the base. */
export function clampedCycles(cycles: bigint, base: bigint): bigint {
  return BigInt.asIntN(64, cycles - base) < 0n ? base : cycles;
}
