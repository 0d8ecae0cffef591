import { formatFromLeap, formatUtc } from '../smear/instant.js';
import { fullName } from '../smear/policy.js';
import { type Rational, toNumber } from '../smear/rational.js';
import type { Scene } from '../smear/scene.js';
import { finalStepNs, largestRate, offsetAt, offsetNsAt, type Smear } from '../smear/smear.js';
import { maxBigint, minBigint } from '../units.js';
import { bars } from './plot-text.js';
import { type PolicyRows, policyTable, ppm, sceneLines, shortTime, signedSeconds } from './smear-head.js';
import { columns, type TextStyle } from './text.js';

/** `12-31 23:43:21`, to the second. */
function shortUtc(utc: string): string {
  return utc.slice('2016-'.length, '2016-12-31T23:43:21'.length).replace('T', ' ');
}

const PLACE_WIDTH = 14;

/** A place in its column: digits after the point that it does not hold are left out. */
function fitting(place: string): string {
  return place.slice(0, PLACE_WIDTH);
}

/** What the second line says of a step at the end of a window, in two cells; nothing where there is none. */
function stepCells(step: Rational): string[] {
  return step.numerator === 0n ? [] : ['then step', shortTime(Number(toNumber(step).toPrecision(4)))];
}

function planRows({ timeline, leap }: Scene, smear: Smear, style: TextStyle): PolicyRows {
  const { dim } = style.colors;
  const { policy, startNs, endNs } = smear;
  const rate = largestRate(smear);
  return {
    name: fullName(policy),
    cells: [
      fitting(formatFromLeap(leap, startNs)),
      fitting(formatFromLeap(leap, endNs)),
      shortTime(Number(endNs - startNs)),
      rate === null ? 'a step' : ppm(rate),
      signedSeconds(offsetNsAt(smear, leap.taiNs)),
    ],
    below: [
      ` ${dim(policy.shape)}`,
      dim(shortUtc(formatUtc(timeline, startNs))),
      dim(shortUtc(formatUtc(timeline, endNs))),
      ...(rate === null ? [] : stepCells(finalStepNs(smear)).map(dim)),
    ],
  };
}

const LABEL_WIDTH = 13;

function strips({ leap }: Scene, smears: readonly Smear[], style: TextStyle): string {
  const width = style.width - LABEL_WIDTH - 1;
  const from = smears.map(({ startNs }) => startNs).reduce(minBigint);
  const to = smears.map(({ endNs }) => endNs).reduce(maxBigint);
  const at = (column: number): bigint => from + ((to - from) * BigInt(2 * column + 1)) / BigInt(2 * width);
  const lines = smears.map((smear) => {
    const shares = Array.from({ length: width }, (_, column) =>
      Math.abs(toNumber(offsetAt(smear, at(column))) / 1e9),
    );
    const name = smear.policy.name;
    const label = name.length < LABEL_WIDTH - 1 ? name : `${name.slice(0, LABEL_WIDTH - 3)}…`;
    return ` ${label.padEnd(LABEL_WIDTH - 1)}${bars(shares).trimEnd()}`;
  });
  const [left, right] = [formatFromLeap(leap, from), formatFromLeap(leap, to)];
  const place = Math.round((Number(leap.taiNs - from) / Number(to - from)) * (width - 1));
  // L itself, where its mark runs into neither end.
  const marks = [...left.padEnd(width - right.length), ...right];
  if (place > left.length && place < width - right.length - 1) marks[place] = 'L';
  return [
    style.colors.bold(`what is left of the leap, from ${leap.sign} s down to 0`),
    ...lines,
    style.colors.dim(`${' '.repeat(LABEL_WIDTH)}${marks.join('')}`),
  ].join('\n');
}

/** What each policy does around a leap second, as text for people. */
export function smearPlanText(scene: Scene, smears: readonly Smear[], style: TextStyle): string {
  const table = policyTable(
    style,
    [PLACE_WIDTH, PLACE_WIDTH, 9, 9],
    ['policy', 'from', 'to', 'length', 'ppm', 'at L, s'],
    smears.map((smear) => planRows(scene, smear, style)),
  );
  const hasExtent = smears.some(({ startNs, endNs }) => startNs < endNs);
  const note = columns(
    style,
    [],
    [
      [
        'ppm: the rate that is farthest from 1. Then step: what the clock jumps by at the end. At L: the smeared clock less TAI, and less the TAI offset after the leap. Times are UTC.',
      ],
    ],
  );
  const plot = hasExtent ? [strips(scene, smears, style)] : [];
  return `${[sceneLines(scene, style), table, note, ...plot].join('\n\n')}\n`;
}
