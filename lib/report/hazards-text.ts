import type { Cell, HazardName, Latencies } from '../hazards/model.js';
import { HAZARDS, MATRIX_READERS } from '../hazards/model.js';
import type { HazardReport } from '../hazards/run.js';
import { hostLines } from './host-text.js';
import { type Colors, columns, type TextStyle } from './text.js';

/** Hazards as heads of columns of eight letters, in two lines. */
const HEADS: Readonly<Record<HazardName, readonly [string, string]>> = {
  update: ['', 'update'],
  'writer-stalled': ['writer', 'stalled'],
  'writer-killed': ['writer', 'killed'],
  'writer-restarted': ['writer', 'replaced'],
  'counter-behind': ['counter', 'behind'],
  'window-expired': ['window', 'expired'],
  'counter-wrapped': ['counter', 'wrapped'],
  'adjust-held': ['adjust', 'held'],
  'adjust-held-unfenced': ['adjust', 'unfenced'],
  'adjust-unheld': ['adjust', 'unheld'],
  'counter-unfenced': ['counter', 'unfenced'],
  'migration-different': ['migrated', 'differs'],
  'migration-equal': ['migrated', 'equal'],
  'migration-own-page': ['migrated', 'own page'],
  'generation-late': ['generat.', 'late'],
  'generation-early': ['generat.', 'early'],
  'count-aba': ['count', 'ABA'],
};

const CELL_WIDTH = 8;
const LABEL_WIDTH = 17;

function readerLabel({ protocol, generation }: Pick<Cell, 'protocol' | 'generation'>): string {
  const short = protocol.replace('untagged-latch-window', 'untagged latch-w.');
  const name = short
    .replace('literal-latch-window', 'literal latch-w.')
    .replace('literal-two-window', 'literal two-w.');
  return generation && !protocol.startsWith('untagged') ? `${name} +gen` : name;
}

function verdictWord({ verdict, expected, holds, progress }: Cell, colors: Colors): [string, string] {
  const marked = !holds ? `${verdict} !` : verdict === expected ? verdict : `${verdict} ~`;
  const word =
    verdict === 'safe'
      ? colors.green(marked)
      : verdict === 'lags'
        ? colors.yellow(marked)
        : colors.red(marked);
  return [word, colors.dim(progress ?? '')];
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function ns(value: number): string {
  return value >= 1e6
    ? `${(value / 1e6).toFixed(2)} ms`
    : value >= 1e4
      ? `${(value / 1e3).toFixed(0)} us`
      : `${Math.round(value)} ns`;
}

/** What the counts of a cell tell that its verdict does not, empty if they tell nothing. */
function remark({ counts, verdict }: Cell): string {
  const of = (name: string): number => counts[name] ?? 0;
  const values = count(of('values'));
  if (verdict !== 'unsafe') {
    return `${count(of('backwards'))} of ${values} went back, by up to ${ns(of('worstBackNs'))}`;
  }
  const wrong = [
    [of('torn'), 'torn'],
    [of('missing'), 'without a value'],
    [of('outside'), 'outside the window'],
  ] as const;
  const kinds = wrong.filter(([number]) => number > 0).map(([number, kind]) => `${count(number)} ${kind}`);
  return `${kinds.join(', ')} of ${values}`;
}

function remarkLines(cells: readonly Cell[], style: TextStyle): string {
  // A generation changes nothing about what threads can make happen: one row a protocol tells it.
  const isTold = ({ protocol, generation }: Cell): boolean =>
    !generation || !cells.some((other) => other.protocol === protocol && !other.generation);
  const telling = cells.filter(
    (cell) => !cell.holds || (isTold(cell) && (cell.verdict === 'lags' || cell.verdict === 'unsafe')),
  );
  const rows = telling.map((cell) => [
    ` ${readerLabel(cell)}`,
    cell.hazard,
    cell.holds
      ? remark(cell)
      : `${style.colors.bold(`expected ${cell.expected}, found ${cell.verdict}`)}: ${remark(cell)}`,
  ]);
  return rows.length === 0 ? '' : columns(style, [LABEL_WIDTH + 1, 16], rows);
}

function latencyLines(cells: readonly Cell[], style: TextStyle): string {
  const timed = cells.filter(({ latencyNs }) => latencyNs !== null);
  if (timed.length === 0) return '';
  const head = [' one read takes', 'reads', 'median', '99 %', '99.9 %', 'longest'].map((title) =>
    style.colors.dim(title),
  );
  const rows = timed.map((cell) => {
    const { samples, p50, p99, p999, max } = cell.latencyNs as Latencies;
    return [` ${readerLabel(cell)}`, count(samples), ...[p50, p99, p999, max].map(ns)];
  });
  return [
    style.colors.bold('reads that began while the writer stood half-way, for 2 ms again and again'),
    columns(style, [LABEL_WIDTH + 1, 11, 9, 9, 9], [head, ...rows]),
  ].join('\n');
}

function matrix(cells: readonly Cell[], hazards: readonly HazardName[], style: TextStyle): string {
  const { colors } = style;
  const heads = [0, 1].map((line) => [
    '',
    ...hazards.map((hazard) => colors.dim(HEADS[hazard][line as 0 | 1])),
  ]);
  const rows = MATRIX_READERS.flatMap((reader) => {
    const ofReader = cells.filter(
      ({ protocol, generation }) => protocol === reader.protocol && generation === reader.generation,
    );
    if (ofReader.length === 0) return [];
    const words = hazards.map((hazard) => {
      const cell = ofReader.find((candidate) => candidate.hazard === hazard);
      return cell === undefined ? (['', ''] as const) : verdictWord(cell, colors);
    });
    return [
      [` ${readerLabel(reader)}`, ...words.map(([verdict]) => verdict)],
      ['', ...words.map(([, progress]) => progress)],
    ];
  });
  return columns(style, [LABEL_WIDTH + 1, ...hazards.slice(1).map(() => CELL_WIDTH)], [...heads, ...rows]);
}

/** The matrix as text for people. */
export function hazardsText(report: HazardReport, style: TextStyle): string {
  const { colors } = style;
  const { cells, run, unexpected, interrupted, durationMs } = report;
  const applicable = cells.filter(({ verdict }) => verdict !== 'not-applicable');
  const names = Object.keys(HAZARDS) as HazardName[];
  const shown = names.filter((hazard) => applicable.some((cell) => cell.hazard === hazard));
  const left = names.filter(
    (hazard) => !shown.includes(hazard) && cells.some((cell) => cell.hazard === hazard),
  );
  const verdict = unexpected > 0 ? colors.bold(colors.red('failed')) : colors.bold(colors.green('held'));
  const word = interrupted ? colors.bold('interrupted') : run === 0 ? 'nothing ran' : verdict;
  const parts = [
    hostLines(report.host, style),
    colors.bold('stressed: threads and processes on the real counter'),
    run === 0 ? '' : matrix(applicable, shown, style),
    applicable.some(({ holds, verdict: found, expected }) => holds && found !== expected)
      ? ' ~ may lag, and was not caught at it in this run'
      : '',
    remarkLines(applicable, style),
    latencyLines(applicable, style),
    left.length === 0 ? '' : columns(style, [], [[`Not made to happen by threads: ${left.join(', ')}.`]]),
    `${word}: ${run} cells, ${unexpected} not as expected, in ${(durationMs / 1000).toFixed(1)} s`,
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}
