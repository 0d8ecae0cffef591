import { toNs } from '../units.js';
import { type HostFiles, readTextOrNull } from './files.js';

/** What `/proc` says of the process's time namespace. */
export interface TimeNamespaceFacts {
  /** Inode of the namespace; null where the kernel has no time namespaces, or `/proc` does not tell. */
  inode: bigint | null;
  /** False in the initial namespace; null where it is not told. */
  inTimeNamespace: boolean | null;
  /** Offsets as `/proc/self/timens_offsets` gives them, nanoseconds; null where it does not. */
  offsets: { monotonicNs: bigint; boottimeNs: bigint } | null;
}

// PROC_TIME_INIT_INO (include/linux/proc_ns.h)
const INITIAL_INODE = 0xefff_fffan;

function parseOffset(text: string, clock: string): bigint | null {
  const match = new RegExp(`^${clock}\\s+(-?\\d+)\\s+(\\d+)$`, 'm').exec(text);
  if (match?.[1] === undefined || match[2] === undefined) return null;
  return toNs(BigInt(match[1]), BigInt(match[2]));
}

function readInode(files: HostFiles): bigint | null {
  let target: string;
  try {
    target = files.readLink('/proc/self/ns/time');
  } catch {
    return null;
  }
  const digits = /^time:\[(\d+)\]$/.exec(target)?.[1];
  return digits === undefined ? null : BigInt(digits);
}

export function readTimeNamespaceFacts(files: HostFiles): TimeNamespaceFacts {
  const inode = readInode(files);
  const text = readTextOrNull(files, '/proc/self/timens_offsets') ?? '';
  const monotonicNs = parseOffset(text, 'monotonic');
  const boottimeNs = parseOffset(text, 'boottime');
  return {
    inode,
    inTimeNamespace: inode === null ? null : inode !== INITIAL_INODE,
    offsets: monotonicNs === null || boottimeNs === null ? null : { monotonicNs, boottimeNs },
  };
}
