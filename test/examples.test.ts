import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT, runProgram } from './support/run-cli.ts';

function run(name: string): string {
  const { code, signal, out, err } = runProgram(process.execPath, [join(ROOT, 'examples', name)]);
  expect({ code, signal, err, out }).toEqual({ code: 0, signal: null, err: '', out });
  return out;
}

describe('the examples', () => {
  test('a service gives smeared timestamps, all within their bounds and in order', () => {
    const lines = run('smeared-timestamps.js').split('\n');
    const times = lines.filter((line) => line.startsWith('20')).map((line) => line.split(' ')[0] as string);
    expect(times).toHaveLength(10);
    expect(times).toEqual(times.toSorted());
    expect(lines).toContain('10 timestamps, all within their bounds');
  });

  test('readers survive four writers that are killed, and are refused only while there is none', () => {
    const out = run('surviving-readers.js');
    expect(out.match(/writer killed by SIGKILL/g)).toHaveLength(4);
    expect(out).toMatch(/^a second writer: ERR_PAGE_TAKEN$/m);
    expect(out.match(/^\d +\d+ +\d+ ERR_OUT_OF_WINDOW/gm)).toHaveLength(2);
    expect(out).toMatch(/^no reader ever saw time go back$/m);
  });
});
