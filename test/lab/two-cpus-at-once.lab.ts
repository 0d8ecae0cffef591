import { expect } from 'vitest';
import { atLeast, check, inEachKernel, slowTest, type Version } from './guest.ts';
import { KERNEL_GROUPS, ONE_CPU, TWO_CPUS } from './verdicts.ts';

const NAME = 'two-cpus-at-once';

const startsByTsc = (version: Version): boolean => atLeast(version, [6, 12]);

// With CPUs that run at once QEMU's counter is not sound: two that read it together push it ahead of QEMU's own
// clock, by milliseconds in seconds. `validate` reads it together, and so sees the counter leave the HPET; a kernel
// that counts by the TSC sees it too, if its watchdog looks in time, and gives the counter up under way.
const EITHER = {
  'counter.frequency': 'pass|fail',
  'vdso.fast': 'pass|fail',
  'page.exact': 'pass|skip',
  'page.updates': 'pass|skip',
  'latch.kernel': 'pass|skip',
};

inEachKernel(
  NAME,
  { cpus: 2, atOnce: true, clocksource: (version) => (startsByTsc(version) ? 'tsc' : 'hpet') },
  (guest) => {
    slowTest('validate: a counter that leaves the other clocks is not passed', async () => {
      const report = await guest().validate(
        NAME,
        { ...ONE_CPU, ...TWO_CPUS, ...EITHER, 'counter.stability': 'pass|fail' },
        { only: KERNEL_GROUPS },
      );
      const { status, evidence } = check(report, 'counter.stability');
      const clocksource = await guest().clocksource();
      // Only where the kernel itself counted by the counter from first to last is there nothing to see it by.
      expect(status).toBe(clocksource === 'tsc' ? 'pass' : 'fail');
      const events = startsByTsc(guest().version) && clocksource !== 'tsc' ? 1 : 0;
      expect(evidence['events']).toHaveLength(events);
      const { reason } = check(report, 'vdso.fast');
      if (clocksource !== 'tsc') expect(reason).not.toMatch('clocksource tsc');
    });

    slowTest('hazards: threads that run at once find each reader as it should be', async () => {
      const ran = await guest().latchclock(['hazards', '--only', 'stressed', '--quick', '--format', 'json']);
      guest().note(NAME, 'hazards', ran);
      expect({ code: ran.code, err: ran.err }).toEqual({ code: 0, err: '' });
    });
  },
);
