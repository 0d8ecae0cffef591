import { LatchclockError } from '../errors.js';
import type { Addon } from '../native/addon.js';
import { decodePvclock, type PvclockWords } from '../page/pvclock.js';
import type { HostFiles } from './files.js';
import { findKernelMappings, PAGE_SIZE } from './kernel-mappings.js';
import type { ProvedKernelPage } from './kernel-page.js';

/**
 * The hypervisor's clock page for the first CPU, which the kernel maps beside its own: the first page of
 * `[vvar_vclock]` (6.13 and later), the second of `[vvar]` before (the clock data then starts 128 bytes in).
 *
 * @throws LatchclockError `ERR_MEMORY_FAULT` where the kernel keeps no such clock, `ERR_NO_KERNEL_PAGE` where
 *   there is no place for it, `ERR_BAD_PAGE` if it was never filled
 */
export function readPvclockPage(addon: Addon, files: HostFiles, proved: ProvedKernelPage): PvclockWords {
  const { pages } = findKernelMappings(addon, files);
  const isOld = proved.layout.main.seq >= 128;
  const place = pages.find(({ region, index }) =>
    isOld ? region === '[vvar]' && index === 1 : region === '[vvar_vclock]' && index === 0,
  );
  if (place === undefined) {
    throw new LatchclockError('ERR_NO_KERNEL_PAGE', 'the kernel maps no page for a paravirtual clock', {
      where: '/proc/self/maps',
    });
  }
  return decodePvclock(addon.copyMemory(place.address, PAGE_SIZE));
}
