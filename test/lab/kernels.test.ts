import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { newestPackage, ownKernels, packagesOf } from './kernels.ts';

const OFFERED = [
  'linux-image-5.10.0-9-cloud-amd64',
  'linux-image-5.10.0-32-cloud-amd64',
  'linux-image-5.10.0-33-cloud-amd64-dbg',
  'linux-image-5.10.0-33-amd64',
  'linux-image-6.1.0-50-cloud-amd64',
  'linux-image-6.12.107+deb13-cloud-amd64',
  'linux-image-6.12.94+deb13-cloud-amd64-unsigned',
  'linux-image-cloud-amd64',
  'linux-binary-7.2.9+deb14-cloud-amd64',
  'linux-binary-7.2.13+deb14-cloud-amd64',
  'linux-binary-unsigned-7.2.14+deb14-cloud-amd64',
  'linux-binary-7.2.14+deb14-rt-amd64',
];

describe('the kernel of a release', () => {
  test.each([
    ['5.10', 'linux-image-5.10.0-32-cloud-amd64'],
    ['6.1', 'linux-image-6.1.0-50-cloud-amd64'],
    ['6.12', 'linux-image-6.12.107+deb13-cloud-amd64'],
    [null, 'linux-binary-7.2.13+deb14-cloud-amd64'],
    ['4.19', undefined],
  ])('of %s is the newest signed cloud kernel, by number and not by letter', (version, expected) => {
    expect(newestPackage(OFFERED, version)).toBe(expected);
  });

  test('is in one package up to 6.12, and has its modules in another since', () => {
    expect(packagesOf('linux-image-6.1.0-50-cloud-amd64')).toEqual(['linux-image-6.1.0-50-cloud-amd64']);
    expect(packagesOf('linux-binary-7.2.13+deb14-cloud-amd64')).toEqual([
      'linux-binary-7.2.13+deb14-cloud-amd64',
      'linux-modules-7.2.13+deb14-cloud-amd64',
    ]);
  });

  test("of one's own is called as its file is, and must be there once", () => {
    const folder = mkdtempSync(join(tmpdir(), 'latchclock-kernels-'));
    try {
      const [one, other] = ['vmlinuz-6.18.0', 'bzImage-6.18.0'].map((name) => join(folder, name));
      for (const file of [one, other]) writeFileSync(file as string, '');
      expect(ownKernels([one as string])).toEqual([{ name: '6.18.0', image: one }]);
      expect(() => ownKernels([one as string, other as string])).toThrow('are both called 6.18.0');
      expect(() => ownKernels([join(folder, 'nothing')])).toThrow(`there is no kernel ${folder}/nothing`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
