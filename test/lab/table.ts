import { CHECKS } from '../../lib/checks/registry.ts';
import { columns, textStyle } from '../../lib/report/text.ts';
import { NOTED, type Observation } from './observation.ts';

/** Columns in the order of the table: variations, and places within guests. */
export const COLUMNS = [
  'one-cpu',
  'two-cpus',
  'two-cpus-at-once',
  'tsc-reliable',
  'hpet',
  'acpi-pm',
  'notsc',
  'tsc-unstable',
  'no-vdso',
  'time-namespace',
  'no-sys',
  'unprivileged',
] as const;

/** All that the guests showed: each cell has a word for each kernel, in their order; null where nothing was seen. */
export interface Table {
  kernels: string[];
  columns: string[];
  rows: { name: string; cells: (string | null)[][] }[];
}

const ENDS: Readonly<Record<number, string>> = { 0: 'held', 1: 'FAIL', 3: 'cannot' };

/** The table of some guests; kernels in the order given, and only columns that something was seen of. */
export function tableOf(observations: readonly Observation[], kernels: readonly string[]): Table {
  const seen = COLUMNS.filter((column) =>
    observations.some(({ verdicts }) => verdicts[column] !== undefined),
  );
  const row = (
    name: string,
    tell: (of: Observation, column: string) => string | undefined,
  ): Table['rows'][number] => ({
    name,
    cells: seen.map((column) =>
      kernels.map((kernel) => {
        const told = observations
          .filter((one) => one.kernel === kernel && one.verdicts[column] !== undefined)
          .map((one) => tell(one, column));
        return told[0] ?? null;
      }),
    ),
  });
  return {
    kernels: [...kernels],
    columns: seen,
    rows: [
      row('clocksource', ({ clocksource }, column) => clocksource[column]),
      ...CHECKS.map(({ id }) => row(id, ({ verdicts }, column) => verdicts[column]?.[id])),
      ...NOTED.map((command) =>
        row(command, ({ exits }, column) => {
          const code = exits[column]?.[command];
          return code === undefined ? undefined : (ENDS[code] ?? `exit ${code}`);
        }),
      ),
    ],
  };
}

/** One word if all kernels agree, else one for each of them. */
function agreed(
  cell: readonly (string | null)[],
  tell: (word: string | null) => string,
  apart: string,
): string {
  const words = cell.map(tell);
  return new Set(words).size === 1 ? (words[0] as string) : words.join(apart);
}

const LETTERS: Readonly<Record<string, string>> = {
  pass: 'p',
  warn: 'w',
  fail: 'F',
  skip: 's',
  held: 'h',
  cannot: 'n',
  FAIL: 'F',
  tsc: 't',
  hpet: 'H',
  acpi_pm: 'a',
  'not told': '-',
};
const NOT_SEEN = '.';

/** For a terminal: a letter a word, and columns by number. */
export function tableText({ kernels, columns: names, rows }: Table): string {
  const letter = (word: string | null): string => (word === null ? NOT_SEEN : (LETTERS[word] ?? '?'));
  const width = Math.max(2, kernels.length);
  const style = { ...textStyle({}), width: 22 + (width + 2) * names.length };
  const grid = columns(
    style,
    [20, ...names.slice(1).map(() => width)],
    [
      ['', ...names.map((_, index) => `${index + 1}`)],
      ...rows.map(({ name, cells }) => [name, ...cells.map((cell) => agreed(cell, letter, ''))]),
    ],
  );
  return [
    grid,
    '',
    `kernels: ${kernels.join(', ')}; columns: ${names.map((name, index) => `${index + 1} ${name}`).join(', ')}`,
    'p pass, w warn, F fail, s skip; h held, n cannot run there; t tsc, H hpet, a acpi_pm, - not told; . not run',
    'one letter where all kernels agree, else one for each in their order',
  ].join('\n');
}

/** For `docs/lab.md`. */
export function tableMarkdown({ kernels, columns: names, rows }: Table): string {
  const word = (told: string | null): string =>
    told === null ? NOT_SEEN : told === 'fail' || told === 'FAIL' ? `**${told}**` : told;
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    `Kernels: ${kernels.join(', ')}. Where they differ, a cell has a word for each, in this order.`,
    '',
    line(['', ...names]),
    `|${'---|'.repeat(names.length + 1)}`,
    ...rows.map(({ name, cells }) => line([name, ...cells.map((cell) => agreed(cell, word, ', '))])),
  ].join('\n');
}
