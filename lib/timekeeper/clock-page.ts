import { closeSync } from 'node:fs';
import { resolve } from 'node:path';
import { aListOf, anInteger, anObject, aPath, checkArgument, either, oneOf, optional } from '../arguments.js';
import {
  createMemfdPage,
  createPageFile,
  type OpenClockPage,
  openPageDescriptor,
  openPageFile,
} from '../host/clock-page-memory.js';
import { thisMachine } from '../host/machine.js';
import { openPageClock, type PageClockHandle, type PageClockOptions } from '../host/page-clock.js';
import {
  openPageSet,
  type PageSet,
  type PageSetHandle,
  type PageSetOptions,
} from '../host/page-clock-set.js';
import { type ClockPageHeader, OWN_CLOCKS, type OwnClockName } from '../page/clock-page.js';

/** How to make a page. */
export interface ClockPageOptions {
  /** How readers take a copy, hence who waits at a corner (default `two-window`: nobody). See docs/timekeeper.md. */
  protocol?: ClockPageHeader['protocol'];
  /** Default: all. */
  clocks?: readonly OwnClockName[];
  /**
   * Whether the page has a generation, which whoever moves the counter (a restored guest's host) changes: readers then
   * refuse until the timekeeper has published anew. Default `none`: migration is not detected.
   */
  generation?: 'none' | 'page';
}

/** How to read a clock of a page. */
export interface OwnClockOptions extends Omit<PageClockOptions, 'files'> {}

const WRITTEN: readonly ClockPageHeader['protocol'][] = ['seqlock', 'latch', 'two-window'];
const GENERATIONS = ['none', 'page'] as const;
const someOptions = anObject({
  protocol: optional(oneOf(WRITTEN)),
  clocks: optional(aListOf(oneOf(OWN_CLOCKS), 'a list of clocks')),
  generation: optional(oneOf(GENERATIONS)),
});

const aPlace = either(aPath, anInteger(0, 2 ** 31 - 1), 'the path of a page, or a file descriptor');

function headerOf(options: ClockPageOptions): ClockPageHeader {
  checkArgument('ClockPage.create', 'options', options, someOptions);
  const { protocol = 'two-window', clocks = OWN_CLOCKS, generation = 'none' } = options;
  return {
    counter: 'tsc',
    protocol,
    generationSource: generation,
    arithmetic: 'wide',
    clocks: OWN_CLOCKS.filter((clock) => clocks.includes(clock)),
  };
}

/** Descriptors of pages in memory that nobody has closed, nor ever will. */
const forgotten = new FinalizationRegistry<number>((fileDescriptor) => closeSync(fileDescriptor));

/**
 * A clock page of ours, mapped for reading: in a file, for any process; or in memory, for this process, its worker threads
 * and whoever is handed the descriptor. A {@link Timekeeper} writes it.
 */
export class ClockPage {
  /** Of the file, absolute; null for a page in memory. */
  readonly path: string | null;
  readonly #page: OpenClockPage;
  readonly #fileDescriptor: number;
  readonly #ownsDescriptor: boolean;
  #readAll: PageSetHandle | null = null;
  #isClosed = false;

  private constructor(
    page: OpenClockPage,
    place: { path: string } | { fileDescriptor: number; isOwn: boolean },
  ) {
    this.#page = page;
    this.path = 'path' in place ? place.path : null;
    this.#fileDescriptor = 'path' in place ? -1 : place.fileDescriptor;
    this.#ownsDescriptor = 'isOwn' in place && place.isOwn;
    if (this.#ownsDescriptor) forgotten.register(this, this.#fileDescriptor, this);
  }

  /**
   * Makes a page in which nothing is published yet.
   *
   * @param path a file that is not there, which its owner alone may write (0644 less the umask); without it, in memory
   * @throws LatchclockError `ERR_FILE` where the file is there already or cannot be made, `ERR_BAD_ARGUMENT` for options
   *   that cannot be, `ERR_SYSTEM_CALL` where memory is short, and as {@link openClock} off x86-64 Linux
   */
  static create(path?: string, options: ClockPageOptions = {}): ClockPage {
    checkArgument('ClockPage.create', 'path', path, optional(aPath));
    const header = headerOf(options);
    const { addon } = thisMachine();
    if (path === undefined) {
      const page = createMemfdPage(addon, header);
      return new ClockPage(page, { fileDescriptor: page.fileDescriptor, isOwn: true });
    }
    const whole = resolve(path);
    // What is mapped for reading only, nothing in this process can spoil.
    createPageFile(addon, whole, header).close();
    return ClockPage.open(whole);
  }

  /**
   * Maps a page that is there.
   *
   * @param place its file; or the descriptor of a page in memory, which stays open and the caller's
   * @throws LatchclockError `ERR_FILE` where it cannot be opened, is a symbolic link or no regular file, or could be
   *   written by others than its owner, who must be this user or root; `ERR_BAD_PAGE` where it is no page of this
   *   version; `ERR_BAD_ARGUMENT` for what is neither; and as {@link openClock} off x86-64 Linux
   */
  static open(place: string | number): ClockPage {
    checkArgument('ClockPage.open', 'place', place, aPlace);
    const { addon } = thisMachine();
    if (typeof place === 'number') {
      return new ClockPage(openPageDescriptor(addon, place), { fileDescriptor: place, isOwn: false });
    }
    const path = resolve(place);
    return new ClockPage(openPageFile(addon, path), { path });
  }

  /** Of a page in memory, until it is closed or collected as garbage: keep the page as long as the number. Else -1. */
  get fileDescriptor(): number {
    return this.#isClosed ? -1 : this.#fileDescriptor;
  }

  /** What the page says of itself: protocol, clocks, generation. */
  get header(): ClockPageHeader {
    return this.#page.header;
  }

  /**
   * Opens a clock of the page for fast reading. It can be read after the page was closed, and holds the page's memory until
   * it is closed itself.
   *
   * @throws LatchclockError `ERR_BAD_ARGUMENT` for a clock that the page lacks, or options that do not go with the page;
   *   `ERR_COUNTER_DISABLED` where reading the counter would raise a signal
   */
  clock(id: OwnClockName, options?: OwnClockOptions): PageClockHandle {
    return openPageClock(thisMachine().addon, this.#page, id, options);
  }

  /**
   * All clocks of the page at one reading of the counter, from one copy, with the bound that its writer states.
   *
   * @throws LatchclockError as a clock's `now()`, and as {@link ClockPage.clock}; `ERR_BAD_ARGUMENT` once it is closed
   */
  readAll(): PageSet {
    this.#readAll ??= this.allClocks();
    return this.#readAll.read();
  }

  /**
   * The same as a reader of its own: with options, and with a way that makes no objects.
   *
   * @throws LatchclockError as {@link ClockPage.clock}
   */
  allClocks(options?: PageSetOptions): PageSetHandle {
    return openPageSet(thisMachine().addon, this.#page, options);
  }

  /**
   * Gives the page back at once, or with the last of the clocks that were opened from it and are not closed. The file
   * stays. May be called again.
   */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#readAll?.close();
    this.#readAll = null;
    this.#page.close();
    if (!this.#ownsDescriptor) return;
    forgotten.unregister(this);
    closeSync(this.#fileDescriptor);
  }

  /** As {@link ClockPage.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}
