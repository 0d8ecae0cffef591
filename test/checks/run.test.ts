import { describe, expect, test } from 'vitest';
import { CHECKS, selectChecks } from '../../lib/checks/registry.ts';
import { prepareRun, type RunOptions } from '../../lib/checks/run.ts';
import { LatchclockError } from '../../lib/errors.ts';
import { openHost } from '../../lib/host/host.ts';
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
    expect(report.summary).toEqual({ pass: 0, fail: 0, warn: 0, skip: 2 });
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
    expect(report.summary).toEqual({ pass: 5, fail: 0, warn: 0, skip: 0 });
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
