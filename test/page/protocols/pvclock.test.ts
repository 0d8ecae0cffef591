import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pvclockNanoseconds, pvclockOutcome, pvclockReader } from '../../../lib/page/protocols/pvclock.ts';
import { bytesMemory, runSteps, type StepMemory } from '../../../lib/page/steps.ts';
import { changingMemory, edgyWord, U64 } from './support.ts';

interface Words {
  version?: number;
  timestamp?: bigint;
  systemTime?: bigint;
  mul?: number;
  shift?: number;
  flags?: number;
}

function page(words: Words = {}): Uint8Array {
  const view = new DataView(new ArrayBuffer(32));
  view.setUint32(0, words.version ?? 6, true);
  view.setUint32(4, 0xdead_beef, true);
  view.setBigUint64(8, words.timestamp ?? 1_000n, true);
  view.setBigUint64(16, words.systemTime ?? 500n, true);
  view.setUint32(24, words.mul ?? 0x8000_0000, true);
  view.setInt8(28, words.shift ?? 0);
  view.setUint8(29, words.flags ?? 1);
  return new Uint8Array(view.buffer);
}

const read = (from: Uint8Array | StepMemory, cycles: bigint) =>
  pvclockOutcome(
    runSteps(
      pvclockReader({ mostSpins: 5 }),
      from instanceof Uint8Array ? bytesMemory(from) : from,
      () => cycles,
    ),
  );

describe('pvclock', () => {
  test('half a nanosecond a cycle, rounded down', () => {
    expect(read(page(), 1_003n)).toEqual({
      end: 'value',
      ns: 501n,
      cycles: 1_003n,
      version: 6n,
      flags: 1n,
      retries: 0n,
    });
  });

  test('shifts first: up, or down with a rounding of its own', () => {
    expect(read(page({ shift: 2 }), 1_003n).ns).toBe(506n);
    // 7 >> 1 is 3, and half of that 1: in one rounding it would be 7 / 4 = 1.75; 15 >> 1 is 7: 3 and not 3.75.
    expect(read(page({ shift: -1, mul: 0xffff_ffff }), 1_003n).ns).toBe(500n);
    expect(read(page({ shift: -1, mul: 0xc000_0000 }), 1_003n).ns).toBe(500n);
    expect(pvclockNanoseconds(3n, { systemTimeNs: 0n, mul: 3n << 30n, tscShift: -1 })).toBe(0n);
    expect((3n * 3n) / 8n).toBe(1n);
  });

  test('any words', () => {
    fc.assert(
      fc.property(
        fc.record({
          timestamp: edgyWord,
          systemTime: edgyWord,
          mul: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
          shift: fc.integer({ min: -128, max: 127 }),
        }),
        fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }),
        (words, delta) => {
          const factor = 2n ** BigInt(Math.abs(words.shift));
          const scaled = words.shift < 0 ? delta / factor : (delta * factor) % U64;
          const exact = words.systemTime + (scaled * BigInt(words.mul)) / 2n ** 32n;
          expect(read(page(words), (words.timestamp + delta) % U64)).toMatchObject({
            end: 'value',
            ns: exact % U64,
          });
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test('refuses a page without a rate, then one that is not stable, then a counter behind', () => {
    expect(read(page({ mul: 0, flags: 0 }), 1n)).toMatchObject({ end: 'unpublished', ns: 0n });
    expect(read(page({ flags: 0xfe }), 1n)).toMatchObject({ end: 'unusable', flags: 0xfen });
    expect(read(page({ flags: 0xff }), 999n).end).toBe('out-of-window');
    expect(read(page({ flags: 0xff }), 1_000n).end).toBe('value');
  });

  test('waits for an odd version, a bounded time', () => {
    expect(read(page({ version: 5 }), 1_000n)).toMatchObject({ end: 'retries', retries: 5n });
  });

  test('retries when the version changed under it', () => {
    const memory = changingMemory(page(), 4, (view) => view.setUint32(0, 8, true));
    expect(read(memory, 1_003n)).toMatchObject({ end: 'value', version: 8n, retries: 1n, ns: 501n });
  });
});
