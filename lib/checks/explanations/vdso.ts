import type { Explanations } from './model.js';

export const VDSO_EXPLANATIONS: Explanations = {
  'vdso.image': {
    measured:
      "Every byte of the mapped vDSO is read and parsed as ELF: alignment, size, symbols within the executable part. The code is compared with the kernel's own, as far as that can be had.",
    verdicts: {
      pass: 'The image is whole and well formed, where the auxiliary vector says.',
      fail: "The image is cut, malformed, or its code is not the kernel's.",
      skip: 'The process has no vDSO, or it cannot be read.',
    },
    remedy:
      'Something replaced the vDSO or its code: a sandbox, a debugger, a checkpoint or record-and-replay tool. Run outside of it.',
    neededBy: ['vdso.symbols', 'vdso.fast'],
    example: {
      fault: 'functions lie behind the executable part',
      status: 'fail',
      reason: '__vdso_getrandom lies outside the executable part',
    },
  },
  'vdso.symbols': {
    measured:
      'The clock functions are looked up in the ELF tables of the vDSO and by the dynamic linker; the addresses must be the same.',
    verdicts: {
      pass: 'Each function is exported, and the linker finds it where the tables say.',
      warn: 'A function is missing: calls of it enter the kernel.',
      fail: 'The linker finds a function elsewhere.',
      skip: 'The process has no vDSO.',
    },
    remedy:
      'A function that is found elsewhere belongs to a preloaded library or to instrumentation: look at LD_PRELOAD and LD_AUDIT.',
    neededBy: ['vdso.fast'],
    example: {
      fault: 'the linker resolves a function to another place',
      status: 'fail',
      reason: 'the linker finds __vdso_clock_gettime elsewhere',
    },
  },
  'vdso.fast': {
    measured:
      'A thread with a seccomp filter on itself that turns clock_gettime into an errno calls the vDSO for each clock and counts: a call that enters the kernel fails. What a read costs by vDSO and by system call is timed beside it.',
    verdicts: {
      pass: 'No clock enters the kernel. Where the filter is refused, cost decides, and the bound says so.',
      fail: 'A clock, or all of them, enter the kernel at each read.',
      skip: 'Neither can the filter be set nor the system call be made.',
    },
    remedy:
      'The advice names the cause that was found: a boot parameter, what the kernel log holds against the counter, a clocksource that can be switched back, a pvclock that is not stable, a vDSO that was replaced, or a kernel whose vDSO lacks the clock.',
    neededBy: [],
    example: {
      fault: 'the kernel counts by the HPET',
      status: 'fail',
      reason:
        "the 5 clocks that need the counter enter the kernel: clocksource hpet cannot be read in user space, the kernel's log does not say why; a read of realtime costs 38.5 ns, a reading of the counter 38.5 ns",
    },
  },
};
