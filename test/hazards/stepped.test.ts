import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isLatchclockError } from '../../lib/errors.ts';
import { expectedStepped } from '../../lib/hazards/expected.ts';
import {
  HAZARD_NAMES,
  type HazardName,
  MATRIX_READERS,
  type MatrixReader,
  type ProtocolName,
} from '../../lib/hazards/model.ts';
import {
  findStepper,
  parseSteppedLine,
  runStepper,
  STEPPED_HAZARDS,
  type SteppedCell,
  type SteppedCounts,
  type SteppedLine,
  steppedCells,
  steppedProgress,
  steppedVerdict,
} from '../../lib/hazards/stepped.ts';
import type { ReaderProtocolName } from '../../lib/native/addon.ts';
import { ROOT, runProgram } from '../support/run-cli.ts';
import { cannotRun, testUnless } from '../support/tools.ts';

describe('the stepper', () => {
  let lines: SteppedLine[] = [];
  let cells: SteppedCell[] = [];
  beforeAll(async () => {
    lines = await runStepper({ quick: true });
    cells = steppedCells(lines);
  }, 120_000);

  const cellOf = (protocol: ProtocolName, generation: boolean, hazard: HazardName): SteppedCell => {
    const found = cells.find(
      (cell) => cell.protocol === protocol && cell.generation === generation && cell.hazard === hazard,
    );
    if (found === undefined) throw new Error(`no cell of ${protocol} ${hazard}`);
    return found;
  };

  test('steps every reader of the matrix against every hazard that it can, narrow and wide', () => {
    expect(cells.map((cell) => [cell.protocol, cell.generation])).toEqual(
      MATRIX_READERS.flatMap(({ protocol, generation }) => STEPPED_HAZARDS.map(() => [protocol, generation])),
    );
    for (const { protocol, hazard, machineCode } of cells)
      expect(machineCode, `${protocol} ${hazard}`).toHaveLength(2);
    expect(HAZARD_NAMES.filter((hazard) => !(STEPPED_HAZARDS as readonly string[]).includes(hazard))).toEqual(
      ['adjust-held-unfenced', 'counter-unfenced'],
    );
  });

  test('makes every hazard happen before every instruction of every reader', () => {
    for (const { protocol, hazard, variant, counts } of lines) {
      expect(counts.boundaries, `${protocol} ${hazard} ${variant}`).toBe(counts.instructions);
      // Of the shortest one, with both loads of the count and the words between.
      expect(counts.instructions).toBeGreaterThan(30);
      expect(counts.runs).toBeGreaterThanOrEqual(counts.boundaries);
    }
  });

  test('finds of every reader what is expected of it, in every variant', () => {
    const found = cells.flatMap(({ protocol, generation, hazard, variants }) =>
      variants.map(({ variant, verdict }) => ({ protocol, generation, hazard, variant, verdict })),
    );
    expect(found.length).toBeGreaterThan(MATRIX_READERS.length * STEPPED_HAZARDS.length);
    const expected = found.map((one) => {
      const reader = MATRIX_READERS.find(
        ({ protocol, generation }) => protocol === one.protocol && generation === one.generation,
      ) as MatrixReader;
      return { ...one, verdict: expectedStepped(reader, one.hazard, one.variant) };
    });
    expect(found).toEqual(expected);
  });

  test("has an example for every verdict of 'unsafe', and for no other", () => {
    for (const { variants } of cells) {
      for (const { verdict, example, counts } of variants) {
        expect(example !== null).toBe(verdict === 'unsafe');
        if (example === null) continue;
        expect(example.boundary).toBeLessThan(counts.instructions);
        expect(example.instruction).toMatch(/^\+0x[0-9a-f]+:( [0-9a-f]{2}){1,15}$/);
      }
    }
  });

  test("the seed's sketch ends without a value where the window has ended", () => {
    const { verdict, counts } = cellOf('literal-latch-window', false, 'window-expired');
    expect(verdict).toBe('unsafe');
    expect(counts.missing).toBeGreaterThan(0);
    expect(counts.garbage).toBe(0);
    expect(cellOf('latch-window', false, 'window-expired').counts).toMatchObject({ missing: 0, garbage: 0 });
  });

  test("the follow-up's sketch returns what it has when the count changes, and else nothing", () => {
    expect(cellOf('literal-two-window', false, 'update').verdict).toBe('unsafe');
    expect(cellOf('literal-two-window', false, 'window-expired')).toMatchObject({
      verdict: 'safe',
      progress: 'waits',
      counts: { right: 0 },
    });
  });

  test('without a tag the segment of the old host is believed with the new counter', () => {
    expect(cellOf('latch-window', false, 'migration-equal').counts.garbage).toBeGreaterThan(0);
    expect(cellOf('untagged-latch-window', true, 'migration-own-page').counts.garbage).toBeGreaterThan(0);
    expect(cellOf('latch-window', true, 'migration-own-page').counts).toMatchObject({
      garbage: 0,
      outside: 0,
    });
  });

  test("a cell is its variant 'main'", () => {
    const update = cellOf('two-window', true, 'update');
    expect(update.verdict).toBe('safe');
    expect(update.variants.map(({ variant, verdict }) => [variant, verdict])).toEqual([
      ['main', 'safe'],
      ['at once', 'lags'],
    ]);
    const wrapped = cellOf('two-window', true, 'counter-wrapped');
    expect(wrapped.verdict).toBe('unsafe');
    expect(wrapped.variants.map(({ variant, verdict }) => [variant, verdict])).toEqual([
      ['through zero', 'safe'],
      ['main', 'unsafe'],
    ]);
  });

  test('narrow and wide are added up', () => {
    const cell = cellOf('latch', false, 'count-aba');
    const both = lines.filter(
      ({ protocol, generation, hazard }) =>
        protocol === 'latch' && generation === 'none' && hazard === 'count-aba',
    );
    expect(both.map(({ wide }) => wide)).toEqual([false, true]);
    expect(cell.counts.runs).toBe((both[0]?.counts.runs ?? 0) + (both[1]?.counts.runs ?? 0));
  });

  test('while a writer is away a seqlock waits, a latch does not, and a window runs out', () => {
    for (const hazard of ['writer-stalled', 'writer-killed'] as const) {
      expect(cellOf('seqlock', true, hazard).progress).toBe('waits');
      expect(cellOf('latch', false, hazard).progress).toBe('free');
      expect(cellOf('latch-window', false, hazard).progress).toBe('refuses');
      expect(cellOf('two-window', false, hazard).progress).toBe('refuses');
    }
  });

  test('another kind of reader is other machine code', () => {
    const codes = MATRIX_READERS.flatMap(
      ({ protocol, generation }) => cellOf(protocol, generation, 'update').machineCode,
    );
    expect(new Set(codes).size).toBe(MATRIX_READERS.length * 2);
  });

  test('tells each line as it comes, of what was asked for only', async () => {
    const told: SteppedLine[] = [];
    const found = await runStepper({
      protocol: 'latch',
      hazard: 'count-aba',
      quick: true,
      onLine: (line) => told.push(line),
    });
    expect(found).toHaveLength(4);
    expect(told).toEqual(found);
    expect(new Set(found.map(({ protocol, hazard }) => `${protocol} ${hazard}`))).toEqual(
      new Set(['latch count-aba']),
    );
  });

  test('is ended by its signal', async () => {
    const controller = new AbortController();
    const run = runStepper({ signal: controller.signal, onLine: () => controller.abort() });
    await expect(run).rejects.toMatchObject({ name: 'AbortError' });
  });

  test.each([
    ['--only', 'latches'],
    ['--hazard', 'counter-unfenced'],
    ['--narrow', '--wide'],
    ['--often', ''],
  ])('refuses %s %s with 2 and a line that says how to ask', (...arguments_) => {
    const { code, out, err } = runProgram(findStepper(), arguments_);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain('usage: reader-stepper');
  });
});

const COUNTS: SteppedCounts = {
  ...{ instructions: 9, boundaries: 9, splits: 0, runs: 9, reads: 18, right: 18, refused: 0, outside: 0 },
  ...{ garbage: 0, missing: 0, retried: 0, waited: 0, backwards: 0 },
};

test('one wrong value of any kind is unsafe; right ones out of order lag', () => {
  for (const kind of ['outside', 'garbage', 'missing'] as const)
    expect(steppedVerdict({ ...COUNTS, [kind]: 1, backwards: 1 })).toBe('unsafe');
  expect(steppedVerdict({ ...COUNTS, backwards: 1 })).toBe('lags');
  expect(steppedVerdict(COUNTS)).toBe('safe');
});

test('waiting is worse than refusing, and retries are neither', () => {
  expect(steppedProgress({ ...COUNTS, waited: 1, refused: 1 })).toBe('waits');
  expect(steppedProgress({ ...COUNTS, refused: 1 })).toBe('refuses');
  expect(steppedProgress({ ...COUNTS, retried: 9 })).toBe('free');
});

describe('a line', () => {
  const line = {
    ...{ protocol: 'latch', generation: 'none', wide: true, hazard: 'update', variant: 'main' },
    ...{ machineCode: '0123456789abcdef', example: null },
    ...COUNTS,
  };

  test('is taken apart', () => {
    expect(parseSteppedLine(JSON.stringify(line))).toMatchObject({ protocol: 'latch', counts: COUNTS });
  });

  test.each<[string, object]>([
    ['an unknown protocol', { protocol: 'rcu' }],
    ['an unknown generation', { generation: 'some' }],
    ['a hazard that cannot be stepped', { hazard: 'counter-unfenced' }],
    ['reads that do not add up', { right: 17 }],
    ['no runs', { runs: 0 }],
    ['a count below zero', { retried: -1 }],
    ['a count that is none', { waited: '1' }],
    ['an example that is none', { example: { boundary: 1 } }],
    ['machine code that is no hash', { machineCode: 'x' }],
    ['no arithmetic', { wide: 1 }],
  ])('is refused for %s', (_, change) => {
    expect(() => parseSteppedLine(JSON.stringify({ ...line, ...change }))).toThrow(/no line of its/);
  });

  test('that says why the stepper cannot run is that error', () => {
    expect(() => parseSteppedLine('{"error":"prctl PR_SET_TSC","why":"Operation not permitted"}')).toThrow(
      /cannot run here \(prctl PR_SET_TSC: Operation not permitted\)/,
    );
    expect(() => parseSteppedLine('{')).toThrow(/no JSON/);
  });
});

test('a program that is not built is an error that says how to build it', async () => {
  const error = await runStepper({ root: '/nowhere' }).catch((reason: unknown) => reason);
  expect(isLatchclockError(error, 'ERR_CANNOT_RUN')).toBe(true);
  expect(String(error)).toContain('npm run build');
});

describe('a reader that was broken', () => {
  const folder = mkdtempSync(join(tmpdir(), 'latchclock-stepper-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** The stepper of one protocol, from a copy of the sources in which `file` has another text in each place of one. */
  const build = (
    protocol: ReaderProtocolName,
    file: string,
    changes: readonly [string, string][],
  ): string => {
    const own = join(folder, protocol);
    const core = join(own, 'core');
    cpSync(join(ROOT, 'native/core'), core, { recursive: true });
    const changed = join(core, file);
    let source = readFileSync(changed, 'utf8');
    for (const [from, to] of changes) {
      expect(source.split(from), from).toHaveLength(2);
      source = source.replace(from, to);
    }
    writeFileSync(changed, source);
    const built = runProgram('make', [
      ...['-s', '-j2', '-C', join(ROOT, 'native/tools'), `CORE=${core}`],
      ...[`BUILD=${join(own, 'build')}`, `ONLY=${protocol}`],
    ]);
    expect(built.code === 0 ? '' : built.err).toBe('');
    return join(own, 'build/reader-stepper');
  };

  const step = (program: string, protocol: ReaderProtocolName, hazard: HazardName): SteppedLine[] => {
    const { code, out } = runProgram(program, [
      ...['--only', protocol, '--hazard', hazard],
      ...['--wide', '--quick'],
    ]);
    expect(code).toBe(0);
    return out.trimEnd().split('\n').map(parseSteppedLine);
  };

  const noCompiler = cannotRun('g++', ['--version']);

  testUnless(noCompiler, 'is caught, and is other machine code', () => {
    // The second load of the count is compared with nothing.
    const broken = build('latch-window', 'readers/latch_window.h', [
      ['LoadWord(page, clock_page::kCountAt) != count', 'false'],
    ]);
    const [caught, sound] = [broken, findStepper()].map((program) => step(program, 'latch-window', 'update'));
    expect(caught?.map(({ counts }) => steppedVerdict(counts))).toEqual(caught?.map(() => 'unsafe'));
    expect(sound?.map(({ counts }) => steppedVerdict(counts))).not.toContain('unsafe');
    expect(caught?.map(({ machineCode }) => machineCode)).not.toEqual(
      sound?.map(({ machineCode }) => machineCode),
    );
  });
});
