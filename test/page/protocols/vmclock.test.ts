import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { vmclockOutcome, vmclockReader } from '../../../lib/page/protocols/vmclock.ts';
import { bytesMemory, runSteps, type StepMemory } from '../../../lib/page/steps.ts';
import { changingMemory, edgyWord, U64 } from './support.ts';

interface Words {
  count?: number;
  marker?: bigint;
  shift?: number;
  counter?: bigint;
  period?: bigint;
  seconds?: bigint;
  fraction?: bigint;
  counterId?: number;
  status?: number;
}

function page(words: Words = {}): Uint8Array {
  const view = new DataView(new ArrayBuffer(4096));
  view.setUint32(0x00, 0x4b4c_4356, true);
  view.setUint8(0x0a, words.counterId ?? 1);
  view.setUint8(0x22, words.status ?? 2);
  view.setUint32(0x0c, words.count ?? 2, true);
  view.setBigUint64(0x10, words.marker ?? 1n, true);
  view.setUint8(0x27, words.shift ?? 0);
  view.setBigUint64(0x28, words.counter ?? 1_000n, true);
  view.setBigUint64(0x30, words.period ?? 0n, true);
  view.setBigUint64(0x48, words.seconds ?? 0n, true);
  view.setBigUint64(0x50, words.fraction ?? 0n, true);
  return new Uint8Array(view.buffer);
}

const read = (from: Uint8Array | StepMemory, cycles: bigint) =>
  vmclockOutcome(
    runSteps(
      vmclockReader({ mostSpins: 5 }),
      from instanceof Uint8Array ? bytesMemory(from) : from,
      () => cycles,
    ),
  );

describe('vmclock', () => {
  test('a period of 2^-2 s: quarters of a second', () => {
    // 2^62 * 2^-64 s a cycle.
    const quarter = page({ period: 1n << 62n, seconds: 100n, fraction: 1n << 63n, marker: 8n });
    expect(read(quarter, 1_000n)).toEqual({
      end: 'value',
      seconds: 100n,
      fraction: 1n << 63n,
      cycles: 1_000n,
      disruptionMarker: 8n,
      count: 2n,
      retries: 0n,
    });
    expect(read(quarter, 1_001n)).toMatchObject({ seconds: 100n, fraction: 3n << 62n });
    expect(read(quarter, 1_002n)).toMatchObject({ seconds: 101n, fraction: 0n });
    expect(read(quarter, 1_011n)).toMatchObject({ seconds: 103n, fraction: 1n << 62n });
  });

  test('1 GHz with a period scaled by 2^29: a second later it is a second later, less the rounding', () => {
    const period = 2n ** 93n / 10n ** 9n;
    const clock = page({ shift: 29, period, seconds: 1_700_000_000n });
    const { seconds, fraction } = read(clock, 1_000n + 1_000_000_000n);
    expect(seconds).toBe(1_700_000_000n);
    // 2^93 - 1e9 * period is above 0 and below 1e9, which is less than 2 * 2^29.
    expect([U64 - 1n, U64 - 2n]).toContain(fraction);
  });

  test('any words: seconds and fraction are time + (delta * period >> shift), in units of 2^-64 s', () => {
    fc.assert(
      fc.property(
        fc.record({
          shift: fc.nat(255),
          counter: edgyWord,
          period: edgyWord,
          seconds: edgyWord,
          fraction: edgyWord,
        }),
        fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }),
        (words, delta) => {
          fc.pre(words.period > 0n);
          const outcome = read(page(words), (words.counter + delta) % U64);
          const exact =
            words.seconds * U64 + words.fraction + (delta * words.period) / 2n ** BigInt(words.shift);
          expect(outcome.end).toBe('value');
          expect(outcome.seconds * U64 + outcome.fraction).toBe(exact % (U64 * U64));
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test('refuses a counter behind, by the sign of the difference', () => {
    const clock = page({ period: 1n });
    expect(read(clock, 999n)).toMatchObject({ end: 'out-of-window', seconds: 0n, fraction: 0n });
    expect(read(clock, 1_000n + (1n << 63n)).end).toBe('out-of-window');
    expect(read(clock, 1_000n + (1n << 63n) - 1n).end).toBe('value');
  });

  test('refuses a period of zero before anything else', () => {
    expect(read(page(), 999n).end).toBe('unpublished');
  });

  test('refuses a page of another counter, or whose clock is not known to run, whatever else it holds', () => {
    for (const counterId of [0, 2, 0xff]) {
      expect(read(page({ period: 1n, counterId }), 1_000n)).toMatchObject({ end: 'unusable', seconds: 0n });
    }
    for (const status of [0, 1, 4, 5, 0xff]) {
      expect(read(page({ period: 1n, status }), 1_000n).end).toBe('unusable');
      expect(read(page({ status }), 1n).end).toBe('unusable');
    }
    for (const status of [2, 3]) expect(read(page({ period: 1n, status }), 1_000n).end).toBe('value');
  });

  test('waits for an odd count, a bounded time', () => {
    expect(read(page({ count: 7, period: 1n }), 1_000n)).toMatchObject({
      end: 'retries',
      retries: 5n,
      count: 0n,
    });
  });

  test('retries when the count changed under it; the count has 32 bits', () => {
    const memory = changingMemory(page({ count: 0xffff_fffe, period: 1n }), 3, (view) =>
      view.setUint32(0x0c, 0, true),
    );
    expect(read(memory, 1_000n)).toMatchObject({ end: 'value', retries: 1n, count: 0n });
    // What lies beside the count is none of it.
    const beside = changingMemory(page({ period: 1n }), 3, (view) => view.setUint16(0x08, 9, true));
    expect(read(beside, 1_000n)).toMatchObject({ end: 'value', retries: 0n });
  });
});
