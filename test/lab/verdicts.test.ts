import { describe, expect, test } from 'vitest';
import { CHECKS } from '../../lib/checks/registry.ts';
import { differences, KERNEL_GROUPS, NOT_BY_TSC, ONE_CPU, ONE_CPU_WHOLE, TWO_CPUS } from './verdicts.ts';

const said = (id: string, status: string) => ({ id, status, reason: 'so it is' });

describe('expected verdicts', () => {
  test('are written down for each check that there is, and no other', () => {
    expect(Object.keys(ONE_CPU_WHOLE).toSorted()).toEqual(CHECKS.map(({ id }) => id).toSorted());
  });

  test('of the kernel groups are those of all their checks', () => {
    const groups = KERNEL_GROUPS.split(',');
    const selected = CHECKS.map(({ id }) => id).filter((id) => groups.includes(id.split('.')[0] as string));
    expect(Object.keys(ONE_CPU).toSorted()).toEqual(selected.toSorted());
  });

  test('of variations speak of checks that there are', () => {
    for (const id of Object.keys({ ...NOT_BY_TSC, ...TWO_CPUS })) expect(ONE_CPU).toHaveProperty([id]);
  });

  test('never take a failure, or an invariant counter, for what emulation should show', () => {
    expect(ONE_CPU['counter.invariant']).not.toMatch('pass');
    for (const verdict of Object.values(ONE_CPU_WHOLE)) expect(verdict).not.toMatch('fail');
  });
});

describe('differences', () => {
  test('are none where each verdict may be', () => {
    expect(differences([said('a', 'pass'), said('b', 'warn')], { a: 'pass', b: 'pass|warn' })).toEqual([]);
  });

  test('are a pass where a fail is expected, as much as the other way round', () => {
    expect(differences([said('a', 'pass'), said('b', 'fail')], { a: 'fail', b: 'pass' })).toEqual([
      'a is pass (so it is), expected: fail',
      'b is fail (so it is), expected: pass',
    ]);
  });

  test('are a check that nobody expects, and one that is missing', () => {
    expect(differences([said('a', 'pass')], { b: 'skip' })).toEqual([
      'a is pass (so it is), expected: no such check',
      'b is missing, expected: skip',
    ]);
  });
});
