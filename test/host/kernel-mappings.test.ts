import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { machineFiles } from '../../lib/host/files.ts';
import { findKernelMappings } from '../../lib/host/kernel-mappings.ts';
import { getAddon } from '../../lib/native/load.ts';
import { simulatedHost } from '../support/simulated-host.ts';

const found = (maps: string) => {
  const { addon, files } = simulatedHost({ files: { '/proc/self/maps': maps } });
  return findKernelMappings(addon, files);
};

// As three generations of kernels print them.
const UP_TO_6_12 = `55d0c8a00000-55d0c8b00000 r--p 00000000 fe:00 131 /usr/bin/node
7ffd05bd6000-7ffd05bf7000 rw-p 00000000 00:00 0                          [stack]
7ffd05bfa000-7ffd05bfe000 r--p 00000000 00:00 0                          [vvar]
7ffd05bfe000-7ffd05c00000 r-xp 00000000 00:00 0                          [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
`;
const SINCE_6_13 = `7ffd05bf8000-7ffd05bfa000 r--p 00000000 00:00 0                          [vvar]
7ffd05bfa000-7ffd05bfc000 r--p 00000000 00:00 0                          [vvar_vclock]
7ffd05bfc000-7ffd05bfe000 r-xp 00000000 00:00 0                          [vdso]
`;

describe('by the map of the process', () => {
  test('four pages of [vvar] and the vDSO, up to 6.12', () => {
    const { vdso, pages, source } = found(UP_TO_6_12);
    expect(source).toBe('/proc/self/maps');
    expect(vdso).toEqual({ start: 0x7ffd05bfe000n, end: 0x7ffd05c00000n });
    expect(pages).toEqual(
      [0, 1, 2, 3].map((index) => ({
        region: '[vvar]',
        index,
        address: 0x7ffd05bfa000n + BigInt(index * 4096),
      })),
    );
  });

  test('two regions since 6.13, each counted from its own start', () => {
    expect(found(SINCE_6_13).pages.map(({ region, index }) => `${region} ${index}`)).toEqual([
      '[vvar] 0',
      '[vvar] 1',
      '[vvar_vclock] 0',
      '[vvar_vclock] 1',
    ]);
  });

  test('a file that is called like a region is none', () => {
    const maps = '7ffd05bf8000-7ffd05bfa000 r--p 00000000 fe:00 12 /tmp/[vvar]\nnonsense\n';
    expect(found(maps)).toEqual({ vdso: null, pages: [], source: '/proc/self/maps' });
  });

  test('an empty map has nothing', () => {
    expect(found('')).toEqual({ vdso: null, pages: [], source: '/proc/self/maps' });
  });
});

describe('without the map', () => {
  test('the six pages right below the vDSO are candidates, in ascending order', () => {
    const { addon, files, vdsoBase } = simulatedHost({ maps: false });
    const { vdso, pages, source } = findKernelMappings(addon, files);
    expect(source).toBe('auxv');
    expect(vdso).toEqual({ start: vdsoBase, end: null });
    expect(pages.map(({ region }) => region)).toEqual(new Array(6).fill('unnamed'));
    expect(pages.map(({ address }) => vdsoBase - address)).toEqual(
      [6n, 5n, 4n, 3n, 2n, 1n].map((n) => n * 4096n),
    );
  });

  test('nor a vDSO there is nothing', () => {
    const { addon, files } = simulatedHost({ maps: false, vdso: null });
    expect(findKernelMappings(addon, files)).toEqual({ vdso: null, pages: [], source: 'auxv' });
  });
});

const maps = readFileSync('/proc/self/maps', 'utf8');
const hasVdso = maps.includes('[vdso]');

test.skipIf(!hasVdso)(
  hasVdso
    ? "this process's vDSO begins where the auxiliary vector says"
    : "this process's vDSO begins where the auxiliary vector says (skipped: it has none)",
  () => {
    const { vdso, pages } = findKernelMappings(getAddon(), machineFiles);
    expect(vdso?.start).toBe(getAddon().vdsoBase());
    expect(pages.every(({ address }) => address < (vdso?.start ?? 0n))).toBe(true);
  },
);
