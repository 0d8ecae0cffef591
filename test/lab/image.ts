import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { outputOf } from './programs.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/** Where programs of this machine lie in the guest, and the package with what it depends on. */
const PROGRAMS = '/usr/bin';
const MODULES = '/opt/node_modules';

/** What commands of guests are made of, beside Node. */
const TOOLS = ['cat', 'sh', 'setpriv', 'umount', 'unshare'] as const;

/** The command line in a guest: to be followed by the command's arguments. */
export const LATCHCLOCK: readonly string[] = [`${PROGRAMS}/node`, `${MODULES}/latchclock/bin/latchclock.js`];

/** A user without privileges in the guest. */
export const UNPRIVILEGED_ID = 1000;

/**
 * Makes the initramfs of all guests: this machine's Node and some of its tools, this package as `npm pack` makes it
 * with the dependencies of the lock file and the addon as it is built here, and the first process.
 */
export function makeInitramfs(file: string): void {
  const root = mkdtempSync(join(tmpdir(), 'latchclock-initramfs-'));
  try {
    compileInit(join(root, 'init'));
    addProgram(root, 'node', process.execPath);
    for (const tool of TOOLS) addProgram(root, tool, pathOf(tool));
    symlinkSync('usr/bin', join(root, 'bin'));
    addPackage(root);
    mkdirSync(join(root, 'etc'));
    writeFileSync(
      join(root, 'etc/passwd'),
      `root:x:0:0::/tmp:/bin/sh\nuser:x:${UNPRIVILEGED_ID}:${UNPRIVILEGED_ID}::/tmp:/bin/sh\n`,
    );
    writeFileSync(file, archiveOf(root));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Compiles the first process of guests. */
export function compileInit(program: string): void {
  const source = join(import.meta.dirname, 'guest/init.c');
  outputOf('cc', ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-static', '-o', program, source]);
}

function pathOf(tool: string): string {
  return `${outputOf('sh', ['-c', 'command -v "$1"', 'sh', tool])}`.trim();
}

/** Adds a program under a name, and the libraries that it is linked with where it looks for them. */
function addProgram(root: string, name: string, path: string): void {
  const target = join(root, PROGRAMS, name);
  cpSync(realpathSync(path), target);
  const libraries = `${outputOf('ldd', [path])}`.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm);
  for (const [, library] of libraries) {
    cpSync(realpathSync(library as string), join(root, library as string));
  }
}

function addPackage(root: string): void {
  const modules = join(root, MODULES);
  const packed = mkdtempSync(join(tmpdir(), 'latchclock-pack-'));
  try {
    mkdirSync(modules, { recursive: true });
    outputOf('npm', ['pack', '--silent', '--pack-destination', packed], { cwd: ROOT });
    const [tarball] = readdirSync(packed);
    const own = join(modules, 'latchclock');
    mkdirSync(own);
    outputOf('tar', ['-xzf', join(packed, tarball as string), '--strip-components=1', '-C', own]);
    cpSync(join(ROOT, 'build/Release/latchclock.node'), join(own, 'build/Release/latchclock.node'));
  } finally {
    rmSync(packed, { recursive: true, force: true });
  }
  for (const dependency of dependencies()) {
    cpSync(join(ROOT, 'node_modules', dependency), join(modules, dependency), { recursive: true });
  }
}

/** Folders of `node_modules` that the package needs when it runs; those within others come with them. */
function dependencies(): string[] {
  const listed = `${outputOf('npm', ['ls', '--omit=dev', '--all', '--parseable'], { cwd: ROOT })}`;
  const folders = listed
    .trim()
    .split('\n')
    .map((path) => relative(join(ROOT, 'node_modules'), path))
    .filter((path) => !path.startsWith('..') && !path.includes('node_modules'));
  return [...new Set(folders)];
}

/** All below a folder as an archive that kernels unpack: not compressed, which emulation would pay for. */
function archiveOf(root: string): Buffer {
  const names = readdirSync(root, { recursive: true, withFileTypes: true })
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .toSorted();
  return outputOf('cpio', ['--create', '--null', '--format=newc', '--owner=0:0', '--quiet'], {
    cwd: root,
    input: names.join('\0'),
  });
}
