import { describe, expect, test } from 'vitest';
import { runCheckOn } from '../support/run-check.ts';

describe('clock.relations', () => {
  test('passes when TAI is ahead by the offset that the kernel gives', async () => {
    const verdict = await runCheckOn({ adjtimex: { taiOffsetSeconds: 37 } }, 'clock.relations');
    expect(verdict).toMatchObject({ status: 'pass', evidence: { taiOffsetSeconds: 37 } });
  });

  test('fails when it is ahead by another', async () => {
    const verdict = await runCheckOn({ adjtimex: { taiOffsetSeconds: 36 } }, 'clock.relations');
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toContain('offset 36 s');
  });

  test('fails when boottime is behind monotonic', async () => {
    const verdict = await runCheckOn(
      {
        adjtimex: { taiOffsetSeconds: 37 },
        clockErrorNs: (_path, clock) => (clock === 'boottime' ? -10_000_000_000_000n : 0n),
      },
      'clock.relations',
    );
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toContain('boottime');
  });

  test('takes the offsets of a time namespace out of boottime - monotonic', async () => {
    const inTimeNamespace = { monotonicNs: 10n ** 15n, boottimeNs: 0n };
    const verdict = await runCheckOn(
      { inTimeNamespace, adjtimex: { taiOffsetSeconds: 37 } },
      'clock.relations',
    );
    expect(verdict.status).toBe('pass');
  });

  test('fails when the page runs 1 % faster than the discipline asks', async () => {
    const verdict = await runCheckOn(
      { adjtimex: { taiOffsetSeconds: 37, tickUs: 9_900n } },
      'clock.relations',
    );
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toContain('asked -10000 ppm');
  });
});
