import type { Explanations } from './model.js';

const SKIPS =
  'No timekeeper could be started, or there were too few readings: the machine was too busy, or the clock was stepped meanwhile.';
const REPORT = 'Report the evidence; do not let a timekeeper of latchclock keep this host until then.';

/** Checks of a timekeeper and its readers: smears, schedules, preferences, time namespaces. */
export const TIMEKEEPER_EXPLANATIONS: Explanations = {
  'smear.phases': {
    measured:
      "A timekeeper keeps a page with a leap second placed so that now is at the start, in the middle, or at the end of a policy's window. Each reading is compared with the policy's own exact arithmetic for the tai of the same reading, and the rate with the policy's.",
    verdicts: {
      pass: "Every value and rate is the policy's, to its rounding.",
      fail: 'smeared-realtime, sane-realtime or realtime is not what the policy says, or a clock went back.',
      skip: SKIPS,
    },
    remedy: REPORT,
    neededBy: [],
    example: {
      fault: 'smeared-realtime is 3 ns off',
      status: 'fail',
      reason:
        "google-24h, start of a positive leap second: smeared-realtime is not the policy's, by up to 4 ns",
    },
  },
  'smear.window': {
    measured:
      'A smear of one second is read from before its start until after its end, at a positive and a negative leap second, without a pause.',
    verdicts: {
      pass: "Every reading is the policy's, across both ends of the window.",
      fail: 'A reading is not, or a clock went back at an end.',
      skip: `${SKIPS} It does not run with --quick: a window of a second takes too long.`,
    },
    remedy: REPORT,
    neededBy: [],
    example: {
      fault: 'smeared-realtime lags the policy by 10 ns',
      status: 'fail',
      reason: "smeared-realtime is not the policy's, by up to 10.9 ns",
    },
  },
  'smear.kernel': {
    measured:
      "Beside a smear, each other clock of a page is compared with the kernel's at the same counter reading, computed from the kernel's page (by brackets of clock_gettime where that does not count by the TSC).",
    verdicts: {
      pass: 'Every difference was within the bound that came with the reading.',
      warn: "A bound was exceeded only right after the kernel's rate was set.",
      fail: 'A bound was exceeded.',
      skip: SKIPS,
    },
    remedy:
      'If a time daemon sets the frequency hard, give the timekeeper an allowance (allowancePpt). Else report the evidence.',
    neededBy: [],
    example: {
      fault: 'boottime is 100 ns ahead',
      status: 'fail',
      reason: "boottime is outside its bound in 100 samples, by up to 100 ns from the kernel's",
    },
  },
  'schedule.frequency': {
    measured:
      'A change of the rate by 5 % is scheduled for an exact tick of the counter, by three protocols. Lines through the readings on both sides meet at a corner, which must be the tick, within what the rounding of readings leaves.',
    verdicts: {
      pass: 'There is one corner, at its tick, for every reader; two-window readers were refused nothing.',
      warn: "The timekeeper's thread came late: the machine was busy.",
      fail: 'The corner lies elsewhere, there is another one, or two-window readers were refused although the thread came in time.',
      skip: SKIPS,
    },
    remedy: `${REPORT} A warning or a skip says only that the machine was busy.`,
    neededBy: ['schedule.leap'],
    example: {
      fault: 'the change comes 1,000 cycles after its tick',
      status: 'fail',
      reason: 'two-window: the corner lies 1000 cycles from the tick',
    },
  },
  'schedule.leap': {
    measured:
      "A leap second, positive and negative, is placed some hundred milliseconds ahead. Each reading of sane-realtime is compared with tai, and the step with the kernel's realtime before and after.",
    verdicts: {
      pass: 'sane-realtime steps by exactly a second, at the exact tick.',
      fail: 'It does not step, or by something else, or at another instant.',
      skip: SKIPS,
    },
    remedy: REPORT,
    neededBy: [],
    example: {
      fault: 'sane-realtime is a nanosecond off',
      status: 'fail',
      reason: 'sane-realtime is not tai by whole seconds',
    },
  },
  'preference.switch': {
    measured:
      'realtime is switched between sane and smeared, half a second apart, every 9 ms under its readers. Each reading must be one of the two.',
    verdicts: {
      pass: 'Every reading was sane or smeared; no other clock went back.',
      fail: 'A reading was neither, or another clock went back.',
      skip: SKIPS,
    },
    remedy: REPORT,
    neededBy: [],
    example: {
      fault: 'realtime is read half-way between the two',
      status: 'fail',
      reason: '20 readings in which realtime was neither sane nor smeared',
    },
  },
  'namespace.offsets': {
    measured:
      'Two pages of time namespaces, one nested in the other, are read between two readings of the page outside.',
    verdicts: {
      pass: 'monotonic and boottime differ by exactly the offsets; the clocks of the world do not differ.',
      fail: 'A clock is off by something else.',
      skip: SKIPS,
    },
    remedy: REPORT,
    neededBy: [],
    example: {
      fault: 'monotonic of the outer namespace is 100 ns off',
      status: 'fail',
      reason: 'outer: monotonic is off by 86400000000101 ns, and not by 86400000000001',
    },
  },
};
