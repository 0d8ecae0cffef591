import { isLatchclockError, LatchclockError } from '../errors.js';

/** That a source cannot be read, or no longer be followed. */
export function sourceError(source: string, what: string, todo: string, cause?: unknown): LatchclockError {
  return new LatchclockError('ERR_SOURCE', what, { where: `source ${source}`, todo, cause });
}

/** `read()`, whose errors are the source's. */
export function readOf<T>(source: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!isLatchclockError(error) || error.code === 'ERR_SOURCE') throw error;
    throw sourceError(
      source,
      error.what,
      error.todo ?? 'start a new timekeeper once it can be read again',
      error,
    );
  }
}
