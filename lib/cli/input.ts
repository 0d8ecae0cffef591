import { closeSync, openSync } from 'node:fs';
import { LatchclockError } from '../errors.js';
import { fileError, readOpenFile } from '../host/files.js';
import { placeOf } from './output-place.js';

function open(path: string): { fileDescriptor: number; isOurs: boolean } {
  try {
    const place = placeOf(path);
    // As it is: a socket cannot be opened anew, and a file goes on where it stands.
    if (place.kind === 'stream') return { fileDescriptor: place.fileDescriptor, isOurs: false };
    return { fileDescriptor: openSync(path, 'r'), isOurs: true };
  } catch (cause) {
    throw fileError('cannot open', path, 'open', cause);
  }
}

/**
 * The bytes of a file that an option names; of a pipe, whatever comes until its writers are gone, waiting for the first.
 *
 * @throws LatchclockError `ERR_FILE`; `ERR_BAD_ARGUMENT` for an empty path, and for more than `mostBytes` bytes
 */
export function readInputBytes(path: string, mostBytes: number, option: string): Uint8Array {
  if (path === '') {
    throw new LatchclockError('ERR_BAD_ARGUMENT', 'the path is empty', {
      where: option,
      todo: 'name a file',
    });
  }
  const { fileDescriptor, isOurs } = open(path);
  try {
    const bytes = readOpenFile(fileDescriptor, path, mostBytes + 1, { waits: true });
    if (bytes.length <= mostBytes) return bytes;
    throw new LatchclockError('ERR_BAD_ARGUMENT', `the file has more than ${mostBytes} bytes`, {
      where: path,
      todo: `no file that ${option} takes is as large`,
    });
  } finally {
    if (isOurs) closeSync(fileDescriptor);
  }
}

/** The text of such a file, UTF-8. Throws as {@link readInputBytes}. */
export function readInput(path: string, mostBytes: number, option: string): string {
  return Buffer.from(readInputBytes(path, mostBytes, option)).toString('utf8');
}
