import { describe, expect, test } from 'vitest';
import { machineFiles } from '../../lib/host/files.ts';
import { orNull } from '../../lib/host/host.ts';
import { readKernelLog } from '../../lib/host/kernel-log.ts';
import { simulatedHost } from '../support/simulated-host.ts';

const read = (lines: string | null) => readKernelLog(simulatedHost({ files: { '/dev/kmsg': lines } }).files);
const record = (...messages: string[]): string =>
  messages.map((text, i) => `6,${i},1000,-;${text}`).join('\n');

describe('what the log says', () => {
  test('the line of the registered clocksource gives max_cycles and max_idle_ns', () => {
    const line =
      'clocksource: tsc: mask: 0xffffffffffffffff max_cycles: 0x256c0161b7a, max_idle_ns: 440795284980 ns';
    expect(read(record(line)).tscClocksource).toEqual({
      maxCycles: 0x256c0161b7an,
      maxIdleNs: 440_795_284_980n,
    });
  });

  test('of several such lines the last holds, and other clocksources are not the TSC', () => {
    const line = (name: string, cycles: string): string =>
      `clocksource: ${name}: mask: 0xffffffffffffffff max_cycles: ${cycles}, max_idle_ns: 7 ns`;
    const facts = read(
      record(line('tsc', '0x10'), line('tsc', '0x20'), line('tsc-early', '0x30'), line('hpet', '0x40')),
    );
    expect(facts.tscClocksource?.maxCycles).toBe(0x20n);
  });

  test('a refined frequency takes the place of the detected one', () => {
    expect(read(record('tsc: Detected 2596.144 MHz processor')).tscMhz).toBe(2596.144);
    const refined = 'tsc: Refined TSC clocksource calibration: 2596.123 MHz';
    expect(read(record('tsc: Detected 2596.144 MHz processor', refined)).tscMhz).toBe(2596.123);
  });

  test('a doubt is kept with its kind, as the kernel wrote it, and with the CPUs that it names', () => {
    const line = 'clocksource:         CPUs 1-3,7 ahead of CPU 5 for clocksource tsc.';
    expect(read(record('something else', line)).doubts).toEqual([
      { kind: 'out-of-step', line, cpus: ['1-3,7', '5'] },
    ]);
  });

  test.each([
    'tsc: Detected 2596.144 MHz processor',
    'clocksource: Switched to clocksource tsc',
    'random: crng init done',
    'kvm-clock: using sched offset of 7 cycles',
  ])('no doubt: %s', (line) => {
    expect(read(record(line)).doubts).toEqual([]);
  });

  test('only the message of a record counts, not its properties', () => {
    const { files } = simulatedHost();
    const withProperties = {
      ...files,
      readRecords: () => ['6,1,1,-;fine\n SUBSYSTEM=tsc\n NOTE=tsc: Marking TSC unstable\n'],
    };
    expect(readKernelLog(withProperties).doubts).toEqual([]);
  });

  test('an empty log says nothing', () => {
    expect(read('')).toEqual({ tscClocksource: null, tscMhz: null, doubts: [] });
  });

  test('a log that may not be read is ERR_FILE', () => {
    expect(() => read(null)).toThrow(expect.objectContaining({ code: 'ERR_FILE' }));
  });
});

const own = orNull(() => readKernelLog(machineFiles));

test.skipIf(own === null)(
  own === null
    ? "this machine's log is read (skipped: /dev/kmsg may not be read)"
    : "this machine's log is read without waiting",
  () => {
    if (own?.tscClocksource != null) expect(own.tscClocksource.maxCycles).toBeGreaterThan(1n << 32n);
    if (own?.tscMhz != null) expect(own.tscMhz).toBeGreaterThan(100);
  },
);

describe('what is no word of the kernel about its counter', () => {
  test.each([
    ['boot parameters', '5,1,1000,-;Command line: quiet tsc=unstable'],
    ['a line that a program wrote', '30,1,1000,-;Measured 4124 cycles TSC warp between CPUs'],
  ])('%s', (_name, line) => {
    expect(read(line).doubts).toEqual([]);
  });
});
