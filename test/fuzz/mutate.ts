import type { SplitMix64 } from './random.ts';

/** A word of a sample that a parser decides by: a count, an offset, a type id, a tag. */
export interface Field {
  at: number;
  size: 1 | 2 | 4 | 8;
}

export interface Sample {
  name: string;
  bytes: Uint8Array;
  fields: readonly Field[];
  /** Pieces of text that the parser looks for, and such as it may stumble over. */
  tokens?: readonly string[];
}

/**
 * One change, with everything random in it decided: applied to the same bytes it gives the same bytes. May change
 * its argument in place, and must take bytes of any length, so that any subset of a list of changes applies.
 */
export interface Mutation {
  what: string;
  apply(bytes: Uint8Array): Uint8Array;
}

const MOST_MUTATIONS = 16;
const MOST_EXTENSION = 4096;
const WORD_SIZES = [1, 2, 4, 8] as const;

/** The parts one after the other. */
export function concat(...parts: Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function readWord(bytes: Uint8Array, at: number, size: number): bigint {
  let word = 0n;
  for (let i = size - 1; i >= 0; i--) word = (word << 8n) | BigInt(bytes[at + i] ?? 0);
  return word;
}

/** Little-endian; what does not fit `bytes` is dropped. */
function writeWord(bytes: Uint8Array, at: number, size: number, word: bigint): void {
  let rest = BigInt.asUintN(64, word);
  for (let i = 0; i < size && at + i < bytes.length; i++) {
    bytes[at + i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
}

/** A new value for a word, mostly one that parsers get wrong: the ends of ranges, and one past what is right. */
function wordChange(random: SplitMix64, size: number): (bytes: Uint8Array, old: bigint) => bigint {
  const bits = BigInt(size * 8);
  const signBit = 1n << (bits - 1n);
  const elsewhere = random.word();
  const power = 1n << BigInt(random.below(size * 8));
  const noise = random.next();
  const values: ((bytes: Uint8Array, old: bigint) => bigint)[] = [
    () => 0n,
    () => 1n,
    () => signBit - 1n,
    () => signBit,
    () => signBit + 1n,
    () => -1n,
    () => -2n,
    (_, old) => old + 1n,
    (_, old) => old - 1n,
    (_, old) => old << 1n,
    (_, old) => old >> 1n,
    (_, old) => old ^ power,
    () => power,
    () => power - 1n,
    () => noise,
    () => BigInt(elsewhere & 0xff),
    (bytes) => BigInt(bytes.length),
    (bytes) => BigInt(bytes.length - (elsewhere & 0xff)),
    // A word from elsewhere: a type id takes the place of a size, an offset that of another.
    (bytes) => readWord(bytes, (elsewhere % Math.max(1, bytes.length)) & ~(size - 1), size),
    (bytes) => readWord(bytes, elsewhere % Math.max(1, bytes.length), size),
  ];
  return random.pick(values);
}

function overwriteField(random: SplitMix64, sample: Sample): Mutation {
  const { at, size } = random.pick(sample.fields);
  const change = wordChange(random, size);
  return {
    what: `${size}-byte field at ${at}`,
    apply(bytes) {
      writeWord(bytes, at, size, change(bytes, readWord(bytes, at, size)));
      return bytes;
    },
  };
}

function overwriteWord(random: SplitMix64): Mutation {
  const size = random.pick(WORD_SIZES);
  const aligned = random.below(4) > 0;
  const place = random.word();
  const change = wordChange(random, size);
  return {
    what: `${size}-byte word at ${place} modulo the length`,
    apply(bytes) {
      if (bytes.length === 0) return bytes;
      const at = aligned ? (place % bytes.length) & ~(size - 1) : place % bytes.length;
      writeWord(bytes, at, size, change(bytes, readWord(bytes, at, size)));
      return bytes;
    },
  };
}

/** Puts a token before, or over, a place where something else begins. */
function insertToken(random: SplitMix64, tokens: readonly string[]): Mutation {
  const token = random.pick(tokens);
  const piece = new TextEncoder().encode(token);
  const place = random.word();
  const replaced = random.pick([0, 1, piece.length]);
  return {
    what: `${JSON.stringify(token.slice(0, 20))} over ${replaced} bytes`,
    apply(bytes) {
      const at = place % (bytes.length + 1);
      return concat(bytes.subarray(0, at), piece, bytes.subarray(at + replaced));
    },
  };
}

const NEWLINE = 10;

/** Copies, moves or removes a line. */
function changeLines(random: SplitMix64): Mutation {
  const [isRemoved, isInserted] = random.pick([
    [true, false],
    [false, true],
    [true, true],
  ]);
  const [from, to] = [random.word(), random.word()];
  return {
    what: `line ${isInserted ? (isRemoved ? 'moved' : 'copied') : 'removed'}`,
    apply(bytes) {
      const starts = [0, ...[...bytes.keys()].filter((at) => bytes[at] === NEWLINE).map((at) => at + 1)];
      const index = from % starts.length;
      const [start, end] = [starts[index] as number, starts[index + 1] ?? bytes.length];
      const at = starts[to % starts.length] as number;
      const line = isInserted ? bytes.slice(start, end) : new Uint8Array();
      const rest = isRemoved ? concat(bytes.subarray(0, start), bytes.subarray(end)) : bytes;
      // Behind the line that was taken out, places are that much nearer.
      const target = isRemoved && at > start ? at - (end - start) : at;
      return concat(rest.subarray(0, target), line, rest.subarray(target));
    },
  };
}

/** Puts another digit in the place of one. */
function changeDigit(random: SplitMix64): Mutation {
  const [place, digit] = [random.word(), random.below(10)];
  return {
    what: `a digit ${digit}`,
    apply(bytes) {
      const digits = [...bytes.keys()].filter(
        (at) => (bytes[at] as number) >= 48 && (bytes[at] as number) < 58,
      );
      if (digits.length > 0) bytes[digits[place % digits.length] as number] = 48 + digit;
      return bytes;
    },
  };
}

function changeText(random: SplitMix64, tokens: readonly string[]): Mutation {
  const dice = random.below(4);
  if (dice < 2) return insertToken(random, tokens);
  return dice === 2 ? changeLines(random) : changeDigit(random);
}

function flipBits(random: SplitMix64): Mutation {
  const places = Array.from({ length: 1 + random.below(4) }, () => random.word());
  return {
    what: `${places.length} flipped bits`,
    apply(bytes) {
      if (bytes.length === 0) return bytes;
      for (const place of places) {
        const at = (place >>> 3) % bytes.length;
        bytes[at] = (bytes[at] as number) ^ (1 << (place & 7));
      }
      return bytes;
    },
  };
}

function truncate(random: SplitMix64): Mutation {
  const place = random.word();
  // Cuts near the end leave most of the sample to be parsed.
  const most = random.pick([4, 64, 1024, 0xffff_ffff]);
  return {
    what: 'truncation',
    apply: (bytes) => bytes.slice(0, bytes.length - (place % (Math.min(most, bytes.length) + 1))),
  };
}

function extend(random: SplitMix64): Mutation {
  const length = 1 + random.below(random.pick([8, 256, MOST_EXTENSION]));
  const fill = random.pick([0, 0xff, null]);
  const source = random.word();
  return {
    what: `extension by ${length} bytes`,
    apply(bytes) {
      const tail = new Uint8Array(length);
      if (fill !== null) tail.fill(fill);
      else if (bytes.length > 0)
        tail.set(bytes.subarray(source % bytes.length, (source % bytes.length) + length));
      return concat(bytes, tail);
    },
  };
}

/** Takes a slice out, puts one in again elsewhere, or both. */
function moveSlice(random: SplitMix64): Mutation {
  const [isRemoved, isInserted] = random.pick([
    [true, false],
    [false, true],
    [true, true],
  ]);
  const grain = random.pick([1, 1, 4, 8, 12, 16]);
  const [from, to] = [random.word(), random.word()];
  const length = grain * (1 + random.below(random.pick([1, 4, 64])));
  const insertion = isRemoved ? 'move' : 'duplication';
  return {
    what: `${isInserted ? insertion : 'removal'} of ${length} bytes`,
    apply(bytes) {
      if (bytes.length < grain) return bytes;
      const place = (word: number, among: number): number => (word % (Math.floor(among / grain) + 1)) * grain;
      const start = place(from, bytes.length - grain);
      const slice = bytes.slice(start, start + length);
      const rest = isRemoved ? concat(bytes.subarray(0, start), bytes.subarray(start + slice.length)) : bytes;
      if (!isInserted) return rest;
      const at = place(to, rest.length);
      return concat(rest.subarray(0, at), slice, rest.subarray(at));
    },
  };
}

/** Overwrites a slice with one from elsewhere: the length stays, so that offsets after it keep their meaning. */
function copySlice(random: SplitMix64, samples: readonly Sample[]): Mutation {
  const other = random.pick(samples).bytes;
  const fromSame = random.below(2) === 0;
  const grain = random.pick([1, 4, 8]);
  const [from, to] = [random.word(), random.word()];
  const length = 1 + random.below(random.pick([16, 64, 512]));
  return {
    what: `copy of ${length} bytes${fromSame ? '' : ' of another sample'}`,
    apply(bytes) {
      const source = fromSame ? bytes : other;
      if (bytes.length === 0 || source.length === 0) return bytes;
      const start = Math.floor((from % source.length) / grain) * grain;
      const at = Math.floor((to % bytes.length) / grain) * grain;
      const slice = source.slice(start, start + Math.min(length, bytes.length - at));
      bytes.set(slice, at);
      return bytes;
    },
  };
}

/** The beginning of one sample and the end of another. */
function splice(random: SplitMix64, samples: readonly Sample[]): Mutation {
  const other = random.pick(samples);
  const [cut, from] = [random.word(), random.word()];
  const isAtSamePlace = random.below(2) === 0;
  return {
    what: `splice with ${other.name}`,
    apply(bytes) {
      const at = (cut % (bytes.length + 1)) & ~3;
      const start = isAtSamePlace ? at : from % (other.bytes.length + 1);
      return concat(bytes.subarray(0, at), other.bytes.subarray(start));
    },
  };
}

function nextMutation(random: SplitMix64, sample: Sample, samples: readonly Sample[]): Mutation {
  const dice = random.below(100);
  // Changes of single words come most: others leave little that a parser gets far with.
  if (dice < 40 && sample.fields.length > 0) return overwriteField(random, sample);
  if (dice < 40 && sample.tokens !== undefined) return changeText(random, sample.tokens);
  if (dice < 65) return overwriteWord(random);
  if (dice < 78) return flipBits(random);
  if (dice < 88) return copySlice(random, samples);
  if (dice < 92) return moveSlice(random);
  if (dice < 95) return truncate(random);
  if (dice < 98) return extend(random);
  return splice(random, samples);
}

/** 1 to 16 changes to `sample`, few more often than many. */
export function mutationsOf(random: SplitMix64, sample: Sample, samples: readonly Sample[]): Mutation[] {
  const most = random.pick([1, 2, 4, 8, MOST_MUTATIONS]);
  return Array.from({ length: 1 + random.below(most) }, () => nextMutation(random, sample, samples));
}

/** A mutated copy of `bytes`. */
export function applyAll(bytes: Uint8Array, mutations: readonly Mutation[]): Uint8Array {
  let current: Uint8Array = Uint8Array.from(bytes);
  for (const mutation of mutations) current = mutation.apply(current);
  return current;
}
