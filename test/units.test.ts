import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isU64, maxBigint, minBigint, NS_PER_SEC, ppmBetween, toNs, U64_MAX, wrapU64 } from '../lib/units.ts';

describe('64-bit words', () => {
  test('zero and 2^64 - 1 are the ends of an unsigned 64-bit integer', () => {
    expect(U64_MAX).toBe(0xffff_ffff_ffff_ffffn);
    expect([-1n, 0n, U64_MAX, U64_MAX + 1n].map(isU64)).toEqual([false, true, true, false]);
  });

  test('wrapping is the remainder modulo 2^64, never negative', () => {
    expect(wrapU64(-1n)).toBe(U64_MAX);
    expect(wrapU64(1n << 64n)).toBe(0n);
    fc.assert(
      fc.property(fc.bigInt({ min: -(1n << 130n), max: 1n << 130n }), (value) => {
        const wrapped = wrapU64(value);
        expect(isU64(wrapped)).toBe(true);
        expect((value - wrapped) % (1n << 64n)).toBe(0n);
      }),
    );
  });
});

describe('nanoseconds', () => {
  test('a second is 10^9 nanoseconds', () => {
    expect(NS_PER_SEC).toBe(1_000_000_000n);
  });

  test('either part may be negative', () => {
    expect(toNs(-1n, 999_999_999n)).toBe(-1n);
    expect(toNs(1n, -1n)).toBe(999_999_999n);
    expect(toNs(1n << 62n, 0n)).toBe((1n << 62n) * 1_000_000_000n);
  });

  test('the smaller of two is the smaller in either order', () => {
    expect([minBigint(1n, 2n), minBigint(2n, 1n), minBigint(-3n, -3n)]).toEqual([1n, 1n, -3n]);
    expect([maxBigint(1n, 2n), maxBigint(2n, 1n), maxBigint(-3n, -3n)]).toEqual([2n, 2n, -3n]);
  });
});

describe('parts per million', () => {
  test('a larger value is positive', () => {
    expect(ppmBetween(1_000_001, 1_000_000)).toBeCloseTo(1, 9);
    expect(ppmBetween(999_999, 1_000_000)).toBeCloseTo(-1, 9);
    expect(ppmBetween(3e9, 3e9)).toBe(0);
  });

  test('the shift between two TSC frequencies comes out to 1e-9 ppm', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e6, max: 1e10, noNaN: true }),
        fc.integer({ min: -500, max: 500 }),
        (hz, ppm) => {
          expect(Math.abs(ppmBetween(hz * (1 + ppm / 1e6), hz) - ppm)).toBeLessThan(1e-9);
        },
      ),
    );
  });
});
