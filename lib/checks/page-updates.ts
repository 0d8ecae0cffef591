import { explainRecording } from '../compare/explain.js';
import { tallyUpdates } from '../compare/tally.js';
import { kernelCounterHz } from '../host/host.js';
import { type RecordedPage, startRecording } from '../host/page-recording.js';
import { referencePath } from '../host/reference-path.js';
import { ClockPath } from '../native/addon.js';
import { hzOfCoarseResolution } from '../page/kernel-update.js';
import { CLOCK_IDS } from '../page/posix-clocks.js';
import { plural } from './format.js';
import type { Check, Evidence } from './model.js';

/** Of the updates that a busy machine makes. */
const WANTED_SHARE = 0.9;

const updates: Check = {
  id: 'page.updates',
  claim: "Each update of the kernel's page follows from the one before it, to the bit",
  async run({ host, budget, progress, breathe }) {
    // Throws the reason where the page is not known: without a page there is no mode to tell of.
    host.page();
    const counterHz = kernelCounterHz(host);
    if (counterHz === null) {
      return {
        status: 'skip',
        reason: "the page does not count by the TSC: its updates follow another clocksource's equations",
        bound: 'nothing was measured',
        evidence: { clocksource: host.clocksource().current },
        advice: 'It runs with the clocksource tsc.',
      };
    }
    const hz = hzOfCoarseResolution(
      host.addon.clockResolution(
        ClockPath[referencePath(host.addon, 'monotonic-coarse')],
        CLOCK_IDS['monotonic-coarse'],
      ),
    );
    const wanted = ((WANTED_SHARE * budget.recordMs) / 1000) * hz;
    const start = performance.now();
    const recording = startRecording(host, counterHz, (2 * budget.recordMs) / 1000);
    let states: RecordedPage[];
    try {
      // A recorder that is kept from its CPU misses updates: then it gets as much time again.
      const isDone = (elapsed: number): boolean =>
        elapsed >= 2 * budget.recordMs || (elapsed >= budget.recordMs && recording.captured() >= wanted);
      for (let elapsed = 0; !isDone(elapsed); elapsed = performance.now() - start) {
        progress(elapsed / budget.recordMs);
        await breathe(50);
      }
    } finally {
      states = recording.stop();
    }
    const seconds = (performance.now() - start) / 1000;
    const tally = tallyUpdates(explainRecording(states, hz));
    const evidence: Evidence = {
      explained: tally.explained,
      unexplained: tally.unexplained,
      unobserved: tally.unobserved,
      hz,
      seconds,
      intervals: tally.intervals,
      multChanges: tally.multChanges,
      named: tally.named,
      failures: tally.failures,
    };
    const steps = Object.entries(tally.named).map(([name, count]) => `, ${name} ${plural(count, 'time')}`);
    const missed = tally.unobserved === 0 ? 'none missed' : `${plural(tally.unobserved, 'update')} missed`;
    const bound =
      tally.multChanges === 0
        ? "exact, to the kernel's unit of 2^-shift ns"
        : `exact, but at ${plural(tally.multChanges, 'change')} of mult an error below one cycle interval cannot be told`;
    if (tally.unexplained > 0) {
      return {
        status: 'fail',
        reason: `${plural(tally.unexplained, 'update')} unexplained: ${tally.failures[0]?.reasons[0]}`,
        bound,
        evidence,
        advice:
          'The kernel did what its equations do not allow, or latchclock does not know this kernel: please report the ' +
          'evidence.',
      };
    }
    if (tally.explained === 0) {
      return {
        status: 'skip',
        reason: `no update was seen in ${seconds.toFixed(1)} s`,
        bound: 'nothing was measured',
        evidence,
        advice: 'The recorder needs a CPU for itself: run it on a machine that is less busy, or for longer.',
      };
    }
    if (tally.unobserved > tally.explained) {
      return {
        status: 'warn',
        reason: `${plural(tally.explained, 'update')} explained, but ${missed}`,
        bound,
        evidence,
        advice:
          'The recorder was kept from its CPU for more than half of the time: run it again when that is free.',
      };
    }
    return {
      status: 'pass',
      reason: `${plural(tally.explained, 'update')} explained, ${missed}${steps.join('')}`,
      bound,
      evidence,
    };
  },
};

export const pageUpdateChecks: readonly Check[] = [updates];
