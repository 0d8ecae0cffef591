import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { copyBoundNs, OWN_CLOCKS, ownSegment } from '../../lib/page/clock-page.js';
import { evaluate, isInWindow } from '../../lib/page/segment.js';
import { imageOf, standingOf, withdrawn } from '../../lib/timekeeper/image.js';
import { boundNsAt } from '../../lib/timekeeper/keeper.js';
import type { Slope, Standing } from '../../lib/timekeeper/standing.js';
import type { View } from '../../lib/timekeeper/view.js';
import { clocksAt } from './support.js';

const SHIFT = 56;
const scaled = fc.bigInt({ min: -(1n << 110n), max: 1n << 110n });
const mult = fc.bigInt({ min: 1n, max: (1n << 61n) - 1n });
const slope: fc.Arbitrary<Slope> = fc.record({ scaledNs: scaled, mult });
const offset = fc.bigInt({ min: -(1n << 61n), max: 1n << 61n });

const standing: fc.Arbitrary<Standing> = fc
  .record({
    base: fc.bigInt({ min: 0n, max: 1n << 62n }),
    length: fc.bigInt({ min: 1n, max: 1n << 34n }),
    generation: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    shared: slope,
    boottimeOffsetNs: offset,
    taiOffsetNs: offset,
    saneOffsetNs: offset,
    smeared: slope,
    raw: slope,
    bound: fc.record({ scaledNs: fc.bigInt({ min: 0n, max: 1n << 90n }), mult }),
    preferences: fc.constantFrom(['sane'] as const, ['smeared'] as const),
  })
  .map(({ length, ...rest }) => ({ ...rest, end: rest.base + length, shift: SHIFT }));

const namespace = fc.record({ monotonicNs: offset, boottimeNs: offset });

describe('the words of a copy', () => {
  test('give every clock of a standing to the ns at every reading in its window, in every view', () => {
    fc.assert(
      fc.property(standing, namespace, fc.double({ min: 0, max: 1, noNaN: true }), (kept, offsets, share) => {
        const view: View = { preference: kept.preferences[0] ?? 'sane', namespace: offsets };
        const image = imageOf(kept, view.preference, offsets);
        const length = kept.end - kept.base;
        const cycles = kept.base + BigInt(Math.floor(Number(length - 1n) * share));
        const wanted = clocksAt(kept, view, cycles);
        for (const clock of OWN_CLOCKS) {
          expect(evaluate(ownSegment(image, clock), cycles)).toBe(wanted[clock]);
        }
        expect(copyBoundNs(image, cycles - kept.base)).toBe(boundNsAt(kept, cycles));
      }),
    );
  });

  test('refuse outside the window, and everywhere once they are withdrawn', () => {
    fc.assert(
      fc.property(standing, namespace, (kept, offsets) => {
        const image = imageOf(kept, 'sane', offsets);
        const at = (cycles: bigint, of = image): boolean => isInWindow(ownSegment(of, 'tai'), cycles);
        expect([at(kept.base), at(kept.end - 1n), at(kept.end), at(kept.base - 1n)]).toEqual([
          true,
          true,
          false,
          false,
        ]);
        expect(at(kept.base, withdrawn(image))).toBe(false);
      }),
    );
  });

  test('give the standing again, in the namespace in which they were written', () => {
    fc.assert(
      fc.property(standing, namespace, (kept, offsets) => {
        const image = imageOf(kept, 'sane', offsets);
        expect(standingOf(image, offsets, kept.preferences, SHIFT)).toEqual(kept);
      }),
    );
  });

  test('give no standing where nothing was published, or all was withdrawn', () => {
    fc.assert(
      fc.property(standing, namespace, (kept, offsets) => {
        const image = imageOf(kept, 'sane', offsets);
        const none = { mult: 0n, fraction: 0n, shift: 0 };
        for (const group of ['shared', 'monotonic-raw'] as const) {
          const blank = { ...image, groups: { ...image.groups, [group]: none } };
          expect(standingOf(blank, offsets, [], SHIFT)).toBeNull();
        }
        expect(standingOf(withdrawn(image), offsets, [], SHIFT)).toBeNull();
      }),
    );
  });

  test('of another shift are rounded down by less than the unit of the coarser one', () => {
    fc.assert(
      fc.property(standing, fc.integer({ min: 30, max: 63 }), (kept, shift) => {
        const image = imageOf(kept, 'sane', { monotonicNs: 0n, boottimeNs: 0n });
        const found = standingOf(image, { monotonicNs: 0n, boottimeNs: 0n }, [], shift);
        const [fine, coarse] = [63n, BigInt(Math.min(shift, SHIFT))];
        const lost =
          (kept.shared.scaledNs << (fine - BigInt(SHIFT))) -
          ((found?.shared.scaledNs ?? 0n) << (fine - BigInt(shift)));
        expect(lost >= 0n && lost < 1n << (fine - coarse)).toBe(true);
      }),
    );
  });
});
