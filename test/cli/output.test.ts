import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Interrupted } from '../../lib/cli/interruption.ts';
import { openOutput } from '../../lib/cli/output.ts';
import { testUnless } from '../support/tools.ts';

const notRoot = process.geteuid?.() === 0 ? null : 'files of other users can be made by root only';

describe('openOutput', () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'latchclock-'));
    file = join(folder, 'report.json');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  async function write(path: string, text = 'new'): Promise<void> {
    await (await openOutput(path)).write(text);
  }

  test('leaves the old file as it was until the whole result is there', async () => {
    writeFileSync(file, 'old');
    const output = await openOutput(file);
    expect(readFileSync(file, 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['report.json']);
    await output.write('new');
    expect(readFileSync(file, 'utf8')).toBe('new');
    expect(readdirSync(folder)).toEqual(['report.json']);
  });

  test('leaves nothing behind when it is given up', async () => {
    (await openOutput(file)).discard();
    expect(existsSync(file)).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('has nothing aside while a run is under way: a killed one leaves nothing', async () => {
    await openOutput(file);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('refuses a folder, a file in a folder that is not there, and links in a ring', async () => {
    await expect(openOutput(folder)).rejects.toThrow('EISDIR');
    await expect(openOutput(join(folder, 'no', 'report'))).rejects.toThrow('ENOENT');
    symlinkSync(file, file);
    await expect(openOutput(file)).rejects.toThrow('ELOOP');
  });

  test('refuses an empty path as wrong usage, by the name of its option', async () => {
    await expect(openOutput('')).rejects.toMatchObject({ code: 'ERR_BAD_ARGUMENT', where: '--output' });
    await expect(openOutput('', undefined, '--record')).rejects.toMatchObject({ where: '--record' });
  });

  test('writes to a device in place, and does not replace it', async () => {
    await write('/dev/null', 'gone');
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  });

  test('follows links, relative ones, chains and those to nothing yet, and leaves them', async () => {
    mkdirSync(join(folder, 'a'));
    symlinkSync('a', join(folder, 'b'));
    symlinkSync('b/../second', join(folder, 'first'));
    symlinkSync('report.json', join(folder, 'second'));
    for (const text of ['made', 'replaced']) {
      await write(join(folder, 'first'), text);
      expect(readFileSync(file, 'utf8')).toBe(text);
    }
    expect(readlinkSync(join(folder, 'first'))).toBe('b/../second');
    expect(lstatSync(file).isFile()).toBe(true);
  });

  test('keeps the mode of a file', async () => {
    writeFileSync(file, 'old');
    chmodSync(file, 0o640);
    await write(file);
    expect(statSync(file).mode & 0o7777).toBe(0o640);
  });

  test('gives a new file the mode that the umask leaves', async () => {
    await write(file);
    expect(statSync(file).mode & 0o7777).toBe(0o666 & ~process.umask());
  });

  test('keeps the other names of a file, also where the old one was longer', async () => {
    writeFileSync(file, 'much longer than what comes');
    linkSync(file, join(folder, 'other'));
    await write(file);
    expect(readFileSync(join(folder, 'other'), 'utf8')).toBe('new');
    expect(statSync(file).nlink).toBe(2);
  });

  testUnless(notRoot, 'keeps the owner of a file, also in a sticky folder', async () => {
    chmodSync(folder, 0o1777);
    writeFileSync(file, 'old');
    chownSync(file, 54321, 54322);
    await write(file);
    expect(statSync(file)).toMatchObject({ uid: 54321, gid: 54322 });
    expect(readFileSync(file, 'utf8')).toBe('new');
  });

  test('takes any name that the file system takes', async () => {
    await write(join(folder, 'x'.repeat(255)));
    expect(readdirSync(folder)).toEqual(['x'.repeat(255)]);
  });

  test('sweeps what a killed run left long ago, and nothing else', async () => {
    const left = (name: string, hours: number): void => {
      writeFileSync(join(folder, name), '');
      const then = new Date(Date.now() - hours * 3_600_000);
      utimesSync(join(folder, name), then, then);
    };
    left('.latchclock-0123456789abcdef.tmp', 2);
    left('.latchclock-0123456789abcdee.tmp', 0);
    left('.latchclock-mine.tmp', 2);
    left('report.json.1.tmp', 2);
    await write(file);
    expect(readdirSync(folder)).toEqual([
      '.latchclock-0123456789abcdee.tmp',
      '.latchclock-mine.tmp',
      'report.json',
      'report.json.1.tmp',
    ]);
  });

  test('a file that an earlier run of the same process number left is in nobody’s way', async () => {
    writeFileSync(`${file}.${process.pid}.tmp`, 'left');
    await write(file);
    expect(readFileSync(file, 'utf8')).toBe('new');
  });

  test('a folder that went away meanwhile is told, as what it is', async () => {
    const gone = join(folder, 'gone');
    mkdirSync(gone);
    const output = await openOutput(join(gone, 'report'));
    rmSync(gone, { recursive: true });
    await expect(output.write('new')).rejects.toMatchObject({ code: 'ERR_FILE', errno: 'ENOENT' });
  });

  describe('descriptors', () => {
    test.each(['/dev/fd/', '/proc/self/fd/', `/proc/${process.pid}/fd/`, '/proc/thread-self/fd/'])(
      '%sN that is a file is written to where it stands, and the file stays the same',
      async (names) => {
        writeFileSync(file, 'before,');
        const { ino } = statSync(file);
        const descriptor = openSync(file, 'a');
        try {
          await write(`${names}${descriptor}`, 'after');
          // By a link, as /dev/stdout is one.
          symlinkSync(`/proc/self/fd/${descriptor}`, join(folder, 'link'));
          await write(join(folder, 'link'), ',again');
        } finally {
          closeSync(descriptor);
        }
        expect(readFileSync(file, 'utf8')).toBe('before,after,again');
        expect(statSync(file).ino).toBe(ino);
        expect(lstatSync(join(folder, 'link')).isSymbolicLink()).toBe(true);
      },
    );

    test('that are not open, are no streams, or are pipes of Node’s own are refused', async () => {
      await expect(openOutput('/dev/fd/999999')).rejects.toMatchObject({ code: 'ERR_FILE', errno: 'EBADF' });
      const descriptor = openSync(folder, 'r');
      try {
        await expect(openOutput(`/dev/fd/${descriptor}`)).rejects.toMatchObject({ errno: 'EBADF' });
      } finally {
        closeSync(descriptor);
      }
      const own = readdirSync('/proc/self/fd').filter((name) => {
        try {
          return Number(name) > 2 && readlinkSync(`/proc/self/fd/${name}`).startsWith('anon_inode:');
        } catch {
          return false;
        }
      });
      expect(own.length).toBeGreaterThan(0);
      for (const name of own) {
        await expect(openOutput(`/dev/fd/${name}`)).rejects.toMatchObject({ code: 'ERR_FILE' });
      }
    });
  });

  describe('a pipe', () => {
    let pipe: string;
    beforeEach(() => {
      pipe = join(folder, 'pipe');
      execFileSync('mkfifo', [pipe]);
    });

    test('without a reader is waited for, and given up when the run is interrupted', async () => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(), 50);
      await expect(openOutput(pipe, controller.signal)).rejects.toThrow(Interrupted);
    });

    test('that is full is waited for, and given up when the run is interrupted', async () => {
      const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
      const controller = new AbortController();
      try {
        const output = await openOutput(pipe, controller.signal);
        setTimeout(() => controller.abort(), 50);
        await expect(output.write('x'.repeat(1 << 20))).rejects.toThrow(Interrupted);
      } finally {
        closeSync(reader);
      }
    });

    test('is written to whole, by and by, and stays a pipe', async () => {
      const reader = spawn('sh', ['-c', 'sleep 0.1; wc -c <"$1"', 'sh', pipe]);
      let counted = '';
      reader.stdout.on('data', (chunk: Buffer) => {
        counted += chunk;
      });
      await write(pipe, 'x'.repeat(1 << 20));
      await new Promise((resolve) => reader.once('close', resolve));
      expect(counted.trim()).toBe(String(1 << 20));
      expect(lstatSync(pipe).isFIFO()).toBe(true);
    });

    test('whose reader has seen enough is no error', async () => {
      const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
      const output = await openOutput(pipe);
      closeSync(reader);
      await output.write('new');
    });
  });
});
