import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  type Stats,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Writing of a file at once: aside, and renamed, so that the old one stays until the new one is whole. What stands aside
 * does so for the moment of writing only, with no turn of the event loop in between: a handler of signals runs after it.
 */

const ASIDE = /^\.latchclock-[0-9a-f]{16}\.tmp$/;
/** Far longer than any result takes to be written: whoever wrote it is gone. */
const STALE_MS = 3_600_000;

/** A name of its own: process numbers come again, in containers at once. */
function asideOf(path: string): string {
  return join(dirname(path), `.latchclock-${randomBytes(8).toString('hex')}.tmp`);
}

/** Takes away what killed runs left in the folder of `path`. */
function sweep(path: string): void {
  const folder = dirname(path);
  try {
    for (const name of readdirSync(folder)) {
      if (!ASIDE.test(name)) continue;
      const status = lstatSync(join(folder, name));
      if (status.isFile() && Date.now() - status.mtimeMs > STALE_MS) rmSync(join(folder, name));
    }
  } catch {
    // Of no account to this run: another one may be sweeping, or the folder is not ours to look into.
  }
}

/** For writing without taking anything away yet; a pipe without a reader does not hold it. */
const IN_PLACE = constants.O_WRONLY | constants.O_NONBLOCK;

/**
 * Finds out whether {@link putFile} may write the file, and leaves it as it is.
 *
 * @throws NodeJS.ErrnoException
 */
export function proveWritable(path: string, status: Stats | null): void {
  if (status !== null) {
    closeSync(openSync(path, IN_PLACE));
  } else {
    const aside = asideOf(path);
    closeSync(openSync(aside, 'wx', 0o600));
    rmSync(aside);
  }
  sweep(path);
}

function writeWhole(fileDescriptor: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; )
    written += writeSync(fileDescriptor, bytes, written, bytes.length - written, written);
}

/** Whether a rename keeps what the file is: others' names of it, and whose it is. */
function canBeReplaced({ nlink, uid }: Stats): boolean {
  return nlink === 1 && uid === process.geteuid?.();
}

/** A new file under a name of its own, with the owner and mode of the old one; throws where these cannot be kept. */
function openAside(aside: string, old: Stats | null): number {
  if (old === null) return openSync(aside, 'wx', 0o666);
  const fileDescriptor = openSync(aside, 'wx', 0o600);
  try {
    fchownSync(fileDescriptor, old.uid, old.gid);
    fchmodSync(fileDescriptor, old.mode & 0o7777);
    return fileDescriptor;
  } catch (cause) {
    closeSync(fileDescriptor);
    rmSync(aside, { force: true });
    throw cause;
  }
}

/** Writes aside and renames; what refused it, where that does not speak against writing in place; else null. */
function replace(path: string, old: Stats | null, bytes: Uint8Array): unknown {
  const aside = asideOf(path);
  let fileDescriptor: number;
  try {
    fileDescriptor = openAside(aside, old);
  } catch (cause) {
    return cause;
  }
  try {
    try {
      // Where the disk is full, the old file stays: not to be tried in its place.
      writeWhole(fileDescriptor, bytes);
    } finally {
      closeSync(fileDescriptor);
    }
    try {
      renameSync(aside, path);
    } catch (cause) {
      return cause;
    }
    return null;
  } finally {
    rmSync(aside, { force: true });
  }
}

function overwrite(path: string, bytes: Uint8Array): void {
  const fileDescriptor = openSync(path, IN_PLACE);
  try {
    writeWhole(fileDescriptor, bytes);
    ftruncateSync(fileDescriptor, bytes.length);
  } finally {
    closeSync(fileDescriptor);
  }
}

/**
 * Writes a file, whole or not at all, keeping mode and owner of one that is there. It is written in place where that, or
 * its other names, could not be kept otherwise, or where its folder refuses a rename: a file mounted by itself, or in a
 * folder that is not ours to change. Access lists and other attributes of a file that is replaced are not kept.
 *
 * @param path no link
 * @throws NodeJS.ErrnoException
 */
export function putFile(path: string, bytes: Uint8Array): void {
  const old = lstatSync(path, { throwIfNoEntry: false }) ?? null;
  if (old === null || canBeReplaced(old)) {
    const refusal = replace(path, old, bytes);
    if (refusal === null) return;
    if (old === null) throw refusal;
  }
  overwrite(path, bytes);
}
