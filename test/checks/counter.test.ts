import { describe, expect, test } from 'vitest';
import { BUDGETS } from '../../lib/checks/budget.ts';
import type { Check, CheckContext } from '../../lib/checks/model.ts';
import { RunMonitor } from '../../lib/checks/monitor.ts';
import { CHECKS } from '../../lib/checks/registry.ts';
import { LatchclockError } from '../../lib/errors.ts';
import { openHost } from '../../lib/host/host.ts';
import { runCheck, runCheckOn } from '../support/run-check.ts';
import { simulatedHost } from '../support/simulated-host.ts';

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

describe('under the clocksource jiffies, whose clocks move in steps of 4 ms', () => {
  // Another counter than the clocks' own is behind them: the page does not count by the TSC.
  const JIFFIES = {
    mode: 'none',
    clockStepNs: 4_000_000n,
    cyclesPerReading: () => 26_000n,
    cpuid: { 0x15: [1, 100, 26_000_000, 0] },
    files: { '/sys/devices/system/clocksource/clocksource0/current_clocksource': 'jiffies\n' },
  } as const;

  test.each(['counter.frequency', 'counter.stability'])(
    '%s has no reference: a skip, with its step and what would let it run',
    async (id) => {
      const check = CHECKS.find((known) => known.id === id);
      const machine = simulatedHost(JIFFIES);
      const host = openHost(machine.addon, machine.files);
      const monitor = new RunMonitor(host);
      for (let i = 0; i < 3; i++) monitor.observe();
      const context = {
        ...{ host, monitor, budget: { ...BUDGETS.quick, frequencySpanMs: 1 } },
        ...{ progress: () => undefined, breathe: async () => undefined },
      } as unknown as CheckContext;
      const verdict = await check?.run(context);
      expect(verdict).toMatchObject({
        status: 'skip',
        reason: 'monotonic-raw moves in steps of 4 ms: it is no reference for the counter',
        evidence: { referenceStepNs: 4_000_000n },
        advice: expect.stringContaining('clocksource'),
      });
    },
  );

  // What the simulated counter has, by CPUID.
  const DECLARED = { cyclesPerReading: () => 101n, cpuid: { 0x15: [1, 100, 25_961_000, 0] } } as const;

  test.each([70n, 280n, 1_000n])(
    'a clock with steps of %d ns is a reference, and its step is in the bound',
    async (clockStepNs) => {
      const check = CHECKS.find(({ id }) => id === 'counter.frequency') as Check;
      const verdict = await runCheck(simulatedHost({ mode: 'none', clockStepNs, ...DECLARED }), check);
      expect(verdict.status).toBe('pass');
      const { boundPpm, spanNs } = verdict.evidence as { boundPpm: number; spanNs: bigint };
      expect(boundPpm).toBeGreaterThan((Number(clockStepNs) / Number(spanNs)) * 1e6);
    },
  );
});
