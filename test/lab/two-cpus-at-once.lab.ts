import { expect } from 'vitest';
import { hazardsHold } from './exactness.ts';
import { check, inEachKernel, slowTest } from './guest.ts';
import { clocksourceOfTwoCpus, trustsTwoCpus } from './two-cpus.ts';
import { KERNEL_GROUPS, NOT_BY_TSC, ONE_CPU, TWO_CPUS } from './verdicts.ts';

const NAME = 'two-cpus-at-once';

// With CPUs that run at once QEMU's counter is not sound: two that read it together push it ahead of QEMU's own
// clock, by milliseconds in seconds. `validate` reads it together, and so drives it away from the HPET.
const ASTRAY = { 'counter.frequency': 'pass|fail', 'counter.stability': 'warn|fail' };

// A kernel that counts by the TSC goes astray with it, until its watchdog looks; then it counts by the HPET.
const UNTIL_FOUND = {
  'counter.frequency': 'pass|fail',
  'counter.stability': 'pass|warn|fail',
  'clock.paths': 'pass|skip',
  'vdso.fast': 'pass|fail',
  'page.exact': 'pass|skip',
  'page.updates': 'pass|skip',
  'latch.kernel': 'pass|skip',
};

inEachKernel(NAME, { cpus: 2, atOnce: true, clocksource: clocksourceOfTwoCpus }, (guest) => {
  slowTest('validate does not pass a counter that is seen to leave the other clocks', async () => {
    const astray = trustsTwoCpus(guest().version) ? UNTIL_FOUND : { ...NOT_BY_TSC, ...ASTRAY };
    const verdicts = { ...ONE_CPU, ...TWO_CPUS, ...astray };
    const report = await guest().validate(NAME, verdicts, { only: KERNEL_GROUPS });
    const { status, evidence, reason } = check(report, 'counter.stability');
    const events = evidence['events'] as string[];
    if (events.length > 0) {
      expect(status).not.toBe('pass');
      expect(reason).toMatch('the kernel changed its clocksource from tsc to hpet');
    }
    const fast = check(report, 'vdso.fast');
    if (fast.status === 'fail') expect(fast.reason).toMatch('clocksource hpet cannot be read in user space');
  });

  slowTest('hazards: threads that run at once find each reader as it should be', () =>
    hazardsHold(guest(), NAME),
  );
});
