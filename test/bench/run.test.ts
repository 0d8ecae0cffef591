import { describe, expect, test } from 'vitest';
import { judgeEnvironment, readCpuTimes, readLoad } from '../../lib/bench/environment.ts';
import { type BenchOptions, prepareBench } from '../../lib/bench/run.ts';
import { BENCH_PATHS, subjectName, subjectsOf } from '../../lib/bench/subject.ts';
import { openHost, openMachine } from '../../lib/host/host.ts';
import { CLOCK_NAMES } from '../../lib/page/posix-clocks.ts';
import { simulatedHost } from '../support/simulated-host.ts';

const host = openMachine();

describe('options of a run', () => {
  test.each<[string, BenchOptions]>([
    ['an unknown clock', { clocks: ['sundial'] }],
    ['an unknown path', { paths: ['carrier-pigeon'] }],
    ['paths that have none of the clocks', { paths: ['page'], clocks: ['thread-cputime'] }],
    ['no rounds', { rounds: 0 }],
    ['half a round', { rounds: 10.5 }],
    ['too many rounds', { rounds: 100_001 }],
    ['no threads', { threads: [0] }],
    ['more threads than CPUs', { threads: [1, host.addon.cpuAffinity().length + 1] }],
    ['a CPU that is not there', { cpus: [4_095] }],
    ['a seed that is too large', { seed: 1n << 64n }],
    [
      'latencies against throughputs',
      { latency: true, earlier: { results: [], machine: '', chained: false } },
    ],
  ])('are refused before anything is measured: %s', (_, options) => {
    expect(() => prepareBench(host, options)).toThrow(expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }));
  });

  test('nothing is timed where the clocks move in steps of 4 ms, and the error says why', () => {
    const { addon, files } = simulatedHost({
      ...{ mode: 'none', clockStepNs: 4_000_000n, cyclesPerReading: () => 26_000n },
    });
    expect(() => prepareBench(openHost(addon, files), {})).toThrow(
      expect.objectContaining({ code: 'ERR_CANNOT_RUN', message: expect.stringContaining('4000000 ns') }),
    );
  });

  test('choose among paths and clocks', () => {
    const names = (paths: string[], clocks: (typeof CLOCK_NAMES)[number][]): string[] =>
      subjectsOf(paths, clocks).map(subjectName);
    expect(names(['vdso', 'page'], ['monotonic', 'thread-cputime'])).toEqual([
      'native page monotonic',
      'native vdso monotonic',
      'native vdso thread-cputime',
    ]);
    expect(names(['two-window', 'rdtsc'], ['realtime'])).toEqual([
      'native rdtsc counter',
      'native two-window monotonic',
      'js two-window monotonic',
      'js rdtsc counter',
    ]);
    // Every path can be asked for, and gives something with all clocks.
    for (const path of BENCH_PATHS) expect(names([path], CLOCK_NAMES).length).toBeGreaterThan(0);
    const all = names([], ['monotonic']);
    expect(new Set(all).size).toBe(all.length);
  });
});

describe('the environment', () => {
  const judge = (
    files: Record<string, string>,
    seen: Partial<Parameters<typeof judgeEnvironment>[2]> = {},
  ) => {
    const machine = simulatedHost({ files });
    const circumstances = judgeEnvironment(openHost(machine.addon, machine.files), 0, {
      ...{ load: 0.1, before: null, after: null, spread: null },
      ...seen,
    });
    return Object.fromEntries(circumstances.map(({ name, status, what }) => [name, `${status}: ${what}`]));
  };
  const CLOCKSOURCE = '/sys/devices/system/clocksource/clocksource0/current_clocksource';
  const GOVERNOR = '/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor';

  test('of a quiet machine speaks for its figures', () => {
    const found = judge({ [CLOCKSOURCE]: 'tsc\n', [GOVERNOR]: 'performance\n' });
    expect(Object.values(found).filter((line) => line.startsWith('warn'))).toEqual([]);
  });

  test.each([
    ['clocksource', 'hpet', { [CLOCKSOURCE]: 'hpet\n' }, {}],
    // Its name has `tsc` in it, and it is none.
    ['clocksource', 'hyperv', { [CLOCKSOURCE]: 'hyperv_clocksource_tsc_page\n' }, {}],
    ['governor', 'powersave', { [GOVERNOR]: 'powersave\n' }, {}],
    ['load', 'others', {}, { load: 40 }],
    ['steal', '5.00 %', {}, { before: { total: 1_000, steal: 10 }, after: { total: 2_000, steal: 60 } }],
    ['rounds', 'js now', {}, { spread: { share: 0.3, subject: 'js now monotonic' } }],
  ] as const)('warns of %s: %s', (name, told, files, seen) => {
    expect(judge(files, seen)[name]).toMatch(new RegExp(`^warn: .*${told}`));
  });

  test('is read from what the kernel shows', () => {
    const machine = simulatedHost({
      files: {
        '/proc/stat': 'cpu  100 20 30 800 5 0 5 40 7 3\ncpu0 1 2 3\n',
        '/proc/loadavg': '1.25 0.50 0.25 2/345 6789\n',
      },
    });
    const simulated = openHost(machine.addon, machine.files);
    // Time of guests is within that of users.
    expect(readCpuTimes(simulated)).toEqual({ total: 1_000, steal: 40 });
    expect(readLoad(simulated)).toBe(1.25);
    const bare = simulatedHost({ files: { '/proc/stat': 'intr 5\n', '/proc/loadavg': '' } });
    expect(readCpuTimes(openHost(bare.addon, bare.files))).toBeNull();
    expect(readLoad(openHost(bare.addon, bare.files))).toBeNull();
  });
});
