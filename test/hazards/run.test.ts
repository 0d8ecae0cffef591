import { describe, expect, test } from 'vitest';
import {
  type Cell,
  EVIDENCE_KINDS,
  HAZARD_NAMES,
  MATRIX_READERS,
  readerName,
} from '../../lib/hazards/model.ts';
import { type HazardOptions, type HazardReport, prepareHazards } from '../../lib/hazards/run.ts';
import { openHost } from '../../lib/host/host.ts';
import { explainText } from '../../lib/report/hazards-explain.ts';
import { hazardsJson } from '../../lib/report/hazards-json.ts';
import { hazardsMarkdown } from '../../lib/report/hazards-markdown.ts';
import { hazardsText } from '../../lib/report/hazards-text.ts';
import { textStyle } from '../../lib/report/text.ts';
import { shippedSchema } from '../support/schema.ts';
import { type SimulatedHostOptions, simulatedHost } from '../support/simulated-host.ts';

/** Stress of a simulated machine that catches the broken readers. */
const CAUGHT: SimulatedHostOptions['stress'] = (protocol, hazard) => {
  if (protocol === 'literal-two-window' && hazard !== 'window-expired' && hazard !== 'counter-behind')
    return { torn: 2 };
  if (protocol !== 'literal-latch-window') return {};
  if (hazard === 'update' || hazard === 'writer-killed') return {};
  return { missing: 5 };
};

/** Of the stressed cells only, unless evidence is named: the machine is simulated, what is explored needs none. */
function prepare({ only = [], ...options }: HazardOptions, machine: SimulatedHostOptions = {}) {
  const { addon, files } = simulatedHost({ stress: CAUGHT, ...machine });
  const kinds = only.some((name) => (EVIDENCE_KINDS as readonly string[]).includes(name)) ? [] : ['stressed'];
  return prepareHazards(openHost(addon, files), { seed: 7n, ...options, only: [...only, ...kinds] });
}

const text = (report: HazardReport): string => hazardsText(report, textStyle({}));

describe('the matrix', () => {
  test('has every reader against every hazard, and holds where all is as expected', async () => {
    const report = await prepare({}).run();
    expect(report.cells).toHaveLength(MATRIX_READERS.length * HAZARD_NAMES.length);
    expect(report.cells.filter(({ holds }) => !holds)).toEqual([]);
    expect(report).toMatchObject({ run: 66, unexpected: 0, interrupted: false });
    expect(text(report)).toContain('held: 66 cells, 0 not as expected');
    // The simulated readers never lag, and need not: a small letter.
    expect(text(report)).toMatch(/^ update +\.\.s/m);
  });

  test('a sound reader that is torn once is not as expected, and is told with its counts', async () => {
    const report = await prepare(
      { only: ['latch-window', 'update'] },
      { stress: (protocol) => (protocol === 'latch-window' ? { torn: 1 } : {}) },
    ).run();
    expect(report).toMatchObject({ run: 2, unexpected: 2 });
    expect(report.cells[0]).toMatchObject({
      verdict: 'unsafe',
      expected: 'lags',
      holds: false,
      counts: { torn: 2 },
    });
    expect(text(report)).toMatch(/verdict: expected lags,\s+found\s+unsafe/);
    expect(text(report)).toMatch(/^ update +\.\.U +\.\.U$/m);
    expect(text(report)).toContain('failed: 2 cells, 2 not as expected');
  });

  test('a broken reader that is not caught is not as expected either', async () => {
    const report = await prepare(
      { only: ['literal-latch-window', 'window-expired'] },
      { stress: () => ({}) },
    ).run();
    expect(report).toMatchObject({ run: 1, unexpected: 1 });
  });

  test('a dead writer and its successor are one run, and two cells', async () => {
    const runsOf = async (...hazards: string[]): Promise<number> => {
      let runs = 0;
      const stress = (): Record<string, never> => {
        runs++;
        return {};
      };
      const report = await prepare({ only: ['seqlock', ...hazards] }, { stress }).run();
      // With and without generation.
      expect(report.run).toBe(2 * hazards.length);
      return runs;
    };
    expect(await runsOf('writer-killed', 'writer-restarted')).toBe(await runsOf('writer-killed'));
  });

  test('names of one kind add up, kinds narrow each other', async () => {
    const report = await prepare({ only: ['stressed', 'latch', 'seqlock', 'update'] }).run();
    expect(report.cells.map(({ protocol, hazard }) => `${protocol} ${hazard}`)).toEqual([
      ...['seqlock update', 'seqlock update', 'latch update', 'latch update'],
    ]);
  });

  test('what threads cannot make happen is not applicable, and a dot', async () => {
    const report = await prepare({ only: ['latch', 'migration-equal'] }).run();
    expect(
      report.cells.every(({ verdict, progress }) => verdict === 'not-applicable' && progress === null),
    ).toBe(true);
    expect(text(report)).toMatch(/^ migration-equal +\.\.\. +\.\.\.$/m);
    expect(text(report)).toContain('nothing ran');
  });

  test('stops between two runs when it is aborted, and reports what it has', async () => {
    const controller = new AbortController();
    const report = await prepare({
      signal: controller.signal,
      onProgress: ({ done }) => {
        if (done >= 3) controller.abort();
      },
    }).run();
    expect(report.interrupted).toBe(true);
    expect(report.cells.length).toBeGreaterThanOrEqual(3);
    expect(report.cells.length).toBeLessThan(20);
    expect(text(report)).toContain('interrupted');
  });
});

describe('what is explored and stepped', () => {
  const only = ['latch-window', 'migration-equal'];

  test('needs no counter of this thread, and holds', async () => {
    const report = await prepare(
      { only: ['explored', ...only], quick: true },
      { counterState: 'disabled' },
    ).run();
    expect(report.cells.map(({ evidence, verdict, holds }) => [evidence, verdict, holds])).toEqual([
      ['explored', 'unsafe', true],
      ['explored', 'safe', true],
    ]);
    // Without the generation: the shortest way to another host's time.
    expect(report.cells[0]?.cases[0]?.trace?.steps.join()).toContain('moves to another host');
    expect(report.cells[1]?.cases[0]?.trace).toBeNull();
  });

  test('is one report with stress, and each cell is told apart', async () => {
    const report = await prepare({ only: ['explored', 'stepped', 'stressed', ...only], quick: true }).run();
    expect(report.cells.map(({ evidence }) => evidence)).toEqual([
      ...['explored', 'explored', 'stepped', 'stepped', 'stressed', 'stressed'],
    ]);
    expect(report).toMatchObject({ run: 4, unexpected: 0, unavailable: [] });
    expect(text(report)).toMatch(/^ migration-equal +uu\. +ss\.$/m);
    const json = JSON.parse(hazardsJson(report));
    const validate = shippedSchema('hazards-1');
    validate(json);
    expect(validate.errors).toBeNull();
  });

  test('is explained with its traces, the rule that was broken, and why', async () => {
    const report = await prepare({
      only: ['explored', 'adjust-held-unfenced'],
      reader: 'seqlock',
    }).run();
    expect(report).toMatchObject({ run: 1, unexpected: 0 });
    const told = explainText(report, 'adjust-held-unfenced', textStyle({}));
    expect(told).toContain('seqlock against adjust-held-unfenced');
    expect(told).toContain('in program order');
    expect(told).toContain('broken rule: all that was stored is seen before the counter moves');
    expect(told).toMatch(/write TSC_ADJUST[\s\S]*returns \d+ at counter \d+; right is/);
    expect(told).toMatch(/still be in the store\s+buffer/);
  });
});

test('a reader is chosen by its protocol, or by its whole name', async () => {
  const readersOf = async (options: HazardOptions): Promise<string[]> =>
    (await prepare({ ...options, only: ['explored', 'count-aba', ...(options.only ?? [])] }).run()).cells.map(
      readerName,
    );
  expect(await readersOf({ only: ['latch-window'] })).toEqual(['latch-window', 'latch-window+gen']);
  expect(await readersOf({ only: ['latch-window+gen', 'latch+gen'] })).toEqual([
    'latch+gen',
    'latch-window+gen',
  ]);
  expect(await readersOf({ reader: 'latch-window' })).toEqual(['latch-window']);
});

test('evidence that cannot be had is told as that, and not as a hazard that cannot happen', async () => {
  const report = await prepare({ only: ['explored', 'count-aba'], reader: 'latch', quick: true }).run();
  const [cell] = report.cells;
  const without: HazardReport = {
    ...report,
    cells: [{ ...(cell as Cell), evidence: 'stepped', verdict: 'not-applicable', cases: [] }],
    unavailable: [{ evidence: 'stepped', reason: 'it is not built' }],
  };
  expect(explainText(without, 'count-aba', textStyle({}))).toContain('skipped: it is not built');
  expect(hazardsMarkdown(without)).toContain('**Skipped**: stepped. it is not built.');
  expect(text(without)).toContain('skipped stepped: it is not built');
});

describe('refused before anything is measured', () => {
  test.each([
    ['an unknown name', { only: ['latch-windows'] }, 'latch-windows'],
    ['an empty list of CPUs', { cpus: [] }, 'no CPU'],
    ['a CPU outside the affinity', { cpus: [99] }, '99'],
    ['a negative seed', { seed: -1n }, '-1'],
  ] as [string, HazardOptions, string][])('%s', (_, options, word) => {
    expect(() => prepare(options)).toThrow(expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }));
    expect(() => prepare(options)).toThrow(word);
  });

  test('a thread that may not read the counter', () => {
    expect(() => prepare({}, { counterState: 'disabled' })).toThrow(
      expect.objectContaining({ code: 'ERR_COUNTER_DISABLED' }),
    );
  });
});

describe('the report', () => {
  test('as JSON follows the schema', async () => {
    const json = JSON.parse(hazardsJson(await prepare({}).run()));
    const validate = shippedSchema('hazards-1');
    validate(json);
    expect(validate.errors).toBeNull();
    expect(json.schema).toBe('latchclock/hazards/1');
    expect(json.seed).toBe('7');
  });

  test('as text fits 80 columns, and cuts no word', async () => {
    const report = await prepare({}).run();
    expect(
      text(report)
        .split('\n')
        .filter((line) => line.length > 80),
    ).toEqual([]);
    expect(text(report)).not.toContain('…');
  });
});
