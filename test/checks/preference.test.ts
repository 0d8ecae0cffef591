import { expect, test } from 'vitest';
import { type StartKept, startKept } from '../../dist/checks/kept-page.js';
import type { Verdict } from '../../dist/checks/model.js';
import { preferenceChecksWith } from '../../dist/checks/preference.js';
import { add, noTimekeeper, runKept, spoilt } from '../support/kept-checks.ts';

const run = (start: StartKept): Promise<Verdict> => runKept(preferenceChecksWith(start)[0]);

test('preference.switch holds on this machine, and says how often readers saw it', async () => {
  const verdict = await run(startKept);
  // A busy machine may be too late for its readers: that is told, and is no failure.
  expect(['pass', 'skip']).toContain(verdict.status);
  if (verdict.status === 'pass') expect(verdict.evidence).toMatchObject({ torn: 0, backwards: 0 });
});

test('preference.switch fails on a reading in which realtime is neither', async () => {
  let reading = 0;
  const verdict = await run(
    spoilt((words) => {
      if (++reading === 100) add(words, 'realtime', 1n);
    }),
  );
  expect(verdict).toMatchObject({ status: 'fail', evidence: { torn: 1 } });
});

test('preference.switch fails where another clock goes back', async () => {
  let reading = 0;
  const verdict = await run(
    spoilt((words) => {
      if (++reading === 100) add(words, 'tai', -1_000_000_000n);
    }),
  );
  expect(verdict).toMatchObject({ status: 'fail', evidence: { backwards: 1 } });
});

test('preference.switch passes on nothing: without a switch it is skipped', async () => {
  const verdict = await run(async (context, options) => ({
    ...(await startKept(context, options)),
    setPreference: async () => undefined,
  }));
  expect(verdict).toMatchObject({ status: 'skip', advice: expect.stringContaining('busy') });
});

test('preference.switch is skipped with the reason where no timekeeper can be had', async () => {
  expect(await run(noTimekeeper)).toMatchObject({ status: 'skip', evidence: { code: 'ERR_SOURCE' } });
});
