import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  createAnonymousPage,
  createMemfdPage,
  createPageFile,
  lockPageFile,
  openPageDescriptor,
  openPageFile,
} from '../../lib/host/clock-page-memory.ts';
import type { Addon, ClockPageMemory } from '../../lib/native/addon.ts';
import { getAddon } from '../../lib/native/load.ts';
import {
  CLOCK_PAGE_OFFSETS,
  type ClockPageHeader,
  encodeClockPageHeader,
} from '../../lib/page/clock-page.ts';
import { compiledLib } from '../support/compiled-lib.ts';

const addon = getAddon();
const folder = mkdtempSync(join(tmpdir(), 'latchclock-'));
afterAll(() => rmSync(folder, { recursive: true }));

const HEADER: ClockPageHeader = {
  counter: 'tsc',
  protocol: 'latch',
  generationSource: 'page',
  arithmetic: 'wide',
  clocks: ['monotonic', 'realtime'],
};

function pageBytes(edit: (bytes: Uint8Array) => void = () => undefined): Uint8Array {
  const bytes = new Uint8Array(4096);
  bytes.set(encodeClockPageHeader(HEADER));
  edit(bytes);
  return bytes;
}

let files = 0;
function fileOf(bytes: Uint8Array, mode = 0o644): string {
  const path = join(folder, `page-${files++}`);
  writeFileSync(path, bytes, { mode });
  return path;
}

const code = (wanted: string) => expect.objectContaining({ name: 'LatchclockError', code: wanted });

describe('a page that was made', () => {
  test('is what another mapping of the same file finds, and sees the words that the first one writes', () => {
    const path = join(folder, 'shared');
    const writer = createPageFile(addon, path, HEADER);
    const reader = openPageFile(addon, path);
    expect(reader.header).toEqual(HEADER);
    expect([writer.writable, reader.writable]).toEqual([true, false]);
    new DataView(writer.bytes.buffer).setBigUint64(CLOCK_PAGE_OFFSETS['copy1.base'], 77n, true);
    expect(
      new DataView(reader.memory.copy().buffer).getBigUint64(CLOCK_PAGE_OFFSETS['copy1.base'], true),
    ).toBe(77n);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test('and mapped for reading only gives no buffer that a store could go into', () => {
    const page = openPageFile(addon, fileOf(pageBytes()));
    expect(page).not.toHaveProperty('bytes');
    expect(() => page.memory.buffer()).toThrow(code('ERR_BAD_ARGUMENT'));
    expect(page.memory.copy()).toEqual(pageBytes());
  });

  test('is made beside what a writer that crashed left behind', () => {
    const path = join(folder, 'crashed');
    writeFileSync(`${path}.${process.pid}.tmp`, '');
    expect(createPageFile(addon, path, HEADER).writable).toBe(true);
    rmSync(`${path}.${process.pid}.tmp`);
  });

  test('is not made over one that is there', () => {
    const path = fileOf(pageBytes());
    const before = readFileSync(path);
    expect(() => createPageFile(addon, path, HEADER)).toThrow(code('ERR_FILE'));
    expect(() => createPageFile(addon, path, HEADER)).toThrow('there already');
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test('cannot be made in a folder that is not there', () => {
    expect(() => createPageFile(addon, join(folder, 'no', 'page'), HEADER)).toThrow(code('ERR_FILE'));
  });

  test('in a memfd reaches another mapping through its descriptor, and cannot be cut short', () => {
    const page = createMemfdPage(addon, HEADER);
    try {
      const other = openPageDescriptor(addon, page.fileDescriptor, { writable: true });
      other.bytes[200] = 9;
      expect(page.bytes[200]).toBe(9);
      expect(() => truncateSync(`/proc/self/fd/${page.fileDescriptor}`, 0)).toThrow('EPERM');
    } finally {
      closeSync(page.fileDescriptor);
    }
  });

  test('anonymous has its header and is empty otherwise', () => {
    const { bytes } = createAnonymousPage(addon, HEADER);
    expect(bytes).toEqual(pageBytes());
  });
});

describe('a page file is refused', () => {
  const refusals: [string, () => string, string, string | RegExp][] = [
    ['of no bytes', () => fileOf(new Uint8Array(0)), 'ERR_BAD_PAGE', '0 bytes'],
    ['cut short', () => fileOf(pageBytes().subarray(0, 4095)), 'ERR_BAD_PAGE', '4095 bytes'],
    ['too long', () => fileOf(new Uint8Array(8192)), 'ERR_BAD_PAGE', '8192 bytes'],
    ['of all zeros', () => fileOf(new Uint8Array(4096)), 'ERR_BAD_PAGE', 'zeros'],
    ['of all ones', () => fileOf(new Uint8Array(4096).fill(0xff)), 'ERR_BAD_PAGE', /magic/i],
    [
      'in the other byte order',
      () => fileOf(pageBytes((bytes) => bytes.set(bytes.slice(0, 8).reverse()))),
      'ERR_BAD_PAGE',
      'byte order',
    ],
    [
      'of a newer version',
      () => fileOf(pageBytes((bytes) => new DataView(bytes.buffer).setUint32(8, 3, true))),
      'ERR_BAD_PAGE',
      'version 3',
    ],
    [
      'of an older version',
      () => fileOf(pageBytes((bytes) => new DataView(bytes.buffer).setUint32(8, 1, true))),
      'ERR_BAD_PAGE',
      'version 1',
    ],
    ['that others may write to', () => chmodded(0o666), 'ERR_FILE', 'others may write'],
    ['that its group may write to', () => chmodded(0o664), 'ERR_FILE', 'chmod go-w'],
    ['that is a folder', () => made(mkdirSync), 'ERR_FILE', 'no regular file'],
    ['that is a device', () => '/dev/zero', 'ERR_FILE', 'no regular file'],
    ['that is not there', () => join(folder, 'nothing'), 'ERR_FILE', 'ENOENT'],
    [
      'that is a symbolic link to a good one',
      () => made((path) => symlinkSync(fileOf(pageBytes()), path)),
      'ERR_FILE',
      'symbolic link',
    ],
    ['that is a pipe, without waiting for its writer', () => made(mkfifo), 'ERR_FILE', 'no regular file'],
  ];
  const chmodded = (mode: number): string => {
    const path = fileOf(pageBytes());
    chmodSync(path, mode);
    return path;
  };
  const made = (make: (path: string) => void): string => {
    const path = join(folder, `made-${files++}`);
    make(path);
    return path;
  };
  const mkfifo = (path: string): void => {
    expect(spawnSync('mkfifo', [path]).status).toBe(0);
  };

  test.each(refusals)('%s', (_, path, wanted, words) => {
    const where = path();
    expect(() => openPageFile(addon, where)).toThrow(code(wanted));
    expect(() => openPageFile(addon, where)).toThrow(words);
  });

  test('that is no open descriptor', () => {
    expect(() => openPageDescriptor(addon, 987_654)).toThrow(code('ERR_FILE'));
  });

  test('that is a descriptor of a file of another size', () => {
    const fileDescriptor = openSync(fileOf(new Uint8Array(5)), 'r');
    try {
      expect(() => openPageDescriptor(addon, fileDescriptor)).toThrow(code('ERR_BAD_PAGE'));
    } finally {
      closeSync(fileDescriptor);
    }
  });
});

describe('a page whose file is cut short while it is mapped', () => {
  test('reads as zeros, says that it is lost, and ends nothing', () => {
    const path = fileOf(pageBytes());
    const page = openPageFile(addon, path, { writable: true });
    truncateSync(path, 0);
    expect(page.bytes[0]).toBe(0);
    expect(page.memory.isLost()).toBe(true);
    page.bytes[8] = 1;
    expect(readFileSync(path)).toHaveLength(0);
    expect(() => addon.publishClockPage(page.memory, 2, new BigInt64Array(26), 0, false, false)).toThrow(
      'cut short',
    );
  });

  test('is found out by its writer at the next update, whatever the size is that is left', () => {
    for (const size of [1, 0x41, 0x208, 0x2c0, 4095, 4097]) {
      const path = fileOf(pageBytes());
      const page = openPageFile(addon, path, { writable: true });
      const publish = () => addon.publishClockPage(page.memory, 1, new BigInt64Array(26), 0, false, false);
      publish();
      expect(page.memory.isLost()).toBe(false);
      truncateSync(path, size);
      expect(page.memory.isLost()).toBe(false);
      expect(publish).toThrow('cut short');
      expect(page.memory.isLost()).toBe(true);
      page.close();
    }
  });

  test('stays as it is when its file is removed', () => {
    const path = fileOf(pageBytes());
    const page = openPageFile(addon, path);
    rmSync(path);
    expect(page.memory.copy()).toEqual(pageBytes());
    expect(page.memory.isLost()).toBe(false);
  });
});

test('the handler of SIGBUS stays when the last worker that had the addon is gone', () => {
  const { root, lib, remove } = compiledLib();
  try {
    const worker = `
      import { parentPort, workerData } from 'node:worker_threads';
      const { getAddon } = await import('${lib}/native/load.js');
      const { createPageFile } = await import('${lib}/host/clock-page-memory.js');
      createPageFile(getAddon(), workerData, ${JSON.stringify(HEADER)});
      parentPort.postMessage('made');
      parentPort.on('message', () => {});`;
    writeFileSync(join(root, 'worker.mjs'), worker);
    const module = `
      import { Worker } from 'node:worker_threads';
      const worker = new Worker('${root}/worker.mjs', { execArgv: [], workerData: '${join(folder, 'of-a-worker')}' });
      await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
      await worker.terminate();
      process.kill(process.pid, 'SIGBUS');
      await new Promise((resolve) => setTimeout(resolve, 5_000));`;
    const { signal, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', module], {
      encoding: 'utf8',
      timeout: 30_000,
    });
    expect({ signal, stderr }).toEqual({ signal: 'SIGBUS', stderr: '' });
  } finally {
    remove();
  }
});

describe('the lock of a page file', () => {
  test('is had by one at a time, and by the next one once it is given back', () => {
    const path = fileOf(pageBytes());
    const lock = lockPageFile(addon, path);
    expect(() => lockPageFile(addon, path)).toThrow(code('ERR_PAGE_TAKEN'));
    expect(() => lockPageFile(addon, path)).toThrow(
      `another writer has the clock page (${path}); end that one first`,
    );
    lock.release();
    const next = lockPageFile(addon, path);
    // Given back by the first one a second time: not the second one's.
    lock.release();
    expect(() => lockPageFile(addon, path)).toThrow(code('ERR_PAGE_TAKEN'));
    next.release();
  });

  test('is in the way of nobody who reads, or has another page', () => {
    const path = fileOf(pageBytes());
    const locks = [lockPageFile(addon, path), lockPageFile(addon, fileOf(pageBytes()))];
    openPageFile(addon, path).close();
    openPageFile(addon, path, { writable: true }).close();
    expect(() => lockPageFile(addon, path)).toThrow(code('ERR_PAGE_TAKEN'));
    for (const lock of locks) lock.release();
  });

  test('dies with the process that has it, also by SIGKILL', async () => {
    const path = fileOf(pageBytes());
    const { lib, remove } = compiledLib();
    try {
      const module = `
        const { getAddon } = await import('${lib}/native/load.js');
        const { lockPageFile } = await import('${lib}/host/clock-page-memory.js');
        globalThis.lock = lockPageFile(getAddon(), ${JSON.stringify(path)});
        process.stdout.write('locked');
        await new Promise((resolve) => setTimeout(resolve, 30_000));`;
      const child = spawn(process.execPath, ['--input-type=module', '-e', module], {
        stdio: ['ignore', 'pipe', 'inherit'],
        timeout: 30_000,
        killSignal: 'SIGKILL',
      });
      const ended = once(child, 'exit');
      const [said] = await Promise.race([once(child.stdout, 'data'), ended]);
      expect(String(said)).toBe('locked');
      expect(() => lockPageFile(addon, path)).toThrow(code('ERR_PAGE_TAKEN'));
      child.kill('SIGKILL');
      await ended;
      lockPageFile(addon, path).release();
    } finally {
      remove();
    }
  });

  test('is not that of a file put in the place of the one that was locked', () => {
    const [path, other] = [fileOf(pageBytes()), fileOf(pageBytes())];
    const replacing = Object.assign(Object.create(addon), {
      lockFile: (fileDescriptor: number) => {
        renameSync(other, path);
        return addon.lockFile(fileDescriptor);
      },
    });
    expect(() => lockPageFile(replacing, path)).toThrow('replaced meanwhile');
    // And it was given back.
    lockPageFile(addon, path).release();
  });

  test('is refused for what is no page file of its owner, and leaves nothing open', () => {
    const open = (): number => readdirSync('/proc/self/fd').length;
    const link = join(folder, 'locked-link');
    symlinkSync(fileOf(pageBytes()), link);
    const shared = fileOf(pageBytes());
    chmodSync(shared, 0o666);
    const before = open();
    for (const path of [link, shared, folder, join(folder, 'nothing')]) {
      expect(() => lockPageFile(addon, path)).toThrow(code('ERR_FILE'));
    }
    expect(() => lockPageFile(addon, fileOf(new Uint8Array(10)))).toThrow(code('ERR_BAD_PAGE'));
    expect(open()).toBe(before);
  });

  test('of a descriptor that is none is the system’s refusal', () => {
    expect(() => addon.lockFile(987_654)).toThrow(
      expect.objectContaining({ code: 'ERR_SYSTEM_CALL', errno: 'EBADF', syscall: 'flock' }),
    );
  });
});

test('a page in memory is refused under a runtime that does not know the descriptors of native code', () => {
  let closed = 0;
  class Foreign {
    buffer = () => new ArrayBuffer(4096);
    // Above what this process may have open.
    fileDescriptor = () => 0x7fff_0000;
    close = () => void closed++;
  }
  const foreign = { ...addon, ClockPageMemory: Foreign as unknown as new () => ClockPageMemory };
  expect(() => createMemfdPage(foreign as unknown as Addon, HEADER)).toThrow(
    expect.objectContaining({ code: 'ERR_CANNOT_RUN', todo: expect.stringContaining('Node.js') }),
  );
  expect(closed).toBe(1);
});
