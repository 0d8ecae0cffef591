import { Command, CommanderError } from 'commander';
import { isLatchclockError } from '../errors.js';
import { TOOL } from '../report/tool.js';
import { addBench } from './bench.js';
import { addCompare } from './compare.js';
import { ExitCode } from './exit-code.js';
import { addHazards } from './hazards.js';
import { addInspect } from './inspect.js';
import { Interrupted } from './interruption.js';
import { tolerateClosedStreams } from './output.js';
import { addSmear } from './smear.js';
import { addValidate } from './validate.js';

/** Errors that the command line or its files caused; every other says that the command cannot run here. */
function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof Interrupted) return ExitCode.interrupted;
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.held : ExitCode.usage;
  return isLatchclockError(error, 'ERR_BAD_ARGUMENT', 'ERR_FILE', 'ERR_BAD_LEAP_TABLE', 'ERR_BAD_RECORDING')
    ? ExitCode.usage
    : ExitCode.cannotRun;
}

function complaint(error: unknown): string {
  if (isLatchclockError(error) || error instanceof Interrupted) return error.message;
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `internal error, please report it: ${stack}`;
}

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
      // One line, with the program's name: what is wrong, where, what to do.
      outputError: (text, write) =>
        write(
          `${text
            .replace(/^error: /, 'latchclock: ')
            .trimEnd()
            .replaceAll('\n', ' ')}; see latchclock --help\n`,
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
