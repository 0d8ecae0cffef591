import { describe, expect, test } from 'vitest';
import {
  type ClockBracket,
  FOLLOWED_SHIFT,
  LineFollower,
  nsOfCycles,
} from '../../lib/timekeeper/followed-line.js';
import { nsAt } from '../../lib/timekeeper/line.js';
import { NS_PER_SEC } from '../../lib/units.js';

const MS = 1_000_000n;

/** At 1 GHz, a clock that is `ns` at cycles `ns`, read in the middle of a bracket. */
function bracketAt(ns: bigint, halfWidth = 20n): ClockBracket {
  return { before: ns - halfWidth, ns, after: ns + halfWidth };
}

function follower(counterStep = 0n, clockStepNs = 1n, ditherPpt = 0n): LineFollower {
  return new LineFollower(bracketAt(0n), { counterStep, clockStepNs }, NS_PER_SEC, ditherPpt);
}

/** ns a cycle less one, parts in 10^12. */
function excessPpt(mult: bigint): number {
  return Number(((mult - (1n << BigInt(FOLLOWED_SHIFT))) * 1_000_000_000_000n) >> BigInt(FOLLOWED_SHIFT));
}

describe('a line through brackets', () => {
  test('goes through the middle of the last one', () => {
    const { line } = follower().take(bracketAt(20n * MS));
    expect(line.base).toBe(20n * MS);
    expect(nsAt(line, 20n * MS)).toBe(20n * MS);
    expect(excessPpt(line.mult)).toBe(0);
  });

  test('is bounded by half the bracket, the step of the counter and that of the clock, rounded up', () => {
    expect(follower().take(bracketAt(20n * MS)).boundNs).toBe(21n);
    expect(follower(10n).take(bracketAt(20n * MS)).boundNs).toBe(31n);
    expect(follower(10n, 100n).take(bracketAt(20n * MS)).boundNs).toBe(130n);
    expect(follower().take({ before: 20n * MS - 20n, ns: 20n * MS, after: 20n * MS + 21n }).boundNs).toBe(
      22n,
    );
    expect(nsOfCycles(1n, 1n)).toBe(1n);
    expect(nsOfCycles(0n, 1n)).toBe(0n);
  });

  test('has a rate as uncertain as both brackets are over the time between them, and the dither', () => {
    // 21 ns and 21 ns in 20 ms
    expect(follower().take(bracketAt(20n * MS)).driftPpt).toBe(2_100_000n);
    expect(follower(0n, 1n, 476_838n).take(bracketAt(20n * MS)).driftPpt).toBe(2_576_838n);
  });

  test('has its rate from no longer ago than the span', () => {
    const following = follower();
    let ns = 0n;
    for (; ns < 10n * NS_PER_SEC; ns += 8n * MS) if (ns > 0n) following.take(bracketAt(ns));
    // 200 parts in 10^9: too little to be seen from one bracket to the next.
    const turned = ns;
    let mult = 0n;
    for (; ns < turned + NS_PER_SEC + 100n * MS; ns += 8n * MS) {
      const gained = ((ns - turned) * 200n) / NS_PER_SEC;
      const followed = following.take({ ...bracketAt(ns), ns: ns + gained });
      mult = followed.line.mult;
      expect(followed.driftPpt).toBeLessThan(600_000_000n);
    }
    expect(excessPpt(mult)).toBeGreaterThan(190_000);
    expect(excessPpt(mult)).toBeLessThan(210_000);
  });
});
