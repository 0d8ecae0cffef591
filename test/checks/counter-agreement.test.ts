import { describe, expect, test } from 'vitest';
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
      addon.pingPong = (_here, _there, rounds) => ({ lowest, highest, rounds, bestRoundTrip: 104n });
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
      });
    });
    expect(verdict).toMatchObject({ status: 'fail', reason: 'CPU 1 is ahead of CPU 0 by 1 cycles or more' });
  });

  test('warns where the offset is hardly known', async () => {
    const verdict = await runCheckOn({}, 'counter.offset', ({ addon }) => {
      addon.pingPong = (_here, _there, rounds) => ({
        lowest: -(10n ** 7n),
        highest: 10n ** 7n,
        rounds,
        bestRoundTrip: 1n,
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
    expect(verdict.reason).toBe(`CPU 1 is ${word} CPU 0 by ${atLeast} cycles or more`);
  });
});
