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
