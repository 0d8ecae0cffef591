import type { Command } from 'commander';
import { formatRecording, parseRecording, type Recording } from '../compare/recording.js';
import { isReferenceName } from '../compare/reference.js';
import {
  COMPARE_MODES,
  type CompareOptions,
  type CompareReport,
  type CompareSpan,
  MOST_SECONDS,
  MOST_UPDATES,
  prepareCompare,
} from '../compare/run.js';
import { LatchclockError } from '../errors.js';
import { openMachine } from '../host/host.js';
import { didYouMean } from '../nearest.js';
import { compareCsv } from '../report/compare-csv.js';
import { compareJson } from '../report/compare-json.js';
import { compareSvg } from '../report/compare-svg.js';
import { compareText } from '../report/compare-text.js';
import { textStyle } from '../report/text.js';
import { ExitCode } from './exit-code.js';
import { addHostNameOption, type HostNameOptions, nameHost } from './host-name.js';
import { readInput } from './input.js';
import { type RunHooks, reportRun } from './measured-run.js';
import { type Output, openOutput } from './output.js';
import { parseChoice } from './values.js';

const FORMATS = ['text', 'json', 'csv', 'svg'] as const;

interface Options extends HostNameOptions {
  mode?: string;
  for?: string;
  against?: string;
  record?: string;
  replay?: string;
  format: string;
  output?: string;
}

function bad(what: string, where: string, todo: string): LatchclockError {
  return new LatchclockError('ERR_BAD_ARGUMENT', what, { where, todo });
}

const UNITS: Readonly<Record<string, number>> = { ms: 1e-3, s: 1, m: 60 };

/** `10s`, `500ms`, `2m`, or `250updates`. */
function parseSpan(text: string): CompareSpan {
  const [, digits = '', unit = ''] = /^(\d{1,7}(?:\.\d{1,6})?) ?(ms|s|m|updates?)$/.exec(text) ?? [];
  if (unit.startsWith('update') && /^\d+$/.test(digits)) return { updates: Number(digits) };
  const size = UNITS[unit];
  if (size === undefined)
    throw bad(
      `'${text}' is no time and no count of updates`,
      '--for',
      'such as 10s, 500ms, 2m or 250updates',
    );
  return { seconds: Number(digits) * size };
}

/** Beside the report: found to be writable before anything is measured, whole or not at all. */
async function recordingOutput(
  { record, replay, mode, against }: Options,
  signal: AbortSignal,
): Promise<Output | null> {
  if (record === undefined) return null;
  if (replay !== undefined || mode === 'page' || against !== undefined) {
    throw bad(
      'only the kernel’s own page, live, can be recorded',
      '--record',
      'follow it, or run free from it',
    );
  }
  return openOutput(record, signal, '--record');
}

/** Some 600,000 states. */
const MOST_RECORDING_BYTES = 256 << 20;

function readRecording(path: string): Recording {
  return parseRecording(readInput(path, MOST_RECORDING_BYTES, '--replay'), path);
}

function compareOptions(options: Options): CompareOptions {
  const { mode, against, replay } = options;
  if (against !== undefined && !isReferenceName(against)) {
    throw bad(
      `'${against}' is no clock to compare with`,
      '--against',
      `${didYouMean(against, ['vmclock'])}give vmclock, or ptp:/dev/ptpN`,
    );
  }
  return {
    ...(mode === undefined ? {} : { mode: parseChoice('--mode', mode, COMPARE_MODES) }),
    ...(options.for === undefined ? {} : { span: parseSpan(options.for) }),
    ...(against === undefined ? {} : { against }),
    ...(replay === undefined ? {} : { replay: readRecording(replay) }),
  };
}

async function runCompare(options: Options): Promise<ExitCode> {
  const format = parseChoice('--format', options.format, FORMATS);
  const given = compareOptions(options);
  const host = openMachine();
  const prepare = async (hooks: RunHooks): Promise<{ run(): Promise<CompareReport> }> => {
    const prepared = prepareCompare(host, { ...given, ...hooks });
    const recorded = await recordingOutput(options, hooks.signal);
    return {
      run: async () => {
        try {
          const report = await prepared.run();
          if (report.recording !== null) await recorded?.write(formatRecording(report.recording));
          return report;
        } finally {
          recorded?.discard();
        }
      },
    };
  };
  const report = await reportRun(options.output, prepare, (result, stream) => {
    switch (format) {
      case 'json':
        return compareJson(nameHost(result, options));
      case 'csv':
        return compareCsv(result.finding);
      case 'svg':
        return compareSvg(result);
      case 'text':
        return compareText(result, textStyle(stream));
    }
  });
  if (report.interrupted) return ExitCode.interrupted;
  return report.holds ? ExitCode.held : ExitCode.failed;
}

const HELP = `
Modes:
  follow  a replica of the kernel's page writer follows its page, update by update, to the bit
  free    the page is frozen, and runs on the counter alone: how far the kernel goes from it
  page    a page of our own, kept by our timekeeper, beside the kernel's clocks, with its bounds

Examples:
  latchclock compare
  latchclock compare --mode free --for 2m --format svg -o drift.svg
  latchclock compare --for 250updates --record pages.jsonl
  latchclock compare --replay pages.jsonl
  latchclock compare --against ptp:/dev/ptp0

Exit: 0 all agrees (a drift is no fault), 1 an update is unexplained or a value is off, 2 wrong usage or input, 3 cannot run here, 130 interrupted.`;

/** Adds the command `compare`; `finish` takes its exit code. */
export function addCompare(program: Command, finish: (code: ExitCode) => void): void {
  const command = program
    .command('compare')
    .description("hold simulated against kernel time: the kernel's page, a frozen one, or one of our own")
    .option('--mode <mode>', `one of ${COMPARE_MODES.join(', ')} (default: follow)`)
    .option(
      '--for <time>',
      `how long: a time up to ${MOST_SECONDS} s, or up to ${MOST_UPDATES} updates of the page (default: 10s)`,
    )
    .option('--against <clock>', 'compare realtime with a clock from elsewhere: vmclock, ptp:/dev/ptpN')
    .option('--record <file>', 'write the pages that were seen there, as JSON lines')
    .option('--replay <file>', 'judge such a file instead of this machine')
    .option('--format <format>', `one of ${FORMATS.join(', ')}`, 'text')
    .option('-o, --output <file>', 'write the report there instead of to standard output')
    .addHelpText('after', HELP);
  addHostNameOption(command).action(async (options: Options) => finish(await runCompare(options)));
}
