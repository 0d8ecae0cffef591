import { describe, expect, test } from 'vitest';
import { CLOCK_PAGE_OFFSETS } from '../../../lib/page/clock-page.ts';
import { literalTwoWindowReader } from '../../../lib/page/protocols/literal.ts';
import { bytesMemory, runSteps, type StepCounter } from '../../../lib/page/steps.ts';
import { exactNs, image, options, pageOf, read } from './support.ts';

const A = image({ seed: 1n });
const B = image({ seed: 2n, base: 1_500n });

/** A counter during whose n-th reading the page changes. */
function changing(page: Uint8Array, cycles: bigint, counts: readonly bigint[]): StepCounter {
  let readings = 0;
  return () => {
    const count = counts[readings++];
    if (count !== undefined) new DataView(page.buffer).setBigUint64(CLOCK_PAGE_OFFSETS.count, count, true);
    return cycles;
  };
}

describe('literal-latch-window', () => {
  test('is right inside the window', () => {
    expect(read('literal-latch-window', pageOf(2n, [A, B]), 1_234n)).toEqual({
      end: 'value',
      ns: exactNs(A, 'monotonic', 1_234n),
      cycles: 1_234n,
      count: 2n,
      generation: 0n,
      retries: 0n,
    });
  });

  test.each([999n, 1_500n])('outside it, at %d, claims a value that it does not have', (cycles) => {
    expect(read('literal-latch-window', pageOf(2n, [A, B]), cycles, { initialNs: -77n })).toEqual({
      end: 'value',
      ns: -77n,
      cycles,
      count: 2n,
      generation: 0n,
      retries: 0n,
    });
  });

  test('keeps the value of a copy that it threw away', () => {
    const page = pageOf(2n, [A, B]);
    const outcome = read('literal-latch-window', page, changing(page, 1_234n, [3n]), { initialNs: -77n });
    // The first try computed from A, the second one found itself outside B's window.
    expect(outcome).toMatchObject({
      end: 'value',
      ns: exactNs(A, 'monotonic', 1_234n),
      count: 3n,
      retries: 1n,
    });
  });

  test('does not look at generations, nor at a mult of zero', () => {
    const page = pageOf(0n, [image({ tag: 1n, mult: 0n }), A], 2n);
    expect(read('literal-latch-window', page, 1_234n, { generation: 'tagged' })).toMatchObject({
      end: 'value',
      generation: 2n,
    });
  });

  test('is bounded', () => {
    const page = pageOf(2n, [A, B]);
    const counts = [4n, 6n, 8n, 10n, 12n];
    const outcome = read('literal-latch-window', page, changing(page, 1_234n, counts), { mostTries: 3 });
    expect(outcome).toMatchObject({ end: 'retries', retries: 2n, count: 0n });
    expect(read('literal-latch-window', page, 1_234n, { mostTries: 0 })).toMatchObject({
      end: 'retries',
      retries: 0n,
    });
  });
});

describe('literal-two-window', () => {
  test('loops for ever on a page that nobody changes', () => {
    expect(read('literal-two-window', pageOf(0n, [A, B]), 1_234n, { mostTries: 50 })).toMatchObject({
      end: 'retries',
      retries: 49n,
    });
  });

  test('returns only from a copy that was rewritten under it', () => {
    const page = pageOf(0n, [A, B]);
    const outcome = read('literal-two-window', page, changing(page, 1_234n, [3n]));
    expect(outcome).toMatchObject({
      end: 'value',
      ns: exactNs(A, 'monotonic', 1_234n),
      count: 0n,
      retries: 0n,
    });
  });

  test('compares the delta with the base: far outside the window it computes all the same', () => {
    const page = pageOf(0n, [image({ base: 1n << 40n }), B]);
    const cycles = (1n << 40n) + (1n << 39n);
    expect(read('literal-two-window', page, changing(page, cycles, [2n]))).toMatchObject({
      end: 'value',
      ns: exactNs(image({ base: 1n << 40n }), 'monotonic', cycles),
    });
  });

  test('leaves without a value where neither copy will do, or only one may be tried', () => {
    for (const count of [0n, 2n]) {
      const page = pageOf(count, [A, B]);
      const outcome = read('literal-two-window', page, changing(page, 900n, [8n]), { initialNs: -77n });
      expect(outcome).toMatchObject({ end: 'value', ns: -77n, count });
    }
  });

  test('tries the other copy where the first will not do', () => {
    const page = pageOf(0n, [image({ base: 0n }), B]);
    const run = runSteps(literalTwoWindowReader(options()), bytesMemory(page), changing(page, 1_600n, [4n]));
    expect(run.registers.ns).toBe(exactNs(B, 'monotonic', 1_600n));
  });
});
