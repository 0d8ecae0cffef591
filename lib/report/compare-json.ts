import type { ClockDrift } from '../compare/drift.js';
import type { LineFit } from '../compare/line-fit.js';
import type { CompareFinding, CompareReport } from '../compare/run.js';
import { jsonHead, toJson } from './json.js';

function fitJson({ effectiveSamples, ...fit }: LineFit) {
  return { ...fit, effectiveSamples: Math.round(effectiveSamples) };
}

function driftJson({ id, points, maxAbsNs, fit, allan }: ClockDrift) {
  // To a whole nanosecond as everywhere; the curve has the fractions.
  return { id, samples: points.length, maxAbsNs: String(Math.ceil(maxAbsNs)), fit: fitJson(fit), allan };
}

function findingJson(finding: CompareFinding) {
  switch (finding.mode) {
    case 'follow':
    case 'free': {
      const { tally, clocks, mults, predictedMult } = finding.follow;
      const { explained, unexplained, unobserved, ...details } = tally;
      const common = {
        updates: { explained, unexplained, unobserved },
        details: { ...details, mults, predictedMult },
      };
      if (finding.mode === 'follow') return { ...common, clocks };
      if (finding.drift === null) return { ...common, clocks: [] };
      const { seconds, frozenPpm } = finding.drift;
      return { ...common, clocks: finding.drift.clocks.map(driftJson), free: { seconds, frozenPpm } };
    }
    case 'page': {
      const { clocks, method, sets, boundsNs, timekeeper, left } = finding.own;
      const { source, updates, repeated, late } = timekeeper;
      return {
        updates: null,
        clocks,
        page: { method, sets, boundsNs, timekeeper: { source, updates, repeated, late }, left },
      };
    }
    case 'against': {
      const { name, about, points, refused, refusals, fit } = finding.reference;
      const worst = points.reduce(
        (most, { offsetNs }) =>
          (offsetNs < 0n ? -offsetNs : offsetNs) > most ? (offsetNs < 0n ? -offsetNs : offsetNs) : most,
        0n,
      );
      return {
        updates: null,
        clocks: [{ id: 'realtime', samples: points.length, maxAbsNs: worst }],
        against: { name, about, refused, refusals, fit: fit === null ? null : fitJson(fit), points },
      };
    }
  }
}

/** A comparison as JSON, schema `latchclock/compare/1`. */
export function compareJson(report: CompareReport): string {
  const { startedAt, durationMs, host, kernel, replayed, recording, interrupted, holds, finding } = report;
  return toJson({
    ...jsonHead('compare'),
    startedAt: startedAt.toISOString(),
    durationMs,
    host,
    mode: finding.mode,
    kernel,
    hz: recording?.hz ?? null,
    replayed,
    interrupted,
    holds,
    ...findingJson(finding),
  });
}
