import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ROOT, runProgram } from '../support/run-cli.ts';

const RUN = join(ROOT, 'test/lab/run.js');
const folder = mkdtempSync(join(tmpdir(), 'latchclock-lab-run-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const lab = (arguments_: readonly string[], environment: NodeJS.ProcessEnv = {}) =>
  runProgram(process.execPath, [RUN, ...arguments_], { ...process.env, ...environment });

describe('npm run test:lab', () => {
  test('tells its options and variations', () => {
    const { code, out } = lab(['--help']);
    expect(code).toBe(0);
    for (const word of ['--quick', '--kernel <file>', '--only <variation>', 'tsc-unstable']) {
      expect(out).toMatch(word);
    }
  });

  test.each([[['--only', 'nothing']], [['--nothing']], [['--write', '--quick']]])(
    'refuses %j as wrong usage',
    (arguments_) => {
      expect(lab(arguments_)).toMatchObject({ code: 2, out: '' });
    },
  );

  test('does not pass where the mirror cannot be reached: it says so, and ends with 3', () => {
    const configuration = join(folder, 'apt.conf');
    writeFileSync(
      configuration, // Nor must a proxy of the machine's own configuration help.
      'Dir::Etc::parts "/dev/null"; Dir::Etc::main "/dev/null"; ' +
        'Acquire::http::Proxy "http://127.0.0.1:9"; Acquire::https::Proxy "http://127.0.0.1:9";\n',
    );
    const { code, err } = lab(['--quick'], {
      APT_CONFIG: configuration,
      LATCHCLOCK_LAB_CACHE: join(folder, 'cache'),
    });
    expect(err).toMatch(
      /the lab cannot run here: (the mirror \S+ cannot be reached|this machine is not set up)/,
    );
    expect(code).toBe(3);
  });

  test('does not pass without the kernel that was asked for', () => {
    const { code, err } = lab(['--quick', '--kernel', '/nothing/vmlinuz']);
    expect(err).toMatch('the lab cannot run here: ');
    expect(code).toBe(3);
  });
});
