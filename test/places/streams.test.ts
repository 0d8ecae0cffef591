import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { BIN, type CliResult, runProgram } from '../support/run-cli.ts';
import { startProgram } from './place.ts';

/** Standard streams that cannot be written to or read from. */

/** Runs the command line with nobody at the other end of `stream`. */
function withoutReader(stream: 'stdout' | 'stderr', arguments_: readonly string[]): Promise<CliResult> {
  const { child, ended } = startProgram(process.execPath, [BIN, ...arguments_]);
  child[stream]?.destroy();
  return ended;
}

/** Runs the command line by a shell, with `redirections`. */
function redirected(redirections: string, arguments_: readonly string[]): CliResult {
  const script = `"$@" ${redirections}`;
  return runProgram('bash', ['-c', script, 'bash', process.execPath, BIN, ...arguments_]);
}

const SHORT = ['validate', '--only', 'vdso.image'];

describe('standard output without a reader', () => {
  test.each([
    [SHORT],
    [['validate', '--list']],
    [['validate', '--help']],
    [['inspect']],
    [['--help']],
    [['--version']],
  ])('%j ends with 0 and without a word', async (command) => {
    expect(await withoutReader('stdout', command)).toEqual({ code: 0, signal: null, out: '', err: '' });
  });

  test('that leaves after a line (| head -1): the line is whole, and the end is 0', () => {
    const { code, out, err } = redirected('| head -1; exit $PIPESTATUS', ['inspect']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^latchclock [\d.]+\n$|^Linux [^\n]+\n$/);
  });
});

describe('standard error without a reader', () => {
  test.each([
    [['validate', '--nonsense']],
    [['validate', '--only', 'nonsense']],
    [['inspect', '--format', 'x']],
    [[]],
  ])('%j ends with 2 all the same', async (command) => {
    expect(await withoutReader('stderr', command)).toEqual({ code: 2, signal: null, out: '', err: '' });
  });

  test('a run that holds ends with 0', async () => {
    const { code, out } = await withoutReader('stderr', SHORT);
    expect(code).toBe(0);
    expect(out).toContain('held');
  });
});

describe('streams that are closed', () => {
  test.each([
    ['input', '<&-', SHORT, 0],
    ['output', '>&-', SHORT, 0],
    ['error', '2>&-', ['validate', '--nonsense'], 2],
    ['all', '<&- >&- 2>&-', SHORT, 0],
  ])(
    '%s: the exit code is the usual one, and no file is written in their place',
    (_, redirections, command, code) => {
      expect(redirected(redirections, command)).toMatchObject({ code, signal: null, err: '' });
    },
  );
});

describe('output that has no room', () => {
  const full = /^latchclock: cannot write the output: ENOSPC \((standard output|\/dev\/full)\); [^\n]+\n$/;

  test.each([
    ['>/dev/full', SHORT],
    ['>/dev/full', ['inspect']],
    ['>/dev/full', ['validate', '--list']],
    ['', [...SHORT, '-o', '/dev/full']],
    ['', ['validate', '--list', '-o', '/dev/full']],
  ])('"%s" %j: the lost report is told, with 2 and not with 0', (redirections, command) => {
    const { code, out, err } = redirected(redirections, command);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(full);
  });
});

test('an error of wrong usage is heard before its process ends', async () => {
  const { child, ended } = startProgram(process.execPath, [BIN, 'validate', '--nonsense']);
  await once(child, 'exit');
  expect((await ended).err).toMatch(/^latchclock: unknown option [^\n]+\n$/);
});
