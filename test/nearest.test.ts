import { describe, expect, test } from 'vitest';
import { didYouMean, nearest } from '../lib/nearest.ts';

describe('the nearest known name', () => {
  const known = ['validate', 'inspect', 'hazards', 'smear', 'vdso.fast', 'vdso.image'];

  test.each([
    ['valdate', 'validate'],
    ['vaildate', 'validate'],
    ['VALIDATE', 'validate'],
    ['hazard', 'hazards'],
    ['smaer', 'smear'],
    ['vdso.fats', 'vdso.fast'],
  ])('%s is meant to be %s', (text, name) => {
    expect(nearest(text, known)).toBe(name);
    expect(didYouMean(text, known)).toBe(`did you mean '${name}'? `);
  });

  test('is none where more than a third is off, for an empty text, and for a text of no name’s length', () => {
    for (const text of ['compare', '', 'x', 'a'.repeat(100_000)]) {
      expect(nearest(text, known)).toBeNull();
      expect(didYouMean(text, known)).toBe('');
    }
  });
});
