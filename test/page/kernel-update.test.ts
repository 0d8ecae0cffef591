import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { machineFiles } from '../../lib/host/files.ts';
import { orNull } from '../../lib/host/host.ts';
import { findKernelPage, readKernelPage } from '../../lib/host/kernel-page.ts';
import { ClockPath } from '../../lib/native/addon.ts';
import { getAddon } from '../../lib/native/load.ts';
import { type KernelPageLayout, KNOWN_LAYOUTS } from '../../lib/page/kernel-layout.ts';
import { ClockMode, type KernelPageSnapshot, modeName } from '../../lib/page/kernel-page.ts';
import {
  cycleInterval,
  explainUpdate,
  hzOfCoarseResolution,
  type UpdateExplanation,
} from '../../lib/page/kernel-update.ts';
import { CLOCK_IDS, isCoarse, PAGE_CLOCKS, type PageClockName } from '../../lib/page/posix-clocks.ts';
import { COUNTERS, KernelWriter, type KernelWriterOptions } from '../support/kernel-writer.ts';

const SECOND = 1_000_000_000n;
const badArgument = expect.objectContaining({ name: 'LatchclockError', code: 'ERR_BAD_ARGUMENT' });

describe('the interval that is added at once', () => {
  test.each([
    // 2,596,144 kHz at 250 Hz, as seen on a machine; the others are 1e9 / hz / (mult / 2^shift) by hand.
    [250, 6_462_360n, 24, 10_384_575n],
    [100, 8_388_608n, 23, 10_000_000n],
    [1000, 8_388_608n, 23, 1_000_000n],
    [300, 8_388_608n, 23, 3_333_333n],
    [250, 1n << 40n, 10, 1n],
  ])('at %i Hz, mult %s, shift %i has %s cycles', (hz, mult, shift, cycles) => {
    expect(cycleInterval(hz, mult, shift)).toBe(cycles);
  });

  test.each([
    [0, 1n, 1],
    [11, 1n, 1],
    [12_288, 1n, 1],
    [2.5, 1n, 1],
    [Number.NaN, 1n, 1],
    [250, 0n, 1],
    [250, -1n, 1],
    [250, 1n, -1],
    [250, 1n, 64],
    [250, 1n, 1.5],
  ])('refuses %d Hz, mult %s, shift %d', (hz, mult, shift) => {
    expect(() => cycleInterval(hz, mult, shift)).toThrow(badArgument);
  });
});

describe('the tick rate from the resolution of a coarse clock', () => {
  test.each([
    [10_000_000n, 100],
    [4_000_000n, 250],
    [3_333_333n, 300],
    [1_000_000n, 1000],
    [976_563n, 1024],
    [2_000_000n, 500],
  ])('%s ns is %i Hz', (resolutionNs, hz) => {
    expect(hzOfCoarseResolution(resolutionNs)).toBe(hz);
  });

  test('every rate comes back', () => {
    for (let hz = 12; hz <= 12_287; hz++) {
      const tick = BigInt(Math.round(1e9 / hz));
      expect(hzOfCoarseResolution(tick)).toBe(hz);
    }
  });

  test.each([0n, -4_000_000n, 1n, 4_000_001n, 1_000_000_000n])('%s ns is refused', (resolutionNs) => {
    expect(() => hzOfCoarseResolution(resolutionNs)).toThrow(badArgument);
  });
});

/** One update of a writer with what it ought to be called. */
interface Update {
  before: KernelPageSnapshot;
  after: KernelPageSnapshot;
  expected: UpdateExplanation;
}

interface Tick {
  op: 'tick';
  intervals: bigint;
  /** Cycles beyond the intervals, in millionths of the most that can be. */
  restPpm: bigint;
  /** What becomes of mult: a step, or so many ppm of the raw one. */
  change: 'none' | 1n | -1n | 'rate';
  ppm: bigint;
}

type Operation =
  | Tick
  | { op: 'setoffset' | 'settime' | 'inject'; cycles: bigint; ns: bigint }
  | { op: 'tai'; offset: bigint }
  | { op: 'suspend'; cycles: bigint; restart: bigint; ns: bigint }
  | { op: 'leap'; sign: 1 | -1; early: bigint; tick: Tick }
  | { op: 'skip'; updates: number };

const ns = fc.oneof(
  fc.bigInt({ min: 1n, max: 3n }),
  fc.bigInt({ min: 1n, max: 10n * SECOND }),
  fc.constant(SECOND),
  fc.bigInt({ min: 1n, max: 1_000_000n * SECOND }),
);
const cycles = fc.oneof(fc.bigInt({ min: 0n, max: 5n }), fc.bigInt({ min: 0n, max: 100_000_000n }));

const tickOperation = fc.record({
  op: fc.constant('tick' as const),
  intervals: fc.oneof(
    { weight: 3, arbitrary: fc.bigInt({ min: 0n, max: 3n }) },
    fc.bigInt({ min: 0n, max: 400n }),
  ),
  restPpm: fc.oneof(fc.bigInt({ min: 0n, max: 1_000_000n }), fc.constantFrom(0n, 1_000_000n)),
  change: fc.constantFrom<Tick['change'][]>('none', 1n, -1n, 'rate'),
  ppm: fc.oneof(fc.bigInt({ min: -500n, max: 500n }), fc.bigInt({ min: -100_000n, max: 100_000n })),
});
const operations: Record<Operation['op'], fc.Arbitrary<Operation>> = {
  tick: tickOperation,
  setoffset: fc
    .record({ op: fc.constant('setoffset' as const), cycles, ns, negative: fc.boolean() })
    .map(({ negative, ...rest }) => ({ ...rest, ns: negative ? -rest.ns : rest.ns })),
  settime: fc.record({
    op: fc.constant('settime' as const),
    cycles,
    ns: fc.bigInt({ min: SECOND * SECOND, max: 4n * SECOND * SECOND }),
  }),
  inject: fc.record({ op: fc.constant('inject' as const), cycles, ns }),
  tai: fc.record({ op: fc.constant('tai' as const), offset: fc.bigInt({ min: 0n, max: 100_000n }) }),
  suspend: fc.record({
    op: fc.constant('suspend' as const),
    cycles,
    restart: fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 1n << 50n })),
    ns,
  }),
  leap: fc.record({
    op: fc.constant('leap' as const),
    sign: fc.constantFrom(1 as const, -1 as const),
    early: fc.oneof(fc.bigInt({ min: 0n, max: 9n }), fc.bigInt({ min: 0n, max: 20_000_000n })),
    tick: tickOperation,
  }),
  skip: fc.record({ op: fc.constant('skip' as const), updates: fc.integer({ min: 1, max: 5 }) }),
};
const anyOperation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 5, arbitrary: operations.tick },
  ...Object.values(operations),
);

const options: fc.Arbitrary<KernelWriterOptions> = fc.record({
  hz: fc.constantFrom(100, 250, 300, 1000),
  counter: fc.constantFrom(COUNTERS.tsc, COUNTERS.pvclock, COUNTERS.fast, COUNTERS.hyperv),
  layout: fc.constantFrom(KNOWN_LAYOUTS[0] as KernelPageLayout, KNOWN_LAYOUTS.at(-1) as KernelPageLayout),
  coarseApart: fc.boolean(),
  // Near the wrap of the counter as well, and of the count.
  cycleLast: fc.oneof(
    fc.bigInt({ min: 0n, max: 1n << 50n }),
    fc.bigInt({ min: (1n << 64n) - 20_000_000n, max: (1n << 64n) - 1n }),
  ),
  seq: fc.constantFrom(0, 4_000, 2 ** 32 - 6),
  uptimeNs: fc.bigInt({ min: 0n, max: 100_000_000n * SECOND }),
  sleptNs: fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 100_000_000n * SECOND })),
  taiOffset: fc.constantFrom(0n, 37n),
});

/** Lets the writer do `operation`, and yields each update with its right explanation. */
function* updates(writer: KernelWriter, operation: Operation): Generator<Update> {
  const before = writer.page();
  const update = (
    from: KernelPageSnapshot,
    after: KernelPageSnapshot,
    expected: UpdateExplanation,
  ): Update => ({
    before: from,
    after,
    expected,
  });
  const { interval } = writer;
  switch (operation.op) {
    case 'tick': {
      const rest = (operation.restPpm * (interval - 1n)) / 1_000_000n;
      const target = (writer.multRaw * (1_000_000n + operation.ppm)) / 1_000_000n;
      const { change } = operation;
      const multChange = change === 'none' ? 0n : change === 'rate' ? target - writer.mult : change;
      const after = writer.tick(operation.intervals * interval + rest, writer.mult + multChange);
      const restCycles = multChange === 0n ? null : rest;
      const steps = writer.leapMade === null ? [] : [{ name: 'leap' as const, sign: writer.leapMade }];
      yield update(before, after, {
        kind: 'tick',
        intervals: operation.intervals,
        multChange,
        restCycles,
        steps,
      });
      return;
    }
    case 'setoffset': {
      const after = writer.setOffset(operation.cycles, operation.ns);
      const steps = [{ name: 'setoffset' as const, ns: operation.ns }];
      yield update(before, after, { kind: 'forward', cycles: operation.cycles, steps });
      return;
    }
    case 'settime': {
      const moved = operation.ns - writer.realtimeNs(operation.cycles);
      const { page, lost } = writer.setTime(operation.cycles, operation.ns);
      // A clock that is set to what it shows, and loses no fraction, is as it would be without.
      const name = lost === 0n ? ('setoffset' as const) : ('settime' as const);
      const steps = lost === 0n && moved === 0n ? [] : [{ name, ns: moved }];
      yield update(before, page, { kind: 'forward', cycles: operation.cycles, steps });
      return;
    }
    case 'inject': {
      const after = writer.injectSleep(operation.cycles, operation.ns);
      const steps = [{ name: 'suspend' as const, ns: operation.ns }];
      yield update(before, after, { kind: 'forward', cycles: operation.cycles, steps });
      return;
    }
    case 'tai': {
      const seconds = operation.offset - writer.taiOffset;
      const steps = seconds === 0n ? [] : [{ name: 'tai' as const, seconds }];
      const after = writer.setTai(operation.offset);
      yield update(before, after, { kind: 'tick', intervals: 0n, multChange: 0n, restCycles: null, steps });
      return;
    }
    case 'suspend': {
      const { cycles: passed, restart } = operation;
      const asleep = writer.forward(passed);
      const tick: UpdateExplanation = {
        kind: 'tick',
        intervals: passed / interval,
        multChange: 0n,
        restCycles: null,
        steps: [],
      };
      yield update(
        before,
        asleep,
        passed % interval === 0n ? tick : { kind: 'forward', cycles: passed, steps: [] },
      );
      const moved = BigInt.asIntN(64, restart - writer.cycleLast);
      const steps = [{ name: 'suspend' as const, ns: operation.ns }];
      yield update(asleep, writer.resume(restart, operation.ns), { kind: 'forward', cycles: moved, steps });
      return;
    }
    case 'leap': {
      const second = writer.scheduleLeap(operation.sign);
      yield* updates(writer, { op: 'settime', cycles: 1n, ns: second * SECOND - operation.early });
      yield* updates(writer, operation.tick);
      return;
    }
    case 'skip': {
      for (let done = 0; done < operation.updates; done++) writer.tick(interval);
      yield update(before, writer.tick(interval), {
        kind: 'unobserved',
        missed: BigInt(operation.updates),
      });
    }
  }
}

describe('a writer that does as the kernel does', () => {
  test('every update is explained with its kind and figures', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(options, fc.array(anyOperation, { minLength: 1, maxLength: 12 }), (settings, sequence) => {
        const writer = new KernelWriter(settings);
        for (const operation of sequence) {
          for (const { before, after, expected } of updates(writer, operation)) {
            const explanation = explainUpdate(before, after, settings.hz ?? 250);
            expect(explanation).toEqual(expected);
            seen.add(explanation.kind);
            if ('steps' in explanation) for (const { name } of explanation.steps) seen.add(name);
          }
        }
      }),
      { numRuns: 500 },
    );
    expect([...seen].sort()).toEqual(
      ['forward', 'leap', 'setoffset', 'settime', 'suspend', 'tai', 'tick', 'unobserved'].sort(),
    );
  });

  test('a leap second is seen in both directions, also where the change of mult undoes the second', () => {
    for (const sign of [1, -1] as const) {
      for (const change of [0n, 600_000n, -600_000n]) {
        const writer = new KernelWriter();
        const second = writer.scheduleLeap(sign);
        // The second overflows by 1 ns, and a faster clock takes more than that off the base again.
        writer.setTime(0n, (second - 1n) * SECOND + 996_000_002n);
        const before = writer.page();
        const after = writer.tick(writer.interval + 1_000_000n, writer.mult + change);
        expect(writer.leapMade).toBe(sign);
        expect(explainUpdate(before, after, 250)).toMatchObject({ steps: [{ name: 'leap', sign }] });
      }
    }
  });

  test('the count wraps, and so does the number of updates missed', () => {
    const writer = new KernelWriter();
    const page = writer.tick(writer.interval);
    const withSeq = (seq: number): KernelPageSnapshot => ({
      ...page,
      main: { ...page.main, seq },
      raw: { ...page.raw, seq },
    });
    const missed = (from: number, to: number) => explainUpdate(withSeq(from), withSeq(to), 250);
    expect(missed(2 ** 32 - 4, 6)).toEqual({ kind: 'unobserved', missed: 4n });
    expect(missed(6, 2 ** 32 - 4)).toEqual({ kind: 'unobserved', missed: 2n ** 31n - 6n });
    expect(missed(8, 4)).toEqual({ kind: 'unobserved', missed: 2n ** 31n - 3n });
    expect(missed(4, 4)).toMatchObject({ kind: 'unexplained' });
    expect(missed(4, 7)).toMatchObject({ kind: 'unexplained' });
  });

  test.each([0, 2.5, -250, 1e9])('a tick rate of %d Hz is refused', (hz) => {
    const page = new KernelWriter().page();
    expect(() => explainUpdate(page, page, hz)).toThrow(badArgument);
  });
});

describe('another clocksource', () => {
  const names = Object.keys(COUNTERS) as (keyof typeof COUNTERS)[];
  const pairs = names.flatMap((from) => names.filter((to) => to !== from).map((to) => [from, to] as const));
  const live = (name: keyof typeof COUNTERS): boolean => COUNTERS[name].mode !== ClockMode.none;

  test.each(pairs)('from %s to %s', (from, to) => {
    fc.assert(
      fc.property(
        tickOperation,
        cycles,
        fc.bigInt({ min: 0n, max: 1n << 60n }),
        (tick, passed, cycleLast) => {
          const writer = new KernelWriter({ counter: COUNTERS.tsc });
          writer.changeCounter(1_000n, COUNTERS[from], 5_000n);
          for (const _ of updates(writer, tick));
          const before = writer.page();
          const after = writer.changeCounter(passed, COUNTERS[to], cycleLast);
          expect(explainUpdate(before, after, 250)).toEqual({
            kind: 'clocksource',
            cycles: live(from) && live(to) ? passed : null,
          });
          const next = writer.tick(writer.interval);
          expect(explainUpdate(after, next, 250).kind).toBe(live(to) ? 'tick' : 'frozen');
        },
      ),
      { numRuns: 30 },
    );
  });

  test('what is done while the page is frozen is not evaluated', () => {
    const writer = new KernelWriter();
    writer.changeCounter(1_000n, COUNTERS.hpet, 5_000n);
    let before = writer.page();
    for (const after of [
      writer.tick(writer.interval),
      writer.setTai(36n),
      writer.setOffset(123n, -SECOND),
      writer.resume(1n, 3n * SECOND),
    ]) {
      expect(explainUpdate(before, after, 250)).toEqual({ kind: 'frozen' });
      before = after;
    }
  });
});

type Fields = Record<string, bigint>;

/** The words of a page by their names. */
function fieldsOf(page: KernelPageSnapshot): Fields {
  const fields: Fields = { hrtimerResNs: BigInt(page.hrtimerResNs) };
  for (const copy of ['main', 'raw'] as const) {
    for (const [name, value] of Object.entries(page[copy])) {
      if (value !== null) fields[`${copy}.${name}`] = BigInt(value);
    }
  }
  for (const clock of PAGE_CLOCKS) {
    fields[`${clock}.seconds`] = page.basetimes[clock].seconds;
    fields[`${clock}.nsec`] = page.basetimes[clock].nsecAsStored;
  }
  return fields;
}

/** `page` with other words under some names. */
function withFields(page: KernelPageSnapshot, changes: Fields): KernelPageSnapshot {
  const fields = { ...fieldsOf(page), ...changes };
  const words = (copy: 'main' | 'raw') => {
    const number = (name: string): number => Number(fields[`${copy}.${name}`]);
    const integer = (name: string): bigint => fields[`${copy}.${name}`] as bigint;
    const { maxCycles, mask } = page[copy];
    return {
      seq: number('seq'),
      mode: number('mode'),
      shift: number('shift'),
      cycleLast: integer('cycleLast'),
      mult: integer('mult'),
      maxCycles: maxCycles === null ? null : integer('maxCycles'),
      mask: mask === null ? null : integer('mask'),
    };
  };
  const basetimes = PAGE_CLOCKS.map((clock) => [
    clock,
    { seconds: fields[`${clock}.seconds`] as bigint, nsecAsStored: fields[`${clock}.nsec`] as bigint },
  ]);
  return {
    ...page,
    main: words('main'),
    raw: words('raw'),
    basetimes: Object.fromEntries(basetimes) as KernelPageSnapshot['basetimes'],
    hrtimerResNs: Number(fields['hrtimerResNs']),
  };
}

function bitsOf(field: string): number {
  if (/^(seconds|nsec|cycleLast|maxCycles|mask)$/.test(field.split('.').at(-1) as string)) return 64;
  return field.endsWith('.shift') ? 6 : 32;
}

/** Every page that differs from `page` in one bit. */
function* flips(
  page: KernelPageSnapshot,
): Generator<{ field: string; bit: number; page: KernelPageSnapshot }> {
  for (const [field, value] of Object.entries(fieldsOf(page))) {
    for (let bit = 0; bit < bitsOf(field); bit++) {
      const flipped = BigInt.asUintN(64, value) ^ (1n << BigInt(bit));
      const stored = field.endsWith('.seconds') ? BigInt.asIntN(64, flipped) : flipped;
      yield { field, bit, page: withFields(page, { [field]: stored }) };
    }
  }
}

/** Moves some clocks by scaled nanoseconds (coarse ones by the whole nanoseconds), keeping them normal. */
function moveClocks(
  page: KernelPageSnapshot,
  clocks: readonly PageClockName[],
  by: bigint,
): KernelPageSnapshot {
  const shift = BigInt(page.main.shift);
  const changes: Fields = {};
  for (const clock of clocks) {
    const second = isCoarse(clock) ? SECOND : SECOND << shift;
    const { seconds, nsecAsStored } = page.basetimes[clock];
    const total = seconds * second + nsecAsStored + (isCoarse(clock) ? by >> shift : by);
    changes[`${clock}.seconds`] = total / second;
    changes[`${clock}.nsec`] = total % second;
  }
  return withFields(page, changes);
}

const FINE_CLOCKS = PAGE_CLOCKS.filter((clock) => !isCoarse(clock));
const ADJUSTED_CLOCKS = FINE_CLOCKS.filter((clock) => clock !== 'monotonic-raw');

interface WrongPage {
  update: Update;
  hz: number;
  settings: KernelWriterOptions;
}

/** One update of a kind, after some ticks. */
function updateOf(operation: fc.Arbitrary<Operation>): fc.Arbitrary<WrongPage> {
  return fc
    .tuple(options, fc.array(tickOperation, { maxLength: 3 }), operation)
    .map(([settings, ticks, last]) => {
      const writer = new KernelWriter(settings);
      for (const tick of ticks) for (const _ of updates(writer, tick));
      const update = [...updates(writer, last)].at(-1) as Update;
      return { update, hz: settings.hz ?? 250, settings };
    });
}

describe('a wrong page is not explained', () => {
  /** Whether the equations cannot tell the flipped page from a right one; the reason is asserted by the figures. */
  function cannotTell({ update, settings }: WrongPage, field: string, found: UpdateExplanation): boolean {
    const { expected, before, after } = update;
    if (field === 'main.mult' && expected.kind === 'tick' && found.kind === 'tick') {
      // Only the product of rest and change shows; it is 0 where the reading fell on the end of an interval, or
      // mult did not change. The next update tells.
      expect(found.multChange * (found.restCycles ?? 0n)).toBe(
        expected.multChange * (expected.restCycles ?? 0n),
      );
      return true;
    }
    if (field === 'tai.seconds' && expected.kind === 'tick' && found.kind === 'tick') {
      // No cycle passed: another TAI offset, of at most 100,000 s.
      expect([found.intervals, found.multChange]).toEqual([0n, 0n]);
      const step = found.steps[0];
      if (step !== undefined) expect(step.name).toBe('tai');
      return true;
    }
    if (field === 'raw.mult' && settings.layout?.main.maxCycles === null && found.kind === 'clocksource') {
      // Without max_cycles a clocksource that was refined to just the corrected mult looks so. The next update tells.
      expect(after.main.mult - before.raw.mult).not.toBe(0n);
      return true;
    }
    return isOtherStep(expected, field, found);
  }

  /** Whether one clock that is wrong by exactly a step makes of that step another that moves the clock too. */
  function isOtherStep(expected: UpdateExplanation, field: string, found: UpdateExplanation): boolean {
    if (!('steps' in expected) || found.kind !== 'forward') return false;
    const [was, is] = [expected.steps[0], found.steps[0]];
    if (was === undefined || is === undefined) return false;
    if (field.startsWith('boottime.') && [was.name, is.name].sort().join() === 'setoffset,suspend') {
      expect('ns' in is && is.ns).toBe('ns' in was && was.ns);
      return true;
    }
    if (field === 'tai.seconds' && was.name === 'leap') {
      expect(is).toEqual({ name: 'setoffset', ns: -BigInt(was.sign) * SECOND });
      return true;
    }
    return false;
  }

  test.each(Object.keys(operations).filter((name) => name !== 'skip') as Operation['op'][])(
    'after one flipped bit: %s',
    (name) => {
      fc.assert(
        fc.property(updateOf(operations[name]), (wrong) => {
          const { update, hz } = wrong;
          expect(explainUpdate(update.before, update.after, hz)).toEqual(update.expected);
          for (const { field, bit, page } of flips(update.after)) {
            const found = explainUpdate(update.before, page, hz);
            if (found.kind === 'unexplained') {
              expect(found.reasons).not.toEqual([]);
              continue;
            }
            expect(cannotTell(wrong, field, found), `${field} bit ${bit}: ${found.kind}`).toBe(true);
          }
        }),
        { numRuns: 15 },
      );
    },
  );

  test('after one flipped bit in a base time of the page before', () => {
    fc.assert(
      fc.property(updateOf(anyOperation), ({ update, hz }) => {
        fc.pre(update.expected.kind !== 'unobserved');
        for (const { field, page } of flips(update.before)) {
          if (!/seconds|nsec/.test(field)) continue;
          const found = explainUpdate(page, update.after, hz);
          if (found.kind === 'unexplained') continue;
          if (isOtherStep(update.expected, field, found)) continue;
          // A TAI offset that was another before, as above, where no cycle passed.
          expect(field).toBe('tai.seconds');
          expect(found).toMatchObject({ kind: 'tick', intervals: 0n, multChange: 0n });
        }
      }),
      { numRuns: 15 },
    );
  });

  test('after a flipped bit across a change of clocksource', () => {
    // Frozen words are not evaluated, and realtime is in a foreign scale: what is read goes by the coarse clocks.
    const openToFrozen = /^(monotonic-raw|monotonic|boottime|tai|realtime)\.|mult$/;
    // Neither page tells how long the frozen clocks went on.
    const openFromFrozen = /^monotonic-raw\.|^boottime\.|^tai\.seconds$/;
    const explained = (from: keyof typeof COUNTERS, to: keyof typeof COUNTERS): string[] => {
      const writer = new KernelWriter({ counter: COUNTERS.tsc });
      if (from !== 'tsc') writer.changeCounter(1_000n, COUNTERS[from], 5_000n);
      const before = writer.tick(writer.interval * 3n + 5n);
      const after = writer.changeCounter(12_345n, COUNTERS[to], 99_999n);
      const fields = [...flips(after)]
        .filter(({ page }) => explainUpdate(before, page, 250).kind !== 'unexplained')
        .map(({ field }) => field);
      return [...new Set(fields)];
    };
    expect(explained('tsc', 'pvclock')).toEqual([]);
    for (const field of explained('tsc', 'hpet')) expect(field).toMatch(openToFrozen);
    for (const field of explained('hpet', 'tsc')) expect(field).toMatch(openFromFrozen);
  });

  test('if one clock, or all that are corrected, lost or gained an interval', () => {
    const groups = [...PAGE_CLOCKS.map((clock) => [clock]), ADJUSTED_CLOCKS, FINE_CLOCKS];
    fc.assert(
      fc.property(updateOf(anyOperation), fc.constantFrom(1n, -1n), ({ update, hz }, sign) => {
        fc.pre(update.expected.kind !== 'unobserved');
        const { before, after } = update;
        const interval = cycleInterval(hz, before.raw.mult, before.main.shift);
        for (const clocks of groups) {
          const page = moveClocks(after, clocks, sign * interval * before.main.mult);
          expect(explainUpdate(before, page, hz).kind, clocks.join()).toBe('unexplained');
        }
      }),
    );
  });

  test('if the correction is for a rest that cannot be', () => {
    fc.assert(
      fc.property(options, fc.bigInt({ min: 0n, max: 3n }), fc.integer(), (settings, intervals, seed) => {
        const hz = settings.hz ?? 250;
        const change = BigInt(seed % 600_000) || 2n;
        const { interval } = new KernelWriter(settings);
        for (const wrongRest of [-1n, interval, interval + 12_345n, -interval]) {
          const writer = new KernelWriter(settings);
          const before = writer.page();
          const after = writer.tick(intervals * interval + 7n, writer.mult + change, wrongRest * change);
          expect(explainUpdate(before, after, hz).kind).toBe('unexplained');
        }
      }),
    );
  });

  test('if the correction is off by less than a rest, unless mult changed by 1', () => {
    fc.assert(
      fc.property(
        options,
        fc.bigInt({ min: -9n, max: 9n }),
        fc.bigInt({ min: -9n, max: 9n }),
        (settings, change, off) => {
          fc.pre(change !== 0n && off !== 0n);
          const writer = new KernelWriter(settings);
          const rest = writer.interval / 2n;
          const before = writer.page();
          const after = writer.tick(writer.interval + rest, writer.mult + change, rest * change + off);
          const found = explainUpdate(before, after, settings.hz ?? 250);
          if (off % change === 0n) expect(found).toMatchObject({ restCycles: rest + off / change });
          else expect(found.kind).toBe('unexplained');
        },
      ),
    );
  });

  test('if pages, copies or clocks are swapped', () => {
    fc.assert(
      fc.property(updateOf(anyOperation), ({ update, hz }) => {
        fc.pre(update.expected.kind !== 'unobserved');
        const { before, after, expected } = update;
        const seqs = (from: KernelPageSnapshot) => ({
          'main.seq': BigInt(from.main.seq),
          'raw.seq': BigInt(from.raw.seq),
        });
        const back = explainUpdate(withFields(after, seqs(before)), withFields(before, seqs(after)), hz);
        if (expected.kind === 'tick' && expected.intervals === 0n) {
          // A frequency change between ticks taken back, a TAI offset set back. The coarse clocks may have kept.
          if (back.kind === 'tick') {
            expect(back).toMatchObject({ intervals: 0n, multChange: -expected.multChange });
          } else expect(back.kind).toBe('unexplained');
        } else if (!(expected.kind === 'forward' && expected.cycles === 0n)) {
          expect(back.kind).toBe('unexplained');
        }

        expect(explainUpdate(after, before, hz).kind).toBe('unobserved');
        if (after.main.mult !== after.raw.mult) {
          const swapped = { ...after, main: after.raw, raw: after.main };
          expect(explainUpdate(before, swapped, hz).kind).toBe('unexplained');
        }
        for (const [one, other] of [
          ['monotonic', 'boottime'],
          ['realtime', 'tai'],
          ['monotonic', 'monotonic-raw'],
          ['realtime', 'monotonic'],
          ['realtime-coarse', 'monotonic-coarse'],
        ] as const) {
          const { [one]: base, [other]: otherBase } = after.basetimes;
          if (base.seconds === otherBase.seconds && base.nsecAsStored === otherBase.nsecAsStored) continue;
          const basetimes = { ...after.basetimes, [one]: otherBase, [other]: base };
          expect(explainUpdate(before, { ...after, basetimes }, hz).kind, `${one}, ${other}`).toBe(
            'unexplained',
          );
        }
      }),
    );
  });

  test('if TAI, or any other clock alone, has another fraction', () => {
    fc.assert(
      fc.property(updateOf(anyOperation), fc.bigInt({ min: 1n, max: SECOND - 1n }), ({ update, hz }, by) => {
        fc.pre(update.expected.kind !== 'unobserved');
        const { before, after } = update;
        for (const clock of FINE_CLOCKS) {
          for (const moved of [by, -by, by << BigInt(after.main.shift)]) {
            const page = moveClocks(after, [clock], moved);
            const found = explainUpdate(before, page, hz);
            if (isOtherStep(update.expected, `${clock}.`, found)) continue;
            expect(found.kind, clock).toBe('unexplained');
          }
        }
      }),
    );
  });

  test('if cycle_last alone moved in both copies, but for a resume', () => {
    fc.assert(
      fc.property(updateOf(anyOperation), fc.bigInt({ min: 1n, max: 1n << 40n }), ({ update, hz }, by) => {
        fc.pre(update.expected.kind !== 'unobserved');
        const { before, after, expected } = update;
        const cycleLast = BigInt.asUintN(64, after.main.cycleLast + by);
        const page = withFields(after, { 'main.cycleLast': cycleLast, 'raw.cycleLast': cycleLast });
        const found = explainUpdate(before, page, hz);
        const skips =
          after.basetimes.monotonic.seconds === before.basetimes.monotonic.seconds &&
          after.basetimes.monotonic.nsecAsStored === before.basetimes.monotonic.nsecAsStored &&
          expected.kind === 'forward' &&
          expected.steps[0]?.name === 'suspend';
        if (skips) expect(found).toMatchObject({ kind: 'forward', steps: expected.steps });
        else expect(found.kind).toBe('unexplained');
      }),
    );
  });

  test('if one word is wrong in both copies', () => {
    fc.assert(
      fc.property(updateOf(anyOperation), fc.nat({ max: 63 }), ({ update, hz }, bit) => {
        fc.pre(update.expected.kind !== 'unobserved');
        const { before, after } = update;
        for (const word of ['maxCycles', 'mask', 'shift', 'mode'] as const) {
          if (word === 'maxCycles' && after.main.maxCycles === null) continue;
          const flipped = BigInt(after.main[word] ?? 0) ^ (1n << BigInt(bit % bitsOf(`main.${word}`)));
          const page = withFields(after, { [`main.${word}`]: flipped, [`raw.${word}`]: flipped });
          const found = explainUpdate(before, page, hz);
          // Another mode of the same rate, or one that is not evaluated, is another clocksource.
          expect(found.kind, word).toMatch(word === 'mode' ? /^(clocksource|unexplained)$/ : /^unexplained$/);
        }
      }),
    );
  });

  test('if mult is farther from the raw one than any adjustment takes it', () => {
    const writer = new KernelWriter();
    const before = writer.page();
    const after = writer.tick(writer.interval);
    for (const mult of [0n, (writer.multRaw * 3n) / 4n, (writer.multRaw * 5n) / 4n, 1n << 31n]) {
      expect(explainUpdate(before, withFields(after, { 'main.mult': mult }), 250).kind).toBe('unexplained');
    }
    const zero = withFields(after, { 'main.mult': 0n, 'raw.mult': 0n });
    expect(explainUpdate(zero, { ...zero, ...seqAfter(zero) }, 250).kind).toBe('unexplained');
  });

  const seqAfter = ({ main, raw }: KernelPageSnapshot) => ({
    main: { ...main, seq: main.seq + 2 },
    raw: { ...raw, seq: raw.seq + 2 },
  });

  test('if nanoseconds hold a second that belongs to the seconds', () => {
    const groups: PageClockName[][] = [
      ['monotonic'],
      ['boottime'],
      ['monotonic-raw'],
      ['monotonic-coarse'],
      ['realtime-coarse'],
      ['realtime', 'tai', 'realtime-coarse'],
    ];
    fc.assert(
      fc.property(updateOf(anyOperation), ({ update, hz }) => {
        fc.pre(update.expected.kind !== 'unobserved');
        for (const clocks of groups) {
          const changes: Fields = {};
          for (const clock of clocks) {
            const { seconds, nsecAsStored } = update.after.basetimes[clock];
            const second = isCoarse(clock) ? SECOND : SECOND << BigInt(update.after.main.shift);
            changes[`${clock}.seconds`] = seconds - 1n;
            changes[`${clock}.nsec`] = nsecAsStored + second;
          }
          const page = withFields(update.after, changes);
          expect(explainUpdate(update.before, page, hz).kind, clocks.join()).toBe('unexplained');
        }
      }),
    );
  });

  test('if some clocks moved by whole seconds or nanoseconds, however well they agree with each other', () => {
    // Each moves without a contradiction within the page.
    const parts: Record<string, PageClockName[]> = {
      realtime: ['realtime', 'realtime-coarse'],
      monotonic: ['monotonic', 'monotonic-coarse'],
      boottime: ['boottime'],
      tai: ['tai'],
      raw: ['monotonic-raw'],
      coarse: ['realtime-coarse', 'monotonic-coarse'],
    };
    // Two seconds: one could be a leap second.
    const moves = fc.constantFrom(2n * SECOND, -2n * SECOND, 3n, -1n);
    const names = fc.subarray(Object.keys(parts), { minLength: 1 });
    fc.assert(
      fc.property(updateOf(operations.tick), names, moves, ({ update, hz }, moved, by) => {
        const { before, after, expected } = update;
        fc.pre(expected.kind === 'tick');
        const { multChange, intervals, restCycles } = expected;
        const clocks = moved.flatMap((name) => parts[name] ?? []);
        fc.pre(new Set(clocks).size === clocks.length);
        const page = moveClocks(after, clocks, by << BigInt(after.main.shift));
        const found = explainUpdate(before, page, hz);
        const coarse = page.basetimes['realtime-coarse'];
        const coarseOpen =
          intervals === 0n &&
          coarse.seconds === page.basetimes.realtime.seconds &&
          [before.basetimes['realtime-coarse'].nsecAsStored, realtimeNsec(page)].includes(
            coarse.nsecAsStored,
          );
        const renewed = coarse.nsecAsStored === realtimeNsec(page);
        // Between two ticks the coarse clocks may have been renewed or not, so moving them can lead from one to the
        // other.
        const set = moved.filter((name) => name !== 'coarse' || !coarseOpen).join();
        if (set === '') {
          expect(found).toEqual(expected);
        } else if (multChange === 0n && renewed && set === 'realtime,tai') {
          // What an adjustment, or sleep that is told later, would have done at the same instant.
          expect(found).toMatchObject({ kind: 'forward', steps: [{ name: 'setoffset', ns: by }] });
        } else if (multChange === 0n && renewed && by > 0n && set === 'realtime,boottime,tai') {
          expect(found).toMatchObject({ kind: 'forward', steps: [{ name: 'suspend', ns: by }] });
        } else if (multChange === 0n && intervals === 0n && set === 'tai' && found.kind === 'tick') {
          expect(found.steps).toEqual([{ name: 'tai', seconds: by / SECOND }]);
        } else if (set === 'realtime,monotonic,boottime,tai' && found.kind === 'tick') {
          // A few nanoseconds of all corrected clocks, where another rest gives just them.
          const correction = multChange * (restCycles ?? 0n) - (by << BigInt(after.main.shift));
          expect(multChange * (found.restCycles ?? 0n)).toBe(correction);
        } else expect(found.kind, `${set} by ${by}`).toBe('unexplained');
      }),
      { numRuns: 1000 },
    );
  });

  test('if realtime and TAI were adjusted by a fraction of a nanosecond', () => {
    const writer = new KernelWriter();
    const before = writer.page();
    const after = writer.setOffset(100n, 5n);
    const page = moveClocks(after, ['realtime', 'realtime-coarse', 'tai'], 3n);
    expect(explainUpdate(before, page, 250).kind).toBe('unexplained');
  });

  test('if boottime moved by what realtime was set', () => {
    const writer = new KernelWriter();
    const before = writer.page();
    const by = 3_600n * SECOND;
    const { page } = writer.setTime(12_345n, writer.realtimeNs(12_345n) + by);
    expect(explainUpdate(before, page, 250)).toMatchObject({ steps: [{ name: 'settime', ns: by }] });
    expect(explainUpdate(before, moveClocks(page, ['boottime'], by << 24n), 250).kind).toBe('unexplained');
  });

  test('if max_cycles is not that of the new clocksource', () => {
    const writer = new KernelWriter();
    const before = writer.page();
    const after = writer.changeCounter(77n, COUNTERS.pvclock, 5n);
    const maxCycles = (after.main.maxCycles ?? 0n) + 1n;
    const page = withFields(after, { 'main.maxCycles': maxCycles, 'raw.maxCycles': maxCycles });
    expect(explainUpdate(before, page, 250)).toEqual({
      kind: 'unexplained',
      reasons: [
        'a new clocksource (mode tsc to pvclock, mult_raw 6462360 to 8388608)',
        expect.stringContaining('max_cycles'),
      ],
    });
  });

  test('if the coarse clocks are not those of the new clocksource', () => {
    const writer = new KernelWriter();
    const before = writer.page();
    const after = writer.changeCounter(77n, COUNTERS['tsc-refined'], 5n);
    const page = moveClocks(after, ['realtime-coarse', 'monotonic-coarse'], 3n << 24n);
    expect(explainUpdate(before, after, 250).kind).toBe('clocksource');
    expect(explainUpdate(before, page, 250).kind).toBe('unexplained');
  });

  test('if the clocks went back with a new clocksource', () => {
    for (const back of [1n, 2n, 1_000n]) {
      const writer = new KernelWriter();
      const before = writer.page();
      const after = writer.changeCounter(0n, COUNTERS['tsc-refined'], 5n);
      const raw = moveClocks(after, ['monotonic-raw'], -back * COUNTERS.tsc.multRaw);
      const page = moveClocks(raw, ADJUSTED_CLOCKS, -back * COUNTERS.tsc.multRaw);
      const coarse = page.basetimes.realtime.nsecAsStored >> 24n;
      const by = (coarse - page.basetimes['realtime-coarse'].nsecAsStored) << 24n;
      const whole = moveClocks(page, ['realtime-coarse', 'monotonic-coarse'], by);
      const found = explainUpdate(before, whole, 250);
      expect(found.kind === 'unexplained' && found.reasons.join()).toContain('monotonic-raw after');
    }
  });

  test('a leap second at another time than the end of a UTC day', () => {
    for (const [by, tai] of [
      [-SECOND, 0n],
      [SECOND, 0n],
    ] as const) {
      const writer = new KernelWriter();
      const before = writer.page();
      const after = writer.tick(3n * writer.interval);
      const shift = BigInt(after.main.shift);
      const page = moveClocks(after, ['realtime', 'realtime-coarse'], by << shift);
      const found = explainUpdate(before, moveClocks(page, ['tai'], tai << shift), 250);
      expect(found).toMatchObject({ kind: 'unexplained' });
      expect(found.kind === 'unexplained' && found.reasons.join()).toContain('UTC');
    }
  });

  test('if stale coarse nanoseconds stay although intervals were added', () => {
    const writer = new KernelWriter();
    const before = writer.page();
    const after = writer.tick(3n * writer.interval);
    const stale = before.basetimes['realtime-coarse'].nsecAsStored - realtimeNsec(after);
    const page = moveClocks(
      after,
      ['realtime-coarse', 'monotonic-coarse'],
      stale << BigInt(after.main.shift),
    );
    expect(explainUpdate(before, page, 250)).toEqual({
      kind: 'unexplained',
      reasons: [expect.stringContaining('realtime-coarse = realtime >> shift')],
    });
  });

  test('reasons name the equation with both sides', () => {
    const writer = new KernelWriter();
    const before = writer.page();
    const after = writer.tick(2n * writer.interval);
    const raw = moveClocks(after, ['monotonic-raw'], 1n);
    const d = 2n * writer.interval * writer.multRaw;
    expect(explainUpdate(before, raw, 250)).toEqual({
      kind: 'unexplained',
      reasons: [`d(monotonic-raw) = dc * mult_raw: ${d + 1n} is not ${d}`],
    });
  });

  function realtimeNsec(page: KernelPageSnapshot): bigint {
    return page.basetimes.realtime.nsecAsStored >> BigInt(page.main.shift);
  }
});

describe('what two pages cannot tell', () => {
  test('a mult that changed at the end of an interval from a wrong mult; the next update tells', () => {
    const writer = new KernelWriter();
    const before = writer.page();
    const after = writer.tick(writer.interval);
    const wrong = withFields(after, { 'main.mult': after.main.mult + 64n });
    expect(explainUpdate(before, wrong, 250)).toMatchObject({
      kind: 'tick',
      multChange: 64n,
      restCycles: 0n,
    });
    expect(explainUpdate(wrong, writer.tick(writer.interval), 250).kind).toBe('unexplained');
  });

  test('an error below an interval of all corrected clocks where mult changed by 1', () => {
    const writer = new KernelWriter();
    const before = writer.page();
    const after = writer.tick(writer.interval + 1_000n, writer.mult + 1n);
    const wrong = moveClocks(after, ADJUSTED_CLOCKS, -5_000n);
    expect(explainUpdate(before, after, 250)).toMatchObject({ restCycles: 1_000n });
    expect(explainUpdate(before, wrong, 250)).toMatchObject({ restCycles: 6_000n });
  });

  test('a TAI offset from a TAI that is wrong by whole seconds, where no cycle passed', () => {
    const writer = new KernelWriter();
    const before = writer.page();
    const after = writer.tick(0n);
    const steps = (seconds: bigint) =>
      explainUpdate(before, moveClocks(after, ['tai'], (seconds * SECOND) << 24n), 250);
    expect(steps(5n)).toMatchObject({ kind: 'tick', steps: [{ name: 'tai', seconds: 5n }] });
    expect(steps(100_000n)).toMatchObject({ kind: 'unexplained' });
    expect(steps(-38n)).toMatchObject({ kind: 'unexplained' });
  });
});

test("this machine's kernel: every update that was seen is explained", { timeout: 30_000 }, (context) => {
  const addon = getAddon();
  const proved = orNull(() => findKernelPage(addon, machineFiles));
  if (proved === null) return context.skip("the kernel's page cannot be read or proved here");
  let last = readKernelPage(addon, proved);
  if (last.main.mode !== ClockMode.tsc) {
    return context.skip(`the page's mode is ${modeName(last.main.mode)}: it needs the clocksource tsc`);
  }
  const hz = hzOfCoarseResolution(addon.clockResolution(ClockPath.syscall, CLOCK_IDS['monotonic-coarse']));
  const states = [last];
  // The polling itself keeps a CPU busy, so that the kernel updates at every tick: about two seconds.
  const deadline = performance.now() + 15_000;
  while (states.length < 500 && performance.now() < deadline) {
    const page = readKernelPage(addon, proved);
    if (page.main.seq === last.main.seq) continue;
    states.push(page);
    last = page;
  }
  expect(states.length).toBeGreaterThan(300);

  const counts: Record<string, number> = {};
  for (const [index, after] of states.slice(1).entries()) {
    const explanation = explainUpdate(states[index] as KernelPageSnapshot, after, hz);
    if (explanation.kind === 'unexplained') expect(explanation.reasons, `update ${index}`).toEqual([]);
    counts[explanation.kind] = (counts[explanation.kind] ?? 0) + 1;
  }
  expect(counts['tick']).toBeGreaterThan(100);
});
