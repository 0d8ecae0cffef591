import { aBigint, checkArgument } from '../arguments.js';
import { LatchclockError } from '../errors.js';
import { minBigint, NS_PER_SEC } from '../units.js';
import { type Coverage, coverageOf, holdCovered, instantName } from './coverage.js';
import { type Curve, finalStep, largestShareRate, shareBefore, shareDone, shareRate } from './curve.js';
import { formatSeconds } from './decimal.js';
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
  /** What the timeline covers: no function here maps a time outside of it. */
  readonly coverage: Coverage;
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
 *   time would stand still or go back in it; if the windows of two leap seconds of the timeline overlap; or if the
 *   timeline does not cover the window
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
  if ((curve.shape === 'linear' || curve.shape === 'cosine') && curve.spanNs < curve.windowNs) {
    throw bad('the leap is done before the window ends', policy, 'give a span that is as long as the window');
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
  const [startNs, endNs] = [leap.taiNs + window.startNs, leap.taiNs + window.endNs];
  const coverage = coverageOf(timeline);
  for (const edge of [startNs, endNs]) {
    holdCovered(coverage, edge, (tai) => `policy ${policy.name}, whose window has ${instantName(tai)}`);
  }
  return { policy, leap, curve, startNs, endNs, coverage };
}

/** {@link offsetAt} for an instant that is known to be covered. */
function offsetOf({ leap, curve, startNs }: Smear, instant: Rational): Rational {
  const left = subtract(ONE, shareDone(curve, subtract(instant, rational(startNs))));
  return multiply(rational(BigInt(leap.sign) * NS_PER_SEC), left);
}

/**
 * What the offset comes to from before an instant, ns: {@link offsetAt}, but at the end of a window that ends in a step.
 * Exact as that.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` as {@link offsetAt}
 */
export function offsetBefore(smear: Smear, taiNs: bigint | Rational): Rational {
  const { leap, curve, startNs, coverage } = smear;
  holdCovered(coverage, taiNs);
  const instant = typeof taiNs === 'bigint' ? rational(taiNs) : taiNs;
  const left = subtract(ONE, shareBefore(curve, subtract(instant, rational(startNs))));
  return multiply(rational(BigInt(leap.sign) * NS_PER_SEC), left);
}

/**
 * How far the smeared clock steps at the end of its window, ns: back, and so negative, at a positive leap. 0 for most
 * policies, the whole leap for `step`. Exact as {@link offsetAt}.
 */
export function finalStepNs({ leap, curve }: Smear): Rational {
  return multiply(rational(-BigInt(leap.sign) * NS_PER_SEC), finalStep(curve));
}

/** {@link smearedAt} for an instant that is known to be covered. */
function smearedOf(smear: Smear, instant: Rational): Rational {
  const plain = subtract(instant, rational(BigInt(smear.leap.taiOffsetAfter) * NS_PER_SEC));
  return add(plain, offsetOf(smear, instant));
}

/**
 * The offset (see {@link Smear}) at an instant, ns, which may be a fraction. Exact, but for a cosine: that is off by
 * less than 1e9 * 2^-121 < 1e-27 ns.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if the table of leap seconds does not cover the instant
 */
export function offsetAt(smear: Smear, taiNs: bigint | Rational): Rational {
  checkSmearAt('offsetAt', smear, 'taiNs', taiNs, anExactInstant);
  holdCovered(smear.coverage, taiNs);
  return offsetOf(smear, typeof taiNs === 'bigint' ? rational(taiNs) : taiNs);
}

/** {@link offsetAt} to the nearest ns; of two that are equally near, the greater. Throws as that. */
export function offsetNsAt(smear: Smear, taiNs: bigint): bigint {
  checkSmearAt('offsetNsAt', smear, 'taiNs', taiNs, aBigint);
  return nearest(offsetAt(smear, taiNs));
}

/** What the smeared clock shows at an instant, ns, exact as {@link offsetAt}. Throws as that. */
export function smearedAt(smear: Smear, taiNs: bigint | Rational): Rational {
  checkSmearAt('smearedAt', smear, 'taiNs', taiNs, anExactInstant);
  holdCovered(smear.coverage, taiNs);
  return smearedOf(smear, typeof taiNs === 'bigint' ? rational(taiNs) : taiNs);
}

/** {@link smearedAt} to the nearest ns; of two that are equally near, the greater. Throws as that. */
export function smearedNsAt(smear: Smear, taiNs: bigint): bigint {
  checkSmearAt('smearedNsAt', smear, 'taiNs', taiNs, aBigint);
  return nearest(smearedAt(smear, taiNs));
}

/**
 * The rate of the smeared clock less 1: negative while it runs slow. Dimensionless; at kinks the rate after them. Exact,
 * but for a cosine: that is off by less than 1e9 * 2^-119 / the window in ns. 0 for `step`, whose jump has none.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` as {@link offsetAt}
 */
export function rateAt({ leap, curve, startNs, coverage }: Smear, taiNs: bigint | Rational): Rational {
  holdCovered(coverage, taiNs);
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

/**
 * The instants (TAI, ns) at which the smeared clock shows `smearedNs`, each to the nearest ns: one, but around a step,
 * which at a positive leap shows times twice and at a negative leaves some out.
 *
 * From an instant to {@link smearedNsAt} and back the way is off by the rounding of the smeared time to a ns, over the
 * clock's rate, and that of the result: by no more than 1 ns where the rate is at least 1/2.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if the table of leap seconds does not cover one of the instants
 */
export function unsmear(smear: Smear, smearedNs: bigint): bigint[] {
  checkSmearAt('unsmear', smear, 'smearedNs', smearedNs, aBigint);
  const instants = instantsOf(smear, smearedNs);
  for (const instant of instants) holdCovered(smear.coverage, instant, `unix:${formatSeconds(smearedNs)}`);
  return instants;
}

/** The instants before a step at the end of the window, and from it on. */
function instantsOf(smear: Smear, smearedNs: bigint): bigint[] {
  const { leap, endNs } = smear;
  const plainEnd = endNs - BigInt(leap.taiOffsetAfter) * NS_PER_SEC;
  const step = finalStepNs(smear);
  if (step.numerator === 0n) return [bisect(smear, smearedNs)];
  // Just before the step the clock has come to `plainEnd - step`.
  const isBefore = compare(rational(smearedNs), subtract(rational(plainEnd), step)) < 0;
  // An instant less than 1/2 ns before the step is not told as the step's.
  const before = isBefore ? [minBigint(bisect(smear, smearedNs), endNs - 1n)] : [];
  return smearedNs < plainEnd ? before : [...before, endNs + smearedNs - plainEnd];
}

/** The instant at which the clock first shows a time, or steps over it, TAI, to the nearest ns. */
function bisect(smear: Smear, smearedNs: bigint): bigint {
  const wanted = rational(smearedNs);
  const after = smearedNs + BigInt(smear.leap.taiOffsetAfter) * NS_PER_SEC;
  const hasStep = finalStepNs(smear).numerator !== 0n;
  // The offset is between 0 and sign * 1 s. `low - 1/2` shows less than wanted or just that, `high + 1/2` more.
  let low = smear.leap.sign === 1 ? after - NS_PER_SEC : after;
  let high = smear.leap.sign === 1 ? after : after + NS_PER_SEC;
  while (low < high) {
    const middle = (low + high) >> 1n;
    const isLater =
      (hasStep && middle >= smear.endNs) ||
      compare(smearedOf(smear, rational(2n * middle + 1n, 2n)), wanted) > 0;
    if (isLater) high = middle;
    else low = middle + 1n;
  }
  return low;
}
