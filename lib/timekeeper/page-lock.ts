import { closeSync, constants, openSync } from 'node:fs';
import { LatchclockError } from '../errors.js';
import { lockPageFile } from '../host/clock-page-memory.js';
import type { Addon } from '../native/addon.js';

/** The right to write a page, which one writer has at a time. It ends with the thread that has it. */
export interface PageLock {
  release(): void;
}

/** Where a page is: a file, or memory behind a descriptor of this process. Plain data. */
export type PagePlace = { readonly path: string } | { readonly fileDescriptor: number };

/** A lock belongs to one opening of a file: the memory is opened once more, so that two writers of one process meet. */
function lockMemory(addon: Addon, fileDescriptor: number): PageLock {
  const where = `/proc/self/fd/${fileDescriptor}`;
  let own: number;
  try {
    own = openSync(where, constants.O_RDWR);
  } catch (cause) {
    throw new LatchclockError('ERR_FILE', 'the page in memory cannot be locked', {
      where,
      todo: 'mount /proc, or use a page in a file',
      cause,
    });
  }
  let isLocked = false;
  try {
    isLocked = addon.lockFile(own);
  } finally {
    if (!isLocked) closeSync(own);
  }
  if (isLocked) return { release: () => closeSync(own) };
  throw new LatchclockError('ERR_PAGE_TAKEN', 'another writer has the clock page', {
    where: `the page in memory, ${where}`,
    todo: 'stop its timekeeper first',
  });
}

/**
 * Takes the right to write a page.
 *
 * @throws LatchclockError `ERR_PAGE_TAKEN` where another writer has it, `ERR_FILE` where the page cannot be opened for
 *   writing, `ERR_SYSTEM_CALL` where its file system knows no locks
 */
export function lockPage(addon: Addon, place: PagePlace): PageLock {
  return 'path' in place ? lockPageFile(addon, place.path) : lockMemory(addon, place.fileDescriptor);
}
