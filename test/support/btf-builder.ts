/** A member of a struct or union under construction. */
export interface BuiltMember {
  /** Omitted for an anonymous struct or union. */
  name?: string;
  type: number;
  /** Bytes from the start of the struct. */
  offset?: number;
  /** A bit-field; `offset` is then ignored. Makes the whole struct use the kind_flag encoding. */
  bits?: { offset: number; size: number };
}

/** Kinds whose record is a name and another type. */
const ALIAS_KINDS = { typedef: 8, volatile: 9, const: 10, restrict: 11, func: 12, typeTag: 18 } as const;

/**
 * Builds BTF for tests: every method adds a type and returns its id. Nothing is checked, so that malformed BTF can
 * be built as well.
 */
export class BtfBuilder {
  readonly #records: Uint8Array[] = [];
  readonly #strings = new Map<string, number>([['', 0]]);
  #stringBytes: number[] = [0];
  #indexType: number | undefined;

  #name(name: string): number {
    const known = this.#strings.get(name);
    if (known !== undefined) return known;
    const offset = this.#stringBytes.length;
    this.#stringBytes = this.#stringBytes.concat(...new TextEncoder().encode(name), 0);
    this.#strings.set(name, offset);
    return offset;
  }

  /** Any record: `sizeOrType` and the words after it go in as they are. */
  raw(
    kind: number,
    name: string,
    vlen: number,
    kindFlag: boolean,
    sizeOrType: number,
    ...words: number[]
  ): number {
    const info = ((kindFlag ? 1 : 0) << 31) | (kind << 24) | vlen;
    this.#records.push(littleEndian(this.#name(name), info, sizeOrType, ...words));
    return this.#records.length;
  }

  /** `usedBits` and `firstBit` make the bit-field integer of the older encoding. */
  int(
    name: string,
    size: number,
    options: { signed?: boolean; usedBits?: number; firstBit?: number } = {},
  ): number {
    const { signed = false, usedBits = size * 8, firstBit = 0 } = options;
    return this.raw(1, name, 0, false, size, ((signed ? 1 : 0) << 24) | (firstBit << 16) | usedBits);
  }

  pointer(to: number): number {
    return this.raw(2, '', 0, false, to);
  }

  array(element: number, count: number): number {
    this.#indexType ??= this.int('__ARRAY_SIZE_TYPE__', 4);
    return this.raw(3, '', 0, false, 0, element, this.#indexType, count);
  }

  struct(name: string, size: number, members: BuiltMember[]): number {
    return this.#composite(4, name, size, members);
  }

  union(name: string, size: number, members: BuiltMember[]): number {
    return this.#composite(5, name, size, members);
  }

  #composite(kind: number, name: string, size: number, members: BuiltMember[]): number {
    const kindFlag = members.some(({ bits }) => bits !== undefined);
    const words = members.flatMap((member) => {
      const { offset, size: width } = member.bits ?? { offset: (member.offset ?? 0) * 8, size: 0 };
      return [this.#name(member.name ?? ''), member.type, kindFlag ? (width << 24) | offset : offset];
    });
    return this.raw(kind, name, members.length, kindFlag, size, ...words);
  }

  enum(name: string, values: Record<string, number>, signed = false): number {
    const words = Object.entries(values).flatMap(([key, value]) => [this.#name(key), value]);
    return this.raw(6, name, words.length / 2, signed, 4, ...words);
  }

  enum64(name: string, values: Record<string, bigint>): number {
    const words = Object.entries(values).flatMap(([key, value]) => [
      this.#name(key),
      Number(BigInt.asUintN(32, value)),
      Number(BigInt.asUintN(32, value >> 32n)),
    ]);
    return this.raw(19, name, words.length / 3, false, 8, ...words);
  }

  forward(name: string): number {
    return this.raw(7, name, 0, false, 0);
  }

  alias(kind: keyof typeof ALIAS_KINDS, to: number, name = ''): number {
    return this.raw(ALIAS_KINDS[kind], name, 0, false, to);
  }

  functionPrototype(returns: number, parameters: number[]): number {
    return this.raw(13, '', parameters.length, false, returns, ...parameters.flatMap((type) => [0, type]));
  }

  variable(name: string, type: number): number {
    return this.raw(14, name, 0, false, type, 1);
  }

  dataSection(name: string, variables: number[]): number {
    return this.raw(15, name, variables.length, false, 0, ...variables.flatMap((type) => [type, 0, 8]));
  }

  float(name: string, size: number): number {
    return this.raw(16, name, 0, false, size);
  }

  declarationTag(name: string, target: number): number {
    return this.raw(17, name, 0, false, target, 0xffff_ffff);
  }

  /** The whole BTF; `headerExtra` bytes follow the known header fields, `layout` makes the section of newer kernels. */
  build(options: { headerExtra?: number; layout?: Uint8Array } = {}): Uint8Array {
    const types = Buffer.concat(this.#records);
    const strings = Uint8Array.from(this.#stringBytes);
    const { layout, headerExtra = layout === undefined ? 0 : 8 } = options;
    const headerBytes = 24 + headerExtra;
    const fields = [0x0001_eb9f, headerBytes, 0, types.length, types.length, strings.length];
    if (layout !== undefined) fields.push(types.length + strings.length, layout.length);
    const header = Buffer.alloc(headerBytes);
    header.set(littleEndian(...fields));
    return Uint8Array.from(Buffer.concat([header, types, strings, layout ?? new Uint8Array()]));
  }
}

function littleEndian(...words: number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(words.length * 4));
  for (const [index, word] of words.entries()) view.setUint32(index * 4, word >>> 0, true);
  return new Uint8Array(view.buffer);
}
