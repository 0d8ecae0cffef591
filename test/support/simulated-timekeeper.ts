import type { Kept, KeptOptions, StartKept } from '../../lib/checks/kept-page.ts';
import { LatchclockError } from '../../lib/errors.ts';
import { createAnonymousPage } from '../../lib/host/clock-page-memory.ts';
import { openHost } from '../../lib/host/host.ts';
import {
  type Addon,
  PAGE_SET_WORDS,
  ReadEnd,
  ReaderGeneration,
  ReaderProtocol,
} from '../../lib/native/addon.ts';
import { getAddon } from '../../lib/native/load.ts';
import { OWN_CLOCKS, type OwnClockName } from '../../lib/page/clock-page.ts';
import { parsePolicy } from '../../lib/smear/custom-policy.ts';
import type { KeeperEvent } from '../../lib/timekeeper/events.ts';
import { leapTimeline } from '../../lib/timekeeper/leap-timeline.ts';
import { openSource } from '../../lib/timekeeper/open-source.ts';
import { Run } from '../../lib/timekeeper/run.ts';
import { withPlacedLeap } from '../../lib/timekeeper/utc-scale.ts';
import { NO_OFFSETS } from '../../lib/timekeeper/view.ts';
import type { SimulatedHost } from './simulated-host.ts';

/** Makes what a reader gave worse: it may change the words of a reading, of a page by its place. */
export type Spoil = (ns: Record<OwnClockName, bigint>, page: number, cycles: bigint) => void;

export interface SimulatedTimekeeperOptions {
  readonly spoil?: Spoil;
  /** Cycles of a read (default 20,000: some us). */
  readonly cyclesPerRead?: bigint;
  /** Whether this read is refused, by how many there were. */
  readonly refuses?: (read: number, cycles: bigint) => boolean;
}

const REFUSED = new LatchclockError('ERR_OUT_OF_WINDOW', 'no value now');

/**
 * A timekeeper that steps as its readers read: real pages and standings, the kernel's page of a simulated machine for a
 * source, and a counter that moves with each read.
 */
export function simulatedTimekeeper(
  { addon, files, kernel }: SimulatedHost,
  { spoil, cyclesPerRead = 20_000n, refuses }: SimulatedTimekeeperOptions = {},
): StartKept {
  return async (_context, options: KeptOptions): Promise<Kept> => {
    const { smear, views = [], protocol = 'two-window', updateMs } = options;
    const native = getAddon();
    // A seqlock's writer waits for the counter of the real machine.
    const publishing: Addon = {
      ...native,
      publishClockPage: (memory, written, words, keep, atOnce, keptFirst) => {
        native.publishClockPage(memory, written, words, keep, atOnce || protocol === 'seqlock', keptFirst);
        return true;
      },
    };
    const wanted = [options, ...views];
    const pages = wanted.map(({ preference = 'sane', namespace = NO_OFFSETS }) => ({
      page: createAnonymousPage(native, {
        counter: 'tsc',
        protocol: protocol === 'seqlock' ? 'latch' : protocol,
        generationSource: 'none',
        arithmetic: 'wide',
        clocks: OWN_CLOCKS,
      }),
      view: { preference, namespace },
    }));
    const source = openSource(openHost(addon, files), options.source ?? 'auto');
    const events: KeeperEvent[] = [];
    let timeline = leapTimeline();
    const leap = smear?.leap;
    if (typeof leap === 'object' && 'taiNs' in leap)
      timeline = withPlacedLeap(timeline, leap.taiNs, leap.sign);
    const run = new Run({
      addon: publishing,
      source,
      pages,
      timeline,
      policy: smear == null ? null : parsePolicy(smear.policy),
      ...(updateMs === undefined ? {} : { updateMs }),
      onEvent: (event) => events.push(event),
    });
    const hz = source.hz;
    const msAt = (): number => (Number(kernel.counter) / hz) * 1000;
    let due = msAt();
    let reads = 0;
    const read = (page: number, words: BigInt64Array): void => {
      kernel.counter += cyclesPerRead;
      for (let steps = 0; steps < 4 && msAt() >= due; steps++) due = msAt() + run.step();
      reads++;
      const cycles = kernel.counter;
      if (refuses?.(reads, cycles) === true) throw REFUSED;
      const { bytes, header } = (pages[page] as (typeof pages)[0]).page;
      const reader = header.protocol === 'two-window' ? 'two-window' : 'latch-window';
      const found = native.readClockPageSetAt(
        bytes.slice(),
        ReaderProtocol[reader],
        ReaderGeneration.none,
        true,
        (1 << OWN_CLOCKS.length) - 1,
        cycles,
        8,
        8,
      );
      if (found.end !== ReadEnd.value) throw REFUSED;
      words.set(found.words.subarray(0, PAGE_SET_WORDS));
      if (spoil === undefined) return;
      const ns = Object.fromEntries(
        OWN_CLOCKS.map((clock, at) => [clock, words[3 + at] as bigint]),
      ) as Record<OwnClockName, bigint>;
      spoil(ns, page, cycles);
      for (const [at, clock] of OWN_CLOCKS.entries()) words[3 + at] = ns[clock];
    };
    return {
      source: source.name,
      read: pages.map((_, page) => (words) => read(page, words)),
      events,
      check: () => undefined,
      schedule: async (change) => run.schedule(change),
      setPreference: async (preference) => run.setPreference(0, preference),
      counter: () => kernel.counter,
      nowMs: msAt,
      stop: async () => run.stop(),
    };
  };
}
