import { once } from 'node:events';
import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { BIN, type CliResult, latchclock, runProgram } from '../support/run-cli.ts';
import { cannotRun, testUnless } from '../support/tools.ts';
import { startProgram, temporaryFolder } from './place.ts';

/** Where results go on a machine: streams under their names, pipes, files that cannot be replaced; and signals meanwhile. */

const above = temporaryFolder();
const fresh = (): string => mkdtempSync(join(above, 'x'));
const AT = ['smear', 'at', 'L+1000', '--policy', 'chrony'];

/** Runs the command line in a shell: `$0` is a folder, `$@` the command. */
function inShell(script: string, folder: string, command: readonly string[] = AT): CliResult {
  return runProgram('bash', ['-c', script, folder, process.execPath, BIN, ...command]);
}

describe('names of streams', () => {
  test('-o to a link to standard output writes there, also where that is a file, and leaves the link', () => {
    const folder = fresh();
    symlinkSync('/proc/self/fd/1', join(folder, 'link'));
    const { code } = inShell('"$@" -o "$0/link" >"$0/out"', folder);
    expect(code).toBe(0);
    expect(readFileSync(join(folder, 'out'), 'utf8')).toContain('chrony');
    expect(lstatSync(join(folder, 'link')).isSymbolicLink()).toBe(true);
  });

  test.each([
    ['-o /dev/stdout', '>"$0/out"'],
    ['-o /dev/stderr', '2>"$0/out"'],
    ['-o /dev/fd/1', '>"$0/out"'],
    ['-o /dev/fd/7', '7>"$0/out"'],
    ['-o /proc/self/fd/7', '7>"$0/out"'],
  ])('%s %s: what stands in that file before and after stays', (option, redirection) => {
    const folder = fresh();
    const script = `exec ${redirection.replace('>', '>>')}; echo before ${redirection.startsWith('>') ? '' : `>&${redirection[0]}`}
      "$@" ${option}; echo after ${redirection.startsWith('>') ? '' : `>&${redirection[0]}`}`;
    const before = lstatSync('/dev/stdout').ino;
    expect(inShell(script, folder).code).toBe(0);
    expect(lstatSync('/dev/stdout').ino).toBe(before);
    expect(readFileSync(join(folder, 'out'), 'utf8')).toMatch(/^before\n.*chrony.*\nafter\n$/s);
  });

  test('-o >(...) is written to', () => {
    const folder = fresh();
    expect(inShell('"$@" -o >(cat >"$0/out"); wait $!', folder).code).toBe(0);
    expect(readFileSync(join(folder, 'out'), 'utf8')).toContain('chrony');
  });
});

test('an empty name of an output is wrong usage', () => {
  for (const option of [
    [...AT, '-o', ''],
    ['inspect', '-o', ''],
    ['compare', '--record', ''],
  ]) {
    const { code, out, err } = latchclock(...option);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^latchclock: the path is empty \(--(output|record)\); [^\n]+\n$/);
  }
});

const noMount = cannotRun('unshare', ['-m', 'true']);
testUnless(noMount, 'a file that is mounted by itself, which no rename replaces, is written to', () => {
  const folder = fresh();
  writeFileSync(join(folder, 'outer'), 'old');
  writeFileSync(join(folder, 'inner'), 'hidden');
  const script = 'mount --bind "$0/outer" "$0/inner" && "$@" -o "$0/inner"';
  const { code, err } = runProgram('unshare', [
    '-m',
    'bash',
    '-c',
    script,
    folder,
    process.execPath,
    BIN,
    ...AT,
  ]);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(readFileSync(join(folder, 'outer'), 'utf8')).toContain('chrony');
  expect(readFileSync(join(folder, 'inner'), 'utf8')).toBe('hidden');
  expect(readdirSync(folder)).toEqual(['inner', 'outer']);
});

const SOMEBODY = ['--reuid=54321', '--regid=54321', '--clear-groups', '--inh-caps=-all'];
testUnless(
  cannotRun('setpriv', [...SOMEBODY, process.execPath, '-e', '0']),
  'a file that this user may write, in a folder that it may not change, is written to',
  () => {
    const folder = fresh();
    const file = join(folder, 'report');
    writeFileSync(file, 'a longer old one'.repeat(1000));
    chmodSync(file, 0o666);
    for (const path of [above, folder]) chmodSync(path, 0o755);
    const { code, err } = runProgram('setpriv', [...SOMEBODY, process.execPath, BIN, ...AT, '-o', file]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(readFileSync(file, 'utf8')).toMatch(/chrony.*\n$/s);
    expect(readFileSync(file, 'utf8')).not.toContain('old one');
  },
);

test('a -o that cannot be written leaves nothing of --record', () => {
  const folder = fresh();
  const { code } = latchclock(
    'compare',
    '--record',
    join(folder, 'pages'),
    '-o',
    join(folder, 'no', 'report'),
  );
  expect(code).toBe(2);
  expect(readdirSync(folder)).toEqual([]);
});

describe('signals', () => {
  const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

  test.each(SIGNALS)('%s ends what waits for a reader of its pipe with 130', async (signal) => {
    const folder = fresh();
    runProgram('mkfifo', [join(folder, 'pipe')]);
    const { child, ended } = startProgram(process.execPath, [BIN, ...AT, '-o', join(folder, 'pipe')]);
    await sleep(700);
    child.kill(signal);
    expect(await ended).toMatchObject({ code: 130, signal: null, out: '' });
    expect(readdirSync(folder)).toEqual(['pipe']);
  });

  test.each(SIGNALS)(
    '%s while a run measures: what was measured is written, and nothing stands aside',
    async (signal) => {
      const folder = fresh();
      const options = ['--for', '20s', '--record', join(folder, 'pages'), '-o', join(folder, 'report')];
      const { child, ended } = startProgram(process.execPath, [BIN, 'compare', ...options]);
      await sleep(1_500);
      child.kill(signal);
      expect(await ended).toMatchObject({ code: 130, signal: null });
      expect(readdirSync(folder)).toEqual(['pages', 'report']);
    },
  );

  test('SIGKILL leaves nothing at all', async () => {
    const folder = fresh();
    const { child } = startProgram(process.execPath, [BIN, 'compare', '-o', join(folder, 'report')]);
    await sleep(1_000);
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(readdirSync(folder)).toEqual([]);
  });
});
