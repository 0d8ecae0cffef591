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

  const AVAILABLE = '/sys/devices/system/clocksource/clocksource0/available_clocksource';
  const kmsg = (line: string): Record<string, string> => ({ '/dev/kmsg': `4,1,0,-;${line}` });
  const P0 = "[Firmware Bug]: TSC doesn't count with P0 frequency!";

  test("on bare metal warns of a firmware whose counter does not count with P0's frequency, and quotes it", async () => {
    const verdict = await runCheckOn({ cpuid: BARE_METAL, files: kmsg(P0) }, 'counter.invariant');
    expect(verdict).toMatchObject({
      status: 'warn',
      reason: `CPUID announces it; clocksource tsc; the kernel's log says "${P0}"`,
      advice: expect.stringContaining('firmware'),
      evidence: { kernelDoubts: [P0] },
    });
  });

  test('in a guest says the same line, and that it is of a register that the hypervisor does not emulate', async () => {
    const verdict = await runCheckOn({ files: kmsg(P0) }, 'counter.invariant');
    expect(verdict).toMatchObject({
      status: 'pass',
      reason: `CPUID announces it; clocksource tsc; the kernel's log says "${P0}", of a register (HWCR) that KVM does not emulate`,
    });
  });

  test('warns where the kernel gave up a counter that CPUID announces', async () => {
    const line = 'tsc: Marking TSC unstable due to clocksource watchdog';
    const verdict = await runCheckOn({ mode: 'none', files: kmsg(line) }, 'counter.invariant');
    expect(verdict).toMatchObject({ status: 'warn', reason: expect.stringContaining(`"${line}"`) });
    expect(verdict.advice).toContain('Do not boot with tsc=reliable');
  });

  test('passes where the kernel set TSC_ADJUST right, and says so', async () => {
    const line = '[Firmware Bug]: TSC ADJUST: CPU0: -5 force to 0';
    const verdict = await runCheckOn({ files: kmsg(line) }, 'counter.invariant');
    expect(verdict).toMatchObject({
      status: 'pass',
      reason: expect.stringContaining(`"${line}", and set it right`),
    });
  });

  test('a driver that calls a tsc unstable is not quoted', async () => {
    const verdict = await runCheckOn({ files: kmsg('mydriver: tsc unstable probe') }, 'counter.invariant');
    expect(verdict).toMatchObject({ status: 'pass', evidence: { kernelDoubts: [] } });
  });

  test("recommends the hypervisor's clock only where it is, and by a trial", async () => {
    const hidden = { cpuid: NOT_INVARIANT };
    const underHpet = await runCheckOn({ ...hidden, mode: 'none' }, 'counter.invariant');
    expect(underHpet.advice).not.toContain('kvm-clock');
    const underTsc = { [AVAILABLE]: 'tsc kvm-clock' };
    const verdict = await runCheckOn({ ...hidden, files: underTsc }, 'counter.invariant');
    expect(verdict.advice).toContain("as root 'echo kvm-clock > /sys/");
  });

  test('on bare metal without the bit leaves a kernel alone that counts by another clocksource', async () => {
    const bare = { cpuid: { ...BARE_METAL, ...NOT_INVARIANT } };
    const underHpet = await runCheckOn({ ...bare, mode: 'none' }, 'counter.invariant');
    expect(underHpet.advice).toContain('counts by hpet and not by the bare counter: leave it so');
    const forced = { ...bare, files: { [AVAILABLE]: 'tsc hpet', '/proc/cmdline': 'tsc=reliable' } };
    const verdict = await runCheckOn(forced, 'counter.invariant');
    expect(verdict.advice).toContain("'echo hpet > /sys/");
    expect(verdict.advice).toContain('Boot without tsc=reliable.');
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
