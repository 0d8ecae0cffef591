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

/**
 * A clock that is off by `lost` of `per` of the time since the start, and puts itself right at the end, whatever it has
 * come to: by what it shows before, `before` s behind TAI, and `after` s after the end.
 */
function cutOff(
  sign: 1 | -1,
  [start, end]: readonly [bigint, bigint],
  [lost, per]: readonly [bigint, bigint],
): Oracle {
  return {
    start,
    end,
    smearedNs: (tai) =>
      tai >= end
        ? tai - BEFORE - BigInt(sign) * SECOND
        : nearestQuotient((tai - BEFORE) * per - BigInt(sign) * lost * (tai - start), per),
  };
}

/**
 * What ntpd and NTPsec do at a negative leap: by the label of the last 00:00:00 they are done, a second of which is left
 * out. The labels before it are TAI - 36 s.
 */
function labelled(
  interval: bigint,
  done: (elapsed: bigint, window: bigint) => readonly [bigint, bigint],
): Oracle {
  const midnight = unixNs('2017-01-01T00:00:00Z');
  const window = interval * SECOND;
  const leap = leapInstant(-1);
  return {
    start: midnight - window + BEFORE,
    end: leap,
    smearedNs: (tai) => {
      // After the leap the labels are a second ahead, and no offset is left.
      if (tai >= leap) return tai - BEFORE + SECOND;
      const label = tai - BEFORE;
      const [part, whole] = done(label - (midnight - window), window);
      return nearestQuotient(label * whole + SECOND * part, whole);
    },
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

/** A negative leap second of fbclock: from the first 00:00:00 by the offset before, one second after the leap. */
const FBCLOCK_NEGATIVE = taiBefore('2017-01-01T00:00:00Z');

/** The policies of the documents, for the leap second at the end of 2016-12-31. */
export function oracles(sign: 1 | -1): Readonly<Record<string, Oracle>> {
  const leap = leapInstant(sign);
  const fbclock = sign === 1 ? leap : FBCLOCK_NEGATIVE;
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
    meta: cutOff(sign, [fbclock, fbclock + 62_500n * SECOND], [1n, 62_500n]),
    // A ns each 65 us.
    'meta-2024': cutOff(sign, [fbclock, fbclock + 62_500n * SECOND], [1n, 65_000n]),
    chrony: { start: leap, end: leap + 62_500n * SECOND, smearedNs: chrony(sign) },
    ntpd:
      sign === 1
        ? { start: leap - 86_400n * SECOND, end: leap, smearedNs: cosineUntilLeap(sign, 86_400n) }
        : labelled(86_400n, (elapsed, window) => [UNIT - cosineOfPi(elapsed, window), 2n * UNIT]),
    ntpsec:
      sign === 1
        ? linear(sign, leap - 86_400n * SECOND, leap)
        : labelled(86_400n, (elapsed, window) => [elapsed, window]),
  };
}
