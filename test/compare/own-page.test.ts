import { describe, expect, test } from 'vitest';
import { leftOut, OwnPageTally } from '../../lib/compare/own-page.ts';
import { PAGE_SET_WORDS } from '../../lib/native/addon.ts';
import { OWN_CLOCKS } from '../../lib/page/clock-page.ts';
import { simulatedHost } from '../support/simulated-host.ts';

/** A reading in which every clock shows the same. */
function reading(cycles: bigint, ns: bigint, boundNs: bigint): BigInt64Array {
  const words = new BigInt64Array(PAGE_SET_WORDS);
  words[0] = cycles;
  words[2] = boundNs;
  for (const at of OWN_CLOCKS.keys()) words[3 + at] = ns;
  return words;
}

describe('our page beside the kernel’s clocks', () => {
  test.each([
    ['at it', 1_000n, [1_000n, 1_000n], 0n, 0],
    ['within its bound', 1_002n, [1_000n, 1_000n], 2n, 0],
    ['a nanosecond beyond it, too late', 1_003n, [1_000n, 1_000n], 3n, 1],
    ['a nanosecond beyond it, too early', 997n, [1_000n, 1_000n], 3n, 1],
    ['between two readings', 1_500n, [1_000n, 2_000n], 0n, 0],
    ['outside of two readings', 2_003n, [1_000n, 2_000n], 3n, 1],
  ] as const)('is judged %s', (_, ns, kernelNs, maxAbsNs, beyond) => {
    const tally = new OwnPageTally(['monotonic', 'realtime']);
    tally.add(reading(5n, ns, 2n), () => kernelNs);
    for (const clock of tally.clocks) expect(clock).toMatchObject({ samples: 1, maxAbsNs, beyond });
    expect(tally.bounds).toEqual([2n, 2n]);
    expect(tally.samples).toHaveLength(2);
  });

  test('keeps what lies beyond its bound, however many samples are thinned out', () => {
    const tally = new OwnPageTally(['monotonic']);
    for (let i = 0n; i < 60_000n; i++) tally.add(reading(i, i === 30_001n ? 50n : 0n, 1n), () => [0n, 0n]);
    expect(tally.sets.compared).toBe(60_000);
    expect(tally.samples.length).toBeLessThan(30_000);
    expect(tally.samples.filter(({ ownNs }) => ownNs === 50n)).toHaveLength(1);
    expect(tally.clocks[0]).toMatchObject({ samples: 60_000, beyond: 1, maxAbsNs: 50n });
  });

  test.each([
    [37, []],
    [0, [{ clock: 'tai', reason: expect.stringContaining('never set') }]],
    [35, [{ clock: 'tai', reason: expect.stringContaining('35 s') }]],
  ])('leaves tai out unless the kernel’s offset is the page’s: %i s', (taiOffsetSeconds, left) => {
    const words = reading(1n, 1_790_000_000_000_000_000n, 0n);
    words[3 + OWN_CLOCKS.indexOf('tai')] = 1_790_000_037_000_000_000n;
    expect(leftOut(simulatedHost({ adjtimex: { taiOffsetSeconds } }).addon, words)).toEqual(left);
  });
});
