import { mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  createAnonymousPage,
  createPageFile,
  type OpenClockPage,
  type WritableClockPage,
} from '../../lib/host/clock-page-memory.ts';
import { openPageClock } from '../../lib/host/page-clock.ts';
import { openPageSet, type PageSetOptions } from '../../lib/host/page-clock-set.ts';
import { PAGE_SET_WORDS, ReaderProtocol } from '../../lib/native/addon.ts';
import { getAddon } from '../../lib/native/load.ts';
import {
  CLOCK_PAGE_OFFSETS,
  type ClockPageHeader,
  COPY_WORDS,
  type CopyImage,
  NO_BOUND_NS,
  OWN_CLOCKS,
  type OwnClockName,
} from '../../lib/page/clock-page.ts';

const addon = getAddon();
const folder = mkdtempSync(join(tmpdir(), 'latchclock-'));
afterAll(() => rmSync(folder, { recursive: true }));

const HEADER: ClockPageHeader = {
  counter: 'tsc',
  protocol: 'latch',
  generationSource: 'page',
  arithmetic: 'wide',
  clocks: [...OWN_CLOCKS],
};
const LONG = 1n << 62n;

/** A nanosecond a cycle: clock number n is n seconds at the base, and the bound `boundWholeNs` there. */
function publish(page: OpenClockPage, base: bigint, parts: Partial<CopyImage> = {}): void {
  const group = { mult: 1n << 60n, fraction: 0n, shift: 60 };
  const seconds = OWN_CLOCKS.map((clock, number) => [clock, BigInt(number) * 1_000_000_000n]);
  const image: CopyImage = {
    ...{ base, maxDelta: LONG, tag: 0n },
    groups: {
      ...{ shared: group, realtime: group, 'smeared-realtime': group, 'monotonic-raw': group },
      bound: { mult: 1n << 50n, fraction: 0n, shift: 60 },
    },
    wholes: Object.fromEntries(seconds) as Record<OwnClockName, bigint>,
    boundWholeNs: 100n,
    ...parts,
  };
  const words = BigInt64Array.from(COPY_WORDS, ({ value }) => BigInt.asIntN(64, value(image)));
  addon.publishClockPage(page.memory, ReaderProtocol[page.header.protocol], words, 0, true, false);
}

function pageWith(header: Partial<ClockPageHeader> = {}): WritableClockPage {
  return createAnonymousPage(addon, { ...HEADER, ...header });
}

function setWord(page: WritableClockPage, at: number, value: bigint): void {
  new DataView(page.bytes.buffer).setBigUint64(at, value, true);
}

const now = (): bigint => addon.readCounter(1);
const code = (wanted: string) => expect.objectContaining({ name: 'LatchclockError', code: wanted });

describe.each(['seqlock', 'latch', 'two-window'] as const)('a page written for %s', (protocol) => {
  test('gives every clock at one reading of the counter, between two others, and the bound there', () => {
    const page = pageWith({ protocol });
    const base = now();
    publish(page, base);
    const opened = openPageSet(addon, page);
    for (let i = 0; i < 200; i++) {
      const before = now();
      const { cycles, generation, boundNs, ns } = opened.read();
      const after = now();
      expect(before <= cycles && cycles <= after).toBe(true);
      expect(generation).toBe(0n);
      const elapsed = cycles - base;
      expect(boundNs).toBe(100n + (elapsed >> 10n) + 1n);
      expect(ns).toEqual(
        Object.fromEntries(OWN_CLOCKS.map((clock, at) => [clock, BigInt(at) * 1_000_000_000n + elapsed])),
      );
    }
  });

  test('gives the same as words, and never goes back beside reads of its single clocks', () => {
    const page = pageWith({ protocol });
    publish(page, now());
    const opened = openPageSet(addon, page);
    const clocks = OWN_CLOCKS.map((clock) => openPageClock(addon, page, clock));
    const words = new BigInt64Array(PAGE_SET_WORDS + 1).fill(5n);
    for (const [number, clock] of clocks.entries()) {
      const before = clock.now();
      opened.readInto(words);
      const after = clock.now();
      const value = words[3 + number] as bigint;
      expect(before <= value && value <= after).toBe(true);
    }
    expect(words[PAGE_SET_WORDS]).toBe(5n);
    expect(() => opened.readInto(words.subarray(2))).toThrow(code('ERR_BAD_ARGUMENT'));
  });

  test('gives nothing before anything was published', () => {
    const wanted = protocol === 'seqlock' ? 'ERR_BAD_PAGE' : 'ERR_OUT_OF_WINDOW';
    expect(() => openPageSet(addon, pageWith({ protocol })).read()).toThrow(code(wanted));
  });

  test('whose copy is of another generation is refused until it is published again', () => {
    const page = pageWith({ protocol });
    publish(page, now(), { tag: 6n });
    const opened = openPageSet(addon, page);
    expect(() => opened.read()).toThrow(code('ERR_DISRUPTED'));
    setWord(page, CLOCK_PAGE_OFFSETS.generation, 6n);
    expect(opened.read().generation).toBe(6n);
  });

  test('whose file was cut short is refused', () => {
    const path = join(folder, protocol);
    const page = createPageFile(addon, path, { ...HEADER, protocol });
    publish(page, now());
    const sets = (['error', 'spin'] as const).map((outOfWindow) => openPageSet(addon, page, { outOfWindow }));
    for (const set of sets) expect(set.read().ns.tai).toBeGreaterThan(3_000_000_000n);
    truncateSync(path, 0);
    for (const set of sets) expect(() => set.read()).toThrow('cut short');
    expect(() => openPageSet(addon, page)).toThrow('cut short');
  });
});

test('a page that lacks clocks gives those that it has, whether or not the others were ever published', () => {
  const page = pageWith({ clocks: ['tai', 'realtime'] });
  const none = { mult: 0n, fraction: 0n, shift: 0 };
  const group = { mult: 1n, fraction: 0n, shift: 0 };
  const base = now();
  publish(page, base, {
    groups: { shared: group, realtime: group, 'smeared-realtime': none, 'monotonic-raw': none, bound: none },
  });
  const { ns, cycles } = openPageSet(addon, page).read();
  const elapsed = cycles - base;
  expect(ns).toEqual({ tai: 3_000_000_000n + elapsed, realtime: 6_000_000_000n + elapsed });
});

test('a writer that states no bound leaves it open', () => {
  const page = pageWith();
  publish(page, now(), { boundWholeNs: NO_BOUND_NS });
  expect(openPageSet(addon, page).read().boundNs).toBeNull();
});

test('out of the window a set is refused, by the policy spin after a bounded wait', () => {
  for (const outOfWindow of ['error', 'spin'] as const) {
    const page = pageWith();
    publish(page, now(), { maxDelta: 1n });
    expect(() => openPageSet(addon, page, { outOfWindow }).read()).toThrow(code('ERR_OUT_OF_WINDOW'));
  }
});

test('the policy spin waits for a window that has not begun', () => {
  const page = pageWith();
  const base = now() + 5_000_000n;
  publish(page, base);
  expect(openPageSet(addon, page, { outOfWindow: 'spin' }).read().cycles >= base).toBe(true);
});

describe('refused when it is opened', () => {
  const refusals: [string, Partial<ClockPageHeader>, PageSetOptions, string, string][] = [
    ['a protocol that is not its writer’s', {}, { protocol: 'seqlock' }, 'ERR_BAD_ARGUMENT', 'for latch'],
    ['narrow arithmetic that it is not kept for', {}, { arithmetic: 'narrow' }, 'ERR_BAD_ARGUMENT', 'bound'],
    [
      'a system call in its place',
      {},
      { outOfWindow: 'syscall' as unknown as 'error' },
      'ERR_BAD_ARGUMENT',
      'choose from error, spin',
    ],
    ['a page that counts by nothing', { counter: 'none' }, {}, 'ERR_BAD_PAGE', 'counter none'],
    ['a generation elsewhere', { generationSource: 'vmclock' }, {}, 'ERR_BAD_PAGE', 'vmclock'],
  ];
  test.each(refusals)('%s', (_, header, options, wanted, what) => {
    expect(() => openPageSet(addon, pageWith(header), options)).toThrow(code(wanted));
    expect(() => openPageSet(addon, pageWith(header), options)).toThrow(what);
  });

  test('a page that is closed', () => {
    const page = pageWith();
    page.close();
    expect(() => openPageSet(addon, page)).toThrow('closed');
  });
});

test('a set outlives every other trace of its page', () => {
  const sets = Array.from({ length: 100 }, () => {
    const page = pageWith();
    publish(page, now());
    return openPageSet(addon, page);
  });
  for (let i = 0; i < 50; i++) new Uint8Array(1 << 20).fill(i);
  for (const set of sets) expect(set.read().ns.monotonic).toBeGreaterThan(1_000_000_000n);
});
