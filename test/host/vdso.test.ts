import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { LatchclockError } from '../../lib/errors.ts';
import { type HostFiles, machineFiles } from '../../lib/host/files.ts';
import { readVdso } from '../../lib/host/vdso.ts';
import { getAddon } from '../../lib/native/load.ts';
import { simulatedHost } from '../support/simulated-host.ts';

const IMAGE = Uint8Array.from(readFileSync(new URL('../fixtures/vdso-6.18.bin', import.meta.url)));
const code = (wanted: string) => expect.objectContaining({ name: 'LatchclockError', code: wanted });

describe('the vDSO of a simulated process', () => {
  test('is read whole by the map of the process', () => {
    const { addon, files, vdsoBase } = simulatedHost();
    const image = readVdso(addon, files);
    expect(image).toMatchObject({ base: vdsoBase, size: IMAGE.length });
    expect(image.elf.symbols.map(({ name }) => name)).toContain('__vdso_clock_gettime');
  });

  test('is read page by page without the map, and is the same', () => {
    const { addon, files } = simulatedHost({ maps: false });
    const byMap = simulatedHost();
    const image = readVdso(addon, files);
    expect(image.elf).toEqual(readVdso(byMap.addon, byMap.files).elf);
    expect(image.size).toBe(Math.ceil(image.elf.loadSize / 4096) * 4096);
  });

  test('is missing where the auxiliary vector names none', () => {
    const { addon, files } = simulatedHost({ vdso: null });
    expect(() => readVdso(addon, files)).toThrow(code('ERR_NO_VDSO'));
  });

  test.each([true, false])('that is no ELF image is refused as such (map readable: %s)', (maps) => {
    for (const pages of [1, 2, 30]) {
      const { addon, files } = simulatedHost({ maps, vdso: new Uint8Array(4096 * pages).fill(0x90) });
      expect(() => readVdso(addon, files)).toThrow(code('ERR_BAD_ELF'));
    }
  });

  test('whose headers claim more than is mapped is refused as a bad image, not as a fault', () => {
    const vdso = Uint8Array.from(IMAGE);
    const view = new DataView(vdso.buffer);
    // Every PT_LOAD: p_filesz and p_memsz of a mebibyte and a half.
    for (let at = 64; at < 64 + 56 * view.getUint16(56, true); at += 56) {
      if (view.getUint32(at, true) === 1) {
        view.setBigUint64(at + 32, 0x18_0000n, true);
        view.setBigUint64(at + 40, 0x18_0000n, true);
      }
    }
    const { addon, files } = simulatedHost({ maps: false, vdso });
    expect(() => readVdso(addon, files)).toThrow(code('ERR_BAD_ELF'));
  });
});

test('the search for the end of an image ends after a few pages, whatever its headers claim', () => {
  const vdso = new Uint8Array(4096 * 40);
  vdso.set(IMAGE);
  const view = new DataView(vdso.buffer);
  // The file's part of the segment is whole, its part in memory never.
  for (let at = 64; at < 64 + 56 * view.getUint16(56, true); at += 56) {
    if (view.getUint32(at, true) === 1) view.setBigUint64(at + 40, 0x4000_0000n, true);
  }
  let longest = 0;
  const { addon, files } = simulatedHost({ maps: false, vdso });
  const watched = {
    ...addon,
    copyMemory: (address: bigint, length: number) => {
      longest = Math.max(longest, length);
      return addon.copyMemory(address, length);
    },
  };
  expect(() => readVdso(watched, files)).toThrow(code('ERR_BAD_ELF'));
  expect(longest).toBeLessThanOrEqual(16 * 4096);
});

const addon = getAddon();
const hasVdso = addon.vdsoBase() !== null;

describe.skipIf(!hasVdso)(
  hasVdso ? 'the vDSO of this process' : 'the vDSO of this process (skipped: it has none)',
  () => {
    const hidden: HostFiles = {
      ...machineFiles,
      read: (path, mostBytes) => {
        if (path === '/proc/self/maps') throw new LatchclockError('ERR_FILE', 'hidden', { where: path });
        return machineFiles.read(path, mostBytes);
      },
    };

    test('lies where the auxiliary vector says and is the same image with and without the map', () => {
      const byMap = readVdso(addon, machineFiles);
      const byAuxv = readVdso(addon, hidden);
      expect(byMap.base).toBe(addon.vdsoBase());
      expect(byAuxv.base).toBe(byMap.base);
      expect(byAuxv.elf).toEqual(byMap.elf);
      expect(byAuxv.size).toBeLessThanOrEqual(byMap.size);
    });

    test('has its symbols where the dynamic linker finds them', () => {
      const { base, elf } = readVdso(addon, machineFiles);
      const functions = elf.symbols.filter(
        ({ type, defined, version }) => type === 'function' && defined && version,
      );
      expect(functions.length).toBeGreaterThan(2);
      for (const { name, version, address } of functions) {
        expect(addon.vdsoSymbol(name, version ?? ''), name).toBe(base + BigInt(address));
      }
    });
  },
);
