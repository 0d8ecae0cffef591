import { mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  createAnonymousPage,
  createPageFile,
  type OpenClockPage,
  openPageFile,
  type WritableClockPage,
} from '../../lib/host/clock-page-memory.ts';
import { type HostFiles, machineFiles } from '../../lib/host/files.ts';
import { openPageClock, type PageClockOptions } from '../../lib/host/page-clock.ts';
import { type Addon, ReaderProtocol } from '../../lib/native/addon.ts';
import { getAddon } from '../../lib/native/load.ts';
import { CLOCK_PAGE_OFFSETS, type ClockPageHeader, OWN_CLOCKS } from '../../lib/page/clock-page.ts';

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
const SHIFT = 60n;
// A nanosecond a cycle: values are cycles since the base.
const ONE = 1n << SHIFT;

/** The words of a copy in the order in which they are stored: clock number n is n seconds at the base. */
function words(base: bigint, maxDelta: bigint, tag = 0n): BigInt64Array {
  const group = [SHIFT, ONE, 0n];
  const seconds = (number: number): bigint => BigInt(number) * 1_000_000_000n;
  return BigInt64Array.from([
    ...[base, maxDelta, tag],
    ...[...group, seconds(1), seconds(2), seconds(3), seconds(4)],
    ...[...group, seconds(6), ...group, seconds(5), ...group, seconds(0)],
    ...[0n, 0n, 0n, -1n],
  ]);
}

function publish(page: OpenClockPage, base: bigint, maxDelta: bigint, tag = 0n): void {
  const protocol = page.header.protocol === 'latch' ? 'latch' : page.header.protocol;
  addon.publishClockPage(page.memory, ReaderProtocol[protocol], words(base, maxDelta, tag), 0, true, false);
}

function pageWith(header: Partial<ClockPageHeader> = {}): WritableClockPage {
  return createAnonymousPage(addon, { ...HEADER, ...header });
}

function setWord(page: WritableClockPage, at: number, value: bigint): void {
  new DataView(page.bytes.buffer).setBigUint64(at, value, true);
}

/** As files are where the process is in no time namespace, wherever this runs. */
const INITIAL_NAMESPACE: HostFiles = { ...machineFiles, readLink: () => 'time:[4026531834]' };

const now = (): bigint => addon.readCounter(1);
const code = (wanted: string) => expect.objectContaining({ name: 'LatchclockError', code: wanted });

describe.each(['seqlock', 'latch', 'two-window'] as const)('a page written for %s', (protocol) => {
  test.each(OWN_CLOCKS.map((clock, number) => [clock, number] as const))(
    'gives %s between two readings of the counter',
    (clock, number) => {
      const page = pageWith({ protocol });
      const base = now();
      publish(page, base, LONG);
      const opened = openPageClock(addon, page, clock);
      const before = now();
      const value = opened.now();
      const after = now();
      const start = BigInt(number) * 1_000_000_000n;
      expect(value - start >= before - base && value - start <= after - base).toBe(true);
      const out = new BigInt64Array(1);
      opened.nowInto(out);
      expect((out[0] as bigint) >= value).toBe(true);
    },
  );

  test('gives no clock before anything was published', () => {
    const clock = openPageClock(addon, pageWith({ protocol }), 'monotonic');
    expect(() => clock.now()).toThrow(code(protocol === 'seqlock' ? 'ERR_BAD_PAGE' : 'ERR_OUT_OF_WINDOW'));
  });

  test('whose copy is of another generation is refused until it is published again', () => {
    const page = pageWith({ protocol });
    publish(page, now(), LONG, 1n);
    const clock = openPageClock(addon, page, 'tai');
    expect(() => clock.now()).toThrow(code('ERR_DISRUPTED'));
    setWord(page, CLOCK_PAGE_OFFSETS.generation, 1n);
    expect(clock.now() > 3_000_000_000n).toBe(true);
  });
});

describe('out of the window', () => {
  const expired = (clock: (typeof OWN_CLOCKS)[number], options: PageClockOptions) => {
    const page = pageWith();
    publish(page, now(), 1n);
    return openPageClock(addon, page, clock, options);
  };

  test('the policy error refuses', () => {
    expect(() => expired('monotonic', { outOfWindow: 'error' }).now()).toThrow(code('ERR_OUT_OF_WINDOW'));
  });

  test('a window of 0 refuses at once', () => {
    const page = pageWith();
    publish(page, now(), 0n);
    expect(() => openPageClock(addon, page, 'monotonic').now()).toThrow(code('ERR_OUT_OF_WINDOW'));
  });

  test.each([
    ['monotonic', 1],
    ['monotonic-raw', 4],
    ['boottime', 7],
    ...(addon.adjtimex().taiOffsetSeconds === 0 ? [] : [['tai', 11] as const]),
  ] as const)('the policy syscall gives the kernel’s %s', (clock, id) => {
    const opened = expired(clock, { outOfWindow: 'syscall', files: INITIAL_NAMESPACE });
    expect(opened.path).toBe('page');
    const before = addon.readClock(2, id);
    const value = opened.now();
    const after = addon.readClock(2, id);
    expect(before <= value && value <= after).toBe(true);
    expect(opened.path).toBe('syscall');
  });

  test('a value of the page is known by its path, also after one of the kernel', () => {
    const page = pageWith();
    publish(page, now(), 1n);
    const clock = openPageClock(addon, page, 'monotonic', {
      outOfWindow: 'syscall',
      files: INITIAL_NAMESPACE,
    });
    clock.now();
    expect(clock.path).toBe('syscall');
    publish(page, now(), LONG);
    clock.nowInto(new BigInt64Array(1));
    expect(clock.path).toBe('page');
  });

  test.each([
    ['disrupted', (page: WritableClockPage) => setWord(page, CLOCK_PAGE_OFFSETS.generation, 9n), 'latch'],
    [
      'left half-written',
      (page: WritableClockPage) => setWord(page, CLOCK_PAGE_OFFSETS.count, 3n),
      'seqlock',
    ],
  ] as const)('the policy syscall goes past a page that was %s', (_, spoil, protocol) => {
    const page = pageWith({ protocol });
    publish(page, now(), LONG);
    const options = { outOfWindow: 'syscall', files: INITIAL_NAMESPACE } as const;
    const clock = openPageClock(addon, page, 'monotonic', options);
    spoil(page);
    const before = addon.readClock(2, 1);
    expect(clock.now() >= before).toBe(true);
    expect(clock.path).toBe('syscall');
  });

  test('the policy syscall is refused for tai where the kernel’s TAI offset was never set', () => {
    const page = pageWith();
    const unset: Addon = Object.assign(Object.create(addon), {
      adjtimex: () => ({ ...addon.adjtimex(), taiOffsetSeconds: 0 }),
    });
    expect(() => openPageClock(unset, page, 'tai', { outOfWindow: 'syscall' })).toThrow('TAI offset is 0');
    // Asked by nobody, it is in nobody's way.
    expect(openPageClock(unset, page, 'tai').path).toBe('page');
  });

  test.each(['monotonic', 'monotonic-raw', 'boottime'] as const)(
    'the policy syscall is refused for %s in a time namespace, whose clocks need not be the page’s',
    (clock) => {
      const files: HostFiles = { ...machineFiles, readLink: () => 'time:[4026532200]' };
      expect(() => openPageClock(addon, pageWith(), clock, { outOfWindow: 'syscall', files })).toThrow(
        'time namespace',
      );
    },
  );

  test.each(['sane-realtime', 'smeared-realtime', 'realtime'] as const)(
    'the policy syscall is refused for %s, which the kernel does not have under that meaning',
    (clock) => {
      expect(() => expired(clock, { outOfWindow: 'syscall' })).toThrow(code('ERR_BAD_ARGUMENT'));
    },
  );

  test('the policy spin waits for a writer for a bounded time, and then refuses', () => {
    expect(() => expired('tai', { outOfWindow: 'spin' }).now()).toThrow(code('ERR_OUT_OF_WINDOW'));
  });
});

test('a count that is stuck odd runs out of turns, and is refused', () => {
  const page = pageWith({ protocol: 'seqlock' });
  publish(page, now(), LONG);
  setWord(page, CLOCK_PAGE_OFFSETS.count, 3n);
  expect(() => openPageClock(addon, page, 'monotonic').now()).toThrow(code('ERR_RETRIES'));
});

test.each(['error', 'spin', 'syscall'] as const)(
  'a page whose file was cut short gives no value of its own, with the policy %s',
  (outOfWindow) => {
    for (const protocol of ['seqlock', 'latch', 'two-window'] as const) {
      const path = join(folder, `${protocol}-${outOfWindow}`);
      const page = createPageFile(addon, path, { ...HEADER, protocol });
      publish(page, now(), LONG);
      const clock = openPageClock(addon, page, 'monotonic', { outOfWindow, files: INITIAL_NAMESPACE });
      expect(clock.now() > 0n).toBe(true);
      truncateSync(path, 0);
      expect(() => clock.now()).toThrow(code('ERR_BAD_PAGE'));
      expect(() => clock.now()).toThrow('cut short');
    }
  },
);

describe('refused when it is opened', () => {
  const refusals: [string, Partial<ClockPageHeader>, PageClockOptions, string, string][] = [
    ['a clock that the page lacks', { clocks: ['tai'] }, {}, 'ERR_BAD_ARGUMENT', 'no clock'],
    [
      'a protocol that is not its writer’s',
      {},
      { protocol: 'two-window' },
      'ERR_BAD_ARGUMENT',
      'written for latch',
    ],
    ['narrow arithmetic that it is not kept for', {}, { arithmetic: 'narrow' }, 'ERR_BAD_ARGUMENT', 'bound'],
    [
      'an unknown policy',
      {},
      { outOfWindow: 'guess' as unknown as 'error' },
      'ERR_BAD_ARGUMENT',
      "outOfWindow is 'guess'",
    ],
    ['a page that counts by nothing', { counter: 'none' }, {}, 'ERR_BAD_PAGE', 'counter none'],
    ['a generation elsewhere', { generationSource: 'vmclock' }, {}, 'ERR_BAD_PAGE', 'vmclock'],
  ];
  test.each(refusals)('%s', (_, header, options, wanted, words_) => {
    expect(() => openPageClock(addon, pageWith(header), 'monotonic', options)).toThrow(code(wanted));
    expect(() => openPageClock(addon, pageWith(header), 'monotonic', options)).toThrow(words_);
  });
});

test('a latch page can be read without its window, and by narrow arithmetic where its writer keeps the bound', () => {
  const page = pageWith({ arithmetic: 'narrow' });
  publish(page, now(), 1n);
  const clock = openPageClock(addon, page, 'monotonic', { protocol: 'latch', arithmetic: 'narrow' });
  expect(clock.protocol).toBe('latch');
  expect(clock.now() >= 1_000_000_000n).toBe(true);
});

test('a page without a generation says that migration is not detected', () => {
  expect(openPageClock(addon, pageWith({ generationSource: 'none' }), 'tai').generation).toBe(false);
});

test('readers outlive every other trace of their page', () => {
  const open = (): (() => bigint) => {
    const page = pageWith();
    publish(page, now(), LONG);
    const clock = openPageClock(addon, page, 'monotonic');
    return () => clock.now();
  };
  const readers = Array.from({ length: 200 }, open);
  for (let i = 0; i < 50; i++) new Uint8Array(1 << 20).fill(i);
  for (const read of readers) expect(read() >= 1_000_000_000n).toBe(true);
});

describe('a page that is closed', () => {
  test('has no bytes, and refuses whatever is asked of it but to be closed', () => {
    const page = pageWith();
    publish(page, now(), LONG);
    const bytes = page.bytes;
    page.close();
    page.close();
    expect(bytes.length).toBe(0);
    for (const use of [
      () => page.memory.buffer(),
      () => page.memory.copy(),
      () => page.memory.isLost(),
      () => publish(page, now(), LONG),
      () => openPageClock(addon, page, 'tai'),
    ]) {
      expect(use).toThrow(code('ERR_BAD_ARGUMENT'));
      expect(use).toThrow('closed');
    }
  });

  test('is still read by the clocks that were opened from it', () => {
    const page = pageWith();
    publish(page, now(), LONG);
    const clock = openPageClock(addon, page, 'tai');
    page.close();
    expect(clock.now() > 3_000_000_000n).toBe(true);
  });

  test('makes room: more files can be mapped one after the other than at once', () => {
    const path = join(folder, 'closed-often');
    createPageFile(addon, path, HEADER).close();
    for (let i = 0; i < 5_000; i++) openPageFile(addon, path).close();
    const open: OpenClockPage[] = [];
    const most = (): void => {
      for (let i = 0; i < 5_000; i++) open.push(openPageFile(addon, path));
    };
    expect(most).toThrow(code('ERR_TOO_MANY_PAGES'));
    expect(most).toThrow('close pages');
    for (const page of open) page.close();
    openPageFile(addon, path).close();
  });
});
