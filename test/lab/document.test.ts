import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CHECKS } from '../../lib/checks/registry.ts';
import { DOCUMENT, withTable, writtenTable } from './document.ts';
import { NOTED } from './observation.ts';
import { COLUMNS } from './table.ts';

const document = readFileSync(DOCUMENT, 'utf8');
const lines = writtenTable(document)
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .map((line) => line.slice(2, -2).split(' | '));
const [head, ...rows] = lines;
const cellsOf = (name: string): string[] => rows.find(([first]) => first === name)?.slice(1) ?? [];
const cell = (name: string, column: (typeof COLUMNS)[number]): string | undefined =>
  cellsOf(name)[COLUMNS.indexOf(column)];

test('a table is put between the marks, again and again, and nothing else changes', () => {
  const [begin, end] = document.match(/<!--.*?-->/g) ?? [];
  const text = (table: string): string => `before\n${begin}${table}${end}\nafter\n`;
  const once = withTable(text('\n'), 'first');
  expect(once).toBe(text('\n\nfirst\n\n'));
  expect(withTable(once, '| $& |')).toBe(text('\n\n| $& |\n\n'));
});

describe('docs/lab.md', () => {
  test('speaks of each variation that there is', () => {
    const variations = readdirSync(import.meta.dirname)
      .filter((file) => file.endsWith('.lab.ts') && file !== 'places.lab.ts')
      .map((file) => file.slice(0, -'.lab.ts'.length));
    expect(variations.length).toBeGreaterThan(8);
    for (const name of [...variations, ...COLUMNS]) expect(document).toMatch(name);
  });

  test('has a dated table of a whole run: four kernels, all columns, all checks and commands', () => {
    expect(writtenTable(document)).toMatch(/^On \d{4}-\d\d-\d\d, QEMU [\d.]+: (\S+, ){3}\S+\.$/m);
    expect(head?.slice(1)).toEqual([...COLUMNS]);
    expect(rows.map(([name]) => name)).toEqual(['clocksource', ...CHECKS.map(({ id }) => id), ...NOTED]);
  });

  test('shows what the lab is for: no invariant counter, no fast vDSO by the HPET, exact pages by the TSC', () => {
    expect(new Set(cellsOf('counter.invariant'))).toEqual(new Set(['warn']));
    expect(cell('vdso.fast', 'hpet')).toBe('**fail**');
    expect(cell('page.exact', 'hpet')).toBe('skip');
    expect(cell('page.exact', 'one-cpu')).toBe('pass');
    expect(cell('compare', 'one-cpu')).toBe('held');
    expect(writtenTable(document)).not.toMatch('FAIL');
  });
});
