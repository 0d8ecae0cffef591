import { closeSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { LatchclockError } from '../errors.js';

/** Where a command's result goes: opened before anything is measured, written once, whole or not at all. */
export interface Output {
  /** The stream whose style the text takes. */
  readonly stream: { isTTY?: boolean; columns?: number };
  write(text: string): Promise<void>;
  /** Gives up without a result: nothing is left behind, also after a write that failed. */
  discard(): void;
}

function cannotWrite(path: string, cause: unknown): LatchclockError {
  const errno = (cause as NodeJS.ErrnoException).code;
  return new LatchclockError('ERR_FILE', `cannot write the output: ${errno ?? String(cause)}`, {
    where: path,
    todo: 'give -o a file in a folder that you may write to',
    cause,
  });
}

/**
 * Keeps a standard stream that cannot be written to from ending the process: a reader that has seen enough (`| head`)
 * is no error, and what is lost otherwise is told by who wrote it.
 */
export function tolerateClosedStreams(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
}

const standardOutput: Output = {
  stream: process.stdout,
  write: (text) =>
    new Promise((resolve, reject) => {
      process.stdout.write(text, (error?: NodeJS.ErrnoException | null) => {
        if (!error || error.code === 'EPIPE') resolve();
        else reject(cannotWrite('standard output', error));
      });
    }),
  discard: () => undefined,
};

function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw cannotWrite(path, cause);
  }
}

/** True for what must be written in place: a device or a pipe, which a rename would replace. */
function isSpecial(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  // Opening a folder for writing fails with the right errno; a file aside and a rename would say something else.
  return found !== undefined && !found.isFile();
}

function writeAll(fileDescriptor: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let written = 0; written < bytes.length; ) written += writeSync(fileDescriptor, bytes, written);
}

function fileOutput(path: string): Output {
  const special = attempt(path, () => isSpecial(path));
  const aside = special ? path : `${path}.${process.pid}.tmp`;
  const fileDescriptor = attempt(path, () => openSync(aside, special ? 'w' : 'wx', 0o666));
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(fileDescriptor);
    isOpen = false;
  };
  return {
    stream: {},
    discard() {
      close();
      if (!special) rmSync(aside, { force: true });
    },
    async write(text) {
      attempt(path, () => writeAll(fileDescriptor, text));
      close();
      if (!special) attempt(path, () => renameSync(aside, path));
    },
  };
}

/**
 * Opens the output of a command: `path`, or standard output.
 *
 * @throws LatchclockError `ERR_FILE` if the file cannot be written
 */
export function openOutput(path: string | undefined): Output {
  return path === undefined ? standardOutput : fileOutput(path);
}
