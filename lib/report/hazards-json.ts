import type { HazardReport } from '../hazards/run.js';
import { jsonHead, toJson } from './json.js';

/** The matrix as JSON, schema `latchclock/hazards/1`. */
export function hazardsJson(report: HazardReport): string {
  const { startedAt, durationMs, host, quick, cpus, seed, interrupted, cells, run, unexpected } = report;
  const { unavailable } = report;
  return toJson({
    ...jsonHead('hazards'),
    startedAt: startedAt.toISOString(),
    durationMs,
    host,
    quick,
    cpus,
    seed,
    interrupted,
    cells,
    unavailable,
    summary: { run, unexpected },
  });
}
