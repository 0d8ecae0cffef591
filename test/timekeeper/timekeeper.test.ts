import { once } from 'node:events';
import { chmodSync, closeSync, openSync, readdirSync, statSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { openPageDescriptor } from '../../dist/host/clock-page-memory.js';
// As it is built: the thread's file is JavaScript.
import {
  ClockPage,
  type KeeperEvent,
  LatchclockError,
  leapTimeline,
  type OwnClockName,
  openClock,
  parsePolicy,
  type ScheduledChange,
  smearedNsAt,
  smearOf,
  Timekeeper,
  type TimekeeperOptions,
  TimeNamespace,
  withPlacedLeap,
} from '../../dist/index.js';
import { getAddon } from '../../dist/native/load.js';
import { LIBRARY, runModule, startProgram, temporaryFolder } from '../places/place.ts';

const SECOND = 1_000_000_000n;
const folder = temporaryFolder();
let files = 0;
const newPath = () => join(folder, `page-${files++}`);

const running = new Set<Timekeeper>();

async function start(options: TimekeeperOptions): Promise<Timekeeper> {
  const timekeeper = await Timekeeper.start(options);
  running.add(timekeeper);
  return timekeeper;
}

afterEach(async () => {
  vi.restoreAllMocks();
  for (const timekeeper of running) await timekeeper.stop().catch(() => undefined);
  running.clear();
});

type AllClocks = ReturnType<ClockPage['readAll']>;

const readers = new WeakMap<ClockPage, ReturnType<ClockPage['allClocks']>>();

/** All clocks of a page; where its writer comes an instant late, which a busy machine may make it, it is waited for. */
function read(page: ClockPage): AllClocks {
  const reader = readers.get(page) ?? page.allClocks({ outOfWindow: 'spin' });
  readers.set(page, reader);
  return reader.read();
}

/** Reads for some ms, with a pause of a ms now and then for others. */
async function readFor(ms: number, page: ClockPage, look: (all: AllClocks) => void): Promise<void> {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    for (let i = 0; i < 50; i++) look(read(page));
    await sleep(1);
  }
}

function nsOf(all: AllClocks, clock: OwnClockName): bigint {
  return all.ns[clock] as bigint;
}

/** TAI by the kernel's realtime and the table, ns. */
function taiNow(): bigint {
  return openClock('realtime').now() + BigInt(leapTimeline().leaps.at(-1)?.taiOffsetAfter ?? 0) * SECOND;
}

const refusal = (code: string, what: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(what) });

describe('a timekeeper', () => {
  test.each(['two-window', 'latch', 'seqlock'] as const)(
    "on a page for %s: from its start on every clock is the kernel's within the bound, and none goes back",
    async (protocol) => {
      const page = ClockPage.create(undefined, { protocol });
      const timekeeper = await start({ page });
      const kernel = {
        'monotonic-raw': openClock('monotonic-raw'),
        monotonic: openClock('monotonic'),
        boottime: openClock('boottime'),
        'sane-realtime': openClock('realtime'),
      };
      const names = Object.keys(kernel) as (keyof typeof kernel)[];
      // Opened before, since a page may refuse for an instant when its writer comes late.
      const last: Partial<Record<OwnClockName, bigint>> = {};
      const outside: string[] = [];
      let refused = 0;
      let values = 0;
      for (const end = performance.now() + 1000; performance.now() < end; ) {
        const before = names.map((name) => kernel[name].now());
        let all: AllClocks;
        try {
          all = page.readAll();
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_OUT_OF_WINDOW' });
          refused++;
          continue;
        }
        const after = names.map((name) => kernel[name].now());
        values++;
        const bound = all.boundNs as bigint;
        expect(bound).toBeGreaterThanOrEqual(0n);
        for (const [at, name] of names.entries()) {
          const ns = nsOf(all, name);
          if (ns < (before[at] as bigint) - bound || ns > (after[at] as bigint) + bound) {
            outside.push(`${name} ${ns}: ${before[at]} to ${after[at]}, bound ${bound}`);
          }
        }
        for (const [name, ns] of Object.entries(all.ns) as [OwnClockName, bigint][]) {
          if (ns < (last[name] ?? ns)) outside.push(`${name} went back from ${last[name]} to ${ns}`);
          last[name] = ns;
        }
        if (values % 64 === 0) await sleep(1);
      }
      expect(outside.slice(0, 5)).toEqual([]);
      expect(values).toBeGreaterThan(100);
      expect((await timekeeper.status()).updates).toBeGreaterThan(10);
      // With a window of 25 updates, what is refused is an instant at a corner, or the scheduler's doing.
      expect(refused).toBeLessThan(values);
    },
  );

  test('gives smeared-realtime as the policy has it, and realtime as the page prefers it', async () => {
    const taiNs = taiNow() + 1000n * SECOND;
    const leap = { taiNs, sign: -1 } as const;
    const page = ClockPage.create();
    await start({ page, preference: 'smeared', smear: { policy: 'google-20h', leap } });
    const timeline = withPlacedLeap(leapTimeline(), taiNs, -1);
    const smear = smearOf(
      parsePolicy('google-20h'),
      timeline.leaps.at(-1) as (typeof timeline.leaps)[0],
      timeline,
    );
    await readFor(100, page, (all) => {
      const off = nsOf(all, 'smeared-realtime') - smearedNsAt(smear, nsOf(all, 'tai'));
      expect(off >= -1n && off <= 1n, `${off} ns off`).toBe(true);
      expect(all.ns.realtime).toBe(all.ns['smeared-realtime']);
      expect(nsOf(all, 'smeared-realtime') - nsOf(all, 'sane-realtime')).toBeGreaterThan(SECOND / 10n);
    });
  });

  test('without a smear, smeared-realtime is sane-realtime', async () => {
    const page = ClockPage.create();
    await start({ page });
    await readFor(20, page, ({ ns }) => expect(ns['smeared-realtime']).toBe(ns['sane-realtime']));
  });

  test('switches what realtime is under readers, of whom none sees anything but one of both', async () => {
    const page = ClockPage.create();
    const leap = { taiNs: taiNow() + 60n * SECOND, sign: 1 } as const;
    const timekeeper = await start({ page, smear: { policy: 'utc-sls', leap } });
    const seen = { sane: 0, smeared: 0 };
    const reading = readFor(600, page, ({ ns }) => {
      if (ns.realtime === ns['sane-realtime']) seen.sane++;
      else if (ns.realtime === ns['smeared-realtime']) seen.smeared++;
      else throw new Error('realtime is neither');
    });
    for (let i = 0; i < 10; i++) {
      await timekeeper.setPreference(i % 2 === 0 ? 'smeared' : 'sane');
      await sleep(50);
    }
    await reading;
    expect(seen.sane).toBeGreaterThan(0);
    expect(seen.smeared).toBeGreaterThan(0);
  });

  test('writes pages that differ in preference and namespace, and in nothing else', async () => {
    const outer = TimeNamespace.initial.create({ monotonicNs: 1000n * SECOND });
    const namespace = outer.create({ boottimeNs: 5n * SECOND, monotonicNs: -1n });
    const [plain, inside] = [ClockPage.create(), ClockPage.create()];
    const leap = { taiNs: taiNow() + 60n * SECOND, sign: 1 } as const;
    const timekeeper = await start({
      page: plain,
      views: [{ page: inside, preference: 'smeared', namespace }],
      smear: { policy: 'utc-sls', leap },
    });
    expect(timekeeper.pages).toEqual([plain, inside]);
    const offsets: Readonly<Record<string, bigint>> = {
      'monotonic-raw': 1000n * SECOND - 1n,
      monotonic: 1000n * SECOND - 1n,
      boottime: 5n * SECOND,
    };
    await readFor(100, plain, (before) => {
      const between = read(inside);
      const after = read(plain);
      for (const clock of [
        'monotonic-raw',
        'monotonic',
        'boottime',
        'tai',
        'sane-realtime',
        'smeared-realtime',
      ] as const) {
        const ns = nsOf(between, clock) - (offsets[clock] ?? 0n);
        expect(ns >= nsOf(before, clock) && ns <= nsOf(after, clock), clock).toBe(true);
      }
      expect(before.ns.realtime).toBe(before.ns['sane-realtime']);
      expect(between.ns.realtime).toBe(between.ns['smeared-realtime']);
    });
    await timekeeper.setPreference('smeared', 0);
    await sleep(100);
    const { ns } = read(plain);
    expect(ns.realtime).toBe(ns['smeared-realtime']);
  });

  test('makes a scheduled change at its instant, and tells of it', async () => {
    const page = ClockPage.create();
    const timekeeper = await start({ page, source: 'counter' });
    const events: KeeperEvent[] = [];
    timekeeper.on('event', (event) => events.push(event));
    const first = read(page);
    const taiNs = nsOf(first, 'tai') + SECOND / 4n;
    const change: ScheduledChange = { kind: 'step', byNs: 5n * SECOND, at: { taiNs } };
    await timekeeper.schedule(change);
    expect((await timekeeper.status()).scheduled).toBe(1);
    const offset = (all: AllClocks) => nsOf(all, 'tai') - nsOf(all, 'monotonic');
    const isAfter = (all: AllClocks) => nsOf(all, 'monotonic') + offset(first) >= taiNs;
    let stepped = 0;
    await readFor(500, page, (all) => {
      if (isAfter(all)) stepped++;
      expect(offset(all) - offset(first)).toBe(isAfter(all) ? 5n * SECOND : 0n);
    });
    expect(stepped).toBeGreaterThan(0);
    expect(events.filter(({ kind }) => kind === 'change')).toEqual([expect.objectContaining({ change })]);
    expect((await timekeeper.status()).scheduled).toBe(0);
  });

  test('refuses changes that cannot be, and goes on', async () => {
    const page = ClockPage.create();
    const timekeeper = await start({ page });
    const tai = nsOf(read(page), 'tai');
    const soon = { taiNs: tai + SECOND };
    const schedule = (change: unknown) => timekeeper.schedule(change as ScheduledChange);
    const sane = { kind: 'preference', page: 0, preference: 'sane' };
    await expect(schedule({ ...sane, at: { taiNs: tai } })).rejects.toThrow(refusal('ERR_SCHEDULE', /past/));
    await expect(schedule({ kind: 'step', byNs: 1n, at: soon })).rejects.toThrow(
      refusal('ERR_SCHEDULE', /corrected by others/),
    );
    await expect(schedule({ ...sane, page: 7, at: soon })).rejects.toThrow(
      refusal('ERR_BAD_ARGUMENT', /no page 7/),
    );
    await expect(schedule({ kind: 'leap', at: soon })).rejects.toThrow(
      refusal('ERR_BAD_ARGUMENT', /kind is 'leap'/),
    );
    await expect(schedule({ kind: 'step', byNs: 1, at: soon })).rejects.toThrow(
      refusal('ERR_BAD_ARGUMENT', /byNs is no bigint/),
    );
    await expect(schedule({ ...sane, at: {} })).rejects.toThrow(refusal('ERR_BAD_ARGUMENT', /instant/));
    await expect(schedule(null)).rejects.toThrow(refusal('ERR_BAD_ARGUMENT', /the change is null/));
    await expect(timekeeper.setPreference('both' as never)).rejects.toThrow(
      refusal('ERR_BAD_ARGUMENT', /'both'/),
    );
    await expect(timekeeper.setPreference('sane', 7)).rejects.toThrow(
      refusal('ERR_BAD_ARGUMENT', /no page 7/),
    );
    const { updates } = await timekeeper.status();
    await sleep(100);
    expect((await timekeeper.status()).updates).toBeGreaterThan(updates);
  });

  test('tags its page, and serves readers again after the generation has changed', async () => {
    const page = ClockPage.create(undefined, { generation: 'page' });
    const timekeeper = await start({ page });
    const events: KeeperEvent[] = [];
    timekeeper.on('event', (event) => events.push(event));
    const clock = page.clock('monotonic');
    const before = clock.now();
    const { bytes } = openPageDescriptor(getAddon(), page.fileDescriptor, { writable: true });
    new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(0x48, 7n, true);
    expect(() => clock.now()).toThrow(refusal('ERR_DISRUPTED', /./));
    await vi.waitFor(() => expect(clock.now()).toBeGreaterThan(before), { timeout: 5000, interval: 5 });
    expect(read(page).generation).toBe(7n);
    expect(events).toContainEqual(expect.objectContaining({ kind: 'disrupted', generation: 7n }));
  });

  test('of which there are twenty, one after another: no thread, descriptor or lock is left', async () => {
    const page = ClockPage.create();
    const count = () => ['fd', 'task'].map((what) => readdirSync(`/proc/self/${what}`).length);
    await (await start({ page })).stop();
    const before = count();
    for (let i = 0; i < 20; i++) await (await start({ page })).stop();
    const [descriptors, threads] = count() as [number, number];
    // Fewer, where pages of earlier tests were collected meanwhile.
    expect(descriptors).toBeLessThanOrEqual(before[0] as number);
    expect(threads).toBe(before[1]);
  });
});

describe('a page has one writer', () => {
  const taken = refusal('ERR_PAGE_TAKEN', /another writer/);

  test('a second timekeeper of this process is refused, whether the page is in memory or in a file', async () => {
    for (const page of [ClockPage.create(), ClockPage.create(newPath())]) {
      const first = await start({ page });
      await expect(Timekeeper.start({ page })).rejects.toThrow(taken);
      if (page.path !== null) await expect(Timekeeper.start({ page: page.path })).rejects.toThrow(taken);
      // The first one was not disturbed.
      expect(read(page).ns.monotonic).toBeDefined();
      await first.stop();
      await (await start({ page })).stop();
    }
  });

  test('a second process is refused', async () => {
    const page = newPath();
    await start({ page });
    const { err, code } = runModule(`
      import { Timekeeper } from '${LIBRARY}';
      await Timekeeper.start({ page: ${JSON.stringify(page)} }).catch(({ code }) => {
        process.stderr.write(code);
        process.exitCode = 9;
      });`);
    expect({ err, code }).toEqual({ err: 'ERR_PAGE_TAKEN', code: 9 });
  });

  test('the one that is killed is followed by another, at no lower values', async () => {
    const path = newPath();
    const { child, ended } = startProgram(process.execPath, [
      '--input-type=module',
      '-e',
      `import { Timekeeper } from '${LIBRARY}';
       await Timekeeper.start({ page: ${JSON.stringify(path)}, windowMs: 5000 });
       process.stdout.write('writing');`,
    ]);
    await once(child.stdout as NonNullable<typeof child.stdout>, 'data');
    const page = ClockPage.open(path);
    expect(statSync(path).mode & 0o777).toBe(0o644);
    let last = read(page);
    const look = (all: AllClocks) => {
      for (const [clock, ns] of Object.entries(all.ns)) {
        expect(ns >= nsOf(last, clock as OwnClockName), clock).toBe(true);
      }
      last = all;
    };
    await readFor(50, page, look);
    child.kill('SIGKILL');
    await ended;
    // Nobody writes, and readers go on for the window.
    await readFor(50, page, look);
    const reading = readFor(1000, page, look);
    await start({ page: path });
    await reading;
  });

  test('its thread may die: it is told, and another goes on', async () => {
    const page = ClockPage.create();
    const post = vi.spyOn(Worker.prototype, 'postMessage');
    const timekeeper = await start({ page, windowMs: 5000 });
    await timekeeper.status();
    const thread = post.mock.contexts[0] as Worker;
    const { ns } = read(page);
    const asked = thread.terminate().then(() => timekeeper.status());
    await expect(timekeeper.ended).rejects.toThrow(refusal('ERR_WRITER_DIED', /without a word/));
    await expect(asked).rejects.toThrow(refusal('ERR_BAD_ARGUMENT', /has ended/));
    await expect(timekeeper.stop()).rejects.toThrow(refusal('ERR_WRITER_DIED', /./));
    await start({ page });
    expect(nsOf(read(page), 'monotonic')).toBeGreaterThan(ns.monotonic as bigint);
  });

  test('four die within one window, one after another, with two pages: readers wait for an instant at the most, and none goes back', async () => {
    const pages = [ClockPage.create(), ClockPage.create()] as const;
    const namespace = TimeNamespace.initial.create({ monotonicNs: 7n * SECOND });
    const options = { page: pages[0], views: [{ page: pages[1], namespace }], windowMs: 20_000 };
    const post = vi.spyOn(Worker.prototype, 'postMessage');
    const last = [0n, 0n];
    const look = () => {
      for (const [at, page] of pages.entries()) {
        const ns = nsOf(read(page), 'monotonic');
        expect(ns).toBeGreaterThanOrEqual(last[at] as bigint);
        last[at] = ns;
      }
    };
    for (let death = 0; death < 4; death++) {
      const timekeeper = await start(options);
      timekeeper.ended.catch(() => undefined);
      // Past the first updates, which a busy machine may delay.
      if (death === 0) await sleep(300);
      look();
      for (let i = 0; i < 20; i++) {
        look();
        await sleep(2);
      }
      await timekeeper.status();
      await (post.mock.contexts.at(-1) as Worker).terminate();
      look();
    }
  });

  test('a death that nobody looks at ends the process, and says why', () => {
    const { err, code } = runModule(`
      import { Worker } from 'node:worker_threads';
      import { ClockPage, Timekeeper } from '${LIBRARY}';
      const { postMessage } = Worker.prototype;
      Worker.prototype.postMessage = function () { this.terminate(); };
      const timekeeper = await Timekeeper.start({ page: ClockPage.create() });
      timekeeper.status().catch(() => undefined);
      setTimeout(() => undefined, 60_000);`);
    expect(code).toBe(1);
    expect(err).toMatch(/ERR_WRITER_DIED/);
  });

  test('a page that is cut short ends it', async () => {
    const path = newPath();
    const timekeeper = await start({ page: path });
    truncateSync(path, 0);
    await expect(timekeeper.ended).rejects.toThrow(refusal('ERR_BAD_PAGE', /cut short/));
    await expect(Timekeeper.start({ page: path })).rejects.toThrow(refusal('ERR_BAD_PAGE', /0 bytes/));
  });

  test.each([0x41, 0x1a0, 0x208, 0x234, 0x298, 4095])(
    'a page that is cut to %i bytes ends it, and no reader has a value that is not right',
    async (size) => {
      const path = newPath();
      const timekeeper = await start({ page: path, windowMs: 60, updateMs: 8 });
      const ended = expect(timekeeper.ended).rejects.toThrow(refusal('ERR_BAD_PAGE', /cut short/));
      const page = ClockPage.open(path);
      const clocks = (['monotonic', 'tai', 'realtime', 'monotonic-raw'] as const).map((id) => page.clock(id));
      const [monotonic] = clocks;
      // By the kernel's clock of the same rate: how far each is from it does not change while nothing is cut.
      const aheadNs = clocks.map((clock) => clock.now() - process.hrtime.bigint());
      let [values, refusals] = [0, 0];
      const look = () => {
        for (const [at, clock] of clocks.entries()) {
          const before = process.hrtime.bigint();
          try {
            const ns = clock.now() - (aheadNs[at] as bigint);
            const after = process.hrtime.bigint();
            if (ns < before - 3_000_000n || ns > after + 3_000_000n) expect(ns).toBe(before);
            values++;
          } catch (error) {
            if (!(error instanceof LatchclockError)) throw error;
            expect(error.code).toMatch(/^ERR_(BAD_PAGE|OUT_OF_WINDOW)$/);
            refusals++;
          }
        }
      };
      for (const until = performance.now() + 20; performance.now() < until; ) look();
      expect(values).toBeGreaterThan(0);
      truncateSync(path, size);
      for (const until = performance.now() + 30; performance.now() < until; ) look();
      await ended;
      refusals = 0;
      look();
      expect(refusals).toBe(clocks.length);
      expect(() => monotonic?.now()).toThrow(refusal('ERR_BAD_PAGE', /cut short/));
    },
  );

  test('a page whose header is damaged ends it, and its readers are refused', async () => {
    const path = newPath();
    const timekeeper = await start({ page: path });
    const ended = expect(timekeeper.ended).rejects.toThrow(refusal('ERR_BAD_PAGE', /header was changed/));
    const clock = ClockPage.open(path).clock('monotonic');
    expect(clock.now() > 0n).toBe(true);
    const file = openSync(path, 'r+');
    // A reserved byte.
    writeSync(file, Uint8Array.of(1), 0, 1, 0x3f);
    closeSync(file);
    await ended;
    expect(() => clock.now()).toThrow(refusal('ERR_BAD_PAGE', /./));
  });
});

describe('the end of a timekeeper', () => {
  test('by stop: readers go on for the window, and no longer; nothing can be asked any more', async () => {
    const page = ClockPage.create();
    const timekeeper = await start({ page, windowMs: 400 });
    const clock = page.clock('smeared-realtime');
    await Promise.all([timekeeper.stop(), timekeeper.stop(), timekeeper.ended]);
    clock.now();
    await sleep(500);
    expect(() => clock.now()).toThrow(refusal('ERR_OUT_OF_WINDOW', /./));
    expect(() => page.readAll()).toThrow(refusal('ERR_OUT_OF_WINDOW', /./));
    await expect(timekeeper.status()).rejects.toThrow(
      refusal('ERR_BAD_ARGUMENT', /has ended.*start another/),
    );
    await timekeeper[Symbol.asyncDispose]();
  });

  test('by a signal, before its start, during it, and after it', async () => {
    const page = ClockPage.create();
    const reason = new Error('no time');
    await expect(Timekeeper.start({ page, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const during = new AbortController();
    const starting = Timekeeper.start({ page, signal: during.signal });
    during.abort(reason);
    await expect(starting).rejects.toBe(reason);
    const after = new AbortController();
    const timekeeper = await start({ page, signal: after.signal });
    after.abort(reason);
    await timekeeper.ended;
    // All of them gave the page back.
    await start({ page });
  });

  test('is not waited for once it is unrefed; else the process stays', async () => {
    const module = (call: string) => [
      '--input-type=module',
      '-e',
      `import { ClockPage, Timekeeper } from '${LIBRARY}';
       (await Timekeeper.start({ page: ClockPage.create() }))${call};
       process.stdout.write('started');`,
    ];
    const free = await startProgram(process.execPath, module('.unref()')).ended;
    expect(free).toMatchObject({ code: 0, signal: null, out: 'started', err: '' });
    const kept = startProgram(process.execPath, module('.unref().ref()'));
    await once(kept.child.stdout as NonNullable<typeof kept.child.stdout>, 'data');
    await sleep(300);
    expect(kept.child.exitCode).toBeNull();
    kept.child.kill('SIGKILL');
    await kept.ended;
  });

  test('process.exit beside it: its code, no crash', () => {
    const { code, signal, err } = runModule(`
      import { ClockPage, Timekeeper } from '${LIBRARY}';
      await Timekeeper.start({ page: ClockPage.create() });
      process.exit(7);`);
    expect({ code, signal, err }).toEqual({ code: 7, signal: null, err: '' });
  });
});

describe('what cannot be started is refused, with the reason', () => {
  const back = TimeNamespace.initial.create({ boottimeNs: -9_000_000_000n * SECOND });
  const written = join(folder, 'written-by-others');
  const page = () => ClockPage.create();
  ClockPage.create(written).close();
  chmodSync(written, 0o666);

  test.each<[string, string, RegExp, () => Partial<Record<keyof TimekeeperOptions, unknown>>]>([
    ['no page', 'ERR_BAD_ARGUMENT', /options.page is undefined/, () => ({})],
    ['a folder that is not there', 'ERR_FILE', /ENOENT/, () => ({ page: join(folder, 'none', 'page') })],
    [
      'a file that is no page',
      'ERR_BAD_PAGE',
      /bytes/,
      () => ({ page: join(import.meta.dirname, 'support.ts') }),
    ],
    ['a page that others may write', 'ERR_FILE', /others may write/, () => ({ page: written })],
    [
      'a page that is closed',
      'ERR_BAD_ARGUMENT',
      /closed/,
      () => {
        const closed = page();
        closed.close();
        return { page: closed };
      },
    ],
    [
      'an option that is a function',
      'ERR_BAD_ARGUMENT',
      /sourceOptions.hz is a function/,
      () => ({ page: page(), sourceOptions: { hz: () => 1e9 } }),
    ],
    ['no such source', 'ERR_BAD_ARGUMENT', /sundial/, () => ({ page: page(), source: 'sundial' })],
    ['no such policy', 'ERR_BAD_ARGUMENT', /no policy/, () => ({ page: page(), smear: { policy: 'slow' } })],
    [
      'no day',
      'ERR_BAD_ARGUMENT',
      /./,
      () => ({ page: page(), smear: { policy: 'aws', leap: { date: 'x', sign: 1 } } }),
    ],
    [
      'a day with a sign',
      'ERR_BAD_ARGUMENT',
      /sign/,
      () => ({ page: page(), smear: { policy: 'aws', leap: { date: '-2035-12-31', sign: 1 } } }),
    ],
    [
      'a leap second of 2 s',
      'ERR_BAD_ARGUMENT',
      /sign/,
      () => ({ page: page(), smear: { policy: 'aws', leap: { taiNs: 1n, sign: 2 } } }),
    ],
    ['no such table', 'ERR_FILE', /none/, () => ({ page: page(), leapTable: join(folder, 'none') })],
    ['no preference', 'ERR_BAD_ARGUMENT', /'both'/, () => ({ page: page(), preference: 'both' })],
    [
      'no namespace',
      'ERR_BAD_ARGUMENT',
      /namespace/,
      () => ({ page: page(), namespace: { monotonicNs: 1n, boottimeNs: 1n } }),
    ],
    [
      'a clock that would be negative',
      'ERR_BAD_ARGUMENT',
      /boottime would be negative/,
      () => ({ page: page(), namespace: back }),
    ],
    ['an update of no time', 'ERR_BAD_ARGUMENT', /update/, () => ({ page: page(), updateMs: 0 })],
    ['a window of one update', 'ERR_BAD_ARGUMENT', /window/, () => ({ page: page(), windowMs: 8 })],
    [
      'a change that is none',
      'ERR_BAD_ARGUMENT',
      /bigint/,
      () => ({ page: page(), changes: [{ kind: 'step', byNs: 1, at: { taiNs: 1n } }] }),
    ],
    [
      'a change in the past',
      'ERR_SCHEDULE',
      /past/,
      () => ({
        page: page(),
        changes: [{ kind: 'preference', page: 0, preference: 'sane', at: { taiNs: 1n } }],
      }),
    ],
    [
      'two protocols',
      'ERR_BAD_ARGUMENT',
      /protocol/,
      () => ({ page: page(), views: [{ page: ClockPage.create(undefined, { protocol: 'latch' }) }] }),
    ],
    [
      'a generation and two pages',
      'ERR_BAD_ARGUMENT',
      /generation/,
      () => ({ page: page(), views: [{ page: ClockPage.create(undefined, { generation: 'page' }) }] }),
    ],
  ])('%s', async (_what, code, message, options) => {
    const starting = Timekeeper.start(options() as unknown as TimekeeperOptions);
    await expect(starting).rejects.toThrow(refusal(code, message));
    await expect(starting).rejects.toBeInstanceOf(LatchclockError);
  });
});
