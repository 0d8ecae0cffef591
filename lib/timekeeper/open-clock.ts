import { anObject, aPath, aValue, checkArgument, either, oneOf, optional } from '../arguments.js';
import { LatchclockError } from '../errors.js';
import type { Clock, OpenClockOptions } from '../host/clock.js';
import { openClock as openKernelClock } from '../host/machine.js';
import type { PageClockHandle } from '../host/page-clock.js';
import { ReadingSource } from '../native/addon.js';
import { OWN_CLOCKS, type OwnClockName } from '../page/clock-page.js';
import { CLOCK_IDS, CLOCK_NAMES, type ClockName } from '../page/posix-clocks.js';
import { ClockPage, type OwnClockOptions } from './clock-page.js';

const aPage = either(
  aPath,
  aValue((page) => page instanceof ClockPage, ''),
  'a ClockPage, or its path',
);

const someOptions = anObject({ page: optional(aPage), path: optional(oneOf(Object.keys(ReadingSource))) });

/** How to open a clock of a page of ours. */
export interface OpenPageClockOptions extends OwnClockOptions {
  /** The page, or its file. */
  page: ClockPage | string;
}

function bad(what: string, todo: string): LatchclockError {
  return new LatchclockError('ERR_BAD_ARGUMENT', what, { where: 'openClock', todo });
}

/**
 * Opens a clock of a page of ours for fast reading. A page that is given by its file is mapped until the clock is closed, or
 * collected as garbage.
 *
 * @throws LatchclockError as {@link ClockPage.open} and {@link ClockPage.clock}
 */
export function openClock(id: OwnClockName, options: OpenPageClockOptions): PageClockHandle;
/**
 * Opens a POSIX clock of this machine for fast reading.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for an unknown clock or path, `ERR_SYSTEM_CALL` for a clock that the
 *   kernel does not have, `ERR_NO_VDSO`, `ERR_NO_KERNEL_PAGE`, `ERR_PAGE_NOT_PROVED` or `ERR_COUNTER_DISABLED` where
 *   the path asked for cannot be used, `ERR_UNSUPPORTED_PLATFORM` off x86-64 Linux, `ERR_ADDON_MISSING` where the
 *   addon is not built
 */
export function openClock(id: ClockName, options?: OpenClockOptions): Clock;
export function openClock(
  id: OwnClockName | ClockName,
  options: OpenClockOptions | OpenPageClockOptions = {},
): Clock | PageClockHandle {
  checkArgument('openClock', 'options', options, someOptions);
  if ('page' in options && options.page !== undefined) {
    const { page, ...rest } = options;
    if ('path' in rest && rest.path !== undefined) {
      throw bad("'path' says how to read a clock of the kernel", 'leave it out, or leave out the page');
    }
    if (page instanceof ClockPage) return page.clock(id as OwnClockName, rest);
    const opened = ClockPage.open(page);
    try {
      return opened.clock(id as OwnClockName, rest);
    } finally {
      opened.close();
    }
  }
  checkArgument('openClock', 'the clock', id, oneOf([...CLOCK_NAMES, ...OWN_CLOCKS]));
  if (!Object.hasOwn(CLOCK_IDS, id) && OWN_CLOCKS.some((clock) => clock === id)) {
    throw bad(
      `the kernel has no clock ${id}: it is a clock of our own pages`,
      'give { page }, which a Timekeeper writes',
    );
  }
  return openKernelClock(id as ClockName, options as OpenClockOptions);
}
