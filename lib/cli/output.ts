import { closeSync, constants, fstatSync, openSync, readdirSync, readlinkSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { LatchclockError } from '../errors.js';
import { Interrupted } from './interruption.js';
import { type OutputPlace, placeOf } from './output-place.js';
import { proveWritable, putFile } from './put-file.js';

/** Where a command's result goes: found to be writable before anything is measured, written once. */
export interface Output {
  /** The stream whose style the text takes. */
  readonly stream: { isTTY?: boolean; columns?: number };
  /**
   * Writes the whole result; a file has it whole or not at all.
   *
   * @throws LatchclockError `ERR_FILE`
   * @throws Interrupted where nobody takes it until the signal is aborted
   */
  write(text: string): Promise<void>;
  /** Gives up without a result, of which nothing is left behind. It may be called again, and after a write. */
  discard(): void;
}

function cannotWrite(path: string, cause: unknown): LatchclockError {
  const errno = (cause as NodeJS.ErrnoException).code;
  return new LatchclockError('ERR_FILE', `cannot write the output: ${errno ?? String(cause)}`, {
    where: path,
    todo: 'name a file that you may write to',
    ...(errno === undefined ? {} : { errno }),
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

function standardStream(stream: NodeJS.WriteStream, name: string): Output {
  return {
    stream,
    write: (text) =>
      new Promise((resolve, reject) => {
        stream.write(text, (error?: NodeJS.ErrnoException | null) => {
          if (!error || error.code === 'EPIPE') resolve();
          else reject(cannotWrite(name, error));
        });
      }),
    discard: () => undefined,
  };
}

function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw cannotWrite(path, cause);
  }
}

const PATIENCE_MS = 20;

async function untilLater(signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted === true) throw new Interrupted();
  // Without the signal: what is aborted is told by the next turn.
  await sleep(PATIENCE_MS);
}

/** Writes to what may be full for a while, such as a pipe; a reader that leaves has seen enough. */
async function writeStream(
  fileDescriptor: number,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(fileDescriptor, bytes, written);
    } catch (cause) {
      const errno = (cause as NodeJS.ErrnoException).code;
      if (errno === 'EPIPE') return;
      if (errno !== 'EAGAIN' && errno !== 'EINTR') throw cause;
      await untilLater(signal);
    }
  }
}

/** Writes to an open descriptor, which is closed with the output if it is `owned`. */
/** What an option names: never coloured, not by `FORCE_COLOR` either. */
const NAMED_OUTPUT = { isTTY: false };

function openDescriptor(
  path: string,
  fileDescriptor: number,
  owned: boolean,
  signal: AbortSignal | undefined,
): Output {
  let isOpen = owned;
  const close = (): void => {
    if (isOpen) closeSync(fileDescriptor);
    isOpen = false;
  };
  return {
    stream: NAMED_OUTPUT,
    discard: close,
    async write(text) {
      try {
        await writeStream(fileDescriptor, Buffer.from(text), signal);
      } catch (cause) {
        throw cause instanceof Interrupted ? cause : cannotWrite(path, cause);
      } finally {
        close();
      }
    },
  };
}

/** True for a pipe whose other end this process has, too: one of Node's own, which nobody has handed to us. */
function isPipeOfOurOwn(fileDescriptor: number): boolean {
  const folder = '/proc/self/fd';
  const targetOf = (name: string): string | null => {
    try {
      return readlinkSync(`${folder}/${name}`);
    } catch {
      // The descriptor of the folder itself is gone by now.
      return null;
    }
  };
  const target = targetOf(String(fileDescriptor));
  return (
    target?.startsWith('pipe:') === true &&
    readdirSync(folder).some((name) => name !== String(fileDescriptor) && targetOf(name) === target)
  );
}

/** A descriptor that this process was started with. */
function inherited(path: string, fileDescriptor: number, signal: AbortSignal | undefined): Output {
  if (fileDescriptor === 1) return standardStream(process.stdout, path);
  if (fileDescriptor === 2) return standardStream(process.stderr, path);
  const status = attempt(path, () => fstatSync(fileDescriptor));
  if (status.isFIFO()) {
    if (attempt(path, () => isPipeOfOurOwn(fileDescriptor)))
      throw cannotWrite(path, Object.assign(new Error('not handed to this process'), { code: 'EBADF' }));
    // Opened again, so that a full pipe holds neither us nor whoever shares the descriptor.
    const again = attempt(path, () =>
      openSync(`/proc/self/fd/${fileDescriptor}`, constants.O_WRONLY | constants.O_NONBLOCK),
    );
    return openDescriptor(path, again, true, signal);
  }
  const isWritable = status.isFile() || status.isCharacterDevice() || status.isSocket();
  if (!isWritable)
    throw cannotWrite(path, Object.assign(new Error('no stream for results'), { code: 'EBADF' }));
  return openDescriptor(path, fileDescriptor, false, signal);
}

/** Opens a device, or a pipe once it has a reader. */
async function openSpecial(
  path: string,
  place: OutputPlace & { kind: 'special' },
  signal: AbortSignal | undefined,
): Promise<Output> {
  for (;;) {
    try {
      // Non-blocking: while an open waits for a reader, no signal is heard.
      const fileDescriptor = openSync(place.path, constants.O_WRONLY | constants.O_NONBLOCK);
      return openDescriptor(path, fileDescriptor, true, signal);
    } catch (cause) {
      if (!place.isPipe || (cause as NodeJS.ErrnoException).code !== 'ENXIO') throw cannotWrite(path, cause);
      await untilLater(signal);
    }
  }
}

/**
 * Finds the output of a command: `path`, or standard output. Links are followed, and names of streams (`/dev/stdout`,
 * `/dev/fd/N`) mean the streams. Until {@link Output.write} a file is left as it is; a pipe is waited for until it has a
 * reader, or the signal is aborted.
 *
 * @param option which option gave the path, for errors
 * @throws LatchclockError `ERR_FILE` if it cannot be written, `ERR_BAD_ARGUMENT` for an empty path
 * @throws Interrupted
 */
export async function openOutput(
  path: string | undefined,
  signal?: AbortSignal,
  option = '--output',
): Promise<Output> {
  if (path === undefined) return standardStream(process.stdout, 'standard output');
  if (path === '' || path.includes('\0')) {
    throw new LatchclockError(
      'ERR_BAD_ARGUMENT',
      path === '' ? 'the path is empty' : 'no path has a zero byte',
      {
        where: option,
        todo: 'name a file, or leave the option out',
      },
    );
  }
  const place = attempt(path, () => placeOf(path));
  if (place.kind === 'stream') return inherited(path, place.fileDescriptor, signal);
  if (place.kind === 'special') return openSpecial(path, place, signal);
  attempt(path, () => proveWritable(place.path, place.status));
  return {
    stream: NAMED_OUTPUT,
    discard: () => undefined,
    write: async (text) => attempt(path, () => putFile(place.path, Buffer.from(text))),
  };
}
