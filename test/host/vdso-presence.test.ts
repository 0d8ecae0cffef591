import { describe, expect, test } from 'vitest';
import {
  noPagesSentence,
  noVdsoSentence,
  type PresenceCause,
  type PresenceFacts,
  presenceCause,
  presenceRemedy,
} from '../../lib/host/vdso-presence.ts';

const BRAND = 'Intel(R) Xeon(R) Processor @ 2.80GHz';
const CPUINFO = `processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel name\t: ${BRAND}\n`;
const ARM_CPUINFO = 'processor\t: 0\nBogoMIPS\t: 48.00\nCPU implementer\t: 0x61\n';

/** A machine that tells nothing odd, but that there is no vDSO. */
const BARE: PresenceFacts = {
  auxvBase: null,
  maps: { vdso: null },
  cmdline: 'console=ttyS0 root=/dev/vda ro',
  cpuinfo: CPUINFO,
  cpu: { brand: BRAND, hypervisor: 'KVM' },
  prelinkedAt: null,
};

const QEMU = { brand: 'QEMU TCG CPU version 2.5+', hypervisor: 'QEMU TCG' };

describe('why there is no vDSO, or no page', () => {
  test.each<[string, Partial<PresenceFacts>, PresenceCause]>([
    ['vdso=0', { cmdline: 'quiet vdso=0 ro' }, { kind: 'boot-parameter', parameter: 'vdso=0' }],
    ['vdso=0x0', { cmdline: 'vdso=0x0' }, { kind: 'boot-parameter', parameter: 'vdso=0x0' }],
    ['vdso=0 taken back', { cmdline: 'vdso=0 vdso=1' }, { kind: 'removed' }],
    [
      'vdso=0 with maps that cannot be read',
      { cmdline: 'vdso=0', maps: null },
      { kind: 'boot-parameter', parameter: 'vdso=0' },
    ],
    ['a word that only ends so', { cmdline: 'novdso=0 xvdso=0' }, { kind: 'removed' }],
    ['a hidden AT_SYSINFO_EHDR', { maps: { vdso: 0x7000n } }, { kind: 'hidden', at: 0x7000n }],
    [
      'the same beside vdso=0 of another day',
      { maps: { vdso: 0x7000n }, cmdline: 'vdso=0' },
      { kind: 'hidden', at: 0x7000n },
    ],
    [
      "gVisor's boot line",
      { cmdline: 'BOOT_IMAGE=/vmlinuz-4.4.0-gvisor quiet' },
      { kind: 'sandbox', name: 'gVisor' },
    ],
    [
      "gVisor's image",
      { auxvBase: 0x7000n, prelinkedAt: 0xffff_ffff_ff70_0000n, cmdline: null },
      { kind: 'sandbox', name: 'gVisor' },
    ],
    ['an image of Linux without pages', { auxvBase: 0x7000n, prelinkedAt: 0n }, { kind: 'removed' }],
    ['qemu-user on x86-64', { cpu: QEMU }, { kind: 'emulator', name: 'qemu-user' }],
    ['qemu-user on ARM', { cpu: QEMU, cpuinfo: ARM_CPUINFO }, { kind: 'emulator', name: 'qemu-user' }],
    [
      'qemu-user that shows a named model',
      { cpu: { brand: 'Intel Core Processor (Skylake)', hypervisor: 'QEMU TCG' } },
      { kind: 'emulator', name: 'qemu-user' },
    ],
    [
      'another emulator on ARM',
      { cpu: { brand: 'VirtualApple @ 2.50GHz', hypervisor: null }, cpuinfo: ARM_CPUINFO },
      { kind: 'emulator', name: 'an emulator that shows a VirtualApple @ 2.50GHz' },
    ],
    [
      'an emulated machine, whose kernel sees that CPU',
      { cpu: QEMU, cpuinfo: CPUINFO.replace(BRAND, QEMU.brand), cmdline: 'vdso=0' },
      { kind: 'boot-parameter', parameter: 'vdso=0' },
    ],
    [
      'a brand with other blanks',
      { cpu: { brand: `  ${BRAND.replace(' ', '   ')}`, hypervisor: null } },
      { kind: 'removed' },
    ],
    ['a CPU that CPUID does not name', { cpu: { brand: '', hypervisor: null } }, { kind: 'removed' }],
    ['CPUID that traps', { cpu: null }, { kind: 'removed' }],
    ['no word of a CPU', { cpuinfo: null }, { kind: 'removed' }],
    ['an empty /proc/cpuinfo', { cpuinfo: '' }, { kind: 'removed' }],
    ['a map that cannot be read', { maps: null }, { kind: 'unknown' }],
    ['a boot line that cannot be read', { cmdline: null }, { kind: 'unknown' }],
    ['nothing else', {}, { kind: 'removed' }],
  ])('by %s', (_name, facts, cause) => {
    expect(presenceCause({ ...BARE, ...facts })).toEqual(cause);
  });

  const CAUSES: PresenceCause[] = [
    { kind: 'boot-parameter', parameter: 'vdso=0' },
    { kind: 'hidden', at: 0x7000n },
    { kind: 'sandbox', name: 'gVisor' },
    { kind: 'emulator', name: 'qemu-user' },
    { kind: 'removed' },
    { kind: 'unknown' },
  ];

  test('is advised to boot without vdso=0 only where that was the boot parameter', () => {
    const advised = CAUSES.filter((cause) => /^boot without/.test(presenceRemedy(cause)));
    expect(advised.map(({ kind }) => kind)).toEqual(['boot-parameter']);
  });

  test('names the sandbox, the emulator and the parameter in its sentences', () => {
    const told = CAUSES.map((cause) => `${noVdsoSentence(cause)}; ${noPagesSentence(cause)}`);
    expect(told[0]).toContain('booted with vdso=0');
    expect(told[1]).toContain('mapped at 0x7000, but the auxiliary vector hides it');
    expect(told[2]).toContain('gVisor has a vDSO and a parameter page of its own');
    expect(told[3]).toContain('qemu-user');
    expect(new Set(told).size).toBe(CAUSES.length);
  });
});
