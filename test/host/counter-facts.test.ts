import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { LatchclockError } from '../../lib/errors.ts';
import { readCounterFacts } from '../../lib/host/counter-facts.ts';
import { orNull } from '../../lib/host/host.ts';
import { getAddon } from '../../lib/native/load.ts';

type Registers = readonly [eax: number, ebx: number, ecx: number, edx: number];
type Table = Readonly<Record<number, Registers>>;

/** Four characters a register, in the order of the arguments. */
function word(text: string): number {
  return Buffer.from(text.padEnd(4, '\0'), 'latin1').readUInt32LE();
}

function brand(text: string): Table {
  const padded = text.padEnd(48, '\0');
  const at = (index: number): number => word(padded.slice(index, index + 4));
  return Object.fromEntries(
    [0, 1, 2].map((part) => {
      const from = 16 * part;
      return [0x8000_0002 + part, [at(from), at(from + 4), at(from + 8), at(from + 12)]];
    }),
  ) as unknown as Table;
}

/** A CPU that answers by a table, and records what it was asked. */
function cpu(table: Table): { cpuid: (leaf: number) => Uint32Array; asked: Set<number> } {
  const asked = new Set<number>();
  return {
    asked,
    cpuid: (leaf) => {
      asked.add(leaf);
      return Uint32Array.from(table[leaf] ?? [0, 0, 0, 0]);
    },
  };
}

const INTEL: Table = {
  0: [0x16, word('Genu'), word('ntel'), word('ineI')],
  1: [0, 0, 0, 0],
  7: [0, 1 << 1, 0, 0],
  0x15: [2, 216, 24_000_000, 0],
  0x16: [0xffff_0a28, 0, 0, 0],
  [0x8000_0000]: [0x8000_0008, 0, 0, 0],
  [0x8000_0001]: [0, 0, 0, 1 << 27],
  ...brand('   Intel(R) Xeon(R) CPU @ 2.60GHz'),
  [0x8000_0007]: [0, 0, 0, 1 << 8],
};

const AMD: Table = {
  0: [0x10, word('Auth'), word('cAMD'), word('enti')],
  1: [0, 0, 0, 0],
  [0x8000_0000]: [0x8000_0021, 0, 0, 0],
  [0x8000_0001]: [0, 0, 0, 1 << 27],
  ...brand('AMD EPYC 9454P 48-Core Processor'),
  [0x8000_0007]: [0, 0, 0, 1 << 8],
};

function underHypervisor(table: Table, signature: string, highest: number, khz = 0): Table {
  const padded = signature.padEnd(12, '\0');
  return {
    ...table,
    1: [0, 0, 0x8000_0000, 0],
    [0x4000_0000]: [highest, word(padded.slice(0, 4)), word(padded.slice(4, 8)), word(padded.slice(8))],
    [0x4000_0010]: [khz, 0, 0, 0],
  };
}

describe('bare metal', () => {
  test('Intel: crystal times ratio, base frequency, TSC_ADJUST', () => {
    expect(readCounterFacts(cpu(INTEL))).toEqual({
      cpuVendor: 'GenuineIntel',
      cpuModel: 'Intel(R) Xeon(R) CPU @ 2.60GHz',
      invariant: true,
      rdtscp: true,
      tscAdjust: true,
      // 24 MHz * 216 / 2
      crystalHz: 2_592_000_000n,
      baseMhz: 2600,
      hypervisor: null,
      hypervisorTscKhz: null,
    });
  });

  test('AMD: neither crystal nor base frequency', () => {
    expect(readCounterFacts(cpu(AMD))).toEqual({
      cpuVendor: 'AuthenticAMD',
      cpuModel: 'AMD EPYC 9454P 48-Core Processor',
      invariant: true,
      rdtscp: true,
      tscAdjust: false,
      crystalHz: null,
      baseMhz: null,
      hypervisor: null,
      hypervisorTscKhz: null,
    });
  });

  test('hypervisor leaves are not asked for', () => {
    const machine = cpu(INTEL);
    readCounterFacts(machine);
    expect([...machine.asked].filter((leaf) => leaf >= 0x4000_0000 && leaf < 0x8000_0000)).toEqual([]);
  });

  test.each([
    ['crystal', [2, 216, 0, 0]],
    ['numerator', [2, 0, 24_000_000, 0]],
    ['denominator', [0, 216, 24_000_000, 0]],
  ] as const)('leaf 0x15 without its %s gives no frequency', (_, leaf) => {
    expect(readCounterFacts(cpu({ ...INTEL, 0x15: leaf })).crystalHz).toBeNull();
  });

  test('the ratio is rounded down and does not overflow 32 bits', () => {
    const facts = readCounterFacts(cpu({ ...INTEL, 0x15: [7, 0xffff_ffff, 0xffff_ffff, 0] }));
    expect(facts.crystalHz).toBe((0xffff_ffffn * 0xffff_ffffn) / 7n);
  });

  test('bits are looked at alone', () => {
    const bare = {
      ...INTEL,
      7: [0, ~2, 0, 0],
      [0x8000_0001]: [0, 0, 0, ~(1 << 27)],
      [0x8000_0007]: [0, 0, 0, ~256],
    };
    const facts = readCounterFacts(cpu(bare as unknown as Table));
    expect(facts).toMatchObject({ tscAdjust: false, rdtscp: false, invariant: false });
  });
});

describe('a CPU that knows few leaves', () => {
  test('is not believed beyond its highest, where Intel answers with another leaf', () => {
    const junk = [0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff] as const;
    const old: Table = {
      0: [6, word('Genu'), word('ntel'), word('ineI')],
      1: [0, 0, 0, 0],
      7: junk,
      0x15: junk,
      0x16: junk,
      [0x8000_0000]: [0x8000_0000, 0, 0, 0],
      [0x8000_0001]: junk,
      [0x8000_0002]: junk,
      [0x8000_0007]: junk,
    };
    expect(readCounterFacts(cpu(old))).toMatchObject({
      cpuModel: '',
      invariant: false,
      rdtscp: false,
      tscAdjust: false,
      crystalHz: null,
      baseMhz: null,
    });
  });

  test.each([
    [6, false, null, null],
    [7, true, null, null],
    [0x14, true, null, null],
    [0x15, true, 2_592_000_000n, null],
    [0x16, true, 2_592_000_000n, 2600],
  ])('highest leaf %i: what lies above is not there', (highest, tscAdjust, crystalHz, baseMhz) => {
    const [, ebx, ecx, edx] = INTEL[0] as Registers;
    const facts = readCounterFacts(cpu({ ...INTEL, 0: [highest, ebx, ecx, edx] }));
    expect(facts).toMatchObject({ tscAdjust, crystalHz, baseMhz });
  });

  test.each([
    [0x8000_0006, false],
    [0x8000_0007, true],
  ])('highest extended leaf %i: invariant %s', (highest, invariant) => {
    expect(readCounterFacts(cpu({ ...INTEL, [0x8000_0000]: [highest, 0, 0, 0] })).invariant).toBe(invariant);
  });
});

describe('under a hypervisor', () => {
  test.each([
    ['KVMKVMKVM', 'KVM'],
    ['Microsoft Hv', 'Hyper-V'],
    ['VMwareVMware', 'VMware'],
    ['XenVMMXenVMM', 'Xen'],
    ['TCGTCGTCGTCG', 'QEMU TCG'],
    ['Linux KVM Hv', 'KVM (Hyper-V enlightened)'],
    ['bhyve bhyve ', 'bhyve'],
    ['SomebodyElse', 'SomebodyElse'],
    ['', 'unknown'],
  ])('the signature "%s" is %s', (signature, name) => {
    expect(readCounterFacts(cpu(underHypervisor(INTEL, signature, 0x4000_0001))).hypervisor).toBe(name);
  });

  test('VMware tells the frequency in leaf 0x40000010, kHz', () => {
    const facts = readCounterFacts(cpu(underHypervisor(INTEL, 'VMwareVMware', 0x4000_0010, 2_596_144)));
    expect(facts.hypervisorTscKhz).toBe(2_596_144);
  });

  test.each([0, 0x4000_0001, 0x4000_000f])('a highest hypervisor leaf of %i has no frequency', (highest) => {
    expect(readCounterFacts(cpu(underHypervisor(AMD, 'KVMKVMKVM', highest, 77))).hypervisorTscKhz).toBeNull();
  });

  test('a frequency of zero is none', () => {
    const facts = readCounterFacts(cpu(underHypervisor(AMD, 'KVMKVMKVM', 0x4000_0010, 0)));
    expect(facts.hypervisorTscKhz).toBeNull();
  });
});

test('where CPUID traps the error goes on to the caller', () => {
  const cpuid = (): never => {
    throw new LatchclockError('ERR_COUNTER_UNSUPPORTED', 'CPUID traps');
  };
  expect(() => readCounterFacts({ cpuid })).toThrow(
    expect.objectContaining({ code: 'ERR_COUNTER_UNSUPPORTED' }),
  );
});

const real = orNull(() => readCounterFacts(getAddon()));
const cpuinfo = readFileSync('/proc/cpuinfo', 'utf8');
const field = (name: string): string => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(cpuinfo)?.[1] ?? '';

test.skipIf(real === null)(
  real === null
    ? 'this CPU is as /proc/cpuinfo has it (skipped: CPUID traps in this process)'
    : 'this CPU is as /proc/cpuinfo has it',
  () => {
    const flags = field('flags').split(' ');
    expect(real).toMatchObject({
      cpuVendor: field('vendor_id'),
      cpuModel: field('model name'),
      rdtscp: flags.includes('rdtscp'),
      tscAdjust: flags.includes('tsc_adjust'),
    });
    expect(real?.hypervisor !== null).toBe(flags.includes('hypervisor'));
    if (flags.includes('nonstop_tsc')) expect(real?.invariant).toBe(true);
  },
);
