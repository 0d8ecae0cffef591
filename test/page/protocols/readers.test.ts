import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  CLOCK_PAGE_OFFSETS,
  COPY_OFFSETS,
  OWN_CLOCKS,
  ownSegment,
  shiftWordOf,
} from '../../../lib/page/clock-page.ts';
import { OWN_READERS, type OwnReaderName } from '../../../lib/page/protocols/readers.ts';
import { evaluate } from '../../../lib/page/segment.ts';
import { bytesMemory, joinMemories, type StepMemory } from '../../../lib/page/steps.ts';
import { changingMemory, edgyWord, exactNs, image, pageOf, read, U64 } from './support.ts';

const SOUND = ['seqlock', 'latch', 'latch-window', 'two-window'] as const;
const WINDOWED = ['latch-window', 'two-window'] as const;
const GENERATIONS = ['none', 'tagged', 'untagged'] as const;
const A = image({ seed: 1n, tag: 3n });
const B = image({ seed: 2n, tag: 3n, base: 1_100n });

describe.each(SOUND)('%s on a quiet page', (protocol) => {
  test.each(OWN_CLOCKS)('reads %s from the copy that the count names', (clock) => {
    const page = pageOf(6n, [A, B], 3n);
    for (const generation of GENERATIONS) {
      for (const arithmetic of ['narrow', 'wide'] as const) {
        expect(read(protocol, page, 1_234n, { clock, generation, arithmetic })).toEqual({
          end: 'value',
          ns: exactNs(A, clock, 1_234n),
          cycles: 1_234n,
          count: 6n,
          generation: generation === 'none' ? 0n : 3n,
          retries: 0n,
        });
      }
    }
  });

  test('gives what the one pure evaluation gives, inside the window', () => {
    fc.assert(
      fc.property(
        fc.record({ base: edgyWord, mult: edgyWord, seed: fc.bigInt(1n, 1_000_000n), shift: fc.nat(63) }),
        fc.constantFrom(...OWN_CLOCKS),
        fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }),
        (parts, clock, delta) => {
          fc.pre(parts.mult > 0n);
          const copy = image({ ...parts, maxDelta: 1n << 63n });
          const cycles = (parts.base + delta) % U64;
          const exact = evaluate(ownSegment(copy, clock), cycles);
          const outcome = read(protocol, pageOf(2n, [copy, copy]), cycles, { clock });
          expect(outcome).toMatchObject({ end: 'value', ns: BigInt.asIntN(64, exact) });
        },
      ),
    );
  });

  test('narrow is the same while the bound holds that the header promises', () => {
    fc.assert(
      fc.property(edgyWord, edgyWord, fc.nat(63), edgyWord, (base, mult, shift, some) => {
        fc.pre(mult > 0n);
        const { fraction } = image({ shift }).groups.shared;
        const longest = (U64 - 1n - fraction) / mult + 1n;
        const maxDelta = longest < 1n << 63n ? longest : 1n << 63n;
        const copy = image({ base, mult, shift, maxDelta });
        const cycles = (base + (some % maxDelta)) % U64;
        const page = pageOf(0n, [copy, copy]);
        const [narrow, wide] = (['narrow', 'wide'] as const).map((arithmetic) =>
          read(protocol, page, cycles, { arithmetic }),
        );
        expect(narrow).toEqual(wide);
        expect(wide).toMatchObject({
          end: 'value',
          ns: BigInt.asIntN(64, evaluate(ownSegment(copy, 'monotonic'), cycles)),
        });
      }),
    );
  });

  test('takes a shift modulo 64', () => {
    const page = pageOf(0n, [A, A]);
    const view = new DataView(page.buffer);
    for (const copy of COPY_OFFSETS) view.setBigUint64(copy['shared.shift'], shiftWordOf(64 + 4), true);
    expect(read(protocol, page, 1_234n).ns).toBe(exactNs(A, 'monotonic', 1_234n));
  });

  test('refuses zeros as unpublished, or as out of a window of none', () => {
    const end = protocol === 'seqlock' || protocol === 'latch' ? 'unpublished' : 'out-of-window';
    expect(read(protocol, new Uint8Array(4096), 5n, { initialNs: -7n })).toMatchObject({ end, ns: -7n });
  });

  test('refuses a copy without the mark of a writer', () => {
    const page = pageOf(0n, [A, A]);
    const view = new DataView(page.buffer);
    for (const copy of COPY_OFFSETS) view.setBigUint64(copy['shared.shift'], 4n, true);
    expect(read(protocol, page, 1_234n)).toMatchObject({ end: 'unpublished', ns: 0n });
  });

  test('refuses a mult of zero inside the window', () => {
    const copy = image({ mult: 0n });
    expect(read(protocol, pageOf(0n, [copy, copy]), 1_000n)).toMatchObject({ end: 'unpublished', ns: 0n });
  });

  test('retries while the count changes under it, and uses the later copy', () => {
    // After each access up to the last load of a copy without a window.
    for (let n = 1; n <= 6; n++) {
      const memory = changingMemory(pageOf(4n, [A, B]), n, (view) =>
        view.setBigUint64(CLOCK_PAGE_OFFSETS.count, 8n, true),
      );
      expect(read(protocol, memory, 1_200n)).toMatchObject({
        end: 'value',
        ns: exactNs(A, 'monotonic', 1_200n),
        count: 8n,
        retries: 1n,
      });
    }
  });

  test('gives up when the count changes all the while, and says how often it tried', () => {
    const memory = changingMemory(
      pageOf(4n, [A, B]),
      1,
      (view) => {
        const at = CLOCK_PAGE_OFFSETS.count;
        view.setBigUint64(at, view.getBigUint64(at, true) + 4n, true);
      },
      true,
    );
    expect(read(protocol, memory, 1_200n, { mostTries: 3, mostSpins: 3, initialNs: 5n })).toEqual({
      end: 'retries',
      ns: 5n,
      cycles: 1_200n,
      count: 0n,
      generation: 0n,
      retries: 3n,
    });
  });

  test('makes no try at all if none is allowed', () => {
    expect(read(protocol, pageOf(0n, [A, B]), 1_200n, { mostTries: 0, mostSpins: 0 })).toMatchObject({
      end: 'retries',
      retries: 0n,
      cycles: 0n,
    });
  });
});

describe.each(SOUND)('the generation of %s', (protocol) => {
  const at = CLOCK_PAGE_OFFSETS.generation;

  test('another one than the copy was computed for is refused, if it is compared with the tag', () => {
    const page = pageOf(0n, [A, B], 4n);
    expect(read(protocol, page, 1_200n, { generation: 'tagged', initialNs: 1n })).toMatchObject({
      end: 'disrupted',
      ns: 1n,
      generation: 4n,
    });
    // A reader that starts after a migration sees nothing change.
    expect(read(protocol, page, 1_200n, { generation: 'untagged' })).toMatchObject({ end: 'value' });
    expect(read(protocol, page, 1_200n, { generation: 'none' })).toMatchObject({
      end: 'value',
      generation: 0n,
    });
  });

  test('a counter that changes with it at any point of a read is never used with an old tag', () => {
    const ends = new Set<string>();
    for (let n = 1; n < 14; n++) {
      let jumped = false;
      const memory = changingMemory(pageOf(0n, [A, B], 3n), n, (view) => {
        jumped = true;
        view.setBigUint64(at, 4n, true);
      });
      const outcome = read(protocol, memory, () => (jumped ? 1_400n : 1_200n), { generation: 'tagged' });
      ends.add(outcome.end);
      if (outcome.end === 'value') {
        expect(outcome).toMatchObject({
          ns: exactNs(A, 'monotonic', 1_200n),
          cycles: 1_200n,
          generation: 3n,
        });
      } else expect(outcome.end).toBe('disrupted');
    }
    expect(ends).toEqual(new Set(['value', 'disrupted']));
  });

  test('that changes during a read is seen by both', () => {
    for (const generation of ['tagged', 'untagged'] as const) {
      let readings = 0;
      const page = pageOf(0n, [A, B], 3n);
      const counter = (): bigint => {
        readings++;
        new DataView(page.buffer).setBigUint64(at, 4n, true);
        return 1_200n;
      };
      expect(read(protocol, page, counter, { generation })).toMatchObject({
        end: 'disrupted',
        generation: 3n,
      });
      expect(readings).toBe(1);
    }
  });

  test("that was old before and is the copy's afterwards is refused, too", () => {
    const page = pageOf(0n, [A, B], 2n);
    const counter = (): bigint => {
      new DataView(page.buffer).setBigUint64(at, 3n, true);
      return 1_200n;
    };
    expect(read(protocol, page, counter, { generation: 'tagged' }).end).toBe('disrupted');
  });

  test('may lie in another memory', () => {
    const elsewhere = new Uint8Array(32);
    const memory = joinMemories(bytesMemory(pageOf(0n, [A, B], 99n)), 4096, bytesMemory(elsewhere));
    const parts = { generation: 'tagged', generationAt: 4096 + 16 } as const;
    expect(read(protocol, memory, 1_200n, parts).end).toBe('disrupted');
    elsewhere[16] = 3;
    expect(read(protocol, memory, 1_200n, parts)).toMatchObject({ end: 'value', generation: 3n });
  });

  test('is judged before the window', () => {
    const parts = { generation: 'tagged' } as const;
    expect(read(protocol, pageOf(0n, [A, A], 4n), 1n << 40n, parts).end).toBe('disrupted');
  });
});

describe.each(WINDOWED)('the window of %s', (protocol) => {
  const quiet = (parts: Parameters<typeof image>[0]): Uint8Array =>
    pageOf(2n, [image(parts), image({ maxDelta: 0n })]);

  test('holds from its base to one before its end', () => {
    for (const cycles of [1_000n, 1_499n]) {
      expect(read(protocol, quiet({}), cycles)).toMatchObject({
        end: 'value',
        ns: exactNs(image(), 'monotonic', cycles),
      });
    }
    for (const cycles of [999n, 1_500n, 0n, U64 - 1n, 1_000n + (1n << 63n)]) {
      expect(read(protocol, quiet({}), cycles, { initialNs: 3n })).toEqual({
        end: 'out-of-window',
        ns: 3n,
        cycles,
        count: 2n,
        generation: 0n,
        retries: 0n,
      });
    }
  });

  test('of zero cycles refuses even at the base', () => {
    expect(read(protocol, quiet({ maxDelta: 0n }), 1_000n).end).toBe('out-of-window');
  });

  test('may wrap through zero', () => {
    const page = quiet({ base: U64 - 2n, maxDelta: 4n });
    expect([U64 - 3n, U64 - 2n, 0n, 1n, 2n].map((cycles) => read(protocol, page, cycles).end)).toEqual([
      'out-of-window',
      'value',
      'value',
      'value',
      'out-of-window',
    ]);
  });

  test('is judged before mult: an unpublished page out of its window is out of its window', () => {
    expect(read(protocol, quiet({ mult: 0n }), 999n).end).toBe('out-of-window');
  });
});

describe.each(['seqlock', 'latch'] as const)('%s without a window', (protocol) => {
  const page = pageOf(0n, [A, A]);

  test('reads a counter behind the base as the base', () => {
    for (const cycles of [999n, 0n, 1_000n + (1n << 63n)]) {
      expect(read(protocol, page, cycles)).toMatchObject({ ns: exactNs(A, 'monotonic', 1_000n), cycles });
    }
  });

  test('believes one far ahead, and does not look at maxDelta', () => {
    const cycles = 1_000n + (1n << 50n);
    expect(read(protocol, page, cycles).ns).toBe(exactNs(A, 'monotonic', cycles));
    const disabled = image({ maxDelta: 0n });
    expect(read(protocol, pageOf(0n, [disabled, disabled]), 1_000n).end).toBe('value');
  });
});

test('every reader has a name of its own, and is bounded by default', () => {
  const names = Object.keys(OWN_READERS) as OwnReaderName[];
  for (const name of names) {
    const program = OWN_READERS[name]({ clock: 'tai', generation: 'none', arithmetic: 'wide' });
    expect(program.name).toBe(`${name} reader`);
  }
  expect(names).toHaveLength(6);
});

test.each(['seqlock', 'latch', 'latch-window', 'two-window'] as const)(
  '%s with its generation gives no value where the guest moves behind its load of the count, to a host whose update ends there',
  (protocol) => {
    const count = protocol === 'two-window' ? 2n : 4n;
    const page = pageOf(count, [image(), image()], 0n);
    // Words of two segments of the other host, under the same count: an update that is under way, and ends in time.
    const torn = { ...image({ tag: 8n, seed: 3n }), base: image({ seed: 4n, base: 1_100n }).base };
    const other = pageOf(count, [torn, torn], 8n);
    const memory = bytesMemory(page);
    let moved = false;
    const moving: StepMemory = {
      load(at, bytes, order) {
        const value = memory.load(at, bytes, order);
        if (at === CLOCK_PAGE_OFFSETS.count && !moved) {
          moved = true;
          page.set(other);
        }
        return value;
      },
      store: memory.store,
    };
    expect(read(protocol, moving, 1_200n, { generation: 'tagged' }).end).toBe('disrupted');
  },
);
