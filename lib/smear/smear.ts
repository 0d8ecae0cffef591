import { aBigint, checkArgument } from '../arguments.js';
import { LatchclockError } from '../errors.js';
import { NS_PER_SEC } from '../units.js';
import { type Curve, largestShareRate, shareDone, shareRate } from './curve.js';
import { aLeap, anExactInstant, aPolicy, aTimeline, checkSmearAt } from './guards.js';
import type { Leap, LeapTimeline } from './leap.js';
import { curveOf, type SmearPolicy, windowOf } from './policy.js';
import { add, compare, multiply, nearest, ONE, type Rational, rational, subtract } from './rational.js';

/**
 * A policy at work on one leap second. Its **offset** is `smeared - (TAI - the TAI offset after the leap)`: from
 * +1 s (positive leap) or -1 s (negative) before the window to 0 after it. Instants are ns since 1970 on the TAI scale,
 * smeared times ns since 1970 as a POSIX clock counts.
 */
export interface Smear {
  readonly policy: SmearPolicy;
  readonly leap: Leap;
  readonly curve: Curve;
  /** TAI, ns: the window, its start included. */
  readonly startNs: bigint;
  readonly endNs: bigint;
}

function bad(what: string, policy: SmearPolicy, todo: string): LatchclockError {
  return new LatchclockError('ERR_BAD_ARGUMENT', what, { where: `policy ${policy.name}`, todo });
}

function isOverlap(policy: SmearPolicy, earlier: Leap, later: Leap): boolean {
  return (
    earlier.taiNs + windowOf(policy, earlier.sign).endNs > later.taiNs + windowOf(policy, later.sign).startNs
  );
}

/**
 * `policy` at work on `leap`.
 *
 * @param timeline the leap seconds around it
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if the window is empty or negative, or does not hold its ramps; if smeared
 *   time would stand still or go back in it; or if the windows of two leap seconds of the timeline overlap
 */
export function smearOf(policy: SmearPolicy, leap: Leap, timeline: LeapTimeline): Smear {
  checkArgument('smearOf', 'policy', policy, aPolicy);
  checkArgument('smearOf', 'leap', leap, aLeap);
  checkArgument('smearOf', 'timeline', timeline, aTimeline);
  const window = windowOf(policy, leap.sign);
  const curve = curveOf(policy, leap.sign);
  if (curve.shape !== 'step' && curve.windowNs <= 0n) {
    const what = curve.windowNs === 0n ? 'the window is empty' : 'the window ends before it starts';
    throw bad(what, policy, 'give a window that ends after its start');
  }
  if (curve.shape === 'quadratic' && (curve.rampNs <= 0n || 2n * curve.rampNs > curve.windowNs)) {
    throw bad('two ramps do not fit the window', policy, 'give a ramp of at most half of the window');
  }
  const largest = largestShareRate(curve);
  if (leap.sign === 1 && largest !== null && compare(multiply(largest, rational(NS_PER_SEC)), ONE) >= 0) {
    throw bad('smeared time would stand still or go back', policy, 'give a longer window');
  }
  const neighbours = timeline.leaps.filter(({ unixSeconds }) => unixSeconds !== leap.unixSeconds);
  for (const other of neighbours) {
    const [earlier, later] = other.unixSeconds < leap.unixSeconds ? [other, leap] : [leap, other];
    if (isOverlap(policy, earlier, later)) {
      throw bad(
        `the windows of the leap seconds of ${earlier.date} and ${later.date} overlap`,
        policy,
        'give a shorter window, or leap seconds that are farther apart',
      );
    }
  }
  return { policy, leap, curve, startNs: leap.taiNs + window.startNs, endNs: leap.taiNs + window.endNs };
}

/**
 * The offset (see {@link Smear}) at an instant, ns, which may be a fraction. Exact, but for a cosine: that is off by
 * less than 1e9 * 2^-121 < 1e-27 ns.
 */
export function offsetAt(smear: Smear, taiNs: bigint | Rational): Rational {
  checkSmearAt('offsetAt', smear, 'taiNs', taiNs, anExactInstant);
  const { leap, curve, startNs } = smear;
  const instant = typeof taiNs === 'bigint' ? rational(taiNs) : taiNs;
  const left = subtract(ONE, shareDone(curve, subtract(instant, rational(startNs))));
  return multiply(rational(BigInt(leap.sign) * NS_PER_SEC), left);
}

/** {@link offsetAt} to the nearest ns; of two that are equally near, the greater. */
export function offsetNsAt(smear: Smear, taiNs: bigint): bigint {
  checkSmearAt('offsetNsAt', smear, 'taiNs', taiNs, aBigint);
  return nearest(offsetAt(smear, taiNs));
}

/** What the smeared clock shows at an instant, ns, exact as {@link offsetAt}. */
export function smearedAt(smear: Smear, taiNs: bigint | Rational): Rational {
  checkSmearAt('smearedAt', smear, 'taiNs', taiNs, anExactInstant);
  const instant = typeof taiNs === 'bigint' ? rational(taiNs) : taiNs;
  const plain = subtract(instant, rational(BigInt(smear.leap.taiOffsetAfter) * NS_PER_SEC));
  return add(plain, offsetAt(smear, instant));
}

/** {@link smearedAt} to the nearest ns; of two that are equally near, the greater. */
export function smearedNsAt(smear: Smear, taiNs: bigint): bigint {
  checkSmearAt('smearedNsAt', smear, 'taiNs', taiNs, aBigint);
  return nearest(smearedAt(smear, taiNs));
}

/**
 * The rate of the smeared clock less 1: negative while it runs slow. Dimensionless; at kinks the rate after them. Exact,
 * but for a cosine: that is off by less than 1e9 * 2^-119 / the window in ns. 0 for `step`, whose jump has none.
 */
export function rateAt({ leap, curve, startNs }: Smear, taiNs: bigint | Rational): Rational {
  const instant = typeof taiNs === 'bigint' ? rational(taiNs) : taiNs;
  return multiply(
    rational(-BigInt(leap.sign) * NS_PER_SEC),
    shareRate(curve, subtract(instant, rational(startNs))),
  );
}

/** The rate that is largest in magnitude, as {@link rateAt}; null for `step`. For a cosine to 1 part in 2^128. */
export function largestRate({ leap, curve }: Smear): Rational | null {
  const share = largestShareRate(curve);
  return share === null ? null : multiply(rational(-BigInt(leap.sign) * NS_PER_SEC), share);
}

/** The instants at which a stepping clock shows a time: two for the second that it repeats, none for one left out. */
function unsmearStep({ leap }: Smear, smearedNs: bigint): bigint[] {
  const before = smearedNs + BigInt(leap.taiOffsetBefore) * NS_PER_SEC;
  const after = smearedNs + BigInt(leap.taiOffsetAfter) * NS_PER_SEC;
  return [...(before < leap.taiNs ? [before] : []), ...(after >= leap.taiNs ? [after] : [])];
}

/**
 * The instants (TAI, ns) at which the smeared clock shows `smearedNs`, each to the nearest ns: one, but for `step`,
 * which shows a second twice at a positive leap and leaves one out at a negative.
 *
 * From an instant to {@link smearedNsAt} and back the way is off by the rounding of the smeared time to a ns, over the
 * clock's rate, and that of the result: by no more than 1 ns where the rate is at least 1/2.
 */
export function unsmear(smear: Smear, smearedNs: bigint): bigint[] {
  checkSmearAt('unsmear', smear, 'smearedNs', smearedNs, aBigint);
  if (smear.curve.shape === 'step') return unsmearStep(smear, smearedNs);
  const wanted = rational(smearedNs);
  const after = smearedNs + BigInt(smear.leap.taiOffsetAfter) * NS_PER_SEC;
  // The offset is between 0 and sign * 1 s. `low - 1/2` shows less than wanted or just that, `high + 1/2` more.
  let low = smear.leap.sign === 1 ? after - NS_PER_SEC : after;
  let high = smear.leap.sign === 1 ? after : after + NS_PER_SEC;
  while (low < high) {
    const middle = (low + high) >> 1n;
    if (compare(smearedAt(smear, rational(2n * middle + 1n, 2n)), wanted) > 0) high = middle;
    else low = middle + 1n;
  }
  return [low];
}
