import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { latchclock, ROOT } from '../support/run-cli.ts';

test('docs/hazards.md is what is found: the whole matrix, explored and stepped, each cell as expected', () => {
  const { code, out, err } = latchclock(...['hazards', '--only', 'explored,stepped', '--format', 'markdown']);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toBe(readFileSync(join(ROOT, 'docs/hazards.md'), 'utf8'));
}, 400_000);
