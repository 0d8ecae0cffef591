import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { createAnonymousPage, createMemfdPage } from '../../lib/host/clock-page-memory.ts';
import { openMachine } from '../../lib/host/host.ts';
import { pageClock } from '../../lib/host/kernel-page.ts';
import { openPageClock } from '../../lib/host/page-clock.ts';
import {
  BenchSubject,
  type ClockPageMemory,
  ReadEnd,
  ReaderGeneration,
  type ReaderGenerationName,
  ReaderProtocol,
  type ReaderProtocolName,
} from '../../lib/native/addon.ts';
import { getAddon } from '../../lib/native/load.ts';
import {
  CLOCK_PAGE_OFFSETS,
  type ClockPageHeader,
  COPY_OFFSETS,
  COPY_WORDS,
  type CopyImage,
  copyBoundNs,
  copyImageStores,
  decodeClockCopy,
  OWN_CLOCKS,
  ownSegment,
  shiftWordOf,
} from '../../lib/page/clock-page.ts';
import { latchWriter } from '../../lib/page/protocols/latch-writer.ts';
import { pvclockOutcome, pvclockReader } from '../../lib/page/protocols/pvclock.ts';
import { readOwnPage } from '../../lib/page/protocols/readers.ts';
import { seqlockWriter } from '../../lib/page/protocols/seqlock-writer.ts';
import { twoWindowWriter } from '../../lib/page/protocols/two-window-writer.ts';
import { vmclockOutcome, vmclockReader } from '../../lib/page/protocols/vmclock.ts';
import { evaluate } from '../../lib/page/segment.ts';
import { bytesMemory, runSteps } from '../../lib/page/steps.ts';
import { compiledLib } from '../support/compiled-lib.ts';

const addon = getAddon();
const PROTOCOLS = Object.keys(ReaderProtocol) as ReaderProtocolName[];
const GENERATIONS = Object.keys(ReaderGeneration) as ReaderGenerationName[];
const U64 = (1n << 64n) - 1n;
const MARK = 1n << 63n;
const UNSET = -0x0123_4567_89ab_cdefn;
// Small: a page that stands still on an odd count is given up after so many.
const BOUND = 40;

const word = fc.bigInt({ min: 0n, max: U64 });
const small = fc.bigInt({ min: 0n, max: 5n });
/** Counts of every parity and state, generations that often are equal, words of any size. */
const pages = fc
  .record({
    count: fc.oneof(small, word),
    generation: small,
    cycles: word,
    copies: fc.array(
      fc.record({
        // Near the counter on either side, or anywhere.
        base: fc.oneof(fc.bigInt({ min: -1_000n, max: 1_000n }), word),
        maxDelta: fc.oneof(fc.bigInt({ min: 0n, max: 2_000n }), word),
        tag: small,
        words: fc.array(fc.oneof(word, fc.bigInt({ min: 0n, max: 70n })), { minLength: 23, maxLength: 23 }),
      }),
      { minLength: 2, maxLength: 2 },
    ),
  })
  .map(({ count, generation, cycles, copies }) => {
    const bytes = new Uint8Array(4096);
    const view = new DataView(bytes.buffer);
    const set = (at: number, value: bigint): void => view.setBigUint64(at, BigInt.asUintN(64, value), true);
    set(CLOCK_PAGE_OFFSETS.count, count);
    set(CLOCK_PAGE_OFFSETS.generation, generation);
    copies.forEach(({ base, maxDelta, tag, words }, copy) => {
      const offsets = COPY_OFFSETS[copy as 0 | 1];
      set(offsets.base, base < 1_001n ? cycles + base : base);
      set(offsets.maxDelta, maxDelta);
      set(offsets.tag, tag);
      COPY_WORDS.slice(3).forEach(({ field }, index) => {
        const any = words[index] as bigint;
        // Mostly with the mark, without which no reader looks at the rest; the bound's, which only sets look at, always.
        const isMarked = field === 'bound.shift' || (field.endsWith('.shift') && any % 16n !== 0n);
        set(offsets[field], isMarked ? any | MARK : any);
      });
    });
    return { bytes, cycles };
  });

describe.each(PROTOCOLS)('%s: on any bytes, native reader and step program', (protocol) => {
  test.each(GENERATIONS)('end alike, generation %s', (generation) => {
    const ends = new Set<string>();
    fc.assert(
      fc.property(
        pages,
        fc.boolean(),
        fc.nat({ max: OWN_CLOCKS.length - 1 }),
        ({ bytes, cycles }, wide, clock) => {
          const native = addon.readClockPageAt(
            bytes,
            ReaderProtocol[protocol],
            ReaderGeneration[generation],
            wide,
            clock,
            cycles,
            BigInt.asUintN(64, UNSET),
            BOUND,
            BOUND,
          );
          const steps = readOwnPage(
            protocol,
            {
              clock: OWN_CLOCKS[clock] as (typeof OWN_CLOCKS)[number],
              generation,
              arithmetic: wide ? 'wide' : 'narrow',
              mostTries: BOUND,
              mostSpins: BOUND,
              initialNs: UNSET,
            },
            bytesMemory(bytes),
            () => cycles,
          );
          ends.add(steps.end);
          expect({
            end: ReadEnd[steps.end],
            ns: steps.ns,
            count: steps.end === 'retries' ? 0n : steps.count,
            generation: steps.generation,
            retries: Number(steps.retries),
          }).toEqual({ ...native, count: steps.end === 'retries' ? 0n : native.count });
        },
      ),
      { numRuns: 800 },
    );
    // What was compared was not one and the same end each time. (The literal ones know hardly any but a value.)
    if (!protocol.startsWith('literal')) expect(ends.size).toBeGreaterThan(1);
  });
});

test('a value by the wide reader is the one pure evaluation of the copy’s segment', () => {
  fc.assert(
    fc.property(pages, fc.nat({ max: OWN_CLOCKS.length - 1 }), ({ bytes, cycles }, number) => {
      const view = new DataView(bytes.buffer);
      view.setBigUint64(CLOCK_PAGE_OFFSETS.count, 2n, true);
      const base = view.getBigUint64(COPY_OFFSETS[0].base, true);
      for (const group of ['shared', 'realtime', 'smeared-realtime', 'monotonic-raw', 'bound'] as const) {
        for (const copy of [0, 1] as const)
          view.setBigUint64(COPY_OFFSETS[copy][`${group}.shift`], MARK | ((cycles ^ base) & 63n), true);
      }
      view.setBigUint64(COPY_OFFSETS[0].maxDelta, 2_000n, true);
      const native = addon.readClockPageAt(
        bytes,
        ReaderProtocol['latch-window'],
        0,
        true,
        number,
        cycles,
        0n,
        1,
        1,
      );
      if (native.end !== ReadEnd.value) return;
      const segment = ownSegment(
        decodeClockCopy(bytes, 0),
        OWN_CLOCKS[number] as (typeof OWN_CLOCKS)[number],
      );
      expect(native.ns).toBe(BigInt.asIntN(64, evaluate(segment, cycles)));
    }),
    { numRuns: 2_000 },
  );
});

describe.each(['seqlock', 'latch', 'latch-window', 'two-window'] as const)(
  '%s: on any bytes, a set',
  (protocol) => {
    const sets = fc.record({
      page: pages,
      wide: fc.boolean(),
      tagged: fc.boolean(),
      clocks: fc.integer({ min: 1, max: (1 << OWN_CLOCKS.length) - 1 }),
    });
    const generationOf = (tagged: boolean) => ReaderGeneration[tagged ? 'tagged' : 'none'];

    test('has the values that reads of single clocks have, or ends as one of them does', () => {
      let values = 0;
      fc.assert(
        fc.property(sets, ({ page: { bytes, cycles }, wide, tagged, clocks }) => {
          const how = [ReaderProtocol[protocol], generationOf(tagged), wide] as const;
          const set = addon.readClockPageSetAt(bytes, ...how, clocks, cycles, BOUND, BOUND);
          const asked = OWN_CLOCKS.map((_, number) => number).filter((number) => clocks & (1 << number));
          const single = asked.map((number) =>
            addon.readClockPageAt(bytes, ...how, number, cycles, 0n, BOUND, BOUND),
          );
          const refused = single.find(({ end }) => end !== ReadEnd.value);
          expect(set.end).toBe(refused?.end ?? ReadEnd.value);
          expect(set.retries).toBe(single[0]?.retries);
          if (refused !== undefined) return;
          values++;
          expect(set.words[0]).toBe(BigInt.asIntN(64, cycles));
          expect(set.words[1]).toBe(single[0]?.generation);
          expect(set.words.slice(3)).toEqual(
            BigInt64Array.from(OWN_CLOCKS, (_, number) => single[asked.indexOf(number)]?.ns ?? 0n),
          );
        }),
        { numRuns: 1_500 },
      );
      expect(values).toBeGreaterThan(20);
    });

    test('is the pure evaluation of one copy, values and bound', () => {
      let values = 0;
      fc.assert(
        fc.property(
          sets,
          fc.nat(2_000),
          fc.boolean(),
          fc.array(fc.nat(63), { minLength: 10, maxLength: 10 }),
          ({ page: { bytes, cycles }, clocks }, delta, isFirst, shifts) => {
            const view = new DataView(bytes.buffer);
            // Both copies make sense, one of them has the counter in its window, and two windows are offered.
            const chosen = protocol === 'seqlock' ? 0 : isFirst ? 0 : 1;
            for (const copy of [0, 1] as const) {
              const offsets = COPY_OFFSETS[copy];
              (['shared', 'realtime', 'smeared-realtime', 'monotonic-raw', 'bound'] as const).forEach(
                (group, at) => {
                  const shiftWord = shiftWordOf(shifts[5 * copy + at] as number);
                  view.setBigUint64(offsets[`${group}.shift`], shiftWord, true);
                },
              );
              const base = BigInt.asUintN(64, copy === chosen ? cycles - BigInt(delta) : cycles + 1n);
              view.setBigUint64(offsets.base, base, true);
              view.setBigUint64(offsets.maxDelta, 2_001n, true);
            }
            const count = protocol === 'seqlock' ? 4n : protocol === 'two-window' ? 8n : 4n + BigInt(chosen);
            view.setBigUint64(CLOCK_PAGE_OFFSETS.count, count, true);
            const set = addon.readClockPageSetAt(
              bytes,
              ReaderProtocol[protocol],
              0,
              true,
              clocks,
              cycles,
              1,
              1,
            );
            if (set.end !== ReadEnd.value) return;
            values++;
            const image = decodeClockCopy(bytes, chosen);
            expect(set.words[2]).toBe(copyBoundNs(image, BigInt(delta)) ?? -1n);
            OWN_CLOCKS.forEach((clock, number) => {
              if ((clocks & (1 << number)) === 0) return;
              const exact = BigInt.asIntN(64, evaluate(ownSegment(image, clock), cycles));
              expect(set.words[3 + number]).toBe(exact);
            });
          },
        ),
        { numRuns: 1_500 },
      );
      expect(values).toBeGreaterThan(500);
    });
  },
);

describe.each(['seqlock', 'latch', 'latch-window', 'two-window'] as const)(
  '%s: of a page with zeros from any byte on, as a file has that is cut short,',
  (protocol) => {
    const base = 1n << 45n;
    // No byte of a word that is computed with is zero, but where it must be.
    const group = (seed: bigint) => ({
      mult: 0x0629_3f4e_5a6b_7c80n + seed,
      fraction: 0x0123_4567_89ab_cde0n + seed,
      shift: 57,
    });
    const copyFrom = (from: bigint, seed: bigint): CopyImage => ({
      ...{ base: from, maxDelta: 1n << 24n, tag: 5n, boundWholeNs: 0x0102_0304_0506_0700n + seed },
      groups: {
        shared: group(seed),
        realtime: group(seed + 1n),
        'smeared-realtime': group(seed + 2n),
        'monotonic-raw': group(seed + 3n),
        bound: group(seed + 4n),
      },
      wholes: Object.fromEntries(
        OWN_CLOCKS.map((clock, at) => [clock, 0x1711_2233_4455_6610n + seed + BigInt(at)]),
      ) as CopyImage['wholes'],
    });
    const copies = [copyFrom(base, 1n), copyFrom(base + (1n << 24n), 0x10n)] as const;
    // Every way to a copy: named, or gone on to.
    const ways = {
      seqlock: [{ count: 4n, copy: 0 }],
      latch: [4n, 5n].map((count) => ({ count, copy: Number(count & 1n) })),
      'latch-window': [4n, 5n].map((count) => ({ count, copy: Number(count & 1n) })),
      'two-window': [4n, 5n, 6n, 7n].flatMap((count) =>
        [0, 1].filter((copy) => count < 6n || copy === Number(count & 1n)).map((copy) => ({ count, copy })),
      ),
    }[protocol];
    const pageAt = (count: bigint): Uint8Array => {
      const bytes = new Uint8Array(4096);
      const view = new DataView(bytes.buffer);
      view.setBigUint64(CLOCK_PAGE_OFFSETS.count, count, true);
      view.setBigUint64(CLOCK_PAGE_OFFSETS.generation, 5n, true);
      for (const copy of [0, 1] as const) {
        for (const [at, value] of copyImageStores(copy, copies[copy])) view.setBigUint64(at, value, true);
      }
      return bytes;
    };
    const BEHIND_THE_COPIES = 0x2c0;

    test.each(ways)(
      'native reader and step program refuse, or give the right value: $count, copy $copy',
      ({ count, copy }) => {
        const image = copies[copy] as CopyImage;
        const cycles = image.base + 12_345n;
        const right = OWN_CLOCKS.map((clock) =>
          BigInt.asIntN(64, evaluate(ownSegment(image, clock), cycles)),
        );
        const page = pageAt(count);
        let values = 0;
        let refused = 0;
        for (let size = 4095; size >= 1; size--) {
          page[size] = 0;
          OWN_CLOCKS.forEach((clock, number) => {
            for (const generation of size < BEHIND_THE_COPIES
              ? (['none', 'tagged'] as const)
              : ['none' as const]) {
              const how = [ReaderProtocol[protocol], ReaderGeneration[generation], true] as const;
              const { end, ns } = addon.readClockPageAt(page, ...how, number, cycles, 0n, 2, 2);
              if (end === ReadEnd.value) {
                values++;
                // Not by expect, which takes longer than all the rest.
                if (ns !== right[number])
                  expect({ size, clock, ns }).toEqual({ size, clock, ns: right[number] });
              } else refused++;
              if (size > BEHIND_THE_COPIES) continue;
              const steps = readOwnPage(
                protocol,
                { clock, generation, arithmetic: 'wide', mostTries: 2, mostSpins: 2 },
                bytesMemory(page),
                () => cycles,
              );
              const isAlike = ReadEnd[steps.end] === end && (steps.end !== 'value' || steps.ns === ns);
              if (!isAlike) expect({ size, ...steps }).toEqual({ size, end, ns });
            }
          });
        }
        expect(values).toBeGreaterThan(7 * (4096 - BEHIND_THE_COPIES));
        expect(refused).toBeGreaterThan(7 * 0x100);
      },
    );

    test.each(ways)('a set is refused, or right with its bound: $count, copy $copy', ({ count, copy }) => {
      const image = copies[copy] as CopyImage;
      const cycles = image.base + 12_345n;
      const how = [ReaderProtocol[protocol], ReaderGeneration.tagged, true] as const;
      const page = pageAt(count);
      const whole = addon.readClockPageSetAt(page, ...how, 0x7f, cycles, 2, 2);
      expect(whole.end).toBe(ReadEnd.value);
      expect(whole.words[2]).toBe(copyBoundNs(image, 12_345n));
      let values = 0;
      for (let size = 4095; size >= 1; size--) {
        page[size] = 0;
        const set = addon.readClockPageSetAt(page, ...how, 0x7f, cycles, 2, 2);
        if (set.end !== ReadEnd.value) continue;
        values++;
        if (!set.words.every((value, at) => value === whole.words[at]))
          expect({ size, ...set }).toEqual(whole);
      }
      // Nothing is read without the bound, which is the last of its copy.
      expect(values).toBe(4096 - (COPY_OFFSETS[copy as 0 | 1]['bound.shift'] + 8));
    });
  },
);

describe('pages of hypervisors: on any bytes, native reader and step program end alike', () => {
  const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  const evenCount = (bytes: Uint8Array, at: number, odd: boolean): Uint8Array => {
    const own = Uint8Array.from(bytes);
    own[at] = ((own[at] ?? 0) & 0xfe) | Number(odd);
    return own;
  };

  test('vmclock', () => {
    fc.assert(
      fc.property(
        bytesOf(0x70),
        word,
        fc.boolean(),
        fc.nat(255),
        fc.nat(9),
        (head, cycles, odd, shift, status) => {
          const bytes = new Uint8Array(4096);
          bytes.set(evenCount(head, 0x0c, odd));
          bytes[0x27] = shift;
          // Mostly a clock that runs by the TSC; any bytes say that of themselves hardly ever.
          if (status > 0) bytes[0x0a] = 1;
          bytes[0x22] = status > 3 ? 2 : status;
          const native = addon.readVmclockAt(bytes, cycles, BOUND);
          const run = vmclockOutcome(
            runSteps(vmclockReader({ mostSpins: BOUND }), bytesMemory(bytes), () => cycles),
          );
          expect(ReadEnd[run.end]).toBe(native.end);
          expect(Number(run.retries)).toBe(native.retries);
          if (run.end === 'value') {
            const { seconds, fraction, disruptionMarker } = run;
            expect({ seconds, fraction, disruptionMarker }).toEqual({
              seconds: native.seconds,
              fraction: native.fraction,
              disruptionMarker: native.disruptionMarker,
            });
          }
        },
      ),
      { numRuns: 3_000 },
    );
  });

  test('pvclock', () => {
    fc.assert(
      fc.property(bytesOf(32), word, fc.boolean(), fc.boolean(), (any, cycles, odd, stable) => {
        const bytes = evenCount(any, 0, odd);
        if (stable) bytes[29] = (bytes[29] ?? 0) | 1;
        const native = addon.readPvclockAt(bytes, cycles, BOUND);
        const run = pvclockOutcome(
          runSteps(pvclockReader({ mostSpins: BOUND }), bytesMemory(bytes), () => cycles),
        );
        expect(ReadEnd[run.end]).toBe(native.end);
        if (run.end === 'value') expect(run.ns).toBe(native.ns);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('timing of reads', () => {
  const kernelPage = pageClock(openMachine().page(), 'monotonic');

  test.each(Object.keys(BenchSubject) as (keyof typeof BenchSubject)[])(
    '%s takes longer the more there are',
    (subject) => {
      const cycles = (reads: number): number =>
        addon.timeReads(
          BenchSubject[subject],
          ReaderProtocol['two-window'],
          1,
          true,
          1,
          kernelPage,
          true,
          reads,
        ).cycles;
      cycles(10_000);
      // The least of some: another process may have had the CPU meanwhile.
      const least = (reads: number): number => Math.min(...Array.from({ length: 9 }, () => cycles(reads)));
      expect(least(20_000)).toBeGreaterThan(2 * least(1_000));
    },
  );
});

// ---- Writers

const HEADER: ClockPageHeader = {
  counter: 'tsc',
  protocol: 'latch',
  generationSource: 'page',
  arithmetic: 'wide',
  clocks: [...OWN_CLOCKS],
};

/** An image whose every word is another number, within the bounds that writers keep. */
function imageOf(seed: bigint): CopyImage {
  const bytes = new Uint8Array(4096);
  const view = new DataView(bytes.buffer);
  COPY_WORDS.forEach(({ field }, index) => {
    const value = field.endsWith('shift')
      ? BigInt(30 + index)
      : (seed * 1_000n + BigInt(index)) * (field.endsWith('fraction') ? 0x11n : 0x1_0001n);
    view.setBigUint64(COPY_OFFSETS[0][field], value, true);
  });
  return decodeClockCopy(bytes, 0);
}

function wordsOf(image: CopyImage): BigInt64Array {
  return BigInt64Array.from(COPY_WORDS, ({ value }) => BigInt.asIntN(64, value(image)));
}

describe('the native writer and the step program leave the same page, update after update', () => {
  const cases = [
    ['seqlock', (image: CopyImage) => seqlockWriter({ image: () => image }), {}],
    ['latch', (image: CopyImage) => latchWriter({ image: () => image }), {}],
    ...[
      { keep: 0, overlap: false, keptFirst: true },
      { keep: 1, overlap: false, keptFirst: false },
      { keep: 1, overlap: true, keptFirst: false },
    ].map(
      (options) =>
        [
          'two-window',
          (image: CopyImage) =>
            twoWindowWriter({ image: () => image, ...options, keep: options.keep as 0 | 1 }),
          options,
        ] as const,
    ),
  ] as const;

  test.each(cases)('%s (case %#)', (protocol, writer, options) => {
    const [native, own] = [createAnonymousPage(addon, HEADER), createAnonymousPage(addon, HEADER)];
    const {
      keep = 0,
      overlap = false,
      keptFirst = false,
    } = options as {
      keep?: number;
      overlap?: boolean;
      keptFirst?: boolean;
    };
    for (let update = 1n; update <= 5n; update++) {
      const image = imageOf(update);
      addon.publishClockPage(
        native.memory,
        ReaderProtocol[protocol],
        wordsOf(image),
        keep,
        overlap,
        keptFirst,
      );
      runSteps(writer(image), bytesMemory(own.bytes), () => 1n);
      expect(Buffer.compare(native.bytes, own.bytes), `update ${update}`).toBe(0);
    }
  });
});

describe('the native writer refuses an image outside the bounds that readers rely on', () => {
  const WIDEST = 1n << 63n;
  const edges = ['shared', 'realtime', 'smeared-realtime', 'monotonic-raw', 'bound'].flatMap(
    (group): [string, 'wide' | 'narrow', Record<string, bigint>, Record<string, bigint>][] => [
      [`a shift of 64 in ${group}`, 'wide', { [`${group}.shift`]: 63n }, { [`${group}.shift`]: 64n }],
      [
        `a fraction of a whole nanosecond in ${group}`,
        'wide',
        { [`${group}.fraction`]: (1n << 40n) - 1n },
        { [`${group}.fraction`]: 1n << 40n },
      ],
      [
        `a product past 64 bits in ${group}, on a page for narrow readers`,
        'narrow',
        // (2^20) * (2^44 - 1) + (2^20 - 1) + ... : just below 2^64, and just at it.
        {
          maxDelta: (1n << 20n) + 1n,
          [`${group}.mult`]: (1n << 44n) - 1n,
          [`${group}.fraction`]: (1n << 20n) - 1n,
        },
        { maxDelta: (1n << 20n) + 1n, [`${group}.mult`]: (1n << 44n) - 1n, [`${group}.fraction`]: 1n << 20n },
      ],
    ],
  );
  const rows = [
    ['a window longer than 2^63', 'wide', { maxDelta: WIDEST }, { maxDelta: WIDEST + 1n }],
    ...edges,
  ] as const;
  test.each(rows)('%s', (_, arithmetic, within, outside) => {
    const page = createAnonymousPage(addon, { ...HEADER, arithmetic });
    const publish = (edits: Readonly<Record<string, bigint>>): void => {
      const words = COPY_WORDS.map(({ field }) => {
        const plain = field.endsWith('shift')
          ? 40n
          : field === 'maxDelta' || field.endsWith('mult')
            ? 1n
            : 0n;
        return BigInt.asIntN(64, edits[field] ?? plain);
      });
      addon.publishClockPage(page.memory, ReaderProtocol.latch, BigInt64Array.from(words), 0, false, false);
    };
    publish(within);
    const before = page.bytes.slice();
    expect(() => publish(outside)).toThrow(expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }));
    expect(Buffer.compare(page.bytes, before)).toBe(0);
  });
});

describe('a writer in TypeScript, in another thread, and native readers on the real counter', () => {
  const compiled = compiledLib();
  afterAll(compiled.remove);

  /** Publishes, again and again, segments of one line: a nanosecond a cycle from cycle 0, each from its own base. */
  const WRITER = (library: string): string => `
    import { parentPort, workerData } from 'node:worker_threads';
    import { getAddon } from '${library}/native/load.js';
    import { openPageDescriptor } from '${library}/host/clock-page-memory.js';
    import { runSteps, bytesMemory } from '${library}/page/steps.js';
    import { seqlockWriter } from '${library}/page/protocols/seqlock-writer.js';
    import { latchWriter } from '${library}/page/protocols/latch-writer.js';
    import { twoWindowWriter } from '${library}/page/protocols/two-window-writer.js';
    const addon = getAddon();
    const page = openPageDescriptor(addon, workerData.fileDescriptor, { writable: true });
    const group = { mult: 1n << 40n, fraction: 0n, shift: 40 };
    const image = (cycles, generation) => ({
      base: cycles, maxDelta: 1n << 40n, tag: generation,
      groups: { shared: group, realtime: group, 'smeared-realtime': group, 'monotonic-raw': group, bound: group },
      wholes: Object.fromEntries(workerData.clocks.map((clock, index) => [clock, cycles + BigInt(index)])),
      boundWholeNs: 0n,
    });
    const options = { image, generationAt: ${CLOCK_PAGE_OFFSETS.generation} };
    const writer = {
      seqlock: () => seqlockWriter(options),
      latch: () => latchWriter(options),
      'two-window': () => twoWindowWriter({ ...options, keep: 'found', overlap: true, keptFirst: false }),
    }[workerData.protocol]();
    const counter = () => addon.readCounter(1);
    const memory = bytesMemory(page.bytes);
    let updates = 0;
    const end = Date.now() + workerData.milliseconds;
    while (Date.now() < end) for (let i = 0; i < 20; i++, updates++) runSteps(writer, memory, counter);
    parentPort.postMessage(updates);`;

  test.each(['seqlock', 'latch', 'two-window'] as const)('%s: no value is off the line', async (protocol) => {
    const page = createMemfdPage(addon, { ...HEADER, protocol });
    const { fileDescriptor } = page;
    const module = join(compiled.root, `${protocol}.mjs`);
    writeFileSync(module, WRITER(compiled.lib));
    const worker = new Worker(module, {
      workerData: { fileDescriptor, protocol, clocks: [...OWN_CLOCKS], milliseconds: 400 },
    });
    const ended = new Promise<number>((resolve, reject) => {
      worker.on('message', resolve);
      worker.on('error', reject);
    });
    let updates: number | undefined;
    ended.then(
      (count) => {
        updates = count;
      },
      () => undefined,
    );
    const clocks = OWN_CLOCKS.map((clock) => openPageClock(addon, page, clock));
    const pages: ClockPageMemory = page.memory;
    let values = 0;
    let refused = 0;
    let failure: unknown;
    ended.catch((error: unknown) => {
      failure = error;
    });
    while (updates === undefined && failure === undefined) {
      for (let i = 0; i < 500; i++) {
        clocks.forEach((clock, index) => {
          const before = addon.readCounter(1);
          let value: bigint;
          try {
            value = clock.now();
          } catch {
            refused++;
            return;
          }
          const after = addon.readCounter(1);
          values++;
          const onLine = value - BigInt(index);
          if (onLine < before || onLine > after) expect({ value, before, after }).toBe('on the line');
        });
      }
      // The message of the other thread gets its turn.
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    await worker.terminate();
    expect(await ended).toBeGreaterThan(100);
    expect(values).toBeGreaterThan(1_000);
    // Before the first update there is nothing to read.
    expect(refused).toBeLessThan(values + 100_000);
    expect(pages.isLost()).toBe(false);
  });
});

describe('bad arguments are refused with the one class', () => {
  const page = createAnonymousPage(addon, HEADER);
  const out = new BigInt64Array(1);
  const none = new BigInt64Array(0);
  const set = new BigInt64Array(10);
  const bytes = new Uint8Array(4096);
  const any = (value: unknown): never => value as never;
  const calls: [string, () => unknown][] = [
    ['a memory that is none', () => addon.clockPageReader(any({}), 0, 0, true, 0, 0, 0, out)],
    [
      'a memory of another class',
      () => addon.clockPageReader(any(new Uint8Array(8)), 0, 0, true, 0, 0, 0, out),
    ],
    ['null for a memory', () => addon.clockPageReader(any(null), 0, 0, true, 0, 0, 0, out)],
    ['an unknown protocol', () => addon.clockPageReader(page.memory, any(9), 0, true, 0, 0, 0, out)],
    ['an unknown clock', () => addon.clockPageReader(page.memory, 0, 0, true, 7, 0, 0, out)],
    ['an unknown policy', () => addon.clockPageReader(page.memory, 0, 0, true, 0, any(3), 0, out)],
    ['no room for the value', () => addon.clockPageReader(page.memory, 0, 0, true, 0, 0, 0, none)],
    ['no boolean', () => addon.clockPageReader(page.memory, 0, 0, any(1), 0, 0, 0, out)],
    ['too few bytes', () => addon.readClockPageAt(bytes.subarray(1), 0, 0, true, 0, 0n, 0n, 1, 1)],
    ['a negative counter', () => addon.readClockPageAt(bytes, 0, 0, true, 0, -1n, 0n, 1, 1)],
    ['no try', () => addon.readClockPageAt(bytes, 0, 0, true, 0, 0n, 0n, 0, 1)],
    ['a literal protocol for a set', () => addon.clockPageSetReader(page.memory, 4, 0, true, false, set)],
    ['no room for a set', () => addon.clockPageSetReader(page.memory, 0, 0, true, false, set.subarray(1))],
    ['no memory for a set', () => addon.clockPageSetReader(any({}), 0, 0, true, false, set)],
    [
      'a policy for a set that is no boolean',
      () => addon.clockPageSetReader(page.memory, 0, 0, true, any(2), set),
    ],
    ['a set of no clock', () => addon.readClockPageSetAt(bytes, 0, 0, true, 0, 0n, 1, 1)],
    ['a set of unknown clocks', () => addon.readClockPageSetAt(bytes, 0, 0, true, 128, 0n, 1, 1)],
    ['a set by a literal protocol', () => addon.readClockPageSetAt(bytes, 5, 0, true, 1, 0n, 1, 1)],
    ['words that are no copy', () => addon.publishClockPage(page.memory, 0, out, 0, false, false)],
    [
      'a broken protocol to publish by',
      () => addon.publishClockPage(page.memory, 4, new BigInt64Array(26), 0, false, false),
    ],
    ['a kind of memory', () => new addon.ClockPageMemory(any(3), -1, true)],
    ['a file that is none', () => new addon.ClockPageMemory(2, 987_654, true)],
    ['no CPUs', () => addon.latchStress(0, 0, true, 0, new Uint32Array(0), 1, 1 << 20, 0, 0, 0n, none)],
    [
      'an unknown hazard',
      () => addon.latchStress(0, 0, true, any(5), Uint32Array.of(0), 1, 1 << 20, 0, 0, 0n, none),
    ],
    ['a window too short', () => addon.latchStress(0, 0, true, 0, Uint32Array.of(0), 1, 5, 0, 0, 0n, none)],
    ['no page of the kernel’s', () => addon.timeReads(BenchSubject.page, 0, 0, true, 1, null, false, 10)],
    ['a clock that is none', () => addon.timeReads(BenchSubject.vdso, 0, 0, true, 999, null, false, 10)],
    [
      'no threads',
      () => addon.timeReadsTogether(BenchSubject.rdtsc, 0, 0, true, 0, null, new Uint32Array(0), 10),
    ],
    [
      'a CPU that is not there',
      () => addon.timeReadsTogether(BenchSubject.rdtsc, 0, 0, true, 0, null, Uint32Array.of(4095), 10),
    ],
    [
      'words of another kind',
      () => addon.timeSingleReads(BenchSubject.rdtsc, 0, 0, true, 0, null, any([1n])),
    ],
    [
      'a reader that cannot be timed',
      () => addon.timeReads(BenchSubject.reader, 4, 0, true, 1, null, false, 10),
    ],
  ];
  test.each(calls)('%s', (_, call) => {
    expect(call).toThrow(expect.objectContaining({ name: 'LatchclockError' }));
  });

  test('a CPU that is not there is the system’s refusal', () => {
    expect(() =>
      addon.latchStress(0, 0, true, 0, Uint32Array.of(65_000), 1, 1 << 20, 0, 0, 0n, none),
    ).toThrow(expect.objectContaining({ code: 'ERR_SYSTEM_CALL' }));
  });

  test('a page that is mapped for reading is not published in', () => {
    const { fileDescriptor } = createMemfdPage(addon, HEADER);
    const readOnly = new addon.ClockPageMemory(2, fileDescriptor, false);
    expect(() => addon.publishClockPage(readOnly, 0, new BigInt64Array(26), 0, false, false)).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }),
    );
  });
});
