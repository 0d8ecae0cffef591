import { accessSync, constants, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isLatchclockError } from '../../lib/errors.ts';
import { type Btf, type BtfMember, openBtf } from '../../lib/host/btf.ts';
import { BtfBuilder, type BuiltMember } from '../support/btf-builder.ts';

const KERNEL_BTF = '/sys/kernel/btf/vmlinux';

function readable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** Every kind of type, and a struct that reaches most of them. */
function sampleBtf(): Uint8Array {
  const btf = new BtfBuilder();
  const u32 = btf.int('unsigned int', 4);
  const s64 = btf.int('long long int', 8, { signed: true });
  const u64 = btf.alias('typedef', btf.int('long long unsigned int', 8), 'u64');
  const stamp = btf.struct('stamp', 16, [
    { name: 'sec', type: u64 },
    { name: 'nsec', type: u64, offset: 8 },
  ]);
  const either = btf.union('', 32, [
    { name: 'base', type: btf.array(stamp, 2) },
    {
      type: btf.struct('', 12, [
        { name: 'deep', type: s64 },
        { name: 'low', type: u32, offset: 8 },
      ]),
    },
  ]);
  btf.struct('clock', 88, [
    { name: 'seq', type: btf.alias('volatile', btf.alias('const', u32)) },
    { name: 'mode', type: btf.enum('mode', { none: 0, tsc: 1 }, true), offset: 4 },
    { type: either, offset: 8 },
    { name: 'read', type: btf.pointer(btf.functionPrototype(u32, [u32])), offset: 40 },
    { name: 'grid', type: btf.array(btf.array(btf.alias('typedef', u32, 'word'), 3), 2), offset: 48 },
    {
      name: 'inner',
      type: btf.struct('', 8, [{ name: 'only', type: btf.alias('typeTag', s64, 'user') }]),
      offset: 72,
    },
    { name: 'wide', type: btf.enum64('wide', { all: -1n }), offset: 80 },
    { name: 'tail', type: btf.array(stamp, 0), offset: 88 },
  ]);
  btf.struct('flags', 8, [
    { name: 'plain', type: u32, bits: { offset: 0, size: 0 } },
    { name: 'three', type: u32, bits: { offset: 32, size: 3 } },
    { name: 'rest', type: u32, bits: { offset: 35, size: 29 } },
  ]);
  btf.declarationTag('tag', stamp);
  btf.alias('func', btf.functionPrototype(0, []), 'main');
  btf.dataSection('.data', [btf.variable('global', u64)]);
  btf.struct('holder', 8, [{ name: 'value', type: btf.float('double', 8) }]);
  btf.forward('elsewhere');
  return btf.build();
}

function names(btf: Btf, struct: string): [string, number, number][] | undefined {
  return btf.struct(struct)?.members.map(({ name, offset, size }) => [name, offset, size]);
}

function failure(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return null;
}

/** Asks everything of the bytes that a caller could; only errors of this package may come back. */
function exercise(bytes: Uint8Array): void {
  const questions: ((btf: Btf) => unknown)[] = [
    (btf) => btf.struct('clock'),
    (btf) => btf.struct('flags'),
    (btf) => btf.struct('stamp'),
    (btf) => btf.offsetOf('clock', 'base[1].nsec'),
    (btf) => btf.offsetOf('clock', 'grid[1][2]'),
    (btf) => btf.offsetOf('clock', 'inner.only'),
  ];
  for (const ask of questions) {
    const error = failure(() => ask(openBtf(bytes)));
    if (error !== null && !isLatchclockError(error, 'ERR_BAD_BTF')) throw error;
  }
}

describe('layouts', () => {
  const btf = openBtf(sampleBtf());

  test('members of anonymous structs and unions are flattened into their parent', () => {
    expect(names(btf, 'clock')).toEqual([
      ['seq', 0, 4],
      ['mode', 4, 4],
      ['base', 8, 32],
      ['deep', 8, 8],
      ['low', 16, 4],
      ['read', 40, 8],
      ['grid', 48, 24],
      ['inner', 72, 8],
      ['wide', 80, 8],
      ['tail', 88, 0],
    ]);
  });

  test('types are described behind their typedefs and qualifiers', () => {
    const types = new Map(btf.struct('clock')?.members.map(({ name, type }) => [name, type]));
    const word = { kind: 'int', name: 'unsigned int', size: 4, signed: false };
    const row = { kind: 'array', name: '', size: 12, count: 3, element: word };
    const stamp = { kind: 'struct', name: 'stamp', size: 16 };
    const wide = { kind: 'int', name: 'long long int', size: 8, signed: true };
    const only = { name: 'only', offset: 0, size: 8, type: wide };
    expect(types.get('seq')).toEqual(word);
    expect(types.get('mode')).toEqual({ kind: 'enum', name: 'mode', size: 4, signed: true });
    expect(types.get('read')).toEqual({ kind: 'pointer', name: '', size: 8 });
    expect(types.get('grid')).toEqual({ kind: 'array', name: '', size: 24, count: 2, element: row });
    expect(types.get('base')).toEqual({ kind: 'array', name: '', size: 32, count: 2, element: stamp });
    expect(types.get('inner')).toEqual({ kind: 'struct', name: '', size: 8, members: [only] });
    expect(types.get('tail')).toEqual({ kind: 'array', name: '', size: 0, count: 0, element: stamp });
    expect(btf.struct('holder')?.members[0]?.type).toEqual({ kind: 'float', name: 'double', size: 8 });
  });

  test('a bit-field has its place and width in bits, its neighbours do not', () => {
    const places = btf.struct('flags')?.members.map(({ type: _, ...place }) => place);
    expect(places).toEqual([
      { name: 'plain', offset: 0, size: 4 },
      { name: 'three', offset: 4, size: 4, bitOffset: 32, bitSize: 3 },
      { name: 'rest', offset: 4, size: 4, bitOffset: 35, bitSize: 29 },
    ]);
  });

  test('a bit-field in the older encoding, by an integer with fewer bits, is found too', () => {
    const old = new BtfBuilder();
    const five = old.int('unsigned int', 4, { usedBits: 5 });
    old.struct('old', 4, [{ name: 'low', type: old.int('unsigned int', 4, { usedBits: 3, firstBit: 1 }) }]);
    old.struct('older', 4, [{ name: 'five', type: five }]);
    expect(openBtf(old.build()).struct('old')?.members[0]).toMatchObject({
      offset: 0,
      bitOffset: 1,
      bitSize: 3,
    });
    expect(openBtf(old.build()).struct('older')?.members[0]).toMatchObject({
      offset: 0,
      bitOffset: 0,
      bitSize: 5,
    });
  });

  test('of several structs with a name the first with members is taken', () => {
    const twice = new BtfBuilder();
    twice.struct('twice', 0, []);
    twice.struct('twice', 4, [{ name: 'first', type: twice.int('int', 4) }]);
    twice.union('twice', 8, [{ name: 'second', type: twice.int('long int', 8) }]);
    expect(openBtf(twice.build()).struct('twice')).toMatchObject({
      kind: 'struct',
      members: [{ name: 'first' }],
    });
  });

  test('a name that no struct has gives null, also when it is the beginning of one or spans two', () => {
    for (const name of ['', 'cloc', 'clocks', 'u64', 'elsewhere', 'stamp\0sec'])
      expect(btf.struct(name)).toBeNull();
  });

  test('built layouts come back as declared', () => {
    fc.assert(
      fc.property(shape, (declared) => {
        const builder = new BtfBuilder();
        const { size, flat } = declared.build(builder, 'top');
        const parsed = openBtf(builder.build()).struct('top');
        expect(parsed?.size).toBe(size);
        expect(parsed?.members.map(({ name, offset, size: bytes }) => [name, offset, bytes])).toEqual(flat);
      }),
      { numRuns: 300 },
    );
  });
});

/** A member of a simple type, an array of it if there is a count; `gap` bytes stay free before it. */
interface Leaf {
  gap: number;
  size: number;
  count: number | null;
  wrapping: ('typedef' | 'const' | 'volatile' | 'restrict' | 'typeTag')[];
}

/** A struct or union to build: it says how large it came out and which members a reader must see. */
interface Shape {
  build(builder: BtfBuilder, name: string): { id: number; size: number; flat: [string, number, number][] };
}

interface Part {
  gap: number;
  nested: Shape;
}

const leaf: fc.Arbitrary<Leaf> = fc.record({
  gap: fc.nat(9),
  size: fc.constantFrom(1, 2, 4, 8),
  count: fc.option(fc.integer({ min: 0, max: 5 })),
  wrapping: fc.array(fc.constantFrom('typedef', 'const', 'volatile', 'restrict', 'typeTag'), {
    maxLength: 3,
  }),
});

const { shape } = fc.letrec<{ shape: Shape; part: Part }>((tie) => ({
  part: fc.record({ gap: fc.nat(9), nested: tie('shape') }),
  shape: fc
    .tuple(
      fc.boolean(),
      fc.array(fc.oneof({ maxDepth: 4 }, leaf, tie('part')), { minLength: 1, maxLength: 5 }),
    )
    .map(
      ([isUnion, parts]): Shape => ({ build: (builder, name) => buildShape(builder, name, isUnion, parts) }),
    ),
}));

function buildShape(
  builder: BtfBuilder,
  name: string,
  isUnion: boolean,
  parts: (Leaf | Part)[],
): ReturnType<Shape['build']> {
  const members: BuiltMember[] = [];
  const flat: [string, number, number][] = [];
  let size = 0;
  for (const part of parts) {
    const offset = isUnion ? 0 : size + part.gap;
    let bytes: number;
    if ('nested' in part) {
      const nested = part.nested.build(builder, '');
      bytes = nested.size;
      members.push({ type: nested.id, offset });
      flat.push(
        ...nested.flat.map(([inner, at, width]): [string, number, number] => [inner, at + offset, width]),
      );
    } else {
      let type = builder.int(`int${part.size}`, part.size);
      const label = `m${type}`;
      bytes = part.size * (part.count ?? 1);
      if (part.count !== null) type = builder.array(type, part.count);
      for (const kind of part.wrapping) type = builder.alias(kind, type, kind);
      members.push({ name: label, type, offset });
      flat.push([label, offset, bytes]);
    }
    size = Math.max(size, offset + bytes);
  }
  const id = isUnion ? builder.union(name, size, members) : builder.struct(name, size, members);
  return { id, size, flat };
}

describe('paths', () => {
  const btf = openBtf(sampleBtf());

  test.each([
    ['seq', 0, 4],
    ['base', 8, 32],
    ['base[1]', 24, 16],
    ['base[1].nsec', 32, 8],
    ['low', 16, 4],
    ['grid[1]', 60, 12],
    ['grid[1][2]', 68, 4],
    ['inner.only', 72, 8],
  ])('%s is at its offset with its size', (path, offset, size) => {
    expect(btf.offsetOf('clock', path)).toEqual({ offset, size });
  });

  test.each(['', '.', 'seq.', '[0]', 'base[-1]', 'base[1', 'base[0x1]', 'a b', 'base[9999999999]'])(
    "'%s' is no path",
    (path) => {
      expect(() => btf.offsetOf('clock', path)).toThrow(
        expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }),
      );
    },
  );

  test.each([
    ['clock', 'none', /no member none/],
    ['clock', 'base[2]', /not below the array's length 2/],
    ['clock', 'tail[0]', /not below the array's length 0/],
    ['clock', 'seq[0]', /no array/],
    ['clock', 'seq.x', /no member x/],
    ['clock', 'read.x', /no member x/],
    ['flags', 'three', /bit-field/],
    ['nowhere', 'x', /no struct nowhere/],
  ])('%s.%s is refused for its reason', (struct, path, reason) => {
    const error = failure(() => btf.offsetOf(struct, path));
    expect(isLatchclockError(error, 'ERR_BAD_BTF')).toBe(true);
    expect(String(error)).toMatch(reason);
  });
});

describe('malformed and hostile bytes', () => {
  const sample = sampleBtf();

  function patched(at: number, ...bytes: number[]): Uint8Array {
    const copy = Uint8Array.from(sample);
    copy.set(bytes, at);
    return copy;
  }

  test.each([
    ['nothing', new Uint8Array(), /cut short/],
    ['another magic', patched(0, 0x7f, 0x45), /BTF magic.*byte 0x0/],
    ['big-endian BTF', patched(0, 0xeb, 0x9f), /big-endian/],
    ['an unknown version', patched(2, 9), /version 9/],
    ['a header that is too short', patched(4, 23), /header of 23 bytes/],
    ['a header past the end', patched(4, 0, 0, 1), /cut short/],
    ['a type section past the end', patched(12, 0xff, 0xff, 0xff, 0xff), /type section/],
    ['a string section past the end', patched(20, 0xff, 0xff, 0xff, 0xff), /string section/],
    ['strings without a NUL at the end', patched(sample.length - 1, 0x41), /NUL/],
    ['an unknown kind', patched(24 + 7, 0x7e), /type 1 has the unknown kind 126 \(byte 0x18\)/],
    [
      'a record that leaves the section',
      patched(24 + 4, 0xff, 0xff, 0xff, 4),
      /type 1 of kind 4 is cut short/,
    ],
  ])('%s is refused with the reason', (_, bytes, reason) => {
    const error = failure(() => openBtf(bytes));
    expect(isLatchclockError(error, 'ERR_BAD_BTF')).toBe(true);
    expect(String(error)).toMatch(reason);
  });

  test('a longer header than the known one is skipped', () => {
    const btf = new BtfBuilder();
    btf.struct('s', 4, [{ name: 'm', type: btf.int('int', 4) }]);
    expect(openBtf(btf.build({ headerExtra: 5 })).struct('s')?.members).toHaveLength(1);
  });

  test('an unknown kind is skipped if the BTF lays it out', () => {
    const btf = new BtfBuilder();
    btf.raw(21, 'future', 2, false, 0, 7, 1, 2);
    btf.struct('s', 4, [{ name: 'm', type: btf.int('int', 4) }]);
    const layout = new Uint8Array(22 * 4);
    layout.set([4, 4], 21 * 4);
    expect(openBtf(btf.build({ layout })).struct('s')?.members).toHaveLength(1);
    expect(() => openBtf(btf.build())).toThrow(/unknown kind 21/);
  });

  function refusal(build: (btf: BtfBuilder) => unknown): string {
    const builder = new BtfBuilder();
    build(builder);
    const bytes = builder.build();
    const error = failure(() => openBtf(bytes).struct('s'));
    expect(isLatchclockError(error, 'ERR_BAD_BTF')).toBe(true);
    return String(error);
  }

  test.each<[string, RegExp, (btf: BtfBuilder) => unknown]>([
    [
      'typedefs in a circle',
      /circle/,
      (btf) => [
        btf.alias('typedef', 2, 'a'),
        btf.alias('const', 1),
        btf.struct('s', 4, [{ name: 'm', type: 1 }]),
      ],
    ],
    [
      'an array of itself',
      /circle/,
      (btf) => [btf.raw(3, '', 0, false, 0, 1, 1, 1), btf.struct('s', 4, [{ name: 'm', type: 1 }])],
    ],
    [
      'an anonymous struct in itself',
      /contains itself/,
      (btf) => [btf.struct('', 4, [{ type: 1 }]), btf.struct('s', 4, [{ type: 1 }])],
    ],
    [
      'an unnamed struct as its own member',
      /contains itself/,
      (btf) => [btf.struct('', 4, [{ name: 'm', type: 1 }]), btf.struct('s', 4, [{ name: 'm', type: 1 }])],
    ],
    [
      'a type that does not exist',
      /type 77 does not exist/,
      (btf) => btf.struct('s', 4, [{ name: 'm', type: 77 }]),
    ],
    [
      'a member outside its struct',
      /outside its struct/,
      (btf) => btf.struct('s', 4, [{ name: 'm', type: btf.int('int', 4), offset: 1 }]),
    ],
    [
      'an array larger than any struct',
      /larger than any struct/,
      (btf) => btf.struct('s', 4, [{ name: 'm', type: btf.array(btf.array(btf.int('int', 4), 1e6), 1e6) }]),
    ],
    [
      'a name longer than any',
      /longer than 511 bytes/,
      (btf) => btf.struct('s', 4, [{ name: 'm'.repeat(512), type: btf.int('int', 4) }]),
    ],
    [
      'anonymous unions that double at every level',
      /more than 65536 parts/,
      (btf) => {
        let id = btf.union('', 4, [{ name: 'm', type: btf.int('int', 4) }]);
        for (let level = 0; level < 15; level++) id = btf.union('', 4, Array(16).fill({ type: id }));
        btf.struct('s', 4, [{ type: id }]);
      },
    ],
  ])('%s is refused', (_, reason, build) => {
    expect(refusal(build)).toMatch(reason);
  });

  test('every prefix is refused, or is whole', () => {
    for (let length = 0; length < sample.length; length++) {
      const error = failure(() => openBtf(sample.slice(0, length)));
      expect(isLatchclockError(error, 'ERR_BAD_BTF')).toBe(true);
    }
  });

  test('mutated bytes give an answer or an error of this package', () => {
    const byte = fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.nat(255));
    const edits = fc.array(fc.tuple(fc.nat(sample.length - 1), byte), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(edits, (list) => {
        const bytes = Uint8Array.from(sample);
        for (const [at, value] of list) bytes[at] = value;
        exercise(bytes);
      }),
      { seed: 20_201_208, numRuns: 5000 },
    );
  });
});

describe.skipIf(!readable(KERNEL_BTF))(`this kernel (skipped if ${KERNEL_BTF} cannot be read)`, () => {
  const bytes = readable(KERNEL_BTF) ? readFileSync(KERNEL_BTF) : new Uint8Array();

  test('the first struct is found within half a second', () => {
    const start = performance.now();
    expect(
      openBtf(bytes)
        .struct('timespec64')
        ?.members.map(({ name }) => name),
    ).toEqual(['tv_sec', 'tv_nsec']);
    expect(performance.now() - start).toBeLessThan(500);
  });

  test('a struct with bit-fields and nested anonymous parts is described', () => {
    const task = openBtf(bytes).struct('task_struct');
    expect(task?.members.some(({ bitSize }) => bitSize === 1)).toBe(true);
    const inside = (member: BtfMember) =>
      member.bitSize !== undefined || member.offset + member.size <= (task?.size ?? 0);
    expect(task?.members.every(inside)).toBe(true);
  });

  const hasAux =
    bytes.length > 0 && failure(() => openBtf(bytes).offsetOf('vdso_time_data', 'aux_clock_data')) === null;

  test.skipIf(!hasAux)(
    'the clock page is laid out as in 6.18 (skipped if the kernel is older than 6.17)',
    () => {
      const btf = openBtf(bytes);
      const clock = Object.fromEntries(
        btf.struct('vdso_clock')?.members.map(({ name, offset }) => [name, offset]) ?? [],
      );
      expect(clock).toMatchObject({
        seq: 0,
        clock_mode: 4,
        cycle_last: 8,
        max_cycles: 16,
        mask: 24,
        mult: 32,
        shift: 36,
        basetime: 40,
      });
      expect(btf.offsetOf('vdso_time_data', 'clock_data[1].seq').offset).toBe(232);
      expect(btf.offsetOf('vdso_time_data', 'aux_clock_data').offset).toBe(464);
      expect(btf.offsetOf('vdso_time_data', 'hrtimer_res').offset).toBe(2328);
      expect(btf.offsetOf('vdso_clock', 'basetime[3].sec')).toEqual({ offset: 88, size: 8 });
    },
  );
});
