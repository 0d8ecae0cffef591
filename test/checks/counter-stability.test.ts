import { describe, expect, test } from 'vitest';
import type { CheckContext } from '../../lib/checks/model.ts';
import type { Observation } from '../../lib/checks/monitor.ts';
import { CHECKS } from '../../lib/checks/registry.ts';
import { openHost } from '../../lib/host/host.ts';
import { simulatedHost } from '../support/simulated-host.ts';

const HZ = 2_000_000_000n;

/** Observations each 100 ms, by a counter that is off by `errorNs` at each, with brackets of 100 ns. */
function observe(
  errorNs: (index: number) => bigint,
  edit: (index: number) => Partial<Observation> = () => ({}),
): Observation[] {
  return Array.from({ length: 11 }, (_, index) => {
    const ns = BigInt(index) * 100_000_000n;
    const cycles = ((ns + errorNs(index)) * HZ) / 1_000_000_000n + 10n ** 12n;
    return {
      anchor: { before: cycles - 100n, ns, after: cycles + 100n, stepNs: 1n, stoodStill: false },
      sleptNs: 0n,
      pvclock: null,
      clocksource: 'tsc',
      ...edit(index),
    };
  });
}

function judge(observations: Observation[]): ReturnType<(typeof CHECKS)[number]['run']> {
  const check = CHECKS.find(({ id }) => id === 'counter.stability');
  const { addon, files } = simulatedHost();
  const monitor = { observations, observe: () => undefined };
  return check?.run({ host: openHost(addon, files), monitor } as unknown as CheckContext) as never;
}

const PVCLOCK = { version: 2, mul: 3_308_754_859n, tscShift: -1 };

describe('counter.stability', () => {
  test('passes on a straight line', async () => {
    expect(await judge(observe(() => 0n))).toMatchObject({ status: 'pass', evidence: { jumps: [] } });
  });

  test.each([1_000n, -1_000_000n])('fails on a jump of %d ns, with its size and time, once', async (ns) => {
    const verdict = await judge(observe((index) => (index >= 6 ? ns : 0n)));
    expect(verdict.status).toBe('fail');
    const jumps = verdict.evidence['jumps'] as { atSec: number; ns: number }[];
    expect(jumps).toHaveLength(1);
    expect(jumps[0]?.atSec).toBeCloseTo(0.6, 6);
    expect(jumps[0]?.ns).toBeCloseTo(Number(ns), -1);
  });

  test('says that a TSC clocksource is a reference made of the counter itself', async () => {
    expect((await judge(observe(() => 0n))).bound).toContain('which counts by it');
  });

  test('warns of a rate that drifts', async () => {
    // A parabola: 0.5 ppm between the halves, with no step that a bracket of 100 ns would show.
    const verdict = await judge(observe((index) => BigInt(Math.round(index * index * 5))));
    expect(verdict).toMatchObject({ status: 'warn' });
    expect(verdict.reason).toContain('drifted');
  });

  test('warns when the hypervisor changes the rate of its page, and not when it rewrites the page', async () => {
    const changed = observe(
      () => 0n,
      (index) => ({ pvclock: index < 5 ? PVCLOCK : { ...PVCLOCK, version: 4, mul: PVCLOCK.mul + 1n } }),
    );
    expect(await judge(changed)).toMatchObject({ status: 'warn' });
    const rewritten = observe(
      () => 0n,
      (index) => ({ pvclock: { ...PVCLOCK, version: 2 * index } }),
    );
    expect(await judge(rewritten)).toMatchObject({ status: 'pass', evidence: { pvclockVersions: 11 } });
  });

  test('warns when the machine slept', async () => {
    const slept = observe(
      () => 0n,
      (index) => ({ sleptNs: index < 5 ? 0n : 60_000_000_000n }),
    );
    const verdict = await judge(slept);
    expect(verdict).toMatchObject({ status: 'warn' });
    expect(verdict.reason).toContain('slept');
  });

  test('tells when the kernel took another clocksource, with a jump and without', async () => {
    const given = (index: number): Partial<Observation> => ({ clocksource: index < 5 ? 'tsc' : 'hpet' });
    const event = 'the kernel changed its clocksource from tsc to hpet';
    const straight = await judge(observe(() => 0n, given));
    expect(straight).toMatchObject({ status: 'warn', evidence: { events: [event] } });
    expect(straight.reason).toContain(event);
    const jumped = await judge(observe((index) => (index >= 5 ? 1_000_000n : 0n), given));
    expect(jumped).toMatchObject({ status: 'fail' });
    expect(jumped.reason).toContain(event);
  });

  test('a clocksource that is not told is no change', async () => {
    const silent = observe(
      () => 0n,
      (index) => ({ clocksource: index < 5 ? 'tsc' : null }),
    );
    expect(await judge(silent)).toMatchObject({ status: 'pass' });
  });

  test('skips with fewer than three observations', async () => {
    expect(await judge(observe(() => 0n).slice(0, 2))).toMatchObject({ status: 'skip' });
  });
});
