import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { freeRunOf, withChange, withSlewEnded } from '../../lib/timekeeper/free-run.js';
import { scaledAt } from '../../lib/timekeeper/line.js';
import type { ScheduledChange } from '../../lib/timekeeper/schedule.js';

const SHIFT = 56;
const UNIT = 1n << BigInt(SHIFT);
const PARTS = 1_000_000_000_000n;
const nominal = fc.bigInt({ min: UNIT / 5n, max: UNIT * 10n });
const rate = fc.bigInt({ min: -PARTS / 10n, max: PARTS / 10n });
const tick = fc.bigInt({ min: 1_000n, max: 1n << 50n });
const at = { cycles: 0n };

function lineOf(mult: bigint) {
  return { base: 500n, scaledNs: 77n * UNIT + 3n, mult, shift: SHIFT };
}

describe('a source that runs free', () => {
  test('turns at the tick of a change of frequency, without a jump, to the rate that was set beside the nominal one', () => {
    fc.assert(
      fc.property(nominal, rate, rate, tick, (mult, before, ratePpt, cycles) => {
        const was = withChange(freeRunOf(lineOf(mult)), { at, kind: 'frequency', ratePpt: before }, 900n);
        const is = withChange(was, { at, kind: 'frequency', ratePpt }, cycles);
        expect(scaledAt(is.line, cycles)).toBe(scaledAt(was.line, cycles));
        const off = (mult * (PARTS + ratePpt)) / PARTS - is.line.mult;
        expect(off).toBe(0n);
        expect(is.ratePpt).toBe(ratePpt);
      }),
    );
  });

  test('has moved by what a slew says once it has ended, to less than a cycle of the slew, and has its rate again', () => {
    fc.assert(
      fc.property(
        nominal,
        rate,
        tick,
        fc.bigInt({ min: -1_000_000_000n, max: 1_000_000_000n }).filter((ns) => ns !== 0n),
        fc.bigInt({ min: 1_000_000n, max: PARTS / 10n }),
        (mult, ratePpt, cycles, byNs, slewPpt) => {
          const plain = withChange(freeRunOf(lineOf(mult)), { at, kind: 'frequency', ratePpt }, 900n);
          const slew: ScheduledChange = { at, kind: 'slew', byNs, ratePpt: slewPpt };
          const slewing = withChange(plain, slew, cycles);
          const end = slewing.slewEnd ?? 0n;
          expect(scaledAt(slewing.line, cycles)).toBe(scaledAt(plain.line, cycles));
          expect(withSlewEnded(slewing, end - 1n)).toBe(slewing);
          const ended = withSlewEnded(slewing, end);
          const moved = scaledAt(ended.line, end + 5n) - scaledAt(plain.line, end + 5n);
          const size = moved < 0n ? -moved : moved;
          const wanted = (byNs < 0n ? -byNs : byNs) * UNIT;
          const extra = slewing.line.mult - plain.line.mult;
          expect(moved < 0n).toBe(byNs < 0n);
          expect(size >= wanted && size < wanted + (extra < 0n ? -extra : extra)).toBe(true);
          expect(ended.line.mult).toBe(plain.line.mult);
          expect(ended.slewEnd).toBeNull();
        },
      ),
    );
  });

  test('keeps a slew under way through a change of frequency', () => {
    fc.assert(
      fc.property(nominal, rate, fc.bigInt({ min: 1n, max: 999n }), (mult, ratePpt, share) => {
        const plain = freeRunOf(lineOf(mult));
        const slewing = withChange(
          plain,
          { at, kind: 'slew', byNs: 1_000_000n, ratePpt: 10_000_000_000n },
          1_000n,
        );
        const end = slewing.slewEnd ?? 0n;
        const middle = 1_000n + ((end - 1_000n) * share) / 1_000n;
        const frequency: ScheduledChange = { at, kind: 'frequency', ratePpt };
        const without = withChange(plain, frequency, middle);
        const ended = withSlewEnded(withChange(slewing, frequency, middle), end);
        const moved = scaledAt(ended.line, end) - scaledAt(without.line, end);
        expect(moved >= 1_000_000n * UNIT && moved < 1_000_000n * UNIT + mult).toBe(true);
        expect(ended.line.mult).toBe(without.line.mult);
      }),
    );
  });

  test('is left alone by changes that are none of its rate', () => {
    const free = freeRunOf(lineOf(UNIT));
    expect(withChange(free, { at, kind: 'step', byNs: 5n }, 900n)).toBe(free);
    expect(withChange(free, { at, kind: 'preference', page: 0, preference: 'smeared' }, 900n)).toBe(free);
    expect(withSlewEnded(free, 1n << 60n)).toBe(free);
  });
});
