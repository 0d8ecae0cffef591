import type { Addon } from '../native/addon.js';

/** What CPUID says of the counter and of who runs this machine. */
export interface CounterFacts {
  cpuVendor: string;
  cpuModel: string;
  /** Leaf 0x80000007: the counter runs at one rate in all power states. */
  invariant: boolean;
  rdtscp: boolean;
  /** The CPU has the TSC_ADJUST register (leaf 7). */
  tscAdjust: boolean;
  /** Leaf 0x15, crystal * numerator / denominator, Hz, rounded down; null where a part is not given. */
  crystalHz: bigint | null;
  /** Leaf 0x16: the base frequency in MHz, a marketing figure; null where it is not given. */
  baseMhz: number | null;
  /** Null on bare metal, else its name, or the signature where the name is not known. */
  hypervisor: string | null;
  /** Leaf 0x40000010: the counter's frequency as the hypervisor gives it, kHz. */
  hypervisorTscKhz: number | null;
}

const HYPERVISORS: Readonly<Record<string, string>> = {
  KVMKVMKVM: 'KVM',
  'Linux KVM Hv': 'KVM (Hyper-V enlightened)',
  'Microsoft Hv': 'Hyper-V',
  VMwareVMware: 'VMware',
  XenVMMXenVMM: 'Xen',
  TCGTCGTCGTCG: 'QEMU TCG',
  'bhyve bhyve ': 'bhyve',
  ACRNACRNACRN: 'ACRN',
  ' lrpepyh  vr': 'Parallels',
  VBoxVBoxVBox: 'VirtualBox',
};

interface Registers {
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

function asciiOf(...registers: number[]): string {
  return Buffer.from(new Uint32Array(registers).buffer).toString('latin1').replaceAll('\0', '');
}

function bit(register: number, index: number): boolean {
  return ((register >>> index) & 1) === 1;
}

/**
 * Reads the facts off CPUID (Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E; the hypervisor leaves as
 * the Linux kernel documents them for KVM and VMware).
 *
 * @throws LatchclockError `ERR_COUNTER_UNSUPPORTED` where CPUID traps in this thread
 */
export function readCounterFacts(addon: Pick<Addon, 'cpuid'>): CounterFacts {
  const leaf = (number: number): Registers => {
    const [eax = 0, ebx = 0, ecx = 0, edx = 0] = addon.cpuid(number, 0);
    return { eax, ebx, ecx, edx };
  };
  const basic = leaf(0);
  const highest = basic.eax;
  const highestExtended = leaf(0x8000_0000).eax;
  const extended = highestExtended >= 0x8000_0001 ? leaf(0x8000_0001).edx : 0;
  const power = highestExtended >= 0x8000_0007 ? leaf(0x8000_0007).edx : 0;
  const brand = [0x8000_0002, 0x8000_0003, 0x8000_0004]
    .filter((number) => highestExtended >= number)
    .map((number) => {
      const { eax, ebx, ecx, edx } = leaf(number);
      return asciiOf(eax, ebx, ecx, edx);
    });

  let crystalHz: bigint | null = null;
  if (highest >= 0x15) {
    const { eax: denominator, ebx: numerator, ecx: crystal } = leaf(0x15);
    if (denominator > 0 && numerator > 0 && crystal > 0) {
      crystalHz = (BigInt(crystal) * BigInt(numerator)) / BigInt(denominator);
    }
  }
  const baseMhz = highest >= 0x16 ? leaf(0x16).eax & 0xffff : 0;

  let hypervisor: string | null = null;
  let hypervisorTscKhz: number | null = null;
  if (bit(leaf(1).ecx, 31)) {
    const { eax: highestHypervisor, ebx, ecx, edx } = leaf(0x4000_0000);
    const signature = asciiOf(ebx, ecx, edx);
    hypervisor = HYPERVISORS[signature] ?? (signature === '' ? 'unknown' : signature);
    // KVM answers 0 for "highest" on old versions: then there is no such leaf.
    const khz = highestHypervisor >= 0x4000_0010 ? leaf(0x4000_0010).eax : 0;
    hypervisorTscKhz = khz === 0 ? null : khz;
  }
  return {
    cpuVendor: asciiOf(basic.ebx, basic.edx, basic.ecx),
    cpuModel: brand.join('').trim(),
    invariant: bit(power, 8),
    rdtscp: bit(extended, 27),
    tscAdjust: highest >= 7 && bit(leaf(7).ebx, 1),
    crystalHz,
    baseMhz: baseMhz === 0 ? null : baseMhz,
    hypervisor,
    hypervisorTscKhz,
  };
}
