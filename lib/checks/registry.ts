import { LatchclockError } from '../errors.js';
import { didYouMean } from '../nearest.js';
import { clockChecks } from './clock.js';
import { clockCallChecks } from './clock-calls.js';
import { clockErrorChecks } from './clock-errors.js';
import { clockOrderChecks } from './clock-order.js';
import { clockRelationChecks } from './clock-relations.js';
import { counterChecks } from './counter.js';
import { counterAgreementChecks } from './counter-agreement.js';
import { counterStabilityChecks } from './counter-stability.js';
import { latchChecks } from './latch.js';
import { CHECK_KINDS, type Check, groupOf, kindOf } from './model.js';
import { namespaceChecks } from './namespace.js';
import { pageChecks } from './page.js';
import { pageUpdateChecks } from './page-updates.js';
import { preferenceChecks } from './preference.js';
import { scheduleChecks } from './schedule.js';
import { smearChecks } from './smear.js';
import { vdsoChecks } from './vdso.js';

/** Every check, in the order in which results are shown. */
export const CHECKS: readonly Check[] = [
  ...counterChecks,
  ...counterAgreementChecks,
  ...counterStabilityChecks,
  ...clockChecks,
  ...clockCallChecks,
  ...clockOrderChecks,
  ...clockRelationChecks,
  ...clockErrorChecks,
  ...vdsoChecks,
  ...pageChecks,
  ...pageUpdateChecks,
  ...latchChecks,
  ...smearChecks,
  ...scheduleChecks,
  ...preferenceChecks,
  ...namespaceChecks,
];

function matches(check: Check, name: string): boolean {
  return check.id === name || groupOf(check) === name || kindOf(groupOf(check)) === name;
}

/**
 * The checks that `only` names, by id, group or kind (all if it is empty), less those that `skip` names.
 *
 * @param onlyOption which option gave `only`, for errors
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for a name that is neither, or if nothing is left
 */
export function selectChecks(only: readonly string[], skip: readonly string[], onlyOption = 'only'): Check[] {
  for (const name of [...only, ...skip]) {
    if (!CHECKS.some((check) => matches(check, name))) {
      const names = [...CHECK_KINDS, ...new Set(CHECKS.map(groupOf))];
      const ids = CHECKS.map(({ id }) => id);
      throw new LatchclockError('ERR_BAD_ARGUMENT', `there is no check or group '${name}'`, {
        where: only.includes(name) ? onlyOption : 'skip',
        todo: `${didYouMean(name, [...names, ...ids])}choose from ${names.join(', ')} or the ids that --list shows`,
      });
    }
  }
  const selected = CHECKS.filter(
    (check) =>
      (only.length === 0 || only.some((name) => matches(check, name))) &&
      !skip.some((name) => matches(check, name)),
  );
  if (selected.length === 0) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', 'no check is left', {
      where: 'only, skip',
      todo: 'skip fewer',
    });
  }
  return selected;
}
