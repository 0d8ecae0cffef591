/** What an offset may be followed by, and what a second has of it as a power of ten. */
const DIGITS_OF_UNIT: Readonly<Record<string, number>> = {
  s: 0,
  ms: 3,
  us: 6,
  '\u00b5s': 6,
  '\u03bcs': 6,
  ns: 9,
};
const OFFSET = /^([+-]?)(\d{1,12})(?:\.(\d{1,20}))?(?:[eE]([+-]?\d{1,2}))?(s|ms|us|[\u00b5\u03bc]s|ns)?$/;
const NS_DIGITS = 9;
/** No clock that NTP can tell of is farther off: half of its era. */
const MOST_NS = 1n << 61n;

/**
 * An offset as programs print it: decimal, with an exponent if need be (`-4.966e-03`), and `s`, `ms`, `us` or `ns` behind it.
 *
 * @param unit what the number counts if no unit is behind it
 * @returns ns, to the nearest, of two that are equally near the one farther from 0; null if the text is no offset, or one
 *   of more than 2^61 ns
 */
export function parseOffset(text: string, unit: 's' | 'ms' = 's'): bigint | null {
  const [, sign, whole, fraction = '', exponent = '0', own = unit] = OFFSET.exec(text) ?? [];
  if (whole === undefined) return null;
  const digits = BigInt(whole + fraction);
  const shift = NS_DIGITS - (DIGITS_OF_UNIT[own] as number) + Number(exponent) - fraction.length;
  const divisor = 10n ** BigInt(Math.max(0, -shift));
  const size = (2n * digits * 10n ** BigInt(Math.max(0, shift)) + divisor) / (2n * divisor);
  if (size > MOST_NS) return null;
  return sign === '-' ? -size : size;
}
