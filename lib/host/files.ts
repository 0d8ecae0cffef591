import { closeSync, constants, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { LatchclockError } from '../errors.js';

/** The files of a host, as far as they are read: every read is bounded, none waits for a writer. */
export interface HostFiles {
  /** At most `mostBytes` bytes from the start. Throws `ERR_FILE` with the errno. */
  read(path: string, mostBytes: number): Uint8Array;
  /** At most `mostBytes` bytes from `offset` on, fewer at the file's end. Throws `ERR_FILE` with the errno. */
  readAt(path: string, offset: bigint, mostBytes: number): Uint8Array;
  /** Records of a device that gives one a read, such as `/dev/kmsg`, until it would wait. Throws `ERR_FILE`. */
  readRecords(path: string, mostRecords: number): string[];
  /** Target of a symbolic link. Throws `ERR_FILE`. */
  readLink(path: string): string;
  /** Names in a folder, in no order. Throws `ERR_FILE`. */
  list(path: string): string[];
}

function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

/** An error of a file that cannot be opened or read, with the errno. */
export function fileError(what: string, path: string, syscall: string, cause: unknown): LatchclockError {
  const errno = errnoOf(cause);
  const reason = errno === undefined ? '' : `: ${errno}`;
  const details = { where: path, syscall, cause };
  return new LatchclockError(
    'ERR_FILE',
    `${what}${reason}`,
    errno === undefined ? details : { ...details, errno },
  );
}

function withOpenFile<T>(path: string, use: (fileDescriptor: number) => T): T {
  let fileDescriptor: number;
  try {
    // Non-blocking: neither a pipe without a writer nor an empty kernel log may hold us.
    fileDescriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw fileError('cannot open', path, 'open', cause);
  }
  try {
    return use(fileDescriptor);
  } finally {
    closeSync(fileDescriptor);
  }
}

const CHUNK_BYTES = 1 << 20;
const RECORD_BYTES = 8192;
const PATIENCE_MS = 10;

/** Waits in this thread, whatever its event loop is at. */
function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/**
 * One read, again where a signal came in between; of a pipe that has nothing for now, when it has, if it `waits`.
 *
 * @throws LatchclockError `ERR_FILE`
 */
function readSome(
  fileDescriptor: number,
  buffer: Uint8Array,
  length: number,
  position: bigint | null,
  path: string,
  waits: boolean,
): number {
  for (;;) {
    try {
      return readSync(fileDescriptor, buffer, 0, length, position);
    } catch (cause) {
      const errno = errnoOf(cause);
      if (errno === 'EAGAIN' && waits) pause(PATIENCE_MS);
      else if (errno !== 'EINTR') throw fileError('cannot read', path, 'read', cause);
    }
  }
}

interface ReadingOptions {
  /** Where to begin; null: where the file stands (a device cannot be read at an offset). */
  readonly offset?: bigint | null;
  /** Whether to wait for the writer of a pipe that has nothing for now. */
  readonly waits?: boolean;
}

/**
 * At most `mostBytes` bytes of an open file: each read may give less than what it was asked for.
 *
 * @throws LatchclockError `ERR_FILE`
 */
export function readOpenFile(
  fileDescriptor: number,
  path: string,
  mostBytes: number,
  { offset = null, waits = false }: ReadingOptions = {},
): Uint8Array {
  const chunks: Uint8Array[] = [];
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, mostBytes));
  let total = 0;
  while (total < mostBytes) {
    const length = Math.min(buffer.length, mostBytes - total);
    const position = offset === null ? null : offset + BigInt(total);
    const count = readSome(fileDescriptor, buffer, length, position, path, waits);
    if (count === 0) break;
    // A copy: files of /proc come a page a read, and each would keep a whole buffer.
    chunks.push(new Uint8Array(buffer.subarray(0, count)));
    total += count;
  }
  return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
}

/** The files of the running machine. */
export const machineFiles: HostFiles = {
  read: (path, mostBytes) => withOpenFile(path, (file) => readOpenFile(file, path, mostBytes)),
  readAt: (path, offset, mostBytes) =>
    withOpenFile(path, (file) => readOpenFile(file, path, mostBytes, { offset })),

  readRecords(path, mostRecords) {
    return withOpenFile(path, (fileDescriptor) => {
      const records: string[] = [];
      const buffer = Buffer.allocUnsafe(RECORD_BYTES);
      for (let i = 0; i < mostRecords; i++) {
        try {
          const count = readSync(fileDescriptor, buffer, 0, buffer.length, null);
          if (count === 0) break;
          records.push(buffer.toString('utf8', 0, count));
        } catch (cause) {
          const errno = errnoOf(cause);
          if (errno === 'EAGAIN') break;
          // A record that was overwritten while we read: the next read goes on behind the gap.
          if (errno === 'EPIPE' || errno === 'EINTR') continue;
          throw fileError('cannot read', path, 'read', cause);
        }
      }
      return records;
    });
  },

  readLink(path) {
    try {
      return readlinkSync(path);
    } catch (cause) {
      throw fileError('cannot read the link', path, 'readlink', cause);
    }
  },

  list(path) {
    try {
      return readdirSync(path);
    } catch (cause) {
      throw fileError('cannot list', path, 'readdir', cause);
    }
  },
};

const MOST_TEXT_BYTES = 1 << 20;

/** A text file of `/proc` or `/sys` whole, without the newline at its end. Throws `ERR_FILE`. */
export function readText(files: HostFiles, path: string, mostBytes = MOST_TEXT_BYTES): string {
  return Buffer.from(files.read(path, mostBytes)).toString('utf8').trimEnd();
}

/** As {@link readText}, but null where the file cannot be read. */
export function readTextOrNull(files: HostFiles, path: string, mostBytes = MOST_TEXT_BYTES): string | null {
  try {
    return readText(files, path, mostBytes);
  } catch (error) {
    if (error instanceof LatchclockError) return null;
    throw error;
  }
}
