import { describe, expect, test } from 'vitest';
import type { WritableClockPage } from '../../lib/host/clock-page-memory.js';
import type { Addon } from '../../lib/native/addon.js';
import { getAddon } from '../../lib/native/load.js';
import { CLOCK_PAGE_OFFSETS } from '../../lib/page/clock-page.js';
import type { PageWriter } from '../../lib/timekeeper/page-writer.js';
import { Run } from '../../lib/timekeeper/run.js';
import type { Standing } from '../../lib/timekeeper/standing.js';
import { type Inheritance, takeOver } from '../../lib/timekeeper/takeover.js';
import { NO_OFFSETS } from '../../lib/timekeeper/view.js';
import { type Protocol, pageFor, RunningSource, readAt, setGeneration } from './run-support.js';
import { MS, QUIET } from './support.js';

const native = getAddon();
const VIEW = { preference: 'sane', namespace: NO_OFFSETS } as const;

/** Writers of the same pages, one after another; readers of all pages look at every reading of the counter. */
class Succession {
  readonly source: RunningSource;
  readonly pages: readonly WritableClockPage[];
  readonly back: string[] = [];
  values = 0;
  /** So many publications before the writer is killed. */
  left = Number.POSITIVE_INFINITY;
  readonly #most: bigint[];
  #run: Run | null = null;

  constructor(protocol: Protocol, pages: number, isFree = false) {
    this.source = new RunningSource({ cycles: 10n ** 15n, monotonicNs: 10n ** 15n, isFree });
    this.pages = Array.from({ length: pages }, () => pageFor(protocol));
    this.#most = this.pages.map(() => 0n);
    this.source.pace = () => 9_000n;
    this.source.watch = () => this.look();
  }

  look(): void {
    const { cycles } = this.source;
    for (const [at, page] of this.pages.entries()) {
      const ns = readAt(page, 'monotonic', cycles);
      if (ns === null) continue;
      this.values++;
      const most = this.#most[at] as bigint;
      if (ns < most) this.back.push(`page ${at}: by ${most - ns} ns at ${cycles}`);
      else this.#most[at] = ns;
    }
  }

  /** A writer on pages by their places, which are all unless told. */
  begin(places = this.pages.map((_, at) => at)): Run {
    let isDead = false;
    const publishClockPage: Addon['publishClockPage'] = (...update) => {
      // What its clean-up does reaches nobody.
      if (isDead) return;
      if (this.left-- === 0) {
        isDead = true;
        throw new Error('killed');
      }
      native.publishClockPage(...update);
    };
    this.#run = new Run({
      addon: { ...native, publishClockPage },
      source: this.source,
      pages: places.map((at) => ({ page: this.pages[at] as WritableClockPage, view: VIEW })),
      timeline: QUIET,
      policy: null,
    });
    return this.#run;
  }

  steps(count: number): void {
    for (let step = 0; step < count; step++) {
      const ms = (this.#run as Run).step();
      this.sleep(ms);
    }
  }

  sleep(ms: number): void {
    for (let part = 0; part < 4; part++) {
      this.source.advance(BigInt(Math.ceil(ms * 250_000)));
      this.look();
    }
  }

  /** Steps until it is killed before one of its publications. */
  stepsToDeath(publications: number): void {
    this.left = publications;
    expect(() => this.steps(9)).toThrow('killed');
    this.left = Number.POSITIVE_INFINITY;
  }
}

describe('a successor of a writer of several pages', () => {
  test.each(['two-window', 'latch'] as const)(
    'of %s gives no less on any of them, whichever page its predecessor had come to',
    (protocol) => {
      for (let dies = 0; dies <= 7; dies++) {
        for (const [ratePpt, gap] of [
          [200_000_000n, 100_000n],
          [200_000_000n, 10n * MS],
          [-200_000_000n, 10n * MS],
        ] as const) {
          const pages = new Succession(protocol, 3);
          pages.source.setRate(ratePpt);
          pages.begin();
          pages.steps(2);
          pages.stepsToDeath(dies);
          pages.source.setRate(0n);
          for (let part = 0; part < 5; part++) {
            pages.source.advance(gap / 5n);
            pages.look();
          }
          pages.begin();
          // It is late itself, so that readers go on by what it has offered.
          pages.sleep(6);
          pages.steps(3);
          expect(pages.back, `dead before publication ${dies}, ${ratePpt} ppt, ${gap} cycles`).toEqual([]);
          expect(pages.values).toBeGreaterThan(50);
        }
      }
    },
  );

  test.each(['two-window', 'latch', 'seqlock'] as const)(
    'of %s gives no less on any of them, when they were those of several writers before',
    (protocol) => {
      for (const aheadNs of [30_000_000n, -30_000_000n]) {
        for (const gap of [0n, 3n * MS, 300n * MS]) {
          const pages = new Succession(protocol, 2);
          pages.begin([0]);
          pages.steps(3);
          pages.source.jump(aheadNs);
          pages.begin([1]);
          pages.steps(3);
          pages.source.jump(-aheadNs);
          pages.source.advance(gap);
          pages.look();
          pages.begin();
          pages.steps(6);
          expect(pages.back).toEqual([]);
          const { cycles } = pages.source;
          const [one, other] = pages.pages.map((page) => readAt(page, 'monotonic', cycles));
          expect(one).not.toBeNull();
          expect(other).toBe(one);
        }
      }
    },
  );
});

test('a successor of a writer of a seqlock that died while readers were held starts at no lower values than they had', () => {
  const pages = new Succession('seqlock', 1, true);
  const run = pages.begin();
  pages.steps(3);
  run.schedule({
    kind: 'frequency',
    ratePpt: 90_000_000_000n,
    at: { cycles: pages.source.cycles + 60n * MS },
  });
  pages.steps(14);
  // It holds readers before it publishes: it dies between the two.
  pages.stepsToDeath(0);
  const [page] = pages.pages;
  expect((page?.bytes[CLOCK_PAGE_OFFSETS.count] ?? 0) & 1).toBe(1);
  pages.begin();
  pages.steps(3);
  expect(pages.back).toEqual([]);
  expect(readAt(page as WritableClockPage, 'monotonic', pages.source.cycles)).not.toBeNull();
});

test('a successor after a move of the counter to a lower value goes on with what was published since', () => {
  for (const protocol of ['two-window', 'latch', 'seqlock'] as const) {
    const source = new RunningSource({ cycles: 10n ** 15n, monotonicNs: 10n ** 15n });
    const page = pageFor(protocol, 'page');
    setGeneration(page, 1n);
    const options = { addon: native, source, pages: [{ page, view: VIEW }], timeline: QUIET, policy: null };
    const first = new Run(options);
    for (let step = 0; step < 5; step++) source.advance(BigInt(Math.ceil(first.step() * 1e6)));
    source.moveCounter(10n ** 12n, true);
    setGeneration(page, 2n);
    source.jump(-50_000_000n);
    first.step();
    source.advance(3n * MS);
    const before = readAt(page, 'monotonic', source.cycles);
    expect(before).not.toBeNull();
    // Nothing more comes of the first one; the source is where it was, 50 ms behind what it gave.
    const second = new Run(options);
    source.advance(2n * MS);
    for (let step = 0; step < 3; step++) source.advance(BigInt(Math.ceil(second.step() * 1e6)));
    expect(readAt(page, 'monotonic', source.cycles) ?? 0n).toBeGreaterThanOrEqual(before ?? 0n);
  }
});

describe('what is taken over', () => {
  const standing = (base: bigint, end: bigint, generation = 1n): Standing => {
    const slope = { scaledNs: base, mult: 1n };
    return {
      ...{ base, end, shift: 0, generation, shared: slope, smeared: slope, raw: slope },
      ...{ bound: { scaledNs: 0n, mult: 0n }, boottimeOffsetNs: 0n, taiOffsetNs: 0n, saneOffsetNs: 0n },
      preferences: ['sane'],
    };
  };
  const [earlier, latest] = [standing(1_000n, 2_000n), standing(2_000n, 3_000n)];

  /** What becomes of copies, those of a page each, at a counter; and what was stored on which page. */
  function taken(
    copies: readonly (readonly [latest: Standing, beside: Standing | null])[],
    now: bigint,
  ): Inheritance & { readonly stored: readonly [page: number, how: string, what: Standing][] } {
    const stored: [number, string, Standing][] = [];
    const writers = copies.map(([one, beside], page) => ({
      found: () => one,
      foundBeside: () => beside,
      isHeld: false,
      revise: (what: Standing) => stored.push([page, 'revise', what]),
      offer: (what: Standing) => stored.push([page, 'offer', what]),
    }));
    const inheritance = takeOver({
      writers: writers as unknown as PageWriter[],
      ...{ shift: 0, generation: 1n, preferences: ['sane'], readersGoOn: false, foreignFrom: 9_000n },
      ...{ window: 1_000n, lead: 10n, counter: () => now, furthest: () => now + 5n },
    });
    return { ...inheritance, stored };
  }

  test('is nothing of copies of another generation: they say nothing of the counter', () => {
    expect(taken([[standing(1_000n, 2_000n, 2n), null]], 1_500n)).toEqual({
      ...{ previous: null, offered: null, stored: [] },
    });
  });

  test('is a copy and the one that waits for its base, which a page gets that its writer had not come to', () => {
    const both = [latest, earlier] as const;
    expect(taken([both, [earlier, null]], 1_500n)).toEqual({
      previous: earlier,
      offered: latest,
      stored: [
        [1, 'revise', earlier],
        [1, 'offer', latest],
      ],
    });
  });

  test('is the latest copy alone once its base has come', () => {
    expect(taken([[latest, earlier]], 2_500n)).toEqual({ previous: latest, offered: null, stored: [] });
    expect(taken([[latest, earlier]], 2_000n)).toMatchObject({ previous: latest, offered: null });
    expect(taken([[latest, earlier]], 1_500n)).toMatchObject({ previous: earlier, offered: latest });
  });
});
