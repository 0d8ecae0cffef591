import { comparesExactly, validatesExactly } from './exactness.ts';
import { inEachKernel, slowTest } from './guest.ts';
import { KERNEL_GROUPS, ONE_CPU, TWO_CPUS } from './verdicts.ts';

const NAME = 'tsc-reliable';

// The kernel holds the TSC against nothing, whatever it is worth, and counts by it on any number of CPUs.
inEachKernel(NAME, { cpus: 2, parameters: ['tsc=reliable'], clocksource: () => 'tsc' }, (guest) => {
  slowTest('validate: two CPUs are in step, and the page is exact on both', () =>
    validatesExactly(guest(), NAME, { ...ONE_CPU, ...TWO_CPUS }, { only: KERNEL_GROUPS }),
  );

  slowTest('compare: each update is explained, and simulated time is kernel time', () =>
    comparesExactly(guest(), NAME),
  );
});
