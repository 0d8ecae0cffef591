import { kernelCounterHz } from '../host/host.js';
import { type RecordedPage, startRecording } from '../host/page-recording.js';
import { referencePath } from '../host/reference-path.js';
import { ClockPath } from '../native/addon.js';
import { explainUpdate, hzOfCoarseResolution, type UpdateExplanation } from '../page/kernel-update.js';
import { CLOCK_IDS } from '../page/posix-clocks.js';
import { plural } from './format.js';
import type { Check, Evidence } from './model.js';

/** What a recording was found to hold. */
interface UpdateTally {
  explained: number;
  unexplained: number;
  /** Updates between two recorded states that were missed. */
  unobserved: number;
  intervals: bigint;
  multChanges: number;
  /** How often each kind of step or change was seen, besides ticks. */
  named: Record<string, number>;
  /** The first few that could not be explained, with the equations that failed. */
  failures: { count: number; reasons: string[] }[];
}

const MOST_FAILURES = 4;
/** Of the updates that a busy machine makes. */
const WANTED_SHARE = 0.9;

function nameOf(explanation: UpdateExplanation): string[] {
  switch (explanation.kind) {
    case 'tick':
      return explanation.steps.map(({ name }) => name);
    case 'forward':
      return explanation.steps.length === 0 ? ['forward'] : explanation.steps.map(({ name }) => name);
    case 'frozen':
    case 'clocksource':
      return [explanation.kind];
    case 'unobserved':
    case 'unexplained':
      return [];
  }
}

/** The counter cannot have been read for an update after the update was seen. */
function prematureReasons(explanation: UpdateExplanation, { snapshot, after }: RecordedPage): string[] {
  if (explanation.kind !== 'tick') return [];
  const read = snapshot.main.cycleLast + (explanation.restCycles ?? 0n);
  return read <= after ? [] : [`the update counts up to cycle ${read}, and was seen at ${after}`];
}

/** Explains each recorded update by the state before it. */
export function tallyUpdates(states: readonly RecordedPage[], hz: number): UpdateTally {
  const tally: UpdateTally = {
    explained: 0,
    unexplained: 0,
    unobserved: 0,
    intervals: 0n,
    multChanges: 0,
    named: {},
    failures: [],
  };
  for (let i = 1; i < states.length; i++) {
    const state = states[i] as RecordedPage;
    const explanation = explainUpdate((states[i - 1] as RecordedPage).snapshot, state.snapshot, hz);
    if (explanation.kind === 'unobserved') {
      tally.unobserved += Number(explanation.missed);
      continue;
    }
    const reasons =
      explanation.kind === 'unexplained' ? explanation.reasons : prematureReasons(explanation, state);
    if (reasons.length > 0) {
      tally.unexplained++;
      if (tally.failures.length < MOST_FAILURES)
        tally.failures.push({ count: state.snapshot.main.seq, reasons });
      continue;
    }
    tally.explained++;
    if (explanation.kind === 'tick') {
      tally.intervals += explanation.intervals;
      if (explanation.multChange !== 0n) tally.multChanges++;
    }
    for (const name of nameOf(explanation)) tally.named[name] = (tally.named[name] ?? 0) + 1;
  }
  return tally;
}

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
    const tally = tallyUpdates(states, hz);
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
