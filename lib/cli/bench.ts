import type { Command } from 'commander';
import { type EarlierReport, parseEarlier } from '../bench/earlier.js';
import type { BenchReport } from '../bench/model.js';
import { type BenchOptions, prepareBench } from '../bench/run.js';
import { BENCH_PATHS } from '../bench/subject.js';
import { LatchclockError } from '../errors.js';
import { openMachine } from '../host/host.js';
import { benchCsv } from '../report/bench-csv.js';
import { benchJson } from '../report/bench-json.js';
import { benchText } from '../report/bench-text.js';
import { textStyle } from '../report/text.js';
import { ExitCode } from './exit-code.js';
import { addHostNameOption, type HostNameOptions, nameHost } from './host-name.js';
import { readInput } from './input.js';
import { reportRun } from './measured-run.js';
import { collectNames, parseChoice, parseCpuList, parseSeed } from './values.js';

const FORMATS = ['text', 'json', 'csv'] as const;

interface Options extends HostNameOptions {
  clocks?: string[];
  paths?: string[];
  threads?: string[];
  rounds?: string;
  quick?: true;
  latency?: true;
  cpus?: string;
  seed?: string;
  compare?: string;
  failOnRegression?: string;
  format: string;
  output?: string;
}

function parseNumber(
  option: string,
  text: string,
  isFine: (value: number) => boolean,
  expected: string,
): number {
  const value = /^\d{1,9}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (isFine(value)) return value;
  throw new LatchclockError('ERR_BAD_ARGUMENT', `'${text}' is not ${expected}`, {
    where: option,
    todo: 'see --help',
  });
}

const MOST_REPORT_BYTES = 64 << 20;

function readEarlier(path: string): EarlierReport {
  return parseEarlier(readInput(path, MOST_REPORT_BYTES, '--compare'), path);
}

function benchOptions(options: Options): BenchOptions {
  const integer = (text: string, option: string): number =>
    parseNumber(option, text, Number.isInteger, 'a whole number');
  return {
    quick: options.quick === true,
    latency: options.latency === true,
    ...(options.clocks === undefined ? {} : { clocks: options.clocks }),
    ...(options.paths === undefined ? {} : { paths: options.paths }),
    ...(options.threads === undefined
      ? {}
      : { threads: options.threads.map((text) => integer(text, '--threads')) }),
    ...(options.rounds === undefined ? {} : { rounds: integer(options.rounds, '--rounds') }),
    ...(options.cpus === undefined ? {} : { cpus: parseCpuList(options.cpus) }),
    ...(options.seed === undefined ? {} : { seed: parseSeed(options.seed) }),
    ...(options.compare === undefined ? {} : { earlier: readEarlier(options.compare) }),
  };
}

function parseLimit({ failOnRegression, compare }: Options): number | null {
  if (failOnRegression === undefined) return null;
  if (compare === undefined) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', 'there is no earlier report to fall back from', {
      where: '--fail-on-regression',
      todo: 'give --compare OLD.json, too',
    });
  }
  return parseNumber('--fail-on-regression', failOnRegression, (value) => value >= 0, 'a percentage from 0');
}

function exitCodeOf({ interrupted, changes }: BenchReport, limit: number | null): ExitCode {
  if (interrupted) return ExitCode.interrupted;
  const isWorse = (changes ?? []).some(
    ({ verdict, percent }) => limit !== null && verdict === 'slower' && percent > limit,
  );
  return isWorse ? ExitCode.failed : ExitCode.held;
}

async function runBench(options: Options): Promise<ExitCode> {
  const format = parseChoice('--format', options.format, FORMATS);
  const limit = parseLimit(options);
  const given = benchOptions(options);
  const host = openMachine();
  const report = await reportRun(
    options.output,
    (hooks) => prepareBench(host, { ...given, ...hooks }),
    (result, stream) => {
      switch (format) {
        case 'json':
          return benchJson(nameHost(result, options));
        case 'csv':
          return benchCsv(result);
        case 'text':
          return benchText(result, textStyle(stream));
      }
    },
  );
  return exitCodeOf(report, limit);
}

const HELP = `
Paths:
  ${BENCH_PATHS.join(', ')}

Examples:
  latchclock bench --quick
  latchclock bench --paths vdso,syscall --clocks monotonic,realtime-coarse
  latchclock bench --format json -o old.json
  latchclock bench --compare old.json --fail-on-regression 10

Exit: 0 measured, 1 slower than the earlier report by more than --fail-on-regression, 2 wrong usage or input, 3 cannot run here, 130 interrupted.`;

/** Adds the command `bench`; `finish` takes its exit code. */
export function addBench(program: Command, finish: (code: ExitCode) => void): void {
  const command = program
    .command('bench')
    .description('what a read of a clock costs, by every path, native and from JavaScript')
    .option(
      '--clocks <names>',
      'clocks of the kernel, by comma (default: six, with --quick three)',
      collectNames,
    )
    .option('--paths <names>', 'only these paths, by comma; see below', collectNames)
    .option(
      '--threads <counts>',
      'so many threads at once, by comma (default: 1, and one a CPU up to 4)',
      collectNames,
    )
    .option('--rounds <count>', 'rounds of each process, 5 to 100000')
    .option('--quick', 'take about 10 s instead of a minute')
    .option('--latency', 'let each native read wait for the one before it')
    .option('--cpus <list>', 'measure on these CPUs, as taskset takes them: 0,2-5,8-14:2')
    .option('--seed <number>', 'seed of the bootstrap, unsigned 64 bits, decimal or 0x')
    .option('--compare <file>', 'tell which figures changed since that JSON report, beyond noise')
    .option('--fail-on-regression <percent>', 'exit 1 if one is slower by more than so much')
    .option('--format <format>', `one of ${FORMATS.join(', ')}`, 'text')
    .option('-o, --output <file>', 'write the report there instead of to standard output')
    .addHelpText('after', HELP);
  addHostNameOption(command).action(async (options: Options) => finish(await runBench(options)));
}
