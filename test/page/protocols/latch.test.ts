import { describe, expect, test } from 'vitest';
import { COPY_OFFSETS } from '../../../lib/page/clock-page.ts';
import { changingMemory, exactNs, image, pageOf, read } from './support.ts';

const A = image({ seed: 1n });
const B = image({ seed: 2n });

describe.each(['latch', 'latch-window'] as const)('%s', (protocol) => {
  test.each([0n, 1n, 2n, 3n, (1n << 64n) - 1n])(
    'with a count of %d uses the copy of its lowest bit',
    (count) => {
      expect(read(protocol, pageOf(count, [A, B]), 1_234n)).toMatchObject({
        end: 'value',
        ns: exactNs((count & 1n) === 0n ? A : B, 'monotonic', 1_234n),
        count,
      });
    },
  );

  test('is not disturbed by what happens to the other copy', () => {
    const memory = changingMemory(
      pageOf(0n, [A, B]),
      1,
      (view) => {
        for (const at of Object.values(COPY_OFFSETS[1])) view.setBigUint64(at, 0xdeadn, true);
      },
      true,
    );
    expect(read(protocol, memory, 1_234n)).toMatchObject({ end: 'value', retries: 0n });
  });

  test('never waits for a writer: no count is odd to it', () => {
    expect(read(protocol, pageOf(1n, [A, B]), 1_234n, { mostTries: 1 }).end).toBe('value');
  });
});
