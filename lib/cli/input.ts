import { closeSync, openSync, readSync } from 'node:fs';
import { LatchclockError } from '../errors.js';

const CHUNK_BYTES = 1 << 16;

function fileError(what: string, path: string, cause: unknown): LatchclockError {
  const errno = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  return new LatchclockError('ERR_FILE', `${what}: ${errno}`, { where: path, errno, cause });
}

/**
 * The text of a file that an option names; of a pipe, whatever comes until its writers are gone.
 *
 * @throws LatchclockError `ERR_FILE`; `ERR_BAD_ARGUMENT` for an empty path, and for more than `mostBytes` bytes
 */
export function readInput(path: string, mostBytes: number, option: string): string {
  if (path === '') {
    throw new LatchclockError('ERR_BAD_ARGUMENT', 'the path is empty', {
      where: option,
      todo: 'name a file',
    });
  }
  let fileDescriptor: number;
  try {
    fileDescriptor = openSync(path, 'r');
  } catch (cause) {
    throw fileError('cannot open', path, cause);
  }
  try {
    const chunks: Buffer[] = [];
    for (let total = 0; total <= mostBytes; ) {
      const chunk = Buffer.alloc(CHUNK_BYTES);
      const count = readSync(fileDescriptor, chunk, 0, chunk.length, null);
      if (count === 0) return Buffer.concat(chunks).toString('utf8');
      chunks.push(chunk.subarray(0, count));
      total += count;
    }
  } catch (cause) {
    throw fileError('cannot read', path, cause);
  } finally {
    closeSync(fileDescriptor);
  }
  throw new LatchclockError('ERR_BAD_ARGUMENT', `the file has more than ${mostBytes} bytes`, {
    where: path,
    todo: `no file that ${option} takes is as large`,
  });
}
