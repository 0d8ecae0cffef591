import { isLatchclockError } from '../errors.js';
import type { Addon } from '../native/addon.js';
import { type CounterFacts, readCounterFacts } from './counter-facts.js';
import { type HostFiles, readTextOrNull } from './files.js';
import { findKernelMappings } from './kernel-mappings.js';

/** What a process is told of its vDSO and of who runs it, by all who tell. Null: not told. */
export interface PresenceFacts {
  /** AT_SYSINFO_EHDR of the auxiliary vector; null where it is not there. */
  readonly auxvBase: bigint | null;
  /** `/proc/self/maps`: where `[vdso]` is, if it is there; null where the map cannot be read. */
  readonly maps: { readonly vdso: bigint | null } | null;
  /** `/proc/cmdline`. */
  readonly cmdline: string | null;
  /** `/proc/cpuinfo`. */
  readonly cpuinfo: string | null;
  /** By CPUID: the processor's brand, and who runs the machine. */
  readonly cpu: { readonly brand: string; readonly hypervisor: string | null } | null;
  /** The image's own address of its first byte, which a kernel's has at 0. */
  readonly prelinkedAt: bigint | null;
}

/** Why a process has no vDSO that it may use, or no clock page of the kernel's. */
export type PresenceCause =
  /** The kernel was told to map none. */
  | { readonly kind: 'boot-parameter'; readonly parameter: string }
  /** It is mapped, and the auxiliary vector keeps quiet about it: the libc and the linker do not know it. */
  | { readonly kind: 'hidden'; readonly at: bigint }
  /** The kernel is not Linux, and maps a vDSO and pages of its own. */
  | { readonly kind: 'sandbox'; readonly name: 'gVisor' }
  /** An emulator of another processor runs the process, and answers in the kernel's place. */
  | { readonly kind: 'emulator'; readonly name: string }
  /** The kernel was not told to leave it out, and it is not there. */
  | { readonly kind: 'removed' }
  /** Too little is told to say. */
  | { readonly kind: 'unknown' };

const GVISOR_PRELINK = 0xffff_ffff_ff70_0000n;
const GVISOR_CMDLINE = /^BOOT_IMAGE=\S*-gvisor(\s|$)/;

function squeeze(text: string): string {
  return text.trim().replaceAll(/\s+/g, ' ');
}

/**
 * The emulator between this process and its kernel: the processor that CPUID shows is none of those that the kernel has. An
 * emulated *machine* is none: its kernel sees what the process does.
 */
function emulatorOf({ cpu, cpuinfo }: PresenceFacts): string | null {
  if (cpu === null || cpuinfo === null || squeeze(cpu.brand) === '') return null;
  const models = [...cpuinfo.matchAll(/^model name\s*:\s*(.*)$/gm)].map(([, model]) => squeeze(model ?? ''));
  // What the kernel does not name proves nothing, unless it is the kernel of another kind of processor.
  const ofX86 = /^(vendor_id|cpu family)\s*:/m.test(cpuinfo);
  if (ofX86 ? models.length === 0 || models.includes(squeeze(cpu.brand)) : cpuinfo.trim() === '') return null;
  const byQemu = /^QEMU\b/.test(squeeze(cpu.brand)) || cpu.hypervisor === 'QEMU TCG';
  return byQemu ? 'qemu-user' : `an emulator that shows a ${squeeze(cpu.brand)}`;
}

/**
 * Names the cause for which a process has no vDSO, or no `[vvar]` pages, from facts alone. Sound rather than complete: a
 * cause is named only where the facts leave no other.
 */
export function presenceCause(facts: PresenceFacts): PresenceCause {
  const { auxvBase, maps, cmdline, prelinkedAt } = facts;
  if (prelinkedAt === GVISOR_PRELINK || (cmdline !== null && GVISOR_CMDLINE.test(cmdline))) {
    return { kind: 'sandbox', name: 'gVisor' };
  }
  const emulator = emulatorOf(facts);
  if (emulator !== null) return { kind: 'emulator', name: emulator };
  if (auxvBase === null && maps !== null && maps.vdso !== null) return { kind: 'hidden', at: maps.vdso };
  const parameter = cmdline?.split(/\s+/).findLast((word) => /^vdso=/.test(word));
  if (auxvBase === null && parameter !== undefined && Number(parameter.slice(5)) === 0) {
    return { kind: 'boot-parameter', parameter };
  }
  return maps === null || cmdline === null ? { kind: 'unknown' } : { kind: 'removed' };
}

/** What is the case with the vDSO, as a clause. */
export function noVdsoSentence(cause: PresenceCause): string {
  const none = 'the process has no vDSO';
  switch (cause.kind) {
    case 'boot-parameter':
      return `${none}: the kernel was booted with ${cause.parameter}`;
    case 'hidden':
      return `the vDSO is mapped at 0x${cause.at.toString(16)}, but the auxiliary vector hides it`;
    case 'sandbox':
      return `${none}, though ${cause.name} has one of its own`;
    case 'emulator':
      return `${none}: it is run by ${cause.name}, which answers in the kernel's place`;
    case 'removed':
      return `${none}, though the kernel was not booted with vdso=0`;
    case 'unknown':
      return none;
  }
}

/** What is the case with the kernel's clock page, as a clause. */
export function noPagesSentence(cause: PresenceCause): string {
  const none = 'the process has no [vvar] pages';
  switch (cause.kind) {
    case 'boot-parameter':
      return `${none}: the kernel was booted with ${cause.parameter}`;
    case 'sandbox':
      return `${none}: ${cause.name} has a vDSO and a parameter page of its own instead`;
    case 'emulator':
      return `${none}: it is run by ${cause.name}, which answers in the kernel's place`;
    case 'hidden':
    case 'removed':
    case 'unknown':
      return none;
  }
}

/** What to do about it, as an imperative clause. */
export function presenceRemedy(cause: PresenceCause): string {
  switch (cause.kind) {
    case 'boot-parameter':
      return `boot without ${cause.parameter}`;
    case 'hidden':
      return 'start the process without the launcher or tracer that takes it out of the auxiliary vector';
    case 'sandbox':
      return `run outside of ${cause.name}, which keeps clocks of its own and does not show the kernel's page`;
    case 'emulator':
      return 'run a build for this processor, or on an x86-64 machine: under the emulator every clock is its own';
    case 'removed':
      return 'look for what unmapped it: a sandbox, a checkpoint tool, a tracer, or a kernel built without it';
    case 'unknown':
      return 'make /proc readable to this process: /proc/self/maps and /proc/cmdline tell why';
  }
}

/** Reads the facts. `prelinkedAt` is for who has parsed the image. */
export function readPresenceFacts(
  addon: Addon,
  files: HostFiles,
  prelinkedAt: bigint | null = null,
): PresenceFacts {
  const mappings = findKernelMappings(addon, files);
  const cpu = readCpu(addon);
  return {
    auxvBase: addon.vdsoBase(),
    maps: mappings.source === 'auxv' ? null : { vdso: mappings.vdso?.start ?? null },
    cmdline: readTextOrNull(files, '/proc/cmdline'),
    cpuinfo: readTextOrNull(files, '/proc/cpuinfo', MOST_CPUINFO_BYTES),
    cpu: cpu === null ? null : { brand: cpu.cpuModel, hypervisor: cpu.hypervisor },
    prelinkedAt,
  };
}

// About 1.5 KiB a CPU: the models of the first few hundred are enough.
const MOST_CPUINFO_BYTES = 1 << 19;

function readCpu(addon: Addon): CounterFacts | null {
  try {
    return readCounterFacts(addon);
  } catch (error) {
    if (isLatchclockError(error)) return null;
    throw error;
  }
}
