import { describe, expect, test } from 'vitest';
import { LARGEST_SLOPE, raisedCosine, raisedCosineSlope } from '../../lib/smear/half-turn.ts';
import { compare, magnitude, rational, subtract } from '../../lib/smear/rational.ts';
import { smearedNsAt } from '../../lib/smear/smear.ts';
import { SplitMix64 } from '../fuzz/random.ts';
import { cosineOfPi, MACHIN_PI, oracles } from './oracle.ts';
import { SIGNS, smearBy } from './support.ts';

const INSTANTS = 10_000;

describe('computed again by other means', () => {
  test.each(SIGNS.flatMap((sign) => Object.keys(oracles(sign)).map((name) => ({ sign, name }))))(
    '$name, leap $sign: window and smeared time agree to the ns at 10,000 random instants',
    ({ sign, name }) => {
      const { start, end, smearedNs } = oracles(sign)[name] as ReturnType<typeof oracles>[string];
      const smear = smearBy(name, sign);
      expect([smear.startNs, smear.endNs]).toEqual([start, end]);
      const random = new SplitMix64(20_161_231n);
      const wrong = [];
      for (let i = 0; i < INSTANTS; i++) {
        const tai = start + (random.next() % (end - start + 1n));
        if (smearedNsAt(smear, tai) !== smearedNs(tai)) wrong.push(tai);
      }
      expect(wrong).toEqual([]);
    },
  );

  test('pi is what Machin has, to the last of 128 bits', () => {
    const rounded = (MACHIN_PI >> 384n) + 1n;
    expect(compare(LARGEST_SLOPE, rational(rounded, 1n << 129n))).toBe(0);
  });

  test('a raised cosine and its slope are off by less than 2^-121 and 2^-119, at 10,000 random places', () => {
    const random = new SplitMix64(1n);
    const unit = 1n << 512n;
    for (let i = 0; i < INSTANTS; i++) {
      const denominator = (random.next() >> BigInt(i % 60)) + 1n;
      const x = rational(random.next() % (denominator + 1n), denominator);
      const exact = rational(unit - cosineOfPi(x.numerator, x.denominator), 2n * unit);
      const error = magnitude(subtract(raisedCosine(x), exact));
      expect(compare(error, rational(1n, 1n << 121n))).toBe(-1);
      // sin(pi x) = cos(pi (1/2 - x))
      const sine = cosineOfPi(denominator - 2n * x.numerator, 2n * denominator);
      const slope = rational(MACHIN_PI * sine, 1n << 1025n);
      const slopeError = magnitude(subtract(raisedCosineSlope(x), slope));
      expect(compare(slopeError, rational(1n, 1n << 119n))).toBe(-1);
    }
  });
});
