import { describe, expect, test } from 'vitest';
import { type StartKept, startKept } from '../../dist/checks/kept-page.js';
import type { Verdict } from '../../dist/checks/model.js';
import { namespaceChecksWith } from '../../dist/checks/namespace.js';
import { add, noTimekeeper, runKept, spoilt } from '../support/kept-checks.ts';

const run = (start: StartKept): Promise<Verdict> => runKept(namespaceChecksWith(start)[0]);

test('namespace.offsets holds on this machine', async () => {
  const verdict = await run(startKept);
  expect(verdict).toMatchObject({ status: 'pass', evidence: { wrong: 0 } });
  expect(verdict.evidence['samples']).toBeGreaterThan(20);
});

describe('namespace.offsets fails', () => {
  test.each([
    ['monotonic', 1, 1n],
    ['boottime', 2, -1n],
    ['monotonic-raw', 1, 3_600_000_000_000n],
    ['tai', 2, 1_000_000_000n],
    ['realtime', 1, 1n],
  ] as const)('where %s of page %i is off by %i ns', async (clock, at, ns) => {
    const verdict = await run(spoilt((words, page) => page === at && add(words, clock, ns)));
    expect(verdict).toMatchObject({ status: 'fail' });
    expect(verdict.reason).toContain(at === 1 ? 'outer' : 'nested');
  });
});

test('namespace.offsets is skipped with the reason where no timekeeper can be had', async () => {
  expect(await run(noTimekeeper)).toMatchObject({ status: 'skip', evidence: { code: 'ERR_SOURCE' } });
});
