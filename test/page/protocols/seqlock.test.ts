import { describe, expect, test } from 'vitest';
import { CLOCK_PAGE_OFFSETS } from '../../../lib/page/clock-page.ts';
import { changingMemory, exactNs, image, pageOf, read } from './support.ts';

const A = image({ seed: 1n });
const B = image({ seed: 2n });

describe('seqlock', () => {
  test('uses the first copy whatever the even count is', () => {
    for (const count of [0n, 2n, 4n, 6n, (1n << 64n) - 2n]) {
      expect(read('seqlock', pageOf(count, [A, B]), 1_234n)).toMatchObject({
        ns: exactNs(A, 'monotonic', 1_234n),
        count,
      });
    }
  });

  test('waits for an odd count, a bounded time', () => {
    expect(read('seqlock', pageOf(7n, [A, B]), 1_234n, { mostSpins: 100, initialNs: -1n })).toEqual({
      end: 'retries',
      ns: -1n,
      cycles: 0n,
      count: 0n,
      generation: 0n,
      retries: 100n,
    });
  });

  test('goes on when the writer has finished', () => {
    const memory = changingMemory(pageOf(7n, [A, B]), 3, (view) =>
      view.setBigUint64(CLOCK_PAGE_OFFSETS.count, 8n, true),
    );
    expect(read('seqlock', memory, 1_234n)).toMatchObject({ end: 'value', count: 8n, retries: 3n });
  });

  test('does not bound itself by tries', () => {
    expect(read('seqlock', pageOf(2n, [A, B]), 1_234n, { mostTries: 0 }).end).toBe('value');
  });
});
