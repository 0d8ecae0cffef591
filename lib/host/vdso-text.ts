import { isLatchclockError } from '../errors.js';
import type { Addon } from '../native/addon.js';
import { parseVdsoElf, type VdsoElf } from './elf.js';
import { type HostFiles, readTextOrNull } from './files.js';
import { findKernelMappings, vdsoRangeIn } from './kernel-mappings.js';
import type { VdsoImage } from './vdso.js';

/** A function of the vDSO whose first instructions are not what a kernel's vDSO begins with. */
export type ForeignEntry = {
  name: string;
  /** What the instructions do, for people: `makes system call 228 at once`. */
  does: string;
};

/** Whether the vDSO's code in this process is the kernel's own. */
export type VdsoText = {
  /** `replaced`: by its first instructions, or by comparison. `not-compared`: nothing speaks against it, or for it. */
  verdict: 'kernels' | 'replaced' | 'not-compared';
  foreign: ForeignEntry[];
  /** What holds the same code: `process 1`, or a file with the functions' first bytes. */
  equalTo: string[];
  differsFrom: string[];
  /** Why nothing was compared with; null where something was. */
  notCompared: string | null;
};

const ENDBR64 = [0xf3, 0x0f, 0x1e, 0xfa];
const SYSCALL = [0x0f, 0x05];

/** Whether `bytes` begins with `wanted` at `at`; null stands for any byte. */
function startsWith(bytes: Uint8Array, at: number, wanted: readonly (number | null)[]): boolean {
  return wanted.every((byte, index) => byte === null || bytes[at + index] === byte);
}

const ANY4 = [null, null, null, null];
const ANY8 = [...ANY4, ...ANY4];
/** Jumps to an address that is no part of the instruction's neighbourhood: no compiler lets a vDSO begin so. */
const FAR_JUMPS: readonly (readonly (number | null)[])[] = [
  // jmp [rip + n]
  [0xff, 0x25, ...ANY4],
  // mov rax, n; jmp rax, and the same by r11 and r10
  [0x48, 0xb8, ...ANY8, 0xff, 0xe0],
  [0x49, 0xbb, ...ANY8, 0x41, 0xff, 0xe3],
  [0x49, 0xba, ...ANY8, 0x41, 0xff, 0xe2],
  // push n; ret
  [0x68, ...ANY4, 0xc3],
];

/** The number of the system call that the code at `at` makes before anything else; null if it does not. */
function immediateSystemCall(bytes: Uint8Array, at: number): number | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // mov eax, n; syscall, or mov rax, n; syscall
  if (startsWith(bytes, at, [0xb8, ...ANY4, ...SYSCALL])) return view.getUint32(at + 1, true);
  if (startsWith(bytes, at, [0x48, 0xc7, 0xc0, ...ANY4, ...SYSCALL])) return view.getInt32(at + 3, true);
  return null;
}

/** Where a relative jump at `at` leads, bytes from the image's start; null if there is none. */
function relativeJump(bytes: Uint8Array, at: number): number | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (startsWith(bytes, at, [0xe9, ...ANY4])) return at + 5 + view.getInt32(at + 1, true);
  if (startsWith(bytes, at, [0xeb, null])) return at + 2 + view.getInt8(at + 1);
  return null;
}

/** What the instructions at `at` do that a kernel's vDSO does not begin with; null if nothing. */
function foreignBeginning(bytes: Uint8Array, at: number, elf: VdsoElf, makesCalls: boolean): string | null {
  const start = startsWith(bytes, at, ENDBR64) ? at + ENDBR64.length : at;
  if (start + 16 > bytes.length) return null;
  const systemCall = immediateSystemCall(bytes, start);
  if (systemCall !== null) return makesCalls ? null : `makes system call ${systemCall} at once`;
  // int3, or ud2
  if (startsWith(bytes, start, [0xcc]) || startsWith(bytes, start, [0x0f, 0x0b])) {
    return 'stops at a breakpoint';
  }
  if (startsWith(bytes, start, [0xc3])) return 'returns at once';
  const target = relativeJump(bytes, start);
  const { textRange } = elf;
  const leaves =
    target !== null && textRange !== null && (target < textRange.start || target >= textRange.end);
  if (leaves || FAR_JUMPS.some((jump) => startsWith(bytes, start, jump))) {
    return "jumps out of the vDSO's code";
  }
  return null;
}

/** The functions that the vDSO exports, each once: `__vdso_time` and `time` are one. */
function exportedFunctions(elf: VdsoElf): { name: string; address: number }[] {
  const byAddress = new Map<number, string>();
  for (const { name, type, defined, address } of elf.symbols) {
    if (type !== 'function' || !defined) continue;
    const known = byAddress.get(address);
    if (known === undefined || name.startsWith('__vdso_')) byAddress.set(address, name);
  }
  return [...byAddress].map(([address, name]) => ({ name, address })).sort((a, b) => a.address - b.address);
}

/**
 * The functions of a vDSO image whose first instructions no kernel's vDSO begins with.
 *
 * @param makesCalls true where the kernel's own vDSO makes system calls at once: one without clock pages
 *   (User-mode Linux, sandboxes with a kernel of their own)
 */
export function foreignEntries(image: Uint8Array, elf: VdsoElf, makesCalls = false): ForeignEntry[] {
  return exportedFunctions(elf).flatMap(({ name, address }) => {
    const does = foreignBeginning(image, address, elf, makesCalls);
    return does === null ? [] : [{ name, does }];
  });
}

interface Comparison {
  equalTo: string[];
  differsFrom: string[];
  problem: string;
}

const MOST_PROCESSES = 5_000;
const MOST_WITNESSES = 6;
const MOST_REFUSALS = 8;
const MOST_MAPS_BYTES = 4 << 20;
const MOST_IMAGE_BYTES = 1 << 20;

interface ProcessFacts {
  pid: string;
  parent: string;
  /** The effective user. */
  user: string;
}

function processFacts(files: HostFiles, pid: string): ProcessFacts | null {
  const status = readTextOrNull(files, `/proc/${pid}/status`);
  const fields = [/^Pid:\s+(\d+)/m, /^PPid:\s+(\d+)/m, /^Uid:\s+\d+\s+(\d+)/m].map(
    (field) => field.exec(status ?? '')?.[1],
  );
  const [own, parent, user] = fields;
  return own === undefined || parent === undefined || user === undefined ? null : { pid: own, parent, user };
}

/** The vDSO of another process; null where it has none of this kind. Throws `ERR_FILE` where it may not be read. */
function imageOfProcess(files: HostFiles, pid: string): { bytes: Uint8Array; elf: VdsoElf } | null {
  const maps = Buffer.from(files.read(`/proc/${pid}/maps`, MOST_MAPS_BYTES)).toString('latin1');
  const range = vdsoRangeIn(maps);
  if (range === null || range.end - range.start > BigInt(MOST_IMAGE_BYTES)) return null;
  const bytes = files.readAt(`/proc/${pid}/mem`, range.start, Number(range.end - range.start));
  try {
    return { bytes, elf: parseVdsoElf(bytes) };
  } catch (error) {
    // Another ABI's (32 bits, x32), or one that ended while it was read.
    if (isLatchclockError(error, 'ERR_BAD_ELF')) return null;
    throw error;
  }
}

/**
 * Compares the image with the vDSO of other processes of the same user: every 64-bit process has the same pages from the
 * kernel. The oldest come first, since whatever changed this process's is likely to have changed its relatives' too.
 * One whose own entries are foreign is no witness.
 */
function compareWithProcesses(files: HostFiles, image: Uint8Array): Comparison {
  const comparison: Comparison = {
    equalTo: [],
    differsFrom: [],
    problem: '/proc does not tell of processes',
  };
  const self = processFacts(files, 'self');
  if (self === null) return comparison;
  let pids: string[];
  try {
    pids = files.list('/proc').filter((name) => /^\d+$/.test(name) && name !== self.pid);
  } catch (error) {
    if (isLatchclockError(error, 'ERR_FILE')) return comparison;
    throw error;
  }
  comparison.problem = 'no other process of this user has a vDSO to compare with';
  const ascending = pids.toSorted((a, b) => Number(a) - Number(b));
  const order = [
    ...ascending.filter((pid) => pid === self.parent),
    ...ascending.filter((pid) => pid !== self.parent),
  ];
  let refusals = 0;
  for (const pid of order.slice(0, MOST_PROCESSES)) {
    if (processFacts(files, pid)?.user !== self.user) continue;
    try {
      const other = imageOfProcess(files, pid);
      if (other === null || foreignEntries(other.bytes, other.elf).length > 0) continue;
      const isEqual = Buffer.compare(other.bytes, image) === 0;
      (isEqual ? comparison.equalTo : comparison.differsFrom).push(`process ${pid}`);
    } catch (error) {
      if (!isLatchclockError(error, 'ERR_FILE')) throw error;
      // A process that ended meanwhile is no refusal.
      if (error.errno === 'ENOENT' || error.errno === 'ESRCH') continue;
      refusals++;
      comparison.problem = `the memory of other processes may not be read (${error.errno ?? 'no errno'})`;
    }
    if (comparison.equalTo.length + comparison.differsFrom.length === MOST_WITNESSES) break;
    if (refusals === MOST_REFUSALS) break;
  }
  return comparison;
}

const ENTRY_BYTES = 8;

/**
 * Compares the functions' first bytes with those of the file that some distributions install beside the kernel's
 * modules. Not more: at boot the kernel patches places of the code for the CPU (`.altinstructions`), in getcpu the
 * first ones.
 */
function compareWithFile(files: HostFiles, image: Uint8Array, elf: VdsoElf): Comparison {
  const comparison: Comparison = {
    equalTo: [],
    differsFrom: [],
    problem: 'no copy of the vDSO is installed',
  };
  const release = readTextOrNull(files, '/proc/sys/kernel/osrelease');
  const path = `/lib/modules/${release}/vdso/vdso64.so`;
  let installed: Uint8Array;
  let installedElf: VdsoElf;
  try {
    installed = files.read(path, MOST_IMAGE_BYTES);
    installedElf = parseVdsoElf(installed);
  } catch (error) {
    if (isLatchclockError(error, 'ERR_FILE') || isLatchclockError(error, 'ERR_BAD_ELF')) return comparison;
    throw error;
  }
  if (elf.buildId === null || installedElf.buildId !== elf.buildId) {
    return { ...comparison, problem: `${path} is of another build` };
  }
  const entryOf = (bytes: Uint8Array, address: number): Uint8Array =>
    bytes.subarray(address, address + ENTRY_BYTES);
  const differs = exportedFunctions(elf)
    .filter(({ name }) => !name.endsWith('getcpu'))
    .some(({ address }) => Buffer.compare(entryOf(installed, address), entryOf(image, address)) !== 0);
  (differs ? comparison.differsFrom : comparison.equalTo).push(`${path} (first bytes)`);
  return comparison;
}

/**
 * Holds the vDSO's code in this process against the kernel's own, as far as it can be had: the same pages in other
 * processes of this user (read only, through `/proc`), a copy that the distribution installed, and what the functions
 * begin with. The kernel's build id (`/sys/kernel/notes`) is no help: the vDSO is a program of its own with a build id
 * of its own, which covers what was linked and not what stands in memory.
 */
export function examineVdsoText(addon: Addon, files: HostFiles, { base, size, elf }: VdsoImage): VdsoText {
  const image = addon.copyMemory(base, size);
  const mappings = findKernelMappings(addon, files);
  const foreign = foreignEntries(image, elf, mappings.pages.length === 0);
  const byProcess = compareWithProcesses(files, image);
  const byFile = compareWithFile(files, image, elf);
  const equalTo = [...byProcess.equalTo, ...byFile.equalTo];
  const differsFrom = [...byProcess.differsFrom, ...byFile.differsFrom];
  const isCompared = equalTo.length + differsFrom.length > 0;
  // A process whose vDSO a checkpoint tool moved or patched differs from all others: the greater number tells.
  const isReplaced = foreign.length > 0 || differsFrom.length > equalTo.length;
  return {
    verdict: isReplaced ? 'replaced' : isCompared ? 'kernels' : 'not-compared',
    foreign,
    equalTo,
    differsFrom,
    notCompared: isCompared ? null : `${byProcess.problem}, and ${byFile.problem}`,
  };
}
