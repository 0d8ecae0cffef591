import { describe, expect, test } from 'vitest';
import { explainRecording } from '../../lib/compare/explain.ts';
import { tallyUpdates } from '../../lib/compare/tally.ts';
import type { RecordedPage } from '../../lib/host/page-recording.ts';
import { decodeKernelPage } from '../../lib/page/kernel-page.ts';
import { simulatedHost } from '../support/simulated-host.ts';

const HZ = 250;
/** One interval of the simulated kernel: 4 ms at its uncorrected mult of 6462365. */
const INTERVAL = 10_384_567n;

/** States of a simulated kernel's page, an update apart. */
function record(updates: number): RecordedPage[] {
  const { addon, kernel, layout, pageAddress } = simulatedHost();
  return Array.from({ length: updates }, () => {
    kernel.counter += INTERVAL;
    kernel.update(INTERVAL);
    const bytes = addon.copyMemory(pageAddress, 4096);
    return { before: kernel.counter, after: kernel.counter, snapshot: decodeKernelPage(bytes, layout) };
  });
}

describe('a recording', () => {
  test('explains every update of a sound kernel', () => {
    const tally = tallyUpdates(explainRecording(record(50), HZ));
    expect(tally).toMatchObject({ explained: 49, unexplained: 0, unobserved: 0, intervals: 49n, named: {} });
  });

  test('counts updates that were missed, and explains none across the gap', () => {
    const states = record(20).filter((_, index) => index < 5 || index > 8);
    expect(tallyUpdates(explainRecording(states, HZ))).toMatchObject({
      explained: 14,
      unexplained: 0,
      unobserved: 4,
    });
  });

  test('flags a word that does not follow, with the equation', () => {
    const states = record(10);
    const wrong = states[5] as RecordedPage;
    const { monotonic } = wrong.snapshot.basetimes;
    const basetimes = {
      ...wrong.snapshot.basetimes,
      monotonic: { ...monotonic, nsecAsStored: monotonic.nsecAsStored + 1n },
    };
    states[5] = { ...wrong, snapshot: { ...wrong.snapshot, basetimes } };
    const tally = tallyUpdates(explainRecording(states, HZ));
    // Into the wrong state and out of it again.
    expect(tally).toMatchObject({ explained: 7, unexplained: 2 });
    expect(tally.failures[0]?.reasons.join()).toContain('monotonic');
  });

  test('flags an update that counts cycles from after it was seen', () => {
    const states = record(3).map((state) => ({ ...state, after: 1n }));
    expect(tallyUpdates(explainRecording(states, HZ))).toMatchObject({ explained: 0, unexplained: 2 });
  });
});
