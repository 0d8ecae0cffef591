import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type Btf, type BtfMember, type BtfType, openBtf } from '../../lib/host/btf.ts';
import { layoutsFromBtf } from '../../lib/host/btf-layout.ts';
import { parseVdsoElf } from '../../lib/host/elf.ts';
import type { HostFiles } from '../../lib/host/files.ts';
import { readKernelLog } from '../../lib/host/kernel-log.ts';
import { findKernelMappings } from '../../lib/host/kernel-mappings.ts';
import { readTimeNamespaceFacts } from '../../lib/host/time-namespace.ts';
import { BUNDLED_LEAP_TABLE } from '../../lib/leap/bundled.ts';
import { parseLeapTable } from '../../lib/leap/parse.ts';
import type { Addon } from '../../lib/native/addon.ts';
import {
  basetimeOffsets,
  type KernelClockOffsets,
  type KernelPageLayout,
  KNOWN_LAYOUTS,
} from '../../lib/page/kernel-layout.ts';
import {
  decodeKernelPage,
  decodeNamespaceOffsets,
  type KernelPageSnapshot,
  kernelSegment,
} from '../../lib/page/kernel-page.ts';
import { PAGE_CLOCKS } from '../../lib/page/posix-clocks.ts';
import { decodePvclock, pvclockHz } from '../../lib/page/pvclock.ts';
import { evaluate, frequencyHz, isInWindow, type Segment } from '../../lib/page/segment.ts';
import { BtfBuilder } from '../support/btf-builder.ts';
import { kernelBtf } from '../support/kernel-btf.ts';
import { tzifBytes } from '../support/tzif-builder.ts';
import type { Attempt, Subject } from './driver.ts';
import type { Field, Sample } from './mutate.ts';
import { BTF_NAMES, btfFields } from './trim-btf.ts';

const U64 = 1n << 64n;
const PAGE_BYTES = 4096;
const MOST_SAMPLE_BYTES = 32 << 10;

function fixture(path: string): Uint8Array {
  return Uint8Array.from(readFileSync(new URL(path, import.meta.url)));
}

function word(at: number, size: Field['size']): Field {
  return { at, size };
}

function isWhole(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

// The kernel's clock page.

const VVAR = fixture('../fixtures/vvar-6.18.bin');
const NEWEST = KNOWN_LAYOUTS.at(-1) as KernelPageLayout;
const RECORDED = decodeKernelPage(VVAR, NEWEST);

function clockFields(at: KernelClockOffsets): Field[] {
  return [
    word(at.seq, 4),
    word(at.mode, 4),
    word(at.cycleLast, 8),
    ...(at.maxCycles === null ? [] : [word(at.maxCycles, 8)]),
    ...(at.mask === null ? [] : [word(at.mask, 8)]),
    word(at.mult, 4),
    word(at.shift, 4),
  ];
}

function pageFields(layout: KernelPageLayout): Field[] {
  const bases = PAGE_CLOCKS.flatMap((clock) => {
    const { seconds, nanoseconds } = basetimeOffsets(layout, clock);
    return [word(seconds, 8), word(nanoseconds, 8)];
  });
  return [...clockFields(layout.main), ...clockFields(layout.raw), ...bases, word(layout.hrtimerRes, 4)];
}

/** A page of another kernel's layout with the recorded values; `mode` and `seq` as a time namespace sets them. */
function pageSample(layout: KernelPageLayout, isNamespace = false): Sample {
  const bytes = new Uint8Array(PAGE_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [at, words] of [
    [layout.main, RECORDED.main],
    [layout.raw, RECORDED.raw],
  ] as const) {
    view.setUint32(at.seq, isNamespace ? 1 : words.seq, true);
    view.setUint32(at.mode, isNamespace ? 0x7fff_ffff : words.mode, true);
    view.setBigUint64(at.cycleLast, words.cycleLast, true);
    if (at.maxCycles !== null) view.setBigUint64(at.maxCycles, words.maxCycles ?? 0n, true);
    if (at.mask !== null) view.setBigUint64(at.mask, words.mask ?? 0n, true);
    view.setUint32(at.mult, Number(words.mult), true);
    view.setUint32(at.shift, words.shift, true);
  }
  for (const clock of PAGE_CLOCKS) {
    const at = basetimeOffsets(layout, clock);
    const { seconds, nsecAsStored } = RECORDED.basetimes[clock];
    view.setBigInt64(at.seconds, isNamespace ? -seconds : seconds, true);
    view.setBigUint64(at.nanoseconds, isNamespace ? 999_999_999n : nsecAsStored, true);
  }
  view.setUint32(layout.hrtimerRes, RECORDED.hrtimerResNs, true);
  const name = `page of ${layout.name}${isNamespace ? ' in a time namespace' : ''}`;
  return { name, bytes, fields: pageFields(layout) };
}

function useSegment(segment: Segment): void {
  const { base, maxDelta, mult, shift, wholeNs } = segment;
  assert(maxDelta > 0n && maxDelta <= U64, 'a window is empty or wider than the counter');
  assert(mult >= 0n && mult < 1n << 32n && shift >= 0 && shift < 64, 'mult or shift is out of range');
  const places = [0n, 1n << 63n, U64 - 1n, base, base - 1n, base + maxDelta - 1n, base + maxDelta];
  for (const cycles of places.map((place) => BigInt.asUintN(64, place))) {
    const ns = evaluate(segment, cycles);
    // Behind the whole nanoseconds the kernel adds an unsigned word, whatever the counter.
    assert(ns >= wholeNs && ns < wholeNs + U64, 'a value lies outside the range of the page');
  }
  assert(isInWindow(segment, base), 'a base is outside its own window');
}

function usePage(snapshot: KernelPageSnapshot, attempt: Attempt): void {
  for (const clock of PAGE_CLOCKS) attempt(() => useSegment(kernelSegment(snapshot, clock)));
  assert(frequencyHz(snapshot.raw) > 0, 'a frequency is not positive');
}

const pageSubject: Subject = {
  name: 'page',
  samples: [
    { name: 'vvar-6.18.bin', bytes: VVAR, fields: pageFields(NEWEST) },
    ...KNOWN_LAYOUTS.flatMap((layout) => [pageSample(layout), pageSample(layout, true)]),
  ],
  codes: ['ERR_BAD_PAGE'],
  run(bytes, attempt) {
    for (const layout of KNOWN_LAYOUTS) {
      attempt(() => usePage(decodeKernelPage(bytes, layout), attempt));
      attempt(() => usePage(decodeKernelPage(bytes, layout, decodeNamespaceOffsets(bytes, layout)), attempt));
    }
  },
};

const PVCLOCK = new Uint8Array(64);
{
  // A 3 GHz counter: 2^32 / 3 nanoseconds a cycle, stable.
  const view = new DataView(PVCLOCK.buffer);
  view.setUint32(0, 6, true);
  view.setBigUint64(8, 0x5d2f53bf6fen, true);
  view.setBigUint64(16, 2_466_524_161_226n, true);
  view.setUint32(24, 0xaaaa_aaab, true);
  view.setInt8(28, -1);
  view.setUint8(29, 1);
}

const pvclockSubject: Subject = {
  name: 'pvclock',
  samples: [
    {
      name: 'pvclock page',
      bytes: PVCLOCK,
      fields: [word(0, 4), word(8, 8), word(16, 8), word(24, 4), word(28, 1), word(29, 1)],
    },
  ],
  codes: ['ERR_BAD_PAGE'],
  run(bytes) {
    const words = decodePvclock(bytes);
    const hz = pvclockHz(words);
    assert(Number.isFinite(hz) && hz > 0, 'a frequency is no positive number');
    assert(words.tscShift >= -128 && words.tscShift <= 127 && words.flags <= 255, 'a byte is out of range');
  },
};

// BTF.

const MOST_PARTS = 1 << 17;

function checkMember(member: BtfMember, sizeOfWhole: number, left: { parts: number }): void {
  const { offset, size, type, bitOffset, bitSize } = member;
  assert(isWhole(offset) && isWhole(size), 'a place is no whole number');
  if (bitSize === undefined || bitOffset === undefined) {
    assert(offset + size <= sizeOfWhole, 'a member lies outside its struct');
  } else {
    assert(bitSize > 0 && isWhole(bitOffset), 'a bit-field has no width or place');
    assert(offset === Math.floor(bitOffset / 8), 'a bit-field is not in its byte');
    assert(bitOffset + bitSize <= sizeOfWhole * 8, 'a bit-field lies outside its struct');
  }
  checkType(type, left);
}

function checkType(type: BtfType, left: { parts: number }): void {
  assert(--left.parts > 0, 'a struct has more parts than any');
  assert(isWhole(type.size), 'a size is no whole number');
  if (type.element !== undefined) {
    assert(type.size === type.element.size * (type.count ?? Number.NaN), 'an array is not its elements');
    checkType(type.element, left);
  }
  for (const member of type.members ?? []) checkMember(member, type.size, left);
}

const MOST_PATHS = 8;

function useStruct(btf: Btf, name: string): void {
  const struct = btf.struct(name);
  if (struct === null) return;
  const left = { parts: MOST_PARTS };
  for (const member of struct.members) checkMember(member, struct.size, left);
  const first = new Map(struct.members.toReversed().map((member) => [member.name, member]));
  const paths = [...first.values()].filter(
    (member) => member.bitSize === undefined && /^[A-Za-z_]\w*$/.test(member.name),
  );
  for (const { name: path, offset, size, type } of paths.slice(-MOST_PATHS)) {
    assert.deepEqual(btf.offsetOf(name, path), { offset, size }, 'a path leads elsewhere than its member');
    if (type.element === undefined || type.count === undefined || type.count === 0) continue;
    const last = btf.offsetOf(name, `${path}[${Math.min(type.count, 1e9) - 1}]`);
    assert(last.offset + last.size <= offset + size, 'an element lies outside its array');
  }
}

function checkLayout(layout: KernelPageLayout): void {
  const places = [...Object.values(layout.main), ...Object.values(layout.raw), layout.hrtimerRes];
  assert(
    places.every((at) => at === null || isWhole(at)),
    'a word of a layout lies at no whole byte',
  );
}

/** Every kind of type; bit-fields of both encodings, anonymous parts, and a section that lays kinds out. */
function everyKind(): Uint8Array {
  const btf = new BtfBuilder();
  const u32 = btf.int('unsigned int', 4);
  const u64 = btf.alias('typedef', btf.int('long long unsigned int', 8), 'u64');
  const stamp = btf.struct('vdso_timestamp', 16, [
    { name: 'sec', type: u64 },
    { name: 'nsec', type: u64, offset: 8 },
  ]);
  const inner = btf.struct('', 8, [
    { name: 'low', type: btf.alias('const', btf.alias('volatile', u32)) },
    { name: 'old_bits', type: btf.int('int', 4, { usedBits: 3, firstBit: 2 }), offset: 4 },
  ]);
  const flags = btf.struct('', 4, [
    { name: 'one', type: u32, bits: { offset: 0, size: 1 } },
    { name: 'rest', type: u32, bits: { offset: 1, size: 31 } },
  ]);
  const grid = btf.array(btf.array(btf.alias('typeTag', u32, 'user'), 3), 2);
  const either = btf.union('', 192, [{ name: 'basetime', type: btf.array(stamp, 12) }, { type: inner }]);
  const call = btf.functionPrototype(u32, [u64]);
  btf.alias('func', call, 'read');
  btf.forward('elsewhere');
  btf.enum('mode', { none: 0, tsc: 1 }, true);
  btf.dataSection('.data', [btf.variable('jiffies', u64)]);
  btf.declarationTag('tag', stamp);
  btf.raw(21, 'future', 2, false, 0, 7, 1, 2);
  const u32Member = (name: string, offset: number) => ({ name, type: u32, offset });
  btf.struct('vdso_data', 320, [
    u32Member('seq', 0),
    u32Member('clock_mode', 4),
    { name: 'cycle_last', type: u64, offset: 8 },
    u32Member('mult', 16),
    u32Member('shift', 20),
    { type: either, offset: 24 },
    u32Member('hrtimer_res', 216),
    { type: flags, offset: 220 },
    { name: 'grid', type: grid, offset: 224 },
    { name: 'read', type: btf.alias('restrict', btf.pointer(call)), offset: 248 },
    { name: 'ratio', type: btf.float('double', 8), offset: 256 },
    { name: 'wide', type: btf.enum64('wide', { far: 1n << 40n }), offset: 264 },
    { name: 'inner', type: inner, offset: 272 },
    { name: 'tail', type: btf.array(stamp, 0), offset: 320 },
  ]);
  const layout = new Uint8Array(22 * 4);
  layout.set([0, 6], 21 * 4);
  return btf.build({ layout });
}

/** Types near the limits of what is followed: nested, chained, large and long-named. A small change goes beyond. */
function nearLimits(): Uint8Array {
  const btf = new BtfBuilder();
  const byte = btf.int('n'.repeat(500), 1);
  let array = byte;
  for (let depth = 0; depth < 5; depth++) array = btf.array(array, 1);
  let chain = array;
  for (let hops = 0; hops < 14; hops++)
    chain = btf.alias(hops % 2 === 0 ? 'const' : 'typedef', chain, 'link');
  let nested = btf.struct('', 1, [{ name: 'deep', type: chain }]);
  for (let depth = 0; depth < 4; depth++)
    nested = btf.union('', 1, [{ type: nested }, { name: `m${depth}`, type: nested }]);
  const long = btf.array(btf.array(byte, 0xffff), 0xffff);
  btf.struct('clocksource', 0xffff_ffff, [
    { type: nested },
    { name: 'm'.repeat(511), type: long, offset: 1 },
  ]);
  const u64 = btf.int('u64', 8);
  const stamp = btf.struct('vdso_timestamp', 16, [
    { name: 'sec', type: u64 },
    { name: 'nsec', type: u64, offset: 8 },
  ]);
  const names = ['seq', 'clock_mode', 'cycle_last', 'mult', 'shift', 'hrtimer_res'];
  btf.struct('vdso_data', 240, [
    ...names.map((name, index) => ({ name, type: u64, offset: index * 8 })),
    { name: 'basetime', type: btf.array(stamp, 12), offset: 48 },
  ]);
  return btf.build();
}

/** The header's words, and every fourth byte after them: the sample is small. */
function wordFields(bytes: Uint8Array): Field[] {
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, index) => word(index * 4, 4));
}

export function btfSubject(samples: readonly Sample[]): Subject {
  return {
    name: 'btf',
    samples,
    codes: ['ERR_BAD_BTF', 'ERR_BAD_PAGE'],
    run(bytes, attempt) {
      const btf = openBtf(bytes);
      for (const name of BTF_NAMES) attempt(() => useStruct(btf, name));
      attempt(() => {
        for (const layout of layoutsFromBtf(btf)) {
          checkLayout(layout);
          attempt(() => usePage(decodeKernelPage(VVAR, layout), attempt));
        }
      });
    },
  };
}

export function btfSample(name: string, bytes: Uint8Array): Sample {
  return { name, bytes, fields: btfFields(bytes, BTF_NAMES) };
}

export const trimmedBtf = fixture('samples/btf-6.18.bin');

const btfSamples: readonly Sample[] = [
  btfSample('btf-6.18.bin', trimmedBtf),
  ...KNOWN_LAYOUTS.map((layout) => btfSample(`BTF of ${layout.name}`, kernelBtf(layout))),
  { name: 'BTF of every kind', bytes: everyKind(), fields: wordFields(everyKind()) },
  { name: 'BTF near the limits', bytes: nearLimits(), fields: btfFields(nearLimits(), BTF_NAMES) },
];

// The vDSO's ELF image.

const PT_DYNAMIC = 2;
const DYN_BYTES = 16;
const SYM_BYTES = 24;
const DT_HASH = 4n;
const UNKNOWN_TAG = 0x6000_0001n;

/** Words of the headers, of the dynamic section and of the tables that it names. */
function elfFields(bytes: Uint8Array): Field[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const table = Number(view.getBigUint64(32, true));
  const fields = [word(0, 4), word(4, 1), word(16, 2), word(18, 2), word(32, 8), word(54, 2), word(56, 2)];
  for (let index = 0; index < view.getUint16(56, true); index++) {
    const at = table + index * 56;
    fields.push(word(at, 4), word(at + 4, 4), ...[8, 16, 24, 32, 40, 48].map((next) => word(at + next, 8)));
    const [start, size] = [view.getBigUint64(at + 8, true), view.getBigUint64(at + 32, true)].map(Number);
    if (view.getUint32(at, true) !== PT_DYNAMIC || start === undefined || size === undefined) continue;
    for (let entry = start; entry < start + size; entry += DYN_BYTES) {
      fields.push(word(entry, 8), word(entry + 8, 8));
      const target = Number(view.getBigUint64(entry + 8, true));
      // The first words of each table, whichever it is: hash tables and version definitions begin with counts.
      const isTable = target > 64 && target + 8 * SYM_BYTES < bytes.length;
      for (let next = 0; isTable && next < 4 * SYM_BYTES; next += 4) fields.push(word(target + next, 4));
    }
  }
  return fields;
}

function elfSample(name: string, bytes: Uint8Array): Sample {
  return { name, bytes, fields: elfFields(bytes) };
}

const VDSO = fixture('../fixtures/vdso-6.18.bin');

/** The image without the one of its hash tables that gives the number of symbols at once. */
function withGnuHashOnly(): Uint8Array {
  const bytes = Uint8Array.from(VDSO);
  const view = new DataView(bytes.buffer);
  for (const { at, size } of elfFields(bytes)) {
    if (size === 8 && at % DYN_BYTES === 0 && view.getBigUint64(at, true) === DT_HASH)
      view.setBigUint64(at, UNKNOWN_TAG, true);
  }
  return bytes;
}

export const elfSubject: Subject = {
  name: 'elf',
  samples: [elfSample('vdso-6.18.bin', VDSO), elfSample('vDSO with DT_GNU_HASH only', withGnuHashOnly())],
  codes: ['ERR_BAD_ELF'],
  run(bytes) {
    const elf = parseVdsoElf(bytes);
    assert(isWhole(elf.loadSize) && elf.loadSize <= bytes.length, 'the image is larger than its bytes');
    assert(elf.symbols.length * SYM_BYTES <= bytes.length, 'there are more symbols than fit the bytes');
    for (const { address, size, name } of elf.symbols) {
      assert(isWhole(address) && isWhole(size) && size <= bytes.length, 'a symbol has no place');
      assert(name.length < 256, 'a name is longer than any');
    }
    const { start, end } = elf.textRange ?? { start: 0, end: 0 };
    assert(isWhole(start) && start <= end && end <= elf.loadSize, 'the text lies outside the image');
    assert(elf.buildId === null || /^(?:[0-9a-f]{2})*$/.test(elf.buildId), 'the build ID is no hexadecimal');
    assert(elf.linuxVersion === null || isWhole(elf.linuxVersion), 'the version is no number');
  },
};

// Texts of the kernel and of distributions.

const NUMBER_TOKENS = ['-', '+', '.', '0', '1', '9'.repeat(18), '9'.repeat(400), 'f'.repeat(16), '0x', 'e9'];
const TEXT_TOKENS = [...NUMBER_TOKENS, ' ', '\n', '\r\n', '\t', '\0', '#', '[', ']', '\u{1f551}', 'NaN'];

function text(name: string, content: string | Uint8Array, ...tokens: string[]): Sample {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  return { name, bytes, fields: [], tokens: [...TEXT_TOKENS, ...tokens] };
}

function decoded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}

/** A host with nothing but these files; a file not given is empty, a link leads to the text. */
function filesOf(contents: Readonly<Record<string, Uint8Array>>): HostFiles {
  const get = (path: string): Uint8Array => contents[path] ?? new Uint8Array();
  return {
    read: (path, mostBytes) => get(path).subarray(0, mostBytes),
    readRecords: (path, mostRecords) => decoded(get(path)).split('\n').slice(0, mostRecords),
    readLink: (path) => decoded(get(path)),
    readAt: (path, offset, mostBytes) => get(path).subarray(Number(offset), Number(offset) + mostBytes),
    list: () => [],
  };
}

const LEAP_ROWS = `#$\t3676924800
#@\t3928521600
2272060800\t10\t# 1 Jan 1972
2287785600\t11\t# 1 Jul 1972
2303683200\t12\t# 1 Jan 1973
2335219200\t11\t# a negative one
#h\t1 2 3 4 5
`;

const TZ_ROWS = `# Allowance for leap seconds
Leap\t1972\tJun\t30\t23:59:60\t+\tS
Leap\t1972\tDec\t31\t23:59:59\t-\tS
#updated 1783323897 (2026-07-06)
#expires 1814140800 (2027-06-28)
`;

const IERS_ROWS = `#  File expires on 28 December 2022
#    MJD        Date        TAI-UTC (s)
    41317.0    1  1 1972       10
    41499.0    1  7 1972       11
    41683.0    1  1 1973       12
`;

function tzifSample(version: 1 | 2 | 4): Sample {
  const expires = version === 1 ? null : 1_814_140_800n;
  const bytes = tzifBytes({ entries: BUNDLED_LEAP_TABLE.entries, expires, version });
  const counts = [20, 24, 28, 32, 36, 40].map((at) => ({ at, size: 4 as const }));
  return { name: `TZif of version ${version}`, bytes, fields: counts, tokens: ['TZif', '\n', 'UTC0'] };
}

const leapTableSubject: Subject = {
  name: 'leap-table',
  samples: [
    text('leap-seconds.list', fixture('../fixtures/leap-seconds.list'), '#$', '#@', '#h', '86400'),
    text('a few rows', LEAP_ROWS, '#$', '#@', '#h', '86400'),
    text("tzdata's leapseconds", TZ_ROWS, 'Leap', 'Expires', '#updated ', '#expires ', '23:59:60', 'Dec'),
    text('Leap_Second.dat', IERS_ROWS, '#  File expires on ', '.0', '41499', '1972'),
    ...([1, 2, 4] as const).map(tzifSample),
  ],
  codes: ['ERR_BAD_LEAP_TABLE'],
  run(bytes) {
    const { entries, updated, expires } = parseLeapTable(bytes, false).table;
    assert(entries.length > 0, 'a table has no entry');
    for (const [index, { unixSeconds, taiOffsetSeconds }] of entries.entries()) {
      const before = entries[index - 1];
      assert(unixSeconds % 86_400n === 0n, 'an entry is not at the start of a day');
      assert(Number.isSafeInteger(taiOffsetSeconds), 'a TAI offset is no whole number');
      if (before === undefined) continue;
      assert(unixSeconds > before.unixSeconds, 'entries do not ascend');
      assert(Math.abs(taiOffsetSeconds - before.taiOffsetSeconds) === 1, 'a leap is not one second');
      assert(new Date(Number(unixSeconds) * 1000).getUTCDate() === 1, 'a leap is in mid-month');
      assert(expires === null || unixSeconds <= expires, 'a leap is after the expiry');
    }
    for (const time of [updated, expires]) {
      assert(time === null || !Number.isNaN(new Date(Number(time) * 1000).getTime()), 'a time has no date');
    }
  },
};

const MAPS = `55d0c8a00000-55d0c8b00000 r--p 00000000 fe:00 131 /usr/bin/node
7ffd05bd6000-7ffd05bf7000 rw-p 00000000 00:00 0                          [stack]
7ffd05bf8000-7ffd05bfa000 r--p 00000000 00:00 0                          [vvar]
7ffd05bfa000-7ffd05bfc000 r--p 00000000 00:00 0                          [vvar_vclock]
7ffd05bfc000-7ffd05bfe000 r-xp 00000000 00:00 0                          [vdso]
`;

const addonWithoutVdso = { vdsoBase: () => null } as unknown as Addon;

const mapsSubject: Subject = {
  name: 'maps',
  samples: [text('/proc/self/maps', MAPS, '[vvar]', '[vdso]', '[vvar_vclock]', '-', '0'.repeat(12))],
  codes: [],
  run(bytes) {
    const { pages, vdso } = findKernelMappings(addonWithoutVdso, filesOf({ '/proc/self/maps': bytes }));
    assert(pages.length <= 1024, 'there are more pages than a kernel maps');
    for (const { address, index } of pages) assert(address >= 0n && isWhole(index), 'a page has no place');
    assert(vdso === null || vdso.start >= 0n, 'the vDSO has no place');
  },
};

const KERNEL_LOG = `6,1,1000,-;tsc: Detected 2596.144 MHz processor
6,2,1000,-;clocksource: tsc: mask: 0xffffffffffffffff max_cycles: 0x256c0161b7a, max_idle_ns: 440795284980 ns
6,3,1000,-;tsc: Refined TSC clocksource calibration: 2596.123 MHz
4,4,1000,-;tsc: Marking TSC unstable due to check_tsc_sync_source failed
4,5,1000,-;clocksource:         CPUs 7 ahead of CPU 5 for clocksource tsc.
`;

const kernelLogSubject: Subject = {
  name: 'kernel-log',
  samples: [text('/dev/kmsg', KERNEL_LOG, ';', 'tsc: ', 'TSC', 'max_cycles: 0x', ' MHz')],
  codes: [],
  run(bytes) {
    const { tscMhz, tscClocksource, doubts } = readKernelLog(filesOf({ '/dev/kmsg': bytes }));
    assert(tscMhz === null || (Number.isFinite(tscMhz) && tscMhz >= 0), 'a frequency is no number');
    assert(tscClocksource === null || tscClocksource.maxCycles >= 0n, 'a limit is negative');
    assert(
      doubts.every(({ line }) => !line.includes('\n')),
      'a doubt is more than a line',
    );
  },
};

const OFFSETS = `monotonic           3        14
boottime          -15        92
`;

const timeNamespaceSubject: Subject = {
  name: 'time-namespace',
  samples: [
    text('offsets', OFFSETS, 'monotonic', 'boottime'),
    text('link', 'time:[4026531834]', 'time:[', ']'),
  ],
  codes: [],
  run(bytes) {
    const { inode, inTimeNamespace } = readTimeNamespaceFacts(
      filesOf({ '/proc/self/timens_offsets': bytes, '/proc/self/ns/time': bytes }),
    );
    assert(inode === null || inode >= 0n, 'an inode is negative');
    assert((inode === null) === (inTimeNamespace === null), 'a namespace is known without its inode');
  },
};

/** Every parser, with its part of the inputs in hundredths. */
export const SUBJECTS: readonly (readonly [Subject, number])[] = [
  [btfSubject(btfSamples), 30],
  [elfSubject, 25],
  [pageSubject, 20],
  [pvclockSubject, 5],
  [leapTableSubject, 8],
  [mapsSubject, 4],
  [kernelLogSubject, 4],
  [timeNamespaceSubject, 4],
];

for (const { name, bytes } of SUBJECTS.flatMap(([{ samples }]) => samples)) {
  assert(bytes.length <= MOST_SAMPLE_BYTES, `sample ${name} is too large to be run so often`);
}
