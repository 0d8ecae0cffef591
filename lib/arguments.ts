import { types } from 'node:util';
import { LatchclockError } from './errors.js';
import { didYouMean } from './nearest.js';
import { isU64 } from './units.js';

/** What does not fit, and what is wanted in its place. */
interface Refusal {
  /** Which part of the argument it is, such as `.leap.sign`; empty for the whole. */
  readonly part: string;
  readonly value: unknown;
  readonly wanted: string;
  /** Names that the value may be meant to be. */
  readonly known?: readonly string[];
}

/**
 * Guards of the public functions: callers may have no compiler, and what is of the wrong type is refused where it comes
 * in, by name, with what is wanted. A guard gives null for a value that fits.
 */
export type Guard = (value: unknown) => Refusal | null;

/** A value for which `fits` holds. */
export function aValue(fits: (value: unknown) => boolean, wanted: string): Guard {
  return (value) => (fits(value) ? null : { part: '', value, wanted });
}

const MOST_SHOWN = 60;

/** What a value is, for a message: never what its own functions say of it. */
function shown(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'string') {
    return value.length <= MOST_SHOWN ? `'${value}'` : `a text of ${value.length} characters`;
  }
  if (typeof value === 'bigint') {
    // Decimal digits of a huge one take longer than whatever was called.
    return value === BigInt.asIntN(128, value) ? `${value}n` : 'a bigint of more than 128 bits';
  }
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/**
 * Refuses an argument that its guard does not take.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT`
 */
export function checkArgument(where: string, name: string, value: unknown, expected: Guard): void {
  const refusal = expected(value);
  if (refusal === null) return;
  const { part, value: given, wanted, known = [] } = refusal;
  const meant = typeof given === 'string' ? didYouMean(given, known) : '';
  throw new LatchclockError('ERR_BAD_ARGUMENT', `${name}${part} is ${shown(given)}`, {
    where,
    todo: `${meant}give ${wanted}`,
  });
}

export const aBigint = aValue((value) => typeof value === 'bigint', 'a bigint, such as 1_000n');
export const aU64 = aValue(
  (value) => typeof value === 'bigint' && isU64(value),
  'an unsigned 64-bit bigint, such as 1_000n',
);
/** Any number but NaN. */
export const aNumber = aValue((value) => typeof value === 'number' && !Number.isNaN(value), 'a number');
export const aText = aValue((value) => typeof value === 'string', 'a text');
export const aPath = aValue(
  (value) => typeof value === 'string' && value !== '' && !value.includes('\0'),
  'the path of a file',
);
export const aFunction = aValue((value) => typeof value === 'function', 'a function');
export const aSignal = aValue((value) => value instanceof AbortSignal, 'an AbortSignal');

export function anInteger(least: number, most: number): Guard {
  return aValue(
    (value) => typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most,
    `a whole number from ${least} to ${most}`,
  );
}

/** Of a day that calendars have (±271,821 years), in parts of a second. */
export function anInstant(perSecond: bigint): Guard {
  const most = 8_640_000_000_000n * perSecond;
  return aValue(
    (value) => typeof value === 'bigint' && value >= -most && value <= most,
    `a bigint from ${-most} to ${most}`,
  );
}

export function oneOf(known: readonly unknown[]): Guard {
  const wanted = `one of ${[...new Set(known)].join(', ')}`;
  const names = known.filter((one) => typeof one === 'string');
  return (value) => (known.includes(value) ? null : { part: '', value, wanted, known: names });
}

export function optional(expected: Guard): Guard {
  return (value) => (value === undefined ? null : expected(value));
}

export function nullable(expected: Guard): Guard {
  return (value) => (value === null ? null : expected(value));
}

/** What the first guard takes, or the second; of an object the second tells what is missing. */
export function either(first: Guard, second: Guard, wanted: string): Guard {
  return (value) => {
    if (first(value) === null) return null;
    const refusal = second(value);
    return refusal === null || refusal.part !== '' ? refusal : { ...refusal, wanted };
  };
}

export function aListOf(expected: Guard, wanted: string): Guard {
  return (value) => {
    if (!Array.isArray(value)) return { part: '', value, wanted };
    // By number: a list with holes has values there, too.
    for (let at = 0; at < value.length; at++) {
      const refusal = expected(value[at]);
      if (refusal !== null) return { ...refusal, part: `[${at}]${refusal.part}` };
    }
    return null;
  };
}

/** An object with these fields, and whatever others it has. */
export function anObject(fields: Readonly<Record<string, Guard>>): Guard {
  const names = Object.keys(fields);
  const guards = Object.values(fields);
  const wanted = `an object${names.length === 0 ? '' : ` with ${names.join(', ')}`}`;
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return { part: '', value, wanted };
    for (let at = 0; at < names.length; at++) {
      const name = names[at] as string;
      const refusal = (guards[at] as Guard)((value as Readonly<Record<string, unknown>>)[name]);
      if (refusal !== null) return { ...refusal, part: `.${name}${refusal.part}` };
    }
    return null;
  };
}

/** The same, for objects that come time and again and are not changed: each is looked at once. */
export function anImmutable(fields: Readonly<Record<string, Guard>>): Guard {
  const expected = anObject(fields);
  const known = new WeakSet<object>();
  return (value) => {
    if (typeof value === 'object' && value !== null && known.has(value)) return null;
    const refusal = expected(value);
    if (refusal === null) known.add(value as object);
    return refusal;
  };
}

/** A `BigInt64Array` with room for `words`; cheap, since readers of clocks ask it each time. */
export function checkWords(where: string, out: unknown, words: number): asserts out is BigInt64Array {
  if (out instanceof BigInt64Array && out.length >= words) return;
  // Of another realm, perhaps.
  if (types.isBigInt64Array(out) && (out as BigInt64Array).length >= words) return;
  const wanted = `a BigInt64Array of ${words} word${words === 1 ? '' : 's'} or more`;
  const given = types.isBigInt64Array(out)
    ? `has ${(out as BigInt64Array).length} words`
    : `is ${shown(out)}`;
  throw new LatchclockError('ERR_BAD_ARGUMENT', `out ${given}`, {
    where,
    todo: `give ${wanted}`,
  });
}
