import type { Field } from './mutate.ts';

/** Enough of a writer of BTF to cut a kernel's down to a few types. Trusts its input: it is for samples. */

const FUNCTION = 12;

/**
 * By kind, the words of a record behind its name and info: `n` another name, `t` a type taken by value, `p` a type
 * that is only pointed to or called, `-` anything else; and those of each of its elements.
 */
const WORDS: readonly (readonly [head: string, element: string] | undefined)[] = [
  undefined,
  ['--', ''], // int
  ['p', ''], // pointer
  ['-tt-', ''], // array
  ['-', 'nt-'], // struct
  ['-', 'nt-'], // union
  ['-', 'n-'], // enum
  ['-', ''], // forward
  ['t', ''], // typedef
  ['t', ''], // volatile
  ['t', ''], // const
  ['t', ''], // restrict
  ['p', ''], // function
  ['p', 'np'], // function prototype
  ['p-', ''], // variable
  ['-', 'p--'], // data section
  ['-', ''], // float
  ['p-', ''], // declaration tag
  ['t', ''], // type tag
  ['-', 'n--'], // 64-bit enum
];

/** The types of the kernel that the trimmed sample keeps, and that every mutated input is asked for. */
export const BTF_NAMES = [
  'vdso_time_data',
  'vdso_clock',
  'vdso_data',
  'vdso_timestamp',
  'timens_offset',
  'timekeeper',
  'clocksource',
  'pvclock_vcpu_time_info',
  'perf_event_attr',
] as const;

interface BtfRecord {
  at: number;
  kind: number;
  /** How to read each word from `at + 8` on. */
  words: string;
}

interface Opened {
  view: DataView;
  records: BtfRecord[];
  stringsAt: number;
}

function open(bytes: Uint8Array): Opened {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerBytes = view.getUint32(4, true);
  const typesAt = headerBytes + view.getUint32(8, true);
  const typesEnd = typesAt + view.getUint32(12, true);
  // Type 0 is void, which has no record.
  const records: BtfRecord[] = [{ at: 0, kind: 0, words: '' }];
  for (let at = typesAt; at < typesEnd; ) {
    const info = view.getUint32(at + 4, true);
    const kind = (info >>> 24) & 0x7f;
    const shape = WORDS[kind];
    if (shape === undefined) throw new Error(`kind ${kind} is unknown to the trimmer`);
    const words = shape[0] + shape[1].repeat(info & 0xff_ffff);
    records.push({ at, kind, words });
    at += 8 + words.length * 4;
  }
  return { view, records, stringsAt: headerBytes + view.getUint32(16, true) };
}

function nameAt(bytes: Uint8Array, stringsAt: number, offset: number): string {
  const start = stringsAt + offset;
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, bytes.indexOf(0, start) - start).toString(
    'latin1',
  );
}

/** Ids of the records called one of `names`, and of the first `each` of every kind. */
function roots(
  { records, view, stringsAt }: Opened,
  bytes: Uint8Array,
  names: readonly string[],
  each: number,
): number[] {
  const wanted = new Set(names);
  const seen = new Map<number, number>();
  const ids: number[] = [];
  for (const [id, { at, kind, words }] of records.entries()) {
    if (id === 0) continue;
    const count = (seen.get(kind) ?? 0) + 1;
    // Those with hundreds of elements would fill the sample.
    const isExample = count <= each && words.length < 64;
    const hasName = kind !== FUNCTION && wanted.has(nameAt(bytes, stringsAt, view.getUint32(at, true)));
    if (isExample || hasName) ids.push(id);
    if (isExample) seen.set(kind, count);
  }
  return ids;
}

/**
 * The types of a kernel's BTF called one of `names`, with all that they hold by value, and a few of every kind.
 * What is only pointed to and not kept becomes void.
 *
 * @param each how many records of every kind to keep, whatever their names
 */
export function trimBtf(bytes: Uint8Array, names: readonly string[], each: number): Uint8Array {
  const opened = open(bytes);
  const { view, records, stringsAt } = opened;
  const kept = new Set<number>();
  const left = roots(opened, bytes, names, each);
  for (let id = left.pop(); id !== undefined; id = left.pop()) {
    if (id === 0 || kept.has(id)) continue;
    kept.add(id);
    const { at, words } = records[id] as BtfRecord;
    for (const [index, word] of [...words].entries()) {
      if (word === 't') left.push(view.getUint32(at + 8 + index * 4, true));
    }
  }
  const ids = [...kept].toSorted((a, b) => a - b);
  const newIds = new Map(ids.map((id, index) => [id, index + 1]));
  const strings = new Map<string, number>([['', 0]]);
  const text: number[] = [0];
  const nameOf = (offset: number): number => {
    const name = nameAt(bytes, stringsAt, offset);
    const known = strings.get(name);
    if (known !== undefined) return known;
    const start = text.length;
    text.push(...Buffer.from(name, 'latin1'), 0);
    strings.set(name, start);
    return start;
  };
  const out: number[] = [];
  for (const id of ids) {
    const { at, words } = records[id] as BtfRecord;
    out.push(nameOf(view.getUint32(at, true)), view.getUint32(at + 4, true));
    for (const [index, word] of [...words].entries()) {
      const value = view.getUint32(at + 8 + index * 4, true);
      if (word === 'n') out.push(nameOf(value));
      else out.push(word === '-' ? value : (newIds.get(value) ?? 0));
    }
  }
  const header = [0x0001_eb9f, 24, 0, out.length * 4, out.length * 4, text.length];
  const trimmed = new Uint8Array((header.length + out.length) * 4 + text.length);
  const target = new DataView(trimmed.buffer);
  for (const [index, word] of [...header, ...out].entries()) target.setUint32(index * 4, word, true);
  trimmed.set(text, (header.length + out.length) * 4);
  return trimmed;
}

/** The words of the header, and those of the records called one of `names` and of what they hold by value. */
export function btfFields(bytes: Uint8Array, names: readonly string[]): Field[] {
  const opened = open(bytes);
  const { view, records } = opened;
  const fields: Field[] = Array.from({ length: view.getUint32(4, true) / 4 }, (_, index) => ({
    at: index * 4,
    size: 4,
  }));
  const seen = new Set<number>([0]);
  const left = roots(opened, bytes, names, 0);
  for (let id = left.pop(); id !== undefined; id = left.pop()) {
    if (seen.has(id)) continue;
    seen.add(id);
    const { at, words } = records[id] as BtfRecord;
    fields.push({ at, size: 4 }, { at: at + 4, size: 4 }, { at: at + 7, size: 1 });
    for (const [index, word] of [...words].entries()) {
      fields.push({ at: at + 8 + index * 4, size: 4 });
      if (word === 't') left.push(view.getUint32(at + 8 + index * 4, true));
    }
  }
  return fields;
}
