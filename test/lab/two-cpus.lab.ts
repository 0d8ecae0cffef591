import { comparesExactly, validatesExactly } from './exactness.ts';
import { inEachKernel, slowTest } from './guest.ts';
import { comparesNothing, validatesSlow } from './not-by-tsc.ts';
import { clocksourceOfTwoCpus, trustsTwoCpus } from './two-cpus.ts';
import { KERNEL_GROUPS, ONE_CPU, TWO_CPUS } from './verdicts.ts';

const NAME = 'two-cpus';
const VERDICTS = { ...ONE_CPU, ...TWO_CPUS };

inEachKernel(NAME, { cpus: 2, clocksource: clocksourceOfTwoCpus }, (guest) => {
  slowTest('validate: the counters are in step; the page is exact where the kernel trusts them', () =>
    trustsTwoCpus(guest().version)
      ? validatesExactly(guest(), NAME, VERDICTS, { only: KERNEL_GROUPS })
      : validatesSlow(guest(), NAME, VERDICTS),
  );

  slowTest('compare: simulated time is kernel time where the kernel trusts them, else it cannot run', () =>
    trustsTwoCpus(guest().version) ? comparesExactly(guest(), NAME) : comparesNothing(guest(), NAME),
  );
});
