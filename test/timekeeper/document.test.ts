import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CLOCK_PAGE_OFFSETS, OWN_CLOCKS, PageProtocol } from '../../lib/page/clock-page.ts';
import { SOURCE_NAMES } from '../../lib/timekeeper/open-source.ts';
import { ROOT, runProgram } from '../support/run-cli.ts';

const TEXT = readFileSync(join(ROOT, 'docs/timekeeper.md'), 'utf8');

const scripts = [...TEXT.matchAll(/^```js\n(.*?)^```/gms)].map(([, script]) => script as string);
/** First cells of the rows of the table with this heading. */
function rowsBelow(heading: string): string[] {
  const table = TEXT.slice(TEXT.indexOf(`| ${heading}`)).split('\n\n')[0] as string;
  return table
    .split('\n')
    .slice(2)
    .map((row) => /`([\w-]+)`/.exec(row)?.[1] ?? row);
}

describe('docs/timekeeper.md', () => {
  test('has a row for every clock, protocol and source', () => {
    expect(rowsBelow('clock')).toEqual(OWN_CLOCKS);
    expect(rowsBelow('`protocol`').toSorted()).toEqual(Object.keys(PageProtocol).toSorted());
    expect(rowsBelow('`source`')).toEqual(SOURCE_NAMES);
    expect(TEXT).toContain(`a word at 0x0${CLOCK_PAGE_OFFSETS.generation.toString(16)}`);
  });

  test('there are scripts', () => expect(scripts.length).toBeGreaterThan(2));

  test.each(scripts)('script %# runs, and prints', (script) => {
    const { code, out, err } = runProgram(process.execPath, ['--input-type=module', '-e', script]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).not.toBe('');
  });
});
