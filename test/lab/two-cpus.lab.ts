import { comparesExactly, validatesExactly } from './exactness.ts';
import { atLeast, inEachKernel, slowTest, type Version } from './guest.ts';
import { comparesNothing, validatesSlow } from './not-by-tsc.ts';
import { KERNEL_GROUPS, ONE_CPU, TWO_CPUS } from './verdicts.ts';

const NAME = 'two-cpus';
const VERDICTS = { ...ONE_CPU, ...TWO_CPUS };

// Without a constant TSC, and without Intel's name, 5.10 and 6.1 call the counters of two CPUs unsynchronised, and do
// not look; 6.12 and later say so of two sockets only.
const trustsTwo = (version: Version): boolean => atLeast(version, [6, 12]);
const clocksource = (version: Version): string => (trustsTwo(version) ? 'tsc' : 'hpet');

inEachKernel(NAME, { cpus: 2, clocksource }, (guest) => {
  slowTest('validate: the counters are in step; the page is exact where the kernel trusts them', () =>
    trustsTwo(guest().version)
      ? validatesExactly(guest(), NAME, VERDICTS, { only: KERNEL_GROUPS })
      : validatesSlow(guest(), NAME, VERDICTS),
  );

  slowTest('compare: simulated time is kernel time where the kernel trusts them, else it cannot run', () =>
    trustsTwo(guest().version) ? comparesExactly(guest(), NAME) : comparesNothing(guest(), NAME),
  );
});
