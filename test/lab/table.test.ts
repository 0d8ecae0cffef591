import { describe, expect, test } from 'vitest';
import type { Observation } from './observation.ts';
import { COLUMNS, tableMarkdown, tableOf, tableText } from './table.ts';

function observed(kernel: string, column: string, verdicts: Record<string, string>): Observation {
  return {
    kernel,
    release: `${kernel}.0`,
    clocksource: { [column]: 'hpet' },
    verdicts: { [column]: verdicts },
    exits: { [column]: { compare: 3 } },
  };
}

const OBSERVATIONS = [
  observed('7.2', 'hpet', { 'vdso.fast': 'fail', 'page.exact': 'skip' }),
  observed('5.10', 'hpet', { 'vdso.fast': 'fail', 'page.exact': 'pass' }),
  observed('5.10', 'one-cpu', { 'vdso.fast': 'pass' }),
];
const TABLE = tableOf(OBSERVATIONS, ['5.10', '7.2']);
const rowOf = (text: string, name: string): string | undefined =>
  text.split('\n').find((line) => line.startsWith(name) || line.startsWith(`| ${name} `));

describe('the table', () => {
  test('has the columns that were seen, in its own order, and the kernels in theirs', () => {
    expect(TABLE.columns).toEqual(['one-cpu', 'hpet']);
    expect(TABLE.rows.find(({ name }) => name === 'page.exact')?.cells).toEqual([
      [null, null],
      ['pass', 'skip'],
    ]);
  });

  test('as text has one letter where kernels agree, and one for each where not', () => {
    const text = tableText(TABLE);
    expect(rowOf(text, 'vdso.fast')?.split(/\s+/)).toEqual(['vdso.fast', 'p.', 'F']);
    expect(rowOf(text, 'page.exact')?.split(/\s+/)).toEqual(['page.exact', '.', 'ps']);
    expect(rowOf(text, 'compare')?.split(/\s+/)).toEqual(['compare', 'n.', 'n']);
    expect(text).toMatch('kernels: 5.10, 7.2; columns: 1 one-cpu, 2 hpet');
  });

  test('as text of four kernels and all columns is no wider than a terminal', () => {
    const kernels = ['5.10', '6.1', '6.12', '7.2'];
    const all = COLUMNS.flatMap((column, index) =>
      kernels.map((kernel, of) =>
        observed(kernel, column, { 'vdso.fast': (index + of) % 2 === 0 ? 'pass' : 'fail' }),
      ),
    );
    const grid = tableText(tableOf(all, kernels)).split('\n\n')[0] as string;
    expect(Math.max(...grid.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  test('as Markdown has words, and failures stand out', () => {
    const text = tableMarkdown(TABLE);
    expect(rowOf(text, 'vdso.fast')).toBe('| vdso.fast | pass, . | **fail** |');
    expect(rowOf(text, 'compare')).toBe('| compare | cannot, . | cannot |');
  });
});
