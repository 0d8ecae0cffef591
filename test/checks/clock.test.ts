import { describe, expect, test } from 'vitest';
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
});
