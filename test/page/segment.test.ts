import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  evaluate,
  frequencyHz,
  isInWindow,
  type OutOfWindowRule,
  type Segment,
} from '../../lib/page/segment.ts';

const U64 = 1n << 64n;

function segment(parts: Partial<Segment> = {}): Segment {
  return {
    base: 1_000n,
    maxDelta: 500n,
    mult: 6_462_360n,
    shift: 24,
    wholeNs: 0n,
    scaledNs: 0n,
    outOfWindow: 'refuse',
    ...parts,
  };
}

const refused = expect.objectContaining({ name: 'LatchclockError', code: 'ERR_OUT_OF_WINDOW' });
const word = fc.bigInt({ min: 0n, max: U64 - 1n });
/** Words near the places where arithmetic turns over, and any. */
const edgyWord = fc.oneof(
  word,
  fc
    .tuple(
      fc.constantFrom(0n, 1n << 31n, 1n << 32n, 1n << 62n, 1n << 63n, U64 - 1n),
      fc.integer({ min: -3, max: 3 }),
    )
    .map(([place, off]) => (place + BigInt(off) + U64) % U64),
);

describe('inside the window', () => {
  test('the value is the greatest whole number of nanoseconds not above the rational one', () => {
    fc.assert(
      fc.property(
        fc.record({
          base: word,
          mult: word,
          shift: fc.integer({ min: 0, max: 100 }),
          wholeNs: fc.bigInt({ min: -(1n << 80n), max: 1n << 80n }),
          scaledNs: word,
        }),
        word,
        (parts, delta) => {
          const value = evaluate(segment({ ...parts, maxDelta: U64 }), (parts.base + delta) % U64);
          // value * 2^shift <= whole * 2^shift + scaled + delta * mult < (value + 1) * 2^shift
          const one = 2n ** BigInt(parts.shift);
          const rational = parts.wholeNs * one + parts.scaledNs + delta * parts.mult;
          expect(value * one <= rational).toBe(true);
          expect(rational < (value + 1n) * one).toBe(true);
        },
      ),
    );
  });

  test('rounding is down where towards zero and to nearest would both answer otherwise', () => {
    // -1 s and 0.75 ns: floor -1e9, to nearest -999999999, towards zero -999999999.
    const late = segment({ wholeNs: -1_000_000_000n, scaledNs: 3n, shift: 2, mult: 0n });
    expect(evaluate(late, 1_000n)).toBe(-1_000_000_000n);
    // 0.75 ns above zero: to nearest would be 1.
    expect(evaluate(segment({ scaledNs: 3n, shift: 2, mult: 0n }), 1_000n)).toBe(0n);
  });

  test('the fraction is kept until the last: it is shifted out once, after the product is added', () => {
    // 0.75 + 1 * 0.5 = 1.25 -> 1; each part alone rounds to 0.
    expect(evaluate(segment({ scaledNs: 3n, shift: 2, mult: 2n }), 1_001n)).toBe(1n);
  });

  test('a 128-bit product is exact', () => {
    const steep = segment({ base: 0n, maxDelta: U64, mult: U64 - 1n, shift: 0 });
    expect(evaluate(steep, U64 - 1n)).toBe((U64 - 1n) * (U64 - 1n));
  });
});

describe('the window of a segment that refuses', () => {
  test('begins at the base and ends one before base + maxDelta', () => {
    const clock = segment({ mult: 1n, shift: 0 });
    expect(evaluate(clock, 1_000n)).toBe(0n);
    expect(evaluate(clock, 1_499n)).toBe(499n);
    for (const outside of [999n, 1_500n, 0n, U64 - 1n, 1_000n + (1n << 62n), 1_000n + (1n << 63n)]) {
      expect(isInWindow(clock, outside)).toBe(false);
      expect(() => evaluate(clock, outside)).toThrow(refused);
    }
  });

  test('a maxDelta of zero refuses even at the base', () => {
    expect(() => evaluate(segment({ maxDelta: 0n }), 1_000n)).toThrow(refused);
    expect(() => evaluate(segment({ maxDelta: 0n, base: 0n }), 0n)).toThrow(refused);
  });

  test('a counter that wraps through zero stays inside', () => {
    const clock = segment({ base: U64 - 2n, maxDelta: 4n, mult: 1n, shift: 0 });
    expect([U64 - 2n, U64 - 1n, 0n, 1n].map((cycles) => evaluate(clock, cycles))).toEqual([0n, 1n, 2n, 3n]);
    expect(() => evaluate(clock, 2n)).toThrow(refused);
    expect(() => evaluate(clock, U64 - 3n)).toThrow(refused);
  });

  test('a window of 2^64 holds every counter', () => {
    fc.assert(
      fc.property(word, word, (base, cycles) => isInWindow(segment({ base, maxDelta: U64 }), cycles)),
    );
  });

  test('value or refusal is decided by the unsigned distance alone', () => {
    fc.assert(
      fc.property(edgyWord, edgyWord, fc.oneof(edgyWord, fc.constant(U64)), (base, cycles, maxDelta) => {
        const distance = cycles >= base ? cycles - base : cycles + U64 - base;
        const clock = segment({ base, maxDelta, mult: 3n, shift: 1 });
        expect(isInWindow(clock, cycles)).toBe(distance < maxDelta);
        if (distance < maxDelta) expect(evaluate(clock, cycles)).toBe((3n * distance) / 2n);
        else expect(() => evaluate(clock, cycles)).toThrow(refused);
      }),
    );
  });
});

describe('cycles that are no counter reading', () => {
  test.each(['refuse', 'clamp-wide', 'clamp-narrow'] as const)(
    'are refused under the rule %s',
    (outOfWindow) => {
      for (const cycles of [-1n, U64, U64 + 1_000n]) {
        expect(() => evaluate(segment({ outOfWindow, maxDelta: U64 }), cycles)).toThrow(
          expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }),
        );
      }
    },
  );
});

// A machine with 64-bit registers: add, subtract and multiply lose what does not fit.
const add = (a: bigint, b: bigint): bigint => (a + b) % U64;
const subtract = (a: bigint, b: bigint): bigint => (a - b + U64) % U64;
const multiply = (a: bigint, b: bigint): bigint => (a * b) % U64;

/** The vDSO's arithmetic since 6.10, word by word; `maxCycles` is the last delta of the fast path. */
function vdsoWide(clock: Segment, cycles: bigint, maxCycles: bigint): bigint {
  const counter = cycles % (1n << 63n);
  const delta = subtract(counter, clock.base);
  const divisor = 2n ** BigInt(clock.shift);
  if (delta > maxCycles) {
    if ((delta / (1n << 62n)) % 2n === 1n) return clock.scaledNs / divisor;
    const wide = (delta % (1n << 63n)) * clock.mult + clock.scaledNs;
    return (wide / divisor) % U64;
  }
  return add(multiply(delta, clock.mult), clock.scaledNs) / divisor;
}

/** The vDSO's arithmetic before 6.10. */
function vdsoNarrow(clock: Segment, cycles: bigint): bigint {
  const product = cycles > clock.base ? multiply(cycles - clock.base, clock.mult) : 0n;
  return add(product, clock.scaledNs) / 2n ** BigInt(clock.shift);
}

describe('the rule clamp-wide', () => {
  const wide = { outOfWindow: 'clamp-wide' } satisfies { outOfWindow: OutOfWindowRule };

  test("answers as the kernel's vDSO since 6.10 does, for any words", () => {
    fc.assert(
      fc.property(
        fc.record({
          base: edgyWord,
          mult: fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }),
          shift: fc.integer({ min: 0, max: 63 }),
          wholeNs: fc.bigInt({ min: -(1n << 62n), max: 1n << 62n }),
          scaledNs: edgyWord,
        }),
        edgyWord,
        edgyWord,
        (parts, maxCycles, cycles) => {
          const clock = segment({ ...parts, ...wide, maxDelta: maxCycles + 1n });
          expect(evaluate(clock, cycles)).toBe(clock.wholeNs + vdsoWide(clock, cycles, maxCycles));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  const clock = segment({
    ...wide,
    base: 1n << 40n,
    maxDelta: 0x256c0161b7bn,
    scaledNs: 5n << 24n,
    wholeNs: 7n,
  });

  test('a counter behind the base reads as the base', () => {
    for (const behind of [1n, 26n, 1n << 39n, 1n << 40n]) {
      expect(evaluate(clock, (1n << 40n) - behind)).toBe(12n);
    }
  });

  test('bit 62 of the distance, not bit 63, says behind', () => {
    const near = segment({ ...clock, base: 0n });
    // One below bit 62 is far ahead and multiplied in 128 bits; at bit 62 it counts as behind.
    const last = (1n << 62n) - 1n;
    expect(evaluate(near, last)).toBe(7n + (((5n << 24n) + last * 6_462_360n) >> 24n));
    expect(evaluate(near, last + 1n)).toBe(12n);
    expect(evaluate(near, (1n << 63n) - 1n)).toBe(12n);
    // Bit 63 of the counter is an invalid marker and masked away.
    expect(evaluate(near, (1n << 63n) + 1n)).toBe(evaluate(near, 1n));
  });

  test('past the fast path nothing wraps: one cycle more is one cycle more', () => {
    const end = clock.base + clock.maxDelta;
    const exact = (cycles: bigint): bigint =>
      7n + (((5n << 24n) + (cycles - clock.base) * clock.mult) >> 24n);
    for (const cycles of [end - 2n, end - 1n, end, end + 1n, end + (1n << 50n)]) {
      expect(evaluate(clock, cycles)).toBe(exact(cycles));
    }
  });

  test('maxDelta is the first delta that is multiplied wide', () => {
    const clock = segment({ ...wide, base: 0n, maxDelta: 1n << 33n, mult: 1n << 31n, shift: 1 });
    expect(evaluate(clock, 1n << 33n)).toBe(1n << 63n);
    expect(evaluate({ ...clock, maxDelta: (1n << 33n) + 1n }, 1n << 33n)).toBe(0n);
  });

  test('the fast path itself is narrow: with a limit that is too large it wraps as the kernel would', () => {
    const wrong = segment({ ...wide, base: 0n, maxDelta: 1n << 62n, mult: 1n << 31n, shift: 0 });
    expect(evaluate(wrong, (1n << 33n) + 1n)).toBe(1n << 31n);
  });
});

describe('the rule clamp-narrow', () => {
  test("answers as the kernel's vDSO before 6.10 does, for any words", () => {
    fc.assert(
      fc.property(
        fc.record({
          base: edgyWord,
          mult: fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }),
          shift: fc.integer({ min: 0, max: 63 }),
          wholeNs: fc.bigInt({ min: -(1n << 62n), max: 1n << 62n }),
          scaledNs: edgyWord,
        }),
        edgyWord,
        (parts, cycles) => {
          const clock = segment({ ...parts, outOfWindow: 'clamp-narrow', maxDelta: U64 });
          expect(evaluate(clock, cycles)).toBe(clock.wholeNs + vdsoNarrow(clock, cycles));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('product and sum wrap at 64 bits', () => {
    const clock = segment({
      outOfWindow: 'clamp-narrow',
      base: 0n,
      maxDelta: U64,
      mult: 1n << 31n,
      shift: 0,
    });
    expect(evaluate(clock, 1n << 33n)).toBe(0n);
    expect(evaluate({ ...clock, scaledNs: U64 - 1n, mult: 1n }, 1n)).toBe(0n);
  });

  test('a counter behind the base reads as the base, compared over all 64 bits', () => {
    const clock = segment({
      outOfWindow: 'clamp-narrow',
      base: 1n << 63n,
      maxDelta: U64,
      mult: 1n,
      shift: 0,
    });
    expect(evaluate(clock, (1n << 63n) - 1n)).toBe(0n);
    expect(evaluate(clock, (1n << 63n) + 9n)).toBe(9n);
  });
});

describe('the frequency that a segment implies', () => {
  test('is 2^shift / mult per nanosecond', () => {
    expect(frequencyHz({ mult: 8_388_608n, shift: 23 })).toBe(1e9);
    expect(frequencyHz({ mult: 6_462_360n, shift: 24 })).toBeCloseTo(2_596_144_000, -3);
  });
});
