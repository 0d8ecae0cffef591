import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type StartKept, startKept } from '../../dist/checks/kept-page.js';
import type { Verdict } from '../../dist/checks/model.js';
import { scheduleChecksWith } from '../../dist/checks/schedule.js';
import { LatchclockError } from '../../dist/errors.js';
import { add, noTimekeeper, runKept, spoilt } from '../support/kept-checks.ts';

const IDS = ['schedule.frequency', 'schedule.leap'];
const run = (id: string, start: StartKept): Promise<Verdict> =>
  runKept(scheduleChecksWith(start).find((check) => check.id === id));

describe('on this machine', () => {
  test.each(IDS)('%s holds', async (id) => {
    const verdict = await run(id, startKept);
    // A busy machine may be too late for its readers: that is told, and is no failure.
    expect(['pass', 'warn', 'skip']).toContain(verdict.status);
  });

  test.each(IDS)('%s is skipped with the reason where no timekeeper can be had', async (id) => {
    expect(await run(id, noTimekeeper)).toMatchObject({ status: 'skip', evidence: { code: 'ERR_SOURCE' } });
  });
});

test('schedule.frequency fails where the change comes at another tick than that which was told', async () => {
  const late: StartKept = async (context, options) => {
    const kept = await startKept(context, options);
    return {
      ...kept,
      schedule: (change) =>
        kept.schedule(
          'cycles' in change.at ? { ...change, at: { cycles: change.at.cycles + 2_000_000n } } : change,
        ),
    };
  };
  const verdict = await run('schedule.frequency', late);
  expect(verdict.status).toBe('fail');
  expect(verdict.reason).toMatch(/corner|rate/);
});

/** A timekeeper that each change reaches `ms` late. */
const slow =
  (ms: number): StartKept =>
  async (context, options) => {
    const kept = await startKept(context, options);
    return { ...kept, schedule: (change) => sleep(ms).then(() => kept.schedule(change)) };
  };

test('schedule.frequency is skipped where the machine is too slow to schedule a change in time', async () => {
  expect(await run('schedule.frequency', slow(200))).toMatchObject({ status: 'skip' });
});

test('schedule.frequency does not take a refusal in good time for slowness', async () => {
  const refusing: StartKept = async (context, options) => ({
    ...(await startKept(context, options)),
    schedule: (change) =>
      Promise.reject(new LatchclockError('ERR_SCHEDULE', `no ${change.kind} today`, { todo: 'none' })),
  });
  await expect(run('schedule.frequency', refusing)).rejects.toThrow('no frequency today');
});

test('schedule.leap fails where sane-realtime does not step', async () => {
  let first: bigint | null = null;
  const verdict = await run(
    'schedule.leap',
    spoilt((words) => {
      // tai by whole seconds for ever, as it was before.
      const [tai, sane] = [words[6] as bigint, words[7] as bigint];
      first ??= sane - tai;
      add(words, 'sane-realtime', first - (sane - tai));
    }),
  );
  expect(verdict.status).toBe('fail');
});
