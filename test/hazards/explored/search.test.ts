import { describe, expect, test } from 'vitest';
import { MEMORY_MODELS, type MemoryModel } from '../../../lib/hazards/explored/model.ts';
import type { Published, Scenario } from '../../../lib/hazards/explored/scenario.ts';
import { explore } from '../../../lib/hazards/explored/search.ts';
import { NO_VALUE } from '../../../lib/hazards/explored/world.ts';
import { CLOCK_PAGE_OFFSETS, COPY_OFFSETS } from '../../../lib/page/clock-page.ts';
import { fence, itemsOf } from '../../../lib/page/protocols/items.ts';
import { assemble, type FenceOrder, type Item, type Program } from '../../../lib/page/steps.ts';

// Litmus tests: a reader that sees what a memory model forbids returns without a value, which is wrong.

type Register = 'flag' | 'data' | 'cycles' | 'ns' | 'now';
const { load, store, counter, compute } = itemsOf<Register>();
const FLAG = CLOCK_PAGE_OFFSETS.count;
const DATA = COPY_OFFSETS[0]['monotonic.whole'];
const NOTHING = { flag: 0n, data: 0n, cycles: 0n, ns: NO_VALUE, now: 0n };

const SEGMENT: Published = { base: 0n, maxDelta: 100n, mult: 1n, whole: 0n, epoch: 0 };

function program(name: string, items: readonly Item<Register, 'value'>[]): Program {
  return assemble<Register, 'value'>(name, NOTHING, [
    ...items,
    { kind: 'end', note: 'end', end: 'value' },
  ]) as unknown as Program;
}

function litmus(reading: Program, writing: Program): Scenario {
  return {
    ...{ variant: 'main', about: 'a litmus test', brokenRule: null, successor: null, events: [] },
    reader: reading,
    writer: {
      next: (done, known) =>
        done > 0 ? null : { program: writing, earliestTick: 0, offers: () => null, known: () => known },
    },
    ...{ origins: [0n, 50n], lastTick: 2, countMask: (1n << 64n) - 1n, ordered: false, bounded: false },
    words: new Map([
      [FLAG, 0n],
      [DATA, 0n],
    ]),
    shared: new Set([FLAG, DATA]),
    known: { latest: SEGMENT, copies: [SEGMENT, SEGMENT] },
    current: [SEGMENT],
  };
}

/** Reads, and has a value unless `isForbidden`. */
const judged = (isForbidden: (flag: bigint, data: bigint) => boolean): Item<Register, 'value'> =>
  compute('judge', ({ flag, data, cycles }) => ({ ns: isForbidden(flag, data) ? NO_VALUE : cycles }));

const seenUnder = (scenario: Scenario): MemoryModel[] =>
  MEMORY_MODELS.filter((model) => explore(scenario, model).wrong !== null);

describe('message passing: the flag is seen, the data stored before it is not', () => {
  const writing = (order: 'relaxed' | 'release', between: FenceOrder | null): Program =>
    program('writer', [
      store('store the data', DATA, () => 1n),
      ...(between === null ? [] : [fence(between, 'between')]),
      store('set the flag', FLAG, () => 1n, order),
    ]);
  const reading = (order: 'relaxed' | 'acquire', between: FenceOrder | null): Program =>
    program('reader', [
      counter('read the counter', 'cycles', true),
      load('load the flag', FLAG, 'flag', order),
      ...(between === null ? [] : [fence(between, 'between')]),
      load('load the data', DATA, 'data'),
      judged((flag, data) => flag === 1n && data === 0n),
    ]);

  test.each([
    ['nothing', 'relaxed', null, 'relaxed', null, ['weak']],
    ['a release alone', 'release', null, 'relaxed', null, ['weak']],
    ['an acquire alone', 'relaxed', null, 'acquire', null, ['weak']],
    ['release and acquire', 'release', null, 'acquire', null, []],
    ['fences', 'relaxed', 'release', 'relaxed', 'acquire', []],
    ['a fence of the writer alone', 'relaxed', 'release', 'relaxed', null, ['weak']],
    ['a full fence and an acquire', 'relaxed', 'full', 'acquire', null, []],
  ] as const)('with %s', (_, stored, writersFence, loaded, readersFence, expected) => {
    expect(seenUnder(litmus(reading(loaded, readersFence), writing(stored, writersFence)))).toEqual(expected);
  });
});

describe('a counter that the writer reads after its store, and the reader before its load', () => {
  // If the store is not seen by a reader whose counter is later than the writer's, it waits in the buffer.
  const writing = (between: FenceOrder | null): Program =>
    program('writer', [
      store('set the flag', FLAG, () => 1n),
      ...(between === null ? [] : [fence(between, 'between')]),
      counter('read the counter', 'now', true),
      store('tell the counter', DATA, ({ now }) => now + 1n),
    ]);
  const reading = program('reader', [
    load('load what the writer told', DATA, 'data', 'acquire'),
    load('load the flag', FLAG, 'flag', 'acquire'),
    counter('read the counter', 'cycles', true),
    judged((flag, data) => data > 0n && flag === 0n),
  ]);

  test('is passed by no store in order, and by one without a fence where stores are seen out of order', () => {
    expect(seenUnder(litmus(reading, writing(null)))).toEqual(['weak']);
    expect(seenUnder(litmus(reading, writing('full')))).toEqual([]);
  });
});

describe('an exploration', () => {
  const writing = program('writer', [store('store', DATA, () => 1n), store('store', FLAG, () => 1n)]);
  const reading = program('reader', [
    load('load the flag', FLAG, 'flag'),
    load('load the data', DATA, 'data'),
    counter('read the counter', 'cycles', true),
    judged((flag, data) => flag === 0n && data === 1n),
  ]);

  test('meets every state: two loads and two stores interleave, in program order', () => {
    const { states, complete, ends } = explore(litmus(reading, writing), 'sc');
    expect(complete).toBe(true);
    // Writer at 0, 1, 2; the reader before, between and behind its loads with what it can have seen then (1 x 3 of
    // nothing; flag 0 at 3 places and 1 at 1; pairs (0,0) at 3, (0,1) at 2, (1,1) at 1) and with one of three counters
    // (0, 1, 2) read at the time that it is, or judged.
    const before = 3 + 4 + 6;
    expect(states).toBeGreaterThan(before);
    expect((ends['value'] ?? 0) + (ends['wrong'] ?? 0)).toBe(states - before);
  });

  test('finds the shortest way, and tells it step by step', () => {
    const { wrong } = explore(litmus(reading, writing), 'sc');
    expect(wrong?.steps).toEqual([
      'reader: load the flag: 0',
      'writer: store: 1',
      'reader: load the data: 1',
      'reader: read the counter: 0',
    ]);
    expect(wrong?.verdict).toBe('returns without a value');
  });

  test('says so when it is not complete', () => {
    expect(explore(litmus(reading, writing), 'sc', 5).complete).toBe(false);
  });

  test('tells a reader that can be kept waiting from one that ends', () => {
    const spinning = program('reader', [
      { kind: 'label', label: 'again' },
      load('load the flag', FLAG, 'flag', 'acquire'),
      { kind: 'branch', note: 'again', when: ({ flag }) => flag === 0n, to: 'again' },
      counter('read the counter', 'cycles', true),
      judged(() => false),
    ]);
    expect(explore(litmus(spinning, writing), 'sc').waits).toBe(true);
    expect(explore(litmus(reading, writing), 'sc').waits).toBe(false);
  });
});
