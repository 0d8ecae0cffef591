import { checkArgument } from '../arguments.js';
import { dateOf } from '../leap/date.js';
import { knotsNs, piecesOf } from '../smear/curve.js';
import { aSign, aTaiNs, aTimeline } from '../smear/guards.js';
import { assumingNoLeaps, type Leap, type LeapTimeline } from '../smear/leap.js';
import type { SmearPolicy } from '../smear/policy.js';
import { multiply, type Rational, rational, squareRoot, subtract } from '../smear/rational.js';
import { offsetAt, offsetBefore, type Smear, smearOf } from '../smear/smear.js';
import { NS_PER_SEC } from '../units.js';

/** How far a straight line may be from a smear that is curved, ns: less than a clock moves on in a cycle. */
const CHORD_NS = rational(1n, 16n);

/**
 * How UTC hangs together with TAI, with the leap seconds of a timeline: as sane-realtime has it, which steps, and as
 * smeared-realtime has it, which smears every one of them by one policy.
 */
export class UtcScale {
  readonly #timeline: LeapTimeline;
  readonly #smears: readonly Smear[];
  readonly #knots: readonly bigint[];
  readonly #curved: ReturnType<typeof curvedPieces>;

  /**
   * @param policy null: smeared-realtime is as sane-realtime
   * @throws LatchclockError `ERR_BAD_ARGUMENT` as {@link smearOf}
   */
  constructor(timeline: LeapTimeline, policy: SmearPolicy | null) {
    this.#timeline = timeline;
    // A clock cannot stop where its table expires: as the kernel's does, it goes on without leap seconds.
    const endless = assumingNoLeaps(timeline);
    this.#smears = policy === null ? [] : timeline.leaps.map((leap) => smearOf(policy, leap, endless));
    this.#curved = this.#smears.flatMap(curvedPieces);
    const knots = [
      ...timeline.leaps.map((leap) => leap.taiNs),
      ...this.#smears.flatMap((smear) => knotsNs(smear.curve).map((ns) => smear.startNs + ns)),
    ];
    this.#knots = [...new Set(knots)].toSorted((a, b) => (a < b ? -1 : 1));
  }

  /** TAI - sane-realtime at an instant, ns. A step takes effect at the instant of the leap second itself. */
  saneOffsetNs(taiNs: bigint): bigint {
    const { startTaiOffset, leaps } = this.#timeline;
    const last = leaps.findLast((leap) => leap.taiNs <= taiNs);
    return BigInt(last?.taiOffsetAfter ?? startTaiOffset) * NS_PER_SEC;
  }

  /**
   * TAI - smeared-realtime at an instant, ns; exact as the policy's curve is.
   *
   * @param fromNs TAI, whole ns: the smear of this instant is followed, up to its end and no farther. A line that ends
   *   where the smear does must not make a step at its end
   */
  smearedOffsetNs(tai: Rational, fromNs = tai.numerator / tai.denominator): Rational {
    const unsmeared = this.unsmearedOffsetNs(fromNs);
    if (unsmeared !== null) return rational(unsmeared);
    const smear = this.#smears.findLast(({ startNs }) => startNs <= fromNs) as Smear;
    const isOver = tai.numerator >= smear.endNs * tai.denominator;
    const offset = isOver ? offsetBefore(smear, smear.endNs) : offsetAt(smear, tai);
    return subtract(rational(BigInt(smear.leap.taiOffsetAfter) * NS_PER_SEC), offset);
  }

  /** TAI - smeared-realtime where that is no smear: a whole number of seconds, ns. Null inside one. */
  unsmearedOffsetNs(taiNs: bigint): bigint | null {
    const smear = this.#smears.findLast(({ startNs }) => startNs <= taiNs);
    if (smear !== undefined)
      return taiNs >= smear.endNs ? BigInt(smear.leap.taiOffsetAfter) * NS_PER_SEC : null;
    const first = this.#smears[0];
    return first === undefined ? this.saneOffsetNs(taiNs) : BigInt(first.leap.taiOffsetBefore) * NS_PER_SEC;
  }

  /** The first instant after this one at which a clock steps, or its rate changes other than smoothly; null: none. */
  nextKnotNs(taiNs: bigint): bigint | null {
    return this.#knots.find((knot) => knot > taiNs) ?? null;
  }

  /** How long ago the last leap second was that changed TAI - UTC by so much, ns; null if the last was another. */
  sinceLeapNs(taiNs: bigint, bySeconds: number): bigint | null {
    const last = this.#timeline.leaps.findLast((leap) => leap.taiNs <= taiNs);
    return last === undefined || last.sign !== bySeconds ? null : taiNs - last.taiNs;
  }

  /** For how long from an instant on a straight line follows the smear to 1/16 ns, TAI ns; null: for as long as wanted. */
  straightForNs(taiNs: bigint): bigint | null {
    const piece = this.#curved.find(({ startNs, endNs }) => startNs <= taiNs && taiNs < endNs);
    return piece?.straightNs ?? null;
  }

  /** The shortest of {@link straightForNs} anywhere; null if all is straight. */
  shortestStraightNs(): bigint | null {
    return this.#curved.reduce<bigint | null>(
      (least, { straightNs }) => (least === null || straightNs < least ? straightNs : least),
      null,
    );
  }
}

/** The pieces of a smear that are no straight lines, in TAI ns, and for how long a straight line follows each. */
function curvedPieces({ curve, startNs }: Smear): { startNs: bigint; endNs: bigint; straightNs: bigint }[] {
  return piecesOf(curve)
    .filter(({ curvature }) => curvature.numerator !== 0n)
    .map((piece) => {
      // c h^2 / 8: facts of chords; the curve's share is of a second.
      const { numerator, denominator } = multiply(piece.curvature, rational(NS_PER_SEC));
      const squared = rational(8n * CHORD_NS.numerator * denominator, CHORD_NS.denominator * numerator);
      return {
        startNs: startNs + piece.startNs,
        endNs: startNs + piece.endNs,
        straightNs: squareRoot(squared),
      };
    });
}

/**
 * A timeline with one more leap second, supposed, at an instant of its own that need not be the end of a day: for holding
 * a smear against the present. What the timeline has from then on is left out.
 *
 * @param taiNs the instant of the leap second (see {@link Leap.taiNs})
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for what is no timeline, no sign, or an instant that no calendar has
 */
export function withPlacedLeap(timeline: LeapTimeline, taiNs: bigint, sign: 1 | -1): LeapTimeline {
  checkArgument('withPlacedLeap', 'timeline', timeline, aTimeline);
  checkArgument('withPlacedLeap', 'taiNs', taiNs, aTaiNs);
  checkArgument('withPlacedLeap', 'sign', sign, aSign);
  const earlier = timeline.leaps.filter((leap) => leap.taiNs < taiNs);
  const before = earlier.at(-1)?.taiOffsetAfter ?? timeline.startTaiOffset;
  const after = before + sign;
  const unixSeconds = taiNs / NS_PER_SEC - BigInt(Math.min(before, after));
  const leap: Leap = {
    sign,
    date: dateOf(unixSeconds - 1n),
    unixSeconds,
    taiOffsetBefore: before,
    taiOffsetAfter: after,
    taiNs,
    hypothetical: true,
  };
  return { ...timeline, leaps: [...earlier, leap], expires: null };
}

/** TAI - UTC at a UTC time by a table, without leap seconds that are only supposed; seconds. */
export function tableOffsetSeconds({ startTaiOffset, leaps }: LeapTimeline, unixNs: bigint): number {
  const last = leaps.findLast((leap) => !leap.hypothetical && leap.unixSeconds * NS_PER_SEC <= unixNs);
  return last?.taiOffsetAfter ?? startTaiOffset;
}
