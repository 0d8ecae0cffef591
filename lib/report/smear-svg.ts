import { piecesOf } from '../smear/curve.js';
import { type Difference, differenceAt, type Pair } from '../smear/difference.js';
import { fullName } from '../smear/policy.js';
import { nearest, toNumber } from '../smear/rational.js';
import type { Scene } from '../smear/scene.js';
import { offsetAt, type Smear } from '../smear/smear.js';
import { maxBigint, minBigint } from '../units.js';
import { worstPlace } from './smear-diff-text.js';
import { signedSeconds } from './smear-head.js';
import { svgDrawing } from './svg-drawing.js';

const WIDTH = 900;
const STEPS = 600;
const HOUR_NS = 3600e9;
const X_AXIS = 'hours from L, the leap';

function leapName({ leap }: Scene): string {
  const kind = `${leap.hypothetical ? 'hypothetical ' : ''}${leap.sign === 1 ? 'positive' : 'negative'}`;
  return `${kind} leap second of ${leap.date}`;
}

function hoursFrom({ leap }: Scene, taiNs: bigint): number {
  return Number(taiNs - leap.taiNs) / HOUR_NS;
}

/** Evenly spaced instants around the windows, and those at their knots, just before which something may jump. */
function instants(smears: readonly Smear[]): bigint[] {
  const knots = smears.flatMap(({ startNs, curve }) => [
    startNs,
    ...piecesOf(curve).map(({ endNs }) => startNs + endNs),
  ]);
  const [first, last] = [knots.reduce(minBigint), knots.reduce(maxBigint)];
  const margin = maxBigint((last - first) / 30n, 1_000_000_000n);
  // No farther than the table tells.
  const from = smears.map(({ coverage }) => coverage.fromTaiNs).reduce(maxBigint, first - margin);
  const to = smears.map(({ coverage }) => coverage.untilTaiNs - 1n).reduce(minBigint, last + margin);
  const length = to - from;
  const even = Array.from({ length: STEPS + 1 }, (_, i) => from + (length * BigInt(i)) / BigInt(STEPS));
  const beside = knots.flatMap((knot) => [maxBigint(knot - 1n, from), knot]);
  return [...even, ...beside].toSorted((a, b) => (a < b ? -1 : 1));
}

/** `smear plan` as SVG: the offsets of all policies. */
export function smearPlanSvg(scene: Scene, smears: readonly Smear[]): Promise<string> {
  const all = instants(smears);
  const points = smears.flatMap((smear) =>
    all.map((taiNs) => ({
      policy: fullName(smear.policy),
      hours: hoursFrom(scene, taiNs),
      offset: toNumber(offsetAt(smear, taiNs)) / 1e9,
    })),
  );
  const names = smears.map(({ policy }) => fullName(policy));
  const right = hoursFrom(scene, all.at(-1) as bigint);
  const legend = names.map((policy, i) => ({
    policy,
    hours: right,
    offset: (scene.leap.sign === 1 ? 1 : 0) - i / Math.max(names.length, 20),
  }));
  return svgDrawing(`Smeared clocks around the ${leapName(scene)}`, (plot) => ({
    width: WIDTH,
    height: 440,
    marginTop: 40,
    marginLeft: 50,
    marginRight: 160,
    marginBottom: 40,
    x: { label: X_AXIS, labelAnchor: 'center' },
    y: { label: 'smeared - (TAI - TAI offset after), s', labelAnchor: 'center', grid: true },
    color: { type: 'categorical', scheme: 'tableau10', domain: names },
    marks: [
      plot.ruleX([0], { strokeDasharray: '4,4' }),
      plot.lineY(points, { x: 'hours', y: 'offset', stroke: 'policy', strokeWidth: 1.5 }),
      plot.dot(legend, { x: 'hours', y: 'offset', fill: 'policy', dx: 18, r: 4 }),
      plot.text(legend, { x: 'hours', y: 'offset', text: 'policy', textAnchor: 'start', dx: 28 }),
    ],
  }));
}

/** `smear diff` as SVG: the difference of two policies. */
export function smearDiffSvg(
  scene: Scene,
  [a, b]: readonly [Smear, Smear],
  difference: Difference,
): Promise<string> {
  const points = instants([a, b]).map((taiNs) => ({
    hours: hoursFrom(scene, taiNs),
    difference: toNumber(differenceAt(a, b, taiNs)) / 1e9,
  }));
  const worst = {
    hours: hoursFrom(scene, difference.atNs),
    difference: toNumber(difference.worst) / 1e9,
    text: `${signedSeconds(nearest(difference.worst))} s ${worstPlace(scene, difference)[0]}`,
  };
  const title = `${fullName(a.policy)} less ${fullName(b.policy)}, ${leapName(scene)}`;
  const isLeft = worst.hours < ((points[0]?.hours ?? 0) + (points.at(-1)?.hours ?? 0)) / 2;
  return svgDrawing(title, (plot) => ({
    width: WIDTH,
    height: 360,
    marginTop: 40,
    marginLeft: 60,
    marginBottom: 40,
    x: { label: X_AXIS, labelAnchor: 'center' },
    y: { label: 'difference, s', labelAnchor: 'center', grid: true },
    marks: [
      plot.ruleY([0], {}),
      plot.ruleX([0], { strokeDasharray: '4,4' }),
      plot.lineY(points, { x: 'hours', y: 'difference', stroke: '#4e79a7', strokeWidth: 1.5 }),
      plot.dot([worst], { x: 'hours', y: 'difference', fill: '#e15759', r: 4 }),
      plot.text([worst], {
        x: 'hours',
        y: 'difference',
        text: 'text',
        textAnchor: isLeft ? 'start' : 'end',
        dx: isLeft ? 8 : -8,
        dy: worst.difference < 0 ? -8 : 8,
      }),
    ],
  }));
}

/** `smear matrix` as SVG: the largest differences of all pairs, both ways. */
export function smearMatrixSvg(
  scene: Scene,
  smears: readonly Smear[],
  pairs: readonly Pair[],
): Promise<string> {
  const names = smears.map(({ policy }) => fullName(policy));
  const cells = pairs.flatMap(({ a, b, difference }) => {
    const seconds = Math.abs(toNumber(difference.worst)) / 1e9;
    const text = difference.apart === null ? 'same' : seconds.toPrecision(3);
    return [
      { a: names[a], b: names[b], seconds, text },
      { a: names[b], b: names[a], seconds, text },
    ];
  });
  return svgDrawing(`Largest differences, s, ${leapName(scene)}`, (plot) => ({
    // No narrower than the title.
    width: Math.max(700, 150 + 75 * names.length),
    height: 140 + 36 * names.length,
    marginTop: 120,
    marginLeft: 130,
    x: { domain: names, label: null, axis: 'top', tickRotate: -40 },
    y: { domain: names, label: null },
    color: { scheme: 'YlOrRd', domain: [0, 1.4] },
    marks: [
      plot.cell(cells, { x: 'a', y: 'b', fill: 'seconds', inset: 1 }),
      plot.text(cells, { x: 'a', y: 'b', text: 'text' }),
    ],
  }));
}
