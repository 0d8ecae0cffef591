import { describe, expect, test } from 'vitest';
import { runCheckOn } from '../support/run-check.ts';

describe('page.updates', () => {
  test('skips, with the clocksource, where the page does not count by the TSC', async () => {
    const verdict = await runCheckOn({ mode: 'none' }, 'page.updates');
    expect(verdict).toMatchObject({ status: 'skip' });
    expect(verdict.advice).toContain('clocksource tsc');
  });
});
