import type { Command } from 'commander';
import { LatchclockError } from '../errors.js';
import {
  EVIDENCE_KINDS,
  HAZARD_NAMES,
  type HazardName,
  MATRIX_READERS,
  readerName,
} from '../hazards/model.js';
import { type HazardOptions, type HazardReport, prepareHazards } from '../hazards/run.js';
import { openMachine } from '../host/host.js';
import { explainText } from '../report/hazards-explain.js';
import { hazardsJson } from '../report/hazards-json.js';
import { hazardsMarkdown } from '../report/hazards-markdown.js';
import { hazardsText } from '../report/hazards-text.js';
import { textStyle } from '../report/text.js';
import { ExitCode } from './exit-code.js';
import { addHostNameOption, type HostNameOptions, nameHost } from './host-name.js';
import { reportRun } from './measured-run.js';
import { collectNames, parseChoice, parseCpuList, parseSeed } from './values.js';

const FORMATS = ['text', 'json', 'markdown'] as const;

interface HazardsOptions extends HostNameOptions {
  format: string;
  output?: string;
  only?: string[];
  explain?: string[];
  quick?: true;
  cpus?: string;
  seed?: string;
}

function exitCodeOf({ interrupted, unexpected, run }: HazardReport): ExitCode {
  if (interrupted) return ExitCode.interrupted;
  // Nothing was held, so nothing can have held.
  if (run === 0) return ExitCode.cannotRun;
  return unexpected > 0 ? ExitCode.failed : ExitCode.held;
}

/** One reader against one hazard, as `--explain` names them; `--only` then chooses among the evidence. */
function explained({ explain, only = [] }: HazardsOptions): { reader: string; hazard: HazardName } | null {
  if (explain === undefined) return null;
  const [reader = '', hazard = '', ...rest] = explain;
  if (rest.length > 0 || hazard === '') {
    throw new LatchclockError('ERR_BAD_ARGUMENT', 'a reader and a hazard are wanted, and nothing else', {
      where: '--explain',
      todo: 'such as --explain latch-window+gen migration-equal',
    });
  }
  for (const name of only) parseChoice('--only, beside --explain,', name, EVIDENCE_KINDS);
  return {
    reader: parseChoice('--explain', reader, MATRIX_READERS.map(readerName)),
    hazard: parseChoice('--explain', hazard, HAZARD_NAMES),
  };
}

async function runHazards(options: HazardsOptions): Promise<ExitCode> {
  const format = parseChoice('--format', options.format, FORMATS);
  const one = explained(options);
  const only = options.only ?? [];
  const matrixOptions: HazardOptions = {
    only: one === null ? only : [...only, one.hazard],
    ...(one === null ? {} : { reader: one.reader }),
    quick: options.quick === true,
    ...(options.cpus === undefined ? {} : { cpus: parseCpuList(options.cpus) }),
    ...(options.seed === undefined ? {} : { seed: parseSeed(options.seed) }),
  };
  const host = openMachine();
  const report = await reportRun(
    options.output,
    (hooks) => prepareHazards(host, { ...matrixOptions, ...hooks }),
    (result, stream) => {
      if (format === 'json') return hazardsJson(nameHost(result, options));
      if (format === 'markdown') return hazardsMarkdown(result);
      const style = textStyle(stream);
      return one === null ? hazardsText(result, style) : explainText(result, one.hazard, style);
    },
  );
  return exitCodeOf(report);
}

const HELP = `
Evidence:  ${EVIDENCE_KINDS.join(', ')}
Readers:   ${MATRIX_READERS.map(readerName).join(', ')}
Hazards:   ${HAZARD_NAMES.join(', ')}

Examples:
  latchclock hazards
  latchclock hazards --quick --only stressed,latch-window,two-window
  latchclock hazards --explain latch-window migration-equal
  latchclock hazards --format json -o hazards.json
  latchclock hazards --only explored,stepped --format markdown

Exit: 0 every cell is as expected (expected-unsafe ones included), 1 one is not, 2 wrong usage, 3 cannot run here or nothing was run, 130 interrupted.`;

/** Adds the command `hazards`; `finish` takes its exit code. */
export function addHazards(program: Command, finish: (code: ExitCode) => void): void {
  const command = program
    .command('hazards')
    .description('hold the readers of clock pages against what can happen to them, with evidence')
    .option('--format <format>', `one of ${FORMATS.join(', ')}`, 'text')
    .option('-o, --output <file>', 'write the report there instead of to standard output')
    .option('--only <names>', 'only these kinds of evidence, readers, hazards, by comma', collectNames)
    .option('--explain <names...>', 'tell all of one reader against one hazard: READER HAZARD')
    .option('--quick', 'take about 20 s instead of 80')
    .option('--cpus <list>', 'measure on these CPUs, as taskset takes them: 0,2-5,8-14:2')
    .option('--seed <number>', 'seed of the random moments, unsigned 64 bits, decimal or 0x')
    .addHelpText('after', HELP);
  addHostNameOption(command).action(async (options: HazardsOptions) => finish(await runHazards(options)));
}
