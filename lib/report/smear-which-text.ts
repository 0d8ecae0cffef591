import type { Identification, Verdict } from '../smear/identify.js';
import { formatFromLeap, formatUtc } from '../smear/instant.js';
import type { Scene } from '../smear/scene.js';
import { policyTable, sceneLines, shortTime } from './smear-head.js';
import { columns, type TextStyle } from './text.js';

function percent(probability: number): string {
  // Never a certainty that rounding made.
  if (probability > 0.9999) return '> 99.99 %';
  if (probability < 0.0001) return '< 0.01 %';
  return `${(100 * probability).toFixed(2)} %`;
}

function verdictLine({ candidates }: Identification, verdict: Verdict, style: TextStyle): string {
  const { green, yellow, red, bold } = style.colors;
  const best = candidates[0];
  const name = best?.smear?.policy.name ?? '';
  switch (verdict) {
    case 'found':
      return `${bold(green('found'))}: the clock follows ${name}, ${percent(best?.probability ?? 0)}`;
    case 'none':
      return `${bold(red('none'))}: the clock follows none of these policies`;
    case 'undecided':
      return `${bold(yellow('undecided'))}: these observations do not tell`;
  }
}

/** Which policy a clock follows, as text for people. */
export function smearWhichText(
  scene: Scene,
  found: Identification,
  verdict: Verdict,
  style: TextStyle,
): string {
  const rows = found.candidates.map(({ smear, probability, rmsNs, largestNs }) => ({
    name: smear?.policy.name ?? 'none',
    cells: [
      percent(probability),
      rmsNs === null ? '' : shortTime(Number(rmsNs.toPrecision(4))),
      largestNs === null ? '' : shortTime(Number(largestNs.toPrecision(4))),
    ],
  }));
  const heads = ['policy', 'probability', 'typically off', 'at most'];
  const table = policyTable(style, [12, 14], heads, rows);
  const { next } = found;
  const advice =
    next === null || verdict !== 'undecided'
      ? []
      : [
          columns(
            style,
            [],
            [
              [
                `→ look at ${formatFromLeap(scene.leap, next.taiNs)}, ${formatUtc(scene.timeline, next.taiNs)}: the two likeliest are ${shortTime(next.apartNs)} apart there`,
              ],
            ],
          ),
        ];
  return `${[sceneLines(scene, style), table, [verdictLine(found, verdict, style), ...advice].join('\n')].join('\n\n')}\n`;
}
