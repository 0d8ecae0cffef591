import { expect, test } from 'vitest';
import { ONE_SEED, playHalf } from './histories-support.js';

test('histories with even seeds: no clock of any page goes back in a generation or is outside its bound, and values come again, wherever writers are killed and the counter moves', {
  timeout: 240_000,
}, () => {
  const { wrong, happened } = playHalf(0);
  expect(wrong).toEqual([]);
  if (ONE_SEED !== undefined) return; // All of it has happened, or this has shown nothing.
  for (const [kind, count] of Object.entries(happened)) expect(count, kind).toBeGreaterThan(20);
});
