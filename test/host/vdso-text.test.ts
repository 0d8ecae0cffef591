import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { LatchclockError } from '../../lib/errors.ts';
import { parseVdsoElf } from '../../lib/host/elf.ts';
import type { HostFiles } from '../../lib/host/files.ts';
import { openHost, openMachine, orNull } from '../../lib/host/host.ts';
import { foreignEntries, type VdsoText } from '../../lib/host/vdso-text.ts';
import { type SimulatedHostOptions, simulatedHost } from '../support/simulated-host.ts';

const IMAGES = readdirSync(new URL('../fixtures', import.meta.url)).filter((name) =>
  /^vdso-.*\.bin$/.test(name),
);
const read = (name: string): Uint8Array =>
  Uint8Array.from(readFileSync(new URL(`../fixtures/${name}`, import.meta.url)));
const IMAGE = read('vdso-6.18.bin');
const ELF = parseVdsoElf(IMAGE);

const addressOf = (name: string): number => {
  const found = ELF.symbols.find((symbol) => symbol.name === name);
  if (found === undefined) throw new Error(`the fixture has no ${name}`);
  return found.address;
};

/** The image with other bytes at the entry of a function. */
function patched(name: string, bytes: readonly number[]): Uint8Array {
  const image = Uint8Array.from(IMAGE);
  image.set(bytes, addressOf(name));
  return image;
}

const relative = (from: number, to: number): number[] => [
  ...new Uint8Array(Int32Array.of(to - from - 5).buffer),
];

describe('what a function begins with', () => {
  test.each(IMAGES)("the kernel's own code in %s is not foreign", (name) => {
    const image = read(name);
    expect(foreignEntries(image, parseVdsoElf(image))).toEqual([]);
  });

  const at = addressOf('__vdso_clock_gettime');
  const SYSTEM_CALL = [0xb8, 228, 0, 0, 0, 0x0f, 0x05, 0xc3];
  test.each<[string, number[], string]>([
    ['mov eax, 228; syscall', SYSTEM_CALL, 'makes system call 228 at once'],
    ['endbr64 before it', [0xf3, 0x0f, 0x1e, 0xfa, ...SYSTEM_CALL], 'makes system call 228 at once'],
    [
      'mov rax, 228; syscall',
      [0x48, 0xc7, 0xc0, 228, 0, 0, 0, 0x0f, 0x05, 0xc3],
      'makes system call 228 at once',
    ],
    ['int3', [0xcc], 'stops at a breakpoint'],
    ['ud2', [0x0f, 0x0b], 'stops at a breakpoint'],
    ['ret', [0xc3], 'returns at once'],
    ['jmp behind the code', [0xe9, ...relative(at, 0x1fff)], "jumps out of the vDSO's code"],
    ['jmp before the image', [0xe9, ...relative(at, -0x10_0000)], "jumps out of the vDSO's code"],
    ['jmp [rip + 0]', [0xff, 0x25, 0, 0, 0, 0], "jumps out of the vDSO's code"],
    ['mov rax, n; jmp rax', [0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0xe0], "jumps out of the vDSO's code"],
    [
      'mov r11, n; jmp r11',
      [0x49, 0xbb, 1, 2, 3, 4, 5, 6, 7, 8, 0x41, 0xff, 0xe3],
      "jumps out of the vDSO's code",
    ],
    ['push n; ret', [0x68, 1, 2, 3, 4, 0xc3], "jumps out of the vDSO's code"],
  ])('%s is foreign', (_name, bytes, does) => {
    expect(foreignEntries(patched('__vdso_clock_gettime', bytes), ELF)).toEqual([
      { name: '__vdso_clock_gettime', does },
    ]);
  });

  test.each<[string, number[]]>([
    ['mov eax, 123; lsl eax, eax, as getcpu does', [0xb8, 0x7b, 0, 0, 0, 0x0f, 0x03, 0xc0]],
    ['jmp to another function of the image', [0xe9, ...relative(at, addressOf('__vdso_time'))]],
    ['a short jump within the code', [0xeb, 0x10]],
  ])('%s is not', (_name, bytes) => {
    expect(foreignEntries(patched('__vdso_clock_gettime', bytes), ELF)).toEqual([]);
  });

  test('where there are no clock pages, a system call at once is what its kernel wrote', () => {
    const image = patched('__vdso_time', [0xb8, 201, 0, 0, 0, 0x0f, 0x05, 0xc3]);
    expect(foreignEntries(image, ELF, true)).toEqual([]);
    expect(foreignEntries(patched('__vdso_time', [0xcc]), ELF, true)).toHaveLength(1);
  });
});

const USER = 1000;
const OTHER_BASE = 0x7ffe_0000_1000n;

/** Files of another process: its user, and the vDSO that it has. */
function processFiles(
  pid: number,
  image: Uint8Array,
  user = USER,
): NonNullable<SimulatedHostOptions['files']> {
  const end = OTHER_BASE + BigInt(image.length);
  const range = `${OTHER_BASE.toString(16)}-${end.toString(16)}`;
  return {
    [`/proc/${pid}/status`]: `Name:\tother\nPid:\t${pid}\nPPid:\t1\nUid:\t${user}\t${user}\t${user}\t${user}\n`,
    [`/proc/${pid}/maps`]: `${range} r-xp 00000000 00:00 0                          [vdso]\n`,
    [`/proc/${pid}/mem`]: { at: OTHER_BASE, bytes: image },
  };
}

function examined(options: SimulatedHostOptions): VdsoText {
  const { addon, files } = simulatedHost(options);
  return openHost(addon, files).vdsoText();
}

// A change that the first instructions do not show: the second half of a function.
const CHANGED = patched('__vdso_clock_gettime', []);
CHANGED[addressOf('__vdso_clock_gettime') + 64] = 0x90;
CHANGED[addressOf('__vdso_clock_gettime') + 65] = 0x90;

describe("the vDSO's code against that of other processes", () => {
  test("is the kernel's where theirs is the same", () => {
    const files = { ...processFiles(7, IMAGE), ...processFiles(12, IMAGE) };
    expect(examined({ files })).toEqual({
      verdict: 'kernels',
      foreign: [],
      equalTo: ['process 7', 'process 12'],
      differsFrom: [],
      notCompared: null,
    });
  });

  test('is replaced where theirs differ, though its first instructions look well', () => {
    const files = { ...processFiles(7, IMAGE), ...processFiles(12, IMAGE) };
    expect(examined({ vdso: CHANGED, files })).toMatchObject({
      verdict: 'replaced',
      foreign: [],
      differsFrom: ['process 7', 'process 12'],
    });
  });

  test('is not replaced where one of three others has been changed', () => {
    const files = { ...processFiles(7, CHANGED), ...processFiles(8, IMAGE), ...processFiles(9, IMAGE) };
    expect(examined({ files })).toMatchObject({ verdict: 'kernels', differsFrom: ['process 7'] });
  });

  test('a process with foreign entries of its own is no witness', () => {
    const other = patched('__vdso_time', [0xcc]);
    expect(examined({ files: processFiles(7, other) })).toMatchObject({
      verdict: 'not-compared',
      notCompared: expect.stringContaining('no other process of this user'),
    });
  });

  test('foreign entries are replaced code, even where relatives have the same', () => {
    const vdso = patched('__vdso_time', [0xb8, 201, 0, 0, 0, 0x0f, 0x05, 0xc3]);
    expect(examined({ vdso, files: processFiles(7, vdso) })).toMatchObject({
      verdict: 'replaced',
      foreign: [{ name: '__vdso_time', does: 'makes system call 201 at once' }],
    });
  });

  test("another user's process is left alone", () => {
    const options = { files: processFiles(7, IMAGE, 0) };
    const { addon, files } = simulatedHost(options);
    const opened: string[] = [];
    const watched = {
      ...files,
      readAt: (path: string, offset: bigint, mostBytes: number) => {
        opened.push(path);
        return files.readAt(path, offset, mostBytes);
      },
    };
    expect(openHost(addon, watched).vdsoText().verdict).toBe('not-compared');
    expect(opened).toEqual([]);
  });

  test('a 32-bit process has another vDSO, and is no witness', () => {
    const other = Uint8Array.from(IMAGE);
    other[4] = 1;
    expect(examined({ files: processFiles(7, other) }).verdict).toBe('not-compared');
  });

  test('memory that may not be read is said, and not asked for without end', () => {
    const pids = Array.from({ length: 50 }, (_, index) => 7 + index);
    const contents = Object.assign({}, ...pids.map((pid) => processFiles(pid, IMAGE)));
    const { addon, files } = simulatedHost({ files: contents });
    let asked = 0;
    const refusing: HostFiles = {
      ...files,
      readAt: (path) => {
        asked++;
        throw new LatchclockError('ERR_FILE', 'cannot open: EACCES', { where: path, errno: 'EACCES' });
      },
    };
    expect(openHost(addon, refusing).vdsoText()).toMatchObject({
      verdict: 'not-compared',
      notCompared: expect.stringContaining('the memory of other processes may not be read (EACCES)'),
    });
    expect(asked).toBeLessThan(10);
  });

  test('without /proc it is said that nothing was compared', () => {
    expect(examined({ maps: false, files: { '/proc/self/status': null } })).toMatchObject({
      verdict: 'not-compared',
      notCompared: expect.stringMatching(/^\/proc does not tell of processes, and no copy/),
    });
  });
});

describe("the vDSO's code against the copy that is installed", () => {
  const INSTALLED = '/lib/modules/6.18.44/vdso/vdso64.so';

  test("is the kernel's where the functions begin alike", () => {
    expect(examined({ files: { [INSTALLED]: IMAGE } })).toMatchObject({
      verdict: 'kernels',
      equalTo: [`${INSTALLED} (first bytes)`],
    });
  });

  test('is replaced where they do not', () => {
    const vdso = patched('__vdso_clock_gettime', [0x90, 0x90, 0x90]);
    expect(examined({ vdso, files: { [INSTALLED]: IMAGE } })).toMatchObject({
      verdict: 'replaced',
      differsFrom: [`${INSTALLED} (first bytes)`],
    });
  });

  test('getcpu may differ: the kernel patches it for the CPU at boot', () => {
    const vdso = patched('__vdso_getcpu', [0x90, 0x90, 0x90]);
    expect(examined({ vdso, files: { [INSTALLED]: IMAGE } }).verdict).toBe('kernels');
  });

  test('a copy of another build is not compared', () => {
    const other = Uint8Array.from(IMAGE);
    const id = Buffer.from(ELF.buildId as string, 'hex');
    const at = Buffer.from(other.buffer).indexOf(id);
    other.set([(id[0] as number) ^ 1], at);
    expect(examined({ files: { [INSTALLED]: other } })).toMatchObject({
      verdict: 'not-compared',
      notCompared: expect.stringContaining('is of another build'),
    });
  });
});

const own = orNull(() => openMachine().vdsoText());

test.skipIf(own === null)(
  own === null
    ? 'this process has the vDSO of its kernel (skipped: it has none)'
    : 'this process has the vDSO of its kernel, or nothing speaks against it',
  () => {
    expect(own?.foreign).toEqual([]);
    expect(own?.verdict).not.toBe('replaced');
  },
);
