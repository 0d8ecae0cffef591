import { printable } from './printable.js';

/**
 * The stable codes of {@link LatchclockError}. A code, once released, keeps its meaning.
 *
 * | code | meaning |
 * |---|---|
 * | `ERR_UNSUPPORTED_PLATFORM` | not x86-64 Linux |
 * | `ERR_ADDON_MISSING` | the native addon is not built, or cannot be loaded here |
 * | `ERR_BAD_ARGUMENT` | an argument or option is of the wrong type or range |
 * | `ERR_BAD_ELF` | bytes that should be an ELF image are not, or are cut short |
 * | `ERR_BAD_BTF` | bytes that should be BTF are not, or are cut short, or lack what was asked |
 * | `ERR_BAD_LEAP_TABLE` | a leap-second table is malformed, or its hash does not match |
 * | `ERR_BAD_RECORDING` | a recording of the kernel's page is malformed, cut short, or of another version |
 * | `ERR_BAD_PAGE` | the bytes of a clock page make no sense under the given layout |
 * | `ERR_TOO_MANY_PAGES` | more files of clock pages than can be mapped at once |
 * | `ERR_FILE` | a file or folder cannot be read or written |
 * | `ERR_NO_VDSO` | the process has no vDSO, or the vDSO lacks the symbol |
 * | `ERR_NO_KERNEL_PAGE` | the process has no `[vvar]` page that gives the clock: none at all, or the kernel counts by another clocksource |
 * | `ERR_PAGE_NOT_PROVED` | no known layout of the kernel's page agrees with the clocks |
 * | `ERR_COUNTER_DISABLED` | reading the counter would raise a signal in this thread |
 * | `ERR_COUNTER_UNSUPPORTED` | this CPU lacks the instruction asked for |
 * | `ERR_OUT_OF_WINDOW` | the counter lies outside the segment's window of validity |
 * | `ERR_DISRUPTED` | a page was computed for another generation of the counter: migrated or restored since |
 * | `ERR_RETRIES` | a bounded retry loop ran out before it had a consistent copy |
 * | `ERR_SYSTEM_CALL` | a system call failed; `errno` and `syscall` say which and how |
 * | `ERR_MEMORY_FAULT` | memory that cannot be read was asked for |
 * | `ERR_CANNOT_RUN` | this machine lacks what the command needs |
 * | `ERR_SOURCE` | a timekeeper's source of time cannot be read, stopped, jumped or went back |
 * | `ERR_SCHEDULE` | a scheduled change lies in the past, or does not go together with another |
 * | `ERR_PAGE_TAKEN` | another writer has the clock page |
 * | `ERR_WRITER_DIED` | a timekeeper ended without being asked to |
 */
export type LatchclockErrorCode =
  | 'ERR_UNSUPPORTED_PLATFORM'
  | 'ERR_ADDON_MISSING'
  | 'ERR_BAD_ARGUMENT'
  | 'ERR_BAD_ELF'
  | 'ERR_BAD_BTF'
  | 'ERR_BAD_LEAP_TABLE'
  | 'ERR_BAD_RECORDING'
  | 'ERR_BAD_PAGE'
  | 'ERR_TOO_MANY_PAGES'
  | 'ERR_FILE'
  | 'ERR_NO_VDSO'
  | 'ERR_NO_KERNEL_PAGE'
  | 'ERR_PAGE_NOT_PROVED'
  | 'ERR_COUNTER_DISABLED'
  | 'ERR_COUNTER_UNSUPPORTED'
  | 'ERR_OUT_OF_WINDOW'
  | 'ERR_DISRUPTED'
  | 'ERR_RETRIES'
  | 'ERR_SYSTEM_CALL'
  | 'ERR_MEMORY_FAULT'
  | 'ERR_CANNOT_RUN'
  | 'ERR_SOURCE'
  | 'ERR_SCHEDULE'
  | 'ERR_PAGE_TAKEN'
  | 'ERR_WRITER_DIED';

/** What an error says besides its code and what was wrong. */
export interface LatchclockErrorDetails {
  /** Where it went wrong: a file, an offset, an option, a function. */
  where?: string;
  /** What the caller can do about it, as an imperative clause. */
  todo?: string;
  /** Symbolic errno of a failed system call, such as `EPERM`; `SIGSYS` where it was not made, since a filter kills for it. */
  errno?: string;
  /** Name of the failed system call, such as `clock_gettime`. */
  syscall?: string;
  cause?: unknown;
}

function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return typeof value;
  }
}

/**
 * The one error class of this package: every error that a caller can cause is one of these. `message` is one
 * line: what is wrong, where, and what to do about it.
 */
export class LatchclockError extends Error {
  override readonly name = 'LatchclockError';
  readonly code: LatchclockErrorCode;
  /** What was wrong, without the place and the remedy. */
  readonly what: string;
  readonly where: string | undefined;
  readonly todo: string | undefined;
  readonly errno: string | undefined;
  readonly syscall: string | undefined;

  constructor(code: LatchclockErrorCode, what: string, given: LatchclockErrorDetails = {}) {
    // Who reports an error wrongly must not hide it behind another one.
    const details = (given as LatchclockErrorDetails | null) ?? {};
    const place = details.where === undefined ? '' : ` (${textOf(details.where)})`;
    const remedy = details.todo === undefined ? '' : `; ${textOf(details.todo)}`;
    // One line, also where a part of it is somebody else's text.
    super(
      printable(`${textOf(what)}${place}${remedy}`),
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.code = code;
    this.what = what;
    this.where = details.where;
    this.todo = details.todo;
    this.errno = details.errno;
    this.syscall = details.syscall;
  }
}

/** True if `error` is a {@link LatchclockError}, with one of `codes` if any are given. */
export function isLatchclockError(error: unknown, ...codes: LatchclockErrorCode[]): error is LatchclockError {
  return error instanceof LatchclockError && (codes.length === 0 || codes.includes(error.code));
}
