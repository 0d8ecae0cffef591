import { formatSeconds } from '../smear/decimal.js';
import { formatUnixNs, formatUtc } from '../smear/instant.js';
import { fullName } from '../smear/policy.js';
import type { Scene } from '../smear/scene.js';
import type { Smear } from '../smear/smear.js';
import { type PolicyRows, policyTable, sceneLines } from './smear-head.js';
import type { TextStyle } from './text.js';

/** The instants at which a smeared clock shows a time, by policy. */
export interface Unsmeared {
  readonly smear: Smear;
  readonly instantsNs: readonly bigint[];
}

function rowsOf({ timeline }: Scene, { smear, instantsNs }: Unsmeared): PolicyRows[] {
  const name = fullName(smear.policy);
  if (instantsNs.length === 0) return [{ name, cells: ['never: the clock steps over it'] }];
  return instantsNs.map((taiNs, i) => ({
    name: i === 0 ? name : '',
    cells: [formatUtc(timeline, taiNs), `${formatSeconds(taiNs)} s`],
  }));
}

/** What a smeared time is in UTC and TAI, as text for people. */
export function smearUnsmearText(
  scene: Scene,
  smearedNs: bigint,
  all: readonly Unsmeared[],
  style: TextStyle,
): string {
  const title = style.colors.bold(`a smeared clock shows ${formatUnixNs(smearedNs)}`);
  const rows = all.flatMap((one) => rowsOf(scene, one));
  const table = policyTable(style, [31], ['policy', 'when UTC is', 'TAI since 1970'], rows);
  return `${[sceneLines(scene, style), title, table].join('\n\n')}\n`;
}
