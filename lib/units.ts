/** Nanoseconds in a second. */
export const NS_PER_SEC = 1_000_000_000n;

const U64_MODULUS = 1n << 64n;

/** Largest unsigned 64-bit integer. */
export const U64_MAX = U64_MODULUS - 1n;

/** True if `value` fits an unsigned 64-bit integer. */
export function isU64(value: bigint): boolean {
  return value >= 0n && value <= U64_MAX;
}

/** `value` modulo 2^64, as unsigned: how 64-bit registers add, subtract and multiply. */
export function wrapU64(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}

/** Seconds and nanoseconds as one count of nanoseconds; either part may be negative. */
export function toNs(seconds: bigint, nanoseconds: bigint): bigint {
  return seconds * NS_PER_SEC + nanoseconds;
}

/** The smaller of two integers. */
export function minBigint(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

/** The greater of two integers. */
export function maxBigint(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/**
 * `(value / reference - 1) * 1e6`: how far a rate lies from a reference, in parts per million. A positive result
 * means that `value` is larger. Evaluated in floating point: exact to about 1e-10 ppm.
 */
export function ppmBetween(value: number, reference: number): number {
  return ((value - reference) / reference) * 1e6;
}
