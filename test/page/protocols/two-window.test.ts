import { describe, expect, test } from 'vitest';
import { CLOCK_PAGE_OFFSETS } from '../../../lib/page/clock-page.ts';
import { exactNs, image, pageOf, read } from './support.ts';

// The windows touch: [1000, 1500) and [1500, 2000).
const A = image({ seed: 1n, tag: 1n });
const B = image({ seed: 2n, tag: 1n, base: 1_500n });

describe('two-window', () => {
  test.each([
    ['both, the first one first', 0n, 'value', 'value'],
    ['both, the second one first', 1n, 'value', 'value'],
    ['only the first', 2n, 'value', 'out-of-window'],
    ['only the second', 3n, 'out-of-window', 'value'],
  ])('%s', (_, bits, inA, inB) => {
    for (const count of [bits, bits + 4n, bits + (1n << 63n)]) {
      const page = pageOf(count, [A, B]);
      for (const generation of ['none', 'tagged'] as const) {
        const one = pageOf(count, [A, B], 1n);
        expect(read('two-window', one, 1_499n, { generation }).end).toBe(inA);
        expect(read('two-window', one, 1_500n, { generation }).end).toBe(inB);
      }
      if (inA === 'value') expect(read('two-window', page, 1_499n).ns).toBe(exactNs(A, 'monotonic', 1_499n));
      if (inB === 'value') expect(read('two-window', page, 1_500n).ns).toBe(exactNs(B, 'monotonic', 1_500n));
      for (const cycles of [999n, 2_000n]) expect(read('two-window', page, cycles).end).toBe('out-of-window');
    }
  });

  test('changes at an exact tick, whichever copy is tried first', () => {
    for (const count of [0n, 1n]) {
      const values = [1_498n, 1_499n, 1_500n, 1_501n].map(
        (cycles) => read('two-window', pageOf(count, [A, B]), cycles).ns,
      );
      expect(values).toEqual([
        exactNs(A, 'monotonic', 1_498n),
        exactNs(A, 'monotonic', 1_499n),
        exactNs(B, 'monotonic', 1_500n),
        exactNs(B, 'monotonic', 1_501n),
      ]);
    }
  });

  test('reads the counter once for both windows', () => {
    let readings = 0n;
    const counter = (): bigint => 1_499n + readings++;
    expect(read('two-window', pageOf(1n, [A, B]), counter)).toMatchObject({ end: 'value', cycles: 1_499n });
    expect(readings).toBe(1n);
  });

  test('refuses a gap between the windows', () => {
    const later = image({ seed: 2n, base: 1_600n });
    for (const count of [0n, 1n]) {
      const ends = [1_499n, 1_500n, 1_599n, 1_600n].map(
        (cycles) => read('two-window', pageOf(count, [A, later]), cycles).end,
      );
      expect(ends).toEqual(['value', 'out-of-window', 'out-of-window', 'value']);
    }
  });

  test('both disabled: a maxDelta of 0 and only that copy', () => {
    const disabled = image({ maxDelta: 0n, base: 1_200n });
    expect(read('two-window', pageOf(3n, [A, disabled]), 1_200n).end).toBe('out-of-window');
  });

  test('the tag of the copy that is used counts, not that of the first', () => {
    const stale = image({ seed: 1n, tag: 9n });
    const parts = { generation: 'tagged' } as const;
    expect(read('two-window', pageOf(0n, [stale, B], 1n), 1_600n, parts).end).toBe('value');
    expect(read('two-window', pageOf(0n, [stale, B], 1n), 1_200n, parts).end).toBe('disrupted');
    // In no window: it is the second that was loaded last.
    expect(read('two-window', pageOf(0n, [stale, B], 1n), 5_000n, parts).end).toBe('out-of-window');
    expect(read('two-window', pageOf(1n, [stale, B], 1n), 5_000n, parts).end).toBe('disrupted');
  });

  test('a count that changes while the second copy is tried throws both away', () => {
    const page = pageOf(0n, [A, B]);
    let readings = 0;
    const counter = (): bigint => {
      if (readings++ === 0) new DataView(page.buffer).setBigUint64(CLOCK_PAGE_OFFSETS.count, 5n, true);
      return 1_600n;
    };
    expect(read('two-window', page, counter)).toMatchObject({ end: 'value', count: 5n, retries: 1n });
  });
});
