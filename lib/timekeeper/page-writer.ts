import { isLatchclockError, LatchclockError } from '../errors.js';
import type { WritableClockPage } from '../host/clock-page-memory.js';
import { type Addon, ReaderProtocol } from '../native/addon.js';
import {
  CLOCK_PAGE_OFFSETS,
  COPY_OFFSETS,
  COPY_WORDS,
  type CopyImage,
  type CopyNumber,
  decodeClockCopy,
  encodeClockPageHeader,
} from '../page/clock-page.js';
import { condemned, imageOf, standingOf, unpublished, withdrawn } from './image.js';
import type { Standing } from './standing.js';
import type { NamespaceOffsets } from './view.js';

/** Where the words of either copy lie, in words from the page's start, in the order in which they are stored. */
const WORDS_AT = COPY_OFFSETS.map((offsets) => COPY_WORDS.map(({ field }) => offsets[field] / 8));

/**
 * The copy that readers are sent to, or of two the one of the page's generation; if both are, the one that starts later.
 * See `TwoWindowKeep` in native/core.
 */
function keptCopy({ bytes, header }: WritableClockPage): CopyNumber {
  if (header.protocol === 'seqlock') return 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getBigUint64(CLOCK_PAGE_OFFSETS.count, true);
  const first = Number(count & 1n) as CopyNumber;
  if (header.protocol === 'latch' || (count & 2n) !== 0n) return first;
  const other: CopyNumber = first === 0 ? 1 : 0;
  const word = (copy: CopyNumber, field: 'base' | 'tag'): bigint =>
    view.getBigUint64(COPY_OFFSETS[copy][field], true);
  // Where one copy alone is of the generation of now, what the bases say of the other is of another counter.
  if (header.generationSource === 'page' && word(first, 'tag') !== word(other, 'tag')) {
    const generation = view.getBigUint64(CLOCK_PAGE_OFFSETS.generation, true);
    if (word(first, 'tag') === generation) return first;
    if (word(other, 'tag') === generation) return other;
  }
  return BigInt.asIntN(64, word(other, 'base') - word(first, 'base')) > 0n ? other : first;
}

/** One page of a timekeeper, which writes standings to it as the page's protocol wants it. */
export class PageWriter {
  readonly #addon: Addon;
  readonly #page: WritableClockPage;
  readonly #index: number;
  readonly #namespace: NamespaceOffsets;
  readonly #pageWords: BigUint64Array;
  readonly #words = new BigInt64Array(COPY_WORDS.length);
  /** The header as it is in the page, and as it has to be. */
  readonly #header: Uint32Array;
  readonly #rightHeader: Uint32Array;
  /** The copy with what was published last. */
  #latest: CopyNumber;
  #image: CopyImage | null = null;

  /** @param index which of the preferences of a standing is this page's */
  constructor(addon: Addon, page: WritableClockPage, index: number, namespace: NamespaceOffsets) {
    this.#addon = addon;
    this.#page = page;
    this.#index = index;
    this.#namespace = namespace;
    const { buffer, byteOffset, byteLength } = page.bytes;
    this.#pageWords = new BigUint64Array(buffer, byteOffset, byteLength / BigUint64Array.BYTES_PER_ELEMENT);
    this.#rightHeader = new Uint32Array(encodeClockPageHeader(page.header).buffer);
    this.#header = new Uint32Array(buffer, byteOffset, this.#rightHeader.length);
    this.#latest = keptCopy(page);
  }

  /** Whether the readers of a seqlock wait for what is published next. */
  get isHeld(): boolean {
    return this.#page.header.protocol === 'seqlock' && (this.#count() & 1n) === 1n;
  }

  /**
   * What readers got last from another writer, for lines of `shift`; null where that is nothing. On a seqlock whose readers
   * wait it is what was saved before they did.
   *
   * @throws LatchclockError `ERR_BAD_PAGE` where its words make no sense
   */
  found(shift: number): Standing | null {
    return this.#standingIn(this.isHeld ? 1 : this.#latest, shift);
  }

  /** What it had published before that, where readers are offered both; else null. Throws as {@link PageWriter.found}. */
  foundBeside(shift: number): Standing | null {
    const areBoth = this.#page.header.protocol === 'two-window' && (this.#count() & 2n) === 0n;
    return areBoth ? this.#standingIn(this.#latest === 0 ? 1 : 0, shift) : null;
  }

  /** Publishes the standing that holds, with another end. Not for a seqlock, whose readers look at none. */
  revise(standing: Standing): void {
    this.#publish(this.#imageOf(standing), true);
  }

  /**
   * Publishes the standing that comes next. Two windows: beside the one that holds. Else in its place, which is why it is
   * to be called when its base comes: readers of a latch are refused until then, those of a seqlock are to be held.
   */
  offer(standing: Standing): void {
    this.#publish(this.#imageOf(standing), false);
  }

  /** Lets readers of a seqlock wait for what is published next. */
  hold(): void {
    // Odd already after a hold that came too late, or a writer's death: its readers wait on.
    if (this.isHeld) return;
    this.#save();
    Atomics.store(this.#pageWords, CLOCK_PAGE_OFFSETS.count / 8, this.#count() + 1n);
  }

  /** Refuses every reader from now on: for good and as a bad page where that is what it is. */
  withdraw(): void {
    if (this.#image === null) return;
    const isBad = this.#page.memory.isLost() || !this.#hasHeader();
    // A seqlock's readers look at no window: a mult of 0 refuses them.
    const withhold = this.#page.header.protocol === 'seqlock' ? unpublished : withdrawn;
    try {
      this.#publish((isBad ? condemned : withhold)(this.#image), true);
    } catch (error) {
      // That is known, and other pages are still to be withdrawn.
      if (!isLatchclockError(error, 'ERR_BAD_PAGE')) throw error;
    }
  }

  /** Whether the header is as it was. Element by element, for nothing to be allocated. */
  #hasHeader(): boolean {
    for (let at = 0; at < this.#header.length; at++) {
      if (this.#header[at] !== this.#rightHeader[at]) return false;
    }
    return true;
  }

  #count(): bigint {
    return Atomics.load(this.#pageWords, CLOCK_PAGE_OFFSETS.count / 8);
  }

  /**
   * Saves what readers of a seqlock have in the copy that none of them looks at, before they are made to wait: the other
   * one is about to be overwritten, and if the writer dies in that, nothing else says how far they came. While the count is
   * even what is saved may be half of something, and is not looked at.
   */
  #save(): void {
    const [from, to] = WORDS_AT as [number[], number[]];
    for (const [word, at] of from.entries()) {
      Atomics.store(this.#pageWords, to[word] as number, Atomics.load(this.#pageWords, at));
    }
  }

  #kept(field: 'maxDelta' | 'tag'): bigint {
    return Atomics.load(this.#pageWords, COPY_OFFSETS[this.#latest][field] / 8);
  }

  #standingIn(copy: CopyNumber, shift: number): Standing | null {
    return standingOf(decodeClockCopy(this.#page.bytes, copy), this.#namespace, [], shift);
  }

  #imageOf(standing: Standing): CopyImage {
    return imageOf(standing, standing.preferences[this.#index] ?? 'sane', this.#namespace);
  }

  #publish(image: CopyImage, isAtOnce: boolean): void {
    for (const [at, { value }] of COPY_WORDS.entries()) this.#words[at] = BigInt.asIntN(64, value(image));
    const { memory, header } = this.#page;
    if (header.protocol === 'seqlock' && !this.isHeld) this.#save();
    // Readers would be sent to the kept copy first, where its window has the counter, and be refused for its generation.
    const isOther = this.#kept('maxDelta') !== 0n && this.#kept('tag') !== image.tag;
    const isAlone = isAtOnce || isOther;
    const protocol = ReaderProtocol[header.protocol];
    let lost: LatchclockError | null = null;
    try {
      this.#addon.publishClockPage(memory, protocol, this.#words, this.#latest, isAlone, true);
    } catch (error) {
      if (!isLatchclockError(error, 'ERR_BAD_PAGE')) throw error;
      // It was stored, and is what readers find, whatever became of the file.
      lost = error;
    }
    if (header.protocol === 'two-window') this.#latest = this.#latest === 0 ? 1 : 0;
    this.#image = image;
    if (lost !== null) throw lost;
    if (!this.#hasHeader()) {
      throw new LatchclockError('ERR_BAD_PAGE', "the page's header was changed", {
        where: 'a page of the timekeeper',
        todo: 'make a new page, and start a timekeeper on it',
      });
    }
  }
}
