import { anObject, checkArgument, oneOf } from '../arguments.js';
import { LatchclockError } from '../errors.js';
import type { ScheduledChange } from './schedule.js';

const FIELDS: Readonly<Record<ScheduledChange['kind'], readonly string[]>> = {
  frequency: ['ratePpt'],
  slew: ['byNs', 'ratePpt'],
  step: ['byNs'],
  preference: [],
};

const WHERE = 'a scheduled change';
const aChange = anObject({ kind: oneOf(Object.keys(FIELDS)), at: anObject({}) });

function bad(what: string, todo: string): LatchclockError {
  return new LatchclockError('ERR_BAD_ARGUMENT', what, { where: WHERE, todo });
}

/** Refuses what is no preference. Throws LatchclockError `ERR_BAD_ARGUMENT`. */
export function checkPreference(preference: unknown): void {
  checkArgument('a preference', 'the preference', preference, oneOf(['sane', 'smeared']));
}

/**
 * Refuses what is no change at all, before it reaches the thread that would make it.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT`
 */
export function checkChange(change: ScheduledChange): void {
  checkArgument(WHERE, 'the change', change, aChange);
  const given = change as unknown as { at: Record<string, unknown> } & Record<string, unknown>;
  const kind = change.kind;
  const fields = FIELDS[kind];
  const at = given.at;
  const instants = Object.keys(at);
  if (instants.length !== 1 || !['taiNs', 'cycles'].includes(instants[0] as string)) {
    throw bad('its instant is not told', 'give at: { taiNs } or at: { cycles }');
  }
  const words = [...Object.entries(at), ...fields.map((name) => [name, given[name]] as const)];
  for (const [name, value] of words) {
    if (typeof value !== 'bigint') throw bad(`${name} is no bigint`, `give it as a bigint, such as 1_000n`);
  }
  if (kind === 'preference') checkPreference(given['preference']);
}
