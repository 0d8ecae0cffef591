import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LatchclockError, type LatchclockErrorCode } from '../errors.js';
import type { Addon } from './addon.js';
import { buildRemedy } from './build-remedy.js';

/** What the caller of a native function can do about an error, by its code. */
const REMEDIES: Partial<Record<LatchclockErrorCode, string>> = {
  ERR_COUNTER_DISABLED: 'enable it with prctl(PR_SET_TSC, PR_TSC_ENABLE) before this thread reads clocks',
  ERR_COUNTER_UNSUPPORTED: 'read the counter by another method',
  ERR_NO_VDSO: "use the path 'syscall'; 'latchclock inspect' tells what the vDSO has, or why there is none",
  ERR_OUT_OF_WINDOW: 'read again once the writer has published, or ask the kernel by system call',
  ERR_DISRUPTED: 'read again once the writer has published for the new generation',
  ERR_TOO_MANY_PAGES: 'close pages, and clocks of pages, that are no longer read',
  ERR_RETRIES: 'the writer of the page seems stuck: read the clock by system call',
};

const SANDBOX = 'let the sandbox of this process (seccomp) pass the call';

/** The same by the errno of a system call: what a filter or a limit refuses, not what the kernel lacks. */
const LIFTS: Readonly<Record<string, string>> = {
  EPERM: SANDBOX,
  EACCES: SANDBOX,
  ENOSYS: SANDBOX,
  EMFILE: 'raise the limit of open files (ulimit -n)',
  ENFILE: "raise the system's limit of open files or pipes (fs.file-max, fs.pipe-user-pages-hard)",
  EAGAIN: 'raise the limit of threads or memory (ulimit -u, ulimit -v, pids.max)',
  ENOLCK: 'use a file system that has locks (NFS needs its lock daemon), or free some',
  ENOMEM: 'raise the limit of memory (ulimit -v, memory.max)',
};

// Of two names of one number the first in the alphabet: EAGAIN, not EWOULDBLOCK.
const ERRNO_NAMES = new Map(
  Object.entries(constants.errno)
    .toSorted(([a], [b]) => (a < b ? 1 : -1))
    .map(([name, number]) => [number, name]),
);

/** The symbol of an errno, by the libc's names: libuv, which Node asks otherwise, knows fewer. */
function errnoName(errorNumber: number): string {
  return ERRNO_NAMES.get(errorNumber) ?? `errno ${errorNumber}`;
}

function nativeError(
  code: string,
  what: string,
  where: string,
  errorNumber: number,
  syscall: string,
): LatchclockError {
  const known = code as LatchclockErrorCode;
  const errno = errorNumber === 0 ? undefined : errnoName(errorNumber);
  const todo = REMEDIES[known] ?? LIFTS[errno ?? ''];
  const remedy = todo === undefined ? {} : { todo };
  if (errno === undefined) return new LatchclockError(known, what, { where, ...remedy });
  return new LatchclockError(known, `${syscall} failed with ${errno}`, { where, errno, syscall, ...remedy });
}

/** Whether a folder has another package, or none: this code was taken out of its own. */
function isElsewhere(root: string): boolean {
  try {
    const { name } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { name?: unknown };
    return name !== 'latchclock';
  } catch (cause) {
    // Whatever else keeps it from being read says nothing of where this is.
    return (cause as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/** The folder of this package. Throws where a bundler has put the code into another file: the addon is not beside it. */
function ownRoot(): string {
  // Undefined where a bundler has made a CommonJS module of this.
  const url = import.meta.url as string | undefined;
  const root = url?.startsWith('file:') === true ? fileURLToPath(new URL('../..', url)) : null;
  if (root !== null && !isElsewhere(root)) return root;
  throw new LatchclockError(
    'ERR_ADDON_MISSING',
    'the native addon is not beside this code, which a bundler has moved',
    {
      where: url ?? 'no import.meta.url',
      todo: "mark the package external (esbuild: --external:latchclock; webpack, Rollup, Vite: external 'latchclock')",
    },
  );
}

export interface LoadOptions {
  platform?: string;
  arch?: string;
  /** Folder of the package: where `build/` or `prebuilds/` lie. */
  root?: string;
}

function cannotLoad(file: string, todo: string, cause: unknown): LatchclockError {
  // A limit of the process says nothing of the addon.
  const limit = LIFTS[(cause as NodeJS.ErrnoException | null)?.code ?? ''];
  return new LatchclockError('ERR_ADDON_MISSING', 'the native addon cannot be loaded', {
    where: `${file}: ${cause instanceof Error ? cause.message.split('\n')[0] : String(cause)}`,
    todo: limit ?? todo,
    cause,
  });
}

/**
 * Loads the native addon afresh. Throws `ERR_UNSUPPORTED_PLATFORM` off x86-64 Linux, `ERR_ADDON_MISSING` with
 * every attempt and the next step to take.
 */
export function loadAddon(options: LoadOptions = {}): Addon {
  const platform = options.platform ?? process.platform;
  const arch = options.arch ?? process.arch;
  if (platform !== 'linux' || arch !== 'x64') {
    throw new LatchclockError('ERR_UNSUPPORTED_PLATFORM', `latchclock reads clocks of x86-64 Linux only`, {
      where: `this is ${arch} ${platform}`,
      todo: 'run it on an x86-64 Linux host',
    });
  }
  const root = options.root ?? ownRoot();
  const require = createRequire(import.meta.url);
  let nodeGypBuild: { resolve(root: string): string };
  try {
    nodeGypBuild = require('node-gyp-build') as typeof nodeGypBuild;
  } catch (cause) {
    throw cannotLoad('node-gyp-build', "install this package's dependencies", cause);
  }
  let file: string;
  try {
    file = nodeGypBuild.resolve(root);
  } catch (cause) {
    throw new LatchclockError('ERR_ADDON_MISSING', 'the native addon is not built', {
      where: `looked in build/Release, build/Debug and prebuilds/linux-x64 of ${root}`,
      todo: buildRemedy(root),
      cause,
    });
  }
  let addon: Addon;
  try {
    addon = require(file) as Addon;
    if (typeof addon.setErrorFactory !== 'function') throw new Error('it is not the addon of this package');
  } catch (cause) {
    throw cannotLoad(
      file,
      `rebuild it for Node ${process.versions.node} with 'npm rebuild latchclock'`,
      cause,
    );
  }
  addon.setErrorFactory(nativeError);
  return addon;
}

let loaded: Addon | undefined;

/** The addon, loaded on first use. Throws as {@link loadAddon}. */
export function getAddon(): Addon {
  loaded ??= loadAddon();
  return loaded;
}
