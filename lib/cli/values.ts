import { LatchclockError } from '../errors.js';
import { didYouMean } from '../nearest.js';
import { U64_MAX } from '../units.js';

function bad(option: string, text: string, expected: string): LatchclockError {
  return new LatchclockError('ERR_BAD_ARGUMENT', `'${text}' is not ${expected}`, {
    where: option,
    todo: 'see --help',
  });
}

const MOST_CPU = 65_535;

/**
 * A list of CPUs as taskset takes it: `0,2-5,8-14:2` (first-last:stride).
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT`
 */
export function parseCpuList(text: string): number[] {
  const cpus = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^(\d{1,5})(?:-(\d{1,5})(?::(\d{1,5}))?)?$/.exec(part.trim());
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? first);
    const stride = Number(match?.[3] ?? 1);
    if (match === null || last < first || last > MOST_CPU || stride === 0) {
      throw bad('--cpus', text, 'a list of CPUs such as 0,2-5,8-14:2');
    }
    for (let cpu = first; cpu <= last; cpu += stride) cpus.add(cpu);
  }
  return [...cpus].toSorted((a, b) => a - b);
}

/**
 * An unsigned 64-bit number, decimal or with 0x.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT`
 */
export function parseSeed(text: string): bigint {
  if (!/^(\d{1,20}|0x[0-9a-f]{1,16})$/i.test(text) || BigInt(text) > U64_MAX) {
    throw bad('--seed', text, 'an unsigned 64-bit number, decimal or 0x');
  }
  return BigInt(text);
}

/**
 * One of `choices`.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT`
 */
export function parseChoice<T extends string>(option: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((known) => known === text);
  if (choice === undefined) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', `'${text}' is not one of ${choices.join(', ')}`, {
      where: option,
      todo: `${didYouMean(text, choices)}see --help`,
    });
  }
  return choice;
}

/** Adds the parts of a comma-separated list to those of earlier uses of the option. */
export function collectNames(text: string, before: readonly string[] = []): string[] {
  return [...before, ...text.split(',').map((name) => name.trim())];
}
