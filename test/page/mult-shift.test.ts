import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isLatchclockError } from '../../lib/errors.ts';
import { clocksourceArithmetic } from '../../lib/page/mult-shift.ts';

const U64_MAX = (1n << 64n) - 1n;

describe('vectors', () => {
  test("2,596,144 kHz gives what the kernel's own log line says", () => {
    expect(clocksourceArithmetic(2_596_144_000n)).toEqual({
      mult: 6_462_360n,
      shift: 24,
      maxCycles: 0x256c0161b7an,
      maxIdleNs: 440_795_284_980n,
    });
  });

  test('1 GHz', () => {
    expect(clocksourceArithmetic(1_000_000_000n)).toEqual({
      mult: 8_388_608n,
      shift: 23,
      maxCycles: 0x1cd42e4dffbn,
      maxIdleNs: 881_590_591_483n,
    });
  });

  test('3 GHz', () => {
    expect(clocksourceArithmetic(3_000_000_000n)).toEqual({
      mult: 5_592_405n,
      shift: 24,
      maxCycles: 0x2b3e459bf4cn,
      maxIdleNs: 440_795_289_890n,
    });
  });
});

/** `1e9 * 2^shift / hz` rounded to nearest, half up, by comparing doubled remainders. */
function nearestMult(hz: bigint, shift: number): bigint {
  const scaled = 1_000_000_000n * 2n ** BigInt(shift);
  const below = scaled / hz;
  return 2n * (scaled - below * hz) >= hz ? below + 1n : below;
}

/** Room left for mult so that 600 s of cycles times mult stay within 64 bits, found from the product's length. */
function bitsForMult(hz: bigint): number {
  const cycles = 600n * hz;
  return 32 - Math.max(0, cycles.toString(2).length - 32);
}

describe('frequencies of real counters', () => {
  // Below 7.2 MHz the adjustment's own limit can come first.
  const counterHz = fc.bigInt({ min: 10_000_000n, max: 10_000_000_000n });

  test('the shift is the largest whose mult leaves room for 600 seconds in 64 bits', () => {
    fc.assert(
      fc.property(counterHz, (hz) => {
        const bits = bitsForMult(hz);
        const fits = (shift: number): boolean => nearestMult(hz, shift) < 2n ** BigInt(bits);
        const candidates = Array.from({ length: 32 }, (_, index) => index + 1).filter(fits);
        const { mult, shift } = clocksourceArithmetic(hz);
        expect(shift).toBe(Math.max(...candidates));
        expect(mult).toBe(nearestMult(hz, shift));
      }),
    );
  });

  test('mult is off by at most half a unit', () => {
    fc.assert(
      fc.property(counterHz, (hz) => {
        const { mult, shift } = clocksourceArithmetic(hz);
        const exact = (1e9 * 2 ** shift) / Number(hz);
        expect(Math.abs(Number(mult) - exact)).toBeLessThanOrEqual(0.5 + 1e-6);
      }),
    );
  });

  test('maxCycles is the most whose product with the most adjusted mult fits 64 bits', () => {
    fc.assert(
      fc.property(counterHz, (hz) => {
        const { mult, maxCycles } = clocksourceArithmetic(hz);
        const most = mult + (mult * 11n) / 100n;
        expect(maxCycles * most <= U64_MAX).toBe(true);
        expect((maxCycles + 1n) * most <= U64_MAX).toBe(false);
      }),
    );
  });

  test('maxIdleNs is half of what maxCycles last at the least adjusted mult', () => {
    fc.assert(
      fc.property(counterHz, (hz) => {
        const { mult, shift, maxCycles, maxIdleNs } = clocksourceArithmetic(hz);
        const least = mult - (mult * 11n) / 100n;
        expect(maxIdleNs).toBe((maxCycles * least) / 2n ** BigInt(shift) / 2n);
      }),
    );
  });
});

describe('the ends of the range', () => {
  test('a mult whose adjustment would leave 32 bits is halved', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 1n << 53n }), (hz) => {
        const { mult, shift, maxCycles, maxIdleNs } = clocksourceArithmetic(hz);
        expect(mult + (mult * 11n) / 100n).toBeLessThan(1n << 32n);
        expect(shift).toBeGreaterThanOrEqual(0);
        expect(shift).toBeLessThanOrEqual(32);
        expect(maxCycles).toBeGreaterThan(0n);
        expect(maxIdleNs).toBeGreaterThanOrEqual(0n);
      }),
      { examples: [[1n], [2n], [1n << 53n]] },
    );
    // 4e9 fits 32 bits at shift 2, 1.11 * 4e9 does not.
    expect(clocksourceArithmetic(1n)).toMatchObject({ mult: 2_000_000_000n, shift: 1 });
  });

  test.each([0n, -1n, (1n << 53n) + 1n])('%s Hz is refused', (hz) => {
    let error: unknown;
    try {
      clocksourceArithmetic(hz);
    } catch (caught) {
      error = caught;
    }
    expect(isLatchclockError(error, 'ERR_BAD_ARGUMENT')).toBe(true);
  });
});
