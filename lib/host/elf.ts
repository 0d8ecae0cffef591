import { LatchclockError } from '../errors.js';

/** A symbol of the vDSO's dynamic symbol table. */
export interface VdsoSymbol {
  name: string;
  /** Name of the symbol's version, such as `LINUX_2.6`; null if it has none. */
  version: string | null;
  /** Bytes from the base of the mapped image; the plain value of a symbol that is absolute or not defined. */
  address: number;
  /** Bytes. */
  size: number;
  binding: 'local' | 'global' | 'weak' | 'other';
  type: 'function' | 'object' | 'notype' | 'other';
  defined: boolean;
}

/** What a vDSO image says about itself. */
export interface VdsoElf {
  /** The dynamic symbols in their own order, without the empty one at index 0. */
  symbols: VdsoSymbol[];
  soname: string | null;
  /** The version names that the image defines, without its own name. */
  versions: string[];
  /** Bytes of the executable PT_LOAD from the base of the image, `end` excluded; null if there is none. */
  textRange: { start: number; end: number } | null;
  /** Bytes from the base of the image to the end of its last PT_LOAD. */
  loadSize: number;
  /** The address that the image gives its own first byte, unsigned: 0 in Linux, elsewhere in vDSOs of others. */
  prelinkedAt: bigint;
  /** The GNU build ID in lower-case hexadecimal; null if there is no such note. */
  buildId: string | null;
  /** LINUX_VERSION_CODE, `major << 16 | minor << 8 | patch`, of the `Linux` note; null if there is no such note. */
  linuxVersion: number | null;
}

// A vDSO has a few pages, a handful of segments and short names. Hostile names and notes may overlap: without
// limits reading them would cost the square of the image's size.
const MAX_IMAGE_BYTES = 1 << 20;
const MAX_PROGRAM_HEADERS = 64;
const MAX_NAME_BYTES = 255;

const EHDR_BYTES = 64;
const PHDR_BYTES = 56;
const DYN_BYTES = 16;
const SYM_BYTES = 24;
const VERDEF_BYTES = 20;
const NOTE_BYTES = 12;

const ET_DYN = 3;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_NOTE = 4;
const PF_X = 1;
const SHN_UNDEF = 0;
const SHN_ABS = 0xfff1;
const VER_FLG_BASE = 1;
const VERSION_INDEX_MASK = 0x7fff;
const NT_GNU_BUILD_ID = 3;

const DT = {
  HASH: 4,
  STRTAB: 5,
  SYMTAB: 6,
  STRSZ: 10,
  SYMENT: 11,
  SONAME: 14,
  GNU_HASH: 0x6ffffef5,
  VERSYM: 0x6ffffff0,
  VERDEF: 0x6ffffffc,
  VERDEFNUM: 0x6ffffffd,
} as const;

function bad(what: string, at: number, todo?: string): LatchclockError {
  return new LatchclockError('ERR_BAD_ELF', what, {
    where: `byte 0x${at.toString(16)} of the image`,
    ...(todo === undefined ? {} : { todo }),
  });
}

interface Segment {
  type: number;
  flags: number;
  /** Bytes from the base of the mapped image. */
  start: number;
  fileEnd: number;
  end: number;
  align: bigint;
}

/** Little-endian reads that refuse to leave the image. */
class Image {
  readonly #view: DataView;
  /** Link-time address of the image's first byte. */
  bias = 0n;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.#view.byteLength;
  }

  need(at: number, count: number, what: string): void {
    if (at + count > this.length) {
      throw bad(
        `ELF image is cut short: ${what} needs ${count} bytes of ${this.length}`,
        at,
        'read the whole vDSO',
      );
    }
  }

  u8(at: number, what: string): number {
    this.need(at, 1, what);
    return this.#view.getUint8(at);
  }

  u16(at: number, what: string): number {
    this.need(at, 2, what);
    return this.#view.getUint16(at, true);
  }

  u32(at: number, what: string): number {
    this.need(at, 4, what);
    return this.#view.getUint32(at, true);
  }

  u64(at: number, what: string): bigint {
    this.need(at, 8, what);
    return this.#view.getBigUint64(at, true);
  }

  /** A number of bytes that may not exceed the image. */
  bytes(at: number, what: string): number {
    const value = this.u64(at, what);
    if (value > BigInt(this.length)) throw bad(`${what} 0x${value.toString(16)} exceeds the image`, at);
    return Number(value);
  }

  /** The place in the image of the link-time address `address`, which was found at `foundAt`. */
  place(address: bigint, what: string, foundAt: number): number {
    const offset = address - this.bias;
    if (offset < 0n || offset > BigInt(this.length)) {
      throw bad(`${what} at address 0x${address.toString(16)} lies outside the image`, foundAt);
    }
    return Number(offset);
  }

  text(start: number, limit: number, what: string): string {
    const codes: number[] = [];
    for (let at = start; ; at++) {
      if (at >= limit) throw bad(`${what} does not end inside the string table`, start);
      const code = this.u8(at, what);
      if (code === 0) return String.fromCharCode(...codes);
      if (codes.push(code) > MAX_NAME_BYTES)
        throw bad(`${what} is longer than ${MAX_NAME_BYTES} bytes`, start);
    }
  }

  hex(start: number, end: number): string {
    let text = '';
    for (let at = start; at < end; at++) text += this.u8(at, 'note').toString(16).padStart(2, '0');
    return text;
  }
}

function checkHeader(image: Image): void {
  if (image.length > MAX_IMAGE_BYTES) throw bad(`image of ${image.length} bytes is too large for a vDSO`, 0);
  if (image.u32(0, 'ELF magic') !== 0x464c457f) throw bad('image does not start with the ELF magic', 0);
  image.need(0, EHDR_BYTES, 'ELF header');
  const wanted: [number, number, string][] = [
    [4, 2, 'is not 64-bit ELF'],
    [5, 1, 'is not little-endian ELF'],
    [6, 1, 'has an unknown ELF version'],
  ];
  for (const [at, value, complaint] of wanted) {
    if (image.u8(at, 'ELF identification') !== value) throw bad(`image ${complaint}`, at);
  }
  if (image.u16(16, 'e_type') !== ET_DYN) throw bad('image is not a shared object', 16);
  if (image.u16(18, 'e_machine') !== EM_X86_64) throw bad('image is not for x86-64', 18);
  if (image.u16(54, 'e_phentsize') !== PHDR_BYTES) throw bad('program headers have an unknown size', 54);
}

function readSegments(image: Image): Segment[] {
  const table = image.bytes(32, 'e_phoff');
  const count = image.u16(56, 'e_phnum');
  if (count > MAX_PROGRAM_HEADERS) throw bad(`${count} program headers are too many for a vDSO`, 56);
  image.need(table, count * PHDR_BYTES, 'program header table');
  const at = (index: number) => table + index * PHDR_BYTES;
  const indexes = Array.from({ length: count }, (_, index) => index);
  const loads = indexes.filter((index) => image.u32(at(index), 'p_type') === PT_LOAD);
  const [first] = loads;
  if (first === undefined) throw bad('image has no PT_LOAD segment', table);
  // The whole image has one bias, that of the first PT_LOAD: the System V ABI wants them in ascending order.
  image.bias = image.u64(at(first) + 16, 'p_vaddr') - image.u64(at(first) + 8, 'p_offset');
  return indexes
    .filter((index) => [PT_LOAD, PT_DYNAMIC, PT_NOTE].includes(image.u32(at(index), 'p_type')))
    .map((index) => {
      const header = at(index);
      const start = image.place(image.u64(header + 16, 'p_vaddr'), 'segment', header + 16);
      const fileBytes = image.bytes(header + 32, 'p_filesz');
      const memoryBytes = image.bytes(header + 40, 'p_memsz');
      if (fileBytes > memoryBytes)
        throw bad('segment has more bytes in the file than in memory', header + 32);
      image.need(start, memoryBytes, `segment ${index}`);
      return {
        type: image.u32(header, 'p_type'),
        flags: image.u32(header + 4, 'p_flags'),
        start,
        fileEnd: start + fileBytes,
        end: start + memoryBytes,
        align: image.u64(header + 48, 'p_align'),
      };
    });
}

interface DynamicValue {
  value: bigint;
  at: number;
}

function readDynamic(image: Image, segments: Segment[]): Map<number, DynamicValue> {
  const segment = segments.find(({ type }) => type === PT_DYNAMIC);
  if (segment === undefined) throw bad('image has no PT_DYNAMIC segment', 32);
  const values = new Map<number, DynamicValue>();
  for (let at = segment.start; at + DYN_BYTES <= segment.fileEnd; at += DYN_BYTES) {
    const tag = image.u64(at, 'dynamic tag');
    if (tag === 0n) break;
    // Numbers above 2^53 lose precision, but never become one of the small tags that are looked up.
    if (!values.has(Number(tag)))
      values.set(Number(tag), { value: image.u64(at + 8, 'dynamic value'), at: at + 8 });
  }
  return values;
}

function gnuHashSymbolCount(image: Image, table: number): number {
  const buckets = image.u32(table, 'DT_GNU_HASH');
  const firstSymbol = image.u32(table + 4, 'DT_GNU_HASH');
  const bloomWords = image.u32(table + 8, 'DT_GNU_HASH');
  const bucketsAt = table + 16 + bloomWords * 8;
  image.need(bucketsAt, buckets * 4, 'DT_GNU_HASH buckets');
  let last = 0;
  for (let bucket = 0; bucket < buckets; bucket++) {
    last = Math.max(last, image.u32(bucketsAt + bucket * 4, 'DT_GNU_HASH bucket'));
  }
  if (last === 0) return firstSymbol;
  if (last < firstSymbol) throw bad('DT_GNU_HASH bucket names a symbol that is not hashed', bucketsAt);
  const chainsAt = bucketsAt + buckets * 4;
  // The lowest bit of a chain's word marks the chain's end.
  while ((image.u32(chainsAt + (last - firstSymbol) * 4, 'DT_GNU_HASH chain') & 1) === 0) last++;
  return last + 1;
}

/** Reads the tables that the dynamic section points to. */
class DynamicTables {
  readonly #image: Image;
  readonly #values: Map<number, DynamicValue>;
  readonly #stringsStart: number;
  readonly #stringsEnd: number;

  constructor(image: Image, values: Map<number, DynamicValue>) {
    this.#image = image;
    this.#values = values;
    this.#stringsStart = this.table(DT.STRTAB, 'DT_STRTAB');
    const size = this.#required(DT.STRSZ, 'DT_STRSZ');
    const bytes = image.bytes(size.at, 'DT_STRSZ');
    image.need(this.#stringsStart, bytes, 'string table');
    this.#stringsEnd = this.#stringsStart + bytes;
  }

  #required(tag: number, name: string): DynamicValue {
    const found = this.#values.get(tag);
    if (found === undefined) throw bad(`dynamic section has no ${name}`, 0);
    return found;
  }

  table(tag: number, name: string): number {
    const { value, at } = this.#required(tag, name);
    return this.#image.place(value, name, at);
  }

  #string(offset: number, what: string): string {
    return this.#image.text(this.#stringsStart + offset, this.#stringsEnd, what);
  }

  soname(): string | null {
    const found = this.#values.get(DT.SONAME);
    return found === undefined ? null : this.#string(this.#image.bytes(found.at, 'DT_SONAME'), 'soname');
  }

  #symbolCount(): number {
    // A linker may write either hash table alone, and each of them gives the count.
    if (this.#values.has(DT.HASH)) return this.#image.u32(this.table(DT.HASH, 'DT_HASH') + 4, 'DT_HASH');
    if (this.#values.has(DT.GNU_HASH)) {
      return gnuHashSymbolCount(this.#image, this.table(DT.GNU_HASH, 'DT_GNU_HASH'));
    }
    throw bad('dynamic section has neither DT_HASH nor DT_GNU_HASH, so symbols cannot be counted', 0);
  }

  /** Version names by their index; the base entry, which names the image itself, is null. */
  versionNames(): Map<number, string | null> {
    const names = new Map<number, string | null>();
    if (!this.#values.has(DT.VERDEF)) return names;
    let at = this.table(DT.VERDEF, 'DT_VERDEF');
    const countAt = this.#required(DT.VERDEFNUM, 'DT_VERDEFNUM').at;
    for (let left = this.#image.bytes(countAt, 'DT_VERDEFNUM'); left > 0; left--) {
      this.#image.need(at, VERDEF_BYTES, 'version definition');
      const isBase = (this.#image.u16(at + 2, 'vd_flags') & VER_FLG_BASE) !== 0;
      const name = this.#image.u32(at + this.#image.u32(at + 12, 'vd_aux'), 'vda_name');
      names.set(this.#image.u16(at + 4, 'vd_ndx'), isBase ? null : this.#string(name, 'version name'));
      const next = this.#image.u32(at + 16, 'vd_next');
      if (next === 0) break;
      if (next < VERDEF_BYTES) throw bad('version definitions overlap', at + 16);
      at += next;
    }
    return names;
  }

  symbols(loadSize: number, versions: Map<number, string | null>): VdsoSymbol[] {
    const table = this.table(DT.SYMTAB, 'DT_SYMTAB');
    const entryBytes = this.#values.get(DT.SYMENT);
    if (entryBytes !== undefined && entryBytes.value !== BigInt(SYM_BYTES)) {
      throw bad('symbols have an unknown size', entryBytes.at);
    }
    const count = this.#symbolCount();
    this.#image.need(table, count * SYM_BYTES, `symbol table of ${count} symbols`);
    const versym = this.#values.has(DT.VERSYM) ? this.table(DT.VERSYM, 'DT_VERSYM') : null;
    const symbols: VdsoSymbol[] = [];
    for (let index = 1; index < count; index++) {
      const version =
        versym === null ? 0 : this.#image.u16(versym + index * 2, 'DT_VERSYM') & VERSION_INDEX_MASK;
      symbols.push(this.#symbol(table + index * SYM_BYTES, loadSize, versions.get(version) ?? null));
    }
    return symbols;
  }

  #symbol(at: number, loadSize: number, version: string | null): VdsoSymbol {
    const image = this.#image;
    const info = image.u8(at + 4, 'st_info');
    const section = image.u16(at + 6, 'st_shndx');
    const value = image.u64(at + 8, 'st_value');
    const size = image.bytes(at + 16, 'st_size');
    const type = (['notype', 'object', 'function'] as const)[info & 15] ?? 'other';
    const relocated = section !== SHN_UNDEF && section !== SHN_ABS;
    const address = relocated ? value - image.bias : value;
    const limit = relocated ? BigInt(loadSize - size) : BigInt(Number.MAX_SAFE_INTEGER);
    if (address < 0n || address > limit) throw bad('symbol lies outside the loaded segments', at + 8);
    return {
      name: this.#string(image.u32(at, 'st_name'), 'symbol name'),
      version,
      address: Number(address),
      size,
      binding: (['local', 'global', 'weak'] as const)[info >> 4] ?? 'other',
      type,
      defined: section !== SHN_UNDEF,
    };
  }
}

function readNotes(image: Image, segments: Segment[]): Pick<VdsoElf, 'buildId' | 'linuxVersion'> {
  let buildId: string | null = null;
  let linuxVersion: number | null = null;
  for (const segment of segments.filter(({ type }) => type === PT_NOTE)) {
    const alignment = segment.align === 8n ? 8 : 4;
    const aligned = (bytes: number) => Math.ceil(bytes / alignment) * alignment;
    for (let at = segment.start; at + NOTE_BYTES <= segment.fileEnd; ) {
      const nameBytes = image.u32(at, 'note');
      const contentBytes = image.u32(at + 4, 'note');
      const type = image.u32(at + 8, 'note');
      const content = at + aligned(NOTE_BYTES + nameBytes);
      const end = content + contentBytes;
      if (end > segment.fileEnd) throw bad('note is longer than its segment', at);
      const owner = nameBytes > 8 ? '' : image.hex(at + NOTE_BYTES, at + NOTE_BYTES + nameBytes);
      // Owners as they stand in the note: "GNU\0" and "Linux\0". Linux also uses type 0x100, the build salt.
      if (owner === '474e5500' && type === NT_GNU_BUILD_ID) buildId ??= image.hex(content, end);
      if (owner === '4c696e757800' && type === 0 && contentBytes === 4)
        linuxVersion ??= image.u32(content, 'note');
      at = content + aligned(contentBytes);
    }
  }
  return { buildId, linuxVersion };
}

/**
 * Parses the ELF image of a vDSO as it lies in memory, by its program headers and dynamic section alone. Nothing
 * is relocated: the addresses in the dynamic section are taken as link-time addresses. Sources: System V ABI,
 * chapters 4 and 5, and its x86-64 supplement; Linux Standard Base, section 10.7 (symbol versions).
 *
 * @param image the bytes of the whole `[vdso]` mapping, at most 1 MiB
 * @throws {LatchclockError} `ERR_BAD_ELF` with the byte offset, if the image is not a little-endian 64-bit x86-64
 * shared object, is cut short, lacks what is needed to name its symbols, or has a symbol outside its segments
 */
export function parseVdsoElf(image: Uint8Array): VdsoElf {
  const reader = new Image(image);
  checkHeader(reader);
  const segments = readSegments(reader);
  const loads = segments.filter(({ type }) => type === PT_LOAD);
  const loadSize = loads.reduce((size, { end }) => Math.max(size, end), 0);
  const text = loads.find(({ flags }) => (flags & PF_X) !== 0);
  const tables = new DynamicTables(reader, readDynamic(reader, segments));
  const versions = tables.versionNames();
  return {
    symbols: tables.symbols(loadSize, versions),
    soname: tables.soname(),
    versions: [...versions.values()].filter((name) => name !== null),
    textRange: text === undefined ? null : { start: text.start, end: text.end },
    loadSize,
    prelinkedAt: BigInt.asUintN(64, reader.bias),
    ...readNotes(reader, segments),
  };
}
