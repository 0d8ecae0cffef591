import type { BenchReport } from '../bench/model.js';
import { PERCENTILES } from '../bench/statistics.js';

const NAMES = PERCENTILES.map((percent) => `p${percent}`);

/** The results of a run, a line each under a head. No field needs quotes. */
export function benchCsv({ results }: BenchReport): string {
  const heads = [
    'path',
    'clock',
    'runtime',
    'threads',
    'median_ns',
    'ci_low_ns',
    'ci_high_ns',
    ...NAMES,
    'max_ns',
  ];
  const rows = results.map(({ path, clock, runtime, threads, medianNs, ciNs, single }) => [
    ...[path, clock, runtime, threads, medianNs, ...ciNs],
    ...NAMES.map((name) => single?.percentiles[name] ?? ''),
    single?.maxNs ?? '',
  ]);
  return `${[heads, ...rows].map((row) => row.join(',')).join('\n')}\n`;
}
