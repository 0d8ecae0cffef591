import type { Explanations } from './model.js';

const BUSY = 'The machine was too busy: run it again when a CPU is free.';
const REPORT =
  'Report the evidence, with the CPU; do not use clock pages of latchclock on this host until then.';

export const LATCH_EXPLANATIONS: Explanations = {
  'latch.stress': {
    measured:
      'Readers of clock pages run by four protocols beside a writer that publishes without pause, and beside writer processes that are killed at random moments. The words of a copy are tied by a hash, so that a torn value is missed once in 65,536.',
    verdicts: {
      pass: 'No value was torn, from outside its window, or, by two-window, out of order.',
      fail: 'A reader returned such a value.',
      skip: 'Readers and writer never ran at the same time, or no writer could be killed.',
    },
    remedy: `${REPORT} If it was skipped: ${BUSY}`,
    neededBy: ['smear.phases', 'schedule.frequency', 'preference.switch', 'namespace.offsets'],
    example: { fault: 'a two-window reader returns torn values', status: 'fail', reason: '4 values torn' },
  },
  'latch.window': {
    measured:
      'Nobody writes: the counter leaves the windows of both copies, on either side. Each value that a reader with a window returns is compared with the window of the copy used.',
    verdicts: {
      pass: 'Every read outside the windows was refused.',
      fail: 'A reader gave a value from outside.',
      skip: 'No read fell outside a window.',
    },
    remedy: `${REPORT} If it was skipped: ${BUSY}`,
    neededBy: ['smear.window'],
    example: {
      fault: 'a two-window reader gives a value after its window',
      status: 'fail',
      reason: '4 values from outside the window',
    },
  },
  'latch.stall': {
    measured:
      'A writer stops half-way through an update, again and again, for some milliseconds. Reads that begin meanwhile are timed, each between two fenced counter readings.',
    verdicts: {
      pass: 'A latch gave values or refused, and waited for nobody; the seqlock waited.',
      fail: 'A reader gave a wrong value, or a latch waited for its writer.',
      skip: 'No read met a writer that had stopped.',
    },
    remedy: `${REPORT} If it was skipped: ${BUSY}`,
    neededBy: [],
    example: {
      fault: 'a two-window reader waits for its writer',
      status: 'fail',
      reason: 'two-window waited for its writer',
    },
  },
  'latch.kernel': {
    measured:
      "The vDSO's monotonic is read between two readings of the kernel's page by our own seqlock reader, some ten thousand times and more.",
    verdicts: {
      pass: 'No reading of the vDSO lay outside.',
      fail: 'A reading lay outside: the page and the vDSO differ.',
      skip: 'The page does not count by the TSC, or is not known.',
    },
    remedy: "Do not compute clocks from this kernel's page: read them by the vDSO. Report the evidence.",
    neededBy: [],
    example: {
      fault: 'the vDSO is 5 us ahead of the page',
      status: 'fail',
      reason: '20 samples outside, by up to 4,961 ns',
    },
  },
};
