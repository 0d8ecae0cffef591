import type { Command } from 'commander';
import type { BudgetName } from '../checks/budget.js';
import { groupOf, kindOf } from '../checks/model.js';
import { CHECKS, selectChecks } from '../checks/registry.js';
import { prepareRun, type RunOptions, type RunReport } from '../checks/run.js';
import { LatchclockError } from '../errors.js';
import { openMachine } from '../host/host.js';
import { explainJson, explainMarkdown, explainText } from '../report/explain-checks.js';
import { toJson } from '../report/json.js';
import { columns, textStyle } from '../report/text.js';
import { validateJson } from '../report/validate-json.js';
import { validateJunit } from '../report/validate-junit.js';
import { validateBrief, validateText } from '../report/validate-text.js';
import { ExitCode } from './exit-code.js';
import { addHostNameOption, type HostNameOptions, nameHost } from './host-name.js';
import { reportRun, writeAnswer } from './measured-run.js';
import { collectNames, parseChoice, parseCpuList, parseSeed } from './values.js';

const FORMATS = ['text', 'json', 'junit', 'prometheus'] as const;
type Format = (typeof FORMATS)[number];

interface ValidateOptions extends HostNameOptions {
  format: string;
  output?: string;
  only?: string[];
  skip?: string[];
  list?: true;
  brief?: true;
  explain?: string[];
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
  const listed = CHECKS.map((check) => {
    const group = groupOf(check);
    return { id: check.id, group, kind: kindOf(group), claim: check.claim };
  });
  if (format === 'json') return toJson(listed);
  const rows = listed.map(({ id, kind, claim }) => [id, kind, claim]);
  return `${columns(textStyle(stream), [19, 4], rows)}\n`;
}

const EXPLAIN_FORMATS = ['text', 'json', 'markdown'] as const;

/** What the checks of `names` measure, what their verdicts mean and what to do; runs none of them. */
function explainChecks(
  names: readonly string[],
  format: string,
  stream: { isTTY?: boolean; columns?: number },
): string {
  const checks = selectChecks(names, [], '--explain');
  switch (parseChoice('--format', format, EXPLAIN_FORMATS)) {
    case 'json':
      return explainJson(checks);
    case 'markdown':
      return explainMarkdown(checks);
    case 'text':
      return explainText(checks, textStyle(stream));
  }
}

async function render(
  report: RunReport,
  format: Format,
  brief: boolean,
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
      return (brief ? validateBrief : validateText)(report, textStyle(stream));
  }
}

/** The exit code that a run ends with: the host's checks come first. */
export function exitCodeOf({ interrupted, summary }: Pick<RunReport, 'interrupted' | 'summary'>): ExitCode {
  if (interrupted) return ExitCode.interrupted;
  if (summary.host.fail > 0) return ExitCode.failed;
  if (summary.self.fail > 0) return ExitCode.selfTestFailed;
  return summary.pass + summary.warn === 0 ? ExitCode.cannotRun : ExitCode.held;
}

async function runValidate(options: ValidateOptions): Promise<ExitCode> {
  const { explain } = options;
  if (explain !== undefined) {
    await writeAnswer(options.output, (stream) => explainChecks(explain, options.format, stream));
    return ExitCode.held;
  }
  const format = parseChoice('--format', options.format, FORMATS);
  const brief = options.brief === true;
  if (brief && format !== 'text') {
    throw new LatchclockError('ERR_BAD_ARGUMENT', `--brief shortens text, and not ${format}`, {
      where: '--brief',
      todo: 'leave one of them out',
    });
  }
  const runOptions: RunOptions = {
    budget: chooseBudget(options),
    ...(options.only === undefined ? {} : { only: options.only }),
    ...(options.skip === undefined ? {} : { skip: options.skip }),
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
    (result, stream) => render(nameHost(result, options), format, brief, stream),
  );
  return exitCodeOf(report);
}

const EXAMPLES = `
Examples:
  latchclock validate
  latchclock validate --quick --only page,vdso.fast
  latchclock validate --only host --brief
  latchclock validate --explain vdso.fast
  latchclock validate --format json -o report.json --cpus 0,2-3

Exit: 0 held, 1 a check of the host failed, 2 wrong usage, 3 cannot run here,
4 the host's checks held and a self-test of latchclock failed, 130 interrupted.`;

/** Adds the command `validate`; `finish` takes its exit code. */
export function addValidate(program: Command, finish: (code: ExitCode) => void): void {
  const command = program
    .command('validate')
    .description("check this host's counter, vDSO, clocks and clock page, with evidence")
    .option('--format <format>', `one of ${FORMATS.join(', ')}`, 'text')
    .option('-o, --output <file>', 'write the report there instead of to standard output')
    .option('--only <names>', 'only these checks, groups or kinds (host, self), by comma', collectNames)
    .option('--skip <names>', 'all but these checks, groups or kinds, by comma', collectNames)
    .option('--list', 'list the checks, their kinds and claims, and run none')
    .option(
      '--explain <names>',
      'tell what these checks measure, what each verdict means and what to do (also as markdown), and run none',
      collectNames,
    )
    .option('--brief', 'show what is no pass, and one line')
    .option('--quick', 'take about 4 s instead of 16')
    .option('--thorough', 'take some minutes')
    .option('--cpus <list>', 'measure on these CPUs, as taskset takes them: 0,2-5,8-14:2')
    .option('--seed <number>', 'seed of the random choices, unsigned 64 bits, decimal or 0x')
    .addHelpText('after', EXAMPLES);
  addHostNameOption(command).action(async (options: ValidateOptions) => finish(await runValidate(options)));
}
