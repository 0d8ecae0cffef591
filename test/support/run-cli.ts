import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');
export const BIN = resolve(ROOT, 'bin/latchclock.js');

export interface CliResult {
  code: number | null;
  signal: NodeJS.Signals | null;
  out: string;
  err: string;
}

const TIME_LIMIT_MS = 300_000;

/** Runs a program to its end, with its output caught and its time bounded. */
export function runProgram(
  program: string,
  arguments_: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): CliResult {
  const { status, signal, stdout, stderr, error } = spawnSync(program, arguments_, {
    cwd: ROOT,
    env: environment,
    encoding: 'utf8',
    timeout: TIME_LIMIT_MS,
    maxBuffer: 64 << 20,
  });
  if (error !== undefined) throw error;
  return { code: status, signal, out: stdout, err: stderr };
}

/** Runs the command line as a user does. */
export function latchclock(...arguments_: string[]): CliResult {
  return runProgram(process.execPath, [BIN, ...arguments_]);
}
