import { randomUUID } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  rmSync,
  type Stats,
  writeSync,
} from 'node:fs';
import { LatchclockError } from '../errors.js';
import type { Addon, ClockPageMemory } from '../native/addon.js';
import { PageMemoryKind } from '../native/addon.js';
import {
  CLOCK_PAGE_BYTES,
  type ClockPageHeader,
  decodeClockPageHeader,
  encodeClockPageHeader,
} from '../page/clock-page.js';

/** A clock page of ours in memory, its header checked. */
export interface OpenClockPage {
  readonly memory: ClockPageMemory;
  readonly header: ClockPageHeader;
  readonly writable: boolean;
  /**
   * Gives the page back, as soon as no clock that was opened from it is left. Its bytes are gone at once; a page that is
   * closed cannot be used, only closed again.
   */
  close(): void;
}

/** A page that this process may write to. */
export interface WritableClockPage extends OpenClockPage {
  readonly writable: true;
  /**
   * The page's bytes, shared with whoever else has mapped it. What is stored after the file was cut short reaches nobody:
   * a writer asks `memory.isLost()` after an update, and stops.
   */
  readonly bytes: Uint8Array;
}

/** The header is encoded before there is memory: one that cannot be leaves none behind. */
function withHeader(make: () => ClockPageMemory, header: ClockPageHeader): WritableClockPage {
  const encoded = encodeClockPageHeader(header);
  const memory = make();
  const bytes = new Uint8Array(memory.buffer());
  bytes.set(encoded);
  return { memory, header, bytes, writable: true, close: () => memory.close() };
}

/**
 * A new page that this process and its children share. Nothing is published in it yet.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for a header that cannot be, `ERR_SYSTEM_CALL` where memory is short
 */
export function createAnonymousPage(addon: Addon, header: ClockPageHeader): WritableClockPage {
  return withHeader(() => new addon.ClockPageMemory(PageMemoryKind.anonymous, -1, true), header);
}

/**
 * Node closes, opens again and locks descriptors by their numbers. A runtime that keeps numbers of its own (Deno 2) knows
 * nothing of one that native code opened.
 */
function checkRuntimeKnows(fileDescriptor: number): void {
  try {
    fstatSync(fileDescriptor);
  } catch (cause) {
    throw new LatchclockError('ERR_CANNOT_RUN', "this runtime does not take the system's file descriptors", {
      where: 'a clock page in memory',
      todo: 'run it under Node.js or Bun',
      cause,
    });
  }
}

/**
 * A new page behind a memfd, sealed against changes of its size: for handing the descriptor to other processes, which
 * take it with {@link openPageDescriptor}. The descriptor is the caller's to close.
 *
 * @throws LatchclockError as {@link createAnonymousPage}, `ERR_CANNOT_RUN` under a runtime without the system's descriptors
 */
export function createMemfdPage(
  addon: Addon,
  header: ClockPageHeader,
): WritableClockPage & { readonly fileDescriptor: number } {
  const page = withHeader(() => new addon.ClockPageMemory(PageMemoryKind.memfd, -1, true), header);
  const fileDescriptor = page.memory.fileDescriptor();
  try {
    checkRuntimeKnows(fileDescriptor);
  } catch (error) {
    page.close();
    throw error;
  }
  return { ...page, fileDescriptor };
}

function fileError(what: string, path: string, cause: unknown, todo?: string): LatchclockError {
  const errno = (cause as NodeJS.ErrnoException | undefined)?.code;
  return new LatchclockError('ERR_FILE', errno === undefined ? what : `${what}: ${errno}`, {
    where: path,
    ...(todo === undefined ? {} : { todo }),
    ...(errno === undefined ? {} : { errno }),
    ...(cause === undefined ? {} : { cause }),
  });
}

function openPath(path: string, flags: number, mode: number): number {
  try {
    return openSync(path, flags, mode);
  } catch (cause) {
    const isLink = (cause as NodeJS.ErrnoException).code === 'ELOOP';
    throw fileError(
      isLink ? 'the clock page is a symbolic link' : 'cannot open the clock page',
      path,
      cause,
      isLink ? 'name the file itself: a link can be pointed elsewhere' : undefined,
    );
  }
}

/** Runs `use` with the file open, and closes it: a mapping stays without its descriptor. */
function withDescriptor<T>(path: string, flags: number, mode: number, use: (fileDescriptor: number) => T): T {
  const fileDescriptor = openPath(path, flags, mode);
  try {
    return use(fileDescriptor);
  } finally {
    closeSync(fileDescriptor);
  }
}

const WRITABLE_BY_OTHERS = 0o022;

/** Refuses a file whose words somebody else could set: whoever reads the page believes them. */
function checkFile(status: Stats, where: string): void {
  if (!status.isFile()) throw fileError('the clock page is no regular file', where, undefined);
  if (status.size !== CLOCK_PAGE_BYTES) {
    throw new LatchclockError(
      'ERR_BAD_PAGE',
      `the file has ${status.size} bytes and not ${CLOCK_PAGE_BYTES}`,
      {
        where,
        todo: 'give a clock page that its writer made whole',
      },
    );
  }
  const owner = process.geteuid?.() ?? 0;
  if ((status.mode & WRITABLE_BY_OTHERS) !== 0 || (status.uid !== owner && status.uid !== 0)) {
    throw fileError(
      (status.mode & WRITABLE_BY_OTHERS) !== 0
        ? 'others may write to the clock page'
        : `the clock page belongs to user ${status.uid}`,
      where,
      undefined,
      'use a page of your own or of root that only its owner may write to (chmod go-w)',
    );
  }
}

/** The header, of a copy: a writer of bad intent may change it while it is judged. A page without one is given back. */
function headerOf(memory: ClockPageMemory): ClockPageHeader {
  try {
    return decodeClockPageHeader(memory.copy());
  } catch (cause) {
    memory.close();
    throw cause;
  }
}

function mapDescriptor(
  addon: Addon,
  fileDescriptor: number,
  where: string,
  writable: boolean,
): OpenClockPage | WritableClockPage {
  checkFile(fstatSync(fileDescriptor), where);
  const memory = new addon.ClockPageMemory(PageMemoryKind.file, fileDescriptor, writable);
  const header = headerOf(memory);
  const close = (): void => memory.close();
  if (!writable) return { memory, header, writable, close };
  return { memory, header, writable, close, bytes: new Uint8Array(memory.buffer()) };
}

/** How to map a page that is there: for reading by default. */
export interface MapOptions {
  writable?: boolean;
}

/**
 * Makes a page file. It appears under its name with its header whole, for its owner alone to write; a file that is
 * there already is left alone.
 *
 * @throws LatchclockError `ERR_FILE` where the file is there already or cannot be made, `ERR_BAD_ARGUMENT` for a header
 *   that cannot be
 */
export function createPageFile(addon: Addon, path: string, header: ClockPageHeader): WritableClockPage {
  const whole = new Uint8Array(CLOCK_PAGE_BYTES);
  whole.set(encodeClockPageHeader(header));
  // Random: process numbers come again, in containers at once, and a crash may have left a file of that name.
  const aside = `${path}.${randomUUID()}.tmp`;
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  return withDescriptor(aside, flags, 0o644, (fileDescriptor) => {
    try {
      for (let written = 0; written < whole.length; )
        written += writeSync(fileDescriptor, whole, written, whole.length - written, written);
      const page = mapDescriptor(addon, fileDescriptor, path, true) as WritableClockPage;
      try {
        // A link, since a rename would replace a page that others have mapped.
        linkSync(aside, path);
      } catch (cause) {
        page.close();
        throw cause;
      }
      return page;
    } catch (cause) {
      if (cause instanceof LatchclockError) throw cause;
      const isThere = (cause as NodeJS.ErrnoException).code === 'EEXIST';
      throw fileError(
        isThere ? 'the clock page is there already' : 'cannot make the clock page',
        path,
        cause,
        isThere ? 'open it, or remove it once nobody reads it' : undefined,
      );
    } finally {
      rmSync(aside, { force: true });
    }
  });
}

/**
 * Maps a page file that another process made. The file may be cut short or removed later: reads then refuse.
 *
 * @throws LatchclockError `ERR_FILE` where it cannot be opened, is a symbolic link or no regular file, or could be
 *   written by others than its owner, who must be this user or root; `ERR_BAD_PAGE` where size or header are not those
 *   of a page of this version
 */
export function openPageFile(addon: Addon, path: string, options: { writable: true }): WritableClockPage;
export function openPageFile(addon: Addon, path: string, options?: MapOptions): OpenClockPage;
export function openPageFile(addon: Addon, path: string, options: MapOptions = {}): OpenClockPage {
  const writable = options.writable === true;
  // Non-blocking: a pipe without a writer must not hold us before it is refused.
  const flags =
    (writable ? constants.O_RDWR : constants.O_RDONLY) | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  return withDescriptor(path, flags, 0, (fileDescriptor) =>
    mapDescriptor(addon, fileDescriptor, path, writable),
  );
}

/**
 * Maps a page behind a descriptor that was handed to this process, which stays open.
 *
 * @throws LatchclockError as {@link openPageFile}
 */
export function openPageDescriptor(
  addon: Addon,
  fileDescriptor: number,
  options: { writable: true },
): WritableClockPage;
export function openPageDescriptor(addon: Addon, fileDescriptor: number, options?: MapOptions): OpenClockPage;
export function openPageDescriptor(
  addon: Addon,
  fileDescriptor: number,
  options: MapOptions = {},
): OpenClockPage {
  const where = `file descriptor ${fileDescriptor}`;
  try {
    return mapDescriptor(addon, fileDescriptor, where, options.writable === true);
  } catch (cause) {
    if (cause instanceof LatchclockError) throw cause;
    throw fileError('cannot map the clock page', where, cause);
  }
}

/** A page file that this process alone writes to, of all that ask first. */
export interface PageLock {
  /** Gives the lock back. It may be called again, and does nothing then. */
  release(): void;
}

/**
 * Takes the lock of a page file, which is to be held for as long as the page is written to. The kernel gives it back when
 * the process ends, however that is; readers need no lock.
 *
 * @throws LatchclockError `ERR_PAGE_TAKEN` where another writer has it, in this process or in another; `ERR_FILE` where
 *   the file cannot be opened for writing, is a symbolic link or no regular file, could be written by others, or was
 *   replaced meanwhile; `ERR_BAD_PAGE` for a size that is not a page's; `ERR_SYSTEM_CALL` where the lock is refused
 */
export function lockPageFile(addon: Addon, path: string): PageLock {
  const fileDescriptor = openPath(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0);
  try {
    const held = fstatSync(fileDescriptor);
    checkFile(held, path);
    if (!addon.lockFile(fileDescriptor)) {
      throw new LatchclockError('ERR_PAGE_TAKEN', 'another writer has the clock page', {
        where: path,
        todo: 'end that one first, or write to another page',
      });
    }
    // Of a file that has lost its name, the lock keeps nobody out.
    const named = lstatSync(path, { throwIfNoEntry: false });
    if (named === undefined || named.ino !== held.ino || named.dev !== held.dev) {
      throw fileError('the clock page was replaced meanwhile', path, undefined, 'try again');
    }
  } catch (cause) {
    closeSync(fileDescriptor);
    throw cause;
  }
  let isHeld = true;
  return {
    release: () => {
      if (isHeld) closeSync(fileDescriptor);
      isHeld = false;
    },
  };
}
