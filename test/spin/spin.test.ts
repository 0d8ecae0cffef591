import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { HAZARD_NAMES, MATRIX_READERS } from '../../lib/hazards/model.ts';
import { cannotRun, testUnless } from '../support/tools.ts';
import { comparisonTable, exploreCell } from './agreement.ts';
import { nameOf, SPIN_CELLS, SPIN_MODELS, type SpinCell } from './cells.ts';
import { parseSearch, SpinJudge, type SpinJudgement } from './judge.ts';

// The table takes a minute on two idle processors.
vi.setConfig({ testTimeout: 600_000 });

const missing = cannotRun('spin', ['-V']) ?? cannotRun('gcc', ['--version']);

function cellOf(name: string): SpinCell {
  const cell = SPIN_CELLS.find((one) => nameOf(one) === name);
  if (cell === undefined) throw new Error(`There is no cell ${name}`);
  return cell;
}

describe('the cells', () => {
  test('are those of every reader of the matrix, against every hazard that needs no reordering', () => {
    const readers = MATRIX_READERS.map(({ protocol, generation }) => ({ protocol, generation }));
    expect(SPIN_MODELS.map(({ protocol, generation }) => ({ protocol, generation }))).toEqual(readers);
    const hazards = HAZARD_NAMES.filter(
      (name) => name !== 'adjust-held-unfenced' && name !== 'counter-unfenced',
    );
    for (const model of SPIN_MODELS) {
      const own = SPIN_CELLS.filter(({ file, defines }) => file === model.file && defines === model.defines);
      expect([...new Set(own.map(({ hazard }) => hazard))], model.protocol).toEqual(hazards);
    }
  });

  test('have names of their own', () => {
    expect(new Set(SPIN_CELLS.map(nameOf)).size).toBe(SPIN_CELLS.length);
  });
});

describe('the rates of the models', () => {
  const source = readFileSync(join(import.meta.dirname, 'world.pml'), 'utf8');
  const orders = [...source.matchAll(/-> ((?:rates\[\d\] = \d+(?:; )?)+)$/gm)].map(([, line]) =>
    [...(line as string).matchAll(/= (\d+)/g)].map(([, rate]) => Number(rate)),
  );

  test('make words of two segments another value than either has at that counter', () => {
    expect(orders.map(({ length }) => length)).toEqual([4, 4, 4]);
    expect(orders.flatMap(mistakable)).toEqual([]);
  });

  test('would not do if one were a multiple of another', () => {
    expect(mistakable([1, 3, 9, 27])).not.toEqual([]);
  });
});

describe('spin', () => {
  let judge: SpinJudge;
  beforeAll(() => {
    judge = new SpinJudge();
  });
  afterAll(() => judge.close());

  testUnless(
    missing,
    'gives every cell its expected verdict, which is the explorer’s, and every read a chance to return a value',
    async () => {
      const judgements = await judge.judgeAll(SPIN_CELLS);
      const line = (cell: SpinCell, verdict: string, returns: boolean): string =>
        `${nameOf(cell)}: ${verdict}${returns ? '' : ', no values'}`;
      expect(
        SPIN_CELLS.map((cell, i) =>
          line(cell, judgements[i]?.verdict ?? 'not judged', judgements[i]?.returns ?? false),
        ),
      ).toEqual(SPIN_CELLS.map((cell) => line(cell, cell.expected, !neverReturns(cell))));
      for (const [i, found] of judgements.entries()) {
        expect(found.complete, nameOf(SPIN_CELLS[i] as SpinCell)).toBe(found.verdict === 'safe');
        expect(found.states).toBeGreaterThan(0);
      }
      const rows = SPIN_CELLS.flatMap((cell, i) => {
        const explored = exploreCell(cell);
        return explored === null ? [] : [{ cell, spin: judgements[i] as SpinJudgement, explored }];
      });
      // All but two variants that are spin's alone.
      expect(rows.length).toBeGreaterThan(0.95 * SPIN_CELLS.length);
      expect(rows.map(({ cell, explored }) => `${nameOf(cell)}: ${explored.verdict}`)).toEqual(
        rows.map(({ cell, spin }) => `${nameOf(cell)}: ${spin.verdict}`),
      );
      const file = process.env['LATCHCLOCK_SPIN_TABLE'];
      if (file !== undefined) writeFileSync(file, comparisonTable(rows));
    },
  );

  // What a model leaves out must not be what makes it safe.
  const broken = [
    { of: 'seqlock update', define: 'NO_RECHECK', fault: 'does not load the count again' },
    { of: 'seqlock update', define: 'ODD_IGNORED', fault: 'does not wait for an even count' },
    { of: 'latch update', define: 'WRONG_COPY', fault: 'writes the copy that readers are sent to' },
    { of: 'latch-window update (touching)', define: 'NO_RECHECK', fault: 'does not load the count again' },
    { of: 'two-window update', define: 'NO_RECHECK', fault: 'does not load the count again' },
    {
      of: 'two-window+generation migration-own-page',
      define: 'TAG_IGNORED',
      fault: 'does not look at the tag',
    },
    {
      of: 'seqlock+generation migration-equal',
      define: 'GENERATION_ONCE',
      fault: 'does not load the generation again',
    },
    {
      of: 'seqlock+generation migration-different (behind)',
      define: 'GENERATION_BEHIND_COUNT',
      fault: 'loads the generation behind the count',
    },
  ];
  for (const { of, define, fault } of broken)
    testUnless(missing, `calls ${of} unsafe where one ${fault}`, async () => {
      const cell = cellOf(of);
      const mutant = { ...cell, defines: [...cell.defines, define] };
      expect(await judge.judge(mutant)).toMatchObject({ verdict: 'unsafe', complete: false, returns: true });
    });

  testUnless(missing, 'has no verdict where the search was cut short', async () => {
    const cell = cellOf('two-window update');
    for (const limits of [{ steps: 40 }, { megabytes: 20 }]) {
      const bounded = new SpinJudge(limits);
      await expect(bounded.judge(cell))
        .rejects.toThrow('The search was cut short')
        .finally(() => bounded.close());
    }
    const hurried = new SpinJudge({ milliseconds: 1 });
    await expect(hurried.judge(cell))
      .rejects.toThrow('spin')
      .finally(() => hurried.close());
  });

  testUnless(missing, 'refuses a hazard that the models do not know', async () => {
    const cell = { ...cellOf('seqlock update'), variant: 'another' };
    await expect(judge.judge(cell)).rejects.toThrow('VARIANT is not a name that the model knows');
  });
});

describe('what pan tells', () => {
  const whole = [
    'Full statespace search for:',
    'State-vector 132 byte, depth reached 39, errors: 0',
    '       64 states, stored',
    'unreached in proctype Reader',
    '\t(0 of 40 states)',
    'pan: elapsed time 0.25 seconds',
    '',
  ].join('\n');

  test('is a search with its figures', () => {
    expect(parseSearch(whole)).toEqual({
      violated: false,
      returns: true,
      states: 64,
      depth: 39,
      seconds: 0.25,
    });
  });

  test.each([
    ['approximate', whole.replace('Full statespace', 'Bit statespace'), 'Not an exhaustive search'],
    ['too deep', `error: max search depth too small\n${whole}`, 'cut short'],
    ['out of memory', `pan: reached -DMEMLIM bound\n${whole}`, 'cut short'],
    ['not ended', `Warning: Search not completed\n${whole}`, 'cut short'],
    ['of a model that got stuck', whole.replace('errors: 0', 'errors: 1'), 'The model is at fault'],
    ['without what was reached', whole.replace('Reader', 'Writer'), 'does not tell what it reached'],
    ['without its figures', whole.replace('states, stored', ''), 'pan told nothing like'],
  ])('is no search where it is %s', (_, out, message) => {
    expect(() => parseSearch(out)).toThrow(message);
  });

  test('is a reader that never returns where the assertion was not reached', () => {
    const out = whole.replace('\t(0 of 40', '\trun.pml:97, state 75, "assert(isRight)"\n\t(1 of 40');
    expect(parseSearch(out)).toMatchObject({ violated: false, returns: false });
  });
});

/** The follow-up's sketch goes on while the count is the same: on a page that stands still it runs out of tries. */
function neverReturns({ protocol, hazard }: SpinCell): boolean {
  return protocol === 'literal-two-window' && (hazard === 'counter-behind' || hazard === 'window-expired');
}

/** Torn words of two of the segments, with bases from 1 to 7, that give a value which one of both has. */
function mistakable(rates: readonly number[]): string[] {
  const found: string[] = [];
  for (let code = 0; code < 7 ** 3; code++) {
    const bases = [1, 1 + (code % 7), 1 + (Math.trunc(code / 7) % 7), 1 + Math.trunc(code / 49)];
    if (bases.some((base, i) => base < (bases[i - 1] ?? 1))) continue;
    const segments = bases.map((base, i) => ({ base, mult: rates[i] as number, whole: 100 }));
    for (const [i, next] of segments.entries()) {
      const before = segments[i - 1];
      if (before !== undefined) next.whole = before.whole + (next.base - before.base) * before.mult + 1;
    }
    for (const one of segments)
      for (const other of segments.slice(segments.indexOf(one) + 1))
        for (let counter = other.base; counter <= 8; counter++)
          for (const torn of [
            { ...one, base: other.base },
            { ...one, mult: other.mult },
            { ...one, whole: other.whole },
            { ...other, base: one.base },
            { ...other, mult: one.mult },
            { ...other, whole: one.whole },
          ])
            for (const right of [one, other])
              if (valueAt(torn, counter) === valueAt(right, counter) && !isAsGood(torn, right, counter))
                found.push(`${rates.join()} ${bases.join()} at ${counter}`);
  }
  return found;
}

interface Words {
  base: number;
  mult: number;
  whole: number;
}

function valueAt({ base, mult, whole }: Words, counter: number): number {
  return whole + (counter - base) * mult;
}

/** The odd word makes no difference: the same base, or a rate that is multiplied by nothing. */
function isAsGood(torn: Words, right: Words, counter: number): boolean {
  return (
    torn.base === right.base &&
    torn.whole === right.whole &&
    (torn.mult === right.mult || counter === torn.base)
  );
}
