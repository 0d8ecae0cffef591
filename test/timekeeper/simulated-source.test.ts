import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nsAt } from '../../lib/timekeeper/line.js';
import { SimulatedSource } from '../../lib/timekeeper/simulated-source.js';
import { NS_PER_SEC } from '../../lib/units.js';

/** What its clocks show now, ns. */
function clocks(source: SimulatedSource) {
  const { cycles, monotonic, raw, boottimeOffsetNs, realtimeOffsetNs } = source.sample();
  const ns = nsAt(monotonic, cycles);
  return {
    monotonic: ns,
    raw: nsAt(raw, cycles),
    boottime: ns + boottimeOffsetNs,
    realtime: ns + realtimeOffsetNs,
  };
}

const by = fc.bigInt({ min: 0n, max: 1n << 40n });

describe('a simulated source', () => {
  test('stands until its counter is advanced, and moves then as its rates say', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(by, fc.bigInt({ min: -100_000_000_000n, max: 100_000_000_000n })), {
          maxLength: 8,
        }),
        (turns) => {
          const source = new SimulatedSource({ monotonicNs: 77n });
          let wanted = 77n * 10n ** 12n;
          for (const [cycles, ratePpt] of turns) {
            source.setRate(ratePpt);
            const before = clocks(source);
            expect(clocks(source)).toEqual(before);
            source.advance(cycles);
            wanted += cycles * (10n ** 12n + ratePpt);
            // A mult of 32 bits below the point, rounded down, for at most 2^40 cycles a turn.
            const off = clocks(source).monotonic - wanted / 10n ** 12n;
            expect(off <= 1n && off >= -300n * BigInt(turns.length)).toBe(true);
            expect(clocks(source).raw - before.raw).toBe(cycles);
          }
        },
      ),
    );
  });

  test('sleeps: boottime and realtime go on with the counter, monotonic stands', () => {
    fc.assert(
      fc.property(by, (cycles) => {
        const source = new SimulatedSource();
        const before = clocks(source);
        source.sleep(cycles);
        const after = clocks(source);
        expect(after.monotonic).toBe(before.monotonic);
        expect([after.boottime - before.boottime, after.realtime - before.realtime]).toEqual([
          cycles,
          cycles,
        ]);
      }),
    );
  });

  test('makes a leap second as the kernel does: realtime steps against TAI - UTC', () => {
    const source = new SimulatedSource();
    const before = clocks(source);
    source.leap(1);
    expect(clocks(source).realtime - before.realtime).toBe(-NS_PER_SEC);
    expect(source.sample().taiOffsetSeconds).toBe(38);
    source.leap(-1);
    expect(clocks(source)).toEqual(before);
  });

  test('keeps its clocks when the counter is moved, and tells if it is to', () => {
    fc.assert(
      fc.property(by, by, fc.boolean(), (first, cycles, isTold) => {
        const source = new SimulatedSource();
        source.advance(first);
        const [before, generation] = [clocks(source), source.sample().generation];
        source.moveCounter(cycles, isTold);
        expect(source.counter()).toBe(cycles);
        expect(clocks(source)).toEqual(before);
        expect(source.sample().generation - generation).toBe(isTold ? 1n : 0n);
      }),
    );
  });
});
