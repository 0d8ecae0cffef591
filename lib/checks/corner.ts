/** A reading of a clock that rounds down: ns, at a reading of the counter, both from some origin near by. */
export interface Point {
  readonly cycles: number;
  readonly ns: number;
}

/** The line through readings in order. */
export interface FittedLine {
  /** ns a cycle. */
  readonly slope: number;
  /** How far the slope may be off, ns a cycle: two roundings of half a ns each way, over the length. */
  readonly slopeBound: number;
  /** Of one of the readings in the middle of its ns, from which the line is at most 1/2 ns away. */
  readonly at: Point;
  /** Farthest of any reading from the line, ns. */
  readonly farthestNs: number;
  /** Whether one line explains all readings: none is farther than their rounding and that of the two ends. */
  readonly isStraight: boolean;
}

/** Readings on both sides of a corner. */
export interface FittedCorner {
  readonly before: FittedLine;
  readonly after: FittedLine;
  /** Where the lines meet, cycles, and how far that may be off; infinite where the rates do not differ. */
  readonly atCycles: number;
  readonly boundCycles: number;
}

/** Half a ns of a reading's rounding, half a ns of the line's through two of them, and what doubles lose. */
const MOST_NS = 1 + 1e-3;

/** The line through the first and the last of at least two readings. */
function fitLine(points: readonly Point[], anchor: 'first' | 'last'): FittedLine {
  const first = points[0] as Point;
  const last = points.at(-1) as Point;
  const length = last.cycles - first.cycles;
  const slope = (last.ns - first.ns) / length;
  const from = anchor === 'first' ? first : last;
  const farthestNs = points.reduce(
    (most, { cycles, ns }) => Math.max(most, Math.abs(ns - from.ns - slope * (cycles - from.cycles))),
    0,
  );
  return {
    slope,
    slopeBound: 1 / length,
    // A clock that rounds down shows on average half a ns less.
    at: { cycles: from.cycles, ns: from.ns + 0.5 },
    farthestNs,
    isStraight: farthestNs <= MOST_NS,
  };
}

/** Where the lines of readings before and after a corner meet. */
export function fitCorner(before: readonly Point[], after: readonly Point[]): FittedCorner {
  const [a, b] = [fitLine(before, 'last'), fitLine(after, 'first')];
  const turn = b.slope - a.slope;
  // a.ns + a.slope (x - a.cycles) = b.ns + b.slope (x - b.cycles)
  const atCycles = (a.at.ns - b.at.ns - a.slope * a.at.cycles + b.slope * b.at.cycles) / turn;
  // Each line is off by half a ns at its reading, and by its slope's bound for the way from there.
  const off =
    1 + a.slopeBound * Math.abs(atCycles - a.at.cycles) + b.slopeBound * Math.abs(atCycles - b.at.cycles);
  return { before: a, after: b, atCycles, boundCycles: off / Math.abs(turn) };
}
