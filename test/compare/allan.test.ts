import { describe, expect, test } from 'vitest';
import { allanDeviation, allanDeviations } from '../../lib/compare/allan.ts';

/** Phases from fractional frequencies over intervals of a second. */
function phaseOf(frequencies: readonly number[]): number[] {
  let sum = 0;
  return [0, ...frequencies.map((one) => (sum += one))];
}

/** The NBS14 set of Riley, NIST SP 1065, section 12.4, table 31 (nine frequencies). */
const NBS14 = [892, 809, 823, 798, 671, 644, 883, 903, 677];

/** Its set of 1000 frequencies: a prime-modulus linear congruential generator (section 12.4, table 32). */
function thousand(): number[] {
  const frequencies: number[] = [];
  let n = 1_234_567_890n;
  for (let i = 0; i < 1000; i++) {
    frequencies.push(Number(n) / 2_147_483_647);
    n = (16_807n * n) % 2_147_483_647n;
  }
  return frequencies;
}

describe('the overlapping Allan deviation', () => {
  test.each([
    [1, 91.22945],
    [2, 85.95287],
  ])('of NBS14 at %i intervals is as published', (m, published) => {
    expect(allanDeviation(phaseOf(NBS14), 1, m).deviation).toBeCloseTo(published, 4);
  });

  test.each([
    [1, 0.2922319],
    [10, 0.09159953],
    [100, 0.03241343],
  ])('of the 1000-point set at %i intervals is as published', (m, published) => {
    expect(allanDeviation(phaseOf(thousand()), 1, m).deviation).toBeCloseTo(published, 7);
  });

  test('does not see a constant frequency, and scales with the interval', () => {
    const steady = Array.from({ length: 50 }, (_, i) => 3 + 7 * i);
    expect(allanDeviations(steady, 1).every(({ deviation }) => deviation === 0)).toBe(true);
    const [seconds] = allanDeviations(phaseOf(NBS14), 1);
    const [tenths] = allanDeviations(phaseOf(NBS14), 0.1);
    expect(tenths?.deviation).toBeCloseTo(10 * (seconds?.deviation as number), 9);
  });

  test('is given as long as a time has as many terms as intervals', () => {
    const points = allanDeviations(phaseOf(thousand()), 0.5);
    expect(points.map(({ tauSeconds }) => tauSeconds)).toEqual([0.5, 1, 2, 4, 8, 16, 32, 64, 128]);
    expect(points.map(({ terms }) => terms)).toEqual([999, 997, 993, 985, 969, 937, 873, 745, 489]);
    expect(allanDeviations([0, 1], 1)).toEqual([]);
  });
});
