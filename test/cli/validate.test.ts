import { describe, expect, test } from 'vitest';
import type { CheckCounts, RunSummary } from '../../lib/checks/run.ts';
import { exitCodeOf } from '../../lib/cli/validate.ts';

const NONE: CheckCounts = { pass: 0, fail: 0, warn: 0, skip: 0 };

function summary(host: Partial<CheckCounts>, self: Partial<CheckCounts>): RunSummary {
  const both = { host: { ...NONE, ...host }, self: { ...NONE, ...self } };
  const sum = (status: keyof CheckCounts): number => both.host[status] + both.self[status];
  return { pass: sum('pass'), fail: sum('fail'), warn: sum('warn'), skip: sum('skip'), ...both };
}

describe('the exit code of validate', () => {
  test.each([
    [0, 'all held', { pass: 3 }, { pass: 2 }],
    [0, 'there are warnings and skips', { pass: 3, warn: 1 }, { warn: 1, skip: 1 }],
    [1, 'a check of the host failed', { pass: 3, fail: 1 }, { pass: 2 }],
    [1, 'checks of both kinds failed', { fail: 1 }, { fail: 1 }],
    [4, 'a self-test failed and the host held', { pass: 3 }, { fail: 1 }],
    [4, 'a self-test failed and it ran alone', {}, { fail: 1 }],
    [3, 'nothing ran', { skip: 3 }, { skip: 2 }],
    [0, 'the host held and no self-test ran', { pass: 3 }, { skip: 2 }],
  ])('is %i where %s', (code, _when, host, self) => {
    expect(exitCodeOf({ interrupted: false, summary: summary(host, self) })).toBe(code);
    expect(exitCodeOf({ interrupted: true, summary: summary(host, self) })).toBe(130);
  });
});
