import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seededRandom } from '../lib/random.ts';

test('equal seeds give equal orders', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, (1n << 64n) - 1n), fc.array(fc.integer()), (seed, items) => {
      expect(seededRandom(seed).shuffle(items)).toEqual(seededRandom(seed).shuffle(items));
    }),
  );
});

test('a shuffle keeps the items and does not touch its argument', () => {
  const items = Object.freeze([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(seededRandom(7n).shuffle(items).toSorted()).toEqual(items);
});

test('every order of three items comes up, each about as often', () => {
  const random = seededRandom(42n);
  const counts = new Map<string, number>();
  for (let i = 0; i < 6000; i++) {
    const order = random.shuffle(['a', 'b', 'c']).join('');
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  expect(counts.size).toBe(6);
  // 1000 expected, standard deviation 29: a fair shuffle with this seed stays within 5 of them.
  for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(145);
});
