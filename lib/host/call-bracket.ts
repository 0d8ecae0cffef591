import type { ClockCallName } from '../native/addon.js';
import { NS_PER_SEC } from '../units.js';

/** An answer as the call left it: seconds and their fraction. */
export interface CallAnswer {
  readonly seconds: bigint;
  readonly fraction: bigint;
}

/** A sample of a call between two of `clock_gettime`. */
export interface CallRow {
  readonly acrossUpdate: boolean;
  readonly first: CallAnswer;
  readonly inner: CallAnswer;
  readonly second: CallAnswer;
}

/** What a row says of its call, judged from its words alone. */
export interface CallJudgement {
  /** Distance outside, nanoseconds; 0 inside. */
  readonly distanceNs: bigint;
  readonly malformed: boolean;
  readonly malformedOuter: boolean;
}

/** Takes one row of `Addon.bracketCall` apart. */
export function decodeCallRow(words: BigInt64Array): CallRow {
  const answer = (at: number): CallAnswer => ({
    seconds: words[at] ?? 0n,
    fraction: words[at + 1] ?? 0n,
  });
  return { acrossUpdate: words[0] === 1n, first: answer(1), inner: answer(3), second: answer(5) };
}

/** Nanoseconds in a unit of the fraction: of `time`, which has none, 0. */
const FRACTION_NS: Partial<Record<ClockCallName, bigint>> = { clock_gettime: 1n, gettimeofday: 1_000n };

/** Whether an answer is as the interface promises: `0 <= fraction < 1 s`; of `time`, returned is stored. */
export function isWellFormed(call: ClockCallName, { fraction }: CallAnswer): boolean {
  if (call === 'getcpu') return true;
  if (call === 'time') return fraction === 0n;
  return fraction >= 0n && fraction < NS_PER_SEC / (FRACTION_NS[call] ?? 1n);
}

/** Judges a row in `bigint`, with nothing of the native loop's arithmetic. */
export function judgeCallRow(call: ClockCallName, { first, inner, second }: CallRow): CallJudgement {
  const unitNs = call === 'time' ? NS_PER_SEC : (FRACTION_NS[call] ?? 1n);
  const outerNs = ({ seconds, fraction }: CallAnswer): bigint => seconds * NS_PER_SEC + fraction;
  const firstNs = outerNs(first);
  const lowestNs = firstNs - (((firstNs % unitNs) + unitNs) % unitNs);
  const innerNs = inner.seconds * NS_PER_SEC + (call === 'time' ? 0n : inner.fraction * unitNs);
  const secondNs = outerNs(second);
  const distanceNs = innerNs < lowestNs ? lowestNs - innerNs : innerNs > secondNs ? innerNs - secondNs : 0n;
  return {
    distanceNs,
    malformed: !isWellFormed(call, inner),
    malformedOuter: !isWellFormed('clock_gettime', first) || !isWellFormed('clock_gettime', second),
  };
}
