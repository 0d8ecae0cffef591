import { copyFileSync, cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { built, runModule, temporaryFolder } from '../places/place.ts';
import { BIN, latchclock, ROOT, runProgram } from '../support/run-cli.ts';

/** What a user meets first: help, exit codes and errors. */

const folder = temporaryFolder();

/** Runs many command lines in one process, one after the other. */
function allOf(
  commands: readonly (readonly string[])[],
): { command: string[]; code: number; text: string }[] {
  const { code, out, err } = runModule(`
    import { main } from '${built('cli/main.js')}';
    const ends = [];
    const write = process.stdout.write.bind(process.stdout);
    for (const command of ${JSON.stringify(commands)}) {
      let text = '';
      for (const stream of [process.stdout, process.stderr]) {
        stream.write = (chunk, done) => {
          text += chunk;
          if (typeof done === 'function') done();
          return true;
        };
      }
      ends.push({ command, code: await main(command), text });
    }
    write(JSON.stringify(ends));`);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out) as ReturnType<typeof allOf>;
}

test('--help of every command is at most 80 columns wide, and breaks no example', () => {
  const smears = ['plan', 'at', 'diff', 'matrix', 'unsmear', 'which'].map((name) => ['smear', name]);
  const commands = [[], ['validate'], ['inspect'], ['hazards'], ['compare'], ['bench'], ['smear'], ...smears];
  for (const { command, code, text } of allOf(commands.map((one) => [...one, '--help']))) {
    expect(code).toBe(0);
    const lines = text.split('\n');
    expect(lines[0], command.join(' ')).toContain('Usage: latchclock');
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    for (const example of lines.filter((line) => line.startsWith('  latchclock ')))
      expect(example).not.toMatch(/[,-]$/);
  }
});

describe('the program', () => {
  const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    engines: { node: string };
  };

  test.each(['18.20.4', '20.18.3', '16.0.0'])(
    'says which Node it wants, before it loads anything, to Node %s',
    (node) => {
      const pretend = `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'${node}'}})`;
      const { code, out, err } = runProgram(process.execPath, ['--import', pretend, BIN, 'validate']);
      expect({ code, out }).toEqual({ code: 3, out: '' });
      const wanted = engines.node.replace('>=', '');
      expect(err).toBe(
        `latchclock: Node.js ${wanted} or later is wanted (this is ${node}); install a newer one\n`,
      );
    },
  );

  test('is written in what every Node can parse: no syntax is newer than import()', () => {
    const text = readFileSync(BIN, 'utf8').replace(/^\s*\/\/.*$/gm, '');
    expect(text).toContain('import(');
    expect(text).not.toMatch(/\?\.|\?\?|\bawait\b|\basync\b|^import |^export |\*\*|#\w+ *[=(;]|\|\|=|&&=/m);
  });

  test('for which there are too few descriptors ends with 3, never with 1, and says so', () => {
    let told = 0;
    for (const files of [20, 28, 36, 44]) {
      const script = `ulimit -n ${files}; exec "$@"`;
      const command = ['bash', process.execPath, BIN, 'inspect', '-o', '/dev/null'];
      const { code, err } = runProgram('bash', ['-c', script, ...command]);
      // What Node has inherited counts, too: it may not have come as far as to our first line.
      if (!err.startsWith('latchclock: ')) continue;
      told++;
      expect(code, err).toBe(3);
      expect(err).toMatch(/^latchclock: [^\n]*EMFILE[^\n]*\n$/);
    }
    expect(told).toBeGreaterThan(0);
  });

  test('that fails where nobody catches it ends with 3, since 1 says that a check failed', () => {
    const late = `data:text/javascript,setTimeout(()=>{throw new Error('late')},300)`;
    const { code, err } = runProgram(process.execPath, ['--import', late, BIN, 'compare', '--for', '5s']);
    expect(code).toBe(3);
    expect(err).toMatch(/^latchclock: internal error, please report it: Error: late\n/);
  });
});

describe('control characters of arguments', () => {
  const HOSTILE = '\u001b[31m\u0007\nx\u009b\u202e';
  const table = join(folder, `table${HOSTILE}`);
  copyFileSync(join(ROOT, 'test/fixtures/leap-seconds.list'), table);

  const COMMANDS = [
    [HOSTILE],
    ['validate', `--${HOSTILE}`],
    ['validate', '--only', HOSTILE],
    ['validate', '--cpus', HOSTILE],
    ['validate', '--seed', HOSTILE],
    ['validate', '--format', HOSTILE],
    ['inspect', '-o', `/nowhere/${HOSTILE}`],
    ['compare', '--replay', `/nowhere/${HOSTILE}`],
    ['compare', '--against', `ptp:/nowhere/${HOSTILE}`],
    ['bench', '--paths', HOSTILE],
    ['hazards', '--explain', HOSTILE, 'update'],
    ['smear', 'at', HOSTILE],
    ['smear', 'plan', '--policy', HOSTILE],
    ['smear', 'plan', '--leap', HOSTILE],
    ['smear', 'at', 'L+1', '--policy', 'chrony', '--table', table],
  ];

  test('are shown by a terminal, which does not act on them', () => {
    const ends = allOf(COMMANDS);
    expect(ends).toHaveLength(COMMANDS.length);
    for (const { command, text } of ends) {
      expect(text, command.join(' ')).toContain('\\x1b[31m\\x07\\x0ax\\x9b\\u202e');
      expect(text, command.join(' ')).not.toMatch(/[^\P{Cc}\n]|\u202e/u);
    }
  });
});

test.each([
  ['0-65535', /may not run on CPUs [\d,-]+ \(cpus\)/],
  ['0-65535:2', /may not run on CPUs \d+-65534:2 \(cpus\)/],
])('--cpus %s, of which most are not there, is answered in a short line', (list, answer) => {
  const { code, err } = latchclock('validate', '--cpus', list);
  expect(code).toBe(2);
  expect(err).toMatch(answer);
  expect(err.length).toBeLessThan(200);
});

test('an addon that a bundler has left behind is told, with what to tell the bundler', () => {
  const bundle = join(folder, 'app', 'out');
  cpSync(join(ROOT, 'dist'), join(bundle, 'assets'), { recursive: true });
  const url = pathToFileURL(join(bundle, 'assets/native/load.js')).href;
  const { out } = runModule(`
    import { getAddon } from '${url}';
    try { getAddon(); } catch (error) { console.log(error.code, error.todo); }`);
  expect(out).toMatch(/^ERR_ADDON_MISSING mark the package external \(esbuild: --external:latchclock;/);
});
