import { closeSync, openSync, renameSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { LatchclockError } from '../errors.js';

/** Where a command's result goes: opened before anything is measured, written once, whole or not at all. */
export interface Output {
  /** The stream whose style the text takes. */
  readonly stream: { isTTY?: boolean; columns?: number };
  write(text: string): Promise<void>;
  /** Gives up without a result: nothing is left behind. */
  discard(): void;
}

const standardOutput: Output = {
  stream: process.stdout,
  write: (text) =>
    new Promise((resolve, reject) => {
      // A reader that has seen enough (`| head`) is no error.
      process.stdout.once('error', (error: NodeJS.ErrnoException) =>
        error.code === 'EPIPE' ? resolve() : reject(error),
      );
      process.stdout.write(text, () => resolve());
    }),
  discard: () => undefined,
};

function cannotWrite(path: string, cause: unknown): LatchclockError {
  const errno = (cause as NodeJS.ErrnoException).code;
  return new LatchclockError('ERR_FILE', `cannot write the output: ${errno ?? String(cause)}`, {
    where: path,
    todo: 'give -o a file in a folder that you may write to',
    cause,
  });
}

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
  const discard = (): void => {
    closeSync(fileDescriptor);
    if (!special) unlinkSync(aside);
  };
  return {
    stream: {},
    discard,
    async write(text) {
      try {
        writeAll(fileDescriptor, text);
      } catch (cause) {
        discard();
        throw cannotWrite(path, cause);
      }
      closeSync(fileDescriptor);
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
