import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type HostFiles, machineFiles, readText, readTextOrNull } from '../../lib/host/files.ts';

const folder = mkdtempSync(join(tmpdir(), 'latchclock-files-'));
const at = (name: string): string => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

writeFileSync(at('small'), 'hello\n');
writeFileSync(at('empty'), '');
writeFileSync(at('large'), Buffer.alloc(3_000_000, 7));
symlinkSync('small', at('link'));
mkdirSync(at('folder'));
execFileSync('mkfifo', [at('fifo')]);

const fileError = (errno: string, syscall: string) =>
  expect.objectContaining({ name: 'LatchclockError', code: 'ERR_FILE', errno, syscall });

describe('reading a file', () => {
  test('gives its bytes whole', () => {
    expect(Buffer.from(machineFiles.read(at('small'), 100)).toString()).toBe('hello\n');
    expect(machineFiles.read(at('empty'), 100)).toHaveLength(0);
    expect(Buffer.compare(machineFiles.read(at('large'), 1 << 30), Buffer.alloc(3_000_000, 7))).toBe(0);
  });

  test.each([0, 1, 5, 6, 7])('gives at most %i bytes when so many are asked for', (most) => {
    expect(machineFiles.read(at('small'), most)).toHaveLength(Math.min(most, 6));
  });

  test('ends at the bound in the middle of a chunk', () => {
    expect(machineFiles.read(at('large'), (1 << 20) + 1)).toHaveLength((1 << 20) + 1);
  });

  test('an endless device ends at the bound', () => {
    expect(machineFiles.read('/dev/zero', 2_500_000)).toHaveLength(2_500_000);
  });

  test('follows links', () => {
    expect(machineFiles.read(at('link'), 5)).toHaveLength(5);
  });

  test('a file of /proc, which has no size, is read to its end', () => {
    expect(readText(machineFiles, '/proc/self/maps')).toContain('[vdso]');
  });

  test('what is returned holds no more memory than was read', () => {
    expect(machineFiles.read(at('small'), 1 << 20).buffer.byteLength).toBeLessThanOrEqual(8192);
  });

  test('a missing file is ERR_FILE with the errno, the call and the path', () => {
    const attempt = () => machineFiles.read(at('missing'), 10);
    expect(attempt).toThrow(fileError('ENOENT', 'open'));
    expect(attempt).toThrow(at('missing'));
  });

  test('a folder is ERR_FILE', () => {
    expect(() => machineFiles.read(at('folder'), 10)).toThrow(fileError('EISDIR', 'read'));
    expect(() => machineFiles.readRecords(at('folder'), 10)).toThrow(fileError('EISDIR', 'read'));
  });

  test('a pipe without a writer does not hang', () => {
    expect(machineFiles.read(at('fifo'), 10)).toHaveLength(0);
    expect(machineFiles.readRecords(at('fifo'), 10)).toEqual([]);
  });

  test('a pipe whose writer is silent does not hang', async () => {
    // The shell opens the pipe for both ends, so that the open itself does not wait, and says so.
    const writer = spawn('sh', ['-c', `exec 3<>"$0"; echo open; exec sleep 60`, at('fifo')]);
    try {
      await new Promise((resolve) => writer.stdout.once('data', resolve));
      expect(() => machineFiles.read(at('fifo'), 10)).toThrow(fileError('EAGAIN', 'read'));
      expect(machineFiles.readRecords(at('fifo'), 10)).toEqual([]);
    } finally {
      writer.kill('SIGKILL');
    }
  });

  test('no descriptor is left open, not even after an error', () => {
    const open = (): string[] =>
      execFileSync('ls', [`/proc/${process.pid}/fd`], { encoding: 'utf8' }).split('\n');
    const before = open().length;
    for (let i = 0; i < 20; i++) {
      machineFiles.read(at('small'), 10);
      expect(() => machineFiles.read(at('folder'), 10)).toThrow();
    }
    expect(open().length).toBeLessThan(before + 10);
  });
});

describe('reading records', () => {
  test('gives one string a read, at most as many as asked for', () => {
    const records = machineFiles.readRecords(at('large'), 3);
    expect(records.map((record) => record.length)).toEqual([8192, 8192, 8192]);
    expect(machineFiles.readRecords(at('small'), 3)).toEqual(['hello\n']);
    expect(machineFiles.readRecords(at('small'), 0)).toEqual([]);
  });

  test('a missing device is ERR_FILE', () => {
    expect(() => machineFiles.readRecords(at('missing'), 3)).toThrow(fileError('ENOENT', 'open'));
  });
});

describe('reading links', () => {
  test('gives the target as written', () => {
    expect(machineFiles.readLink(at('link'))).toBe('small');
  });

  test.each([
    ['missing', 'ENOENT'],
    ['small', 'EINVAL'],
  ])('%s is ERR_FILE with %s', (name, errno) => {
    expect(() => machineFiles.readLink(at(name))).toThrow(fileError(errno, 'readlink'));
  });
});

describe('reading at an offset', () => {
  test('gives what stands there, and less at the end', () => {
    expect(Buffer.from(machineFiles.readAt(at('small'), 1n, 3)).toString()).toBe('ell');
    expect(Buffer.from(machineFiles.readAt(at('small'), 3n, 100)).toString()).toMatch(/^lo/);
    expect(machineFiles.readAt(at('small'), 100n, 5)).toHaveLength(0);
  });

  test('beyond 2^32 too, as the memory of a process is read', () => {
    const length = 5 * 2 ** 30;
    writeFileSync(at('sparse'), '');
    truncateSync(at('sparse'), length);
    expect(machineFiles.readAt(at('sparse'), BigInt(length) - 2n, 100)).toEqual(new Uint8Array(2));
  });

  test('a missing file is ERR_FILE', () => {
    expect(() => machineFiles.readAt(at('missing'), 0n, 1)).toThrow(fileError('ENOENT', 'open'));
  });
});

describe('listing a folder', () => {
  test('gives the names in it', () => {
    expect(machineFiles.list(at('.'))).toEqual(expect.arrayContaining(['small', 'link']));
  });

  test.each([
    ['missing', 'ENOENT'],
    ['small', 'ENOTDIR'],
  ])('%s is ERR_FILE with %s', (name, errno) => {
    expect(() => machineFiles.list(at(name))).toThrow(fileError(errno, 'readdir'));
  });
});

describe('reading text', () => {
  test('drops the newline at the end', () => {
    expect(readText(machineFiles, at('small'))).toBe('hello');
    expect(readText(machineFiles, at('small'), 3)).toBe('hel');
  });

  test('or null where the file cannot be read', () => {
    expect(readTextOrNull(machineFiles, at('missing'))).toBeNull();
    expect(readTextOrNull(machineFiles, at('empty'))).toBe('');
  });

  test('hides no error but of files', () => {
    const broken: HostFiles = {
      ...machineFiles,
      read: () => {
        throw new TypeError('a slip');
      },
    };
    expect(() => readTextOrNull(broken, '/x')).toThrow(TypeError);
  });
});
