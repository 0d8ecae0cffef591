/**
 * A straight line of nanoseconds over readings of the counter, exact:
 * `(scaledNs + (cycles - base) * mult) / 2^shift`. Readings may lie before `base`.
 */
export interface Line {
  /** Cycles. */
  readonly base: bigint;
  /** ns at `base`, scaled by `2^shift`; may be negative. */
  readonly scaledNs: bigint;
  /** ns a cycle, scaled by `2^shift`. */
  readonly mult: bigint;
  /** 0..63. */
  readonly shift: number;
}

/** The line's value at a reading, ns scaled by `2^shift`. Exact. */
export function scaledAt({ base, scaledNs, mult }: Line, cycles: bigint): bigint {
  return scaledNs + (cycles - base) * mult;
}

/** The line's value at a reading, ns, rounded down. */
export function nsAt(line: Line, cycles: bigint): bigint {
  return scaledAt(line, cycles) >> BigInt(line.shift);
}

/** `value`, scaled by `2^from`, scaled by `2^to` instead; rounded down where bits are lost. */
export function rescaled(value: bigint, from: number, to: number): bigint {
  return to >= from ? value << BigInt(to - from) : value >> BigInt(from - to);
}

/** The first reading at which a line that rises shows `ns` or more. */
export function readingAt({ base, scaledNs, mult, shift }: Line, ns: bigint): bigint {
  const missing = (ns << BigInt(shift)) - scaledNs;
  // Division rounds towards zero: that is up where the reading lies before the base.
  return base + missing / mult + (missing > 0n && missing % mult !== 0n ? 1n : 0n);
}
