import type { Pair } from '../smear/difference.js';
import { aliasesOf, fullName } from '../smear/policy.js';
import { compare, magnitude, nearest, toNumber } from '../smear/rational.js';
import type { Scene } from '../smear/scene.js';
import type { Smear } from '../smear/smear.js';
import { worstPlace } from './smear-diff-text.js';
import { sceneLines, shortTime, signedSeconds } from './smear-head.js';
import { columns, type TextStyle } from './text.js';

const LABEL_WIDTH = 15;
const CELL_WIDTH = 5;

/** Seconds with three digits after the point; what would be 0.000 in its own unit. */
function cell({ difference }: Pair): string {
  if (difference.apart === null) return 'same';
  const ns = Math.abs(toNumber(difference.worst));
  if (ns >= 500_000) return (ns / 1e9).toFixed(3);
  return shortTime(Number(ns.toPrecision(2))).replace(' ', '');
}

function label(smear: Smear, index: number): string {
  const text = ` ${String(index + 1).padStart(2)} ${smear.policy.name}`;
  return text.length <= LABEL_WIDTH ? text : `${text.slice(0, LABEL_WIDTH - 1)}…`;
}

/** As many columns as the width takes, and the rows that have something in them. */
function block(
  smears: readonly Smear[],
  pairs: readonly Pair[],
  from: number,
  to: number,
  style: TextStyle,
): string {
  const { dim } = style.colors;
  const heads = smears.slice(from, to).map((_, i) => dim(String(from + i + 1).padStart(CELL_WIDTH)));
  const rows = smears.slice(from + 1).map((smear, i) => {
    const b = from + 1 + i;
    const cells = smears.slice(from, Math.min(to, b)).map((_, column) => {
      const pair = pairs.find((one) => one.a === from + column && one.b === b);
      return pair === undefined ? '' : cell(pair).padStart(CELL_WIDTH);
    });
    return [label(smear, b), ...cells];
  });
  const first = from === 0 ? [[label(smears[0] as Smear, 0)]] : [];
  return columns(
    style,
    [LABEL_WIDTH, ...heads.slice(1).map(() => CELL_WIDTH)],
    [['', ...heads], ...first, ...rows],
  );
}

/** All policies against all, as text for people. */
export function smearMatrixText(
  scene: Scene,
  smears: readonly Smear[],
  pairs: readonly Pair[],
  style: TextStyle,
): string {
  const perBlock = Math.floor((style.width - LABEL_WIDTH) / (CELL_WIDTH + 2));
  const blocks: string[] = [];
  for (let from = 0; from < smears.length - 1; from += perBlock) {
    blocks.push(block(smears, pairs, from, Math.min(from + perBlock, smears.length - 1), style));
  }
  let worst: Pair | undefined;
  for (const pair of pairs) {
    const { worst: size } = pair.difference;
    if (worst === undefined || compare(magnitude(size), magnitude(worst.difference.worst)) > 0) worst = pair;
  }
  const title = style.colors.bold('how far apart two clocks are at the worst, in seconds');
  const names =
    worst === undefined ? [] : [smears[worst.a], smears[worst.b]].map((one) => one && fullName(one.policy));
  const verdict =
    worst === undefined
      ? 'one policy: nothing to compare'
      : `the worst pair: ${names.join(' less ')}, ${signedSeconds(nearest(worst.difference.worst))} s at ${worstPlace(scene, worst.difference)[0]}`;
  const text = [`${title}\n${blocks.join('\n\n')}`, columns(style, [], [[verdict]])];
  const aliases = Object.entries(aliasesOf(smears.map(({ policy }) => policy))).map(
    ([alias, name]) => `${alias} stands for ${name}`,
  );
  return `${[sceneLines(scene, style), ...aliases, ...(pairs.length === 0 ? [verdict] : text)].join('\n\n')}\n`;
}
