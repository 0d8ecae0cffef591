import type { ExploredCase } from '../../lib/hazards/explored/explored.ts';
import { scenariosOf } from '../../lib/hazards/explored/scenarios.ts';
import { explore } from '../../lib/hazards/explored/search.ts';
import { MATRIX_READERS, type MatrixReader } from '../../lib/hazards/model.ts';
import type { SpinCell } from './cells.ts';
import type { SpinJudgement } from './judge.ts';

/** What the explorer says of a cell of spin's, in program order, and what it took. */
export interface ExplorerJudgement {
  verdict: ExploredCase['verdict'];
  states: number;
  seconds: number;
}

/** Spin's variants by the explorer's names. */
const VARIANTS: Readonly<Record<string, string>> = {
  main: 'main',
  touching: 'windows touch',
  'counter-before-section': 'counter before',
  overlap: 'at once',
  naive: 'naive',
  'keeps-by-counter': 'keeps by counter',
  'back-into-window': 'main',
  'no-writer-between': 'no writer',
  behind: 'behind',
  'tags-ignored': 'tags ignored',
};

const UPDATES = 3;

/** The explorer's verdict on a cell; null where it has no such variant. */
export function exploreCell({ protocol, generation, hazard, variant }: SpinCell): ExplorerJudgement | null {
  const reader = MATRIX_READERS.find(
    (one) => one.protocol === protocol && one.generation === generation,
  ) as MatrixReader;
  const updates = protocol.startsWith('literal') ? 2 : UPDATES;
  const scenario = scenariosOf(reader, hazard, updates).find((one) => one.variant === VARIANTS[variant]);
  if (scenario === undefined) return null;
  const start = performance.now();
  const { states, wrong, disordered, complete } = explore(scenario, 'sc');
  if (!complete) throw new Error(`not all of ${protocol}, ${hazard}, ${variant} was explored`);
  const verdict = wrong !== null ? 'unsafe' : disordered !== null ? 'lags' : 'safe';
  return { verdict, states, seconds: (performance.now() - start) / 1000 };
}

/** States and seconds of both, summed for each reader, as rows of Markdown. */
export function comparisonTable(
  rows: readonly { cell: SpinCell; spin: SpinJudgement; explored: ExplorerJudgement }[],
): string {
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
  const names = [...new Set(rows.map(({ cell }) => `${cell.protocol}${cell.generation ? '+gen' : ''}`))];
  const line = (name: string, of: typeof rows): string => {
    const seconds = sum(of.map(({ explored }) => explored.seconds));
    const spin = sum(of.map(({ spin }) => spin.spinSeconds));
    // The programs are one model's, and its cells' together.
    const programs = new Map(of.map(({ cell, spin }) => [`${cell.protocol},${cell.generation}`, spin]));
    const compile = sum([...programs.values()].map(({ compileSeconds }) => compileSeconds));
    const count = (number: number): string => number.toLocaleString('en-US');
    return `| ${[
      name,
      of.length,
      count(sum(of.map(({ explored }) => explored.states))),
      seconds.toFixed(2),
      count(sum(of.map(({ spin }) => spin.states))),
      spin.toFixed(2),
      compile.toFixed(2),
      (seconds / spin).toFixed(2),
      (seconds / (spin + compile)).toFixed(2),
    ].join(' | ')} |`;
  };
  return [
    '| reader | cells | explorer: states | s | spin: states | s | compile, s | ratio | with compile |',
    '|---|---|---|---|---|---|---|---|---|',
    ...names.map((name) =>
      line(
        name,
        rows.filter(({ cell }) => `${cell.protocol}${cell.generation ? '+gen' : ''}` === name),
      ),
    ),
    line('all', rows),
    '',
  ].join('\n');
}
