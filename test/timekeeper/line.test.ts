import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Line, nsAt, readingAt, rescaled, scaledAt } from '../../lib/timekeeper/line.js';

const word = fc.bigInt({ min: -(1n << 63n), max: 1n << 63n });
const line: fc.Arbitrary<Line> = fc.record({
  base: fc.bigInt({ min: 0n, max: 1n << 63n }),
  scaledNs: fc.bigInt({ min: -(1n << 120n), max: 1n << 120n }),
  mult: fc.bigInt({ min: 1n, max: 1n << 62n }),
  shift: fc.integer({ min: 0, max: 63 }),
});

describe('a line', () => {
  test('is straight: from one reading to another it moves by their distance times mult', () => {
    fc.assert(
      fc.property(line, word, word, (at, a, b) => {
        expect(scaledAt(at, b) - scaledAt(at, a)).toBe((b - a) * at.mult);
        expect(scaledAt(at, at.base)).toBe(at.scaledNs);
      }),
    );
  });

  test('shows whole ns, rounded down, on either side of its base and of zero', () => {
    fc.assert(
      fc.property(line, word, (at, cycles) => {
        const missing = scaledAt(at, cycles) - nsAt(at, cycles) * 2n ** BigInt(at.shift);
        expect(missing >= 0n && missing < 2n ** BigInt(at.shift)).toBe(true);
      }),
    );
  });

  test('first shows a value at its reading, and less at the reading before', () => {
    fc.assert(
      fc.property(line, word, (at, ns) => {
        const reading = readingAt(at, ns);
        expect(nsAt(at, reading)).toBeGreaterThanOrEqual(ns);
        expect(nsAt(at, reading - 1n)).toBeLessThan(ns);
      }),
    );
  });
});

test('a value scaled up and down again is itself; one scaled down is rounded down', () => {
  fc.assert(
    fc.property(word, fc.integer({ min: 0, max: 63 }), fc.integer({ min: 0, max: 63 }), (value, a, b) => {
      const [less, more] = a < b ? [a, b] : [b, a];
      expect(rescaled(rescaled(value, less, more), more, less)).toBe(value);
      const unit = 2n ** BigInt(more - less);
      const lost = value - rescaled(value, more, less) * unit;
      expect(lost >= 0n && lost < unit).toBe(true);
    }),
  );
});
