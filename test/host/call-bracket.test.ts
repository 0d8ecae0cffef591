import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CallRow, decodeCallRow, judgeCallRow } from '../../lib/host/call-bracket.ts';

function row(inner: [bigint, bigint], outer: [bigint, bigint] = [5n, 123_456_789n]): CallRow {
  return decodeCallRow(BigInt64Array.from([0n, ...outer, ...inner, ...outer]));
}

describe('a row of a call between two readings', () => {
  test.each([
    ['gettimeofday', [5n, 123_456n], 0n],
    ['gettimeofday', [5n, 123_455n], 1_000n],
    ['gettimeofday', [5n, 123_457n], 211n],
    ['time', [5n, 0n], 0n],
    ['time', [4n, 0n], 1_000_000_000n],
    ['time', [6n, 0n], 876_543_211n],
    ['clock_gettime', [5n, 123_456_788n], 1n],
    ['clock_gettime', [4n, 1_123_456_789n], 0n],
  ] as const)('of %s with %s is outside by %s ns', (call, inner, distanceNs) => {
    expect(judgeCallRow(call, row([...inner])).distanceNs).toBe(distanceNs);
  });

  test('tells what is not normalised, of the call and around it', () => {
    expect(judgeCallRow('clock_gettime', row([4n, 1_123_456_789n])).malformed).toBe(true);
    expect(judgeCallRow('gettimeofday', row([5n, 999_999n])).malformed).toBe(false);
    expect(judgeCallRow('gettimeofday', row([5n, 1_000_000n])).malformed).toBe(true);
    expect(judgeCallRow('time', row([5n, 1n])).malformed).toBe(true);
    expect(judgeCallRow('time', row([5n, 0n], [5n, -1n])).malformedOuter).toBe(true);
  });

  test('is inside whenever the answer is the truth rounded down, before the epoch too', () => {
    const nanoseconds = fc.bigInt(-(10n ** 18n), 10n ** 18n);
    fc.assert(
      fc.property(nanoseconds, fc.bigInt(0n, 10n ** 6n), (truthNs, widthNs) => {
        const floor = (value: bigint, unit: bigint): bigint => value - (((value % unit) + unit) % unit);
        const split = (ns: bigint, unit: bigint): [bigint, bigint] => {
          const seconds = floor(ns, 10n ** 9n);
          return [seconds / 10n ** 9n, (ns - seconds) / unit];
        };
        const before = split(truthNs - widthNs, 1n);
        const after = split(truthNs + widthNs, 1n);
        for (const [call, unit] of [
          ['clock_gettime', 1n],
          ['gettimeofday', 1_000n],
          ['time', 10n ** 9n],
        ] as const) {
          const words = BigInt64Array.from([0n, ...before, ...split(floor(truthNs, unit), unit), ...after]);
          expect(judgeCallRow(call, decodeCallRow(words))).toEqual({
            distanceNs: 0n,
            malformed: false,
            malformedOuter: false,
          });
        }
      }),
    );
  });
});
