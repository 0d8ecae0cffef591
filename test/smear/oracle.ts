/**
 * Smears computed again, by other means than lib/smear: windows from the civil times in the documents, the smeared time
 * itself instead of its offset, areas under rates instead of polynomials, and cosines by angle doubling in 512 bits with
 * pi from Machin's formula.
 */

const BITS = 512n;
const UNIT = 1n << BITS;
const SECOND = 1_000_000_000n;

function arctanOfInverse(n: bigint): bigint {
  let power = UNIT / n;
  let sum = 0n;
  for (let k = 0n; power > 0n; k++) {
    sum += (k % 2n === 0n ? power : -power) / (2n * k + 1n);
    power /= n * n;
  }
  return sum;
}

/** pi * 2^512, to about 2^-500. */
export const MACHIN_PI = 4n * (4n * arctanOfInverse(5n) - arctanOfInverse(239n));

const DOUBLINGS = 64n;

/** cos(pi p / q) * 2^512, to about 2^-250: cos of the angle over 2^64 by three terms, then cos 2a = 2 cos^2 a - 1. */
export function cosineOfPi(p: bigint, q: bigint): bigint {
  const angle = ((MACHIN_PI * p) / q) >> DOUBLINGS;
  const square = (angle * angle) >> BITS;
  let cosine = UNIT - square / 2n + ((square * square) >> BITS) / 24n;
  for (let i = 0n; i < DOUBLINGS; i++) cosine = ((2n * cosine * cosine) >> BITS) - UNIT;
  return cosine;
}

function unixNs(time: string): bigint {
  return BigInt(Date.parse(time)) * 1_000_000n;
}

/** The day 2016-12-31 with 36 s before it and 37 s (or 35 s) after. */
const BEFORE = 36n * SECOND;
/** TAI when a clock that knows nothing of the leap shows a time. */
const taiBefore = (time: string): bigint => unixNs(time) + BEFORE;
const taiAfter = (time: string, sign: 1 | -1): bigint => unixNs(time) + BEFORE + BigInt(sign) * SECOND;

/** A quotient, rounded as lib/smear promises: to the nearest, up where two are. */
function nearestQuotient(p: bigint, q: bigint): bigint {
  const twice = 2n * p + q;
  const quotient = twice / (2n * q);
  return twice < 0n && quotient * 2n * q !== twice ? quotient - 1n : quotient;
}

/** The smeared clock between two instants at which it shows known times, at a constant rate. */
function straight(fromTai: bigint, toTai: bigint, from: bigint, to: bigint) {
  return (tai: bigint): bigint => from + nearestQuotient((tai - fromTai) * (to - from), toTai - fromTai);
}

/** The smeared clock of a cosine that ends at L, after so many seconds. */
function cosineUntilLeap(sign: 1 | -1, seconds: bigint) {
  const end = leapInstant(sign);
  const window = seconds * SECOND;
  return (tai: bigint): bigint => {
    const lie = (SECOND * (UNIT - cosineOfPi(tai - (end - window), window))) / 2n;
    return nearestQuotient((tai - BEFORE) * UNIT - BigInt(sign) * lie, UNIT);
  };
}

function leapInstant(sign: 1 | -1): bigint {
  // 24:00:00 of a day without a leap second; a negative one takes the last second away.
  return taiBefore('2017-01-01T00:00:00Z') - (sign === 1 ? 0n : SECOND);
}

/** chrony's: the clock is slowed by 0.001024 ppm more each second, up to 32 ppm, and back: areas of triangles. */
function chrony(sign: 1 | -1) {
  const start = leapInstant(sign);
  const peak = 31_250n * SECOND;
  const end = 62_500n * SECOND;
  return (tai: bigint): bigint => {
    const elapsed = tai - start;
    // Lost ns: half of base * height, height = base * 1.024e-9 / s = base (ns) * 1.024e-18.
    const triangle = (base: bigint): bigint => base * base * 1024n;
    const area = elapsed <= peak ? triangle(elapsed) : 2n * triangle(peak) - triangle(end - elapsed);
    const scale = 2n * 10n ** 21n;
    return nearestQuotient((tai - BEFORE) * scale - BigInt(sign) * area, scale);
  };
}

export interface Oracle {
  /** TAI, ns: where the documents let the smear start and end. */
  start: bigint;
  end: bigint;
  /** What the smeared clock shows in between, ns since 1970, to the nearest. */
  smearedNs(tai: bigint): bigint;
}

function linear(sign: 1 | -1, start: bigint, end: bigint): Oracle {
  const after = BEFORE + BigInt(sign) * SECOND;
  return { start, end, smearedNs: straight(start, end, start - BEFORE, end - after) };
}

/** The policies of the documents, for the leap second at the end of 2016-12-31. */
export function oracles(sign: 1 | -1): Readonly<Record<string, Oracle>> {
  const leap = leapInstant(sign);
  const google24h = linear(sign, taiBefore('2016-12-31T12:00:00Z'), taiAfter('2017-01-01T12:00:00Z', sign));
  return {
    'google-24h': google24h,
    aws: google24h,
    'google-20h': linear(sign, taiBefore('2016-12-31T14:00:00Z'), taiAfter('2017-01-01T10:00:00Z', sign)),
    'google-2011': {
      start: leap - 72_000n * SECOND,
      end: leap,
      smearedNs: cosineUntilLeap(sign, 72_000n),
    },
    'utc-sls': linear(
      sign,
      taiBefore(sign === 1 ? '2016-12-31T23:43:21Z' : '2016-12-31T23:43:19Z'),
      taiAfter('2017-01-01T00:00:00Z', sign),
    ),
    bloomberg: linear(sign, leap, leap + 2000n * SECOND),
    meta: linear(sign, leap, leap + 62_500n * SECOND),
    chrony: { start: leap, end: leap + 62_500n * SECOND, smearedNs: chrony(sign) },
    ntpd: { start: leap - 86_400n * SECOND, end: leap, smearedNs: cosineUntilLeap(sign, 86_400n) },
    ntpsec: linear(sign, leap - 86_400n * SECOND, leap),
  };
}
