import { Command, CommanderError } from 'commander';
import { isLatchclockError } from '../errors.js';
import { printable } from '../printable.js';
import { TOOL } from '../report/tool.js';
import { addBench } from './bench.js';
import { addCompare } from './compare.js';
import { ExitCode } from './exit-code.js';
import { fitted } from './fitted.js';
import { addHazards } from './hazards.js';
import { addInspect } from './inspect.js';
import { Interrupted } from './interruption.js';
import { tolerateClosedStreams } from './output.js';
import { addSmear } from './smear.js';
import { addValidate } from './validate.js';

/** What a file cannot be opened for want of: that is the machine's, and not the file's. */
const SHORT_OF: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);

/** Errors that the command line or its files caused; every other says that the command cannot run here. */
function exitCodeOf(error: unknown): ExitCode {
  if (isLatchclockError(error) && SHORT_OF.has(error.errno ?? '')) return ExitCode.cannotRun;
  if (error instanceof Interrupted) return ExitCode.interrupted;
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.held : ExitCode.usage;
  return isLatchclockError(error, 'ERR_BAD_ARGUMENT', 'ERR_FILE', 'ERR_BAD_LEAP_TABLE', 'ERR_BAD_RECORDING')
    ? ExitCode.usage
    : ExitCode.cannotRun;
}

function complaint(error: unknown): string {
  if (isLatchclockError(error) || error instanceof Interrupted) return error.message;
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `internal error, please report it: ${stack.split('\n').map(printable).join('\n')}`;
}

const HELP_WIDTH = 80;

/** Runs the command line `arguments_` (without the program's name) and resolves to the exit code. */
export async function main(arguments_: readonly string[]): Promise<ExitCode> {
  tolerateClosedStreams();
  let code: ExitCode = ExitCode.held;
  const finish = (result: ExitCode): void => {
    code = result;
  };
  const program = new Command('latchclock')
    .description(
      "Validates this host's time-stamp counter, POSIX clocks, vDSO and kernel clock page, compares simulated with kernel " +
        'time, and benchmarks every path to a clock.',
    )
    .version(TOOL.version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => process.stdout.write(fitted(text, HELP_WIDTH)),
      writeErr: (text) => process.stderr.write(fitted(text, HELP_WIDTH)),
      getOutHelpWidth: () => Math.min(HELP_WIDTH, process.stdout.columns ?? HELP_WIDTH),
      getErrHelpWidth: () => Math.min(HELP_WIDTH, process.stderr.columns ?? HELP_WIDTH),
      // One line, with the program's name: what is wrong, where, what to do.
      outputError: (text) =>
        process.stderr.write(
          `${printable(
            text
              .replace(/^error: /, 'latchclock: ')
              .trimEnd()
              .replaceAll(/\n(?=\(Did you mean)/g, ' '),
          )}; see latchclock --help\n`,
        ),
    })
    .showSuggestionAfterError();
  addValidate(program, finish);
  addInspect(program, finish);
  addHazards(program, finish);
  addCompare(program, finish);
  addBench(program, finish);
  addSmear(program, finish);
  try {
    await program.parseAsync(arguments_, { from: 'user' });
    return code;
  } catch (error) {
    // Commander has already said what it had to say.
    if (!(error instanceof CommanderError)) process.stderr.write(`latchclock: ${complaint(error)}\n`);
    return exitCodeOf(error);
  }
}
