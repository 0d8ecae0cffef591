import { describe, expect, test } from 'vitest';
import { bearsOut, expectedUnderStress, hasWindow } from '../../lib/hazards/expected.ts';
import { HAZARD_NAMES, MATRIX_READERS, PROTOCOLS } from '../../lib/hazards/model.ts';
import { addTallies, latenciesOf, progressOf, stress, verdictOf } from '../../lib/hazards/stressed.ts';
import { openMachine } from '../../lib/host/host.ts';
import type { StressTally } from '../../lib/native/addon.ts';

const NOTHING: StressTally = {
  ...{ reads: 100, values: 100, outOfWindow: 0, ranOut: 0, refusedOtherwise: 0, retries: 0, waited: 0 },
  ...{ updates: 10, kills: 0, killedInside: 0, torn: 0, missing: 0, outside: 0 },
  ...{ backwards: 0, worstBackNs: 0, longestCycles: 0 },
};

describe('the verdict on a run', () => {
  test.each(['torn', 'missing', 'outside'] as const)('is unsafe for one value that is %s', (kind) => {
    expect(verdictOf({ ...NOTHING, [kind]: 1, backwards: 1 }, 'latch-window', 'update')).toBe('unsafe');
  });

  test.each(['seqlock', 'latch'] as const)(
    'of a %s, which has no windows, takes values from outside of one for wrong under the hazards of windows only',
    (protocol) => {
      const tally = { ...NOTHING, outside: 3_092_920 };
      for (const hazard of ['update', 'writer-stalled', 'writer-killed'] as const)
        expect(verdictOf(tally, protocol, hazard), hazard).toBe('safe');
      for (const hazard of ['window-expired', 'counter-behind'] as const)
        expect(verdictOf(tally, protocol, hazard), hazard).toBe('unsafe');
      expect(verdictOf({ ...tally, torn: 1 }, protocol, 'writer-stalled')).toBe('unsafe');
    },
  );

  test('is lags for right values out of order, else safe', () => {
    expect(verdictOf({ ...NOTHING, backwards: 1 }, 'latch', 'update')).toBe('lags');
    expect(verdictOf(NOTHING, 'latch', 'update')).toBe('safe');
  });

  test('bears out what was expected only if it is that, or a lag that did not happen', () => {
    expect(bearsOut('safe', 'lags')).toBe(true);
    for (const [found, expected] of [
      ['lags', 'safe'],
      ['unsafe', 'safe'],
      ['safe', 'unsafe'],
      ['unsafe', 'lags'],
      ['lags', 'unsafe'],
    ] as const) {
      expect(bearsOut(found, expected), `${found} for ${expected}`).toBe(false);
    }
  });
});

describe('progress', () => {
  test.each(['outOfWindow', 'refusedOtherwise'] as const)('refuses where %s is counted', (kind) => {
    expect(progressOf({ ...NOTHING, [kind]: 1 })).toBe('refuses');
  });

  test.each(['waited', 'ranOut'] as const)('waits where %s is counted, also if others refused', (kind) => {
    expect(progressOf({ ...NOTHING, [kind]: 1, outOfWindow: 1 })).toBe('waits');
  });

  test('is free however often copies were thrown away', () => {
    expect(progressOf({ ...NOTHING, retries: 1_000_000 })).toBe('free');
  });
});

test('two runs add up, but for the largest step back', () => {
  const sum = addTallies({ ...NOTHING, torn: 1, worstBackNs: 5 }, { ...NOTHING, torn: 2, worstBackNs: 3 });
  expect(sum).toMatchObject({ reads: 200, torn: 3, worstBackNs: 5 });
});

describe('latencies', () => {
  test('are null where none were counted', () => {
    expect(latenciesOf(new BigInt64Array(0), 0, 1e9)).toBeNull();
    expect(latenciesOf(new BigInt64Array(976), 0, 1e9)).toBeNull();
  });

  test('are told by the upper end of their bucket, the longest exactly', () => {
    const counts = new BigInt64Array(976);
    counts[7] = 500n; // 7 cycles
    counts[16] = 490n; // 16 cycles
    counts[47] = 9n; // 62 and 63 cycles
    counts[112] = 1n; // 1024 to 1087 cycles
    const found = latenciesOf(counts, 1_030, 1e9);
    const expected = { samples: 1_000, p50: 7, p99: 16, p999: 63, max: 1_030 };
    expect(Object.keys(found ?? {})).toEqual(Object.keys(expected));
    for (const [name, value] of Object.entries(expected))
      expect(found?.[name as keyof typeof expected], name).toBeCloseTo(value, 6);
  });
});

test('the matrix has each sound protocol with and without generation, the others once', () => {
  expect(MATRIX_READERS.map(({ protocol, generation }) => `${protocol}${generation ? '+' : ''}`)).toEqual([
    ...['seqlock', 'seqlock+', 'latch', 'latch+', 'latch-window', 'latch-window+'],
    ...['two-window', 'two-window+', 'untagged-latch-window+', 'literal-latch-window', 'literal-two-window'],
  ]);
});

test('without a window a reader is expected to believe a counter outside of it', () => {
  for (const protocol of PROTOCOLS) {
    for (const hazard of HAZARD_NAMES) {
      const expected = expectedUnderStress(protocol, hazard);
      if (!hasWindow(protocol) && (hazard === 'window-expired' || hazard === 'counter-behind'))
        expect(expected).toBe('unsafe');
      if (hazard.startsWith('migration') || hazard.startsWith('adjust'))
        expect(expected).toBe('not-applicable');
    }
  }
});

describe('on the real counter', () => {
  const host = openMachine();
  const cpus = host.addon.cpuAffinity();
  const breathe = async (): Promise<void> => undefined;
  const amount = { milliseconds: 20, kills: 10, seed: 1n };

  test.each(['seqlock', 'latch', 'latch-window', 'two-window'] as const)(
    '%s gives no torn value',
    async (protocol) => {
      for (const wide of [false, true]) {
        for (const hazard of ['update', 'writer-killed'] as const) {
          const { tally } = await stress(
            host,
            { protocol, generation: 'tagged', wide },
            hazard,
            cpus,
            amount,
            breathe,
          );
          expect(tally, hazard).toMatchObject({ torn: 0, missing: 0 });
          // Beside a killed writer a seqlock may have no value at all, where the machine is busy.
          expect(tally.reads, hazard).toBeGreaterThan(0);
        }
      }
    },
  );

  test("the seed's sketch as written leaves its loop without a value once the window has ended", async () => {
    const reader = { protocol: 'literal-latch-window', generation: 'none', wide: true } as const;
    const { tally } = await stress(host, reader, 'window-expired', cpus, amount, breathe);
    expect(tally.missing).toBeGreaterThan(0);
    expect(verdictOf(tally, reader.protocol, 'window-expired')).toBe('unsafe');
  });

  test("the follow-up's sketch with its slips returns values that are wrong", async () => {
    const reader = { protocol: 'literal-two-window', generation: 'none', wide: true } as const;
    const { tally } = await stress(host, reader, 'update', cpus, { ...amount, milliseconds: 60 }, breathe);
    expect(verdictOf(tally, reader.protocol, 'update')).toBe('unsafe');
  });

  test('while its writer stalls a seqlock waits, and says how long; a latch does not', async () => {
    const run = (protocol: 'seqlock' | 'latch') =>
      stress(
        host,
        { protocol, generation: 'none', wide: true },
        'writer-stalled',
        cpus,
        { ...amount, milliseconds: 100 },
        breathe,
      );
    const [seqlock, latch] = [await run('seqlock'), await run('latch')];
    expect(progressOf(seqlock.tally)).toBe('waits');
    expect(progressOf(latch.tally)).toBe('free');
    const { latencyNs } = seqlock;
    expect(latencyNs?.samples).toBeGreaterThan(0);
    expect(latencyNs?.max).toBeGreaterThanOrEqual(latencyNs?.p999 ?? Infinity);
    expect(latencyNs?.p99).toBeGreaterThanOrEqual(latencyNs?.p50 ?? Infinity);
  });

  test('a long run is made in parts, so that it can be interrupted', async () => {
    let parts = 0;
    const stop = async (): Promise<void> => {
      if (++parts === 3) throw new Error('stopped');
    };
    const reader = { protocol: 'latch', generation: 'none', wide: true } as const;
    await expect(
      stress(host, reader, 'writer-killed', cpus, { ...amount, kills: 1_000_000 }, stop),
    ).rejects.toThrow('stopped');
    expect(parts).toBe(3);
    parts = 0;
    const { tally } = await stress(
      host,
      reader,
      'writer-killed',
      cpus,
      { ...amount, kills: 15 },
      async () => {
        parts++;
      },
    );
    expect(parts).toBe(2);
    expect(tally.kills).toBe(15);
  });
});
