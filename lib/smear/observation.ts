import { LatchclockError } from '../errors.js';
import { NS_PER_SEC } from '../units.js';
import { parsePolicy } from './custom-policy.js';
import { differenceAt } from './difference.js';
import type { Observation } from './identify.js';
import { parseInstant } from './instant.js';
import { parseOffset } from './measured-offset.js';
import { add, nearest, type Rational, rational } from './rational.js';
import { observedInstant } from './read-observations.js';
import type { Scene } from './scene.js';
import { type Smear, smearOf } from './smear.js';

/** What an observation is seen from. */
interface View {
  readonly scene: Scene;
  /** The clock that offsets are measured against. */
  readonly against: Smear;
}

/** The offset of the clock at an instant (TAI, ns) from the clock that it was measured against, ns. */
type OffsetAt = (taiNs: bigint, view: View) => bigint;

/** A form of what stands after the `=` of an observation; null if a text has another. */
type OffsetForm = (text: string) => OffsetAt | null;

const secondsForm: OffsetForm = (text) => {
  const ns = parseOffset(text);
  return ns === null ? null : () => ns;
};

/** ntpd's smear offset is a signed number of 24 bits with 22 of them after the point (libntp/refidsmear.c). */
const REFID = /^254\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;
const REFID_BITS = 24;
const REFID_FRACTION_BITS = 22n;

/** The offset that a reference identifier 254.X.Y.Z carries, ns, exact; null if the text is none. */
export function refidOffsetNs(text: string): Rational | null {
  const match = REFID.exec(text);
  if (match === null) return null;
  const bytes = match.slice(1).map(Number);
  if (bytes.some((byte) => byte > 255)) return null;
  const bits = BigInt.asIntN(
    REFID_BITS,
    bytes.reduce((all, byte) => (all << 8n) | BigInt(byte), 0n),
  );
  return rational(bits * NS_PER_SEC, 1n << REFID_FRACTION_BITS);
}

/** ntpd tells how far it is from its own clock, which steps: that is brought to the clock measured against. */
const refidForm: OffsetForm = (text) => {
  const offset = refidOffsetNs(text);
  if (offset === null) return null;
  return (taiNs, { scene, against }) => {
    const step = smearOf(parsePolicy('step'), scene.leap, scene.timeline);
    return nearest(add(offset, differenceAt(step, against, taiNs)));
  };
};

/** All forms, in the order in which they are tried: a new one is one more. */
const FORMS: readonly OffsetForm[] = [secondsForm, refidForm];

function offsetForm(text: string): OffsetAt | null {
  for (const form of FORMS) {
    const offsetAt = form(text);
    if (offsetAt !== null) return offsetAt;
  }
  return null;
}

/**
 * An observation: `INSTANT=OFFSET`, in seconds or with a unit behind it and positive where the clock is ahead, or `INSTANT=254.X.Y.Z`, the reference identifier that ntpd sends while it smears.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if the text is neither, or as {@link parseInstant}
 */
export function parseObservation(text: string, view: View): Observation {
  const [, instant, offset = ''] = /^(.*)=(.*)$/.exec(text) ?? [];
  const offsetAt = offsetForm(offset);
  if (instant === undefined || offsetAt === null) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', `'${text}' is no observation`, {
      where: 'smear which',
      todo: 'give INSTANT=SECONDS, such as L-500=-0.494 or L-500=-494ms, or INSTANT=254.X.Y.Z with the refid of an ntpd',
    });
  }
  const taiNs = parseInstant(observedInstant(instant), view.scene.timeline, view.scene.leap);
  const observation = { taiNs, offsetNs: offsetAt(taiNs, view) };
  return REFID.test(offset) ? { ...observation, isSignCertain: true } : observation;
}
