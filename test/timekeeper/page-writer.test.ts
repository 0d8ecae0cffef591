import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { getAddon } from '../../lib/native/load.js';
import { CLOCK_PAGE_OFFSETS, COPY_OFFSETS, COPY_WORDS, OWN_CLOCKS } from '../../lib/page/clock-page.js';
import { PageWriter } from '../../lib/timekeeper/page-writer.js';
import type { Standing } from '../../lib/timekeeper/standing.js';
import { NO_OFFSETS } from '../../lib/timekeeper/view.js';
import { PROTOCOLS, pageFor, readAt, setGeneration } from './run-support.js';
import { clocksAt } from './support.js';

const SHIFT = 60;
const VIEW = { preference: 'sane', namespace: NO_OFFSETS } as const;

/** The `n`-th of standings that touch, of 1,000 cycles each; each has clocks of its own. */
function standing(n: bigint, parts: Partial<Standing> = {}): Standing {
  const slope = (ns: bigint) => ({
    scaledNs: (ns + n * 1_000n) << BigInt(SHIFT),
    mult: (1n << BigInt(SHIFT)) + n,
  });
  return {
    ...{ base: 10_000n + n * 1_000n, end: 11_000n + n * 1_000n, shift: SHIFT, generation: 0n },
    ...{ shared: slope(5n), smeared: slope(7n), raw: slope(11n), bound: slope(0n) },
    ...{ boottimeOffsetNs: 13n, taiOffsetNs: 17n, saneOffsetNs: n, preferences: ['sane'] },
    ...parts,
  };
}

const writerOf = (page: ReturnType<typeof pageFor>) => new PageWriter(getAddon(), page, 0, NO_OFFSETS);

describe.each(PROTOCOLS)('a writer of a %s', (protocol) => {
  test('finds nothing in a page that nobody has written', () => {
    expect(writerOf(pageFor(protocol)).found(SHIFT)).toBeNull();
  });

  test('finds what another one published last, whatever that was, and goes on with it', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 9 }), (shortened) => {
        const page = pageFor(protocol);
        let writer = writerOf(page);
        let last = standing(0n);
        writer.offer(last);
        for (const [at, isShortened] of shortened.entries()) {
          if (isShortened && protocol !== 'seqlock') {
            last = { ...last, end: last.end - 100n };
            writer.revise(last);
          } else {
            last = standing(BigInt(at) + 1n);
            writer.offer(last);
          }
          writer = writerOf(page);
          expect(writer.found(SHIFT)).toEqual({ ...last, preferences: [] });
        }
        expect(readAt(page, 'tai', last.base)).toBe(clocksAt(last, VIEW, last.base).tai);
      }),
    );
  });

  test('refuses every reading of every clock once it has withdrawn, and is found to have left nothing', () => {
    const page = pageFor(protocol);
    const writer = writerOf(page);
    writer.withdraw();
    writer.offer(standing(0n));
    writer.offer(standing(1n));
    writer.withdraw();
    for (const clock of OWN_CLOCKS) {
      for (const cycles of [10_000n, 10_500n, 11_000n, 11_500n, 99_000n])
        expect(readAt(page, clock, cycles)).toBeNull();
    }
    expect(writerOf(page).found(SHIFT)).toBeNull();
    writer.offer(standing(2n));
    expect(readAt(page, 'tai', 12_001n)).toBe(clocksAt(standing(2n), VIEW, 12_001n).tai);
  });
});

test('a two-window page offers two standings that touch, and one when an end is moved', () => {
  const page = pageFor('two-window');
  const writer = writerOf(page);
  writer.offer(standing(0n));
  writer.offer(standing(1n));
  const successor = writerOf(page);
  expect(successor.found(SHIFT)).toEqual({ ...standing(1n), preferences: [] });
  expect(successor.foundBeside(SHIFT)).toEqual({ ...standing(0n), preferences: [] });
  const tai = (cycles: bigint): bigint | null => readAt(page, 'tai', cycles);
  expect([tai(10_999n), tai(11_000n)]).toEqual([
    clocksAt(standing(0n), VIEW, 10_999n).tai,
    clocksAt(standing(1n), VIEW, 11_000n).tai,
  ]);
  expect(writerOf(page).foundBeside(SHIFT)).toEqual({ ...standing(0n), preferences: [] });
  writer.revise({ ...standing(1n), end: 11_400n });
  expect([tai(10_999n), tai(11_400n)]).toEqual([null, null]);
  expect(writerOf(page).foundBeside(SHIFT)).toBeNull();
  expect(tai(11_399n)).toBe(clocksAt(standing(1n), VIEW, 11_399n).tai);
});

test('readers of a seqlock wait once they are held, until the next standing; a second hold changes nothing', () => {
  const page = pageFor('seqlock');
  const writer = writerOf(page);
  writer.offer(standing(0n));
  writer.hold();
  const count = page.bytes[CLOCK_PAGE_OFFSETS.count];
  writer.hold();
  expect(page.bytes[CLOCK_PAGE_OFFSETS.count]).toBe(count);
  expect(readAt(page, 'tai', 10_000n)).toBeNull();
  expect(writerOf(page)).toMatchObject({ isHeld: true });
  writer.offer(standing(1n));
  expect(readAt(page, 'tai', 11_000n)).toBe(clocksAt(standing(1n), VIEW, 11_000n).tai);
});

test('a successor finds what readers of a seqlock had before they were held, half-way through any copy', () => {
  for (let stored = 0; stored <= COPY_WORDS.length; stored++) {
    const page = pageFor('seqlock');
    const writer = writerOf(page);
    writer.offer(standing(0n));
    writer.offer(standing(1n));
    writer.hold();
    const before = page.bytes.slice();
    writer.offer(standing(2n));
    const after = page.bytes.slice();
    page.bytes.set(before);
    for (const { field } of COPY_WORDS.slice(0, stored)) {
      const at = COPY_OFFSETS[0][field];
      page.bytes.set(after.subarray(at, at + 8), at);
    }
    expect(writerOf(page).found(SHIFT)).toEqual({ ...standing(1n), preferences: [] });
  }
});

describe('of two copies of different generations a writer of a two-window', () => {
  const offered = (generation: bigint, first: Standing, second: Standing): ReturnType<typeof pageFor> => {
    const page = pageFor('two-window', 'page');
    setGeneration(page, generation);
    const writer = writerOf(page);
    writer.offer(first);
    writer.offer(second);
    return page;
  };

  test('keeps the one of the page’s generation, wherever the counter was moved to', () => {
    for (const n of [0n, 9n]) {
      const [old, moved] = [standing(5n, { generation: 1n }), standing(n, { generation: 2n })];
      const page = offered(2n, old, moved);
      // Both offered, as another writer may leave them.
      page.bytes[CLOCK_PAGE_OFFSETS.count] = (page.bytes[CLOCK_PAGE_OFFSETS.count] ?? 0) & 0xfd;
      expect(writerOf(page).found(SHIFT)).toEqual({ ...moved, preferences: [] });
    }
  });

  test('offers the new one alone: a counter may be in the window of the old one too', () => {
    const [old, moved] = [standing(5n, { generation: 1n }), standing(5n, { generation: 2n, base: 15_100n })];
    const page = offered(2n, old, moved);
    expect((page.bytes[CLOCK_PAGE_OFFSETS.count] ?? 0) & 2).toBe(2);
    expect(readAt(page, 'tai', 15_200n)).toBe(clocksAt(moved, VIEW, 15_200n).tai);
  });
});
