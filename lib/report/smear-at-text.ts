import { formatSeconds } from '../smear/decimal.js';
import { formatFromLeap, formatUnixNs, formatUtc } from '../smear/instant.js';
import { fullName } from '../smear/policy.js';
import type { Scene } from '../smear/scene.js';
import { offsetNsAt, rateAt, type Smear, smearedNsAt } from '../smear/smear.js';
import { policyTable, ppm, sceneLines, signedSeconds } from './smear-head.js';
import type { TextStyle } from './text.js';

/** One instant through every policy, as text for people. */
export function smearAtText(scene: Scene, taiNs: bigint, smears: readonly Smear[], style: TextStyle): string {
  const rows = smears.map((smear) => ({
    name: fullName(smear.policy),
    cells: [
      signedSeconds(offsetNsAt(smear, taiNs)),
      formatUnixNs(smearedNsAt(smear, taiNs)),
      ppm(rateAt(smear, taiNs)),
    ],
  }));
  const { leap, timeline } = scene;
  const instant = [
    style.colors.bold(`${formatFromLeap(leap, taiNs)} is ${formatUtc(timeline, taiNs)}`),
    `TAI ${formatSeconds(taiNs)} s since 1970`,
  ].join('\n');
  const table = policyTable(style, [14, 31], ['policy', 'offset, s', 'the clock shows', 'rate, ppm'], rows);
  const note = 'offset: the smeared clock less TAI, and less the TAI offset after the leap';
  return `${[sceneLines(scene, style), instant, table, note].join('\n\n')}\n`;
}
