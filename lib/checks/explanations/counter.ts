import type { Explanations } from './model.js';

export const COUNTER_EXPLANATIONS: Explanations = {
  'counter.invariant': {
    measured:
      'CPUID leaf 0x80000007, bit 8 of EDX, says whether the time-stamp counter runs at one rate in every power state. The clocksource in use, the boot parameters and the doubts in the kernel log stand beside it. Nothing is timed.',
    verdicts: {
      pass: 'CPUID announces an invariant counter, and the kernel log has nothing against it.',
      warn: 'A hypervisor hides the bit, often to keep the guest migratable; or the kernel log doubts the counter although CPUID announces it.',
      fail: 'This is no guest, and CPUID does not announce it: the counter changes its rate with frequency and sleep states.',
      skip: 'CPUID cannot be executed here.',
    },
    remedy:
      'In a guest, ask for the invariant TSC (QEMU: -cpu host,+invtsc), or let the kernel count by a paravirtual clock. On bare metal, let the kernel use another clocksource. A doubt that the kernel log quotes names its own cause: firmware is updated, not overruled by a boot parameter.',
    neededBy: ['counter.frequency', 'counter.stability'],
    example: {
      fault: 'the hypervisor hides the invariant bit',
      status: 'warn',
      reason: 'CPUID does not announce it; clocksource tsc',
    },
  },
  'counter.frequency': {
    measured:
      "The counter is read between two readings of monotonic-raw at the start of the run and at its end; cycles over nanoseconds is the rate, with the width of the brackets as its bound. It is compared with the kernel's own mult and shift, and with what CPUID leaf 0x15, the hypervisor, its pvclock page and the kernel log declare. NTP's correction (mult against the uncorrected mult) stands beside it.",
    verdicts: {
      pass: 'All who declare a frequency agree with the measured one, within its bound and what NTP can correct (500 ppm).',
      warn: 'Somebody declares a frequency that is more than 500 ppm off, or the clock is corrected by 500 ppm or more.',
      fail: 'The measured rate is outside its bound from the rate that the kernel reckons with.',
      skip: 'Nobody declares a frequency, or monotonic-raw moves in steps too coarse to be a reference.',
    },
    remedy:
      'After a migration or a suspended host the counter may run at another rate than the kernel believes: restart the guest, or count by a paravirtual clock. A correction at its limit is a time daemon that slews: look at chronyc tracking or ntpq -c rv.',
    neededBy: ['page.updates'],
    example: {
      fault: 'monotonic-raw gains 10 ms on the counter during the run',
      status: 'fail',
      reason: '2596.142 MHz; measured -21142 ppm, outside the bound',
    },
  },
  'counter.granularity': {
    measured:
      'The counter is read in bulk on each CPU. The greatest common divisor of all differences is its step; the smallest difference says how fast it can be read.',
    verdicts: {
      pass: 'The step and the time of a reading are both below a microsecond.',
      warn: 'The counter moves, or can be read, only in steps of more than a microsecond: it is emulated or trapped.',
      fail: 'The counter stands still.',
      skip: 'The counter is disabled for this process.',
    },
    remedy:
      'Ask the hypervisor for the real TSC (no emulation, no trapping); every clock of this host is as coarse.',
    neededBy: ['counter.offset', 'clock.resolution'],
    example: { fault: 'the counter does not move', status: 'fail', reason: 'the counter stands still' },
  },
  'counter.order': {
    measured:
      'Readings by lfence;rdtsc in one thread, on each CPU in turn, are compared with the one before. Readings without the fence are counted beside them, and decide nothing.',
    verdicts: {
      pass: 'No fenced reading was below the one before it.',
      fail: 'A fenced reading was below the one before it, on one and the same CPU.',
      skip: 'The counter is disabled for this process.',
    },
    remedy:
      'Let the kernel use another clocksource: no clock that is built on this counter is monotonic. Tell the vendor of the CPU or of the hypervisor.',
    neededBy: ['counter.warp', 'clock.monotonic'],
    example: {
      fault: 'the counter goes back by 700 cycles at each thousandth reading',
      status: 'fail',
      reason: 'went back 4 times, by up to 700 cycles (270 ns)',
    },
  },
  'counter.warp': {
    measured:
      'For each pair of CPUs two pinned threads take turns under a ticket lock. Each reads the counter and compares its reading with the last one of either; that every thread is on its CPU is looked at as well.',
    verdicts: {
      pass: 'No reading was below what the other CPU had just read, in the number of hand-overs that is told.',
      fail: 'A CPU read a counter below what another had read before.',
      skip: 'There is one CPU only, the threads hardly ran at the same time, or they could not be held on their CPUs.',
    },
    remedy:
      'Clocks go back when a thread moves between these CPUs. A guest that was restored or migrated may need a restart; else update the firmware, and let the kernel use another clocksource.',
    neededBy: ['clock.monotonic', 'page.exact', 'latch.stress'],
    example: {
      fault: 'the counter of CPU 1 is 5,000 cycles behind',
      status: 'fail',
      reason: 'went back 12,500 times by up to 4,900 cycles (1,887 ns) between CPU 0 and CPU 1',
    },
  },
  'counter.offset': {
    measured:
      'Two pinned threads play ping-pong on a shared word. A reading there lies between two readings here, which bounds the difference of the two counters from both sides; the tightest bounds of many rounds are kept, and widened by the step of the counter.',
    verdicts: {
      pass: 'No pair of CPUs is proved to differ; how small a difference would have been seen is told.',
      warn: 'No difference was seen, but a pair is known to 50 microseconds only.',
      fail: 'Two counters differ for certain, or their difference is not constant.',
      skip: 'There is one CPU only, or two CPUs never ran at the same time.',
    },
    remedy:
      'As for counter.warp. A difference that is not constant says that somebody writes to a counter during the run: look at the hypervisor, and at the firmware.',
    neededBy: ['counter.warp', 'clock.monotonic'],
    example: {
      fault: 'the counter of CPU 1 is 5,000 cycles ahead',
      status: 'fail',
      reason: 'CPU 1 is ahead of CPU 0 by 4,851 cycles (1,869 ns) or more',
    },
  },
  'counter.stability': {
    measured:
      "During the whole run the counter is read between two readings of monotonic-raw, several times a second. The usual rate must explain each interval within the widths of the brackets. Changes of the hypervisor's pvclock page, of the clocksource, and sleep are watched, too.",
    verdicts: {
      pass: 'The counter ran straight, and at one rate, over the whole run.',
      warn: 'The rate drifted beyond its bound, or the host changed clocksource, slept, or was migrated during the run.',
      fail: 'The counter jumped: somebody changed it behind the kernel.',
      skip: 'There were too few observations, or monotonic-raw moves in steps too coarse to be a reference.',
    },
    remedy:
      'A jump is a migration, a restore, or a write to TSC_ADJUST. Clocks are off by as much until the time daemon steps them: look at the hypervisor first.',
    neededBy: ['page.exact', 'page.updates'],
    example: {
      fault: 'the counter jumps by a millisecond',
      status: 'fail',
      reason: 'jumped 1 time, by up to 1,000,000 ns',
    },
  },
};
