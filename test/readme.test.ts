import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BIN, ROOT, runProgram } from './support/run-cli.ts';

const README = readFileSync(join(ROOT, 'README.md'), 'utf8');

/** Contents of the fenced blocks of a language. */
function blocks(language: string): string[] {
  return [...README.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(
    ([, text]) => text as string,
  );
}

/** Commands that a continuous-integration run makes around this test, not within it. */
const OUTSIDE = /^(npm (ci|test|install)|git )/;

const commands = blocks('sh')
  .flatMap((block) => block.split('\n'))
  .flatMap((line) => line.split('&&'))
  .map((command) => command.replace(/#.*/, '').trim())
  .filter((command) => command !== '' && !OUTSIDE.test(command));

describe('every command of the README ends with 0', () => {
  test('there are some', () => expect(commands.length).toBeGreaterThan(3));

  test.each([...new Set(commands)])(
    '%s',
    (command) => {
      // As a user has it after an installation: `npx latchclock` is this package's own command.
      const own = command.replace(/^npx latchclock\b/, `"${process.execPath}" "${BIN}"`);
      const { code, out, err } = runProgram('sh', ['-c', own]);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).not.toBe('');
    },
    300_000,
  );
});

describe('every script of the README runs', () => {
  const scripts = blocks('js');
  test('there is one', () => expect(scripts.length).toBeGreaterThan(0));

  test.each(scripts)('script %#', (script) => {
    // The package may import itself by name: the scripts are what a user writes.
    const { code, err } = runProgram(process.execPath, ['--input-type=module', '-e', script]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
  });
});
