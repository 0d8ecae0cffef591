import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { POLICY_FORMS } from '../../lib/smear/custom-policy.ts';
import { formatFromLeap } from '../../lib/smear/instant.ts';
import { POLICIES, POLICY_ALIASES } from '../../lib/smear/policy.ts';
import { toNumber } from '../../lib/smear/rational.ts';
import { largestRate } from '../../lib/smear/smear.ts';
import { ROOT } from '../support/run-cli.ts';
import { leapOf, smearBy } from './support.ts';

const TEXT = readFileSync(join(ROOT, 'docs/smears.md'), 'utf8');
const rows = [
  ...TEXT.matchAll(/^\| (`[a-z0-9`, -]+`) \| ([^|]*) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$/gm),
].map(([, names = '', , positive = '', negative = '', rate = '']) => ({
  name: names.split(',')[0]?.replaceAll('`', '') ?? '',
  positive,
  negative: negative === 'the same' ? positive : negative,
  rate,
}));

function windowAs(name: string, sign: 1 | -1): string {
  const { startNs, endNs } = smearBy(name, sign);
  const [from, to] = [startNs, endNs].map((at) => formatFromLeap(leapOf(sign), at));
  return from === to ? `at ${from}` : `${from} .. ${to}`;
}

describe('docs/smears.md', () => {
  test('has a row and a section for every policy, and names every alias and form', () => {
    expect(rows.map(({ name }) => name)).toEqual(POLICIES.map(({ name }) => name));
    for (const { name } of POLICIES) expect(TEXT).toMatch(new RegExp(`^### ${name}\\b`, 'm'));
    for (const name of [...Object.keys(POLICY_ALIASES), ...POLICY_FORMS])
      expect(TEXT).toContain(`\`${name}\``);
  });

  test.each(rows)('$name has the windows and the rate of its row', ({ name, positive, negative, rate }) => {
    expect(windowAs(name, 1)).toBe(positive);
    expect(windowAs(name, -1)).toBe(negative);
    const largest = largestRate(smearBy(name));
    expect(largest === null ? 'none' : `${Number((-1e6 * toNumber(largest)).toFixed(3))} ppm`).toBe(rate);
  });
});
