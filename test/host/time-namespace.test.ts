import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { machineFiles } from '../../lib/host/files.ts';
import { readTimeNamespaceFacts } from '../../lib/host/time-namespace.ts';
import { compiledLib } from '../support/compiled-lib.ts';
import { type SimulatedHostOptions, simulatedHost } from '../support/simulated-host.ts';

const read = (options: SimulatedHostOptions) => readTimeNamespaceFacts(simulatedHost(options).files);

describe('what /proc says', () => {
  test('the initial namespace has the inode PROC_TIME_INIT_INO and no offsets', () => {
    expect(read({})).toEqual({
      inode: 0xeffffffan,
      inTimeNamespace: false,
      offsets: { monotonicNs: 0n, boottimeNs: 0n },
      childrenOffsets: null,
    });
  });

  test('another inode is another namespace', () => {
    const facts = read({
      inTimeNamespace: { monotonicNs: 1_000_000_000_007n, boottimeNs: 5_000_000_000_000n },
    });
    expect(facts).toEqual({
      inode: 4_026_532_177n,
      inTimeNamespace: true,
      offsets: { monotonicNs: 1_000_000_000_007n, boottimeNs: 5_000_000_000_000n },
      childrenOffsets: null,
    });
  });

  test.each([
    ['the initial namespace', 'time:[4026531834]'],
    ['another one', 'time:[4026532178]'],
    ['one that is not told', null],
  ])('offsets for children are not those of a process in %s', (_, link) => {
    const facts = read({
      inTimeNamespace: { monotonicNs: 7n, boottimeNs: 8n },
      files: { '/proc/self/ns/time': link },
    });
    expect(facts.offsets).toBeNull();
    expect(facts.childrenOffsets).toEqual({ monotonicNs: 7n, boottimeNs: 8n });
  });

  test("without the link of the namespace for children the offsets are nobody's known", () => {
    const facts = read({ files: { '/proc/self/ns/time_for_children': null } });
    expect(facts.offsets).toBeNull();
    expect(facts.childrenOffsets).toEqual({ monotonicNs: 0n, boottimeNs: 0n });
  });

  test('offsets may be negative: seconds below zero, nanoseconds counted up', () => {
    const facts = read({ inTimeNamespace: { monotonicNs: -1n, boottimeNs: -2_500_000_000n } });
    expect(facts.offsets).toEqual({ monotonicNs: -1n, boottimeNs: -2_500_000_000n });
  });

  test("offsets are read from the kernel's own columns", () => {
    const files = {
      '/proc/self/timens_offsets': 'monotonic           3        14\nboottime          -15        92\n',
    };
    expect(read({ files }).offsets).toEqual({ monotonicNs: 3_000_000_014n, boottimeNs: -14_999_999_908n });
  });

  test.each([
    ['no file', null],
    ['an empty file', ''],
    ['one clock only', 'monotonic 1 2\n'],
    ['junk', 'monotonic x y\nboottime 1 2\n'],
  ])('%s gives no offsets', (_, content) => {
    expect(read({ files: { '/proc/self/timens_offsets': content } }).offsets).toBeNull();
  });

  test.each([
    ['a kernel without time namespaces', null],
    ['a link of another form', 'mnt:[4026531834]'],
    ['a link that goes on', 'time:[4026531834]x'],
  ])('%s gives neither inode nor an answer', (_, link) => {
    expect(read({ files: { '/proc/self/ns/time': link } })).toMatchObject({
      inode: null,
      inTimeNamespace: null,
    });
  });
});

test("this process's facts agree with each other", () => {
  const { inode, inTimeNamespace } = readTimeNamespaceFacts(machineFiles);
  expect(inTimeNamespace === null).toBe(inode === null);
});

const unshare = ['-T', '--monotonic', '1000', '--boottime', '5000'];
const permitted = spawnSync('unshare', [...unshare, 'true']).status === 0;

describe.skipIf(!permitted)(
  permitted
    ? 'a real time namespace'
    : 'a real time namespace (skipped: unshare -T is not permitted, it needs root)',
  () => {
    let lib: ReturnType<typeof compiledLib>;
    beforeAll(() => {
      lib = compiledLib();
    });
    afterAll(() => lib.remove());

    /** What a process finds: by itself, and inside the namespace. */
    function findings(
      command: string,
      ...args: string[]
    ): { index: number; facts: unknown; clocks: string[] } {
      const script = `
        import { machineFiles } from '${join(lib.lib, 'host/files.js')}';
        import { findKernelPage, readKernelPage } from '${join(lib.lib, 'host/kernel-page.js')}';
        import { readTimeNamespaceFacts } from '${join(lib.lib, 'host/time-namespace.js')}';
        import { loadAddon } from '${join(lib.lib, 'native/load.js')}';
        import { kernelSegment } from '${join(lib.lib, 'page/kernel-page.js')}';
        import { evaluate } from '${join(lib.lib, 'page/segment.js')}';
        const addon = loadAddon({ root: '${lib.root}' });
        const proved = findKernelPage(addon, machineFiles);
        const page = readKernelPage(addon, proved);
        const hidden = { ...machineFiles, read: (path, most) => machineFiles.read(path.replace('/maps', '/no'), most) };
        const unnamed = findKernelPage(addon, hidden);
        const counter = addon.readCounter(1);
        const result = {
          facts: readTimeNamespaceFacts(machineFiles),
          inTimeNamespace: proved.inTimeNamespace,
          index: proved.page.index,
          namespaceNs: proved.namespaceNs,
          sameWithoutMap: unnamed.page.address === proved.page.address,
          clocks: ['monotonic', 'boottime'].map((clock) => evaluate(kernelSegment(page, clock), counter)),
        };
        console.log(JSON.stringify(result, (_, value) => (typeof value === 'bigint' ? String(value) : value)));`;
      const child = spawnSync(command, [...args, '--input-type=module', '-e', script], {
        encoding: 'utf8',
        timeout: 30_000,
      });
      expect(child.stderr).toBe('');
      return JSON.parse(child.stdout);
    }

    test('is recognised by the page and by /proc; its offsets are those asked for', () => {
      const inside = findings('unshare', ...unshare, process.execPath);
      const outside = readTimeNamespaceFacts(machineFiles);
      expect(inside).toMatchObject({
        inTimeNamespace: true,
        sameWithoutMap: true,
        facts: {
          inTimeNamespace: true,
          offsets: { monotonicNs: '1000000000000', boottimeNs: '5000000000000' },
        },
        namespaceNs: {
          realtime: '0',
          tai: '0',
          monotonic: '1000000000000',
          'monotonic-raw': '1000000000000',
          'monotonic-coarse': '1000000000000',
          boottime: '5000000000000',
        },
      });
      expect(inside.index).not.toBe(0);
      expect(inside.facts).not.toMatchObject({ inode: String(outside.inode) });
    });

    test('its clocks are the machine plus the offset', () => {
      const seconds = (ns: string | undefined): number => Number(BigInt(ns ?? 0) / 1_000_000_000n);
      const before = findings(process.execPath);
      const inside = findings('unshare', ...unshare, process.execPath);
      const after = findings(process.execPath);
      for (const [index, offset] of [1000, 5000].entries()) {
        expect(seconds(inside.clocks[index]) - offset).toBeGreaterThanOrEqual(seconds(before.clocks[index]));
        expect(seconds(inside.clocks[index]) - offset).toBeLessThanOrEqual(seconds(after.clocks[index]));
      }
      expect(before).toMatchObject({ inTimeNamespace: false, sameWithoutMap: true });
    });
  },
);
