import { LatchclockError } from '../errors.js';

/** A type, with typedefs and qualifiers looked through. */
export interface BtfType {
  kind: 'int' | 'pointer' | 'enum' | 'float' | 'struct' | 'union' | 'array' | 'function' | 'void' | 'other';
  /** The type's own name, not a typedef's; empty if it has none. For structs and unions {@link Btf.struct} takes it. */
  name: string;
  /** Bytes; 0 for functions, void and types that are only declared. */
  size: number;
  /** Of integers and enumerations only. */
  signed?: boolean;
  /** Of arrays only. */
  element?: BtfType;
  /** Of arrays only: number of elements, 0 for a flexible array. */
  count?: number;
  /** Of structs and unions without a name only, as no name leads to them. */
  members?: BtfMember[];
}

/** A member of a struct or union; members of anonymous structs and unions count as their parent's. */
export interface BtfMember {
  name: string;
  /** Bytes from the start of the struct that was asked for; of a bit-field, of the byte that holds its first bit. */
  offset: number;
  /** Bytes of the member's type, a whole array included. */
  size: number;
  type: BtfType;
  /** Of bit-fields only: bits from the start of the struct. */
  bitOffset?: number;
  /** Of bit-fields only: width in bits. */
  bitSize?: number;
}

export interface BtfStruct {
  name: string;
  kind: 'struct' | 'union';
  /** Bytes. */
  size: number;
  members: BtfMember[];
}

/** The type information of a kernel. */
export interface Btf {
  /**
   * The struct or union called `name`, or null if there is none. If several have the name, the first with members.
   *
   * @throws {LatchclockError} `ERR_BAD_BTF` if its description is malformed, refers to itself by value, or has
   * more parts than any real struct
   */
  struct(name: string): BtfStruct | null;
  /**
   * Place and size in bytes of what `path` names inside `structName`: member names joined by dots, each with any
   * number of array indexes, as in `clock_data[1].seq`.
   *
   * @throws {LatchclockError} `ERR_BAD_ARGUMENT` if `path` is no such path; `ERR_BAD_BTF` if the struct or a member
   * is missing, an index is out of range, the member is a bit-field, or the description is malformed
   */
  offsetOf(structName: string, path: string): { offset: number; size: number };
}

const KIND = {
  INT: 1,
  PTR: 2,
  ARRAY: 3,
  STRUCT: 4,
  UNION: 5,
  ENUM: 6,
  FWD: 7,
  TYPEDEF: 8,
  VOLATILE: 9,
  CONST: 10,
  RESTRICT: 11,
  FUNC: 12,
  FUNC_PROTO: 13,
  VAR: 14,
  DATASEC: 15,
  FLOAT: 16,
  DECL_TAG: 17,
  TYPE_TAG: 18,
  ENUM64: 19,
} as const;

/** By kind: bytes that follow the common part of a record, once and for each of its `vlen` elements. */
const EXTRA_BYTES: readonly (readonly [number, number] | undefined)[] = [
  undefined,
  [4, 0], // INT
  [0, 0],
  [12, 0], // ARRAY
  [0, 12], // STRUCT
  [0, 12], // UNION
  [0, 8], // ENUM
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 8], // FUNC_PROTO
  [4, 0], // VAR
  [0, 12], // DATASEC
  [0, 0],
  [4, 0], // DECL_TAG
  [0, 0],
  [0, 12], // ENUM64
];

const MAGIC = 0xeb9f;
const MAGIC_SWAPPED = 0x9feb;
const HEADER_BYTES = 24;
const HEADER_WITH_LAYOUT_BYTES = 32;
const RECORD_BYTES = 12;
const MEMBER_BYTES = 12;
const POINTER_BYTES = 8;
const INT_SIGNED = 1;
const MAX_SIZE = 0xffff_ffff;

// Real types stay far below these. A hostile graph of types may be cyclic, or branch at every level.
const MAX_NAME_BYTES = 511;
const MAX_DEPTH = 16;
const MAX_PARTS = 1 << 16;

function badAt(what: string, at: number, todo?: string): LatchclockError {
  return new LatchclockError('ERR_BAD_BTF', what, {
    where: `byte 0x${at.toString(16)}`,
    ...(todo === undefined ? {} : { todo }),
  });
}

/** A member as it is found, before its type is described. */
interface RawMember {
  /** Where its record lies. */
  at: number;
  nameOffset: number;
  type: number;
  bitOffset: number;
  /** 0 if it is no bit-field. */
  bitSize: number;
}

/** Counts the parts of one answer, so that every answer is bounded. */
class Budget {
  #left = MAX_PARTS;

  spend(at: number, depth: number): void {
    if (--this.#left < 0) throw badAt(`type has more than ${MAX_PARTS} parts`, at);
    if (depth > MAX_DEPTH) throw badAt(`type is nested more than ${MAX_DEPTH} deep, or contains itself`, at);
  }
}

interface Header {
  typesStart: number;
  typesEnd: number;
  stringsStart: number;
  stringsEnd: number;
  layoutStart: number;
  layoutEnd: number;
}

function readHeader(bytes: Uint8Array, view: DataView): Header {
  const cutShort = () =>
    badAt(`BTF of ${bytes.length} bytes is cut short`, bytes.length, 'read the whole file');
  if (bytes.length < 2) throw cutShort();
  const magic = view.getUint16(0, true);
  if (magic === MAGIC_SWAPPED) throw badAt('BTF is big-endian', 0, 'give the BTF of an x86-64 kernel');
  if (magic !== MAGIC)
    throw badAt('bytes do not start with the BTF magic', 0, 'give /sys/kernel/btf/vmlinux');
  if (bytes.length < HEADER_BYTES) throw cutShort();
  if (view.getUint8(2) !== 1)
    throw badAt(`BTF version ${view.getUint8(2)} is unknown`, 2, 'update latchclock');
  const headerBytes = view.getUint32(4, true);
  if (headerBytes < HEADER_BYTES) throw badAt(`BTF header of ${headerBytes} bytes is too short`, 4);
  if (headerBytes > bytes.length) throw cutShort();
  const section = (field: number, name: string): [number, number] => {
    const start = headerBytes + view.getUint32(field, true);
    const end = start + view.getUint32(field + 4, true);
    if (end > bytes.length) {
      throw badAt(`${name} section ends at byte ${end} of ${bytes.length}`, field, 'read the whole file');
    }
    return [start, end];
  };
  const [typesStart, typesEnd] = section(8, 'type');
  const [stringsStart, stringsEnd] = section(16, 'string');
  if (stringsEnd === stringsStart || bytes[stringsStart] !== 0 || bytes[stringsEnd - 1] !== 0) {
    throw badAt('string section does not begin and end with a NUL', stringsStart);
  }
  const hasLayout = headerBytes >= HEADER_WITH_LAYOUT_BYTES;
  const [layoutStart, layoutEnd] = hasLayout ? section(24, 'layout') : [0, 0];
  return { typesStart, typesEnd, stringsStart, stringsEnd, layoutStart, layoutEnd };
}

/**
 * Finds every type record. Element `id` of the result is the byte offset of type `id`; 0 is void, which has none.
 */
function scanRecords(view: DataView, header: Header): Uint32Array {
  const { typesStart, typesEnd, layoutStart, layoutEnd } = header;
  const offsets = new Uint32Array(Math.floor((typesEnd - typesStart) / RECORD_BYTES) + 1);
  let count = 1;
  for (let at = typesStart; at < typesEnd; count++) {
    if (at + RECORD_BYTES > typesEnd) throw badAt(`type ${count} is cut short`, at);
    const info = view.getUint32(at + 4, true);
    const kind = kindOf(info);
    let extra = EXTRA_BYTES[kind];
    if (extra === undefined) {
      const layout = layoutStart + kind * 4;
      if (kind === 0 || layout + 4 > layoutEnd) {
        throw badAt(
          `type ${count} has the unknown kind ${kind}`,
          at,
          'update latchclock if the kernel is newer',
        );
      }
      extra = [view.getUint8(layout), view.getUint8(layout + 1)];
    }
    offsets[count] = at;
    at += RECORD_BYTES + extra[0] + extra[1] * lengthOf(info);
    if (at > typesEnd) throw badAt(`type ${count} of kind ${kind} is cut short`, offsets[count] ?? at);
  }
  return offsets.subarray(0, count);
}

// Older kernels leave the upper bits of both fields zero.
function kindOf(info: number): number {
  return (info >>> 24) & 0x7f;
}

function lengthOf(info: number): number {
  return info & 0xff_ffff;
}

function hasKindFlag(info: number): boolean {
  return info >>> 31 === 1;
}

class ParsedBtf implements Btf {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #header: Header;
  readonly #offsets: Uint32Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#header = readHeader(bytes, this.#view);
    this.#offsets = scanRecords(this.#view, this.#header);
  }

  struct(name: string): BtfStruct | null {
    const id = this.#find(name);
    if (id === null) return null;
    const at = this.#record(id, 0);
    return {
      name,
      kind: this.#kind(at) === KIND.STRUCT ? 'struct' : 'union',
      size: this.#u32(at + 8),
      members: this.#members(at, new Budget(), 0),
    };
  }

  offsetOf(structName: string, path: string): { offset: number; size: number } {
    const steps = parsePath(path);
    const id = this.#find(structName);
    if (id === null) throw this.#missing(`kernel has no struct ${structName}`, structName);
    let type = id;
    let offset = 0;
    let size = 0;
    for (const step of steps) {
      const at = this.#resolve(type, 0);
      const place = `${structName}.${path}`;
      if (typeof step === 'string') {
        const member = this.#member(at, step);
        if (member === null) throw this.#missing(`type has no member ${step}`, place);
        if (member.bitSize > 0) throw this.#missing(`member ${step} is a bit-field`, place);
        type = member.type;
        offset += member.bitOffset / 8;
      } else {
        const count = at !== 0 && this.#kind(at) === KIND.ARRAY ? this.#u32(at + RECORD_BYTES + 8) : null;
        if (count === null) throw this.#missing(`index [${step}] is on a type that is no array`, place);
        if (step >= count)
          throw this.#missing(`index [${step}] is not below the array's length ${count}`, place);
        type = this.#u32(at + RECORD_BYTES);
        offset += step * this.#size(this.#resolve(type, at), 0);
      }
      size = this.#size(this.#resolve(type, at), 0);
    }
    return { offset, size };
  }

  #missing(what: string, where: string): LatchclockError {
    return new LatchclockError('ERR_BAD_BTF', what, { where });
  }

  #u32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  #kind(at: number): number {
    return kindOf(this.#u32(at + 4));
  }

  #isStruct(at: number): boolean {
    const kind = at === 0 ? 0 : this.#kind(at);
    return kind === KIND.STRUCT || kind === KIND.UNION;
  }

  #hasBits(at: number): boolean {
    const kind = at === 0 ? 0 : this.#kind(at);
    return kind === KIND.INT || kind === KIND.ENUM || kind === KIND.ENUM64;
  }

  /** The record of type `id`, which was named at byte `from`; 0 for void. */
  #record(id: number, from: number): number {
    const at = this.#offsets[id];
    if (at === undefined)
      throw badAt(`type ${id} does not exist, the last is ${this.#offsets.length - 1}`, from);
    return at;
  }

  /** As {@link #record}, behind typedefs, qualifiers and type tags. */
  #resolve(id: number, from: number): number {
    let at = this.#record(id, from);
    for (let hops = 0; at !== 0; hops++) {
      const kind = this.#kind(at);
      const isAlias = (kind >= KIND.TYPEDEF && kind <= KIND.RESTRICT) || kind === KIND.TYPE_TAG;
      if (!isAlias) break;
      if (hops === MAX_DEPTH) throw badAt('typedefs and qualifiers form a circle', at);
      at = this.#record(this.#u32(at + 8), at);
    }
    return at;
  }

  #nameStart(nameOffset: number, from: number): number {
    const start = this.#header.stringsStart + nameOffset;
    if (start >= this.#header.stringsEnd) throw badAt('name lies outside the string section', from);
    return start;
  }

  #name(nameOffset: number, from: number): string {
    const start = this.#nameStart(nameOffset, from);
    const bytes = this.#bytes.subarray(start, start + MAX_NAME_BYTES + 1);
    const length = bytes.indexOf(0);
    if (length < 0) throw badAt(`name is longer than ${MAX_NAME_BYTES} bytes`, start);
    return String.fromCharCode(...bytes.subarray(0, length));
  }

  /** Compares in place: decoding the name of every type would cost more than all the rest. */
  #nameIs(nameOffset: number, name: Uint8Array, from: number): boolean {
    const start = this.#nameStart(nameOffset, from);
    for (let index = 0; index < name.length; index++) {
      if (this.#bytes[start + index] !== name[index]) return false;
    }
    return this.#bytes[start + name.length] === 0;
  }

  #find(name: string): number | null {
    // Neither an empty name nor one with a NUL is any type's: the one is anonymous, the other spans two names.
    if (name === '' || name.includes('\0')) return null;
    const wanted = new TextEncoder().encode(name);
    let empty: number | null = null;
    for (let id = 1; id < this.#offsets.length; id++) {
      const at = this.#record(id, 0);
      if (!this.#isStruct(at) || !this.#nameIs(this.#u32(at), wanted, at)) continue;
      if (lengthOf(this.#u32(at + 4)) > 0) return id;
      empty ??= id;
    }
    return empty;
  }

  /** The members of the struct at `at` in order, each with its place in the outermost struct. */
  *#walk(at: number, budget: Budget, depth: number, baseBits = 0): Generator<RawMember> {
    budget.spend(at, depth);
    const info = this.#u32(at + 4);
    const endBits = baseBits + this.#u32(at + 8) * 8;
    for (let index = 0; index < lengthOf(info); index++) {
      const member = this.#rawMember(at + RECORD_BYTES + index * MEMBER_BYTES, hasKindFlag(info), baseBits);
      budget.spend(member.at, depth);
      const target = this.#resolve(member.type, member.at);
      const bits = member.bitSize > 0 ? member.bitSize : this.#size(target, 0) * 8;
      if (member.bitOffset + bits > endBits) throw badAt('member lies outside its struct', member.at);
      const isAnonymous = this.#bytes[this.#nameStart(member.nameOffset, member.at)] === 0;
      if (isAnonymous && this.#isStruct(target)) {
        yield* this.#walk(target, budget, depth + 1, member.bitOffset);
      } else if (!isAnonymous) {
        yield member;
      }
    }
  }

  #rawMember(at: number, kindFlag: boolean, baseBits: number): RawMember {
    const type = this.#u32(at + 4);
    const packed = this.#u32(at + 8);
    let bitOffset = kindFlag ? packed & 0xff_ffff : packed;
    let bitSize = kindFlag ? packed >>> 24 : 0;
    const target = this.#resolve(type, at);
    if (bitSize === 0 && target !== 0 && this.#kind(target) === KIND.INT) {
      // The older encoding of a bit-field: an integer type that uses some of its bits only.
      const encoding = this.#u32(target + RECORD_BYTES);
      const usedBits = encoding & 0xff;
      const firstBit = (encoding >>> 16) & 0xff;
      if (firstBit > 0 || usedBits < this.#u32(target + 8) * 8 || bitOffset % 8 !== 0) {
        bitOffset += firstBit;
        bitSize = usedBits;
      }
    }
    // Anything else with a width would put the members of an anonymous struct between bytes, or past its end.
    if (bitSize > 0 && !this.#hasBits(target))
      throw badAt('bit-field is neither integer nor enumeration', at);
    if (bitSize === 0 && bitOffset % 8 !== 0) throw badAt('member does not start at a byte', at);
    return { at, nameOffset: this.#u32(at), type, bitOffset: baseBits + bitOffset, bitSize };
  }

  #members(at: number, budget: Budget, depth: number): BtfMember[] {
    const members: BtfMember[] = [];
    for (const { at: memberAt, nameOffset, type, bitOffset, bitSize } of this.#walk(at, budget, depth)) {
      const described = this.#describe(type, memberAt, budget, depth + 1);
      members.push({
        name: this.#name(nameOffset, memberAt),
        offset: Math.floor(bitOffset / 8),
        size: described.size,
        type: described,
        ...(bitSize > 0 ? { bitOffset, bitSize } : {}),
      });
    }
    return members;
  }

  #member(at: number, name: string): RawMember | null {
    if (!this.#isStruct(at)) return null;
    const wanted = new TextEncoder().encode(name);
    for (const member of this.#walk(at, new Budget(), 0)) {
      if (this.#nameIs(member.nameOffset, wanted, member.at)) return member;
    }
    return null;
  }

  /** Bytes that a value of the type whose record is at `at` takes. */
  #size(at: number, depth: number): number {
    if (depth > MAX_DEPTH) throw badAt(`arrays are nested more than ${MAX_DEPTH} deep, or in a circle`, at);
    switch (at === 0 ? 0 : this.#kind(at)) {
      case KIND.INT:
      case KIND.FLOAT:
      case KIND.ENUM:
      case KIND.ENUM64:
      case KIND.STRUCT:
      case KIND.UNION:
        return this.#u32(at + 8);
      case KIND.PTR:
        return POINTER_BYTES;
      case KIND.ARRAY: {
        const element = this.#resolve(this.#u32(at + RECORD_BYTES), at);
        const size = this.#u32(at + RECORD_BYTES + 8) * this.#size(element, depth + 1);
        if (size > MAX_SIZE) throw badAt('array is larger than any struct', at);
        return size;
      }
      default:
        return 0;
    }
  }

  #describe(id: number, from: number, budget: Budget, depth: number): BtfType {
    budget.spend(from, depth);
    const at = this.#resolve(id, from);
    const size = this.#size(at, 0);
    if (at === 0) return { kind: 'void', name: 'void', size };
    const info = this.#u32(at + 4);
    const name = this.#name(this.#u32(at), at);
    switch (kindOf(info)) {
      case KIND.INT:
        return {
          kind: 'int',
          name,
          size,
          signed: ((this.#u32(at + RECORD_BYTES) >>> 24) & INT_SIGNED) !== 0,
        };
      case KIND.ENUM:
      case KIND.ENUM64:
        return { kind: 'enum', name, size, signed: hasKindFlag(info) };
      case KIND.FLOAT:
        return { kind: 'float', name, size };
      case KIND.PTR:
        return { kind: 'pointer', name, size };
      case KIND.FUNC:
      case KIND.FUNC_PROTO:
        return { kind: 'function', name, size };
      case KIND.ARRAY: {
        const element = this.#describe(this.#u32(at + RECORD_BYTES), at, budget, depth + 1);
        return { kind: 'array', name, size, element, count: this.#u32(at + RECORD_BYTES + 8) };
      }
      case KIND.STRUCT:
      case KIND.UNION: {
        const kind = kindOf(info) === KIND.STRUCT ? 'struct' : 'union';
        return name === ''
          ? { kind, name, size, members: this.#members(at, budget, depth + 1) }
          : { kind, name, size };
      }
      default:
        return { kind: 'other', name, size };
    }
  }
}

/** Names and indexes of a member path, in order. */
function parsePath(path: string): (string | number)[] {
  if (!/^[A-Za-z_]\w*(?:\[\d{1,9}\])*(?:\.[A-Za-z_]\w*(?:\[\d{1,9}\])*)*$/.test(path)) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', `'${path}' is no path to a member`, {
      todo: "give names and indexes such as 'clock_data[1].seq'",
    });
  }
  return (path.match(/\w+/g) ?? []).map((part) => (/^\d/.test(part) ? Number(part) : part));
}

/**
 * Opens a kernel's type information, as in `/sys/kernel/btf/vmlinux`. The records are only counted and located
 * here (some milliseconds for a whole kernel); a type is read when it is asked for. `bytes` is not copied and must
 * not change while the result is in use.
 *
 * Source of the format: the Linux documentation, "BPF Type Format (BTF)", sections 2 and 3.
 *
 * @throws {LatchclockError} `ERR_BAD_BTF` with the byte offset, if the header or the sequence of records is
 * malformed, cut short or big-endian, or has a kind of type that is neither known nor laid out in the BTF itself
 */
export function openBtf(bytes: Uint8Array): Btf {
  return new ParsedBtf(bytes);
}
