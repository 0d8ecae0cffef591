import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { clampedCycles, nanosecondsAt } from '../../../lib/page/protocols/arithmetic.ts';
import { edgyWord, U64 } from './support.ts';

const words = fc.record({
  base: edgyWord,
  mult: edgyWord,
  fraction: edgyWord,
  shift: edgyWord,
  whole: edgyWord,
});

// A machine with 64-bit registers, which multiplies into two of them.
const low = (value: bigint): bigint => value % U64;
const subtract = (a: bigint, b: bigint): bigint => low(a + U64 - b);
const signed = (value: bigint): bigint => (low(value) >= U64 / 2n ? low(value) - U64 : low(value));

describe('the value of a copy', () => {
  test('narrow: any words, as a machine with 64-bit registers computes it', () => {
    fc.assert(
      fc.property(edgyWord, words, (cycles, w) => {
        // The base's product is known before the counter, and subtracted modulo 2^64.
        const constant = subtract(w.fraction, low(w.base * w.mult));
        const scaled = low(low(cycles * w.mult) + constant) / 2n ** (w.shift % 64n);
        expect(nanosecondsAt('narrow', cycles, w)).toBe(signed(w.whole + scaled));
      }),
      { numRuns: 2_000 },
    );
  });

  test('wide: any words, with a product of two registers', () => {
    fc.assert(
      fc.property(edgyWord, words, (cycles, w) => {
        const product = subtract(cycles, w.base) * w.mult;
        expect(product + w.fraction < U64 * U64).toBe(true);
        const scaled = low((product + w.fraction) / 2n ** (w.shift % 64n));
        expect(nanosecondsAt('wide', cycles, w)).toBe(signed(w.whole + scaled));
      }),
      { numRuns: 2_000 },
    );
  });

  test('the two are equal while delta * mult + fraction is below 2^64', () => {
    fc.assert(
      fc.property(words, edgyWord, (w, some) => {
        fc.pre(w.mult > 0n);
        const largest = (U64 - 1n - w.fraction) / w.mult;
        for (const delta of [0n, largest, some % (largest + 1n)]) {
          const cycles = low(w.base + delta);
          expect(nanosecondsAt('narrow', cycles, w)).toBe(nanosecondsAt('wide', cycles, w));
        }
      }),
    );
  });

  test('one cycle past that bound they differ', () => {
    const w = { base: 0n, mult: 1n << 32n, fraction: 0n, shift: 32n, whole: 0n };
    expect(nanosecondsAt('narrow', (1n << 32n) - 1n, w)).toBe((1n << 32n) - 1n);
    expect(nanosecondsAt('narrow', 1n << 32n, w)).toBe(0n);
    expect(nanosecondsAt('wide', 1n << 32n, w)).toBe(1n << 32n);
  });

  test('a whole part below zero stays signed, and rounding is down', () => {
    const w = { base: 0n, mult: 3n, fraction: 0n, shift: 2n, whole: U64 - 10n };
    expect(nanosecondsAt('wide', 1n, w)).toBe(-10n);
    expect(nanosecondsAt('wide', 2n, w)).toBe(-9n);
  });
});

describe('a counter without a window', () => {
  test('reads as the base when it is behind, by the sign of the difference', () => {
    expect(clampedCycles(99n, 100n)).toBe(100n);
    expect(clampedCycles(100n, 100n)).toBe(100n);
    expect(clampedCycles(101n, 100n)).toBe(101n);
    expect(clampedCycles(100n + (1n << 63n) - 1n, 100n)).toBe(100n + (1n << 63n) - 1n);
    expect(clampedCycles(100n + (1n << 63n), 100n)).toBe(100n);
    expect(clampedCycles(3n, U64 - 3n)).toBe(3n);
    expect(clampedCycles(U64 - 3n, 3n)).toBe(3n);
  });
});
