import Table from 'cli-table3';
import picocolors from 'picocolors';

export type Colors = ReturnType<typeof picocolors.createColors>;

/** How text is laid out: where it goes decides. */
export interface TextStyle {
  /** Columns of the terminal. */
  width: number;
  colors: Colors;
}

const NARROWEST = 60;
const WIDEST = 120;
const WIDTH_OF_A_FILE = 80;

/** `FORCE_COLOR` as Node and its packages take it: `0` and `false` refuse colour; null where it says nothing. */
function isColorForced({ FORCE_COLOR }: NodeJS.ProcessEnv): boolean | null {
  return FORCE_COLOR === undefined ? null : FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
}

/**
 * The style for a stream: colour on a terminal unless `FORCE_COLOR` decides, never under `NO_COLOR`, and never where
 * `isTTY` is false: a file that an option names. (Of a pipe Node leaves it undefined.)
 */
export function textStyle(
  stream: { isTTY?: boolean; columns?: number },
  environment = process.env,
): TextStyle {
  const isTerminal = stream.isTTY === true;
  const isRefused = stream.isTTY === false || (environment['NO_COLOR'] ?? '') !== '';
  const colored =
    !isRefused && (isColorForced(environment) ?? (isTerminal && environment['TERM'] !== 'dumb'));
  const columns = isTerminal ? (stream.columns ?? WIDTH_OF_A_FILE) : WIDTH_OF_A_FILE;
  return {
    width: Math.min(WIDEST, Math.max(NARROWEST, columns)),
    colors: picocolors.createColors(colored),
  };
}

const NO_BORDERS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

/** Rows in aligned columns without borders; the last column takes the rest of the width and wraps. */
export function columns(
  style: TextStyle,
  widths: readonly number[],
  rows: readonly (readonly string[])[],
): string {
  const used = widths.reduce((sum, width) => sum + width + 2, 0);
  const table = new Table({
    chars: NO_BORDERS,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
    colWidths: [...widths, style.width - used],
    wordWrap: true,
  });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
