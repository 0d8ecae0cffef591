import { median } from 'simple-statistics';
import {
  type Addon,
  BRACKET_ROW_WORDS,
  type BracketTally,
  type PageClock,
  ReadingSource,
  type ReadingSourceName,
} from '../native/addon.js';
import { evaluate, type Segment } from '../page/segment.js';
import { NS_PER_SEC, wrapU64 } from '../units.js';

export type BracketVerdict = 'inside' | 'below' | 'above';
const VERDICTS: readonly BracketVerdict[] = ['inside', 'below', 'above'];

/** One reading from the kernel's page as the native reader made it: the words it used and what it made of them. */
export interface PageReading {
  cycles: bigint;
  cycleLast: bigint;
  mult: bigint;
  shift: number;
  seconds: bigint;
  scaledNs: bigint;
  maxCycles: bigint;
  ns: bigint;
}

/** A sample of a bracketing loop, with all that is needed to judge it again. */
export interface BracketRow {
  verdict: BracketVerdict;
  counterBefore: bigint;
  outerFirstNs: bigint;
  innerNs: bigint;
  outerSecondNs: bigint;
  counterAfter: bigint;
  seqBefore: bigint;
  seqAfter: bigint;
  /** Readings that came from the page: none, one (inner) or two (outer). */
  readings: PageReading[];
}

function decodeReading(words: BigInt64Array): PageReading {
  const word = (index: number): bigint => words[index] ?? 0n;
  return {
    cycles: wrapU64(word(0)),
    cycleLast: wrapU64(word(1)),
    mult: word(2),
    shift: Number(word(3)),
    seconds: word(4),
    scaledNs: wrapU64(word(5)),
    maxCycles: wrapU64(word(6)),
    ns: word(7),
  };
}

function decodeRow(words: BigInt64Array, pageReadings: number): BracketRow {
  const word = (index: number): bigint => words[index] ?? 0n;
  return {
    verdict: VERDICTS[Number(word(0))] ?? 'inside',
    counterBefore: wrapU64(word(1)),
    outerFirstNs: word(2),
    innerNs: word(3),
    outerSecondNs: word(4),
    counterAfter: wrapU64(word(5)),
    seqBefore: word(6),
    seqAfter: word(7),
    readings: [words.subarray(8, 16), words.subarray(16, 24)].slice(0, pageReadings).map(decodeReading),
  };
}

/** The segment that a reading from the page evaluated. */
export function readingSegment(reading: PageReading, clock: PageClock): Segment {
  const wholeNs = reading.seconds * NS_PER_SEC + clock.namespaceNs;
  const { cycleLast: base, mult, shift, scaledNs, maxCycles } = reading;
  if (clock.coarse) {
    return { base, maxDelta: 1n << 64n, mult, shift, wholeNs, scaledNs, outOfWindow: 'refuse' };
  }
  return clock.maxCycles === null
    ? { base, maxDelta: 1n << 64n, mult, shift, wholeNs, scaledNs, outOfWindow: 'clamp-narrow' }
    : { base, maxDelta: maxCycles + 1n, mult, shift, wholeNs, scaledNs, outOfWindow: 'clamp-wide' };
}

/**
 * Judges a row again in `bigint`, from its words alone: the values that came from the page, and the verdict.
 * Null if the native loop was right, else what it got wrong.
 */
export function recomputeRow(row: BracketRow, clock: PageClock | null): string | null {
  if (clock !== null) {
    for (const reading of row.readings) {
      const ns = evaluate(readingSegment(reading, clock), reading.cycles);
      if (ns !== reading.ns) return `native value ${reading.ns} ns, exact value ${ns} ns`;
    }
  }
  const [first, second] = row.readings;
  const used = second === undefined ? [row.innerNs] : [row.outerFirstNs, row.outerSecondNs];
  for (const [index, reading] of [first, second].entries()) {
    if (reading !== undefined && reading.ns !== used[index])
      return 'a value from the page was not the one judged';
  }
  const verdict =
    row.innerNs < row.outerFirstNs ? 'below' : row.innerNs > row.outerSecondNs ? 'above' : 'inside';
  return verdict === row.verdict ? null : `native verdict ${row.verdict}, exact verdict ${verdict}`;
}

export interface BracketRequest {
  outer: ReadingSourceName;
  inner: ReadingSourceName;
  clockId: number;
  /** Where the clock lies in the page; another clock's place, if only the page's count is to be watched. */
  page: PageClock | null;
}

const ROWS_A_CHUNK = 64;
const MOST_OUTSIDE_ROWS = 16;

/** The sum of many bracketing loops over one clock and pair of sources. */
export class BracketTotals {
  samples = 0;
  acrossUpdate = 0;
  outside = 0;
  outsideAcrossUpdate = 0;
  worstNs = 0;
  retries = 0;
  /** Rows judged again in `bigint`, and what of them differed. */
  recomputed = 0;
  readonly differing: string[] = [];
  readonly outsideRows: BracketRow[] = [];
  readonly #widths: number[] = [];
  readonly #rows = new BigInt64Array(ROWS_A_CHUNK * BRACKET_ROW_WORDS);
  readonly #outside = new BigInt64Array(MOST_OUTSIDE_ROWS * BRACKET_ROW_WORDS);

  constructor(
    readonly addon: Addon,
    readonly request: BracketRequest,
  ) {}

  /** Median width of the brackets seen, nanoseconds; 0 before the first sample. */
  get widthNs(): number {
    return this.#widths.length === 0 ? 0 : median(this.#widths);
  }

  /** Takes `count` samples more, in this thread, without a pause. Throws what the readings throw. */
  take(count: number): void {
    const { outer, inner, clockId, page } = this.request;
    const rowEvery = Math.max(1, Math.floor(count / ROWS_A_CHUNK));
    const tally = this.addon.bracket(
      ReadingSource[outer],
      ReadingSource[inner],
      clockId,
      page,
      count,
      rowEvery,
      this.#rows,
      this.#outside,
    );
    this.#add(tally);
  }

  #add(tally: BracketTally): void {
    this.samples += tally.samples;
    this.acrossUpdate += tally.acrossUpdate;
    this.outside += tally.outside;
    this.outsideAcrossUpdate += tally.outsideAcrossUpdate;
    this.worstNs = Math.max(this.worstNs, tally.worstNs);
    this.retries += tally.retries;
    const sampled = this.#decode(this.#rows, tally.rows);
    const outside = this.#decode(this.#outside, tally.outsideRows);
    for (const row of [...sampled, ...outside]) {
      this.recomputed++;
      const difference = recomputeRow(row, this.request.page);
      if (difference !== null) this.differing.push(difference);
    }
    for (const row of sampled) this.#widths.push(Number(row.outerSecondNs - row.outerFirstNs));
    this.outsideRows.push(...outside.slice(0, MOST_OUTSIDE_ROWS - this.outsideRows.length));
  }

  #decode(words: BigInt64Array, count: number): BracketRow[] {
    const { outer, inner } = this.request;
    const pageReadings = outer === 'page' ? 2 : inner === 'page' ? 1 : 0;
    return Array.from({ length: count }, (_, index) =>
      decodeRow(words.slice(index * BRACKET_ROW_WORDS, (index + 1) * BRACKET_ROW_WORDS), pageReadings),
    );
  }
}
