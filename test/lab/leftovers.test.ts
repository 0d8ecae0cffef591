import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { removeLeftovers } from './leftovers.ts';

test('of what is left over only the old goes, and nothing that is used', () => {
  const folder = mkdtempSync(join(tmpdir(), 'latchclock-leftovers-'));
  try {
    const twoDaysAgo = new Date(Date.now() - 48 * 3600 * 1000);
    for (const name of ['run-old', 'run-new', 'kernels']) {
      mkdirSync(join(folder, name, 'within'), { recursive: true });
      if (name !== 'run-new') utimesSync(join(folder, name), twoDaysAgo, twoDaysAgo);
    }
    removeLeftovers(folder, (name) => name.startsWith('run-'));
    expect(readdirSync(folder).toSorted()).toEqual(['kernels', 'run-new']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
