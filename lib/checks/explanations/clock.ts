import type { Explanations } from './model.js';

export const CLOCK_EXPLANATIONS: Explanations = {
  'clock.paths': {
    measured:
      "Each clock is read by every path that it has: own arithmetic on the kernel's page, the vDSO's symbol called directly, libc, the raw system call. Each path is bracketed by each other (one reading of the one between two of the other), some thousand times; a reading outside its bracket is wrong by at least the distance.",
    verdicts: {
      pass: 'Every reading lay inside its bracket.',
      warn: 'Readings lay outside only while the kernel rewrote its page, or a sandbox refuses the system call.',
      fail: 'Two paths to one clock disagree.',
      skip: 'No clock can be read by two paths.',
    },
    remedy:
      'Something stands between program and kernel: look for LD_PRELOAD, faketime, a sandbox or an instrumented vDSO. If there is none, report the kernel with the evidence.',
    neededBy: ['page.layout', 'page.exact'],
    example: {
      fault: 'libc answers realtime an hour ahead',
      status: 'fail',
      reason: 'realtime, libc in page: outside by up to 3,600,000 ms, 40 times in 40 samples',
    },
  },
  'clock.calls': {
    measured:
      'gettimeofday and time are bracketed by clock_gettime, by vDSO, libc, system call and the vsyscall page where it is mapped. clock_getres is compared between its paths. getcpu is held against the CPU that the thread is pinned to, and against rdtscp.',
    verdicts: {
      pass: 'All paths say the same, and the same as the clocks.',
      warn: 'All ways to ask name another CPU than the one that the thread is pinned to.',
      fail: 'A call says something else by one path than by another, or than the clock.',
      skip: 'None of these calls can be made.',
    },
    remedy:
      'Something answers for some calls only: look for LD_PRELOAD, faketime, a sandbox or an emulator. If there is none, report the kernel with the evidence.',
    neededBy: [],
    example: {
      fault: 'gettimeofday by libc is an hour ahead',
      status: 'fail',
      reason:
        'gettimeofday by libc in realtime by libc: outside by up to 3,600,000 ms, 100 times in 100 samples',
    },
  },
  'clock.fields': {
    measured:
      'Every answer of clock_gettime, gettimeofday and time is looked at as the call left it, by every path: seconds, and a fraction from 0 to below one second.',
    verdicts: {
      pass: 'Every answer was normalised.',
      fail: 'A fraction was negative, or a second or more.',
      skip: 'No clock can be read.',
    },
    remedy:
      'A preloaded library or a sandbox computes times and does not normalise them. Programs that trust POSIX compute wrong times from such answers.',
    neededBy: ['clock.paths', 'clock.calls'],
    example: {
      fault: 'libc takes a second off and puts it into the nanoseconds',
      status: 'fail',
      reason:
        'clock_gettime(realtime) by libc: 100 answers of 100 samples not normalised, such as 1789999999 and 1250474512; 8 other calls likewise',
    },
  },
  'clock.monotonic': {
    measured:
      'Each clock is read as fast as it goes by one thread, and by pinned threads on all CPUs that take turns: each compares its reading with the last one of any. A step back while the kernel rewrote its page is counted apart.',
    verdicts: {
      pass: 'No clock went back, in the number of readings and hand-overs that is told.',
      warn: 'A clock went back only while the kernel changed rate or time, or a clock that may be set did.',
      fail: 'A clock went back by itself.',
      skip: 'The threads hardly ran at the same time, or could not be held on their CPUs.',
    },
    remedy:
      'If counter.warp or counter.offset fail too, the CPUs differ: let the kernel use another clocksource. Else something answers for the kernel: see clock.paths.',
    neededBy: [],
    example: {
      fault: 'boottime goes back by 5 us now and then',
      status: 'fail',
      reason: 'boottime went back in one thread by up to 4,962 ns',
    },
  },
  'clock.resolution': {
    measured:
      'clock_getres of each clock by each path; the smallest step that each coarse clock makes over 24 ticks; the smallest step of monotonic in 20,000 readings.',
    verdicts: {
      pass: 'All paths tell the same, and coarse clocks step by what they tell.',
      warn: 'A coarse clock stood still or stepped by something else, or monotonic tells more than 1 ns (no high-resolution timers).',
      fail: 'Two paths tell different resolutions for one clock.',
      skip: 'No path answers.',
    },
    remedy:
      'Different answers come from a sandbox or a preloaded library. A resolution of a tick means that high-resolution timers are off (highres=off, or no usable timer): every sleep is as coarse.',
    neededBy: ['clock.coarse'],
    example: {
      fault: 'the vDSO tells 4 ms for monotonic',
      status: 'fail',
      reason: 'paths differ for monotonic',
    },
  },
  'clock.coarse': {
    measured: 'Each coarse clock is read between two readings of its fine clock, some ten thousand times.',
    verdicts: {
      pass: 'It was never ahead of the fine clock, and at most two ticks behind.',
      warn: 'It was more than two ticks behind, or realtime-coarse was ahead (the clock may have been set).',
      fail: 'monotonic-coarse was ahead of monotonic.',
      skip: 'Neither clock can be read.',
    },
    remedy:
      'Late ticks are time stolen by the hypervisor, or long work with interrupts off. A coarse clock that is ahead is a fault of the kernel: report it.',
    neededBy: [],
    example: {
      fault: 'monotonic-coarse is 20 ms ahead',
      status: 'fail',
      reason: 'monotonic-coarse ahead of the fine clock',
    },
  },
  'clock.relations': {
    measured:
      "TAI less realtime against the kernel's TAI offset and the table of leap seconds; boottime less monotonic (sleep) against zero; the rate of monotonic to monotonic-raw in the page against the frequency and tick that adjtimex tells. The state of timekeeping (synchronised, a leap second pending) stands beside it.",
    verdicts: {
      pass: 'The clocks are related as POSIX and the kernel say.',
      warn: "The kernel's TAI offset is not the table's, or a leap second is pending that no table has.",
      fail: 'Two clocks are related as they cannot be.',
      skip: 'A clock cannot be read.',
    },
    remedy:
      'A wrong TAI offset or a pending leap second is set by the time daemon: look at its leap-second source. If clocks are related wrongly, look for who set one of them during the run, else report the kernel.',
    neededBy: ['smear.kernel'],
    example: {
      fault: "the kernel's TAI offset is not the one that CLOCK_TAI has",
      status: 'fail',
      reason: "TAI - realtime is 36999999961 ns, the kernel's offset 36 s",
    },
  },
  'clock.errors': {
    measured:
      'Clock ids that no clock has are asked for by every path and entry; bad pointers (null, unmapped, read-only and others) are given to every path, in a child process that may die of them.',
    verdicts: {
      pass: 'All paths give the same errno; the system call answers EFAULT. The vDSO and libc may crash on a bad pointer, which POSIX allows.',
      fail: 'A path gives another errno than the kernel, or takes a bad pointer for a good one.',
      skip: "A sandbox refuses the system call, so that the kernel's own answers cannot be had.",
    },
    remedy:
      'Something answers in place of the kernel (a sandbox, a preloaded library): find it by clock.paths.',
    neededBy: [],
    example: {
      fault: 'libc answers a bad clock id with EPERM',
      status: 'fail',
      reason: 'clock_gettime(10): libc EPERM, system call EINVAL',
    },
  },
};
