import { median } from 'simple-statistics';
import { isReference, largerStepNs, measureFrequency } from '../host/frequency.js';
import { kernelCounterHz, orNull } from '../host/host.js';
import { formatCount, formatNs, formatPpm, plural } from './format.js';
import type { Check, Evidence } from './model.js';
import type { Observation } from './monitor.js';
import { noReference } from './reference.js';

/** A place where the counter left the straight line against monotonic-raw. */
interface Jump {
  atSec: number;
  /** Nanoseconds that the counter gained (lost, if negative), and the bound of that. */
  ns: number;
  boundNs: number;
}

/** Cycles from one observation to another, from the middle of each bracket. */
function cyclesBetween({ anchor: before }: Observation, { anchor: after }: Observation): number {
  return Number(after.before + after.after - before.before - before.after) / 2;
}

/** The median rate of the intervals, Hz: one jump falls into one interval, and does not move it. */
function usualHz(observations: readonly Observation[]): number {
  const rates = observations.slice(1).map((after, index) => {
    const before = observations[index] as Observation;
    return (cyclesBetween(before, after) * 1e9) / Number(after.anchor.ns - before.anchor.ns);
  });
  return median(rates);
}

/** Steps between observations that the usual rate does not explain. */
function findJumps(observations: readonly Observation[]): Jump[] {
  const first = observations[0];
  if (first === undefined) return [];
  const hz = usualHz(observations);
  const jumps: Jump[] = [];
  for (let i = 1; i < observations.length; i++) {
    const [earlier, later] = [observations[i - 1] as Observation, observations[i] as Observation];
    const { anchor: before } = earlier;
    const { anchor: after } = later;
    // Half of the brackets at both ends, and the clock's own step.
    const halves = Number(after.after - after.before + before.after - before.before) / 2;
    const bound = (halves / hz) * 1e9 + Number(largerStepNs(before, after));
    const ns = (cyclesBetween(earlier, later) / hz) * 1e9 - Number(after.ns - before.ns);
    if (Math.abs(ns) > bound) {
      jumps.push({ atSec: Number(after.ns - first.anchor.ns) / 1e9, ns, boundNs: bound });
    }
  }
  return jumps;
}

/** What the hypervisor or the kernel did to the machine meanwhile, in words. */
function findEvents(observations: readonly Observation[]): string[] {
  const events: string[] = [];
  for (let i = 1; i < observations.length; i++) {
    const before = observations[i - 1] as Observation;
    const after = observations[i] as Observation;
    // The page's version alone says little: hosts rewrite it as their own clock is disciplined.
    if (
      before.pvclock !== null &&
      after.pvclock !== null &&
      (before.pvclock.mul !== after.pvclock.mul || before.pvclock.tscShift !== after.pvclock.tscShift)
    ) {
      events.push('the hypervisor changed the rate of its pvclock page: a migration');
    }
    // Two system calls, at worst with a descheduling between them.
    if (after.sleptNs - before.sleptNs > 1_000_000_000n) {
      events.push(`the machine slept for ${formatNs(Number(after.sleptNs - before.sleptNs))}`);
    }
    const [from, to] = [before.clocksource, after.clocksource];
    if (from !== null && to !== null && from !== to) {
      events.push(`the kernel changed its clocksource from ${from} to ${to}`);
    }
  }
  return events;
}

const stability: Check = {
  id: 'counter.stability',
  claim: 'The counter kept one rate against monotonic-raw over the whole run, without a jump',
  last: true,
  run({ host, monitor }) {
    monitor.observe();
    const { observations } = monitor;
    const first = observations[0];
    const last = observations.at(-1);
    const middle = observations[Math.floor(observations.length / 2)];
    if (first === undefined || last === undefined || middle === undefined || observations.length < 3) {
      return {
        status: 'skip',
        reason: `${plural(observations.length, 'observation')} are too few for a rate`,
        bound: 'nothing was measured',
        evidence: { observations: observations.length },
        advice: 'It runs where the counter is enabled, in a run that lasts a second or more.',
      };
    }
    const coarse = observations.find(({ anchor }) => !isReference(anchor));
    if (coarse !== undefined) return noReference(coarse.anchor.stepNs);
    const whole = measureFrequency(first.anchor, last.anchor);
    const early = measureFrequency(first.anchor, middle.anchor);
    const late = measureFrequency(middle.anchor, last.anchor);
    const driftPpm = ((late.hz - early.hz) / whole.hz) * 1e6;
    const driftBoundPpm = early.boundPpm + late.boundPpm;
    const jumps = findJumps(observations);
    const events = findEvents(observations);
    const seconds = Number(last.anchor.ns - first.anchor.ns) / 1e9;
    const evidence: Evidence = {
      observations: observations.length,
      seconds,
      hz: whole.hz,
      driftPpm,
      driftBoundPpm,
      jumps: jumps.map((jump) => ({ ...jump })),
      events,
      pvclockVersions: new Set(observations.map(({ pvclock }) => pvclock?.version ?? null)).size,
    };
    // Under a TSC clocksource the reference is made of the counter itself.
    const blind =
      orNull(() => kernelCounterHz(host)) === null ? '' : ', which counts by it: what both share is not seen';
    const bound = `rates of the two halves known to ±${formatPpm(driftBoundPpm)}, against monotonic-raw${blind}`;
    const seen = `${plural(observations.length, 'observation')} in ${seconds.toFixed(1)} s`;
    const worst = jumps.toSorted((a, b) => Math.abs(b.ns) - Math.abs(a.ns))[0];
    if (worst !== undefined) {
      return {
        status: 'fail',
        reason: `jumped ${plural(jumps.length, 'time')}, by up to ${formatCount(Math.round(worst.ns))} ns${events.length > 0 ? `; ${events[0]}` : ''}`,
        bound,
        evidence,
        advice:
          'The counter was changed behind the kernel (migration, restore, TSC_ADJUST). Clocks are off by as much ' +
          'until the time daemon steps them: look at the hypervisor, and at the firmware.',
      };
    }
    if (Math.abs(driftPpm) > driftBoundPpm) {
      return {
        status: 'warn',
        reason: `the rate drifted by ${formatPpm(driftPpm, true)} during the run`,
        bound,
        evidence,
        advice:
          'Temperature, or a hypervisor that scales the counter: NTP has to follow. Run --thorough to see more.',
      };
    }
    if (events.length > 0) {
      return {
        status: 'warn',
        reason: `${seen}, straight; but ${events[0]}`,
        bound,
        evidence,
        advice:
          'Figures of this run may be of two hosts, or of two clocksources: see the kernel log, and run it again.',
      };
    }
    return {
      status: 'pass',
      reason: `${seen}, straight, drift ${formatPpm(driftPpm, true)}`,
      bound,
      evidence,
    };
  },
};

export const counterStabilityChecks: readonly Check[] = [stability];
