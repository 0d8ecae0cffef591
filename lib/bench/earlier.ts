import { LatchclockError } from '../errors.js';
import type { BenchChange, BenchResult } from './model.js';

const BENCH_SCHEMA = 'latchclock/bench/1';

/** A figure of an earlier report. */
export type EarlierResult = Pick<BenchResult, 'path' | 'clock' | 'runtime' | 'threads' | 'medianNs' | 'ciNs'>;

/** What an earlier report told. */
export interface EarlierReport {
  readonly results: readonly EarlierResult[];
  /** The kernel and the CPU that it ran on. */
  readonly machine: string;
  readonly chained: boolean;
}

function bad(what: string, where: string): LatchclockError {
  return new LatchclockError('ERR_BAD_ARGUMENT', what, {
    where,
    todo: `give what 'bench --format json' wrote (${BENCH_SCHEMA})`,
  });
}

type Json = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCost(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function resultOf(value: unknown, where: string): EarlierResult {
  if (!isObject(value)) throw bad('a result is no object', where);
  const { path, clock, runtime, threads, medianNs, ciNs } = value;
  const isNamed =
    typeof path === 'string' && typeof clock === 'string' && (runtime === 'native' || runtime === 'js');
  const isInterval = Array.isArray(ciNs) && ciNs.length === 2 && ciNs.every(isCost);
  if (!isNamed || !Number.isInteger(threads) || !isCost(medianNs) || !isInterval) {
    throw bad('a result lacks path, clock, runtime, threads, medianNs or ciNs', where);
  }
  return value as unknown as EarlierResult;
}

/**
 * The figures of a report of `bench`.
 *
 * @param name what the text is called in errors
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for a text that is no such report, one of another version, or one that is cut
 *   short
 */
export function parseEarlier(text: string, name: string): EarlierReport {
  let report: unknown;
  try {
    report = JSON.parse(text);
  } catch {
    throw bad('the earlier report is no JSON, or is cut short', name);
  }
  if (!isObject(report) || report['schema'] !== BENCH_SCHEMA) {
    const schema = isObject(report) ? JSON.stringify(report['schema'] ?? null) : 'none';
    throw bad(`the earlier report's schema is ${schema.slice(0, 60)}, not "${BENCH_SCHEMA}"`, name);
  }
  const { results, host, method } = report;
  if (!Array.isArray(results)) throw bad('the earlier report has no results', name);
  const machine = isObject(host) ? `${host['kernel']} on ${host['cpuModel']}` : 'unknown';
  return {
    results: results.map((one, at) => resultOf(one, `${name}, results[${at}]`)),
    machine,
    chained: isObject(method) && method['chained'] === true,
  };
}

/** Below this many percent a difference is not told, whatever the intervals: layout and placement make as much. */
export const LEAST_PERCENT = 3;

/**
 * Which figures changed beyond noise: their 95 % intervals do not overlap, and the medians differ by more than
 * {@link LEAST_PERCENT}. What only one of the two has is left out.
 */
export function changesBetween(
  earlier: readonly EarlierResult[],
  results: readonly BenchResult[],
): BenchChange[] {
  const keyOf = ({ path, clock, runtime, threads }: EarlierResult): string =>
    [runtime, path, clock, threads].join();
  const before = new Map(earlier.map((one) => [keyOf(one), one]));
  return results.flatMap((after) => {
    const old = before.get(keyOf(after));
    if (old === undefined) return [];
    const { path, clock, runtime, threads } = after;
    const percent = (after.medianNs / old.medianNs - 1) * 100;
    const isApart = after.ciNs[0] > old.ciNs[1] || after.ciNs[1] < old.ciNs[0];
    const isTold = isApart && Math.abs(percent) > LEAST_PERCENT;
    return [
      {
        ...{ path, clock, runtime, threads },
        beforeNs: old.medianNs,
        afterNs: after.medianNs,
        percent,
        verdict: !isTold ? ('same' as const) : percent > 0 ? ('slower' as const) : ('faster' as const),
      },
    ];
  });
}
