import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { explainRecording } from '../../lib/compare/explain.ts';
import { differingWords, nextPage } from '../../lib/compare/replica.ts';
import type { RecordedPage } from '../../lib/host/page-recording.ts';
import { type KernelPageLayout, KNOWN_LAYOUTS } from '../../lib/page/kernel-layout.ts';
import type { KernelPageSnapshot } from '../../lib/page/kernel-page.ts';
import { explainUpdate } from '../../lib/page/kernel-update.ts';
import { PAGE_CLOCKS } from '../../lib/page/posix-clocks.ts';
import { COUNTERS, KernelWriter } from '../support/kernel-writer.ts';

const SECOND = 1_000_000_000n;
const HZ = 250;

/** States as they are recorded: seen a little after the counter reading that they were made at. */
function recorded(pages: readonly KernelPageSnapshot[]): RecordedPage[] {
  return pages.map((snapshot) => {
    const seen = snapshot.main.cycleLast + 20_000_000n;
    return { snapshot, before: seen, after: seen + 100n };
  });
}

/** What a kernel can do at an update. */
const doing = fc.oneof(
  fc.record({
    what: fc.constant('tick' as const),
    intervals: fc.bigInt({ min: 0n, max: 20n }),
    restPpm: fc.bigInt({ min: 0n, max: 999_999n }),
    change: fc.oneof(fc.constant(0n), fc.bigInt({ min: -600_000n, max: 600_000n }), fc.constantFrom(1n, -1n)),
  }),
  fc.record({
    what: fc.constantFrom('setoffset' as const, 'settime' as const, 'inject' as const),
    cycles: fc.bigInt({ min: 0n, max: 100_000_000n }),
    ns: fc.bigInt({ min: 1n, max: 1_000_000n * SECOND }),
  }),
  fc.record({ what: fc.constant('tai' as const), offset: fc.bigInt({ min: 0n, max: 100n }) }),
  fc.record({ what: fc.constant('leap' as const), sign: fc.constantFrom(1 as const, -1 as const) }),
  fc.record({
    what: fc.constant('resume' as const),
    cycleLast: fc.bigInt({ min: 0n, max: 1n << 50n }),
    ns: fc.bigInt({ min: 1n, max: 1_000n * SECOND }),
  }),
);
type Doing = typeof doing extends fc.Arbitrary<infer T> ? T : never;

function perform(writer: KernelWriter, one: Doing): KernelPageSnapshot[] {
  switch (one.what) {
    case 'tick': {
      const rest = (one.restPpm * (writer.interval - 1n)) / 1_000_000n;
      return [writer.tick(one.intervals * writer.interval + rest, writer.multRaw + one.change)];
    }
    case 'setoffset':
      return [writer.setOffset(one.cycles, one.ns)];
    case 'settime':
      return [writer.setTime(one.cycles, SECOND * SECOND + one.ns).page];
    case 'inject':
      return [writer.injectSleep(one.cycles, one.ns)];
    case 'tai':
      return [writer.setTai(one.offset)];
    case 'resume':
      return [writer.resume(one.cycleLast, one.ns)];
    case 'leap': {
      const second = writer.scheduleLeap(one.sign);
      const set = writer.setTime(1n, second * SECOND - 1_000_000n).page;
      return [set, writer.tick(writer.interval)];
    }
  }
}

describe('the replica of the kernel’s page writer', () => {
  test('writes every word as a writer that adds each interval by itself, whatever the kernel is told', () => {
    fc.assert(
      fc.property(
        fc.array(doing, { minLength: 1, maxLength: 8 }),
        fc.constantFrom(COUNTERS.tsc, COUNTERS.pvclock, COUNTERS.fast, COUNTERS.hyperv),
        fc.boolean(),
        fc.constantFrom(KNOWN_LAYOUTS[0] as KernelPageLayout, KNOWN_LAYOUTS.at(-1) as KernelPageLayout),
        fc.constantFrom(0, 4_000, 2 ** 32 - 4),
        (sequence, counter, coarseApart, layout, seq) => {
          const writer = new KernelWriter({ counter, coarseApart, layout, seq });
          const pages = [writer.publish(), ...sequence.flatMap((one) => perform(writer, one))];
          for (const { explanation, simulated } of explainRecording(recorded(pages), HZ)) {
            if (explanation.kind === 'unexplained') expect(explanation.reasons).toEqual([]);
            expect(simulated).not.toBeNull();
          }
        },
      ),
    );
  });

  test('tells each word in which two pages differ', () => {
    const page = new KernelWriter().publish();
    const { main, basetimes } = page;
    const changed = {
      ...page,
      main: { ...main, mult: main.mult + 1n },
      basetimes: { ...basetimes, tai: basetimes.boottime },
    };
    expect(differingWords(page, page)).toEqual([]);
    expect(differingWords(changed, page).map((line) => line.split(':')[0])).toEqual([
      'main mult',
      'seconds of tai',
      'nsecAsStored of tai',
    ]);
  });

  test('carries seconds both ways: a correction of the base can take one back', () => {
    const writer = new KernelWriter({ realtimeSeconds: 1_000n });
    const page = writer.publish();
    const at = (nsecAsStored: bigint) => ({ ...page.basetimes.realtime, nsecAsStored });
    const start = { ...page, basetimes: { ...page.basetimes, realtime: at(5n), tai: at(5n) } };
    const next = nextPage(
      start,
      { kind: 'tick', intervals: 0n, multChange: 1n, restCycles: 6n, steps: [] },
      { coarseRenewed: false, counted: true },
      HZ,
    );
    expect(next.basetimes.realtime).toEqual({ seconds: 999n, nsecAsStored: (SECOND << 24n) - 1n });
  });
});

/** A few seconds of a kernel that is corrected now and then, with a leap second in it. */
function sequence(): RecordedPage[] {
  const writer = new KernelWriter({ realtimeSeconds: 86_399n });
  writer.scheduleLeap(1);
  const pages = [writer.publish()];
  for (let i = 0; i < 300; i++) {
    const mult = i % 50 === 0 ? writer.mult + (i % 100 === 0 ? 700n : -700n) : writer.mult;
    pages.push(writer.tick(writer.interval + 1_000_000n, mult));
  }
  return recorded(pages);
}

/** While mult is corrected. */
const AT = 27;

/** The recording with one state replaced from `AT` on: what is wrong stays wrong, as a faulty kernel's would. */
function withFault(
  change: (page: KernelPageSnapshot, before: KernelPageSnapshot) => KernelPageSnapshot,
): string[] {
  const states = sequence();
  const state = states[AT] as RecordedPage;
  const before = (states[AT - 1] as RecordedPage).snapshot;
  const kinds = explainRecording(
    [...states.slice(0, AT), { ...state, snapshot: change(state.snapshot, before) }],
    HZ,
  );
  const { explanation } = kinds[AT - 1] as (typeof kinds)[number];
  return explanation.kind === 'unexplained' ? explanation.reasons : [];
}

function moved(
  page: KernelPageSnapshot,
  clocks: readonly (keyof KernelPageSnapshot['basetimes'])[],
  scaled: bigint,
) {
  const second = SECOND << BigInt(page.main.shift);
  const basetimes = Object.fromEntries(
    PAGE_CLOCKS.map((clock) => {
      const { seconds, nsecAsStored } = page.basetimes[clock];
      if (!clocks.includes(clock)) return [clock, { seconds, nsecAsStored }];
      const total = seconds * second + nsecAsStored + scaled;
      return [clock, { seconds: total / second, nsecAsStored: total % second }];
    }),
  ) as KernelPageSnapshot['basetimes'];
  return { ...page, basetimes };
}

const ADJUSTED = ['realtime', 'monotonic', 'boottime', 'tai'] as const;

describe('a recorded sequence with a fault in it', () => {
  test('is explained as it is, leap second and changes of mult included', () => {
    const found = explainRecording(sequence(), HZ);
    expect(found.filter(({ explanation }) => explanation.kind !== 'tick')).toEqual([]);
    const steps = found.flatMap(({ explanation }) => (explanation.kind === 'tick' ? explanation.steps : []));
    expect(steps).toEqual([{ name: 'leap', sign: 1 }]);
    expect(withFault((page) => page)).toEqual([]);
  });

  test('is flagged where an interval was skipped: the counter went on, the clocks did not', () => {
    const skipped = (page: KernelPageSnapshot): KernelPageSnapshot =>
      moved(page, ADJUSTED, -10_384_575n * page.main.mult);
    expect(withFault(skipped).join()).toContain('d(monotonic) = dc * mult');
  });

  test('is flagged where the rest is out of range, by one cycle on either side', () => {
    const states = sequence();
    const at = states.findIndex(
      ({ snapshot }, i) => i > 0 && snapshot.main.mult !== (states[i - 1] as RecordedPage).snapshot.main.mult,
    );
    const [before, after] = [states[at - 1] as RecordedPage, states[at] as RecordedPage];
    const change = after.snapshot.main.mult - before.snapshot.main.mult;
    const found = explainUpdate(before.snapshot, after.snapshot, HZ);
    const rest = found.kind === 'tick' ? (found.restCycles as bigint) : -1n;
    const explain = (to: bigint) =>
      explainUpdate(before.snapshot, moved(after.snapshot, ADJUSTED, (rest - to) * change), HZ).kind;
    expect(explain(-1n)).toBe('unexplained');
    expect(explain(10_384_575n)).toBe('unexplained');
  });

  test('is flagged where two states were swapped, or one was left out and its count hidden', () => {
    const states = sequence();
    const swapped = [...states];
    [swapped[AT], swapped[AT + 1]] = [states[AT + 1] as RecordedPage, states[AT] as RecordedPage];
    const kinds = explainRecording(swapped, HZ).map(({ explanation }) => explanation.kind);
    expect(kinds.filter((kind) => kind !== 'tick').length).toBeGreaterThan(0);
    const hidden = states
      .filter((_, i) => i !== AT)
      .map((state, i) => ({
        ...state,
        snapshot: {
          ...state.snapshot,
          main: { ...state.snapshot.main, seq: 4_002 + 2 * i },
          raw: { ...state.snapshot.raw, seq: 4_002 + 2 * i },
        },
      }));
    // Without a change of mult two ticks are as one of two intervals: that cannot be told, and is right.
    expect(explainRecording(hidden, HZ).every(({ explanation }) => explanation.kind === 'tick')).toBe(true);
  });

  test('is flagged where a copy is the other one', () => {
    expect(withFault((page) => ({ ...page, main: page.raw, raw: page.main })).length).toBeGreaterThan(0);
  });

  test('is flagged where the TAI offset moved in an update that did something else', () => {
    const second = SECOND << 24n;
    expect(withFault((page) => moved(page, ['tai'], second)).join()).toContain('tai');
    // Alone it is ADJ_TAI, and named so.
    const states = sequence().slice(0, 2);
    const [first] = states as [RecordedPage];
    const next = {
      ...moved(first.snapshot, ['tai'], second),
      main: { ...first.snapshot.main, seq: first.snapshot.main.seq + 2 },
      raw: { ...first.snapshot.raw, seq: first.snapshot.raw.seq + 2 },
    };
    const [update] = explainRecording([first, { ...first, snapshot: next }], HZ);
    expect(update?.explanation).toMatchObject({ kind: 'tick', steps: [{ name: 'tai', seconds: 1n }] });
  });

  test('is flagged whatever bit of whatever word is changed, at that update or the next', () => {
    const [before, after, next] = sequence().slice(AT - 1, AT + 2) as [
      RecordedPage,
      RecordedPage,
      RecordedPage,
    ];
    const told = new Set<string>();
    const judge = (word: string, snapshot: KernelPageSnapshot): void => {
      const kinds = explainRecording([before, { ...after, snapshot }, next], HZ).map(
        ({ explanation }) => explanation.kind,
      );
      // A mult that changed alone looks as if it had changed at the end of an interval: until the next update.
      const kind = kinds.find((one) => one !== 'tick') ?? 'tick';
      expect(`${word}: ${kind}`).not.toBe(`${word}: tick`);
      told.add(kind);
    };
    const page = after.snapshot;
    for (const copy of ['main', 'raw'] as const) {
      for (const [word, bits] of [
        ['cycleLast', 64],
        ['mult', 32],
      ] as const) {
        for (let bit = 0; bit < bits; bit++) {
          judge(`${copy}.${word}`, {
            ...page,
            [copy]: { ...page[copy], [word]: page[copy][word] ^ (1n << BigInt(bit)) },
          });
        }
      }
      for (const [word, bits] of [
        ['seq', 31],
        ['mode', 31],
        ['shift', 6],
      ] as const) {
        for (let bit = 0; bit < bits; bit++) {
          judge(`${copy}.${word}`, {
            ...page,
            [copy]: { ...page[copy], [word]: page[copy][word] ^ (1 << bit) },
          });
        }
      }
    }
    for (const clock of PAGE_CLOCKS) {
      for (const part of ['seconds', 'nsecAsStored'] as const) {
        for (let bit = 0; bit < 63; bit++) {
          const base = {
            ...page.basetimes[clock],
            [part]: page.basetimes[clock][part] ^ (1n << BigInt(bit)),
          };
          judge(`${clock}.${part}`, { ...page, basetimes: { ...page.basetimes, [clock]: base } });
        }
      }
    }
    expect([...told]).toEqual(['unexplained']);
  });

  test('cannot be told where all adjusted clocks are off by less than an interval across a change of mult by 1', () => {
    const writer = new KernelWriter();
    const before = writer.publish();
    const after = writer.tick(writer.interval + 5_000n, writer.mult + 1n);
    for (const off of [1n, 4_999n, -5_000_000n]) {
      const explained = explainUpdate(before, moved(after, ADJUSTED, off), HZ);
      expect(explained).toMatchObject({ kind: 'tick', restCycles: 5_000n - off });
    }
    expect(explainUpdate(before, moved(after, ADJUSTED, 5_001n), HZ).kind).toBe('unexplained');
  });
});
