import { type Difference, differenceAt } from '../smear/difference.js';
import { formatFromLeap, formatUtc } from '../smear/instant.js';
import { fullName } from '../smear/policy.js';
import { nearest, toNumber } from '../smear/rational.js';
import type { Scene } from '../smear/scene.js';
import type { Smear } from '../smear/smear.js';
import { NS_PER_SEC } from '../units.js';
import { curve } from './plot-text.js';
import { sceneLines, shortTime, signedSeconds } from './smear-head.js';
import { columns, type TextStyle } from './text.js';

const PLOT_HEIGHT = 10;
const AXIS_WIDTH = 12;
/** A place that was searched for is flat: its ns would claim too much. */
const SEARCHED_NS = NS_PER_SEC / 10n;

/** The worst instant, from the leap and in UTC, no finer than it is known. */
export function worstPlace({ timeline, leap }: Scene, { atNs, isExact, isJustBefore }: Difference): string[] {
  const known = isExact ? atNs : ((atNs - leap.taiNs) / SEARCHED_NS) * SEARCHED_NS + leap.taiNs;
  const about = isJustBefore ? 'just before ' : known === atNs ? '' : 'about ';
  return [`${about}${formatFromLeap(leap, known)}`, formatUtc(timeline, known)];
}

function plot(
  { leap }: Scene,
  [a, b]: readonly [Smear, Smear],
  apart: { fromNs: bigint; toNs: bigint },
  style: TextStyle,
): string {
  const width = style.width - AXIS_WIDTH - 1;
  const steps = BigInt(8 * width);
  const values = Array.from({ length: Number(steps) + 1 }, (_, i) =>
    toNumber(differenceAt(a, b, apart.fromNs + ((apart.toNs - apart.fromNs) * BigInt(i)) / steps)),
  );
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const zero = Math.round((high / (high - low || 1)) * (PLOT_HEIGHT - 1));
  const lines = curve(values, { width, height: PLOT_HEIGHT, low, high }).map((line, row) => {
    const value = row === 0 ? high : row === PLOT_HEIGHT - 1 ? low : row === zero ? 0 : undefined;
    const label = value === undefined ? '' : value === 0 ? '0' : shortTime(value);
    return `${label.padStart(AXIS_WIDTH - 1)} ${line}`;
  });
  const [left, right] = [apart.fromNs, apart.toNs].map((at) => formatFromLeap(leap, at)) as [string, string];
  const axis = `${' '.repeat(AXIS_WIDTH)}${left.padEnd(width - right.length)}${right}`;
  return [...lines, style.colors.dim(axis)].join('\n');
}

/** How far apart two policies are, as text for people. */
export function smearDiffText(
  scene: Scene,
  pair: readonly [Smear, Smear],
  difference: Difference,
  style: TextStyle,
): string {
  const [a, b] = pair.map(({ policy }) => fullName(policy)) as [string, string];
  const title = style.colors.bold(`${a} less ${b}`);
  const { apart, worst } = difference;
  if (apart === null) return `${[sceneLines(scene, style), `${title}\n the same everywhere`].join('\n\n')}\n`;
  const place = worstPlace(scene, difference);
  const rows = [
    [' largest', `${signedSeconds(nearest(worst))} s`],
    [' at', place.join(', ')],
    [
      ' apart from',
      `${formatFromLeap(scene.leap, apart.fromNs)}, ${formatUtc(scene.timeline, apart.fromNs)}`,
    ],
    [' to', `${formatFromLeap(scene.leap, apart.toNs)}, ${formatUtc(scene.timeline, apart.toNs)}`],
  ];
  const text = `${title}\n${columns(style, [12], rows)}`;
  return `${[sceneLines(scene, style), text, plot(scene, pair, apart, style)].join('\n\n')}\n`;
}
