import { describe, expect, test } from 'vitest';
import type { StressTally } from '../../lib/native/addon.ts';
import { runCheckOn } from '../support/run-check.ts';

const CHECKS = ['latch.stress', 'latch.window', 'latch.stall', 'latch.kernel'];

describe('on a sound host', () => {
  test.each(CHECKS)('%s passes, and counts what it saw', async (id) => {
    const verdict = await runCheckOn({}, id);
    expect(verdict).toMatchObject({ status: 'pass' });
    expect(Object.values(verdict.evidence).some((value) => typeof value === 'number' && value > 0)).toBe(
      true,
    );
  });

  test.each(CHECKS)('%s is not run where the counter is disabled', async (id) => {
    await expect(runCheckOn({ counterState: 'disabled' }, id)).rejects.toMatchObject({
      name: 'LatchclockError',
    });
  });

  test('the lag of a latch is named with its size, and is no failure', async () => {
    const verdict = await runCheckOn(
      { stress: (protocol) => (protocol === 'latch' ? { backwards: 3, worstBackNs: 1_234 } : {}) },
      'latch.stress',
    );
    expect(verdict).toMatchObject({
      status: 'pass',
      evidence: { backwards: { latch: 12, seqlock: 0 }, outside: 0 },
    });
    expect(verdict.reason).toContain('1,234 ns');
  });
});

describe('on a host with a fault', () => {
  const faults: [string, Partial<StressTally>, string][] = [
    ['latch.stress', { torn: 1 }, 'torn'],
    ['latch.stress', { missing: 1 }, '4 values never set'],
    ['latch.stress', { backwards: 1 }, 'out of order'],
    ['latch.stress', { outside: 5 }, 'from outside the window'],
    ['latch.window', { outside: 1 }, 'from outside'],
    ['latch.stall', { torn: 2 }, '4 values torn'],
    ['latch.stall', { outside: 3 }, '6 values from outside the window'],
    ['latch.stall', { ranOut: 1 }, 'waited'],
    ['latch.stall', { waited: 1 }, 'waited'],
  ];
  test.each(faults)('%s fails where a two-window reader has %j', async (id, tally, reason) => {
    const verdict = await runCheckOn({ stress: (protocol) => (protocol === 'two-window' ? tally : {}) }, id);
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toContain(reason);
  });

  test("latch.kernel fails where the vDSO leaves the page's bracket", async () => {
    const clockErrorNs = (path: string): bigint => (path === 'vdso' ? 5_000n : 0n);
    const verdict = await runCheckOn({ clockErrorNs }, 'latch.kernel', ({ addon }) => {
      // The page is known from before the fault.
      addon.clockResolution = () => 1n;
    }).catch((error: unknown) => error);
    expect(verdict).toMatchObject({ status: 'fail' });
  });
});

describe('a writer that was kept off its CPU for longer than a window', () => {
  test.each(['latch.stress', 'latch.stall'])(
    '%s takes no value of a protocol without windows for wrong, and a torn one all the same',
    async (id) => {
      const late = (tally: Partial<StressTally>) =>
        runCheckOn({ stress: (protocol) => (['seqlock', 'latch'].includes(protocol) ? tally : {}) }, id);
      expect(await late({ outside: 3_092_920 })).toMatchObject({ status: 'pass' });
      expect(await late({ outside: 3_092_920, torn: 1 })).toMatchObject({
        status: 'fail',
        reason: expect.stringMatching(/^\d+ values torn$/),
      });
    },
  );
});

describe('writers that do not die', () => {
  test('are a skip of latch.stress, with how many deaths there were and what would help', async () => {
    let left = 1;
    const stress = (protocol: string, hazard: string): Partial<StressTally> =>
      protocol === 'latch' && hazard === 'writer-killed' ? { kills: left-- > 0 ? 1 : 0 } : {};
    expect(await runCheckOn({ stress }, 'latch.stress')).toMatchObject({
      status: 'skip',
      reason: '1 writer of latch died, of the 2 needed; no value was wrong',
      advice: expect.stringContaining('kill'),
    });
  });

  test('hide no value that was wrong', async () => {
    const stress = (): Partial<StressTally> => ({ kills: 0, torn: 1 });
    expect(await runCheckOn({ stress }, 'latch.stress')).toMatchObject({ status: 'fail' });
  });
});

describe('on a host too busy to tell', () => {
  test.each([
    ['latch.stress', { values: 0 }],
    ['latch.stress', { updates: 0 }],
    ['latch.window', { outOfWindow: 0 }],
    ['latch.stall', { waited: 0 }],
    ['latch.stall', { updates: 0 }],
    ['latch.stall', { reads: 0 }],
  ])('%s is skipped with %j, and says so', async (id, tally) => {
    const verdict = await runCheckOn({ stress: () => tally }, id);
    expect(verdict).toMatchObject({ status: 'skip', advice: expect.stringContaining('busy') });
  });
});

test('latch.kernel is skipped where the page does not count by the TSC', async () => {
  expect(await runCheckOn({ mode: 'none' }, 'latch.kernel')).toMatchObject({ status: 'skip' });
});
