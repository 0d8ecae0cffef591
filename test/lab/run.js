import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { startVitest } from 'vitest/node';

const ENDING = '.lab.ts';
const QUICK_VARIATIONS = ['one-cpu', 'hpet'];

const variations = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(ENDING))
  .map((file) => file.slice(0, -ENDING.length));

/**
 * @param {string} value
 * @param {string[] | undefined} before
 */
function variation(value, before) {
  if (!variations.includes(value)) throw new InvalidArgumentError(`It is none of ${variations.join(', ')}.`);
  return [...(before ?? []), value];
}

/**
 * @param {string} value
 * @param {string[] | undefined} before
 */
function file(value, before) {
  return [...(before ?? []), resolve(value)];
}

const { quick, kernel, only, write } = new Command('npm run test:lab --')
  .description(
    "boot real kernels under QEMU's emulation, and hold latchclock's verdicts on them to what they must be",
  )
  .option('--quick', `the oldest and the newest kernel, and ${QUICK_VARIATIONS.join(' and ')}`)
  .option('--kernel <file>', "a vmlinuz of one's own instead of Debian's kernels; can be repeated", file)
  .option('--only <variation>', `one of ${variations.join(', ')}; can be repeated`, variation)
  .addOption(
    new Option('--write', 'put the table of a whole run into docs/lab.md').conflicts([
      'quick',
      'kernel',
      'only',
    ]),
  )
  .addHelpText('after', '\nExit: 0 all as expected, 1 not, 2 wrong usage, 3 cannot run here.')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  .parse()
  .opts();

const selected = only ?? (quick ? QUICK_VARIATIONS : variations);
process.env.LATCHCLOCK_LAB = JSON.stringify({
  quick: quick ?? false,
  kernels: kernel ?? [],
  write: write ?? false,
});
await startVitest(
  'test',
  selected.map((name) => resolve(import.meta.dirname, `${name}${ENDING}`)),
  { config: resolve(import.meta.dirname, 'vitest.config.ts'), watch: false },
);
