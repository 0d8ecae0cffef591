import { describe, expect, test } from 'vitest';
import { LatchclockError } from '../../lib/errors.ts';
import { runCheckOn } from '../support/run-check.ts';

const BARE_METAL = { 1: [0, 0, 0, 0] } as const;
const NOT_INVARIANT = { 0x8000_0007: [0, 0, 0, 0] } as const;

describe('counter.invariant', () => {
  test('passes where CPUID announces an invariant counter', async () => {
    const verdict = await runCheckOn({}, 'counter.invariant');
    expect(verdict).toMatchObject({ status: 'pass', evidence: { invariant: true } });
  });

  test('warns under a hypervisor that hides the bit, and says why hypervisors do', async () => {
    const verdict = await runCheckOn({ cpuid: NOT_INVARIANT }, 'counter.invariant');
    expect(verdict.status).toBe('warn');
    expect(verdict.advice).toContain('migrat');
  });

  test('fails on bare metal without the bit', async () => {
    const verdict = await runCheckOn({ cpuid: { ...BARE_METAL, ...NOT_INVARIANT } }, 'counter.invariant');
    expect(verdict.status).toBe('fail');
  });

  test('cannot run where CPUID traps', async () => {
    await expect(runCheckOn({ cpuid: 'traps' }, 'counter.invariant')).rejects.toThrow(LatchclockError);
  });
});

describe('counter.frequency', () => {
  test("passes when monotonic-raw runs at the page's rate", async () => {
    const verdict = await runCheckOn({}, 'counter.frequency');
    expect(verdict.status).toBe('pass');
    expect(Math.abs(verdict.evidence['measuredPpm'] as number)).toBeLessThan(
      verdict.evidence['boundPpm'] as number,
    );
  });

  test('fails when monotonic-raw gains on the counter during the run', async () => {
    // An anchor takes 200 readings: the error is there at the end of the run, not at its start, and is gone
    // before the page is proved.
    let readings = 0;
    const verdict = await runCheckOn(
      {
        cyclesPerReading: () => 1_000_000n,
        clockErrorNs: (_path, clock) => {
          if (clock !== 'monotonic-raw') return 0n;
          readings++;
          return readings > 200 && readings <= 600 ? 10_000_000n : 0n;
        },
      },
      'counter.frequency',
    );
    expect(verdict.status).toBe('fail');
    expect(Math.abs(verdict.evidence['measuredPpm'] as number)).toBeGreaterThan(1000);
  });

  test('warns when CPUID declares a frequency that is 1 % off', async () => {
    const verdict = await runCheckOn(
      { cpuid: { 0x15: [1, 100, 25_700_000, 0] }, cyclesPerReading: () => 1_000_000n },
      'counter.frequency',
    );
    expect(verdict).toMatchObject({ status: 'warn' });
    expect(verdict.reason).toContain('CPUID leaf 0x15');
  });
});
