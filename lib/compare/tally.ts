import type { UpdateExplanation } from '../page/kernel-update.js';
import type { ExplainedUpdate } from './explain.js';

/** What a recording was found to hold. */
export interface UpdateTally {
  explained: number;
  unexplained: number;
  /** Updates between two recorded states that were missed. */
  unobserved: number;
  /** Updates that went on at the same mult, without a step: as the page before them had it. */
  asPredicted: number;
  intervals: bigint;
  multChanges: number;
  /** How often each kind of step or change was seen, besides ticks. */
  named: Record<string, number>;
  /** The first few that could not be explained, with the equations that failed. */
  failures: { count: number; reasons: string[] }[];
}

const MOST_FAILURES = 4;

/** What an update is called, besides a tick, by the names of {@link UpdateExplanation}. */
function namesOf(explanation: UpdateExplanation): string[] {
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

/** Counts what was found of each update. */
export function tallyUpdates(updates: readonly ExplainedUpdate[]): UpdateTally {
  const tally: UpdateTally = {
    explained: 0,
    unexplained: 0,
    unobserved: 0,
    asPredicted: 0,
    intervals: 0n,
    multChanges: 0,
    named: {},
    failures: [],
  };
  for (const { after, explanation } of updates) {
    if (explanation.kind === 'unobserved') {
      tally.unobserved += Number(explanation.missed);
      continue;
    }
    if (explanation.kind === 'unexplained') {
      tally.unexplained++;
      if (tally.failures.length < MOST_FAILURES)
        tally.failures.push({ count: after.snapshot.main.seq, reasons: explanation.reasons });
      continue;
    }
    tally.explained++;
    const names = namesOf(explanation);
    if (explanation.kind === 'tick') {
      tally.intervals += explanation.intervals;
      if (explanation.multChange !== 0n) tally.multChanges++;
      else if (names.length === 0) tally.asPredicted++;
    }
    for (const name of names) tally.named[name] = (tally.named[name] ?? 0) + 1;
  }
  return tally;
}
