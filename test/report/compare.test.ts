import { describe, expect, test } from 'vitest';
import { prepareCompare } from '../../lib/compare/run.ts';
import { openHost } from '../../lib/host/host.ts';
import { compareCsv } from '../../lib/report/compare-csv.ts';
import { compareJson } from '../../lib/report/compare-json.ts';
import { compareText } from '../../lib/report/compare-text.ts';
import { textStyle } from '../../lib/report/text.ts';
import { KernelWriter } from '../support/kernel-writer.ts';
import { normalNoise } from '../support/noise.ts';
import { shippedSchema } from '../support/schema.ts';
import { simulatedHost } from '../support/simulated-host.ts';

/** A recording of so many updates, whose mult is one of two at random: white noise of the frequency. */
async function drifting(updates: number) {
  const { addon, files } = simulatedHost({});
  const writer = new KernelWriter();
  const noise = normalNoise(1);
  const states = Array.from({ length: updates }, () => {
    const snapshot = writer.tick(writer.interval, writer.multRaw + (noise() > 0 ? 1n : 0n));
    return { snapshot, before: snapshot.main.cycleLast + 5n, after: snapshot.main.cycleLast + 9n };
  });
  const replay = { kernel: 'recorded', hz: 250, states };
  return prepareCompare(openHost(addon, files), { mode: 'free', replay }).run();
}

describe.each([40, 500])('a drift of %i updates', (updates) => {
  test('follows the schema, and gives a reason for each interval that it does not have', async () => {
    const json = JSON.parse(compareJson(await drifting(updates)));
    const validate = shippedSchema('compare-1');
    validate(json);
    expect(validate.errors).toBeNull();
    for (const { id, fit, allan } of json.clocks) {
      // Raw is the counter: it has no noise.
      const reason = updates < 200 ? 'few' : id === 'monotonic-raw' ? null : 'random-walk';
      expect(fit.noIntervals).toBe(reason);
      expect(fit.frequencyHalfWidthPpb === null).toBe(reason !== null);
      if (updates < 200 || id === 'monotonic-raw') continue;
      expect(allan[0].interval).toMatchObject({ noise: 'white-fm' });
      for (const { deviation, interval } of allan) {
        expect(interval.low).toBeLessThan(deviation);
        expect(interval.high).toBeGreaterThan(deviation);
      }
    }
  });

  test('says the reason in text of 80 columns, and the intervals of its Allan deviations', async () => {
    const text = compareText(await drifting(updates), textStyle({}));
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    expect(text).not.toContain('…');
    if (updates < 200) {
      expect(text).toContain('no ± of all: fewer than 200 samples');
      expect(text).toContain('the kind of noise cannot be told');
    } else {
      expect(text).toContain('no ± of realtime, monotonic, boottime, tai: what lies off the line may be a');
      expect(text).toMatch(/e-\d+ to [\d.]+e-\d+ +white-fm, \d+/);
    }
  });

  test('has a row for each Allan deviation in CSV', async () => {
    const report = await drifting(updates);
    const rows = compareCsv(report.finding).trimEnd().split('\n');
    expect(new Set(rows.map((row) => row.split(',').length))).toEqual(new Set([9]));
    const allan = rows.filter((row) => row.startsWith(',,monotonic,'));
    expect(allan.length).toBeGreaterThan(2);
    expect(allan.every((row) => /,[a-z]+-[a-z-]+$/.test(row))).toBe(updates >= 200);
  });
});
