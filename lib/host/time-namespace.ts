import { toNs } from '../units.js';
import { type HostFiles, readTextOrNull } from './files.js';

/** Offsets of a time namespace on the initial one, nanoseconds. */
export interface TimeNamespaceOffsets {
  monotonicNs: bigint;
  boottimeNs: bigint;
}

/** What `/proc` says of the process's time namespace. */
export interface TimeNamespaceFacts {
  /** Inode of the namespace; null where the kernel has no time namespaces, or `/proc` does not tell. */
  inode: bigint | null;
  /** False in the initial namespace; null where it is not told. */
  inTimeNamespace: boolean | null;
  /** Offsets of the process's own namespace; null where they are not told. */
  offsets: TimeNamespaceOffsets | null;
  /**
   * Offsets of the namespace that children of the process will live in, where that is not known to be its own
   * (`unshare(CLONE_NEWTIME)` makes one and leaves the caller where it is); else null.
   */
  childrenOffsets: TimeNamespaceOffsets | null;
}

// PROC_TIME_INIT_INO (include/linux/proc_ns.h)
const INITIAL_INODE = 0xefff_fffan;

function parseOffset(text: string, clock: string): bigint | null {
  const match = new RegExp(`^${clock}\\s+(-?\\d+)\\s+(\\d+)$`, 'm').exec(text);
  if (match?.[1] === undefined || match[2] === undefined) return null;
  return toNs(BigInt(match[1]), BigInt(match[2]));
}

function readInode(files: HostFiles, link: string): bigint | null {
  let target: string;
  try {
    target = files.readLink(link);
  } catch {
    return null;
  }
  const digits = /^time:\[(\d+)\]$/.exec(target)?.[1];
  return digits === undefined ? null : BigInt(digits);
}

export function readTimeNamespaceFacts(files: HostFiles): TimeNamespaceFacts {
  const inode = readInode(files, '/proc/self/ns/time');
  const text = readTextOrNull(files, '/proc/self/timens_offsets') ?? '';
  const monotonicNs = parseOffset(text, 'monotonic');
  const boottimeNs = parseOffset(text, 'boottime');
  const told = monotonicNs === null || boottimeNs === null ? null : { monotonicNs, boottimeNs };
  // The file tells the offsets of the namespace for children (proc_timens_show_offsets in kernel/time/namespace.c).
  const isOwn = inode !== null && inode === readInode(files, '/proc/self/ns/time_for_children');
  return {
    inode,
    inTimeNamespace: inode === null ? null : inode !== INITIAL_INODE,
    offsets: isOwn ? told : null,
    childrenOffsets: isOwn ? null : told,
  };
}
