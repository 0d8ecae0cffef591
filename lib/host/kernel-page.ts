import { isLatchclockError, LatchclockError } from '../errors.js';
import type { Addon, PageClock } from '../native/addon.js';
import {
  basetimeOffsets,
  clockOffsets,
  type KernelPageLayout,
  KNOWN_LAYOUTS,
  layoutBytes,
} from '../page/kernel-layout.js';
import {
  ClockMode,
  decodeKernelPage,
  decodeNamespaceOffsets,
  type KernelPageSnapshot,
  NO_NAMESPACE,
} from '../page/kernel-page.js';
import { isCoarse, type PageClockName } from '../page/posix-clocks.js';
import { type Btf, openBtf } from './btf.js';
import { layoutsFromBtf } from './btf-layout.js';
import type { HostFiles } from './files.js';
import { findKernelMappings, type KernelPage, PAGE_SIZE } from './kernel-mappings.js';
import { type LayoutProof, proveLayout } from './prove-layout.js';
import { readVdso } from './vdso.js';
import { noPagesSentence, presenceCause, presenceRemedy, readPresenceFacts } from './vdso-presence.js';

export const BTF_PATH = '/sys/kernel/btf/vmlinux';
const MOST_BTF_BYTES = 64 << 20;

/** The kernel's clock page, found and proved: the layout, where it lies, and what else was tried. */
export interface ProvedKernelPage {
  layout: KernelPageLayout;
  proof: LayoutProof;
  /** The page with the clock data: in a time namespace not the first. */
  page: KernelPage;
  inTimeNamespace: boolean;
  namespaceNs: KernelPageSnapshot['namespaceNs'];
  /** Layouts that were refused, each with the reason. */
  refused: { layout: string; page: string; reason: string }[];
  /** Why the kernel's BTF gave no layout; null if it did. */
  btfProblem: LatchclockError | null;
}

/** The kernel's own type information. Throws `ERR_FILE`, `ERR_BAD_BTF`. */
export function readKernelBtf(files: HostFiles): Btf {
  return openBtf(files.read(BTF_PATH, MOST_BTF_BYTES));
}

function btfLayouts(files: HostFiles): { layouts: KernelPageLayout[]; problem: LatchclockError | null } {
  try {
    return { layouts: layoutsFromBtf(readKernelBtf(files)), problem: null };
  } catch (error) {
    if (isLatchclockError(error)) return { layouts: [], problem: error };
    throw error;
  }
}

/** A page and, if the first page belongs to a time namespace, the offsets from there. */
interface Candidate {
  page: KernelPage;
  namespaceNs: KernelPageSnapshot['namespaceNs'];
  inTimeNamespace: boolean;
}

function copyOrNull(addon: Addon, page: KernelPage): Uint8Array | null {
  try {
    return addon.copyMemory(page.address, PAGE_SIZE);
  } catch (error) {
    if (isLatchclockError(error, 'ERR_MEMORY_FAULT')) return null;
    throw error;
  }
}

/** Pages that may hold the clock data under `layout`, the likeliest first. */
function candidates(addon: Addon, pages: readonly KernelPage[], layout: KernelPageLayout): Candidate[] {
  const found: Candidate[] = [];
  for (const first of pages) {
    // Where regions have names the clock data begins with the first page of [vvar].
    if (first.region !== 'unnamed' && (first.region !== '[vvar]' || first.index !== 0)) continue;
    const bytes = copyOrNull(addon, first);
    if (bytes === null) continue;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (view.getUint32(layout.main.mode, true) !== ClockMode.timens) {
      found.push({ page: first, namespaceNs: NO_NAMESPACE, inTimeNamespace: false });
      continue;
    }
    // In a time namespace the first page has count 1 and this mode for ever, with offsets for base times; the
    // real page is the second of [vvar] on 6.13 and later, the fourth before.
    const namespaceNs = decodeNamespaceOffsets(bytes, layout);
    const others = pages.filter((page) => page.region === first.region && page.address > first.address);
    for (const page of others) {
      if (copyOrNull(addon, page) !== null) found.push({ page, namespaceNs, inTimeNamespace: true });
    }
  }
  return found;
}

/** The vDSO's own address of its first byte; null where there is no image to look at. */
function prelinkedAt(addon: Addon, files: HostFiles): bigint | null {
  try {
    return readVdso(addon, files).elf.prelinkedAt;
  } catch (error) {
    if (isLatchclockError(error)) return null;
    throw error;
  }
}

/** What lets a page be read of which no layout agrees with the clocks. */
function layoutRemedy(btfProblem: LatchclockError | null): string {
  // Only a file that cannot be read becomes better by being made readable.
  if (btfProblem?.code === 'ERR_FILE') return `make ${BTF_PATH} readable (CONFIG_DEBUG_INFO_BTF)`;
  return btfProblem === null
    ? `report this kernel: the layout in ${BTF_PATH} does not give its clocks, or the file is another kernel's`
    : `report this kernel: ${BTF_PATH} is there, but ${btfProblem.what}`;
}

/**
 * Finds the kernel's clock page and proves how to read it: by the layouts that its BTF allows, else by those of
 * the table; each is held against the clocks before it is believed.
 *
 * @throws LatchclockError `ERR_NO_KERNEL_PAGE` if the process has no such page, `ERR_PAGE_NOT_PROVED` if no
 *   layout agrees with the clocks (each attempt is in the cause)
 */
export function findKernelPage(addon: Addon, files: HostFiles): ProvedKernelPage {
  const { pages } = findKernelMappings(addon, files);
  if (pages.length === 0) {
    const cause = presenceCause(readPresenceFacts(addon, files, prelinkedAt(addon, files)));
    throw new LatchclockError('ERR_NO_KERNEL_PAGE', noPagesSentence(cause), {
      where: '/proc/self/maps',
      todo: presenceRemedy(cause),
    });
  }
  const { layouts: fromBtf, problem: btfProblem } = btfLayouts(files);
  const refused: ProvedKernelPage['refused'] = [];
  for (const layout of [...fromBtf, ...KNOWN_LAYOUTS]) {
    // BTF is input: a layout from it can reach beyond the page, and then has no place to be tried at.
    if (layoutBytes(layout) > PAGE_SIZE) {
      refused.push({ layout: layout.name, page: 'any', reason: 'its words lie beyond the page' });
      continue;
    }
    for (const { page, namespaceNs, inTimeNamespace } of candidates(addon, pages, layout)) {
      try {
        const proof = proveLayout(addon, page.address, layout, namespaceNs);
        return { layout, proof, page, inTimeNamespace, namespaceNs, refused, btfProblem };
      } catch (error) {
        if (!isLatchclockError(error, 'ERR_PAGE_NOT_PROVED', 'ERR_BAD_PAGE', 'ERR_MEMORY_FAULT')) throw error;
        refused.push({ layout: layout.name, page: `${page.region} ${page.index}`, reason: error.what });
      }
    }
  }
  throw new LatchclockError(
    'ERR_PAGE_NOT_PROVED',
    "no known layout of the kernel's page agrees with the clocks",
    {
      where: `tried ${refused.length === 0 ? 'none: no page can be read' : [...new Set(refused.map((r) => r.layout))].join(', ')}`,
      todo: layoutRemedy(btfProblem),
      cause: refused,
    },
  );
}

const MOST_SNAPSHOT_ATTEMPTS = 10_000;

/**
 * One consistent snapshot of a proved page, by copies until two in a row are equal and the counts even.
 *
 * @throws LatchclockError `ERR_RETRIES` if the page never stood still
 */
export function readKernelPage(addon: Addon, proved: ProvedKernelPage): KernelPageSnapshot {
  let previous = addon.copyMemory(proved.page.address, PAGE_SIZE);
  for (let attempt = 0; attempt < MOST_SNAPSHOT_ATTEMPTS; attempt++) {
    const bytes = addon.copyMemory(proved.page.address, PAGE_SIZE);
    if (Buffer.compare(previous, bytes) === 0) {
      const snapshot = decodeKernelPage(bytes, proved.layout, proved.namespaceNs);
      if ((snapshot.main.seq & 1) === 0 && (snapshot.raw.seq & 1) === 0) return snapshot;
    }
    previous = bytes;
  }
  throw new LatchclockError('ERR_RETRIES', 'the page never stood still', {
    where: `${proved.page.region} page ${proved.page.index}`,
  });
}

/** Where the native reader finds `clock` in a proved page. */
export function pageClock(proved: ProvedKernelPage, clock: PageClockName): PageClock {
  const { seq, mode, cycleLast, maxCycles, mult, shift } = clockOffsets(proved.layout, clock);
  const { seconds, nanoseconds } = basetimeOffsets(proved.layout, clock);
  return {
    address: proved.page.address,
    seq,
    mode,
    cycleLast,
    maxCycles,
    mult,
    shift,
    seconds,
    nanoseconds,
    coarse: isCoarse(clock),
    namespaceNs: proved.namespaceNs[clock],
  };
}
