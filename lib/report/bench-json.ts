import type { BenchReport } from '../bench/model.js';
import { jsonHead, toJson } from './json.js';

/** A run of the benchmarks as JSON, schema `latchclock/bench/1`. */
export function benchJson({ startedAt, results, changes, ...report }: BenchReport): string {
  return toJson({
    ...jsonHead('bench'),
    startedAt: startedAt.toISOString(),
    ...report,
    results: results.map(({ single, ...result }) => ({
      ...result,
      percentiles: single?.percentiles ?? {},
      singleReads: single === null ? null : { count: single.count, maxNs: single.maxNs },
    })),
    ...(changes === null ? {} : { changes }),
  });
}
