import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { LatchclockError } from '../../lib/errors.ts';
import { ClockPath } from '../../lib/native/addon.ts';
import { getAddon, loadAddon } from '../../lib/native/load.ts';

const folder = mkdtempSync(join(tmpdir(), 'latchclock-load-'));
afterAll(() => rmSync(folder, { recursive: true }));

function packageRoot(name: string): string {
  const root = join(folder, name);
  mkdirSync(join(root, 'build', 'Release'), { recursive: true });
  writeFileSync(join(root, 'package.json'), '{"name":"latchclock","version":"0.0.0"}');
  return root;
}

function failure(run: () => unknown): LatchclockError {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(LatchclockError);
    return error as LatchclockError;
  }
  throw new Error('nothing was thrown');
}

describe('platforms', () => {
  test.each([
    ['darwin', 'x64'],
    ['win32', 'x64'],
    ['linux', 'arm64'],
    ['linux', 'ia32'],
    ['freebsd', 'riscv64'],
  ])('%s on %s is refused before any file is looked for', (platform, arch) => {
    const error = failure(() => loadAddon({ platform, arch, root: '/nowhere' }));
    expect(error.code).toBe('ERR_UNSUPPORTED_PLATFORM');
    expect(error.message).toContain(`${arch} ${platform}`);
    expect(error.todo).toBeDefined();
  });
});

describe('an addon that is missing', () => {
  test('is told with the places looked at and the next step', () => {
    const root = packageRoot('empty');
    const error = failure(() => loadAddon({ root }));
    expect(error.code).toBe('ERR_ADDON_MISSING');
    for (const place of ['build/Release', 'build/Debug', 'prebuilds/linux-x64', root]) {
      expect(error.where).toContain(place);
    }
    expect(error.todo).toContain('npm run install');
    expect(error.cause).toBeDefined();
  });

  test('is told where the folder itself is missing', () => {
    expect(failure(() => loadAddon({ root: join(folder, 'no-such') })).code).toBe('ERR_ADDON_MISSING');
  });
});

describe('a file that is no addon', () => {
  test('garbage is told with the file, the reason in one line, and the next step', () => {
    const root = packageRoot('garbage');
    const file = join(root, 'build', 'Release', 'x.node');
    writeFileSync(file, 'this is no shared object');
    const error = failure(() => loadAddon({ root }));
    expect(error.code).toBe('ERR_ADDON_MISSING');
    expect(error.where).toMatch(/x\.node: .*(ELF|file too short)/);
    expect(error.message).not.toContain('\n');
    expect(error.todo).toContain('npm rebuild latchclock');
    expect(error.todo).toContain(process.versions.node);
  });

  test('an empty file is told as well', () => {
    const root = packageRoot('hollow');
    writeFileSync(join(root, 'build', 'Release', 'x.node'), '');
    expect(failure(() => loadAddon({ root })).code).toBe('ERR_ADDON_MISSING');
  });

  const foreign = (() => {
    try {
      // Any addon of another package will do; this one comes with the test runner.
      return createRequire(createRequire(import.meta.url).resolve('vitest')).resolve(
        '@rolldown/binding-linux-x64-gnu',
      );
    } catch {
      const known = join(import.meta.dirname, '../../node_modules/@rolldown/binding-linux-x64-gnu');
      return join(known, 'rolldown-binding.linux-x64-gnu.node');
    }
  })();

  test('an addon of somebody else, or one too old to know how to raise errors, is told as such', () => {
    const root = packageRoot('foreign');
    copyFileSync(foreign, join(root, 'build', 'Release', 'x.node'));
    const error = failure(() => loadAddon({ root }));
    expect(error.code).toBe('ERR_ADDON_MISSING');
    expect(error.todo).toContain('npm rebuild latchclock');
  });
});

describe('the addon', () => {
  test('is loaded once', () => {
    expect(getAddon()).toBe(getAddon());
  });

  test('raises errors of the one class, with the function, errno, system call and the next step', () => {
    const call = failure(() => getAddon().readClock(ClockPath.syscall, 12345));
    expect(call).toMatchObject({
      code: 'ERR_SYSTEM_CALL',
      errno: 'EINVAL',
      syscall: 'clock_gettime',
      where: 'readClock',
      message: 'clock_gettime failed with EINVAL (readClock)',
    });
    const argument = failure(() => getAddon().readCounter(7 as never));
    expect(argument).toMatchObject({ code: 'ERR_BAD_ARGUMENT', where: 'readCounter', errno: undefined });
  });

  test('in this package has every function of its interface', () => {
    const functions = [
      'adjtimex',
      'bracket',
      'clockResolution',
      'copyMemory',
      'countKernelEntries',
      'counterState',
      'cpuAffinity',
      'cpuid',
      'readClock',
      'readClocks',
      'readCounter',
      'readCounters',
      'setCpuAffinity',
      'setErrorFactory',
      'vdsoBase',
      'vdsoSymbol',
    ];
    expect(Object.keys(getAddon())).toEqual(expect.arrayContaining(functions));
  });
});
