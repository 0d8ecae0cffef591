import { LatchclockError } from '../errors.js';
import { U64_MAX, wrapU64 } from '../units.js';
import type { Segment } from './segment.js';

/** Bytes of our own clock page. */
export const CLOCK_PAGE_BYTES = 4096;

/** The version of the byte layout that `docs/clock-page.md` describes. */
const CLOCK_PAGE_VERSION = 2;

/** Its shifts stood before the whole ns and had no mark, so that a copy of zeros could pass for one. */
const UNMARKED_VERSION = 1;

/**
 * Set in every shift word that a writer stores. The shift is the last word that a clock is computed from, and this its last
 * bit: zeros from any byte of the page on take it away from every clock of which they take anything.
 */
const WRITTEN = 1n << 63n;

/** Whether a word of a shift was stored by a writer: readers refuse one that was not. */
export function isWritten(shiftWord: bigint): boolean {
  return (shiftWord & WRITTEN) !== 0n;
}

/** The word of a shift as a writer stores it. */
export function shiftWordOf(shift: number): bigint {
  return WRITTEN | BigInt(shift);
}

/** The clocks of our own page; the place in the list is the clock's number. */
export const OWN_CLOCKS = [
  'monotonic-raw',
  'monotonic',
  'boottime',
  'tai',
  'sane-realtime',
  'smeared-realtime',
  'realtime',
] as const;

/** Name of a clock of our own page. */
export type OwnClockName = (typeof OWN_CLOCKS)[number];

/** Words that clocks of one rate and one fraction share. */
export type ClockGroupName = 'shared' | 'realtime' | 'smeared-realtime' | 'monotonic-raw';

/** The groups of a copy: those of clocks, and the one of its bound, which has the same form. */
export type CopyGroupName = ClockGroupName | 'bound';

/** The group of each clock. Clocks of `shared` differ by whole nanoseconds. */
export const CLOCK_GROUPS: Readonly<Record<OwnClockName, ClockGroupName>> = {
  'monotonic-raw': 'monotonic-raw',
  monotonic: 'shared',
  boottime: 'shared',
  tai: 'shared',
  'sane-realtime': 'shared',
  'smeared-realtime': 'smeared-realtime',
  realtime: 'realtime',
};

/** One of the two data sets of a page. */
export type CopyNumber = 0 | 1;

/** A word of a copy, as the layout names it. */
export type CopyField =
  | 'base'
  | 'maxDelta'
  | 'tag'
  | `${CopyGroupName}.${'mult' | 'fraction' | 'shift'}`
  | `${OwnClockName | 'bound'}.whole`;

type HeaderField =
  | 'magic'
  | 'version'
  | 'size'
  | 'counterId'
  | 'protocol'
  | 'generationSource'
  | 'arithmetic'
  | 'clocks';

/** A field of the page, as `docs/clock-page.md` names it. */
export type ClockPageField = HeaderField | 'count' | 'generation' | `copy${CopyNumber}.${CopyField}`;

const HEADER_OFFSETS: Readonly<Record<HeaderField, number>> = {
  magic: 0x00,
  version: 0x08,
  size: 0x0c,
  counterId: 0x10,
  protocol: 0x11,
  generationSource: 0x12,
  arithmetic: 0x13,
  clocks: 0x14,
};
const HEADER_USED_BYTES = 0x18;

/** Bytes of the header; those that no field uses are zero. */
export const CLOCK_PAGE_HEADER_BYTES = 0x40;

const WINDOWS_AT = 0x50;
const WINDOW_STRIDE = 24;
const COPIES_AT = 0x100;
const COPY_STRIDE = 0x100;

const WHOLE_IN_COPY: Readonly<Record<OwnClockName | 'bound', number>> = {
  monotonic: 0x00,
  boottime: 0x08,
  tai: 0x10,
  'sane-realtime': 0x18,
  realtime: 0x40,
  'smeared-realtime': 0x60,
  'monotonic-raw': 0x80,
  bound: 0xa0,
};
const GROUP_IN_COPY: Readonly<Record<CopyGroupName, number>> = {
  shared: 0x28,
  realtime: 0x48,
  'smeared-realtime': 0x68,
  'monotonic-raw': 0x88,
  bound: 0xa8,
};

function copyOffsets(copy: CopyNumber): Readonly<Record<CopyField, number>> {
  const window = WINDOWS_AT + WINDOW_STRIDE * copy;
  const data = COPIES_AT + COPY_STRIDE * copy;
  const groups = Object.entries(GROUP_IN_COPY).flatMap(([group, at]) => [
    [`${group}.mult`, data + at],
    [`${group}.fraction`, data + at + 8],
    [`${group}.shift`, data + at + 16],
  ]);
  const wholes = Object.entries(WHOLE_IN_COPY).map(([clock, at]) => [`${clock}.whole`, data + at]);
  return Object.fromEntries([
    ['base', window],
    ['maxDelta', window + 8],
    ['tag', window + 16],
    ...groups,
    ...wholes,
  ]) as Record<CopyField, number>;
}

/** Where the words of either copy lie, bytes from the page's start. */
export const COPY_OFFSETS: readonly [
  Readonly<Record<CopyField, number>>,
  Readonly<Record<CopyField, number>>,
] = [copyOffsets(0), copyOffsets(1)];

/** Where every field lies, bytes from the page's start. */
export const CLOCK_PAGE_OFFSETS: Readonly<Record<ClockPageField, number>> = {
  ...HEADER_OFFSETS,
  count: 0x40,
  generation: 0x48,
  ...(Object.fromEntries(
    COPY_OFFSETS.flatMap((offsets, copy) =>
      Object.entries(offsets).map(([field, at]) => [`copy${copy}.${field}`, at]),
    ),
  ) as Record<`copy${CopyNumber}.${CopyField}`, number>),
};

/** `counterId`: VMClock's numbers. */
export const PageCounter = { tsc: 1, none: 0xff } as const;

/** `protocol`: how the writer publishes, hence how readers take a copy. */
export const PageProtocol = { seqlock: 1, latch: 2, 'two-window': 3 } as const;

/** `generationSource`: what tells that the counter's meaning changed. */
export const GenerationSource = { none: 0, page: 1, vmclock: 2 } as const;

/** `arithmetic`: whether the writer keeps the bound that makes 64-bit arithmetic right, besides 128-bit. */
export const PageArithmetic = { wide: 0, narrow: 1 } as const;

/** What the header of a page says. */
export interface ClockPageHeader {
  readonly counter: keyof typeof PageCounter;
  readonly protocol: keyof typeof PageProtocol;
  readonly generationSource: keyof typeof GenerationSource;
  /** `narrow`: readers may use either arithmetic. */
  readonly arithmetic: keyof typeof PageArithmetic;
  /** The clocks that the page holds, in the order of their numbers; at least one. */
  readonly clocks: readonly OwnClockName[];
}

const MAGIC_TEXT = 'LATCHCLK';

/** The eight bytes `LATCHCLK`, as a little-endian word. */
export const CLOCK_PAGE_MAGIC = new DataView(new TextEncoder().encode(MAGIC_TEXT).buffer).getBigUint64(
  0,
  true,
);

const ALL_CLOCKS = (1 << OWN_CLOCKS.length) - 1;

function badPage(what: string, at: number, todo = 'read a page that a writer of this version made'): never {
  throw new LatchclockError('ERR_BAD_PAGE', what, {
    where: `clock page, offset 0x${at.toString(16)}`,
    todo,
  });
}

function viewOf(bytes: Uint8Array): DataView {
  if (bytes.length !== CLOCK_PAGE_BYTES) {
    throw new LatchclockError('ERR_BAD_PAGE', `a clock page of ${bytes.length} bytes is no clock page`, {
      where: 'its length',
      todo: `pass all ${CLOCK_PAGE_BYTES} bytes`,
    });
  }
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function nameOf<Name extends string>(
  numbers: Readonly<Record<Name, number>>,
  value: number,
  field: HeaderField,
  what: string,
): Name {
  const name = (Object.keys(numbers) as Name[]).find((candidate) => numbers[candidate] === value);
  return name ?? badPage(`${what} ${value} is unknown`, HEADER_OFFSETS[field]);
}

function checkIdentity(view: DataView): void {
  const magic = view.getBigUint64(HEADER_OFFSETS.magic, true);
  if (magic !== CLOCK_PAGE_MAGIC) {
    if (view.getBigUint64(HEADER_OFFSETS.magic, false) === CLOCK_PAGE_MAGIC) {
      badPage(
        'the clock page is big-endian',
        HEADER_OFFSETS.magic,
        'read it on a machine of its own byte order',
      );
    }
    badPage(`the magic 0x${magic.toString(16)} is not ${MAGIC_TEXT}`, HEADER_OFFSETS.magic);
  }
  const version = view.getUint32(HEADER_OFFSETS.version, true);
  if (version > CLOCK_PAGE_VERSION) {
    badPage(
      `version ${version} of the clock page is newer than ${CLOCK_PAGE_VERSION}, the newest known`,
      HEADER_OFFSETS.version,
      'use a newer latchclock',
    );
  }
  if (version === UNMARKED_VERSION) {
    badPage(
      `version ${version} of the clock page is older than ${CLOCK_PAGE_VERSION}, the only one that is read`,
      HEADER_OFFSETS.version,
      'remove the page, and start the timekeeper of this latchclock on a new one',
    );
  }
  if (version !== CLOCK_PAGE_VERSION) badPage(`version ${version} is unknown`, HEADER_OFFSETS.version);
  const size = view.getUint32(HEADER_OFFSETS.size, true);
  if (size !== CLOCK_PAGE_BYTES) badPage(`a size of ${size} is not ${CLOCK_PAGE_BYTES}`, HEADER_OFFSETS.size);
}

function decodeClocks(view: DataView): OwnClockName[] {
  const bits = view.getUint32(HEADER_OFFSETS.clocks, true);
  if (bits === 0) badPage('the page holds no clock', HEADER_OFFSETS.clocks);
  if ((bits & ~ALL_CLOCKS) !== 0) {
    badPage(`the set of clocks 0x${bits.toString(16)} has unknown ones`, HEADER_OFFSETS.clocks);
  }
  return OWN_CLOCKS.filter((_, number) => (bits & (1 << number)) !== 0);
}

/**
 * Decodes the header of a clock page, which is written once, before anybody else sees the page.
 *
 * @param bytes the whole page
 * @throws LatchclockError `ERR_BAD_PAGE` if the length, a field or a reserved byte is not as version 2 has it
 */
export function decodeClockPageHeader(bytes: Uint8Array): ClockPageHeader {
  const view = viewOf(bytes);
  if (bytes.every((byte) => byte === 0)) {
    badPage('the clock page is all zeros', 0, 'start its writer, or wait until it has begun');
  }
  checkIdentity(view);
  const header: ClockPageHeader = {
    counter: nameOf(PageCounter, view.getUint8(HEADER_OFFSETS.counterId), 'counterId', 'counter'),
    protocol: nameOf(PageProtocol, view.getUint8(HEADER_OFFSETS.protocol), 'protocol', 'protocol'),
    generationSource: nameOf(
      GenerationSource,
      view.getUint8(HEADER_OFFSETS.generationSource),
      'generationSource',
      'generation source',
    ),
    arithmetic: nameOf(PageArithmetic, view.getUint8(HEADER_OFFSETS.arithmetic), 'arithmetic', 'arithmetic'),
    clocks: decodeClocks(view),
  };
  for (let at = HEADER_USED_BYTES; at < CLOCK_PAGE_HEADER_BYTES; at++) {
    if (bytes[at] !== 0) badPage(`the reserved byte is ${bytes[at]}, not 0`, at);
  }
  return header;
}

/**
 * The header's bytes, 64 of them: the start of a page that is otherwise zeros until its writer publishes.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if there is no clock
 */
export function encodeClockPageHeader(header: ClockPageHeader): Uint8Array {
  if (header.clocks.length === 0) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', 'a clock page needs at least one clock', {
      where: 'encodeClockPageHeader',
    });
  }
  const view = new DataView(new ArrayBuffer(CLOCK_PAGE_HEADER_BYTES));
  view.setBigUint64(HEADER_OFFSETS.magic, CLOCK_PAGE_MAGIC, true);
  view.setUint32(HEADER_OFFSETS.version, CLOCK_PAGE_VERSION, true);
  view.setUint32(HEADER_OFFSETS.size, CLOCK_PAGE_BYTES, true);
  view.setUint8(HEADER_OFFSETS.counterId, PageCounter[header.counter]);
  view.setUint8(HEADER_OFFSETS.protocol, PageProtocol[header.protocol]);
  view.setUint8(HEADER_OFFSETS.generationSource, GenerationSource[header.generationSource]);
  view.setUint8(HEADER_OFFSETS.arithmetic, PageArithmetic[header.arithmetic]);
  const bits = header.clocks.reduce((set, clock) => set | (1 << OWN_CLOCKS.indexOf(clock)), 0);
  view.setUint32(HEADER_OFFSETS.clocks, bits, true);
  return new Uint8Array(view.buffer);
}

/** Rate and fraction of a group of clocks. */
export interface ClockGroup {
  /** Nanoseconds per cycle, scaled by `2^shift`, unsigned 64 bits; 0 where nothing was published. */
  readonly mult: bigint;
  /** Nanoseconds at `base` below a whole one, scaled by `2^shift`: below `2^shift`. */
  readonly fraction: bigint;
  /** 0..63. */
  readonly shift: number;
}

/** The words of a group that was never published, and of a bound that is not stated. */
export const NO_BOUND: ClockGroup = { mult: 0n, fraction: 0n, shift: 0 };
/** `boundWholeNs` of a copy whose writer states no bound; any negative number says that. */
export const NO_BOUND_NS = -1n;

/** All that a writer puts into one copy. */
export interface CopyImage {
  /** Counter at which the copy's window starts, cycles, unsigned 64 bits. */
  readonly base: bigint;
  /** Length of the window, cycles, 0..2^63. */
  readonly maxDelta: bigint;
  /** The generation that the copy was computed for, loaded before the counter was read for `base`. */
  readonly tag: bigint;
  readonly groups: Readonly<Record<CopyGroupName, ClockGroup>>;
  /** Whole nanoseconds of each clock at `base`, signed 64 bits. */
  readonly wholes: Readonly<Record<OwnClockName, bigint>>;
  /** Whole nanoseconds of the bound at `base`, signed 64 bits; negative where none is stated. */
  readonly boundWholeNs: bigint;
}

/** A word that a writer stores into a copy. */
export interface CopyWord {
  readonly field: CopyField;
  /** The word's value, unsigned 64 bits. */
  value(image: CopyImage): bigint;
}

function groupWords(group: CopyGroupName): CopyWord[] {
  // The mark first: see `StoreCopy` in native/core.
  return [
    { field: `${group}.shift`, value: (image) => shiftWordOf(image.groups[group].shift) },
    { field: `${group}.mult`, value: (image) => wrapU64(image.groups[group].mult) },
    { field: `${group}.fraction`, value: (image) => wrapU64(image.groups[group].fraction) },
  ];
}

function wholeWord(clock: OwnClockName): CopyWord {
  return { field: `${clock}.whole`, value: (image) => wrapU64(image.wholes[clock]) };
}

/** The words of a copy in the order in which a writer stores them (`StoreCopy` in native/core). */
export const COPY_WORDS: readonly CopyWord[] = [
  { field: 'base', value: (image) => wrapU64(image.base) },
  { field: 'maxDelta', value: (image) => wrapU64(image.maxDelta) },
  { field: 'tag', value: (image) => wrapU64(image.tag) },
  ...groupWords('shared'),
  wholeWord('monotonic'),
  wholeWord('boottime'),
  wholeWord('tai'),
  wholeWord('sane-realtime'),
  ...groupWords('realtime'),
  wholeWord('realtime'),
  ...groupWords('smeared-realtime'),
  wholeWord('smeared-realtime'),
  ...groupWords('monotonic-raw'),
  wholeWord('monotonic-raw'),
  ...groupWords('bound'),
  { field: 'bound.whole', value: (image) => wrapU64(image.boundWholeNs) },
];

/** What a writer stores to publish `image` in a copy: offset in bytes and unsigned 64-bit value, in order. */
export function copyImageStores(copy: CopyNumber, image: CopyImage): [offset: number, value: bigint][] {
  return COPY_WORDS.map(({ field, value }) => [COPY_OFFSETS[copy][field], value(image)]);
}

const LONGEST_WINDOW = 1n << 63n;
const S64_MAX = U64_MAX >> 1n;

/**
 * Decodes one copy of a clock page. A group without the mark of a writer is given as one that was never published, and a
 * bound without it as one that is not stated. Says nothing of whether its words are of one update: the caller has taken the
 * bytes by the page's protocol.
 *
 * @param bytes the whole page
 * @throws LatchclockError `ERR_BAD_PAGE` if the length is wrong, a shift is not below 64, or `maxDelta` is above
 *   2^63
 */
export function decodeClockCopy(bytes: Uint8Array, copy: CopyNumber): CopyImage {
  const view = viewOf(bytes);
  const offsets = COPY_OFFSETS[copy];
  const word = (field: CopyField): bigint => view.getBigUint64(offsets[field], true);
  const group = (name: CopyGroupName): ClockGroup => {
    const shiftWord = word(`${name}.shift`);
    if (!isWritten(shiftWord)) return NO_BOUND;
    const shift = shiftWord & ~WRITTEN;
    if (shift >= 64n) badPage(`a shift of ${shift} is not below 64`, offsets[`${name}.shift`]);
    return { mult: word(`${name}.mult`), fraction: word(`${name}.fraction`), shift: Number(shift) };
  };
  const maxDelta = word('maxDelta');
  if (maxDelta > LONGEST_WINDOW) {
    badPage(`a window of ${maxDelta} cycles is longer than 2^63`, offsets.maxDelta);
  }
  return {
    base: word('base'),
    maxDelta,
    tag: word('tag'),
    groups: {
      shared: group('shared'),
      realtime: group('realtime'),
      'smeared-realtime': group('smeared-realtime'),
      'monotonic-raw': group('monotonic-raw'),
      bound: group('bound'),
    },
    wholes: Object.fromEntries(
      OWN_CLOCKS.map((clock) => [clock, BigInt.asIntN(64, word(`${clock}.whole`))]),
    ) as Record<OwnClockName, bigint>,
    boundWholeNs: isWritten(word('bound.shift')) ? BigInt.asIntN(64, word('bound.whole')) : NO_BOUND_NS,
  };
}

/**
 * How far any clock of a copy may be from its source's at the same counter, ns: `whole + ((delta * mult + fraction) >>
 * shift) + 1`, which is rounded up, and at most 2^63 - 1; null where the writer states none.
 *
 * @param delta cycles since the copy's base, unsigned 64 bits
 */
export function copyBoundNs({ groups, boundWholeNs }: CopyImage, delta: bigint): bigint | null {
  if (boundWholeNs < 0n) return null;
  const { mult, fraction, shift } = groups.bound;
  const boundNs = boundWholeNs + ((delta * mult + fraction) >> BigInt(shift)) + 1n;
  return boundNs < S64_MAX ? boundNs : S64_MAX;
}

/**
 * The segment by which readers compute `clock` from a copy. Exact where they compute modulo 2^64: the two agree
 * while the value fits a signed 64-bit number of nanoseconds.
 *
 * @throws LatchclockError `ERR_BAD_PAGE` if the clock was never published (its mult is zero)
 */
export function ownSegment(image: CopyImage, clock: OwnClockName): Segment {
  const { mult, fraction, shift } = image.groups[CLOCK_GROUPS[clock]];
  if (mult === 0n) {
    throw new LatchclockError('ERR_BAD_PAGE', `${clock} was never published`, {
      where: 'its mult is zero',
      todo: 'start the writer of the page',
    });
  }
  return {
    base: image.base,
    maxDelta: image.maxDelta,
    mult,
    shift,
    wholeNs: image.wholes[clock],
    scaledNs: fraction,
    outOfWindow: 'refuse',
  };
}
