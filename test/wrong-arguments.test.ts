import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { prepareRun } from '../dist/checks/run.js';
import { openMachine } from '../dist/host/host.js';
import * as library from '../dist/index.js';
import { temporaryFolder } from './places/place.ts';

/**
 * Every public function, with each of its arguments, and each field of those, replaced by what has no business there: the
 * call works, or throws a LatchclockError.
 */

const folder = temporaryFolder();

const WRONG: readonly unknown[] = [
  undefined,
  null,
  true,
  0,
  -1,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 53,
  0n,
  -1n,
  1n << 64n,
  1n << 200n,
  '',
  // In a folder that is not there: what takes it for a path makes no file.
  join(folder, 'no', 'nonsense'),
  'a\0b',
  'x'.repeat(10_000),
  Symbol('wrong'),
  () => undefined,
  class {},
  {},
  Object.create(null),
  [],
  [null],
  [Symbol('wrong')],
  new Array(3),
  new Date(Number.NaN),
  new Map(),
  new Uint8Array(8),
  new BigInt64Array(0),
  new Proxy({}, {}),
];

const machine = openMachine();
const page = library.ClockPage.create(join(folder, 'page'));
const keeper = await library.Timekeeper.start({ page, source: 'counter' });
afterAll(() => keeper.stop());
const clock = page.clock('tai');
const set = page.allClocks();
const kernelClock = library.openClock('monotonic');
const snapshot = library.kernelPage.snapshot();
const segment = library.kernelSegment(snapshot, 'monotonic');
const timeline = library.leapTimeline('test/fixtures/leap-seconds.list');
const leap = timeline.leaps.at(-1) as library.Leap;
const policy = library.parsePolicy('google-24h');
const smear = library.smearOf(policy, leap, timeline);
const counter = { cycles: 0n, taiNs: smear.startNs, hz: 1_000_000_000n };
const out = new BigInt64Array(library.PAGE_SET_WORDS);
const change = { kind: 'slew', at: { taiNs: 1n << 62n }, byNs: 1n, ratePpt: 1n };

interface Call {
  name: string;
  /** What it is called with where nothing is wrong. */
  given: readonly unknown[];
  call: (...given: never[]) => unknown;
}

const call = (name: string, given: readonly unknown[], made: (...given: never[]) => unknown): Call => ({
  name,
  given,
  call: made,
});

const none = { only: ['vdso.image'], skip: ['page'], budget: 'quick', cpus: [0], seed: 1n };
const START = {
  page: join(folder, 'no', 'page'),
  preference: 'sane',
  namespace: library.TimeNamespace.initial,
  source: 'auto',
  sourceOptions: { allowancePpt: 0n, hz: 1e9, driftPpt: 0n },
  views: [{ page: join(folder, 'no', 'view'), preference: 'sane' }],
  smear: { policy: 'google-24h', leap: { date: '2035-12-31', sign: 1 } },
  leapTable: 'test/fixtures/leap-seconds.list',
  updateMs: 8,
  windowMs: 200,
  changes: [change],
  signal: new AbortController().signal,
};

const CALLS: readonly Call[] = [
  // All that `validate` does with its options: some that are not wrong would run for long.
  call('validate', [{ ...none, signal: AbortSignal.abort(), onProgress: () => undefined }], ((
    options: never,
  ) => prepareRun(machine, options)) as never),
  call('isLatchclockError', [new Error('x'), 'ERR_FILE'], library.isLatchclockError),
  call('counter.read', ['rdtsc'], library.counter.read),
  call('counter.info', [], library.counter.info),
  call('kernelPage.snapshot', [], library.kernelPage.snapshot),
  call('kernelSegment', [snapshot, 'monotonic'], library.kernelSegment),
  call('evaluate', [segment, library.counter.read()], library.evaluate),
  call('isInWindow', [segment, 0n], library.isInWindow),
  call('frequencyHz', [segment], library.frequencyHz),
  call('parsePolicy', ['ntpd:1000'], library.parsePolicy),
  call('withLeap', [timeline, 2_000_000_000n, 1], library.withLeap),
  call('withPlacedLeap', [timeline, 1n << 60n, 1], library.withPlacedLeap),
  call('leapTimeline', ['test/fixtures/leap-seconds.list'], library.leapTimeline),
  call('assumingNoLeaps', [timeline], library.assumingNoLeaps),
  call('smearOf', [policy, leap, timeline], library.smearOf),
  call('offsetAt', [smear, { numerator: 2n * smear.startNs + 1n, denominator: 2n }], library.offsetAt),
  call('offsetNsAt', [smear, smear.startNs], library.offsetNsAt),
  call('smearedAt', [smear, { numerator: 2n * smear.startNs + 1n, denominator: 2n }], library.smearedAt),
  call('smearedNsAt', [smear, smear.startNs], library.smearedNsAt),
  call('unsmear', [smear, smear.startNs], library.unsmear),
  call('segmentsOf', [smear, counter, { boundNs: 1, fromTaiNs: smear.startNs, toTaiNs: smear.endNs }], ((
    ...given: Parameters<typeof library.segmentsOf>
  ) => library.segmentsOf(...given).next()) as never),
  call('openClock', ['monotonic', { path: 'syscall' }], library.openClock),
  call('openClock', ['tai', { page, outOfWindow: 'spin', protocol: 'two-window' }], library.openClock),
  call('openClock', ['tai', { page: page.path, arithmetic: 'wide' }], library.openClock),
  call('Clock.nowInto', [out], kernelClock.nowInto),
  call('PageClockHandle.nowInto', [out], clock.nowInto),
  call('PageSetHandle.readInto', [out], set.readInto),
  call('ClockPage.create', [join(folder, 'no', 'page'), { protocol: 'latch', clocks: ['tai'] }], ((
    ...given: Parameters<typeof library.ClockPage.create>
  ) => library.ClockPage.create(...given).close()) as never),
  call('ClockPage.open', [page.path], ((place: string) => library.ClockPage.open(place).close()) as never),
  call('ClockPage.open', [0], ((place: number) => library.ClockPage.open(place).close()) as never),
  call('ClockPage.clock', ['tai', { outOfWindow: 'spin', protocol: 'two-window' }], page.clock.bind(page)),
  call('ClockPage.allClocks', [{ outOfWindow: 'spin' }], page.allClocks.bind(page)),
  call('TimeNamespace.create', [{ monotonicNs: 1n, boottimeNs: 0n }], ((options: never) =>
    library.TimeNamespace.initial.create(options)) as never),
  // The folder is not there: no thread is started of what is not refused.
  call('Timekeeper.start', [START], ((options: never) => library.Timekeeper.start(options)) as never),
  call('Timekeeper.schedule', [change], keeper.schedule.bind(keeper)),
  call('Timekeeper.setPreference', ['sane', 0], keeper.setPreference.bind(keeper)),
  call('Timekeeper.status', [], keeper.status.bind(keeper)),
  call(
    'LatchclockError',
    ['ERR_FILE', 'what', { where: 'there', todo: 'do' }],
    ((...given: unknown[]) =>
      new library.LatchclockError(...(given as ['ERR_FILE', string, object]))) as never,
  ),
];

const MOST_DEPTH = 3;
type Place = readonly (string | number)[];

/** Where something can be wrong in a value: itself, and what plain objects and lists in it have. */
function placesIn(value: unknown, place: Place): Place[] {
  const isPlain =
    typeof value === 'object' &&
    value !== null &&
    (Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype);
  if (!isPlain || place.length > MOST_DEPTH) return [place];
  // Of a long list the ends stand for all.
  const keys = Array.isArray(value)
    ? [...new Set([0, value.length - 1])].filter((at) => at >= 0)
    : Object.keys(value);
  return [
    place,
    ...keys.flatMap((key) => placesIn((value as Record<string, unknown>)[key], [...place, key])),
  ];
}

function replaced(value: unknown, [first, ...rest]: Place, by: unknown): unknown {
  if (first === undefined) return by;
  const copy: unknown = Array.isArray(value) ? [...value] : { ...(value as object) };
  (copy as Record<string | number, unknown>)[first] = replaced(
    (value as Record<string | number, unknown>)[first],
    rest,
    by,
  );
  return copy;
}

async function endingOf(made: Call['call'], given: readonly unknown[]): Promise<unknown> {
  try {
    await made(...(given as never[]));
    return null;
  } catch (error) {
    return error;
  }
}

describe.each(CALLS)('$name $given.length', ({ given, call: made }) => {
  test('works, or throws a LatchclockError, whatever it is given', async () => {
    const bare: string[] = [];
    const places = given.flatMap((value, at) => placesIn(value, [at]));
    for (const place of places) {
      for (const wrong of WRONG) {
        const error = await endingOf(made, replaced(given, place, wrong) as unknown[]);
        if (error === null || library.isLatchclockError(error)) continue;
        bare.push(
          `${place.join('.')} = ${typeof wrong} ${String(JSON.stringify(wrong, (_, v) => (typeof v === 'bigint' ? `${v}n` : v))).slice(0, 30)}: ${error}`,
        );
      }
    }
    for (const wrong of WRONG) {
      const error = await endingOf(made, [...given, wrong]);
      if (error !== null && !library.isLatchclockError(error)) bare.push(`one more: ${error}`);
    }
    expect(bare).toEqual([]);
  });
});

describe('the table above', () => {
  test('has every exported function, and every method of what they give', () => {
    const named = new Set(CALLS.map(({ name }) => name));
    const wanted = Object.entries(library).flatMap(([name, value]: [string, unknown]) => {
      if (typeof value === 'function' && /^class\b/.test(String(value)) === false) return [name];
      if (value === library.counter || value === library.kernelPage)
        return Object.keys(value as object).map((method) => `${name}.${method}`);
      if (typeof value !== 'function' || name === 'LatchclockError') return [];
      const own = Object.getOwnPropertyNames(value).filter(
        (key) => typeof (value as never)[key] === 'function',
      );
      const methods = Object.entries(Object.getOwnPropertyDescriptors(value.prototype))
        .filter(
          ([key, { value: method }]) =>
            key !== 'constructor' && typeof method === 'function' && method.length > 0,
        )
        .map(([key]) => key);
      return [...own, ...methods].map((method) => `${name}.${method}`);
    });
    expect(wanted.length).toBeGreaterThan(20);
    expect(wanted.filter((name) => !named.has(name))).toEqual([]);
  });

  test('works where nothing is wrong, but where it is meant to start nothing', async () => {
    for (const { name, given, call: made } of CALLS) {
      const error = await endingOf(made, given);
      // What lies in a folder that is not there; standard input is no page; a change that was taken overlaps itself.
      const isMeant = /^ClockPage\.(create|open)$|^Timekeeper\.(start|schedule)$/.test(name);
      if (error !== null) expect(isMeant, `${name}: ${error}`).toBe(true);
    }
  });
});

test('a descriptor that is open, and no page, is refused', () => {
  const descriptor = openSync('/dev/null', 'r');
  expect(() => library.ClockPage.open(descriptor)).toThrow(library.LatchclockError);
  closeSync(descriptor);
});

test('a signal that is none, and options of the wrong type, are refused before there is a thread', async () => {
  for (const wrong of [
    { signal: null },
    { sourceOptions: { allowancePpt: 5 } },
    { sourceOptions: { hz: 1n } },
  ]) {
    await expect(library.Timekeeper.start({ page, ...wrong } as never)).rejects.toMatchObject({
      code: 'ERR_BAD_ARGUMENT',
      where: 'Timekeeper.start',
    });
  }
  await expect(keeper.schedule({ ...change, more: () => undefined } as never)).rejects.toMatchObject({
    code: 'ERR_BAD_ARGUMENT',
  });
});

test('a word array without room is refused, and says what is wanted', () => {
  for (const nowInto of [kernelClock.nowInto, clock.nowInto]) {
    expect(() => nowInto(new BigInt64Array(0))).toThrow(
      'out has 0 words (nowInto); give a BigInt64Array of 1 word or more',
    );
  }
});
