import { describe, expect, test } from 'vitest';
import { parseSeconds } from '../../lib/smear/decimal.ts';
import { parseInstant, parseSmeared } from '../../lib/smear/instant.ts';
import { offsetNsAt, smearedNsAt, unsmear } from '../../lib/smear/smear.ts';
import { AROUND, smearBy } from './support.ts';

const { timeline, leap } = AROUND[1];

/** smeared - (TAI - 37), seconds, for the leap second of 2016-12-31. */
const POSITIVE = `
  t        google-24h   utc-sls  bloomberg  meta
  L-500    0.505792757  0.501    1          1
  L        0.500005787  0.001    1          1
  L+0.5    0.5          0.0005   0.99975    0.999992
  L+1000   0.488431847  0        0.5        0.984
  L+15625  0.319162973  0        0          0.75
  L+31250  0.138320158  0        0          0.5`;

/** smeared - (TAI - 35), if a negative one had come in its place: google-24h is p / 86399 there. */
const NEGATIVE = `
  t        google-24h    utc-sls  bloomberg  meta
  L-500    -0.505792891  -0.5     -1         -1
  L        -0.500005787  0        -1         -1
  L+0.5    -0.5          0        -0.99975   -0.999992
  L+1000   -0.488431579  0        -0.5       -0.984
  L+15625  -0.319158787  0        0          -0.75`;

function cellsOf(table: string): { t: string; policy: string; value: string }[] {
  const [head = [], ...rows] = table
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  return rows.flatMap(([t = '', ...values]) =>
    values.map((value, column) => ({ t, policy: head[column + 1] as string, value })),
  );
}

describe('published offsets at the leap second of 2016-12-31', () => {
  test('there are 24', () => expect(cellsOf(POSITIVE)).toHaveLength(24));

  test.each(cellsOf(POSITIVE))('$policy at $t is $value s', ({ t, policy, value }) => {
    const expected = parseSeconds(value);
    expect(offsetNsAt(smearBy(policy), parseInstant(t, timeline, leap))).toBe(expected);
  });

  test.each(cellsOf(NEGATIVE))('$policy at $t of a negative one is $value s', ({ t, policy, value }) => {
    const negative = AROUND[-1];
    const at = parseInstant(t, negative.timeline, negative.leap);
    expect(offsetNsAt(smearBy(policy, -1), at)).toBe(parseSeconds(value));
  });
});

describe('published relations', () => {
  test('google-24h shows 18:00:00 of the day at TAI 18:00:36.25', () => {
    const instants = unsmear(smearBy('google-24h'), parseSmeared('2016-12-31T18:00:00Z'));
    expect(instants).toEqual([BigInt(Date.parse('2016-12-31T18:00:36.250Z')) * 1_000_000n]);
    expect(smearedNsAt(smearBy('google-24h'), instants[0] as bigint)).toBe(
      parseSmeared('2016-12-31T18:00:00Z'),
    );
  });

  test.each([
    ['L+15625', 125_000_000n],
    ['L+31250', 0n],
    ['L+46875', -125_000_000n],
  ])('chrony is ahead of meta by exactly the known amount at %s', (t, expected) => {
    const at = parseInstant(t, timeline, leap);
    expect(offsetNsAt(smearBy('chrony'), at) - offsetNsAt(smearBy('meta'), at)).toBe(expected);
  });

  test("UTC-SLS's own inverse, U = B + (US - B) * 1000 / (1000 - l), gives the same instants", () => {
    // In seconds from the start B of its window, with l = +1 or -1.
    for (const sign of [1, -1] as const) {
      const smear = smearBy('utc-sls', sign);
      const start = smearedNsAt(smear, smear.startNs);
      for (let us = 0n; us < 1000n; us++) {
        const smeared = start + us * 1_000_000_007n;
        if (smeared >= smearedNsAt(smear, smear.endNs)) break;
        const utc = ((smeared - start) * 1000n * 2n) / (1000n - BigInt(sign));
        expect(unsmear(smear, smeared)).toEqual([smear.startNs + (utc + 1n) / 2n]);
      }
    }
  });

  test('a step repeats the last second of the day at a positive leap, and leaves it out at a negative', () => {
    const last = parseSmeared('2016-12-31T23:59:59.25Z');
    const [first, second] = unsmear(smearBy('step'), last);
    expect([first, second]).toEqual([leap.taiNs - 750_000_000n, leap.taiNs + 250_000_000n]);
    expect([first, second].map((at) => smearedNsAt(smearBy('step'), at as bigint))).toEqual([last, last]);
    expect(unsmear(smearBy('step', -1), last)).toEqual([]);
    expect(unsmear(smearBy('step', -1), parseSmeared('2016-12-31T23:59:58.999999999Z'))).toHaveLength(1);
    expect(unsmear(smearBy('step', -1), parseSmeared('2017-01-01T00:00:00Z'))).toEqual([
      AROUND[-1].leap.taiNs,
    ]);
  });
});
