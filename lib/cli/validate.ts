import type { Command } from 'commander';
import type { BudgetName } from '../checks/budget.js';
import { groupOf } from '../checks/model.js';
import { CHECKS } from '../checks/registry.js';
import { prepareRun, type RunOptions, type RunReport } from '../checks/run.js';
import { LatchclockError } from '../errors.js';
import { openMachine } from '../host/host.js';
import { toJson } from '../report/json.js';
import { columns, textStyle } from '../report/text.js';
import { validateJson } from '../report/validate-json.js';
import { validateJunit } from '../report/validate-junit.js';
import { validateText } from '../report/validate-text.js';
import { ExitCode } from './exit-code.js';
import { reportRun, writeAnswer } from './measured-run.js';
import { collectNames, parseChoice, parseCpuList, parseSeed } from './values.js';

const FORMATS = ['text', 'json', 'junit', 'prometheus'] as const;
type Format = (typeof FORMATS)[number];

interface ValidateOptions {
  format: string;
  output?: string;
  only: string[];
  skip: string[];
  list?: true;
  quick?: true;
  thorough?: true;
  cpus?: string;
  seed?: string;
}

function chooseBudget({ quick, thorough }: ValidateOptions): BudgetName {
  if (quick && thorough) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', '--quick and --thorough exclude each other', {
      where: 'validate',
      todo: 'give one of them',
    });
  }
  return quick ? 'quick' : thorough ? 'thorough' : 'default';
}

function listChecks(format: Format, stream: { isTTY?: boolean; columns?: number }): string {
  const listed = CHECKS.map((check) => ({ id: check.id, group: groupOf(check), claim: check.claim }));
  if (format === 'json') return toJson(listed);
  const rows = listed.map(({ id, claim }) => [id, claim]);
  return `${columns(textStyle(stream), [19], rows)}\n`;
}

async function render(
  report: RunReport,
  format: Format,
  stream: { isTTY?: boolean; columns?: number },
): Promise<string> {
  switch (format) {
    case 'json':
      return validateJson(report);
    case 'junit':
      return validateJunit(report);
    case 'prometheus':
      // 40 ms to load, for this format only.
      return (await import('../report/validate-prometheus.js')).validatePrometheus(report);
    case 'text':
      return validateText(report, textStyle(stream));
  }
}

function exitCodeOf({ interrupted, summary }: RunReport): ExitCode {
  if (interrupted) return ExitCode.interrupted;
  if (summary.fail > 0) return ExitCode.failed;
  return summary.pass + summary.warn === 0 ? ExitCode.cannotRun : ExitCode.held;
}

async function runValidate(options: ValidateOptions): Promise<ExitCode> {
  const format = parseChoice('--format', options.format, FORMATS);
  const runOptions: RunOptions = {
    budget: chooseBudget(options),
    only: options.only,
    skip: options.skip,
    ...(options.cpus === undefined ? {} : { cpus: parseCpuList(options.cpus) }),
    ...(options.seed === undefined ? {} : { seed: parseSeed(options.seed) }),
  };
  if (options.list) {
    await writeAnswer(options.output, (stream) => listChecks(format, stream));
    return ExitCode.held;
  }
  const host = openMachine();
  const report = await reportRun(
    options.output,
    (hooks) => prepareRun(host, { ...runOptions, ...hooks }),
    (result, stream) => render(result, format, stream),
  );
  return exitCodeOf(report);
}

const EXAMPLES = `
Examples:
  latchclock validate
  latchclock validate --quick --only page,vdso.fast
  latchclock validate --format json -o report.json --cpus 0,2-3

Exit: 0 held, 1 a check failed, 2 wrong usage, 3 cannot run here, 130 interrupted.`;

/** Adds the command `validate`; `finish` takes its exit code. */
export function addValidate(program: Command, finish: (code: ExitCode) => void): void {
  program
    .command('validate')
    .description("check this host's counter, vDSO, clocks and clock page, with evidence")
    .option('--format <format>', `one of ${FORMATS.join(', ')}`, 'text')
    .option('-o, --output <file>', 'write the report there instead of to standard output')
    .option('--only <names>', 'only these checks or groups, by comma', collectNames, [])
    .option('--skip <names>', 'all but these checks or groups, by comma', collectNames, [])
    .option('--list', 'list the checks and their claims, and run none')
    .option('--quick', 'take about 4 s instead of 16')
    .option('--thorough', 'take some minutes')
    .option('--cpus <list>', 'measure on these CPUs, as taskset takes them: 0,2-5,8-14:2')
    .option('--seed <number>', 'seed of the random choices, unsigned 64 bits, decimal or 0x')
    .addHelpText('after', EXAMPLES)
    .action(async (options: ValidateOptions) => finish(await runValidate(options)));
}
