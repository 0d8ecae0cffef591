import { differencesOf, heldOf, heldThroughout } from '../hazards/held.js';
import {
  type Cell,
  type CellCase,
  EVIDENCE_KINDS,
  type EvidenceKind,
  HAZARD_NAMES,
  type HazardName,
  type Latencies,
  MATRIX_READERS,
  type ProtocolName,
} from '../hazards/model.js';
import type { HazardReport } from '../hazards/run.js';
import { hostLines } from './host-text.js';
import { type Colors, columns, type TextStyle } from './text.js';

/** Readers as heads of columns of three letters, in two lines. */
const HEADS: Readonly<Record<ProtocolName, readonly [string, string]>> = {
  seqlock: ['seq', ''],
  latch: ['lat', ''],
  'latch-window': ['lat', 'win'],
  'two-window': ['two', 'win'],
  'untagged-latch-window': ['un-', 'tag'],
  'literal-latch-window': ['lit', 'lat'],
  'literal-two-window': ['lit', 'two'],
};

const HAZARD_WIDTH = 21;
const CELL_WIDTH = 3;
const LABEL_WIDTH = 17;

function readerLabel({ protocol, generation }: Pick<Cell, 'protocol' | 'generation'>): string {
  const short = protocol.replace('untagged-latch-window', 'untagged latch-w.');
  const name = short
    .replace('literal-latch-window', 'literal latch-w.')
    .replace('literal-two-window', 'literal two-w.');
  return generation && !protocol.startsWith('untagged') ? `${name} +gen` : name;
}

/** What a cell is as one letter: capital where that is not as expected, a dot where there is none. */
type Letter = (cell: Cell | undefined, colors: Colors) => string;

const verdictLetter: Letter = (cell, colors) => {
  if (cell === undefined || cell.verdict === 'not-applicable') return colors.dim('.');
  const { verdict } = cell;
  const plain = { safe: 's', lags: 'l', unsafe: 'u' }[verdict];
  if (!heldThroughout(cell).verdict) return colors.bold(colors.red(plain.toUpperCase()));
  return verdict === 'safe'
    ? colors.green(plain)
    : verdict === 'lags'
      ? colors.yellow(plain)
      : colors.red(plain);
};

const progressLetter: Letter = (cell, colors) => {
  if (cell === undefined || cell.progress === null) return colors.dim('.');
  const { progress } = cell;
  const plain = progress.charAt(0);
  if (!heldThroughout(cell).progress) return colors.bold(colors.red(plain.toUpperCase()));
  return progress === 'free' ? colors.green(plain) : colors.yellow(plain);
};

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

/** The name of a hazard in its column, in two lines where it is too long for one. */
function hazardLines(hazard: HazardName): [string, ...string[]] {
  if (hazard.length + 1 < HAZARD_WIDTH + 1) return [` ${hazard}`];
  const at = hazard.lastIndexOf('-', HAZARD_WIDTH - 2) + 1;
  return [` ${hazard.slice(0, at)}`, `   ${hazard.slice(at)}`];
}

/** Cells that are not as expected, each with the case that is not. */
function unexpectedLines(cells: readonly Cell[], style: TextStyle): string {
  const rows = cells
    .filter(({ holds }) => !holds)
    .map((cell) => {
      const { evidence, cases } = cell;
      const isWorse = ({ verdict, expected }: CellCase): boolean => verdict !== expected;
      const wrong = cases.find(isWorse) ?? cases.find((one) => differencesOf(one, evidence).length > 0);
      const where =
        wrong === undefined ? '' : ` (${[wrong.variant, wrong.model].filter(Boolean).join(', ')})`;
      const differences = differencesOf(wrong ?? cell, evidence);
      // A trace, and a remark, tell of the verdict.
      const ofVerdict = wrong === undefined ? remark(cell) : (wrong.trace?.verdict ?? '');
      const told = heldOf(wrong ?? cell, evidence).verdict ? '' : ofVerdict;
      return [
        ` ${readerLabel(cell)}`,
        cell.hazard,
        `${style.colors.bold(`${evidence}${where}: ${differences.join('; ')}`)}${told === '' ? '' : `: ${told}`}`,
      ];
    });
  return rows.length === 0 ? '' : columns(style, [LABEL_WIDTH + 1, HAZARD_WIDTH], rows);
}

/** What stress counted where a value was late or wrong, as expected. */
function remarkLines(cells: readonly Cell[], style: TextStyle): string {
  // A generation changes nothing about what threads can make happen: one row a protocol tells it.
  const telling = cells.filter(
    ({ protocol, generation, verdict, holds }) =>
      holds &&
      (verdict === 'lags' || verdict === 'unsafe') &&
      !(generation && protocol !== 'untagged-latch-window'),
  );
  const rows = telling.map((cell) => [` ${readerLabel(cell)}`, cell.hazard, remark(cell)]);
  return rows.length === 0
    ? ''
    : `${style.colors.bold('under stress')}\n${columns(style, [LABEL_WIDTH + 1, 16], rows)}`;
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

function matrix(title: string, cells: readonly Cell[], letter: Letter, style: TextStyle): string {
  const { colors } = style;
  const of = (reader: Pick<Cell, 'protocol' | 'generation'>, hazard: HazardName, evidence: EvidenceKind) =>
    cells.find(
      (cell) =>
        cell.protocol === reader.protocol &&
        cell.generation === reader.generation &&
        cell.hazard === hazard &&
        cell.evidence === evidence,
    );
  const readers = MATRIX_READERS.filter((reader) =>
    cells.some(
      ({ protocol, generation }) => protocol === reader.protocol && generation === reader.generation,
    ),
  );
  const hazards = HAZARD_NAMES.filter((hazard) => cells.some((cell) => cell.hazard === hazard));
  const isPlus = ({ protocol, generation }: Pick<Cell, 'protocol' | 'generation'>): boolean =>
    generation && protocol !== 'untagged-latch-window';
  const heads = [
    readers.map(({ protocol }) => HEADS[protocol][0]),
    readers.map(({ protocol }) => HEADS[protocol][1]),
    readers.map((reader) => (isPlus(reader) ? '+g' : '')),
  ].map((line, index) => [index === 0 ? colors.bold(title) : '', ...line.map((head) => colors.dim(head))]);
  const rows = hazards.flatMap((hazard) => {
    const [first, ...rest] = hazardLines(hazard);
    const letters = readers.map((reader) =>
      EVIDENCE_KINDS.map((kind) => letter(of(reader, hazard, kind), colors)).join(''),
    );
    return rest.length === 0
      ? [[first, ...letters]]
      : [[first, ...readers.map(() => '')], ...rest.map((line) => [line, ...letters])];
  });
  return columns(style, [HAZARD_WIDTH, ...readers.slice(1).map(() => CELL_WIDTH)], [...heads, ...rows]);
}

const VERDICT_LEGEND = [
  ' Readers: seqlock, latch, latch-window, two-window, each without and with the',
  ' generation; untagged latch-window; the sketches of latch-window and two-window',
  ' as written. Cells: explored under x86-TSO, stepped, stressed; s safe, l lags',
  ' (right, but below a value returned before), u unsafe, . not made to happen;',
  ' a capital is not as expected. A cell is its main variant; --explain READER',
  ' HAZARD tells the others, which can be worse, and how it comes to each.',
].join('\n');

const PROGRESS_LEGEND = [
  ' What becomes of reads while the writer stands, at the worst: f free, they end',
  ' with a value; r refuses, some end without one; w waits, they go on for as long',
  ' as it stands, or to their bound. Capitals as above; of stress not all is held.',
].join('\n');

/** How much each kind of evidence looked at. */
function sizeLine(kind: EvidenceKind, cells: readonly Cell[], style: TextStyle): string {
  const own = cells.filter(({ evidence, verdict }) => evidence === kind && verdict !== 'not-applicable');
  if (own.length === 0) return '';
  // What is one exploration, or one run, for several cells is counted once.
  const all = new Set(
    own.flatMap((cell) => (cell.cases.length > 0 ? cell.cases : [cell]).map(({ counts }) => counts)),
  );
  const sum = (name: string): string =>
    count([...all].reduce((total, counts) => total + (counts[name] ?? 0), 0));
  const title = style.colors.bold(kind);
  switch (kind) {
    case 'explored':
      return `${title}  ${sum('states')} states and ${sum('steps')} steps between them: every one within the bounds`;
    case 'stepped':
      return `${title}   ${sum('runs')} runs, the hazard before each instruction of compiled readers`;
    case 'stressed':
      return `${title}  ${sum('values')} values of threads and processes on the real counter`;
  }
}

/** The matrix as text for people. */
export function hazardsText(report: HazardReport, style: TextStyle): string {
  const { colors } = style;
  const { cells, run, unexpected, interrupted, durationMs, unavailable } = report;
  const stressed = cells.filter(
    ({ evidence, verdict }) => evidence === 'stressed' && verdict !== 'not-applicable',
  );
  const verdict = unexpected > 0 ? colors.bold(colors.red('failed')) : colors.bold(colors.green('held'));
  const word = interrupted ? colors.bold('interrupted') : run === 0 ? 'nothing ran' : verdict;
  const sizes = EVIDENCE_KINDS.map((kind) => sizeLine(kind, cells, style)).filter((line) => line !== '');
  const parts = [
    hostLines(report.host, style),
    ...(cells.length === 0
      ? []
      : [
          matrix('verdict', cells, verdictLetter, style),
          VERDICT_LEGEND,
          matrix('progress', cells, progressLetter, style),
          PROGRESS_LEGEND,
        ]),
    sizes.join('\n'),
    unexpectedLines(cells, style),
    remarkLines(stressed, style),
    latencyLines(stressed, style),
    unavailable
      .map(({ evidence, reason }) => `${colors.yellow('skipped')} ${evidence}: ${reason}`)
      .join('\n'),
    `${word}: ${run} cells, ${unexpected} not as expected, in ${(durationMs / 1000).toFixed(1)} s`,
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}
