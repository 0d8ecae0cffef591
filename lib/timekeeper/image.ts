import type { ClockGroup, CopyImage } from '../page/clock-page.js';
import { wrapU64 } from '../units.js';
import { rescaled } from './line.js';
import type { Slope, Standing } from './standing.js';
import type { NamespaceOffsets, RealtimePreference } from './view.js';

const NONE: ClockGroup = { mult: 0n, fraction: 0n, shift: 0 };

/** The words of a line: its rate and fraction, and its whole ns, rounded down. */
function wordsOf({ scaledNs, mult }: Slope, shift: number): { group: ClockGroup; whole: bigint } {
  const scale = BigInt(shift);
  const whole = scaledNs >> scale;
  return { group: { mult, fraction: scaledNs - (whole << scale), shift }, whole };
}

/**
 * What a copy of a page says where clocks stand so, in a time namespace and with a preference: `realtime` has words of its
 * own, so that readers need not ask which it is. Exact.
 */
export function imageOf(
  standing: Standing,
  preference: RealtimePreference,
  { monotonicNs, boottimeNs }: NamespaceOffsets,
): CopyImage {
  const { base, end, shift, generation } = standing;
  const shared = wordsOf(standing.shared, shift);
  const smeared = wordsOf(standing.smeared, shift);
  const raw = wordsOf(standing.raw, shift);
  const bound = wordsOf(standing.bound, shift);
  const sane = shared.whole + standing.saneOffsetNs;
  return {
    base: wrapU64(base),
    maxDelta: end - base,
    tag: generation,
    groups: {
      shared: shared.group,
      realtime: preference === 'sane' ? shared.group : smeared.group,
      'smeared-realtime': smeared.group,
      'monotonic-raw': raw.group,
      bound: bound.group,
    },
    wholes: {
      // Moves with monotonic: time_namespaces(7).
      'monotonic-raw': raw.whole + monotonicNs,
      monotonic: shared.whole + monotonicNs,
      boottime: shared.whole + standing.boottimeOffsetNs + boottimeNs,
      tai: shared.whole + standing.taiOffsetNs,
      'sane-realtime': sane,
      'smeared-realtime': smeared.whole,
      realtime: preference === 'sane' ? sane : smeared.whole,
    },
    boundWholeNs: bound.whole,
  };
}

/** A copy that refuses every reading, with clocks as they were. */
export function withdrawn(image: CopyImage): CopyImage {
  return { ...image, maxDelta: 0n };
}

/** A copy that refuses every reading, whatever the protocol is, as one that was never published. */
export function unpublished(image: CopyImage): CopyImage {
  const groups = { shared: NONE, realtime: NONE, 'smeared-realtime': NONE, 'monotonic-raw': NONE };
  return { ...withdrawn(image), groups: { ...groups, bound: image.groups.bound } };
}

/** The same within the longest window that there is, so that readers are not told to wait for a writer. */
export function condemned(image: CopyImage): CopyImage {
  return { ...unpublished(image), maxDelta: 1n << 63n };
}

/**
 * How clocks stood by a copy that another writer left, for lines of `shift`; null where nothing was published. Rounded down
 * where the copy has more bits than that.
 */
export function standingOf(
  image: CopyImage,
  { monotonicNs, boottimeNs }: NamespaceOffsets,
  preferences: readonly RealtimePreference[],
  shift: number,
): Standing | null {
  const { groups, wholes } = image;
  if (groups.shared.mult === 0n || groups['monotonic-raw'].mult === 0n || image.maxDelta === 0n) return null;
  const slope = ({ mult, fraction, shift: from }: ClockGroup, whole: bigint): Slope => ({
    scaledNs: (whole << BigInt(shift)) + rescaled(fraction, from, shift),
    mult: rescaled(mult, from, shift),
  });
  const monotonic = wholes.monotonic - monotonicNs;
  return {
    base: image.base,
    end: image.base + image.maxDelta,
    shift,
    generation: image.tag,
    shared: slope(groups.shared, monotonic),
    boottimeOffsetNs: wholes.boottime - boottimeNs - monotonic,
    taiOffsetNs: wholes.tai - monotonic,
    saneOffsetNs: wholes['sane-realtime'] - monotonic,
    smeared: slope(groups['smeared-realtime'], wholes['smeared-realtime']),
    raw: slope(groups['monotonic-raw'], wholes['monotonic-raw'] - monotonicNs),
    bound: slope(groups.bound, image.boundWholeNs),
    preferences,
  };
}
