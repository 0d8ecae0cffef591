import { LEAST_PERCENT } from '../bench/earlier.js';
import type { BenchChange, BenchReport, BenchResult } from '../bench/model.js';
import { hostLines } from './host-text.js';
import { columns, type TextStyle } from './text.js';

const PATH_WIDTH = 22;
const CLOCK_WIDTH = 16;
const BAR_WIDTH = 11;

/** Nanoseconds to a tenth, and from a thousand on to one. */
function ns(value: number): string {
  return value >= 999.95 ? Math.round(value).toLocaleString('en-US') : value.toFixed(1);
}

/** A bar as long as the value's share, in eighths of a character. */
function bar(share: number): string {
  const eighths = Math.round(share * BAR_WIDTH * 8);
  const blocks = '█'.repeat(eighths >> 3);
  const part = eighths & 7;
  // The left part of a block: ▏ has one eighth.
  return `${blocks}${part === 0 ? '' : String.fromCodePoint(0x2590 - part)}`;
}

function resultLines(results: readonly BenchResult[], style: TextStyle): string {
  const { colors } = style;
  // The longest is many times the others: on a straight scale all but it would be of one length.
  const most = results.reduce((longest, { medianNs }) => Math.max(longest, medianNs), 1);
  const logarithm = (value: number): number => Math.log(Math.max(value, 1)) / Math.log(Math.max(most, 2));
  const rows = results.map(({ path, clock, medianNs, ciNs, single }) => [
    ` ${path}`,
    clock,
    ns(medianNs).padStart(8),
    ns(Math.max(ciNs[1] - medianNs, medianNs - ciNs[0])).padStart(5),
    single === null ? '' : ns(single.percentiles['p99'] as number).padStart(6),
    bar(logarithm(medianNs)),
  ]);
  const head = [' path', 'clock', ' ns/read', '   ±', '   p99', ''].map((text) => colors.dim(text));
  return columns(style, [PATH_WIDTH, CLOCK_WIDTH, 8, 5, 6], [head, ...rows]);
}

function group(title: string, results: readonly BenchResult[], style: TextStyle): string {
  return results.length === 0 ? '' : `${style.colors.bold(title)}\n${resultLines(results, style)}`;
}

function ratioLines({ ratios }: BenchReport, style: TextStyle): string {
  if (ratios.length === 0) return '';
  const rows = ratios.map(({ name, clock, median, ci }) => [
    ` ${name}`,
    clock,
    `${median.toFixed(2).padStart(6)}`,
    `${ci[0].toFixed(2)}-${ci[1].toFixed(2)}`,
  ]);
  const head = [' ratio, of the same rounds', 'clock', 'median', '95 %'].map((text) =>
    style.colors.dim(text),
  );
  return columns(style, [38, CLOCK_WIDTH, 7], [head, ...rows]);
}

function changeLines(changes: readonly BenchChange[] | null, style: TextStyle): string {
  if (changes === null) return '';
  const told = changes.filter(({ verdict }) => verdict !== 'same');
  const { colors } = style;
  const title = colors.bold('against the earlier report');
  const rest = `${changes.length - told.length} of ${changes.length} figures are as they were: intervals overlap, or by less than ${LEAST_PERCENT} %`;
  if (told.length === 0) return `${title}\n ${rest}`;
  const rows = told.map(({ path, clock, threads, runtime, beforeNs, afterNs, percent, verdict }) => [
    ` ${path}${threads === 1 ? '' : ` x${threads}`} (${runtime})`,
    clock,
    `${ns(beforeNs)} to ${ns(afterNs)} ns`,
    `${verdict === 'slower' ? colors.red('slower') : colors.green('faster')} by ${Math.abs(percent).toFixed(1)} %`,
  ]);
  return `${title}\n${columns(style, [30, CLOCK_WIDTH, 16], rows)}\n ${rest}`;
}

function environmentLines({ environment, method }: BenchReport, style: TextStyle): string {
  const { colors } = style;
  const warnings = environment.filter(({ status }) => status === 'warn');
  const rows = environment.map(({ name, status, what }) => [
    ` ${status === 'ok' ? colors.green('ok') : colors.yellow('warn')}`,
    name,
    what,
  ]);
  const verdict =
    warnings.length === 0
      ? colors.bold(colors.green('nothing speaks against these figures'))
      : colors.bold(colors.yellow(`take care: ${warnings.map(({ name }) => name).join(', ')}`));
  const { trials, rounds, chained, overheadNs, granularityNs, cpu } = method;
  const { native, js } = overheadNs;
  const how =
    `${chained ? 'latency: each native read waits for the one before; ' : ''}${trials} processes on CPU ${cpu}, ` +
    `${rounds} rounds each; the loop (${native.loop.toFixed(1)} ns native, ${js.loop.toFixed(1)} ns JavaScript) and, of ` +
    `single reads, the bracket (${native.bracket.toFixed(1)} and ${js.bracket.toFixed(1)} ns) are subtracted, ` +
    `which is too much where they overlap the read; the counter moves in steps of ${granularityNs.toFixed(1)} ns`;
  const told = trials === 0 ? [] : [columns(style, [], [[colors.dim(how)]])];
  return [verdict, columns(style, [5, 12], rows), ...told].join('\n');
}

function skipLines({ skipped }: BenchReport, style: TextStyle): string {
  if (skipped.length === 0) return '';
  const rows = skipped.map(({ path, clock, reason }) => [` ${path}`, clock, reason]);
  return `${style.colors.bold('skipped')}\n${columns(style, [PATH_WIDTH, CLOCK_WIDTH], rows)}`;
}

/** A run of the benchmarks as text for people. */
export function benchText(report: BenchReport, style: TextStyle): string {
  const { results, interrupted, durationMs } = report;
  const of = (runtime: BenchResult['runtime'], threads: number): BenchResult[] =>
    results.filter((one) => one.runtime === runtime && one.threads === threads);
  const threads = [...new Set(results.map((one) => one.threads))].toSorted((a, b) => a - b);
  const groups = threads.flatMap((count) => [
    group(
      count === 1 ? 'native' : `native, ${count} threads at once, the slowest`,
      of('native', count),
      style,
    ),
    count === 1 ? group('from JavaScript', of('js', 1), style) : '',
  ]);
  const note = style.colors.dim(' ±: 95 %; p99: of single reads; bars: logarithms, from 1 ns');
  const end = `${interrupted ? style.colors.bold('interrupted') : 'done'} in ${(durationMs / 1000).toFixed(1)} s`;
  return `${[
    hostLines(report.host, style),
    ...groups,
    results.length === 0 ? 'nothing was measured' : note,
    ratioLines(report, style),
    changeLines(report.changes, style),
    skipLines(report, style),
    environmentLines(report, style),
    end,
  ]
    .filter((block) => block !== '')
    .join('\n\n')}\n`;
}
