import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { BIN, latchclock, ROOT, runProgram } from '../support/run-cli.ts';
import { temporaryFolder } from './place.ts';

/** Files that options name, where they are no files: pipes, sockets, streams. */

const folder = temporaryFolder();
const pages = join(folder, 'pages.jsonl');
beforeAll(() => {
  expect(latchclock('compare', '--for', '20updates', '--record', pages).code).toBe(0);
});

const REPLAY = ['compare', '--format', 'csv', '--replay'];

describe('a recording', () => {
  test.each([
    ['<(...)', '"$@" <(cat "$0")'],
    ['<(...) of a slow writer', '"$@" <(sleep 1; head -c 1000 "$0"; sleep 0.5; tail -c +1001 "$0")'],
    ['/dev/stdin of a file', '"$@" /dev/stdin <"$0"'],
    ['/dev/stdin of a pipe', 'cat "$0" | "$@" /dev/stdin'],
    ['/dev/fd/9', '"$@" /dev/fd/9 9<"$0"'],
    [
      'a named pipe that has no writer yet',
      'mkfifo "$0.pipe"; (sleep 1; cat "$0" >"$0.pipe") & "$@" "$0.pipe"',
    ],
  ])('is read from %s', (_, script) => {
    const plain = latchclock(...REPLAY, pages);
    const piped = runProgram('bash', ['-c', script, pages, process.execPath, BIN, ...REPLAY]);
    expect({ code: piped.code, err: piped.err }).toEqual({ code: 0, err: '' });
    expect(piped.out).toBe(plain.out);
  });

  test('is read from /dev/stdin where that is a socket, which cannot be opened anew', () => {
    const script = `
      const { spawnSync } = require('node:child_process');
      const { status, stderr } = spawnSync(process.execPath, ${JSON.stringify([BIN, ...REPLAY, '/dev/stdin'])},
        { input: require('node:fs').readFileSync(${JSON.stringify(pages)}) });
      process.stderr.write(stderr);
      process.exitCode = status;`;
    const { status, stderr } = spawnSync(process.execPath, ['-e', script], { cwd: ROOT, encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});

test('a leap table and an earlier report are read from pipes', () => {
  const table = runProgram('bash', [
    '-c',
    '"$@" --table <(cat test/fixtures/leap-seconds.list)',
    ...['bash', process.execPath, BIN, 'smear', 'at', 'L+1', '--policy', 'chrony'],
  ]);
  expect({ code: table.code, err: table.err }).toEqual({ code: 0, err: '' });
  const report = runProgram('bash', [
    '-c',
    '"$@" --compare <(echo none)',
    'bash',
    process.execPath,
    BIN,
    'bench',
  ]);
  expect(report).toMatchObject({ code: 2, out: '' });
  expect(report.err).not.toContain('EAGAIN');
  writeFileSync(join(folder, 'empty'), '');
  expect(latchclock('compare', '--replay', '').err).toMatch(/^latchclock: the path is empty \(--replay\)/);
});
