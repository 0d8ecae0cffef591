import { describe, expect, test } from 'vitest';
import type { ClockPathName } from '../../lib/native/addon.ts';
import type { ClockName } from '../../lib/page/posix-clocks.ts';
import { runCheckOn } from '../support/run-check.ts';

/** An error in one clock that comes and goes: the clock goes back each time it goes. */
function wobble(clock: ClockName, ns: bigint): (path: ClockPathName, of: ClockName) => bigint {
  let reading = 0;
  return (path, of) => (path === 'vdso' && of === clock && ++reading % 7 === 0 ? ns : 0n);
}

describe('clock.monotonic', () => {
  test('passes when no clock goes back, in one thread and across threads', async () => {
    const verdict = await runCheckOn({}, 'clock.monotonic');
    expect(verdict).toMatchObject({
      status: 'pass',
      evidence: {
        clocks: { monotonic: { path: 'vdso', alone: { backwards: 0 }, together: { backwards: 0 } } },
      },
    });
    expect(verdict.evidence['clocks']).toMatchObject({ 'thread-cputime': { together: null } });
  });

  test('fails, naming the clock and the size, when one goes back', async () => {
    const verdict = await runCheckOn({ clockErrorNs: wobble('boottime', 5_000n) }, 'clock.monotonic');
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toMatch(/^boottime went back .* by up to 4,\d{3} ns/);
  });

  test('names what happens as the kernel rewrites its page as such, and warns', async () => {
    const verdict = await runCheckOn({}, 'clock.monotonic', ({ addon }) => {
      const { lockStep } = addon;
      addon.lockStep = (...request) => ({
        ...lockStep(...request),
        backwardsAcrossUpdate: 2,
        worstAcrossUpdate: 5_000,
      });
    });
    expect(verdict.status).toBe('warn');
    expect(verdict.reason).toContain('as the kernel changed rate or time');
  });
});

describe('clock.resolution', () => {
  test('passes when every path says the same', async () => {
    const verdict = await runCheckOn(
      { cyclesPerReading: () => 10_000n, updateEveryCycles: 10_384_575n },
      'clock.resolution',
    );
    expect(verdict).toMatchObject({
      status: 'pass',
      evidence: { told: { monotonic: { vdso: 1n, syscall: 1n } } },
    });
  });
});

describe('clock.resolution of a coarse clock', () => {
  test.each([
    ['stands still', {}],
    ['moves by ten ticks at once', { updateEveryCycles: 103_845_750n }],
  ])('that %s is a warning', async (_name, options) => {
    const verdict = await runCheckOn({ cyclesPerReading: () => 10_000n, ...options }, 'clock.resolution');
    expect(verdict.status).toBe('warn');
  });
});

describe('clock.coarse', () => {
  const TICKING = { cyclesPerReading: () => 10_000n, updateEveryCycles: 10_384_575n };

  test('passes within a tick or two of the fine clock', async () => {
    expect(await runCheckOn(TICKING, 'clock.coarse')).toMatchObject({ status: 'pass' });
  });

  test.each([
    ['monotonic-coarse', 'fail'],
    // It may have been set between two readings.
    ['realtime-coarse', 'warn'],
  ])('%s ahead of the fine clock ends as %s', async (name, status) => {
    const verdict = await runCheckOn(
      { ...TICKING, clockErrorNs: (_path, clock) => (clock === name ? 20_000_000n : 0n) },
      'clock.coarse',
    );
    expect(verdict.status).toBe(status);
    expect(verdict.reason).toContain(name);
  });

  test('warns when ticks come late', async () => {
    const verdict = await runCheckOn({ ...TICKING, updateEveryCycles: 40_000_000n }, 'clock.coarse');
    expect(verdict.status).toBe('warn');
  });
});

describe('where a sandbox refuses the system call', () => {
  const REFUSING = {
    refusedCalls: 'EPERM',
    cyclesPerReading: () => 10_000n,
    updateEveryCycles: 10_384_575n,
  };

  test('clock.resolution compares the paths that are left, and says which is not', async () => {
    const verdict = await runCheckOn(REFUSING, 'clock.resolution');
    expect(verdict).toMatchObject({
      status: 'pass',
      evidence: { told: { monotonic: { vdso: 1n, libc: 1n } }, refused: 'EPERM' },
    });
    expect(verdict.reason).toContain('without syscall (EPERM)');
  });

  test('clock.coarse goes by the vDSO', async () => {
    expect(await runCheckOn(REFUSING, 'clock.coarse')).toMatchObject({ status: 'pass' });
  });

  test('clock.monotonic goes by the vDSO', async () => {
    const options = { ...REFUSING, cyclesPerReading: () => 1_000n };
    expect(await runCheckOn(options, 'clock.monotonic')).toMatchObject({ status: 'pass' });
  });
});
