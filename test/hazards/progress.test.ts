import { describe, expect, test } from 'vitest';
import { exploredCell, steppedCell, stressedCell } from '../../lib/hazards/cells.ts';
import { type ExploredCase, exploreHazard } from '../../lib/hazards/explored/explored.ts';
import { differencesOf } from '../../lib/hazards/held.ts';
import {
  type Cell,
  HAZARD_NAMES,
  type HazardName,
  MATRIX_READERS,
  type MatrixReader,
  PROTOCOLS,
  type Progress,
  readerName,
} from '../../lib/hazards/model.ts';
import { progressRule, progressUnderStress } from '../../lib/hazards/progress.ts';
import type { HazardReport } from '../../lib/hazards/run.ts';
import { runStepper, steppedCells } from '../../lib/hazards/stepped.ts';
import { explainText } from '../../lib/report/hazards-explain.ts';
import { hazardsMarkdown } from '../../lib/report/hazards-markdown.ts';
import { hazardsText } from '../../lib/report/hazards-text.ts';
import { textStyle } from '../../lib/report/text.ts';

const readerNamed = (name: string): MatrixReader => {
  const found = MATRIX_READERS.find((reader) => readerName(reader) === name);
  if (found === undefined) throw new Error(`no reader ${name}`);
  return found;
};

const ruleOf = (
  reader: string,
  hazard: HazardName,
  variant = 'main',
  model: 'tso' | 'weak' | null = 'tso',
): Progress => {
  const { protocol, generation } = readerNamed(reader);
  return progressRule({ protocol, generation, hazard, variant, model }).progress;
};

describe('the progress that is expected', () => {
  test('is what the protocols are about: a seqlock waits for its writer, a latch never, a window runs out', () => {
    for (const model of ['tso', null] as const) {
      for (const hazard of ['writer-stalled', 'writer-killed', 'writer-restarted'] as const) {
        expect(ruleOf('seqlock', hazard, 'main', model)).toBe('waits');
        expect(ruleOf('latch+gen', hazard, 'main', model)).toBe('free');
        expect(ruleOf('latch-window', hazard, 'main', model)).toBe('refuses');
        expect(ruleOf('two-window', hazard, 'main', model)).toBe('refuses');
      }
    }
  });

  test('of a reader that looks at generations is that it refuses, wherever they change', () => {
    for (const hazard of HAZARD_NAMES.filter((name) => /^(migration|generation)/.test(name))) {
      expect(ruleOf('latch+gen', hazard), hazard).toBe('refuses');
      expect(ruleOf('untagged-latch-window', hazard), hazard).toBe('refuses');
      expect(ruleOf('latch', hazard), hazard).toBe('free');
    }
  });

  test('while a page is held is that nobody has a value, but for a page of which one copy is not', () => {
    expect(ruleOf('latch', 'adjust-held')).toBe('refuses');
    expect(ruleOf('latch', 'adjust-held-unfenced', 'back')).toBe('refuses');
    expect(ruleOf('latch', 'adjust-held', 'one held')).toBe('free');
    expect(ruleOf('seqlock', 'adjust-held')).toBe('waits');
  });

  test('of a reader whose bound can be reached is that it refuses', () => {
    expect(ruleOf('seqlock', 'update', 'bounded')).toBe('refuses');
    expect(ruleOf('latch', 'update', 'bounded')).toBe('refuses');
    expect(ruleOf('latch', 'update', 'bounded', 'weak')).toBe('free');
  });

  test('of a variant that is unknown is the one of its hazard', () => {
    for (const reader of MATRIX_READERS.map(readerName)) {
      for (const hazard of ['update', 'writer-stalled', 'generation-late'] as const)
        expect(ruleOf(reader, hazard, 'unheard of'), `${reader} ${hazard}`).toBe(ruleOf(reader, hazard));
    }
  });

  test('is found in all that is stepped, by a rule that says why', async () => {
    const cells = steppedCells(await runStepper({ quick: true }));
    const found = cells.flatMap((cell) => {
      const { protocol, generation } = cell;
      const reader = MATRIX_READERS.find(
        (one) => one.protocol === protocol && one.generation === generation,
      ) as MatrixReader;
      return steppedCell(reader, cell).cases.map((one) => ({ ...one, reader, hazard: cell.hazard }));
    });
    expect(found.length).toBeGreaterThan(150);
    expect(
      found
        .filter(({ progress, expectedProgress }) => progress !== expectedProgress)
        .map(({ reader, hazard, variant }) => `${readerName(reader)} ${hazard} ${variant}`),
    ).toEqual([]);
    // What a rule says of nothing at all, no run would hold.
    expect(new Set(found.map(({ progress }) => progress))).toEqual(new Set(['free', 'refuses', 'waits']));
  }, 120_000);

  test('under stress is held only where threads do not decide it', () => {
    expect(progressUnderStress('latch', 'writer-stalled')).toBe('free');
    expect(progressUnderStress('two-window', 'writer-stalled')).toBe('refuses');
    expect(progressUnderStress('seqlock', 'update')).toBeNull();
    for (const protocol of PROTOCOLS) {
      expect(progressUnderStress(protocol, 'window-expired')).not.toBeNull();
      expect(progressUnderStress(protocol, 'migration-equal')).toBeNull();
    }
  });
});

describe('a cell whose progress differs', () => {
  const reader = readerNamed('latch');
  const explored = exploreHazard(reader, 'writer-killed', { quick: true });
  const asFound = exploredCell(reader, 'writer-killed', explored);
  const waiting = exploredCell(
    reader,
    'writer-killed',
    explored.map((one): ExploredCase => ({ ...one, progress: 'waits' })),
  );
  const reportOf = (cell: Cell): HazardReport => ({
    ...{ startedAt: new Date(0), durationMs: 1, quick: false, cpus: [0], seed: 1n, interrupted: false },
    host: {
      hostname: null,
      machineIdHash: null,
      ...{ kernel: '6.1', arch: 'x64', cpuModel: 'none', cpus: 1, hypervisor: null },
      clocksource: { current: 'tsc', available: ['tsc'] },
      ...{ counter: { hz: null, invariant: true }, timeNamespace: false, privileged: false },
    },
    ...{ cells: [cell], unavailable: [], run: 1, unexpected: cell.holds ? 0 : 1 },
  });
  const style = textStyle({});

  test('is not as expected, although its verdict is; the same with the progress that it has is', () => {
    expect(asFound).toMatchObject({
      verdict: 'lags',
      progress: 'free',
      expectedProgress: 'free',
      holds: true,
    });
    expect(waiting).toMatchObject({ verdict: 'lags', expected: 'lags', progress: 'waits', holds: false });
  });

  test('is a capital in the matrix of progress alone, and told by what differs', () => {
    const text = hazardsText(reportOf(waiting), style);
    expect(text).toMatch(
      /^verdict[\s\S]*^ writer-killed +l\.\.$[\s\S]*^progress[\s\S]*^ writer-killed +W\.\.$/m,
    );
    expect(text).toMatch(/explored \(main, tso\): progress:\s+expected free,\s+found\s+waits/);
    expect(text).not.toContain('verdict: expected');
    expect(hazardsText(reportOf(asFound), style)).toMatch(/^progress[\s\S]*^ writer-killed +f\.\.$/m);
  });

  test('is told by --explain with the rule, and in Markdown with what was expected', () => {
    const told = explainText(reportOf(waiting), 'writer-killed', style);
    expect(told).toContain('lags, waits: progress: expected free, found waits');
    expect(told).toContain('free: there is always a copy that nobody writes');
    expect(explainText(reportOf(asFound), 'writer-killed', style)).toContain('lags, free: as expected');
    expect(hazardsMarkdown(reportOf(waiting))).toContain('| lags, waits (expected free) |');
    expect(hazardsMarkdown(reportOf(asFound))).toContain('| lags, free |');
  });

  test('under stress is not as expected either, where it is held', () => {
    const tally = {
      ...{ reads: 9, values: 9, outOfWindow: 0, ranOut: 0, refusedOtherwise: 0, retries: 0, waited: 1 },
      ...{ updates: 1, kills: 0, killedInside: 0, torn: 0, missing: 0, outside: 0 },
      ...{ backwards: 0, worstBackNs: 0, longestCycles: 0 },
    };
    const cellOf = (name: string): Cell =>
      stressedCell(readerNamed(name), 'update', 'update', { tally, latencyNs: null });
    expect(cellOf('latch')).toMatchObject({ progress: 'waits', expectedProgress: 'free', holds: false });
    expect(cellOf('seqlock')).toMatchObject({ progress: 'waits', expectedProgress: null, holds: true });
    expect(explainText(reportOf(cellOf('seqlock')), 'update', style)).toContain('the progress is not held');
  });
});

test('what differs is named, both where both do', () => {
  const judged = { verdict: 'lags', expected: 'safe', progress: 'waits', expectedProgress: 'free' } as const;
  expect(differencesOf(judged, 'explored')).toEqual([
    'verdict: expected safe, found lags',
    'progress: expected free, found waits',
  ]);
  expect(differencesOf({ ...judged, expectedProgress: null }, 'stressed')).toEqual([
    'verdict: expected safe, found lags',
  ]);
  expect(differencesOf({ ...judged, expected: 'lags', progress: 'free' }, 'explored')).toEqual([]);
});
