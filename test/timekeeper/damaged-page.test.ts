import { mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createPageFile, type WritableClockPage } from '../../lib/host/clock-page-memory.js';
import { getAddon } from '../../lib/native/load.js';
import { CLOCK_PAGE_OFFSETS, COPY_OFFSETS, OWN_CLOCKS } from '../../lib/page/clock-page.js';
import { Run } from '../../lib/timekeeper/run.js';
import type { Standing } from '../../lib/timekeeper/standing.js';
import { NO_OFFSETS, type View } from '../../lib/timekeeper/view.js';
import { PROTOCOLS, type Protocol, RunningSource, readAt } from './run-support.js';
import { clocksAt, QUIET } from './support.js';

const SANE: View = { preference: 'sane', namespace: NO_OFFSETS };
const addon = getAddon();
const folder = mkdtempSync(join(tmpdir(), 'latchclock-damaged-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;

interface Running {
  readonly path: string;
  readonly page: WritableClockPage;
  readonly source: RunningSource;
  readonly run: Run;
  step(): void;
}

/** A run on page files, which can be cut; the other page is left alone. */
function running(protocol: Protocol): Running & { readonly other: WritableClockPage } {
  const source = new RunningSource();
  const pathOf = () => join(folder, `${files++}`);
  const make = (path: string): WritableClockPage =>
    createPageFile(addon, path, {
      ...{ counter: 'tsc', protocol, generationSource: 'none', arithmetic: 'wide', clocks: [...OWN_CLOCKS] },
    });
  const path = pathOf();
  const [page, other] = [make(path), make(pathOf())];
  const pages = [page, other].map((one) => ({ page: one, view: SANE }));
  const run = new Run({ addon, source, pages, timeline: QUIET, policy: null });
  const step = (): void => source.advance(BigInt(Math.ceil((run.step() * source.hz) / 1000)));
  return { path, page, other, source, run, step };
}

/** Every clock of a page is refused, or what the standings say. */
function look({ page, source, run }: Running): { refused: number } {
  const { cycles } = source;
  const { standings } = run.status();
  const right = standings.map((standing: Standing) => clocksAt(standing, SANE, cycles));
  let refused = 0;
  for (const clock of OWN_CLOCKS) {
    const ns = readAt(page, clock, cycles);
    if (ns === null) refused++;
    else expect(right.map((clocks) => clocks[clock])).toContain(ns);
  }
  return { refused };
}

describe.each(PROTOCOLS)('a %s page under a running writer', (protocol) => {
  test('that is cut to any size gives no wrong value, before the next update or after, which ends the run', () => {
    for (const size of [1, 0x3f, 0x47, 0x100, 0x12f, 0x178, 0x19e, 0x207, 0x208, 0x234, 0x298, 0x2bf, 4095]) {
      const one = running(protocol);
      for (let update = 0; update < 3; update++) one.step();
      expect(look(one).refused).toBe(0);
      truncateSync(one.path, size);
      look(one);
      // A latch or a seqlock makes its next step in two.
      const steps = (): void => {
        for (let update = 0; update < 4; update++) one.step();
      };
      expect(steps).toThrow(
        expect.objectContaining({ code: 'ERR_BAD_PAGE', what: expect.stringContaining('cut short') }),
      );
      expect(look(one).refused).toBe(OWN_CLOCKS.length);
      expect(look({ ...one, page: one.other }).refused).toBe(OWN_CLOCKS.length);
      one.page.close();
      one.other.close();
    }
  });

  test('whose header is damaged in any byte ends the run at the next update, and all readers are refused', () => {
    for (let at = 0; at < CLOCK_PAGE_OFFSETS.count; at += 3) {
      const one = running(protocol);
      one.step();
      one.page.bytes[at] = (one.page.bytes[at] ?? 0) ^ 0x40;
      const steps = (): void => {
        for (let update = 0; update < 4; update++) one.step();
      };
      expect(steps).toThrow(
        expect.objectContaining({ code: 'ERR_BAD_PAGE', what: "the page's header was changed" }),
      );
      expect(look(one).refused).toBe(OWN_CLOCKS.length);
      one.page.close();
      one.other.close();
    }
  });

  test('that was cut and made longer again is what a successor starts on, with whole copies only', () => {
    for (const size of [0x108, 0x178, 0x208, 0x298]) {
      const one = running(protocol);
      for (let update = 0; update < 3; update++) one.step();
      truncateSync(one.path, size);
      truncateSync(one.path, 4096);
      const { page, source } = one;
      const run = new Run({ addon, source, pages: [{ page, view: SANE }], timeline: QUIET, policy: null });
      for (let update = 0; update < 3; update++) {
        look({ ...one, run });
        source.advance(BigInt(Math.ceil((run.step() * source.hz) / 1000)));
      }
      expect(look({ ...one, run }).refused).toBe(0);
      expect(page.bytes.subarray(COPY_OFFSETS[0]['monotonic.whole']).some((byte) => byte !== 0)).toBe(true);
      page.close();
      one.other.close();
    }
  });
});
