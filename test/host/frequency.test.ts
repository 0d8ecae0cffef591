import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { machineFiles } from '../../lib/host/files.ts';
import {
  type CounterAnchor,
  clockStepOf,
  isReference,
  measureClockStep,
  measureFrequency,
  requireReference,
  takeAnchor,
} from '../../lib/host/frequency.ts';
import { kernelCounterHz, openHost } from '../../lib/host/host.ts';
import { getAddon } from '../../lib/native/load.ts';
import { simulatedHost } from '../support/simulated-host.ts';

const FEMTO = 1_000_000_000_000_000n;

/**
 * An anchor on a counter of `hz` and a clock that floors: the clock is read at `readFs` (femtoseconds), the counter
 * `leadFs` before and `lagFs` after it.
 */
function anchorAt(
  hz: bigint,
  phase: bigint,
  readFs: bigint,
  leadFs: bigint,
  lagFs: bigint,
  stepNs = 1n,
): CounterAnchor {
  const cyclesAt = (fs: bigint): bigint => (fs * hz + phase) / FEMTO;
  const ns = readFs / 1_000_000n;
  return {
    before: cyclesAt(readFs - leadFs),
    ns: ns - (ns % stepNs),
    after: cyclesAt(readFs + lagFs),
    stepNs,
    stoodStill: stepNs > 1n,
  };
}

const FINE = { stepNs: 1n, stoodStill: false };

describe('the bound of a measured frequency', () => {
  test('holds the true one, wherever in its bracket and in a step of the clock each reading fell', () => {
    const delay = fc.bigInt({ min: 0n, max: 5_000_000_000n });
    fc.assert(
      fc.property(
        fc.bigInt({ min: 10_000_000n, max: 6_000_000_000n }),
        fc.bigInt({ min: 0n, max: FEMTO - 1n }),
        fc.bigInt({ min: FEMTO, max: 1_000n * FEMTO }),
        fc.bigInt({ min: FEMTO / 1_000n, max: 100n * FEMTO }),
        fc.tuple(delay, delay, delay, delay),
        fc.constantFrom(1n, 70n, 280n, 500_000n),
        (hz, phase, startFs, spanFs, [lead1, lag1, lead2, lag2], stepNs) => {
          const first = anchorAt(hz, phase, startFs, lead1, lag1, stepNs);
          const second = anchorAt(hz, phase, startFs + spanFs, lead2, lag2, stepNs);
          const measured = measureFrequency(first, second);
          const off = Math.abs(Number(hz) - measured.hz);
          // A counter reading is a floor as well: a cycle either way.
          const cycle = (2 * 1e9) / Number(measured.spanNs);
          expect(off).toBeLessThanOrEqual((measured.boundPpm * measured.hz) / 1e6 + cycle);
          expect(measured.spanNs).toBe(second.ns - first.ns);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test('is as narrow as the brackets: half their sum and a nanosecond', () => {
    // 1 GHz, a second, brackets of 100 and 300 cycles in all.
    const first = { before: 0n, ns: 50n, after: 100n, ...FINE };
    const second = { before: 1_000_000_000n, ns: 1_000_000_050n, after: 1_000_000_300n, ...FINE };
    const { hz, boundPpm } = measureFrequency(first, second);
    expect(hz).toBeCloseTo(1_000_000_100, 0);
    expect(boundPpm).toBeCloseTo(0.201, 3);
  });

  test('shrinks as the span grows', () => {
    const bound = (spanNs: bigint): number =>
      measureFrequency(
        { before: 0n, ns: 0n, after: 100n, ...FINE },
        { before: 3n * spanNs, ns: spanNs, after: 3n * spanNs + 100n, ...FINE },
      ).boundPpm;
    expect(bound(1_000_000_000n) / bound(10_000_000_000n)).toBeCloseTo(10, 3);
  });

  test.each([0n, 1n, -5n])('a span of %s ns, which the bound cannot be had from, is refused', (spanNs) => {
    const first = { before: 0n, ns: 100n, after: 100n, ...FINE };
    expect(() => measureFrequency(first, { before: 500n, ns: 100n + spanNs, after: 600n, ...FINE })).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }),
    );
  });
});

describe('the step of a clock', () => {
  /** Readings of a clock with this step, after delays that differ. */
  const readings = (stepNs: bigint, delays: readonly bigint[]): bigint[] => {
    let now = 987_654_321n;
    return delays.map((delay) => {
      now += delay;
      return now - (now % stepNs);
    });
  };

  test('is never taken for less than it is, but for the rounding to whole nanoseconds', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 3n, max: 10_000_000n }),
        fc.array(fc.bigInt({ min: 0n, max: 1_000_000n }), { minLength: 2, maxLength: 50 }),
        (stepNs, delays) => {
          const found = clockStepOf(readings(stepNs, delays));
          if (found !== null) expect(found.stepNs).toBeGreaterThanOrEqual(stepNs);
        },
      ),
    );
  });

  test('shows through readings that take longer than it', () => {
    const delays = Array.from({ length: 200 }, (_, index) => 3_000n + BigInt((index * 7919) % 900));
    expect(clockStepOf(readings(280n, delays))).toEqual({ stepNs: 280n, stoodStill: false });
  });

  test('of 4 ms is seen where a tick falls between two readings, and is no reference', () => {
    const step = clockStepOf([8_000_000n, 8_000_000n, 12_000_000n, 12_000_000n]);
    expect(step).toEqual({ stepNs: 4_000_000n, stoodStill: true });
    expect(isReference(step as NonNullable<typeof step>)).toBe(false);
    expect(() => requireReference(step as NonNullable<typeof step>)).toThrow(
      expect.objectContaining({ code: 'ERR_CANNOT_RUN', message: expect.stringContaining('4000000 ns') }),
    );
  });

  test('up to a microsecond is a reference, as is a clock that never stood still', () => {
    expect(isReference({ stepNs: 1_000n, stoodStill: true })).toBe(true);
    expect(isReference({ stepNs: 1_001n, stoodStill: true })).toBe(false);
    expect(isReference({ stepNs: 50_000n, stoodStill: false })).toBe(true);
  });

  test('is none where the clock did not move', () => {
    expect(clockStepOf([5n, 5n, 5n])).toBeNull();
    expect(clockStepOf([])).toBeNull();
  });

  test('of a simulated clock that moves with the tick is found by reading on', () => {
    const { addon } = simulatedHost({ clockStepNs: 4_000_000n, cyclesPerReading: () => 26_000n });
    expect(measureClockStep(addon)).toEqual({ stepNs: 4_000_000n, stoodStill: true });
    expect(takeAnchor(addon)).toMatchObject({ stepNs: 4_000_000n, stoodStill: true });
  });

  test("of this machine's clocks is that of a reference", () => {
    expect(isReference(measureClockStep(getAddon()))).toBe(true);
  });
});

describe('an anchor', () => {
  test('is the narrowest of many brackets', () => {
    let reading = 0;
    const { addon } = simulatedHost({
      cyclesPerReading: () => (++reading === 50 || reading === 51 ? 7n : 100n),
    });
    const { before, after } = takeAnchor(addon);
    expect(after - before).toBeLessThan(200n);
  });

  test('is never one in which the counter ran backwards', () => {
    let reading = 0;
    const { addon } = simulatedHost({ cyclesPerReading: () => (++reading % 90 === 0 ? -5_000n : 100n) });
    const { before, after } = takeAnchor(addon);
    expect(after - before).toBe(200n);
  });

  test('is refused where the counter runs backwards every time', () => {
    const { addon } = simulatedHost({ cyclesPerReading: () => -10n });
    expect(() => takeAnchor(addon)).toThrow(expect.objectContaining({ code: 'ERR_CANNOT_RUN' }));
  });

  test('two of them on a simulated machine give its frequency within the bound', () => {
    const { addon, kernel } = simulatedHost();
    const first = takeAnchor(addon);
    kernel.counter += 2_600_000_000n;
    const second = takeAnchor(addon);
    const trueHz = (1e9 * 2 ** 24) / Number(kernel.multRaw);
    const { hz, boundPpm } = measureFrequency(first, second);
    expect(Math.abs(hz - trueHz)).toBeLessThanOrEqual((hz * boundPpm) / 1e6);
    expect(boundPpm).toBeLessThan(1);
  });
});

const machine = openHost(getAddon(), machineFiles);
const kernelHz = kernelCounterHz(machine);

test.skipIf(kernelHz === null)(
  kernelHz === null
    ? "this machine's counter runs at the kernel's own rate (skipped: its page has no TSC cycles)"
    : "this machine's counter runs at the kernel's own rate, within the bound and what mult rounds",
  async () => {
    const first = takeAnchor(machine.addon);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { hz, boundPpm } = measureFrequency(first, takeAnchor(machine.addon));
    const trueHz = kernelHz ?? 0;
    // Monotonic-raw advances by mult itself: the relation is exact but for the bound.
    expect(Math.abs(hz - trueHz)).toBeLessThanOrEqual((hz * boundPpm) / 1e6);
  },
);
