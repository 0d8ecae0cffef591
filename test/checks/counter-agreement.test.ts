import { describe, expect, test } from 'vitest';
import { NO_STRAY } from '../../lib/checks/pinning.ts';
import { runCheckOn } from '../support/run-check.ts';

const ONE_CPU = { cpus: [3] };

describe('counter.granularity', () => {
  test('gives the step that all readings share', async () => {
    let turn = 0n;
    const verdict = await runCheckOn(
      { cyclesPerReading: () => 26n * (1n + (turn++ % 3n)) },
      'counter.granularity',
    );
    expect(verdict).toMatchObject({ status: 'pass', evidence: { stepCycles: 26n, smallestSeenCycles: 26n } });
  });

  test('warns of a counter that moves in steps of more than a microsecond', async () => {
    const verdict = await runCheckOn({ cyclesPerReading: () => 3_000_000n }, 'counter.granularity');
    expect(verdict.status).toBe('warn');
  });
});

describe('counter.granularity of a suspect counter', () => {
  test('fails on one that stands still', async () => {
    const verdict = await runCheckOn({}, 'counter.granularity', ({ addon }) => {
      addon.readCounters = (_method, cycles) => void cycles.fill(7n);
    });
    expect(verdict).toMatchObject({ status: 'fail', reason: 'the counter stands still' });
  });

  test('warns of readings that take microseconds each, whatever the step', async () => {
    let turn = 0n;
    const cyclesPerReading = (): bigint => 30_000n + (turn++ % 2n);
    expect(await runCheckOn({ cyclesPerReading }, 'counter.granularity')).toMatchObject({ status: 'warn' });
  });
});

describe('counter.order', () => {
  test('passes on a counter that only goes on', async () => {
    expect(await runCheckOn({}, 'counter.order')).toMatchObject({
      status: 'pass',
      evidence: { fenced: { count: 0 }, unfenced: { count: 0 } },
    });
  });

  test('fails on one that goes back now and then, and gives the largest step', async () => {
    let reading = 0;
    const cyclesPerReading = (): bigint => (++reading % 1000 === 0 ? -700n : 100n);
    const verdict = await runCheckOn({ cyclesPerReading }, 'counter.order');
    expect(verdict).toMatchObject({ status: 'fail', evidence: { fenced: { worstCycles: 700n } } });
  });
});

describe('counter.warp', () => {
  test('passes on equal counters, and counts what it read', async () => {
    const verdict = await runCheckOn({}, 'counter.warp');
    expect(verdict).toMatchObject({ status: 'pass', evidence: { backwards: 0, pairs: 1 } });
    expect(verdict.evidence['reads']).toBeGreaterThanOrEqual(2_000);
  });

  test('fails, naming the pair, when one CPU is behind the other', async () => {
    const verdict = await runCheckOn({ counterOffset: (cpu) => (cpu === 1 ? -5_000n : 0n) }, 'counter.warp');
    expect(verdict).toMatchObject({ status: 'fail', evidence: { warped: [[0, 1]] } });
    expect(verdict.evidence['worstCycles']).toBeGreaterThan(4_000);
  });

  test('skips where no reading was handed over between CPUs', async () => {
    const verdict = await runCheckOn({}, 'counter.warp', ({ addon }) => {
      const { lockStep } = addon;
      addon.lockStep = (...request) => ({ ...lockStep(...request), handOvers: 0 });
    });
    expect(verdict).toMatchObject({ status: 'skip' });
  });

  test.each([0, 3, 99])(
    'skips with %d hand-overs of the 100 that a pair needs, and says so',
    async (handOvers) => {
      let first = true;
      const verdict = await runCheckOn({}, 'counter.warp', ({ addon }) => {
        const { lockStep } = addon;
        addon.lockStep = (...request) => {
          const tally = { ...lockStep(...request), handOvers: first ? handOvers : 0 };
          first = false;
          return tally;
        };
      });
      expect(verdict).toMatchObject({ status: 'skip', advice: expect.stringContaining('busy') });
      expect(verdict.reason).toMatch(
        new RegExp(`^CPUs 0 and 1 had ${handOvers} hand-overs? of the 100 needed$`),
      );
    },
  );

  test('tries a pair again whose threads hardly met, until it has what it needs', async () => {
    let calls = 0;
    const verdict = await runCheckOn({}, 'counter.warp', ({ addon }) => {
      const { lockStep } = addon;
      addon.lockStep = (...request) => ({ ...lockStep(...request), handOvers: ++calls < 4 ? 10 : 200 });
    });
    expect(verdict).toMatchObject({ status: 'pass', evidence: { handOvers: 230 } });
  });

  test('tries every pair of CPUs', async () => {
    const options = { cpus: [0, 1, 2, 5], counterOffset: (cpu: number) => (cpu === 5 ? -5_000n : 0n) };
    const verdict = await runCheckOn(options, 'counter.warp');
    expect(verdict.evidence['pairs']).toBe(6);
    expect((verdict.evidence['warped'] as number[][]).map((pair) => pair.join()).toSorted()).toEqual([
      '0,5',
      '1,5',
      '2,5',
    ]);
  });

  test.each(['counter.warp', 'counter.offset'])('%s needs two CPUs, and says so', async (id) => {
    const verdict = await runCheckOn(ONE_CPU, id);
    expect(verdict.status).toBe('skip');
    expect(verdict.reason).toContain('one CPU');
  });
});

describe('an affinity that is accepted and ignored', () => {
  test.each(['counter.warp', 'counter.offset', 'clock.monotonic'])(
    'is seen by %s: a skip that says where the thread was, never a pass',
    async (id) => {
      const verdict = await runCheckOn({ stuckOnCpu: 0 }, id);
      expect(verdict).toMatchObject({
        status: 'skip',
        reason: 'a thread pinned to CPU 1 ran on CPU 0',
        advice: expect.stringContaining('sched_setaffinity'),
      });
      expect(verdict.bound).toContain('TSC_AUX');
    },
  );

  test('is a skip of clock.paths too, with what was seen', async () => {
    const verdict = await runCheckOn({ stuckOnCpu: 0 }, 'clock.paths');
    expect(verdict).toMatchObject({ status: 'skip', evidence: { pinning: 'ignored', pinned: false } });
    expect(verdict.reason).toContain('not on the CPUs asked for');
  });

  test.each(['counter.order', 'page.exact'])('stands in the bound of %s', async (id) => {
    const verdict = await runCheckOn({ stuckOnCpu: 0 }, id);
    expect(verdict.status).toBe('pass');
    expect(verdict.bound).toContain('accepted and ignored');
  });

  test('hides no counter that goes back', async () => {
    const options = { stuckOnCpu: 0, counterOffset: (cpu: number) => (cpu === 1 ? -5_000n : 0n) };
    expect(await runCheckOn(options, 'counter.warp')).toMatchObject({ status: 'fail' });
  });
});

describe('two sockets of 32 CPUs whose counters are 5,000 cycles apart', () => {
  const cpus = Array.from({ length: 64 }, (_, cpu) => cpu);
  const apart = (isAhead: (cpu: number) => boolean) => ({
    cpus,
    counterOffset: (cpu: number) => (isAhead(cpu) ? 5_000n : 0n),
  });

  test.each([
    ['CPUs 32-63 are ahead of CPUs 0-31', (cpu: number) => cpu >= 32],
    ['CPUs 1-63:2 are ahead of CPUs 0-62:2', (cpu: number) => cpu % 2 === 1],
    ['CPUs 32-63 are behind CPUs 0-31', (cpu: number) => cpu < 32],
  ])('counter.offset: %s, by how much, in one clause', async (words, isAhead) => {
    const verdict = await runCheckOn(apart(isAhead), 'counter.offset');
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toBe(`${words} by 4,851 cycles (1,869 ns) or more`);
    expect(verdict.evidence).toMatchObject({ pairs: 2_016, unequalPairs: 1_024 });
    expect(verdict.evidence['offsets']).toHaveLength(16);
  });

  test('counter.warp names the two groups, and evidence is bounded', async () => {
    // Each reading of the one group is behind the last of the other.
    const verdict = await runCheckOn(
      apart((cpu) => cpu >= 32),
      'counter.warp',
      ({ addon }) => {
        const { lockStep } = addon;
        addon.lockStep = (source, id, page, pair, _reads, cycles) =>
          lockStep(source, id, page, pair, 110, cycles);
      },
    );
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toMatch(/ between CPUs 0-31 and CPUs 32-63$/);
    expect(verdict.reason.length).toBeLessThan(120);
    expect(verdict.evidence).toMatchObject({ warpedPairs: 1_024 });
    expect(verdict.evidence['warped']).toHaveLength(64);
  }, 30_000);
});

describe('counter.offset', () => {
  /** A counter of the time-stamp kind: it moves by 26 cycles at a time. */
  const STEPPING = { cyclesPerReading: () => 26n };

  test('passes when no offset lies outside the bounds', async () => {
    expect(await runCheckOn(STEPPING, 'counter.offset')).toMatchObject({
      status: 'pass',
      evidence: { pairs: 1, stepCycles: 26n },
    });
  });

  test.each([
    [1n, 105n],
    [25n, 77n],
    [-105n, -25n],
  ])('takes bounds of %d to %d cycles for no offset on a counter in steps of 26', async (lowest, highest) => {
    const verdict = await runCheckOn(STEPPING, 'counter.offset', ({ addon }) => {
      addon.pingPong = (_here, _there, rounds) => ({
        lowest,
        highest,
        rounds,
        bestRoundTrip: 104n,
        stray: NO_STRAY,
      });
    });
    expect(verdict).toMatchObject({ status: 'pass', evidence: { widestCycles: highest - lowest + 50n } });
  });

  test('fails on bounds that exclude zero by a whole step', async () => {
    const verdict = await runCheckOn(STEPPING, 'counter.offset', ({ addon }) => {
      addon.pingPong = (_here, _there, rounds) => ({
        lowest: 26n,
        highest: 78n,
        rounds,
        bestRoundTrip: 104n,
        stray: NO_STRAY,
      });
    });
    expect(verdict).toMatchObject({
      status: 'fail',
      reason: 'CPU 1 is ahead of CPU 0 by 1 cycles (0.4 ns) or more',
    });
  });

  test('warns where the offset is hardly known', async () => {
    const verdict = await runCheckOn({}, 'counter.offset', ({ addon }) => {
      addon.pingPong = (_here, _there, rounds) => ({
        lowest: -(10n ** 7n),
        highest: 10n ** 7n,
        rounds,
        bestRoundTrip: 1n,
        stray: NO_STRAY,
      });
    });
    expect(verdict).toMatchObject({ status: 'warn' });
  });

  test.each([
    [1_000n, 'ahead of', 851n],
    [-1_000n, 'behind', 851n],
  ])('fails on an offset of %d cycles: CPU 1 is %s CPU 0', async (cycles, word, atLeast) => {
    const verdict = await runCheckOn({ counterOffset: (cpu) => (cpu === 1 ? cycles : 0n) }, 'counter.offset');
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toBe(`CPU 1 is ${word} CPU 0 by ${atLeast} cycles (328 ns) or more`);
  });
});
