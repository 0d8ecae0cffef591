import { LatchclockError } from '../errors.js';
import { minBigint, NS_PER_SEC, U64_MAX } from '../units.js';

/** What the kernel derives from a counter's frequency when it registers a clocksource. */
export interface ClocksourceArithmetic {
  /** Nanoseconds per cycle, scaled by `2^shift`. */
  mult: bigint;
  shift: number;
  /** Largest delta whose narrow product cannot overflow 64 bits, cycles. */
  maxCycles: bigint;
  /** Longest time the kernel may go without an update, nanoseconds. */
  maxIdleNs: bigint;
}

const LONGEST_RANGE_SEC = 600n;
const U32_MAX = (1n << 32n) - 1n;

/**
 * `mult` and `shift` for a counter of `hz`, by the kernel's rules (`clocks_calc_mult_shift` for a range of 600 s,
 * `clocks_calc_max_nsecs`; kernel/time/clocksource.c), with `max_cycles` and `max_idle_ns` as the kernel's log
 * prints them. Divisions round to nearest for mult and down elsewhere.
 *
 * The range of 600 s holds for a 64-bit counter of any frequency: the kernel takes `mask / hz` seconds, at most
 * 600 where the mask is wider than 32 bits.
 *
 * @param hz counter frequency, Hz, 1..2^53
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if `hz` is out of range
 */
export function clocksourceArithmetic(hz: bigint): ClocksourceArithmetic {
  if (hz < 1n || hz > 1n << 53n) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', `a frequency of ${hz} Hz is out of range`, {
      where: 'clocksourceArithmetic',
    });
  }
  let accumulatorBits = 32n;
  for (let rest = (LONGEST_RANGE_SEC * hz) >> 32n; rest > 0n; rest >>= 1n) accumulatorBits--;
  let shift = 32n;
  let mult = 0n;
  for (; shift > 0n; shift--) {
    mult = ((NS_PER_SEC << shift) + hz / 2n) / hz;
    if (mult >> accumulatorBits === 0n) break;
  }
  let largestAdjustment = (mult * 11n) / 100n;
  while (mult + largestAdjustment > U32_MAX) {
    mult >>= 1n;
    shift--;
    largestAdjustment = (mult * 11n) / 100n;
  }
  const maxCycles = minBigint(U64_MAX / (mult + largestAdjustment), U64_MAX);
  const maxIdleNs = ((maxCycles * (mult - largestAdjustment)) >> shift) / 2n;
  return { mult, shift: Number(shift), maxCycles, maxIdleNs };
}
