import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { open as openWithElfinfo } from 'elfinfo';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isLatchclockError } from '../../lib/errors.ts';
import { parseVdsoElf } from '../../lib/host/elf.ts';

const IMAGE = Uint8Array.from(readFileSync(new URL('../fixtures/vdso-6.18.bin', import.meta.url)));

/** The vDSO of this process, or null if it has none or its memory cannot be read. */
function ownVdso(): Uint8Array | null {
  try {
    const maps = readFileSync('/proc/self/maps', 'latin1');
    const [, start = '', end = ''] = /^([0-9a-f]+)-([0-9a-f]+) .*\[vdso\]$/m.exec(maps) ?? [];
    const bytes = new Uint8Array(Number(BigInt(`0x${end}`) - BigInt(`0x${start}`)));
    const memory = openSync('/proc/self/mem', 'r');
    try {
      return readSync(memory, bytes, 0, bytes.length, BigInt(`0x${start}`)) === bytes.length ? bytes : null;
    } finally {
      closeSync(memory);
    }
  } catch {
    return null;
  }
}

const OWN_IMAGE = ownVdso();

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function patched(edit: (view: DataView, bytes: Uint8Array) => void): Uint8Array {
  const copy = Uint8Array.from(IMAGE);
  edit(view(copy), copy);
  return copy;
}

const DYNAMIC = 0x440;
const DYNAMIC_ENTRIES = 14;
const DT_HASH = 4n;
const DT_GNU_HASH = 0x6ffffef5n;
const UNKNOWN_TAG = 0x6000_0001n;

/** Places of the fixture's dynamic entries. */
const dynamicEntries = Array.from({ length: DYNAMIC_ENTRIES }, (_, index) => DYNAMIC + index * 16);

function withoutTags(...tags: bigint[]): Uint8Array {
  return patched((image) => {
    for (const at of dynamicEntries) {
      if (tags.includes(image.getBigUint64(at, true))) image.setBigUint64(at, UNKNOWN_TAG, true);
    }
  });
}

/** The fixture as if it had been linked for `base`. */
function linkedAt(base: bigint): Uint8Array {
  const pointers = new Set([4n, 5n, 6n, DT_GNU_HASH, 0x6ffffff0n, 0x6ffffffcn]);
  return patched((image) => {
    const move = (at: number) => image.setBigUint64(at, image.getBigUint64(at, true) + base, true);
    for (let header = 0; header < 4; header++) move(64 + header * 56 + 16);
    for (const at of dynamicEntries) if (pointers.has(image.getBigUint64(at, true))) move(at + 8);
    for (let symbol = 0x1d0; symbol < 0x320; symbol += 24) {
      if (![0, 0xfff1].includes(image.getUint16(symbol + 6, true))) move(symbol + 8);
    }
  });
}

function failure(bytes: Uint8Array): unknown {
  try {
    parseVdsoElf(bytes);
  } catch (error) {
    return error;
  }
  return null;
}

async function symbolsByElfinfo(bytes: Uint8Array): Promise<unknown[]> {
  const { elf, errors } = await openWithElfinfo(bytes);
  expect(errors).toEqual([]);
  const section = elf?.sections.find(({ name }) => name === '.dynsym');
  const symbols = section !== undefined && 'symbols' in section ? section.symbols : [];
  const bindings = ['local', 'global', 'weak'];
  const types = ['notype', 'object', 'function'];
  return (
    symbols as { name: string; value: bigint; size: number; binding: number; type: number; shndx: number }[]
  )
    .slice(1)
    .map(({ name, value, size, binding, type, shndx }) => ({
      name,
      address: Number(value),
      size: Number(size),
      binding: bindings[binding] ?? 'other',
      type: types[type] ?? 'other',
      defined: shndx !== 0,
    }));
}

function symbolsWithoutVersion(bytes: Uint8Array): unknown[] {
  return parseVdsoElf(bytes).symbols.map(({ version: _, ...symbol }) => symbol);
}

describe('the vDSO of 6.18', () => {
  const vdso = parseVdsoElf(IMAGE);

  test('symbols agree with elfinfo, which reads the section headers instead', async () => {
    expect(symbolsWithoutVersion(IMAGE)).toEqual(await symbolsByElfinfo(IMAGE));
  });

  test('a function has its version, address, size and binding', () => {
    expect(vdso.symbols.find(({ name }) => name === '__vdso_clock_gettime')).toEqual({
      name: '__vdso_clock_gettime',
      version: 'LINUX_2.6',
      address: 0xaf0,
      size: 902,
      binding: 'global',
      type: 'function',
      defined: true,
    });
    expect(vdso.symbols.find(({ name }) => name === 'clock_gettime')).toMatchObject({ binding: 'weak' });
  });

  test('every function lies in the executable segment', () => {
    const { start, end } = vdso.textRange ?? { start: 0, end: 0 };
    const functions = vdso.symbols.filter(({ type }) => type === 'function');
    expect(functions).toHaveLength(12);
    expect(functions.every(({ address, size }) => address >= start && address + size <= end)).toBe(true);
  });

  test('the image says its name, versions, size, build ID and kernel version, and the build salt is no version', () => {
    expect({ ...vdso, symbols: vdso.symbols.length }).toEqual({
      symbols: 13,
      prelinkedAt: 0n,
      soname: 'linux-vdso.so.1',
      versions: ['LINUX_2.6'],
      textRange: { start: 0, end: 0x1522 },
      loadSize: 0x1522,
      buildId: 'e025128345ce65b719dab776555f2b64ee0204a1',
      linuxVersion: (6 << 16) | (18 << 8) | 44,
    });
  });

  test('either hash table alone gives the same symbols', () => {
    expect(parseVdsoElf(withoutTags(DT_HASH))).toEqual(vdso);
    expect(parseVdsoElf(withoutTags(DT_GNU_HASH))).toEqual(vdso);
  });

  test('section headers are not needed', () => {
    expect(parseVdsoElf(patched((_, bytes) => bytes.fill(0xff, 0x1522)))).toEqual(vdso);
  });

  test('an image linked for a high address gives the same offsets', () => {
    const high = 0xffff_ffff_ff70_0000n;
    expect(parseVdsoElf(linkedAt(high))).toEqual({ ...vdso, prelinkedAt: high });
  });

  test('without version tables symbols have no version', () => {
    const unversioned = parseVdsoElf(withoutTags(0x6ffffff0n, 0x6ffffffcn));
    expect(unversioned.versions).toEqual([]);
    expect(unversioned.symbols.every(({ version }) => version === null)).toBe(true);
  });
});

describe.skipIf(OWN_IMAGE === null)('the vDSO of this process (skipped if there is none to read)', () => {
  const image = OWN_IMAGE ?? new Uint8Array();

  test('symbols agree with elfinfo', async () => {
    expect(symbolsWithoutVersion(image)).toEqual(await symbolsByElfinfo(image));
  });

  test('clock_gettime is a defined function of version LINUX_2.6', () => {
    const wanted = { version: 'LINUX_2.6', type: 'function', defined: true };
    expect(parseVdsoElf(image).symbols.find(({ name }) => name === '__vdso_clock_gettime')).toMatchObject(
      wanted,
    );
  });
});

describe('malformed and hostile bytes', () => {
  test.each([
    ['nothing', new Uint8Array(), /cut short/],
    ['a text file', new TextEncoder().encode('#!/bin/sh\nexit 0\n'), /ELF magic/],
    ['32-bit ELF', patched((image) => image.setUint8(4, 1)), /not 64-bit/],
    ['big-endian ELF', patched((image) => image.setUint8(5, 2)), /not little-endian/],
    ['an executable', patched((image) => image.setUint16(16, 2, true)), /not a shared object/],
    ['another machine', patched((image) => image.setUint16(18, 183, true)), /not for x86-64/],
    ['too many program headers', patched((image) => image.setUint16(56, 65, true)), /65 program headers/],
    [
      'program headers past the end',
      patched((image) => image.setUint32(32, 8190, true)),
      /program header table/,
    ],
    ['no PT_LOAD', patched((image) => image.setUint32(64, 0, true)), /no PT_LOAD/],
    ['no PT_DYNAMIC', patched((image) => image.setUint32(64 + 56, 0, true)), /no PT_DYNAMIC/],
    [
      'a segment past the end',
      patched((image) => image.setUint32(64 + 40, 0x2001, true)),
      /exceeds the image/,
    ],
    ['no symbol table', withoutTags(6n), /no DT_SYMTAB/],
    ['no string table', withoutTags(5n), /no DT_STRTAB/],
    ['no hash table', withoutTags(DT_HASH, DT_GNU_HASH), /neither DT_HASH nor DT_GNU_HASH/],
    [
      'a count of symbols past the end',
      patched((image) => image.setUint32(0x124, 0xffff_ffff, true)),
      /cut short/,
    ],
    [
      'a symbol outside',
      patched((image) => image.setUint32(0x1d0 + 24 + 8, 0x1500, true)),
      /outside the loaded/,
    ],
    ['a name outside', patched((image) => image.setUint32(0x1d0 + 24, 0xcc, true)), /string table/],
    ['an image of 2 MiB', new Uint8Array(2 << 20), /too large for a vDSO/],
  ])('%s is refused with the reason and the place', (_, bytes, reason) => {
    const error = failure(bytes);
    expect(isLatchclockError(error, 'ERR_BAD_ELF')).toBe(true);
    expect(String(error)).toMatch(reason);
    expect(String(error)).toMatch(/byte 0x[0-9a-f]+ of the image/);
  });

  test('every prefix that lacks a byte of the loaded segments is refused, every other gives the same result', () => {
    const whole = parseVdsoElf(IMAGE);
    for (let length = 0; length < IMAGE.length; length++) {
      const prefix = IMAGE.slice(0, length);
      if (length < whole.loadSize) expect(isLatchclockError(failure(prefix), 'ERR_BAD_ELF')).toBe(true);
    }
    expect(parseVdsoElf(IMAGE.slice(0, whole.loadSize))).toEqual(whole);
  });

  test('mutated images give a result or an error of this package', () => {
    // Everything that is parsed lies below the code.
    const place = fc.nat(0x780 - 1);
    const byte = fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.nat(255));
    fc.assert(
      fc.property(fc.array(fc.tuple(place, byte), { minLength: 1, maxLength: 6 }), (edits) => {
        const error = failure(
          patched((_, bytes) => {
            for (const [at, value] of edits) bytes[at] = value;
          }),
        );
        if (error !== null && !isLatchclockError(error, 'ERR_BAD_ELF')) throw error;
      }),
      { seed: 20_201_208, numRuns: 5000 },
    );
  });
});
