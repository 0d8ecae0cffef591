import { isLatchclockError, LatchclockError } from '../errors.js';
import type { Addon } from '../native/addon.js';
import { parseVdsoElf, type VdsoElf } from './elf.js';
import type { HostFiles } from './files.js';
import { findKernelMappings, PAGE_SIZE } from './kernel-mappings.js';
import { noVdsoSentence, presenceCause, presenceRemedy, readPresenceFacts } from './vdso-presence.js';

/** The vDSO as it is mapped in this process. */
export interface VdsoImage {
  base: bigint;
  /** Bytes of the mapping: by the map of the process, else by the image's own program headers. */
  size: number;
  elf: VdsoElf;
}

/**
 * Copies and parses this process's vDSO.
 *
 * @throws LatchclockError `ERR_NO_VDSO` if there is none, `ERR_BAD_ELF` if it is malformed
 */
export function readVdso(addon: Addon, files: HostFiles): VdsoImage {
  const base = addon.vdsoBase();
  if (base === null) {
    const cause = presenceCause(readPresenceFacts(addon, files));
    throw new LatchclockError('ERR_NO_VDSO', noVdsoSentence(cause), {
      where: 'auxiliary vector, AT_SYSINFO_EHDR',
      todo: presenceRemedy(cause),
    });
  }
  const end = findKernelMappings(addon, files).vdso?.end ?? null;
  if (end !== null) {
    const size = Number(end - base);
    return { base, size, elf: parseVdsoElf(addon.copyMemory(base, size)) };
  }
  return growUntilWhole(addon, base);
}

const MOST_PAGES = 16;

/** `pages` pages from `base`. Past the first, memory that is not there says that the image's headers are wrong. */
function copyPages(addon: Addon, base: bigint, pages: number): Uint8Array {
  try {
    return addon.copyMemory(base, pages * PAGE_SIZE);
  } catch (cause) {
    if (pages === 1 || !isLatchclockError(cause, 'ERR_MEMORY_FAULT')) throw cause;
    throw new LatchclockError('ERR_BAD_ELF', 'the vDSO is shorter than its headers say', {
      where: `${pages - 1} pages are mapped`,
      cause,
    });
  }
}

/** Without a map of the process: takes page after page until the image is as long as its own headers say. */
function growUntilWhole(addon: Addon, base: bigint): VdsoImage {
  for (let pages = 1; ; pages++) {
    const size = pages * PAGE_SIZE;
    const image = copyPages(addon, base, pages);
    try {
      const elf = parseVdsoElf(image);
      if (elf.loadSize <= size) return { base, size, elf };
    } catch (error) {
      if (!isLatchclockError(error, 'ERR_BAD_ELF') || pages === MOST_PAGES) throw error;
    }
  }
}
