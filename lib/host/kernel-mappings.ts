import type { Addon } from '../native/addon.js';
import { type HostFiles, readTextOrNull } from './files.js';

export const PAGE_SIZE = 4096;

/** A page that the kernel maps below the vDSO. */
export interface KernelPage {
  /** `[vvar]` or `[vvar_vclock]`; `unnamed` where the map of the process cannot be read. */
  region: string;
  /** Which page of its region, from 0. */
  index: number;
  address: bigint;
}

export interface KernelMappings {
  /** Null where the process has no vDSO. */
  vdso: { start: bigint; end: bigint | null } | null;
  pages: KernelPage[];
  source: '/proc/self/maps' | 'auxv';
}

// The vDSO comes last: a map cut short has none. 65,530 mappings (vm.max_map_count) of 100 bytes and more.
const MOST_MAPS_BYTES = 64 << 20;
const MAPS_LINE = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+\s+(\[\w+\])$/;

// Far above the four pages that any kernel maps in a region: the range is text, and must not decide what is allocated.
const MOST_REGION_PAGES = 16;

/** Where `/proc/PID/maps` of a process says that its vDSO is; null where it has none, or none of that name. */
export function vdsoRangeIn(maps: string): { start: bigint; end: bigint } | null {
  for (const line of maps.split('\n')) {
    const match = MAPS_LINE.exec(line);
    if (match?.[3] === '[vdso]') return { start: BigInt(`0x${match[1]}`), end: BigInt(`0x${match[2]}`) };
  }
  return null;
}

function pagesOf(region: string, start: bigint, end: bigint): KernelPage[] {
  const count = Math.min(Number((end - start) / BigInt(PAGE_SIZE)), MOST_REGION_PAGES);
  return Array.from({ length: count }, (_, index) => ({
    region,
    index,
    address: start + BigInt(index * PAGE_SIZE),
  }));
}

// Enough for every kernel from 5.4 to 7.2: three, four or six pages below the vDSO.
const MOST_UNNAMED_PAGES = 6n;

/**
 * Where the kernel mapped its clock pages and the vDSO: by `/proc/self/maps`, else by the auxiliary vector, with
 * the pages right below the vDSO as candidates.
 */
export function findKernelMappings(addon: Addon, files: HostFiles): KernelMappings {
  const maps = readTextOrNull(files, '/proc/self/maps', MOST_MAPS_BYTES);
  const base = addon.vdsoBase();
  if (maps === null) {
    if (base === null) return { vdso: null, pages: [], source: 'auxv' };
    const start = base - MOST_UNNAMED_PAGES * BigInt(PAGE_SIZE);
    return { vdso: { start: base, end: null }, pages: pagesOf('unnamed', start, base), source: 'auxv' };
  }
  const mappings: KernelMappings = { vdso: null, pages: [], source: '/proc/self/maps' };
  for (const line of maps.split('\n')) {
    const match = MAPS_LINE.exec(line);
    if (match === null) continue;
    const [, startHex, endHex, region] = match as unknown as [string, string, string, string];
    const start = BigInt(`0x${startHex}`);
    const end = BigInt(`0x${endHex}`);
    if (region === '[vdso]') mappings.vdso = { start, end };
    if (region === '[vvar]' || region === '[vvar_vclock]')
      mappings.pages.push(...pagesOf(region, start, end));
  }
  return mappings;
}
