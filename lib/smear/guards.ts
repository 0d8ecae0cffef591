import {
  aBigint,
  aListOf,
  anImmutable,
  anInstant,
  anInteger,
  anObject,
  aText,
  aValue,
  checkArgument,
  either,
  type Guard,
  nullable,
  oneOf,
  optional,
} from '../arguments.js';
import { NS_PER_SEC } from '../units.js';
import type { Curve, Shape } from './curve.js';

/** Guards of what the functions of smears take (see `lib/arguments.ts`). */

const SHAPES: readonly Shape[] = ['step', 'linear', 'cosine', 'quadratic'];
const aWindow = anObject({ startNs: aBigint, endNs: aBigint, spanNs: optional(aBigint) });
const anOffset = anInteger(-1_000_000, 1_000_000);

export const aSign = oneOf([1, -1]);
export const aUnixSeconds = anInstant(1n);
export const aTaiNs = anInstant(NS_PER_SEC);

const aPlainPolicy = { name: aText, positive: aWindow, negative: aWindow };
export const aPolicy: Guard = anImmutable({
  ...aPlainPolicy,
  shape: oneOf(SHAPES),
  rampNs: optional(aBigint),
});

export const aLeap = anImmutable({
  sign: aSign,
  date: aText,
  unixSeconds: aUnixSeconds,
  taiOffsetBefore: anOffset,
  taiOffsetAfter: anOffset,
  taiNs: aTaiNs,
});

export const aTimeline = anImmutable({
  startUnixSeconds: aUnixSeconds,
  startTaiOffset: anOffset,
  leaps: aListOf(aLeap, 'a list of leap seconds'),
  expires: nullable(aBigint),
});

const aPositive = aValue((value) => typeof value === 'bigint' && value > 0n, 'a bigint above 0n');

/** What a curve of each shape has beside its window. */
const CURVE_FIELDS: Readonly<Record<Shape, Guard>> = {
  step: anObject({}),
  linear: anObject({ spanNs: aPositive }),
  cosine: anObject({ spanNs: aPositive }),
  quadratic: anObject({ rampNs: aPositive }),
};
const aCurve: Guard = (value) =>
  anObject({ shape: oneOf(SHAPES), windowNs: aBigint })(value) ?? CURVE_FIELDS[(value as Curve).shape](value);

const aCoverage = anObject({
  fromTaiNs: aBigint,
  untilTaiNs: aBigint,
  startUnixSeconds: aUnixSeconds,
  expires: nullable(aUnixSeconds),
});

export const aSmear = anImmutable({
  policy: anObject({ name: aText }),
  leap: aLeap,
  curve: aCurve,
  startNs: aBigint,
  endNs: aBigint,
  coverage: aCoverage,
});

/** An instant to a whole ns, or as a fraction. */
export const anExactInstant = either(
  aBigint,
  anObject({ numerator: aBigint, denominator: aPositive }),
  'a bigint, or a fraction of bigints',
);

/** Refuses what is no smear, or no instant. Throws LatchclockError `ERR_BAD_ARGUMENT`. */
export function checkSmearAt(
  where: string,
  smear: unknown,
  name: string,
  instant: unknown,
  expected: Guard,
): void {
  checkArgument(where, 'smear', smear, aSmear);
  checkArgument(where, name, instant, expected);
}
