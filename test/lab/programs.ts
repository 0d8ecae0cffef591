import { spawnSync } from 'node:child_process';

/** The lab cannot run here: not a fault of what it tests. Says what is missing and what to do. */
export class CannotRun extends Error {}

/** A program could not be run, or failed. */
export class ProgramFailed extends Error {
  constructor(
    command: string,
    how: string,
    /** What it printed on standard error. */
    readonly complaint: string,
  ) {
    super(`${command}: ${how}\n${complaint}`.trimEnd());
  }
}

const LIMIT_MS = 300_000;
const MOST_BYTES = 1 << 30;

export interface ProgramOptions {
  cwd?: string;
  input?: Uint8Array | string;
  environment?: NodeJS.ProcessEnv;
  /** Default 300 s; 0 for what must not be cut off. */
  limitMs?: number;
}

/** What a program prints on standard output. Throws {@link ProgramFailed}. */
export function outputOf(
  program: string,
  arguments_: readonly string[],
  options: ProgramOptions = {},
): Buffer {
  const { status, signal, stdout, stderr, error } = spawnSync(program, arguments_, {
    cwd: options.cwd,
    input: options.input,
    env: { ...process.env, ...options.environment, LC_ALL: 'C' },
    timeout: options.limitMs ?? LIMIT_MS,
    maxBuffer: MOST_BYTES,
  });
  if (error !== undefined) throw new ProgramFailed(program, error.message, '');
  if (status !== 0) {
    throw new ProgramFailed([program, ...arguments_].join(' '), `exit ${status ?? signal}`, `${stderr}`);
  }
  return stdout;
}

/** Whether a program can be started. */
export function hasProgram(program: string): boolean {
  return spawnSync(program, ['--version'], { timeout: LIMIT_MS }).error === undefined;
}
