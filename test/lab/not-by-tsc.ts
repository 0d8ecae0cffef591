import { expect } from 'vitest';
import { check, type Guest, inEachKernel, slowTest } from './guest.ts';
import { KERNEL_GROUPS, NOT_BY_TSC, ONE_CPU, type Verdicts } from './verdicts.ts';

/** `validate` of a guest that does not count by the TSC: vdso.fast fails and says what it costs. */
export async function validatesSlow(guest: Guest, column: string, verdicts: Verdicts): Promise<void> {
  const report = await guest.validate(column, { ...verdicts, ...NOT_BY_TSC }, { only: KERNEL_GROUPS });
  const { reason, advice } = check(report, 'vdso.fast');
  expect(reason).toMatch(
    /clocksource \w+ cannot be read in user space, .*; a read of realtime costs [\d,.]+ (ns|ms), a reading of the counter/,
  );
  expect(reason).toMatch(`clocksource ${await guest.clocksource()} `);
  // The boot parameter, or what the kernel's log says against the counter.
  expect(reason).toMatch(/boot parameter \S+;|the kernel says "/);
  expect(advice).toMatch(/boot without|Do not boot with tsc=reliable/);
  // The coarse clocks are the page's own, whatever the kernel counts by.
  expect(check(report, 'page.layout').reason).toMatch(/by BTF, table .*; 2 clocks proved/);
}

/** `compare` of such a guest: there is nothing to compare, and it says why. */
export async function comparesNothing(guest: Guest, column: string): Promise<void> {
  const ran = await guest.latchclock(['compare']);
  guest.note(column, 'compare', ran);
  expect({ code: ran.code, out: ran.out }).toEqual({ code: 3, out: '' });
  expect(ran.err).toMatch('TSC');
}

/** The tests of kernels that are told to count by something else than the TSC. */
export function notByTsc(name: string, parameters: readonly string[], clocksource: string): void {
  inEachKernel(name, { cpus: 1, parameters, clocksource: () => clocksource }, (guest) => {
    slowTest('vdso.fast fails and says what it costs; what follows the TSC is skipped', () =>
      validatesSlow(guest(), name, ONE_CPU),
    );
    slowTest('compare cannot run, and says that the page does not follow the TSC', () =>
      comparesNothing(guest(), name),
    );
  });
}
