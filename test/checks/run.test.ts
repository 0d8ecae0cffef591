import { describe, expect, test } from 'vitest';
import { groupOf } from '../../lib/checks/model.ts';
import { CHECKS, selectChecks } from '../../lib/checks/registry.ts';
import { prepareRun, type RunOptions, type RunReport } from '../../lib/checks/run.ts';
import { LatchclockError } from '../../lib/errors.ts';
import { openHost } from '../../lib/host/host.ts';
import { textStyle } from '../../lib/report/text.ts';
import { validateJson } from '../../lib/report/validate-json.ts';
import { validateText } from '../../lib/report/validate-text.ts';
import { type SimulatedHostOptions, simulatedHost } from '../support/simulated-host.ts';

function prepare(options: RunOptions, machine: SimulatedHostOptions = {}): ReturnType<typeof prepareRun> {
  const { addon, files } = simulatedHost(machine);
  return prepareRun(openHost(addon, files), { budget: 'quick', ...options });
}

describe('selectChecks', () => {
  test('takes ids and groups, and keeps the order of the registry', () => {
    expect(selectChecks(['page', 'vdso.image'], ['page.exact']).map((check) => check.id)).toEqual(
      CHECKS.map((check) => check.id).filter(
        (id) => id === 'vdso.image' || (id.startsWith('page.') && id !== 'page.exact'),
      ),
    );
  });

  test('takes a kind: the checks of the host, or those of latchclock on it', () => {
    const groups = (name: string): string[] => [...new Set(selectChecks([name], []).map(groupOf))];
    expect(groups('host')).toEqual(['counter', 'clock', 'vdso', 'page']);
    expect(groups('self')).toEqual(['latch', 'smear', 'schedule', 'preference', 'namespace']);
  });

  test('refuses names that are neither, and a selection with nothing left', () => {
    expect(() => selectChecks(['pages'], [])).toThrow("there is no check or group 'pages'");
    expect(() => selectChecks([], ['pages'])).toThrow("there is no check or group 'pages'");
    expect(() => selectChecks(['vdso'], ['vdso'])).toThrow('no check is left');
  });

  test('every check has an id of its own', () => {
    expect(new Set(CHECKS.map((check) => check.id)).size).toBe(CHECKS.length);
  });
});

describe('a run', () => {
  test('refuses a CPU outside the affinity, no CPU, and a seed beyond 64 bits before it measures', () => {
    expect(() => prepare({ cpus: [99] })).toThrow('may not run on CPU 99');
    const cpus = Array.from({ length: 64 }, (_, cpu) => cpu);
    expect(() => prepare({ cpus: [0, ...cpus.map((cpu) => cpu + 60)] }, { cpus })).toThrow(
      'may not run on CPUs 64-123 (cpus); choose from 0-63',
    );
    expect(() => prepare({ cpus: [] })).toThrow('no CPU is given');
    expect(() => prepare({ seed: 1n << 64n })).toThrow('give an unsigned 64-bit bigint');
    expect(() => prepare({ seed: -1n })).toThrow('give an unsigned 64-bit bigint');
  });

  test.each([
    [{ seed: 5 }, 'options.seed is 5'],
    [{ only: 'page' }, "options.only is 'page'"],
    [{ skip: [1] }, 'options.skip[0] is 1'],
    [{ cpus: ['0'] }, "options.cpus[0] is '0'"],
    [{ budget: 'toString' }, "options.budget is 'toString'"],
  ])('refuses options of a wrong type: %j', (options, what) => {
    expect(() => prepare(options as unknown as RunOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_ARGUMENT', where: 'validate', what }),
    );
  });

  test('waits for the run before it, and leaves the affinity as it was', async () => {
    const { addon, files } = simulatedHost();
    const host = openHost(addon, files);
    const before = addon.cpuAffinity();
    const options = { budget: 'quick', only: ['counter.order'] } as const;
    await Promise.all([prepareRun(host, options).run(), prepareRun(host, options).run()]);
    expect(addon.cpuAffinity()).toEqual(before);
  });

  test('turns what keeps a check from running into a skip with the reason and a remedy', async () => {
    const report = await prepare({ only: ['page.layout', 'vdso.image'] }, { vvar: false, vdso: null }).run();
    expect(report.summary).toMatchObject({ pass: 0, fail: 0, warn: 0, skip: 2 });
    for (const check of report.checks) {
      expect(check.reason).not.toBe('');
      expect(check.advice).not.toBe('');
    }
  });

  test('skips what reads the page where the kernel takes another clocksource meanwhile', async () => {
    const { addon, files } = simulatedHost();
    const bracket = (): never => {
      throw new LatchclockError('ERR_NO_KERNEL_PAGE', 'another clocksource', { where: 'bracket' });
    };
    const host = openHost({ ...addon, bracket }, files);
    const report = await prepareRun(host, { budget: 'quick', only: ['clock.paths'] }).run();
    expect(report.checks).toMatchObject([{ status: 'skip', reason: 'another clocksource' }]);
  });

  test('turns a malformed vDSO into a failed check', async () => {
    const report = await prepare({ only: ['vdso.image'] }, { vdso: new Uint8Array(8192) }).run();
    expect(report.checks).toMatchObject([
      { id: 'vdso.image', status: 'fail', evidence: { code: 'ERR_BAD_ELF' } },
    ]);
  });

  test('shows results in the order of the registry and counts them', async () => {
    const report = await prepare({ only: ['vdso', 'counter.invariant', 'page.faults'] }).run();
    expect(report.checks.map((check) => check.id)).toEqual([
      'counter.invariant',
      'vdso.image',
      'vdso.symbols',
      'vdso.fast',
      'page.faults',
    ]);
    expect(report.summary).toMatchObject({ pass: 5, fail: 0, warn: 0, skip: 0, self: { pass: 0 } });
    expect(report.interrupted).toBe(false);
  });

  test('stops when it is aborted: what ended is reported, the check under way is a skip', async () => {
    const controller = new AbortController();
    const report = await prepare({
      only: ['counter.invariant', 'counter.frequency'],
      signal: controller.signal,
      onProgress: ({ id, fraction }) => {
        if (id === 'counter.frequency' && fraction >= 0) controller.abort();
      },
    }).run();
    expect(report.interrupted).toBe(true);
    expect(report.checks).toMatchObject([
      { id: 'counter.invariant', status: 'pass' },
      { id: 'counter.frequency', status: 'skip', reason: 'interrupted' },
    ]);
  });

  test('aborted before it starts, it reports no check', async () => {
    const report = await prepare({ signal: AbortSignal.abort() }).run();
    expect(report).toMatchObject({ interrupted: true, checks: [] });
  });
});

describe('a CPU that is taken away under way', () => {
  const CPUS = [0, 1, 2];
  const SLOW = { cyclesPerReading: () => 20_000n };
  /** Checks that pin threads, in the order of the registry. */
  const PINNING = ['counter.offset', 'clock.monotonic'];

  /** Taken away after so many cycles of the simulated counter. */
  const goneAfter =
    (cycles: bigint, gone: readonly number[]) =>
    (counter: bigint): readonly number[] =>
      counter > 1_000_000_000_000n + cycles ? gone : [];

  /** A run in which CPU 1 goes when a function of the addon is called for the second time. */
  async function runWithout(call: 'pingPong' | 'lockStep' | 'readCounters'): Promise<RunReport> {
    const gone: number[] = [];
    const { addon, files } = simulatedHost({ ...SLOW, cpus: CPUS, takenAway: () => gone });
    let calls = 0;
    const real = addon[call] as (...given: unknown[]) => unknown;
    const watched = (...given: unknown[]): unknown => {
      if (++calls === 2) gone.push(1);
      return real(...given);
    };
    const host = openHost({ ...addon, [call]: watched }, files);
    return prepareRun(host, { budget: 'quick', only: PINNING, seed: 3n }).run();
  }

  test.each(['pingPong', 'lockStep', 'readCounters'] as const)(
    'in the middle of a check (%s): that is run on the rest, none fails, and the run says once which',
    async (call) => {
      const report = await runWithout(call);
      expect(report.summary).toMatchObject({ pass: PINNING.length, fail: 0, warn: 0, skip: 0 });
      expect(report.takenAway).toEqual([1]);
      const said = report.checks.map(({ reason, advice }) => `${reason} ${advice}`).join();
      expect(said).not.toContain('sched_setaffinity');
      const text = validateText(report, textStyle({ isTTY: false }));
      expect(text.match(/taken away/g)).toHaveLength(1);
      expect(text).toContain('CPU 1 was taken away during the run');
      expect(JSON.parse(validateJson(report))).toMatchObject({ cpus: CPUS, cpusTakenAway: [1] });
    },
  );

  test('that leaves one: pairs of CPUs are skipped as on one CPU', async () => {
    const report = await prepare({ only: PINNING }, { ...SLOW, takenAway: goneAfter(1_000_000n, [1]) }).run();
    expect(report.takenAway).toEqual([1]);
    expect(report.checks).toMatchObject(
      ['skip', 'pass'].map((status, index) => ({ id: PINNING[index], status })),
    );
    expect(report.checks[0]?.reason).toBe('one CPU to measure on (0)');
  });

  test('that was the only one asked for: the run goes on where the kernel lets it', async () => {
    const takenAway = goneAfter(1_000_000n, [1]);
    const report = await prepare({ only: ['clock.paths'], cpus: [1] }, { ...SLOW, takenAway }).run();
    expect(report.takenAway).toEqual([1]);
    expect(report.summary.fail).toBe(0);
  });

  test('is none where all stay', async () => {
    const report = await prepare({ only: ['page.faults'] }).run();
    expect(report.takenAway).toEqual([]);
    expect(validateText(report, textStyle({ isTTY: false }))).not.toContain('taken away');
  });
});
