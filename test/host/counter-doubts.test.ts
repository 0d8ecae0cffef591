import { describe, expect, test } from 'vitest';
import {
  type CounterDoubt,
  type CounterDoubtKind,
  counterDoubtOf,
  isDecisive,
  mostTelling,
} from '../../lib/host/counter-doubts.ts';

/** Lines as kernels write them, with the CPUs that they name and whether they speak against counting by the TSC. */
const DOUBTS: readonly [line: string, kind: CounterDoubtKind, cpus: string[], decisive: boolean][] = [
  ['tsc: Marking TSC unstable due to clocksource watchdog', 'given-up', [], true],
  ['tsc: Marking TSC unstable due to check_tsc_sync_source failed', 'given-up', [], true],
  ['Marking TSC unstable due to TSC halts in idle', 'given-up', [], true],
  [
    "TSC found unstable after boot, most likely due to broken BIOS. Use 'tsc=unstable'.",
    'given-up',
    [],
    true,
  ],
  [
    'clocksource: Override clocksource tsc is unstable and not HRT compatible - cannot switch while in HRT/NOHZ mode',
    'given-up',
    [],
    true,
  ],
  ['Clocksource tsc unstable (delta = -250013288 ns)', 'given-up', [], true],
  [
    "clocksource: timekeeping watchdog on CPU17: Marking clocksource 'tsc' as unstable because the skew is too large:",
    'skew',
    ['17'],
    true,
  ],
  [
    "clocksource: timekeeping watchdog on CPU3: Marking clocksource 'tsc-early' as unstable because the skew is too large:",
    'skew',
    ['3'],
    true,
  ],
  [
    "clocksource:                       Clocksource 'tsc' skewed 4687076445 ns (4687 ms) over watchdog 'acpi_pm' interval of 633206175 ns (633 ms)",
    'skew',
    [],
    true,
  ],
  ['clocksource: Marking clocksource tsc unstable due to frequency skew', 'skew', [], true],
  ['clocksource: Marking clocksource tsc unstable due to inter CPU skew', 'out-of-step', [], true],
  [
    'clocksource: CPU3         4208573347 < CPU0         4208579999 (cycles)',
    'out-of-step',
    ['3', '0'],
    true,
  ],
  ['clocksource:         CPUs 7 ahead of CPU 5 for clocksource tsc.', 'out-of-step', ['7', '5'], true],
  ['clocksource:         CPUs 0-2,9 behind CPU 5 for clocksource tsc.', 'out-of-step', ['0-2,9', '5'], true],
  [
    'clocksource: timekeeping watchdog on CPU6: hpet read-back delay of 60666ns, attempt 4, marking unstable',
    'read-back',
    ['6'],
    true,
  ],
  [
    'clocksource: timekeeping watchdog on CPU227: wd-tsc-wd excessive read-back delay of 153560ns vs. limit of 125000ns, wd-wd read-back delay only 11440ns, attempt 3, marking tsc unstable',
    'read-back',
    ['227'],
    true,
  ],
  [
    'clocksource: timekeeping watchdog on CPU336: hpet wd-wd read-back delay of 1203520ns',
    'read-back',
    ['336'],
    false,
  ],
  ['clocksource: wd-tsc-wd read-back delay of 181880ns, clock-skew test skipped!', 'read-back', [], false],
  ['TSC synchronization [CPU#0 -> CPU#36]:', 'warp', ['0', '36'], true],
  ['Measured 4124 cycles TSC warp between CPUs, turning off TSC clock.', 'warp', [], true],
  ['TSC warped randomly between CPUs', 'warp', [], true],
  ['TSC ADJUST compensate: CPU36 observed 95626 warp. Adjust: 95626', 'adjusted', ['36'], false],
  [
    'TSC ADJUST compensate: CPU36 observed 86056 warp (overhead 150). Adjust: 86206',
    'adjusted',
    ['36'],
    false,
  ],
  ['[Firmware Bug]: TSC ADJUST differs within socket(s), fixing all errors', 'adjusted', [], false],
  ['[Firmware Bug]: TSC ADJUST differs: CPU7 0 --> -1234. Restoring', 'adjusted', ['7'], false],
  ['[Firmware Bug]: TSC ADJUST: CPU0: -5 force to 0', 'adjusted', ['0'], false],
  ["[Firmware Bug]: TSC doesn't count with P0 frequency!", 'frequency', [], false],
  [
    'tsc: Warning: TSC freq calibrated by CPUID/MSR differs from what is calibrated by HW timer, please check with vendor!!',
    'frequency',
    [],
    false,
  ],
];

describe('the kernel doubts its counter', () => {
  test.each(DOUBTS)('%s', (line, kind, cpus, decisive) => {
    const doubt = counterDoubtOf(line);
    expect(doubt).toEqual({ kind, line, cpus });
    expect(isDecisive(doubt as CounterDoubt)).toBe(decisive);
  });

  test('a line is kept without the spaces around, and its kind does not depend on them', () => {
    expect(counterDoubtOf('  TSC warped randomly between CPUs \t')).toMatchObject({
      kind: 'warp',
      line: 'TSC warped randomly between CPUs',
    });
  });
});

describe('what is no doubt of the counter', () => {
  test.each([
    'mydriver 0000:00:1f.0: tsc unstable probe, retrying',
    'ptp: TSC unsynchronized to PCH, cross timestamps off',
    'tsc: Marking TSC unstable due to boot parameter',
    'tsc: Marking TSC unstable due to boot parameter notsc',
    'tsc: Detected 2596.144 MHz processor',
    'tsc: Fast TSC calibration failed',
    'tsc: Refined TSC clocksource calibration: 2596.123 MHz',
    'tsc: Marking TSC async resets true due to UV ACPI',
    'TSC ADJUST: CPU0: 5 NOT forced to 0',
    'TSC deadline timer available',
    'clocksource: Switched to clocksource tsc',
    'clocksource: Switched to clocksource hpet',
    'clocksource: Checking clocksource tsc synchronization from CPU 4 to CPUs 0,5.',
    'clocksource:         CPU 4 check durations 3120ns - 20160ns for clocksource tsc.',
    "clocksource: timekeeping watchdog on CPU1: Marking clocksource 'hpet' as unstable because the skew is too large:",
    'clocksource: Marking clocksource acpi_pm unstable due to frequency skew',
    'kvm-clock: using sched offset of 7 cycles',
    'random: crng init done',
    '',
  ])('%s', (line) => {
    expect(counterDoubtOf(line)).toBeNull();
  });
});

describe('of several doubts', () => {
  const tellingOf = (...lines: string[]): string | undefined =>
    mostTelling(lines.map((line) => counterDoubtOf(line) as CounterDoubt))?.line;

  test('the one that says what the kernel measured goes before the one that says what it did', () => {
    const measured = 'Measured 4 cycles TSC warp between CPUs, turning off TSC clock.';
    expect(
      tellingOf(
        'TSC ADJUST compensate: CPU36 observed 74 warp. Adjust: 95700',
        'TSC synchronization [CPU#0 -> CPU#36]:',
        measured,
        'tsc: Marking TSC unstable due to check_tsc_sync_source failed',
      ),
    ).toBe(measured);
  });

  test('CPUs that are ahead go before the watchdog that found it', () => {
    const ahead = 'clocksource:         CPUs 7 ahead of CPU 5 for clocksource tsc.';
    expect(
      tellingOf(
        "clocksource: timekeeping watchdog on CPU5: Marking clocksource 'tsc' as unstable because the skew is too large:",
        'tsc: Marking TSC unstable due to clocksource watchdog',
        ahead,
      ),
    ).toBe(ahead);
  });

  test('what made the kernel give the counter up goes before what it set right', () => {
    const up = 'tsc: Marking TSC unstable due to cpufreq changes on SMP';
    expect(tellingOf('[Firmware Bug]: TSC ADJUST: CPU0: -5 force to 0', up)).toBe(up);
  });

  test('without any there is none', () => expect(mostTelling([])).toBeNull());
});
