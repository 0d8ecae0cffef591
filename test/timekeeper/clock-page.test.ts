import { readFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openPageDescriptor, openPageFile } from '../../lib/host/clock-page-memory.ts';
import { getAddon } from '../../lib/native/load.ts';
import { CLOCK_PAGE_OFFSETS, copyImageStores, OWN_CLOCKS } from '../../lib/page/clock-page.ts';
import { ClockPage } from '../../lib/timekeeper/clock-page.ts';
import { imageOf } from '../../lib/timekeeper/image.ts';
import { openClock } from '../../lib/timekeeper/open-clock.ts';
import type { Standing } from '../../lib/timekeeper/standing.ts';
import { NO_OFFSETS } from '../../lib/timekeeper/view.ts';
import { LIBRARY, runModule, temporaryFolder } from '../places/place.ts';

const folder = temporaryFolder();
let files = 0;
const newPath = () => join(folder, `page-${files++}`);

const refusal = (code: string, what: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(what) });

/** Clocks that stand at whole ns, each its own, for ever: only the arithmetic of lines needs a writer. */
const still = { scaledNs: 0n, mult: 1n };
const STANDING: Standing = {
  base: 0n,
  end: 1n << 63n,
  shift: 63,
  generation: 0n,
  shared: { ...still, scaledNs: 100n << 63n },
  boottimeOffsetNs: 1n,
  taiOffsetNs: 2n,
  saneOffsetNs: 3n,
  smeared: { ...still, scaledNs: 200n << 63n },
  raw: { ...still, scaledNs: 300n << 63n },
  bound: { ...still, scaledNs: 7n << 63n },
  preferences: ['smeared'],
};

/** Publishes once, by hand. */
function publish(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const image = imageOf(STANDING, 'smeared', NO_OFFSETS);
  for (const [at, value] of copyImageStores(0, image)) view.setBigUint64(at, value, true);
  // Two windows: only the first copy.
  view.setBigUint64(CLOCK_PAGE_OFFSETS.count, 2n, true);
}

const VALUES = {
  'monotonic-raw': 300n,
  monotonic: 100n,
  boottime: 101n,
  tai: 102n,
  'sane-realtime': 103n,
  'smeared-realtime': 200n,
  realtime: 200n,
};

describe('a page', () => {
  test('in a file is made for its owner to write, with all clocks and for two windows', () => {
    const path = newPath();
    const page = ClockPage.create(path);
    expect(page.path).toBe(path);
    expect(statSync(path).mode & 0o777).toBe(0o644);
    expect(page.header).toEqual({
      counter: 'tsc',
      protocol: 'two-window',
      generationSource: 'none',
      arithmetic: 'wide',
      clocks: OWN_CLOCKS,
    });
    expect(ClockPage.open(path).header).toEqual(page.header);
    expect(() => ClockPage.create(path)).toThrow(refusal('ERR_FILE', /there already/));
  });

  test('has the protocol, clocks and generation that it was made with, clocks in the order of their numbers', () => {
    const page = ClockPage.create(newPath(), {
      protocol: 'latch',
      clocks: ['tai', 'monotonic'],
      generation: 'page',
    });
    expect(page.header).toMatchObject({
      protocol: 'latch',
      clocks: ['monotonic', 'tai'],
      generationSource: 'page',
    });
  });

  test.each([
    [{ protocol: 'latch-window' }, /options.protocol is 'latch-window'/],
    [{ clocks: ['utc'] }, /options.clocks\[0\] is 'utc'/],
    [{ clocks: [] }, /at least one clock/],
    [{ generation: 'vmclock' }, /options.generation is 'vmclock'/],
  ])('cannot be made with %j', (options, what) => {
    expect(() => ClockPage.create(undefined, options as never)).toThrow(refusal('ERR_BAD_ARGUMENT', what));
  });

  test('gives every clock by name and all at once, with the bound, from a file and from memory', () => {
    const addon = getAddon();
    const file = ClockPage.create(newPath());
    publish(openPageFile(addon, file.path as string, { writable: true }).bytes);
    const memory = ClockPage.create();
    publish(openPageDescriptor(addon, memory.fileDescriptor, { writable: true }).bytes);
    for (const page of [file, memory, ClockPage.open(memory.fileDescriptor)]) {
      const all = page.readAll();
      expect(all.ns).toEqual(VALUES);
      expect(all.boundNs).toBe(8n);
      for (const [id, ns] of Object.entries(VALUES))
        expect(page.clock(id as keyof typeof VALUES).now()).toBe(ns);
    }
  });

  test('is given back when it is closed, once its clocks are gone: those can be read on', () => {
    const page = ClockPage.create();
    publish(openPageDescriptor(getAddon(), page.fileDescriptor, { writable: true }).bytes);
    const clock = page.clock('tai');
    page.close();
    page.close();
    expect(clock.now()).toBe(102n);
    expect(() => page.clock('tai')).toThrow(refusal('ERR_BAD_ARGUMENT', /closed/));
    expect(() => statSync(`/proc/self/fd/${page.fileDescriptor}`)).toThrow(/ENOENT/);
  });

  test.each([
    ['two-window', 'ERR_OUT_OF_WINDOW'],
    ['latch', 'ERR_OUT_OF_WINDOW'],
    ['seqlock', 'ERR_BAD_PAGE'],
  ] as const)('for %s of which nothing was published refuses: %s', (protocol, code) => {
    const page = ClockPage.create(undefined, { protocol });
    expect(() => page.readAll()).toThrow(refusal(code, /./));
    expect(() => page.clock('monotonic').now()).toThrow(refusal(code, /./));
  });

  test('of a newer version, cut short, or behind a link is refused', () => {
    const whole = ClockPage.create(newPath()).path as string;
    const bytes = readFileSync(whole);
    const newer = newPath();
    bytes.writeUInt32LE(3, CLOCK_PAGE_OFFSETS.version);
    writeFileSync(newer, bytes, { mode: 0o644 });
    expect(() => ClockPage.open(newer)).toThrow(refusal('ERR_BAD_PAGE', /newer.*use a newer latchclock/));
    truncateSync(newer, 4095);
    expect(() => ClockPage.open(newer)).toThrow(refusal('ERR_BAD_PAGE', /4095 bytes/));
    const link = newPath();
    symlinkSync(whole, link);
    expect(() => ClockPage.open(link)).toThrow(refusal('ERR_FILE', /symbolic link/));
  });
});

describe('openClock', () => {
  test('opens a clock of a page, by the page or its file', () => {
    const page = ClockPage.create(newPath());
    publish(openPageFile(getAddon(), page.path as string, { writable: true }).bytes);
    for (const place of [page, page.path as string]) {
      const clock = openClock('smeared-realtime', { page: place });
      const out = new BigInt64Array(1);
      clock.nowInto(out);
      expect([clock.id, clock.path, clock.now(), out[0]]).toEqual(['smeared-realtime', 'page', 200n, 200n]);
    }
  });

  test('opens a clock of the kernel where no page is given', () => {
    const clock = openClock('monotonic', { path: 'syscall' });
    expect(clock.path).toBe('syscall');
    expect(clock.now()).toBeLessThanOrEqual(openClock('monotonic').now());
  });

  test('says that a clock of our own needs a page', () => {
    for (const id of ['smeared-realtime', 'sane-realtime'] as const) {
      expect(() => openClock(id as never)).toThrow(refusal('ERR_BAD_ARGUMENT', /give \{ page \}/));
    }
  });

  test('refuses a clock that the page lacks, one that is none, and a path of the kernel beside a page', () => {
    const page = ClockPage.create(undefined, { clocks: ['tai'] });
    expect(() => openClock('monotonic', { page })).toThrow(
      refusal('ERR_BAD_ARGUMENT', /no clock 'monotonic'.*tai/),
    );
    expect(() => openClock('utc' as never, { page })).toThrow(refusal('ERR_BAD_ARGUMENT', /'utc'/));
    expect(() => openClock('utc' as never)).toThrow(refusal('ERR_BAD_ARGUMENT', /'utc'/));
    expect(() => openClock('tai', { page, path: 'vdso' } as never)).toThrow(
      refusal('ERR_BAD_ARGUMENT', /'path'/),
    );
    expect(() => openClock('tai', { page: join(folder, 'none') })).toThrow(refusal('ERR_FILE', /ENOENT/));
  });
});

describe('what is closed is given back at once', () => {
  /** More than can be mapped at once, without a turn of the event loop in which garbage could be collected. */
  const OFTEN = 4_500;

  function published(): string {
    const path = newPath();
    ClockPage.create(path).close();
    const page = openPageFile(getAddon(), path, { writable: true });
    publish(page.bytes);
    page.close();
    return path;
  }

  test('a page of which all clocks were read, time and again', () => {
    const path = published();
    for (let i = 0; i < OFTEN; i++) {
      const page = ClockPage.open(path);
      expect(page.readAll().ns.tai).toBe(102n);
      page.close();
    }
  });

  test('a clock of a page that was given by its file', () => {
    const path = published();
    for (let i = 0; i < OFTEN; i++) {
      const clock = openClock('tai', { page: path });
      expect(clock.now()).toBe(102n);
      clock.close();
    }
  });

  test('clocks and sets of clocks that outlive their page, by Symbol.dispose', () => {
    const path = published();
    for (let i = 0; i < OFTEN; i++) {
      const page = ClockPage.open(path);
      const [clock, set] = [page.clock('tai'), page.allClocks()];
      page[Symbol.dispose]();
      expect([clock.now(), set.read().ns.tai]).toEqual([102n, 102n]);
      clock[Symbol.dispose]();
      set[Symbol.dispose]();
    }
  });

  test('a file that turns out to be no page', () => {
    const path = newPath();
    writeFileSync(path, new Uint8Array(4096));
    for (let i = 0; i < OFTEN; i++) expect(() => ClockPage.open(path)).toThrow();
    ClockPage.open(published()).close();
  });

  test('and can be closed again, but not be read', () => {
    const page = ClockPage.open(published());
    const [clock, set] = [page.clock('tai'), page.allClocks()];
    for (let i = 0; i < 2; i++) for (const one of [clock, set, page]) one.close();
    for (const read of [() => clock.now(), () => clock.nowInto(new BigInt64Array(1)), () => set.read()])
      expect(read).toThrow(refusal('ERR_BAD_ARGUMENT', /the clock is closed/));
    expect(() => page.readAll()).toThrow(refusal('ERR_BAD_ARGUMENT', /the page is closed/));
  });
});

test('a page in memory that nobody has any more gives its descriptor back', () => {
  const module = `
    import { readdirSync } from 'node:fs';
    import { setTimeout as sleep } from 'node:timers/promises';
    import { ClockPage } from '${LIBRARY}';
    const count = () => readdirSync('/proc/self/fd').length;
    ClockPage.create().close();
    const before = count();
    const kept = ClockPage.create();
    for (let i = 0; i < 100; i++) ClockPage.create();
    for (let tries = 0; tries < 100 && count() > before + 1; tries++) {
      gc();
      await sleep(10);
    }
    const left = count() - before;
    kept.close();
    console.log(left, count() - before);`;
  expect(runModule(module, ['--expose-gc'])).toMatchObject({ code: 0, out: '1 0\n', err: '' });
});
