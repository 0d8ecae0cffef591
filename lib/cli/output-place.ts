import { lstatSync, readlinkSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';

/** Where the path of an output leads, its links followed. */
export type OutputPlace =
  /** A stream that this process has open already: to be written to, whatever it is. */
  | { readonly kind: 'stream'; readonly fileDescriptor: number }
  /** What is no regular file: a device, a pipe, or a folder, which opening refuses. */
  | { readonly kind: 'special'; readonly path: string; readonly isPipe: boolean }
  | { readonly kind: 'file'; readonly path: string; readonly status: Stats | null };

/** As the kernel counts. */
const MOST_LINKS = 40;

function realPathOrNull(path: string): string | null {
  try {
    return realpathSync.native(path);
  } catch {
    return null;
  }
}

/** The stream that a path names, as shells take these names: also where they are missing, or no links any more. */
function namedStream(path: string): number | null {
  const [, name = '', digits] = /^\/dev\/(stdout|stderr|fd\/(\d{1,7}))$/.exec(resolve(path)) ?? [];
  if (digits !== undefined) return Number(digits);
  return name === 'stdout' ? 1 : name === 'stderr' ? 2 : null;
}

/** A descriptor of a process, by its link in `/proc`. */
function descriptorLink(path: string): { fileDescriptor: number; isOurs: boolean } | null {
  const folder = realPathOrNull(dirname(path));
  const [, owner] = /^(\/proc\/\d+)(?:\/task\/\d+)?\/fd$/.exec(folder ?? '') ?? [];
  const [, digits] = /\/(\d{1,7})$/.exec(path) ?? [];
  if (owner === undefined || digits === undefined) return null;
  return { fileDescriptor: Number(digits), isOurs: owner === realPathOrNull('/proc/self') };
}

/**
 * Follows `path`. Links are read here one by one, since what stands in `/proc/self/fd` looks like links and are streams:
 * a file renamed to such a name would replace the link on the way there, for everybody.
 *
 * @throws NodeJS.ErrnoException what the file system refuses; `ELOOP` for links that lead nowhere
 */
export function placeOf(path: string): OutputPlace {
  let at = path;
  for (let links = 0; links < MOST_LINKS; links++) {
    const named = namedStream(at);
    if (named !== null) return { kind: 'stream', fileDescriptor: named };
    const descriptor = descriptorLink(at);
    if (descriptor?.isOurs === true) return { kind: 'stream', fileDescriptor: descriptor.fileDescriptor };
    const found = lstatSync(at, { throwIfNoEntry: false });
    if (found?.isSymbolicLink() !== true || descriptor !== null) {
      const status = descriptor === null ? found : statSync(at);
      if (status === undefined) return { kind: 'file', path: at, status: null };
      if (!status.isFile() || descriptor !== null)
        return { kind: 'special', path: at, isPipe: status.isFIFO() };
      return { kind: 'file', path: at, status };
    }
    const target = readlinkSync(at);
    // Joined as it is: `..` behind a link to a folder is that folder's parent.
    at = isAbsolute(target) ? target : `${dirname(at)}/${target}`;
  }
  throw Object.assign(new Error('too many links'), { code: 'ELOOP' });
}
