import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  CLOCK_GROUPS,
  CLOCK_PAGE_BYTES,
  CLOCK_PAGE_HEADER_BYTES,
  CLOCK_PAGE_MAGIC,
  CLOCK_PAGE_OFFSETS,
  type ClockGroupName,
  type ClockPageHeader,
  COPY_OFFSETS,
  type CopyGroupName,
  type CopyImage,
  copyBoundNs,
  copyImageStores,
  decodeClockCopy,
  decodeClockPageHeader,
  encodeClockPageHeader,
  GenerationSource,
  NO_BOUND,
  NO_BOUND_NS,
  OWN_CLOCKS,
  type OwnClockName,
  ownSegment,
  PageArithmetic,
  PageCounter,
  PageProtocol,
  shiftWordOf,
} from '../../lib/page/clock-page.ts';
import { evaluate } from '../../lib/page/segment.ts';

const DOCUMENT = readFileSync(new URL('../../docs/clock-page.md', import.meta.url), 'utf8');
const FIELDS = [...DOCUMENT.matchAll(/^\| `([^`]+)` \| (0x[0-9a-f]+) \| ([us]\d+) \|/gm)].map(
  ([, field, at, type]) => ({
    field: field as string,
    at: Number(at),
    bytes: Number((type as string).slice(1)) / 8,
  }),
);

const MARK = 1n << 63n;
const GROUP_NAMES = ['shared', 'realtime', 'smeared-realtime', 'monotonic-raw', 'bound'] as const;

const refused = (what: RegExp) =>
  expect.objectContaining({
    name: 'LatchclockError',
    code: 'ERR_BAD_PAGE',
    what: expect.stringMatching(what),
  });

describe('the layout', () => {
  test("is the document's, field by field", () => {
    expect(Object.fromEntries(FIELDS.map(({ field, at }) => [field, at]))).toEqual(CLOCK_PAGE_OFFSETS);
    expect(FIELDS.length).toBe(Object.keys(CLOCK_PAGE_OFFSETS).length);
  });

  test('has every word at a multiple of its size, and no two in one place', () => {
    const used = new Set<number>();
    for (const { field, at, bytes } of FIELDS) {
      expect(at % bytes, field).toBe(0);
      for (let byte = at; byte < at + bytes; byte++) {
        expect(used.has(byte), field).toBe(false);
        used.add(byte);
      }
    }
    expect(Math.max(...used)).toBeLessThan(CLOCK_PAGE_BYTES);
  });

  test('needs two cache lines a read: the first, and one of the copy', () => {
    const line = (at: number): number => Math.floor(at / 64);
    const first = ['count', 'generation', 'copy0.base', 'copy0.maxDelta', 'copy0.tag'] as const;
    const second = ['copy1.base', 'copy1.maxDelta', 'copy1.tag'] as const;
    expect(new Set([...first, ...second].map((field) => line(CLOCK_PAGE_OFFSETS[field])))).toEqual(
      new Set([1]),
    );
    for (const copy of COPY_OFFSETS) {
      for (const clock of OWN_CLOCKS) {
        const group = CLOCK_GROUPS[clock];
        const words = [`${group}.mult`, `${group}.fraction`, `${group}.shift`, `${clock}.whole`] as const;
        expect(new Set(words.map((word) => line(copy[word]))).size, clock).toBe(1);
      }
    }
  });

  test('has the bound in one line of its copy, the one of monotonic-raw', () => {
    const line = (at: number): number => Math.floor(at / 64);
    for (const copy of COPY_OFFSETS) {
      const words = ['bound.mult', 'bound.fraction', 'bound.shift', 'bound.whole'] as const;
      expect(new Set(words.map((word) => line(copy[word])))).toEqual(
        new Set([line(copy['monotonic-raw.mult'])]),
      );
    }
  });

  test("names the document's numbers of clocks", () => {
    const named = [...DOCUMENT.matchAll(/\b(\d) `([a-z-]+)`/g)].map(([, number, name]) => [
      Number(number),
      name,
    ]);
    expect(named).toEqual(OWN_CLOCKS.map((clock, number) => [number, clock]));
  });
});

function header(parts: Partial<ClockPageHeader> = {}): ClockPageHeader {
  return {
    counter: 'tsc',
    protocol: 'latch',
    generationSource: 'page',
    arithmetic: 'narrow',
    clocks: ['monotonic', 'realtime'],
    ...parts,
  };
}

function page(change: (view: DataView) => void = () => {}): Uint8Array {
  const bytes = new Uint8Array(CLOCK_PAGE_BYTES);
  bytes.set(encodeClockPageHeader(header()));
  change(new DataView(bytes.buffer));
  return bytes;
}

const keysOf = <Name extends string>(numbers: Readonly<Record<Name, number>>): Name[] =>
  Object.keys(numbers) as Name[];

describe('the header', () => {
  test('is these 64 bytes', () => {
    const hex = Buffer.from(encodeClockPageHeader(header())).toString('hex');
    const words = ['4c41544348434c4b', '02000000', '00100000', '01020101', '42000000'];
    expect(hex).toBe(words.join('').padEnd(2 * CLOCK_PAGE_HEADER_BYTES, '0'));
    expect(CLOCK_PAGE_MAGIC).toBe(0x4b4c43484354414cn);
  });

  test('comes back as it was written', () => {
    fc.assert(
      fc.property(
        fc.record({
          counter: fc.constantFrom(...keysOf(PageCounter)),
          protocol: fc.constantFrom(...keysOf(PageProtocol)),
          generationSource: fc.constantFrom(...keysOf(GenerationSource)),
          arithmetic: fc.constantFrom(...keysOf(PageArithmetic)),
          clocks: fc.subarray([...OWN_CLOCKS], { minLength: 1 }),
        }),
        (written) => {
          const bytes = page();
          bytes.set(encodeClockPageHeader(written));
          expect(decodeClockPageHeader(bytes)).toEqual(written);
        },
      ),
    );
  });

  test('without a clock is not written', () => {
    expect(() => encodeClockPageHeader(header({ clocks: [] }))).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }),
    );
  });

  test.each<[string, RegExp, Uint8Array]>([
    ['a page cut short', /4095 bytes/, page().subarray(0, 4095)],
    ['a header alone', /64 bytes/, encodeClockPageHeader(header())],
    ['a page with more behind it', /4104 bytes/, new Uint8Array(4104)],
    ['no bytes', /0 bytes/, new Uint8Array()],
    ['zeros', /all zeros/, new Uint8Array(CLOCK_PAGE_BYTES)],
    ['another magic', /magic 0x4b4c43484354414d/, page((view) => view.setUint8(0, 0x4d))],
    [
      'a big-endian page',
      /big-endian/,
      page((view) => view.setBigUint64(0, view.getBigUint64(0, true), false)),
    ],
    ['an older version', /version 1 .* older/, page((view) => view.setUint32(8, 1, true))],
    ['a newer version', /version 3 .* newer/, page((view) => view.setUint32(8, 3, true))],
    ['version 0', /version 0 is unknown/, page((view) => view.setUint32(8, 0, true))],
    ['another size', /size of 8192/, page((view) => view.setUint32(0xc, 8192, true))],
    ["ARM's counter", /counter 0/, page((view) => view.setUint8(0x10, 0))],
    ['protocol 0', /protocol 0/, page((view) => view.setUint8(0x11, 0))],
    ['protocol 4', /protocol 4/, page((view) => view.setUint8(0x11, 4))],
    ['a generation source 3', /generation source 3/, page((view) => view.setUint8(0x12, 3))],
    ['an arithmetic 2', /arithmetic 2/, page((view) => view.setUint8(0x13, 2))],
    ['no clocks', /no clock/, page((view) => view.setUint32(0x14, 0, true))],
    ['an unknown clock', /0x80 /, page((view) => view.setUint32(0x14, 0x80, true))],
    [
      'an unknown clock of the highest bit',
      /0x80000001 /,
      page((view) => view.setUint32(0x14, 0x8000_0001, true)),
    ],
    ['the first reserved byte', /reserved byte is 1/, page((view) => view.setUint8(0x18, 1))],
    ['the last reserved byte', /reserved byte is 255/, page((view) => view.setUint8(0x3f, 255))],
  ])('of %s is refused, with a remedy', (_, what, bytes) => {
    expect(() => decodeClockPageHeader(bytes)).toThrow(refused(what));
    expect(() => decodeClockPageHeader(bytes)).toThrow(
      expect.objectContaining({ where: expect.any(String), todo: expect.any(String) }),
    );
  });

  test('is judged by itself: what follows it may be anything', () => {
    const bytes = page();
    bytes.fill(0xff, CLOCK_PAGE_HEADER_BYTES);
    expect(decodeClockPageHeader(bytes)).toEqual(header());
  });

  test('any bytes are decoded or refused, nothing else', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(63), fc.nat(255)), { maxLength: 4 }), (changes) => {
        const bytes = page();
        for (const [at, value] of changes) bytes[at] = value;
        let decoded: ClockPageHeader | undefined;
        try {
          decoded = decodeClockPageHeader(bytes);
        } catch (error) {
          expect(error).toEqual(expect.objectContaining({ code: 'ERR_BAD_PAGE' }));
        }
        if (decoded !== undefined) {
          expect(encodeClockPageHeader(decoded)).toEqual(bytes.subarray(0, CLOCK_PAGE_HEADER_BYTES));
        }
      }),
    );
  });
});

const U64 = 1n << 64n;
const word = fc.bigInt({ min: 0n, max: U64 - 1n });
const signed = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n });
const group = fc.record({ mult: word, fraction: word, shift: fc.nat(63) });
const images: fc.Arbitrary<CopyImage> = fc.record({
  base: word,
  maxDelta: fc.bigInt({ min: 0n, max: 1n << 63n }),
  tag: word,
  groups: fc.record({
    shared: group,
    realtime: group,
    'smeared-realtime': group,
    'monotonic-raw': group,
    bound: group,
  } satisfies Record<CopyGroupName, typeof group>),
  wholes: fc.record(
    Object.fromEntries(OWN_CLOCKS.map((clock) => [clock, signed])) as Record<OwnClockName, typeof signed>,
  ),
  boundWholeNs: signed,
});
const copies = fc.constantFrom(0 as const, 1 as const);

function store(bytes: Uint8Array, copy: 0 | 1, image: CopyImage): void {
  const view = new DataView(bytes.buffer);
  for (const [at, value] of copyImageStores(copy, image)) view.setBigUint64(at, value, true);
}

describe('a copy', () => {
  test('comes back as it was stored, and the other one is left alone', () => {
    fc.assert(
      fc.property(copies, images, images, (copy, image, other) => {
        const bytes = page();
        store(bytes, copy === 0 ? 1 : 0, other);
        store(bytes, copy, image);
        expect(decodeClockCopy(bytes, copy)).toEqual(image);
        expect(decodeClockCopy(bytes, copy === 0 ? 1 : 0)).toEqual(other);
        expect(decodeClockPageHeader(bytes)).toEqual(header());
      }),
    );
  });

  test('is stored window first, then group by group, each word once', () => {
    const zero = decodeClockCopy(new Uint8Array(CLOCK_PAGE_BYTES), 1);
    const order = copyImageStores(1, zero).map(([at]) => at);
    // Of each group the shift, with the mark, before mult, fraction and whole ns.
    expect(order).toEqual([
      ...[0x68, 0x70, 0x78],
      ...[0x238, 0x228, 0x230, 0x200, 0x208, 0x210, 0x218],
      ...[0x258, 0x248, 0x250, 0x240],
      ...[0x278, 0x268, 0x270, 0x260],
      ...[0x298, 0x288, 0x290, 0x280],
      ...[0x2b8, 0x2a8, 0x2b0, 0x2a0],
    ]);
    expect(new Set(order)).toEqual(new Set(Object.values(COPY_OFFSETS[1])));
  });

  test.each(Object.keys(CLOCK_GROUPS) as OwnClockName[])('with a shift of 64 for %s is refused', (clock) => {
    const bytes = page((view) =>
      view.setBigUint64(COPY_OFFSETS[1][`${CLOCK_GROUPS[clock]}.shift`], MARK | 64n, true),
    );
    expect(() => decodeClockCopy(bytes, 1)).toThrow(refused(/shift of 64/));
    expect(() => decodeClockCopy(bytes, 0)).not.toThrow();
  });

  test('with a shift that is small in its low half only is refused', () => {
    const bytes = page((view) =>
      view.setBigUint64(COPY_OFFSETS[0]['realtime.shift'], MARK | ((1n << 32n) + 3n), true),
    );
    expect(() => decodeClockCopy(bytes, 0)).toThrow(refused(/not below 64/));
  });

  test('is given without what has no mark of a writer, whatever its words are', () => {
    fc.assert(
      fc.property(images, fc.constantFrom<CopyGroupName>(...GROUP_NAMES), (image, name) => {
        const bytes = page((view) => {
          for (const [at, value] of copyImageStores(1, image)) view.setBigUint64(at, value, true);
          const at = COPY_OFFSETS[1][`${name}.shift`];
          view.setBigUint64(at, view.getBigUint64(at, true) & ~MARK, true);
        });
        const decoded = decodeClockCopy(bytes, 1);
        expect(decoded.groups).toEqual({ ...image.groups, [name]: NO_BOUND });
        expect(decoded.boundWholeNs).toBe(name === 'bound' ? NO_BOUND_NS : image.boundWholeNs);
      }),
    );
  });

  test('has its mark behind every word that a clock, or the bound, is computed from, in the last byte', () => {
    for (const offsets of COPY_OFFSETS) {
      for (const clock of [...OWN_CLOCKS, 'bound'] as const) {
        const group = clock === 'bound' ? clock : CLOCK_GROUPS[clock];
        const words = [`${clock}.whole`, `${group}.mult`, `${group}.fraction`] as const;
        for (const word of words) expect(offsets[word], word).toBeLessThan(offsets[`${group}.shift`]);
      }
    }
    expect(Buffer.from(BigUint64Array.of(shiftWordOf(7)).buffer).toString('hex')).toBe('0700000000000080');
  });

  test('with a window above 2^63 is refused', () => {
    const at = COPY_OFFSETS[0].maxDelta;
    expect(
      decodeClockCopy(
        page((view) => view.setBigUint64(at, 1n << 63n, true)),
        0,
      ).maxDelta,
    ).toBe(1n << 63n);
    const longer = page((view) => view.setBigUint64(at, (1n << 63n) + 1n, true));
    expect(() => decodeClockCopy(longer, 0)).toThrow(refused(/longer than 2\^63/));
  });

  test('of a page cut short is refused', () => {
    expect(() => decodeClockCopy(page().subarray(0, 0x300), 0)).toThrow(refused(/768 bytes/));
  });
});

describe('the bound of a copy', () => {
  test('is whole + ((delta * mult + fraction) >> shift) + 1: the exact bound, rounded up to whole nanoseconds', () => {
    fc.assert(
      fc.property(images, word, (image, delta) => {
        const { mult, fraction, shift } = image.groups.bound;
        const scaled = (image.boundWholeNs << BigInt(shift)) + delta * mult + fraction;
        const boundNs = copyBoundNs(image, delta);
        if (image.boundWholeNs < 0n) expect(boundNs).toBeNull();
        else if (boundNs !== (1n << 63n) - 1n) {
          const above = ((boundNs as bigint) << BigInt(shift)) - scaled;
          expect(above > 0n && above <= 1n << BigInt(shift)).toBe(true);
        } else expect(scaled >= ((1n << 63n) - 2n) << BigInt(shift)).toBe(true);
      }),
    );
  });

  test('does not grow with a mult of 0, and is not stated by a whole below 0', () => {
    const image = fc.sample(images, { numRuns: 1, seed: 1 })[0] as CopyImage;
    const groups = { ...image.groups, bound: NO_BOUND };
    expect(copyBoundNs({ ...image, groups, boundWholeNs: 7n }, 0n)).toBe(8n);
    expect(copyBoundNs({ ...image, groups, boundWholeNs: 7n }, U64 - 1n)).toBe(8n);
    expect(copyBoundNs({ ...image, boundWholeNs: NO_BOUND_NS }, 0n)).toBeNull();
  });

  test('is never less than what is stated, however large that is', () => {
    const image = fc.sample(images, { numRuns: 1, seed: 1 })[0] as CopyImage;
    const groups = { ...image.groups, bound: { mult: U64 - 1n, fraction: 0n, shift: 0 } };
    expect(copyBoundNs({ ...image, groups, boundWholeNs: 0n }, U64 - 1n)).toBe((1n << 63n) - 1n);
  });
});

describe('the segment of a clock in a copy', () => {
  test('gives each clock its own words: the value is whole + ((delta * mult + fraction) >> shift)', () => {
    fc.assert(
      fc.property(images, fc.constantFrom(...OWN_CLOCKS), word, (image, clock, at) => {
        const name: ClockGroupName =
          clock === 'realtime' || clock === 'smeared-realtime' || clock === 'monotonic-raw'
            ? clock
            : 'shared';
        const { mult, fraction, shift } = image.groups[name];
        fc.pre(mult > 0n && image.maxDelta > 0n);
        const delta = at % image.maxDelta;
        expect(evaluate(ownSegment(image, clock), (image.base + delta) % U64)).toBe(
          image.wholes[clock] + (delta * mult + fraction) / 2n ** BigInt(shift),
        );
      }),
    );
  });

  test('refuses outside the window, and always where maxDelta is 0', () => {
    const image = {
      ...(fc.sample(images, { numRuns: 1, seed: 1 })[0] as CopyImage),
      base: 10n,
      maxDelta: 5n,
    };
    const groups = { ...image.groups, shared: { mult: 1n, fraction: 0n, shift: 0 } };
    const outside = expect.objectContaining({ code: 'ERR_OUT_OF_WINDOW' });
    for (const cycles of [9n, 15n]) {
      expect(() => evaluate(ownSegment({ ...image, groups }, 'tai'), cycles)).toThrow(outside);
    }
    expect(() => evaluate(ownSegment({ ...image, groups, maxDelta: 0n }, 'tai'), 10n)).toThrow(outside);
  });

  test('that was never published is refused', () => {
    const zero = decodeClockCopy(new Uint8Array(CLOCK_PAGE_BYTES), 0);
    expect(() => ownSegment(zero, 'monotonic')).toThrow(refused(/never published/));
  });

  test('clocks of one rate tick at the same cycle', () => {
    fc.assert(
      fc.property(images, fc.array(word, { minLength: 1, maxLength: 8 }), (image, deltas) => {
        fc.pre(image.groups.shared.mult > 0n && image.maxDelta > 0n);
        const apart = deltas.map((delta) => {
          const cycles = (image.base + (delta % image.maxDelta)) % U64;
          return evaluate(ownSegment(image, 'tai'), cycles) - evaluate(ownSegment(image, 'boottime'), cycles);
        });
        expect(new Set(apart)).toEqual(new Set([image.wholes.tai - image.wholes.boottime]));
      }),
    );
  });
});
