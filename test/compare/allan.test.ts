import { describe, expect, test } from 'vitest';
import { allanDeviation, allanDeviations, allanInterval, degreesOfFreedom } from '../../lib/compare/allan.ts';
import { identifyNoise, POWER_LAW_NOISES } from '../../lib/compare/noise.ts';
import { autoregression, normalNoise } from '../support/noise.ts';

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

/** Each value the sum of those up to it. */
const summed = (values: readonly number[]): number[] => {
  let sum = 0;
  return values.map((one) => (sum += one));
};

/** Phases of a kind of noise, and its Allan deviation at m intervals of a second. */
const NOISES = {
  'white-pm': {
    phase: (noise: () => number, count: number) => autoregression(noise, count, 0),
    truth: (m: number) => Math.sqrt(3) / m,
  },
  'white-fm': {
    phase: (noise: () => number, count: number) => autoregression(noise, count, 1),
    truth: (m: number) => 1 / Math.sqrt(m),
  },
  'random-walk-fm': {
    phase: (noise: () => number, count: number) => summed(autoregression(noise, count, 1)),
    truth: (m: number) => Math.sqrt((2 * m * m + 1) / (6 * m)),
  },
} as const;

describe('the interval of an Allan deviation', () => {
  test('of the 1000-point set at 10 intervals is as published, to the digits of its chi-squared', () => {
    // Riley, NIST SP 1065, section 12.4: white FM, 146.177 degrees of freedom, and bounds of 95 % both ways.
    const [phase, m] = [phaseOf(thousand()), 10];
    expect(identifyNoise(phase, m)).toBe('white-fm');
    const { deviation } = allanDeviation(phase, 1, m);
    const interval = allanInterval(deviation, 'white-fm', phase.length, m);
    expect(interval?.degrees).toBeCloseTo(146.177, 3);
    // Its chi-squared is approximate, in the third digit: 114.45 and 181.34, where 114.597 and 181.541 are exact.
    expect((interval?.low as number) / 8.223942e-2).toBeCloseTo(1, 2);
    expect((interval?.high as number) / 1.035201e-1).toBeCloseTo(1, 2);
    expect(interval?.low).toBeCloseTo(0.0821949, 6);
    expect(interval?.high).toBeCloseTo(0.1034536, 6);
  });

  test('has fewer degrees of freedom than terms, and fewer the longer the time', () => {
    for (const noise of POWER_LAW_NOISES) {
      let before = Number.POSITIVE_INFINITY;
      for (let m = 1; 3 * m <= 1000; m *= 2) {
        const degrees = degreesOfFreedom(noise, 1001, m);
        expect(degrees).toBeGreaterThan(0.9);
        // The formulas are approximate.
        expect(degrees).toBeLessThanOrEqual(1.01 * (1001 - 2 * m));
        // White PM has about half as many as terms at each time; the others have fewer and fewer.
        if (noise !== 'white-pm' && m > 1) expect(degrees).toBeLessThan(before);
        before = degrees;
      }
    }
  });

  test.each(Object.keys(NOISES) as (keyof typeof NOISES)[])(
    'has the truth in 91 to 99 of 100 cases, at each time: %s',
    (kind) => {
      const { phase, truth } = NOISES[kind];
      const noise = normalNoise(4);
      const trials = 300;
      const found = new Map<number, { given: number; held: number }>();
      for (let trial = 0; trial < trials; trial++) {
        for (const { tauSeconds, interval } of allanDeviations(phase(noise, 513), 1)) {
          const at = found.get(tauSeconds) ?? { given: 0, held: 0 };
          found.set(tauSeconds, at);
          if (interval === null) continue;
          at.given++;
          if (interval.low <= truth(tauSeconds) && truth(tauSeconds) <= interval.high) at.held++;
        }
      }
      expect(found.size).toBe(8);
      for (const { given, held } of found.values()) {
        expect(given).toBeGreaterThan(0.8 * trials);
        expect(held / given).toBeGreaterThan(0.91);
        expect(held / given).toBeLessThan(0.99);
      }
    },
  );

  test('is none where the kind of noise cannot be told, and none is needed where nothing varies', () => {
    const few = autoregression(normalNoise(1), 60, 0);
    expect(allanDeviations(few, 1).every(({ interval }) => interval === null)).toBe(true);
    const zigzag = Array.from({ length: 500 }, (_, i) => i % 2);
    expect(allanDeviations(zigzag, 1)[0]?.interval).toBeNull();
    const curve = Array.from({ length: 500 }, (_, i) => Math.sin(i / 100));
    expect(allanDeviations(curve, 1)[0]?.interval).toBeNull();
    const still = Array.from({ length: 500 }, () => 1);
    expect(allanDeviations(still, 1).every(({ interval }) => interval === null)).toBe(true);
  });

  test('takes the kind of the time before where too few samples are left to tell it', () => {
    const { phase } = NOISES['white-fm'];
    const points = allanDeviations(phase(normalNoise(8), 513), 1);
    expect(identifyNoise(phase(normalNoise(8), 513), 16)).toBe('too-few');
    const kinds = points.map(({ interval }) => interval?.noise);
    // At 8 intervals 65 samples are left.
    expect(kinds[3]).toBe(identifyNoise(phase(normalNoise(8), 513), 8));
    expect(kinds.slice(4)).toEqual(kinds.slice(4).map(() => kinds[3]));
  });

  test.each(Object.keys(NOISES) as (keyof typeof NOISES)[])(
    'sees no kind of noise in a frequency offset or a drift: %s is told beside them',
    (kind) => {
      const phase = NOISES[kind].phase(normalNoise(6), 1024);
      const drifting = phase.map((one, i) => one + 3 + 0.7 * i - 0.01 * i * i);
      expect(identifyNoise(drifting, 1)).toBe(kind);
    },
  );
});
