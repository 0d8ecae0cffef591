import type { Command } from 'commander';
import { openMachine } from '../host/host.js';
import { inspectHost } from '../host/inspect.js';
import { inspectJson } from '../report/inspect-json.js';
import { inspectText } from '../report/inspect-text.js';
import { textStyle } from '../report/text.js';
import { ExitCode } from './exit-code.js';
import { addHostNameOption, type HostNameOptions, nameHost } from './host-name.js';
import { writeAnswer } from './measured-run.js';
import { parseChoice } from './values.js';

const FORMATS = ['text', 'json'] as const;

interface InspectOptions extends HostNameOptions {
  format: string;
  output?: string;
}

async function runInspect(options: InspectOptions): Promise<ExitCode> {
  const format = parseChoice('--format', options.format, FORMATS);
  const host = openMachine();
  await writeAnswer(options.output, (stream) => {
    const inspection = nameHost(inspectHost(host), options);
    return format === 'json' ? inspectJson(inspection) : inspectText(inspection, textStyle(stream));
  });
  return ExitCode.held;
}

const EXAMPLES = `
Examples:
  latchclock inspect
  latchclock inspect --format json | jq .page.fields`;

/** Adds the command `inspect`; `finish` takes its exit code. */
export function addInspect(program: Command, finish: (code: ExitCode) => void): void {
  const command = program
    .command('inspect')
    .description("show this host's counter, clocksource, vDSO, clock page, time namespace and leap table")
    .option('--format <format>', `one of ${FORMATS.join(', ')}`, 'text')
    .option('-o, --output <file>', 'write the result there instead of to standard output')
    .addHelpText('after', EXAMPLES);
  addHostNameOption(command).action(async (options: InspectOptions) => finish(await runInspect(options)));
}
