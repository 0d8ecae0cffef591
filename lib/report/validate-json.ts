import type { CheckResult } from '../checks/model.js';
import type { RunReport } from '../checks/run.js';
import { jsonHead, toJson } from './json.js';

function checkJson(check: CheckResult): object {
  const { id, group, kind, claim, status, reason, bound, advice, evidence, durationMs } = check;
  return { id, group, kind, claim, status, reason, bound, advice: advice ?? null, evidence, durationMs };
}

/** A run as JSON, schema `latchclock/validate/1`. */
export function validateJson(report: RunReport): string {
  const { startedAt, durationMs, host, budget, cpus, takenAway, seed, interrupted, checks, summary } = report;
  return toJson({
    ...jsonHead('validate'),
    startedAt: startedAt.toISOString(),
    durationMs,
    host,
    budget,
    cpus,
    cpusTakenAway: takenAway,
    seed,
    interrupted,
    checks: checks.map(checkJson),
    summary,
  });
}
