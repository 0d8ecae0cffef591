import { describe, expect, test } from 'vitest';
import { LatchclockError } from '../../lib/errors.ts';
import { ClockPath } from '../../lib/native/addon.ts';
import { runCheckOn } from '../support/run-check.ts';

describe('clock.paths', () => {
  test('passes when every path gives the same clock, and names the clocks that the kernel lacks', async () => {
    const verdict = await runCheckOn({}, 'clock.paths');
    expect(verdict).toMatchObject({ status: 'pass', evidence: { disagreements: [], differing: [] } });
    expect(verdict.evidence['unsupported']).toContain('aux0');
    expect(verdict.evidence['clocks']).toMatchObject({
      monotonic: {
        'page in vdso': { outside: 0 },
        'vdso in page': { outside: 0 },
        'libc in syscall': { outside: 0 },
      },
      'thread-cputime': { 'vdso in syscall': { outside: 0 } },
    });
  });

  test('fails when libc alone is wrong, and names the clock and the pair', async () => {
    const verdict = await runCheckOn(
      { clockErrorNs: (path, clock) => (path === 'libc' && clock === 'boottime' ? -50_000n : 0n) },
      'clock.paths',
    );
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toMatch(/^boottime, .*libc/);
  });

  test('leaves the vDSO out, and says so, where there is none', async () => {
    const verdict = await runCheckOn({ vdso: null }, 'clock.paths');
    expect(verdict).toMatchObject({ status: 'pass', evidence: { leftOut: ['vdso (ERR_NO_VDSO)'] } });
    expect(verdict.reason).toContain('vdso (ERR_NO_VDSO)');
  });

  test('does not read the page, and skips, where the counter is disabled', async () => {
    const verdict = await runCheckOn({ counterState: 'disabled' }, 'clock.paths');
    expect(verdict.status).toBe('skip');
    expect(verdict.evidence['leftOut']).toContain('vdso (ERR_COUNTER_DISABLED)');
  });

  test.each(['EPERM', 'EACCES', 'ENOSYS'])(
    'warns of a sandbox, not of the host, where the system call is refused with %s',
    async (refusedCalls) => {
      const verdict = await runCheckOn({ refusedCalls }, 'clock.paths');
      expect(verdict).toMatchObject({
        status: 'warn',
        evidence: { disagreements: [], filtered: [refusedCalls] },
      });
      expect(verdict.reason).toContain(`refused with ${refusedCalls}`);
      expect(verdict.advice).toContain('seccomp');
      expect(verdict.evidence['clocks']).toMatchObject({ monotonic: { 'page in vdso': { outside: 0 } } });
      expect(verdict.evidence['unsupported']).toContain('process-cputime');
    },
  );

  test('names the clock where a sandbox refuses one alone, and measures the others by system call', async () => {
    const refuseClock = (path: string, clock: string) =>
      path === 'syscall' && clock === 'tai' ? 'SIGSYS' : undefined;
    const verdict = await runCheckOn({ refuseClock }, 'clock.paths');
    expect(verdict).toMatchObject({ status: 'warn', evidence: { filteredClocks: ['tai'] } });
    expect(verdict.reason).toMatch(/^the system call is refused with SIGSYS for tai; else 9 clocks/);
    expect(verdict.evidence['clocks']).toMatchObject({ monotonic: { 'syscall in vdso': { outside: 0 } } });
  });

  test('fails where the system call is refused with an errno that no sandbox uses', async () => {
    const verdict = await runCheckOn({ refusedCalls: 'EINVAL' }, 'clock.paths');
    expect(verdict).toMatchObject({ status: 'fail', evidence: { filtered: [] } });
    expect(verdict.reason).toContain('syscall EINVAL, yet readable by');
  });

  test('fails where the libc alone refuses a clock: no filter does that', async () => {
    const verdict = await runCheckOn({}, 'clock.paths', ({ addon }) => {
      const { readClock } = addon;
      addon.readClock = (path, id) => {
        if (path === ClockPath.libc) throw new LatchclockError('ERR_SYSTEM_CALL', 'no', { errno: 'EPERM' });
        return readClock(path, id);
      };
    });
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toContain('libc EPERM, yet readable by');
  });
});
