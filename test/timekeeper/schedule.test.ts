import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isLatchclockError } from '../../lib/errors.js';
import { nsAt } from '../../lib/timekeeper/line.js';
import {
  cyclesOf,
  MOST_RATE_PPT,
  Schedule,
  type ScheduledChange,
  tickOf,
} from '../../lib/timekeeper/schedule.js';

const TAI = { base: 1_000n, scaledNs: 5_000_000n << 40n, mult: (1n << 40n) / 3n, shift: 40 };

const instant = fc.oneof(
  fc.record({ cycles: fc.bigInt({ min: 0n, max: 100_000_000n }) }),
  fc.record({ taiNs: fc.bigInt({ min: 5_000_000n, max: 40_000_000n }) }),
);
const change: fc.Arbitrary<ScheduledChange> = fc.oneof(
  fc.record({
    at: instant,
    kind: fc.constant('frequency' as const),
    ratePpt: fc.bigInt({ min: -MOST_RATE_PPT, max: MOST_RATE_PPT }),
  }),
  fc.record({
    at: instant,
    kind: fc.constant('slew' as const),
    byNs: fc.bigInt({ min: 1n, max: 100_000n }).chain((ns) => fc.constantFrom(ns, -ns)),
    ratePpt: fc.bigInt({ min: 1_000_000_000n, max: MOST_RATE_PPT }),
  }),
  fc.record({ at: instant, kind: fc.constant('step' as const), byNs: fc.constantFrom(-1n, 1n) }),
  fc.record({
    at: instant,
    kind: fc.constant('preference' as const),
    page: fc.integer({ min: 0, max: 1 }),
    preference: fc.constantFrom('sane' as const, 'smeared' as const),
  }),
);

/** Whether it was taken; any other refusal than the schedule's own is thrown. */
function isTaken(schedule: Schedule, added: ScheduledChange, earliest = 0n): boolean {
  const before = schedule.length;
  try {
    schedule.add(added, earliest, TAI);
  } catch (error) {
    if (!isLatchclockError(error) || error.code !== 'ERR_SCHEDULE') throw error;
    expect(schedule.length).toBe(before);
    return false;
  }
  expect(schedule.length).toBe(before + 1);
  return true;
}

describe('a schedule', () => {
  test('has its changes due in the order of their ticks, each from its tick on, until they are dropped', () => {
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 12 }),
        fc.bigInt({ min: 0n, max: 120_000_000n }),
        (changes, now) => {
          const schedule = new Schedule();
          const taken = changes.filter((added) => isTaken(schedule, added));
          const ticks = taken.map((added) => tickOf(added, TAI));
          const first = ticks.reduce<bigint | null>((a, b) => (a === null || b < a ? b : a), null);
          expect(schedule.nextTick(TAI)).toBe(first);
          const due = schedule.due(now, TAI);
          expect(new Set(due.map(({ change }) => change))).toEqual(
            new Set(taken.filter((_, at) => (ticks[at] as bigint) <= now)),
          );
          expect(due.map(({ change, tick }) => tickOf(change, TAI) === tick)).not.toContain(false);
          for (const [at, { tick }] of due.slice(1).entries())
            expect(tick).toBeGreaterThanOrEqual(due[at]?.tick ?? 0n);
          schedule.drop(due.map(({ change }) => change));
          expect(schedule.due(now, TAI)).toEqual([]);
          expect(schedule.length).toBe(taken.length - due.length);
          expect(schedule.nextTick(TAI) ?? now + 1n).toBeGreaterThan(now);
        },
      ),
    );
  });

  test('an instant of tai is the first reading that shows it', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 18n }), (taiNs) => {
        const tick = tickOf({ at: { taiNs }, kind: 'step', byNs: 1n }, TAI);
        expect(nsAt(TAI, tick)).toBeGreaterThanOrEqual(taiNs);
        expect(nsAt(TAI, tick - 1n)).toBeLessThan(taiNs);
      }),
    );
  });

  test('refuses a change before the earliest reading, and takes one at it', () => {
    fc.assert(
      fc.property(change, fc.constantFrom(-1n, 0n, 1n), (added, by) => {
        const tick = tickOf(added, TAI);
        expect(isTaken(new Schedule(), added, tick + by)).toBe(by <= 0n);
      }),
    );
  });

  test('refuses of two changes the second that does not go with the first, whichever comes first', () => {
    let refused = 0;
    fc.assert(
      fc.property(change, change, (a, b) => {
        const [one, other] = [new Schedule(), new Schedule()];
        expect(isTaken(one, a) && isTaken(other, b)).toBe(true);
        const together = isTaken(one, b);
        expect(isTaken(other, a)).toBe(together);
        if (!together) refused++;
      }),
      { numRuns: 1_000 },
    );
    expect(refused).toBeGreaterThan(0);
  });

  test('refuses exactly what begins before a slew has ended, of changes of the rate', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 100_000n }), fc.integer({ min: -2, max: 2 }), (byNs, off) => {
        const slew = { at: { cycles: 5_000n }, kind: 'slew', byNs, ratePpt: MOST_RATE_PPT } as const;
        const end = 5_000n + cyclesOf(slew, TAI);
        const schedule = new Schedule();
        expect(isTaken(schedule, slew)).toBe(true);
        expect(isTaken(schedule, { at: { cycles: end + BigInt(off) }, kind: 'frequency', ratePpt: 1n })).toBe(
          off >= 0,
        );
        expect(isTaken(schedule, { at: { cycles: 5_001n }, kind: 'step', byNs: 1n })).toBe(true);
      }),
    );
  });

  test('refuses a second preference of a page at one reading, and takes one of another page, or at the next reading', () => {
    const of = (page: number, cycles: bigint): ScheduledChange => ({
      at: { cycles },
      ...{ kind: 'preference', page, preference: 'smeared' },
    });
    const schedule = new Schedule();
    expect(isTaken(schedule, of(0, 5_000n))).toBe(true);
    expect(isTaken(schedule, of(0, 5_000n))).toBe(false);
    expect(isTaken(schedule, of(1, 5_000n))).toBe(true);
    expect(isTaken(schedule, of(0, 5_001n))).toBe(true);
  });

  test.each([
    ['a frequency above 10 %', { kind: 'frequency', ratePpt: MOST_RATE_PPT + 1n }],
    ['one below -10 %', { kind: 'frequency', ratePpt: -MOST_RATE_PPT - 1n }],
    ['a slew above 10 %', { kind: 'slew', byNs: 1n, ratePpt: MOST_RATE_PPT + 1n }],
    ['a slew backwards by its rate', { kind: 'slew', byNs: 1n, ratePpt: -1n }],
    ['a slew by nothing', { kind: 'slew', byNs: 0n, ratePpt: 1n }],
    ['a step by nothing', { kind: 'step', byNs: 0n }],
  ] as const)('refuses %s', (_, kind) => {
    expect(isTaken(new Schedule(), { at: { cycles: 5_000n }, ...kind })).toBe(false);
  });
});
