import { describe, expect, test } from 'vitest';
import { type CompareOptions, prepareCompare } from '../../lib/compare/run.ts';
import { openHost, openMachine } from '../../lib/host/host.ts';
import { KernelWriter } from '../support/kernel-writer.ts';
import { simulatedHost } from '../support/simulated-host.ts';

const host = openMachine();

function refusal(options: CompareOptions): string {
  try {
    prepareCompare(host, options);
  } catch (error) {
    return String((error as { code?: string }).code);
  }
  return 'taken';
}

function replay() {
  const writer = new KernelWriter();
  const states = Array.from({ length: 20 }, () => {
    const snapshot = writer.tick(writer.interval);
    return { snapshot, before: snapshot.main.cycleLast + 5n, after: snapshot.main.cycleLast + 9n };
  });
  return { kernel: 'recorded', hz: 250, states };
}

describe('options of a comparison', () => {
  test.each<[string, CompareOptions]>([
    ['no time', { span: { seconds: 0 } }],
    ['a time that is no number', { span: { seconds: Number.NaN } }],
    ['more than five minutes', { span: { seconds: 300.1 } }],
    ['no update', { span: { updates: 0 } }],
    ['half an update', { span: { updates: 1.5 } }],
    ['updates of our own page', { mode: 'page', span: { updates: 5 } }],
    ['a time of a recording', { replay: replay(), span: { seconds: 1 } }],
    ['a recording for our own page', { replay: replay(), mode: 'page' }],
    ['a recording against a clock from elsewhere', { replay: replay(), against: 'vmclock' }],
    ['a mode against a clock from elsewhere', { mode: 'free', against: 'vmclock' }],
  ])('are refused before anything is measured: %s', (_, options) => {
    expect(refusal(options)).toBe('ERR_BAD_ARGUMENT');
  });

  test('tell of a clock that is not there, and what would have one', () => {
    for (const against of ['ptp:/dev/ptp99', 'ptp:/dev']) {
      expect(() => prepareCompare(host, { against })).toThrow(
        expect.objectContaining({ code: 'ERR_CANNOT_RUN' }),
      );
    }
  });
});

describe('a recording', () => {
  test('is judged without this machine, both ways', async () => {
    for (const mode of ['follow', 'free'] as const) {
      const report = await prepareCompare(host, { mode, replay: replay() }).run();
      expect(report).toMatchObject({ holds: true, replayed: true, kernel: 'recorded', interrupted: false });
      expect(report.finding).toMatchObject({ mode, follow: { tally: { explained: 19, unexplained: 0 } } });
    }
  });

  test('that does not follow is off', async () => {
    const { states, ...rest } = replay();
    const [first, second, ...others] = states as [(typeof states)[number], (typeof states)[number]];
    const main = { ...second.snapshot.main, cycleLast: second.snapshot.main.cycleLast + 1n };
    const wrong = { ...second, snapshot: { ...second.snapshot, main } };
    const report = await prepareCompare(host, {
      replay: { ...rest, states: [first, wrong, ...others] },
    }).run();
    expect(report.holds).toBe(false);
  });
});

describe('this machine', () => {
  // A page of our own needs the compiled thread of its timekeeper: test/cli/compare.test.ts.
  test.each(['follow', 'free'] as const)('holds in mode %s', async (mode) => {
    const states: number[] = [];
    const report = await prepareCompare(host, {
      mode,
      span: { seconds: 1 },
      onProgress: ({ fraction }) => states.push(fraction),
    }).run();
    expect(report).toMatchObject({ holds: true, interrupted: false, replayed: false, finding: { mode } });
    expect(states.length).toBeGreaterThan(1);
    const { finding } = report;
    if (finding.mode !== 'follow' && finding.mode !== 'free') expect.fail(finding.mode);
    expect(finding.follow.tally.unexplained).toBe(0);
    expect(finding.follow.tally.explained).toBeGreaterThan(0);
    const vdso = finding.follow.clocks.map((clock) => clock.vdso?.outside);
    expect(vdso.every((outside) => outside === 0)).toBe(true);
  });

  test('is followed for as many updates as are asked for', async () => {
    const { recording } = await prepareCompare(host, { span: { updates: 25 } }).run();
    expect(recording?.states).toHaveLength(26);
  });

  test('is told apart from one that is interrupted, which has what was seen until then', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 500);
    const start = performance.now();
    const report = await prepareCompare(host, { span: { seconds: 60 }, signal: controller.signal }).run();
    expect(performance.now() - start).toBeLessThan(30_000);
    expect(report).toMatchObject({ interrupted: true, holds: true });
  });
});

describe('a machine whose clocksource is not the counter', () => {
  test('has nothing to follow, and says so', async () => {
    const { addon, files } = simulatedHost({ mode: 'none' });
    const prepared = prepareCompare(openHost(addon, files), { span: { seconds: 1 } });
    await expect(prepared.run()).rejects.toMatchObject({ code: 'ERR_CANNOT_RUN' });
  });
});
