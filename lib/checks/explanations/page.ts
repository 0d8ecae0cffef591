import type { Explanations } from './model.js';

export const PAGE_EXPLANATIONS: Explanations = {
  'page.layout': {
    measured:
      "The layout of the kernel's clock page is taken from the kernel's BTF, else from a table of kernels. It is believed only after a proof: each clock by system call lies between the layout's values at the counter readings around the call. The kernel log's max_cycles is compared with the page's.",
    verdicts: {
      pass: 'A layout is known, and proved.',
      warn: 'The layout comes from the table although there is BTF, which did not help.',
      fail: "The page's max_cycles is not what the kernel log says.",
      skip: 'The process has no such page, or no known layout can be proved.',
    },
    remedy: 'Report the evidence, with the kernel: the table or the reader of BTF wants a new row.',
    neededBy: ['page.exact', 'page.namespace', 'page.updates', 'latch.kernel', 'smear.kernel', 'clock.paths'],
    example: {
      fault: 'the kernel log gives another max_cycles',
      status: 'fail',
      reason: "max_cycles in the page is not what the kernel's log says",
    },
  },
  'page.exact': {
    measured:
      'Each clock is computed from the page between two readings by the vDSO, a million times and more, judged natively; a sample of the judgements is made again in exact arithmetic.',
    verdicts: {
      pass: 'No computed value lay outside its bracket.',
      warn: 'Values lay outside only while the kernel rewrote its page.',
      fail: 'A value lay outside, or the native judgement was not the exact one.',
      skip: 'The page does not count by the TSC, or is not known.',
    },
    remedy:
      'Run again with --cpus and one CPU at a time: if each holds alone, the counters of the CPUs differ (counter.offset). Else report the evidence.',
    neededBy: ['latch.kernel', 'smear.kernel'],
    example: {
      fault: 'the vDSO is a microsecond ahead of the page in tai',
      status: 'fail',
      reason: '200 samples outside, by up to 961 ns',
    },
  },
  'page.namespace': {
    measured:
      'Whether the process is in a time namespace, and its offsets, by the page and by /proc, to the nanosecond.',
    verdicts: {
      pass: 'Both say the same.',
      fail: 'They differ: clocks by vDSO and by system call are then apart.',
      skip: 'The page is not known.',
    },
    remedy:
      'Report the kernel with the evidence; programs in this namespace should not be trusted with intervals.',
    neededBy: ['clock.paths', 'page.exact'],
    example: {
      fault: '/proc tells another offset of boottime than the page',
      status: 'fail',
      reason: 'boottime is offset by -5000000001 ns in the page, by 0 ns in /proc',
    },
  },
  'page.faults': {
    measured:
      'Each page below the vDSO is read once through the kernel, so that a page that must not be touched gives an errno and no signal.',
    verdicts: {
      pass: 'The clock page can be read, and the others say so or fault as they must.',
      warn: "The time namespace's page is readable where it should not be, or the reverse.",
      skip: 'The process has no such pages, or none can be read.',
    },
    remedy: 'A mapping that is new to latchclock: report the evidence, with the kernel.',
    neededBy: ['page.layout'],
    example: {
      fault: "the time namespace's page is readable outside a namespace",
      status: 'warn',
      reason: "the time namespace's page is readable outside a namespace",
    },
  },
  'page.updates': {
    measured:
      "A thread keeps every state of the page that it sees. Each must follow from the one before by the kernel's equations: whole intervals, at most one change of mult, a leap second, a step; then a replica writes the next page, and every word must be the same.",
    verdicts: {
      pass: 'Every update that was seen follows from the one before, to the bit.',
      warn: 'More updates were missed than seen.',
      fail: 'An update follows from nothing that the kernel is known to do.',
      skip: 'No update was seen, or the page does not count by the TSC.',
    },
    remedy:
      'An unexplained update is a finding: report the evidence. If updates were missed, run it where a CPU is free.',
    neededBy: [],
    example: {
      fault: 'monotonic-raw gains a nanosecond an update',
      status: 'fail',
      reason:
        '15 updates unexplained: d(monotonic-raw) = dc * mult_raw: 67108930797091 is not 67108914019875',
    },
  },
};
