import { dateOf } from '../leap/date.js';
import { printable } from '../printable.js';
import { formatSeconds } from '../smear/decimal.js';
import { magnitude, type Rational, toNumber } from '../smear/rational.js';
import type { Scene } from '../smear/scene.js';
import { columns, type TextStyle } from './text.js';
import { TOOL } from './tool.js';

function assumption(from: bigint): string {
  return `Assumed, as asked for: no leap second comes from ${dateOf(from)} on, when the table expires.`;
}

/** The head of a report about smears: the leap second, the table, and what is to be heard about it. */
export function sceneLines({ leap, table, assumesNoLeapsFrom }: Scene, style: TextStyle): string {
  const { colors } = style;
  const kind = leap.sign === 1 ? 'positive' : 'negative';
  const supposed = leap.hypothetical ? 'hypothetical ' : '';
  const start = leap.sign === 1 ? '23:59:60 UTC' : '00:00:00 UTC after 23:59:58';
  const updated = table.table.updated;
  const dated = updated === null || table.isBundled ? '' : `, updated ${dateOf(updated)}`;
  return [
    colors.bold(`${TOOL.name} ${TOOL.version}`),
    `${supposed}${kind} leap second of ${leap.date}`,
    `L: ${start}, TAI - UTC goes from ${leap.taiOffsetBefore} s to ${leap.taiOffsetAfter} s`,
    `table: ${printable(table.source)}${dated}`,
    `chosen: ${printable(table.reason)}`,
    ...(assumesNoLeapsFrom === null ? table.notes : [...table.notes, assumption(assumesNoLeapsFrom)]).map(
      (note) => colors.yellow(columns(style, [], [[note]])),
    ),
  ].join('\n');
}

/** ns as seconds, with all their digits; `+` before positive ones. */
export function signedSeconds(ns: bigint): string {
  return `${ns > 0n ? '+' : ''}${formatSeconds(ns)}`;
}

const UNITS = [
  [1e9, 's'],
  [1e6, 'ms'],
  [1e3, 'us'],
  [1, 'ns'],
] as const;

/** ns to six digits, in the unit that they need. */
export function shortTime(ns: number): string {
  const [size, unit] = UNITS.find(([one]) => Math.abs(ns) >= one) ?? [1, 'ns'];
  return `${Number((ns / size).toPrecision(6))} ${unit}`;
}

/** A rate in parts per million: to a thousandth, or coarser if it would need more than nine characters. */
export function ppm(rate: Rational): string {
  if (rate.numerator === 0n) return '0';
  const size = toNumber(magnitude(rate)) * 1e6;
  const digits = size < 9999.9 ? size.toFixed(3) : size < 1e8 ? size.toFixed(0) : size.toExponential(1);
  return `${rate.numerator < 0n ? '-' : '+'}${digits}`;
}

/** A rate in parts per billion. */
export function ppb(rate: Rational): number {
  // No negative zero.
  return toNumber(rate) * 1e9 || 0;
}

/** The width of a policy's name; a longer one has a line of its own. */
const NAME_WIDTH = 12;

/** One policy's lines in a table: the cells after the name; of the second line the first is the name's. */
export interface PolicyRows {
  name: string;
  cells: readonly string[];
  below?: readonly string[];
}

/** A table with a policy a row, under heads; the last column takes the rest of the width. */
export function policyTable(
  style: TextStyle,
  widths: readonly number[],
  heads: readonly string[],
  rows: readonly PolicyRows[],
): string {
  const lines = (cells: readonly (readonly string[])[]): string =>
    columns(style, [NAME_WIDTH, ...widths], cells);
  const head = lines([heads.map((text, i) => style.colors.dim(`${i === 0 ? ' ' : ''}${text}`))]);
  const blocks = rows.map(({ name, cells, below }) => {
    const isLong = name.length >= NAME_WIDTH;
    const block = lines([[isLong ? '' : ` ${name}`, ...cells], ...(below === undefined ? [] : [below])]);
    return isLong ? ` ${name}\n${block}` : block;
  });
  return [head, ...blocks].join('\n');
}
