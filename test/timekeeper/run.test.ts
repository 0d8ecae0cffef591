import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { COPY_OFFSETS, OWN_CLOCKS } from '../../lib/page/clock-page.js';
import { parsePolicy } from '../../lib/smear/custom-policy.js';
import type { KeeperEvent } from '../../lib/timekeeper/events.js';
import type { Standing } from '../../lib/timekeeper/standing.js';
import { withPlacedLeap } from '../../lib/timekeeper/utc-scale.js';
import { NO_OFFSETS, type View } from '../../lib/timekeeper/view.js';
import { maxBigint, minBigint, NS_PER_SEC } from '../../lib/units.js';
import { PROTOCOLS, type Protocol, pageFor, readAt, stepRead, WatchedRun } from './run-support.js';
import { clocksAt, MS, QUIET } from './support.js';

const SANE: View = { preference: 'sane', namespace: NO_OFFSETS };
const VIEWS: readonly View[] = [
  SANE,
  { preference: 'smeared', namespace: { monotonicNs: -400_000n, boottimeNs: 7_000_000_000n } },
];

/** What was seen of a page, refusals left out. */
function valuesOf({ seen }: WatchedRun, page = 0): { cycles: bigint; ns: bigint }[] {
  return seen.flatMap(({ page: of, cycles, ns }) => (of === page && ns !== null ? [{ cycles, ns }] : []));
}

/** Of values in the order in which they were read, those below one before; monotonic and boottime never do that. */
function stepsBack(values: readonly { cycles: bigint; ns: bigint }[]): { cycles: bigint; byNs: bigint }[] {
  let most = -(1n << 63n);
  return values.flatMap(({ cycles, ns }) => {
    const byNs = most - ns;
    if (ns > most) most = ns;
    return byNs > 0n ? [{ cycles, byNs }] : [];
  });
}

describe.each(PROTOCOLS)('readers of a %s', (protocol) => {
  test('get after every update exactly what the standings say, of every clock and in every view, and are refused outside', () => {
    const watched = new WatchedRun(protocol, { views: VIEWS });
    let checked = 0;
    for (let update = 0; update < 12; update++) {
      watched.source.setRate(BigInt(update % 3) * 40_000_000n);
      watched.step();
      const { standings } = watched.run.status();
      const [current, next] = [standings[0], standings.at(-1)];
      if (current === undefined || next === undefined) throw new Error('nothing was published');
      const places = [current, next].flatMap(({ base, end }) => [
        base - 1n,
        base,
        base + 77n,
        end - 1n,
        end,
        end + MS,
      ]);
      for (const [index, page] of watched.pages.entries()) {
        const view = watched.views[index] as View;
        // One copy at a time, but with two windows; and a seqlock looks at no window, nor before its base.
        const holds = protocol === 'two-window' ? standings : [next];
        for (const cycles of places) {
          const holding = holds.find(({ base, end }) => base <= cycles && cycles < end);
          const standing = protocol === 'seqlock' ? next : holding;
          for (const clock of OWN_CLOCKS) {
            const at = protocol === 'seqlock' && cycles < next.base ? next.base : cycles;
            const wanted = standing === undefined ? null : clocksAt(standing, view, at)[clock];
            expect(readAt(page, clock, cycles)).toBe(wanted);
            expect(stepRead(page, clock, cycles)).toBe(wanted);
            checked++;
          }
        }
      }
    }
    expect(checked).toBeGreaterThan(500);
  });

  test('get one function of the counter, which never goes back, however late the writer is and whenever it is interrupted', () => {
    let repeated = 0;
    let late = 0;
    let values = 0;
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            ratePpt: fc.bigInt({ min: -500_000_000n, max: 500_000_000n }),
            lateMs: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 500 })),
            jumps: fc.array(fc.constantFrom(150n, 400n, 2_000n, 60_000n, 300_000n, 5_000_000n), {
              minLength: 1,
              maxLength: 9,
            }),
          }),
          { minLength: 2, maxLength: 14 },
        ),
        (turns) => {
          const watched = new WatchedRun(protocol);
          for (const { ratePpt, lateMs, jumps } of turns) {
            watched.source.setRate(ratePpt);
            let at = 0;
            watched.source.pace = () => jumps[at++ % jumps.length] as bigint;
            watched.step(BigInt(lateMs) * MS);
          }
          for (const { cycles, ns } of valuesOf(watched)) {
            expect(ns).toBe(clocksAt(watched.truthAt(cycles), SANE, cycles).monotonic);
          }
          expect(stepsBack(valuesOf(watched))).toEqual([]);
          const status = watched.run.status();
          repeated += status.repeated;
          late += status.late;
          values += valuesOf(watched).length;
        },
      ),
      { numRuns: 60 },
    );
    expect(values).toBeGreaterThan(1_000);
    // Both have happened, or this has shown nothing.
    expect(late).toBeGreaterThan(0);
    expect(repeated).toBeGreaterThan(0);
  });

  test('see a change of the rate at its exact tick, all on one line before it and on another after it', () => {
    const events: KeeperEvent[] = [];
    const watched = new WatchedRun(protocol, {
      start: { isFree: true },
      onEvent: (event) => events.push(event),
    });
    watched.steps(5);
    const at = watched.source.cycles + 300n * MS + 7n;
    watched.run.schedule({ kind: 'frequency', ratePpt: 50_000_000_000n, at: { cycles: at } });
    for (let update = 0; update < 200 && watched.source.cycles < at + 100n * MS; update++) watched.step();
    expect(events.filter(({ kind }) => kind === 'change')).toEqual([
      expect.objectContaining({ cycles: at, lateNs: 0n }),
    ]);
    const start = watched.seen[0]?.cycles ?? 0n;
    const values = valuesOf(watched);
    for (const { cycles, ns } of values) {
      const gained = cycles > at ? (cycles - at) / 20n : 0n;
      // 1 GHz from 1,000,000 cycles on: a ns a cycle until there.
      const off = ns - (cycles - 1_000_000n + gained);
      expect(off >= -1n && off <= 1n).toBe(true);
    }
    expect(start).toBeLessThan(at);
    expect(values.some(({ cycles }) => cycles < at) && values.some(({ cycles }) => cycles > at)).toBe(true);
    expect(watched.standings.has(at)).toBe(true);
  });

  test('are refused from the moment at which the source breaks, whatever it does', () => {
    const breaks: ((watched: WatchedRun) => void)[] = [
      ({ source }) => source.stop(),
      ({ source }) => source.jump(50_000_000n),
      ({ source }) => source.jump(-50_000_000n),
      ({ source }) => source.moveCounter(source.cycles - 100n * MS, false),
      ({ source }) => source.break('the clocksource changed'),
    ];
    for (const broken of breaks) {
      const watched = new WatchedRun(protocol, { start: { cycles: 1_000_000_000n }, views: VIEWS });
      watched.steps(6);
      const { cycles } = watched.source;
      broken(watched);
      watched.source.advance(20n * MS);
      expect(() => watched.steps(4)).toThrow(expect.objectContaining({ code: 'ERR_SOURCE' }));
      for (const page of watched.pages) {
        for (const clock of OWN_CLOCKS) {
          for (const at of [cycles, watched.source.cycles, watched.source.cycles + MS, 0n]) {
            expect([readAt(page, clock, at), stepRead(page, clock, at)]).toEqual([null, null]);
          }
        }
      }
      expect(() => watched.run.step()).toThrow(expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }));
    }
  });

  test('get no lower value from a successor, wherever its writer died and whenever it comes', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 12 }),
        fc.oneof(fc.bigInt({ min: 0n, max: 300_000n }), fc.bigInt({ min: 0n, max: 900n * MS })),
        fc.bigInt({ min: -300_000_000n, max: 300_000_000n }),
        fc.bigInt({ min: 1n, max: 40n }),
        (updates, gap, ratePpt, dies) => {
          const watched = new WatchedRun(protocol);
          watched.source.setRate(ratePpt);
          watched.steps(updates);
          // Between two of its readings of the counter: before or after any publication.
          let left = dies;
          const { watch } = watched.source;
          watched.source.watch = (cycles) => {
            watch(cycles);
            if (--left === 0n) throw new Error('killed');
          };
          try {
            watched.steps(8);
          } catch (error) {
            expect(String(error)).toContain('killed');
          }
          watched.source.watch = watch;
          watched.source.setRate(0n);
          watched.source.advance(gap);
          watched.source.counter();
          watched.succeed();
          watched.steps(10);
          expect(stepsBack(valuesOf(watched))).toEqual([]);
          const { cycles } = watched.source;
          expect(
            readAt(watched.pages[0] as (typeof watched.pages)[number], 'monotonic', cycles),
          ).not.toBeNull();
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe.each(['latch', 'seqlock'] as const)('a corner that is scheduled on a %s', (protocol) => {
  test('is offered when its base has come: until then the writer sleeps, and readers have the line before it', () => {
    const watched = new WatchedRun(protocol, { start: { isFree: true } });
    watched.steps(5);
    const at = watched.source.cycles + 90n * MS + 1n;
    watched.run.schedule({ kind: 'frequency', ratePpt: 80_000_000_000n, at: { cycles: at } });
    const [page] = watched.pages;
    if (page === undefined) throw new Error('no page');
    let longest = 0n;
    let steps = 0;
    while (!watched.standings.has(at)) {
      expect(readAt(page, 'monotonic', watched.source.cycles)).toBe(watched.source.cycles - 1_000_000n);
      const before = watched.source.cycles;
      watched.step();
      longest = maxBigint(longest, watched.source.cycles - before);
      steps++;
    }
    // 90 ms in sleeps of an update's length: it looks at the counter anew after each.
    expect(steps).toBeLessThan(20);
    expect(longest).toBeLessThan(11n * MS);
    const offered = watched.seen.filter(({ cycles }) => cycles >= at - MS && cycles < at + MS);
    // On a latch it comes within what is in flight of its base; a seqlock's readers wait for its base.
    const first = offered.find(({ cycles, ns }) => ns !== null && ns > cycles - 1_000_000n);
    expect((first?.cycles ?? 0n) - at).toBeLessThan(8n * MS);
    for (const { cycles, ns } of offered) {
      const wanted = cycles - 1_000_000n + (cycles > at ? ((cycles - at) * 8n) / 100n : 0n);
      // A mult is rounded down, and so is what it gives.
      if (ns !== null) expect([wanted - 1n, wanted]).toContain(ns);
    }
    const gained = (readAt(page, 'monotonic', at + MS) ?? 0n) - (readAt(page, 'monotonic', at) ?? 0n);
    expect([1_079_999n, 1_080_000n]).toContain(gained);
  });
});

describe('a page that somebody wrote before', () => {
  const successor = (protocol: Protocol, change: (watched: WatchedRun) => void): WatchedRun => {
    const watched = new WatchedRun(protocol, { start: { cycles: 10n ** 15n, monotonicNs: 10n ** 15n } });
    watched.steps(6);
    change(watched);
    return watched;
  };

  test.each(PROTOCOLS)('is gone on with by the writer of a %s', (protocol) => {
    const watched = successor(protocol, ({ source }) => source.setRate(-400_000_000n));
    const left = watched.run.status().standings;
    watched.succeed();
    const [found, next] = watched.run.status().standings;
    // It goes on with what holds now, and no reader of the old page finds a gap.
    expect(left).toContainEqual({ ...found, end: expect.any(BigInt) });
    expect(next?.base).toBe(found?.end);
    expect((next?.base ?? 0n) - watched.source.cycles).toBeLessThan(MS);
  });

  test.each(PROTOCOLS)(
    'of another boot, whose counter was far ahead, says nothing to the writer of a %s',
    (protocol) => {
      const watched = successor(protocol, ({ source }) => {
        source.moveCounter(5_000n * MS, false);
        source.jump(-(10n ** 15n));
      });
      watched.succeed();
      watched.steps(3);
      const { cycles } = watched.source;
      const ns = readAt(watched.pages[0] as (typeof watched.pages)[number], 'monotonic', cycles);
      expect(ns).toBe(clocksAt(watched.run.status().standings[0] as Standing, SANE, cycles).monotonic);
      expect(ns).toBeLessThan(10n ** 12n);
    },
  );

  test.each(PROTOCOLS)(
    'whose clocks are more than a second ahead of the source is refused by the writer of a %s',
    (protocol) => {
      const watched = successor(protocol, ({ source }) => {
        source.advance(3_000n * MS);
        source.jump(-5_000_000_000n);
      });
      const before = Uint8Array.from(watched.pages[0]?.bytes ?? []);
      expect(() => watched.succeed()).toThrow(
        expect.objectContaining({ code: 'ERR_BAD_PAGE', what: expect.stringMatching(/ahead of the source/) }),
      );
      // Its readers are left as they were.
      expect(Uint8Array.from(watched.pages[0]?.bytes ?? [])).toEqual(before);
    },
  );

  test('with a shift that is none is refused, whatever else it says', () => {
    const watched = successor('latch', ({ pages: [page] }) => {
      for (const copy of [0, 1] as const)
        page?.bytes.fill(0xff, COPY_OFFSETS[copy]['shared.shift'], COPY_OFFSETS[copy]['shared.shift'] + 8);
    });
    expect(() => watched.succeed()).toThrow(expect.objectContaining({ code: 'ERR_BAD_PAGE' }));
  });
});

test('a standing that waits for its base in a gap is not replaced, however soon the writer is called again', () => {
  const watched = new WatchedRun('two-window');
  watched.steps(6);
  const last = watched.run.status().standings.at(-1)?.end ?? 0n;
  // The window ends before anybody could be sent elsewhere.
  watched.source.advance(last - 300_000n - watched.source.cycles);
  watched.succeed();
  const waiting = watched.run.status().standings.at(-1);
  expect(waiting?.base).toBeGreaterThan(last);
  watched.source.advance(400_000n);
  watched.run.step();
  expect(watched.source.cycles).toBeLessThan(waiting?.base ?? 0n);
  expect(watched.run.status().standings.at(-1)).toEqual(waiting);
});

describe('two pages of one timekeeper', () => {
  test.each(PROTOCOLS)(
    'of %s have the same clocks at every reading, but for their namespaces and preferences',
    (protocol) => {
      const watched = new WatchedRun(protocol, { views: VIEWS });
      for (let update = 0; update < 20; update++) {
        watched.source.setRate(BigInt(update) * 10_000_000n);
        watched.step();
      }
      const [first, second] = [valuesOf(watched, 0), valuesOf(watched, 1)];
      const others = new Map(second.map(({ cycles, ns }) => [cycles, ns]));
      // Between the update of one and of the other a reader may be refused by one: it gets no other value.
      const both = first.filter(({ cycles }) => others.has(cycles));
      expect(both.length).toBeGreaterThan(20);
      for (const { cycles, ns } of both) expect((others.get(cycles) ?? 0n) - ns).toBe(-400_000n);
    },
  );

  test.each(PROTOCOLS)('of %s change their preferences one by one, at a corner', (protocol) => {
    const policy = parsePolicy('linear:-1000..1000');
    const timeline = withPlacedLeap(QUIET, 1_800_000_037n * NS_PER_SEC, 1);
    const watched = new WatchedRun(protocol, { views: VIEWS, policy, timeline, clock: 'realtime' });
    watched.steps(4);
    watched.run.setPreference(0, 'smeared');
    const from = watched.source.cycles;
    watched.steps(2);
    const to = watched.source.cycles + 100n * MS;
    watched.run.schedule({ kind: 'preference', page: 1, preference: 'sane', at: { cycles: to } });
    while (watched.source.cycles < to + 100n * MS) watched.step();
    const kinds = watched.seen.flatMap(({ page, cycles, ns }) => {
      if (ns === null) return [];
      const { 'sane-realtime': sane, 'smeared-realtime': smeared } = clocksAt(
        watched.truthAt(cycles),
        SANE,
        cycles,
      );
      expect([sane, smeared]).toContain(ns);
      expect(sane - smeared > 400_000_000n || smeared - sane > 400_000_000n).toBe(true);
      return [{ page, cycles, isSane: ns === sane }];
    });
    const of = (page: number, isSane: boolean): bigint[] =>
      kinds.filter((kind) => kind.page === page && kind.isSane === isSane).map(({ cycles }) => cycles);
    const [least, most] = [
      (all: bigint[]) => all.reduce(minBigint),
      (all: bigint[]) => all.reduce(maxBigint),
    ];
    expect(most(of(0, true))).toBeLessThan(least(of(0, false)));
    expect(least(of(0, false))).toBeGreaterThanOrEqual(from);
    expect(most(of(1, false))).toBeLessThan(to);
    expect(least(of(1, true))).toBeGreaterThanOrEqual(to);
  });

  test('are of one protocol, or the timekeeper is refused', () => {
    const watched = new WatchedRun('latch');
    const other = { page: pageFor('seqlock'), view: SANE };
    const pages = [{ page: watched.pages[0] as (typeof watched.pages)[number], view: SANE }, other];
    expect(() => watched.succeed({ pages })).toThrow(expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }));
    expect(() => watched.succeed({ pages: [] })).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }),
    );
    for (const page of [-1, 1, 0.5]) {
      expect(() => watched.run.setPreference(page, 'sane')).toThrow(
        expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }),
      );
    }
  });
});
