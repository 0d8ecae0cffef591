import { describe, expect, test } from 'vitest';
import { ReadEnd, ReaderGeneration, ReaderProtocol } from '../../lib/native/addon.js';
import { getAddon } from '../../lib/native/load.js';
import { withGenerationOf } from '../../lib/timekeeper/page-generation.js';
import { Run } from '../../lib/timekeeper/run.js';
import { NO_OFFSETS } from '../../lib/timekeeper/view.js';
import { PROTOCOLS, type Protocol, pageFor, READERS, RunningSource, setGeneration } from './run-support.js';
import { MS, QUIET } from './support.js';

const UPDATE_MS = 8;
const native = getAddon();

/** A run on a page with a generation, whose counter can be moved at any of its readings. */
function moving(protocol: Protocol, isFree = false) {
  const source = new RunningSource({ cycles: 10n ** 15n, monotonicNs: 10n ** 15n, isFree });
  const page = pageFor(protocol, 'page');
  let generation = 1n;
  setGeneration(page, generation);
  const run = new Run({
    addon: native,
    source: withGenerationOf(page, source),
    pages: [{ page, view: { preference: 'sane', namespace: NO_OFFSETS } }],
    timeline: QUIET,
    policy: null,
  });
  return {
    run,
    source,
    move: (to: bigint): void => {
      source.moveCounter(to, true);
      setGeneration(page, ++generation);
    },
    /** monotonic now; null where readers are refused. */
    read: (): bigint | null => {
      const { end, ns } = native.readClockPageAt(
        page.bytes,
        ReaderProtocol[READERS[protocol]],
        ReaderGeneration.tagged,
        true,
        1,
        source.cycles,
        0n,
        8,
        8,
      );
      return end === ReadEnd.value ? ns : null;
    },
    sleep: (ms: number): void => source.advance(BigInt(Math.ceil(ms * 1e6))),
  };
}

describe.each(PROTOCOLS)(
  'a counter that is moved at any of its readings by the writer of a %s',
  (protocol) => {
    const directions = [
      ['down', 10n ** 12n],
      ['up', 10n ** 15n + 10n ** 13n],
      ['a little down', 10n ** 15n - 5n * MS],
    ] as const;

    test.each(directions)(
      '%s lets it never sleep longer than between two updates, and readers have values again after three',
      (_, to) => {
        let moved = 0;
        for (let reading = 1; reading <= 40; reading++) {
          const { run, source, move, read, sleep } = moving(protocol);
          for (let step = 0; step < 5; step++) sleep(run.step());
          let left = reading;
          source.watch = () => {
            if (--left !== 0) return;
            move(to);
            moved++;
          };
          // Up to the step in which it is moved, and three more.
          for (let after = 0; after < 4; after += left > 0 ? 0 : 1) {
            const ms = run.step();
            expect(ms).toBeLessThanOrEqual(UPDATE_MS);
            sleep(ms);
          }
          const truth = source.sample().monotonic;
          const wanted = (truth.scaledNs + (source.cycles - truth.base) * truth.mult) >> BigInt(truth.shift);
          expect(read(), `reading ${reading}`).toBe(wanted);
        }
        expect(moved).toBe(40);
      },
    );

    test('is seen when it wakes for an order, and not when what it waited for would have come', () => {
      const { run, move, sleep } = moving(protocol, true);
      for (let step = 0; step < 5; step++) sleep(run.step());
      sleep(run.step() / 2);
      expect(run.msUntilDue()).toBeGreaterThan(0);
      move(10n ** 12n);
      expect(run.msUntilDue()).toBe(0);
    });
  },
);

test('a source that runs free starts anew from the source, and drops changes at readings of the counter that was', () => {
  for (const to of [10n ** 12n, 10n ** 15n + 10n ** 13n]) {
    const { run, source, move, read, sleep } = moving('two-window', true);
    for (let step = 0; step < 3; step++) sleep(run.step());
    run.schedule({ kind: 'frequency', ratePpt: 90_000_000_000n, at: { cycles: source.cycles + 100n * MS } });
    expect(run.status().scheduled).toBe(1);
    move(to);
    for (let step = 0; step < 3; step++) sleep(run.step());
    expect(run.status().scheduled).toBe(0);
    expect(read()).toBe(10n ** 15n + (source.cycles - source.sample().monotonic.base));
    // What is scheduled just after a move is held against the counter of now.
    move(10n ** 14n);
    run.schedule({ kind: 'frequency', ratePpt: 90_000_000_000n, at: { cycles: source.cycles + 100n * MS } });
    expect(run.status().scheduled).toBe(1);
  }
});
