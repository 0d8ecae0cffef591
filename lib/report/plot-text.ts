const EIGHTHS = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** Values from 0 to 1 as bars of eighths, one character each. */
export function bars(values: readonly number[]): string {
  return values.map((value) => EIGHTHS[Math.round(8 * Math.min(1, Math.max(0, value)))]).join('');
}

/** Bits of a Braille character, by column and row from the top. */
const DOTS = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const;
const BRAILLE = 0x2800;

/**
 * A curve in Braille dots, two a column and four a row. `values` are spread evenly over the width; neighbours are
 * joined. `low` is at the middle of the lowest dots, `high` at that of the highest.
 *
 * @returns `height` lines of up to `width` characters
 */
export function curve(
  values: readonly number[],
  { width, height, low, high }: { width: number; height: number; low: number; high: number },
): string[] {
  const cells = Array.from({ length: height }, () => new Array<number>(width).fill(0));
  const rows = 4 * height;
  const rowOf = (value: number): number =>
    high === low ? rows >> 1 : Math.round(((high - value) / (high - low)) * (rows - 1));
  const set = (column: number, row: number): void => {
    const cell = cells[row >> 2];
    if (cell !== undefined) cell[column >> 1] = (cell[column >> 1] ?? 0) | (DOTS[column & 1]?.[row & 3] ?? 0);
  };
  let before: number | undefined;
  for (let column = 0; column < 2 * width; column++) {
    const at = Math.round((column / Math.max(1, 2 * width - 1)) * (values.length - 1));
    const row = rowOf(values[at] ?? low);
    const from = before === undefined ? row : before + Math.sign(row - before);
    const [top, bottom] = from < row ? [from, row] : [row, from];
    for (let dot = top; dot <= bottom; dot++) set(column, dot);
    before = row;
  }
  return cells.map((line) =>
    line
      .map((dots) => (dots === 0 ? ' ' : String.fromCodePoint(BRAILLE + dots)))
      .join('')
      .trimEnd(),
  );
}
