import { LatchclockError } from '../errors.js';
import { parseSeconds } from '../smear/decimal.js';
import type { Observation } from '../smear/identify.js';
import type { Ahead } from '../smear/ntp-formats.js';
import { parseObservation } from '../smear/observation.js';
import { leapOfMost, type ObservedClock, readObservations } from '../smear/read-observations.js';
import type { Scene } from '../smear/scene.js';
import type { Smear } from '../smear/smear.js';
import { readInput } from './input.js';
import { parseChoice } from './values.js';

/** What `smear which` is told of observations. */
export interface WhichOptions {
  error: string;
  against: string;
  from?: string[];
  fromFormat?: string;
  sign?: string;
  at?: string;
}

export const SIGNS = ['ntpq', 'chronyc'] as const;

const MOST_ERROR_NS = 250_000_000n;
const MOST_INPUT_BYTES = 16 << 20;
const STANDARD_INPUT = '/dev/stdin';

/** The standard deviation of an observation, ns. Throws `ERR_BAD_ARGUMENT`. */
export function parseError(text: string): number {
  const ns = parseSeconds(text);
  if (ns === null || ns <= 0n || ns > MOST_ERROR_NS) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', `'${text}' is no error of an observation`, {
      where: '--error',
      todo: 'give seconds above 0 and up to 0.25: with more, no policy is told from another',
    });
  }
  return Number(ns);
}

/** Which is ahead where an offset is positive; null if the option is not given. */
function parseSign(text: string | undefined): Ahead | null {
  if (text === undefined) return null;
  // chronyc belongs to chrony.
  return parseChoice('--sign', text === 'chrony' ? 'chronyc' : text, SIGNS) === 'ntpq' ? 'server' : 'host';
}

function inputs(scene: Scene, options: WhichOptions): ObservedClock[] {
  const { timeline, leap } = scene;
  return (options.from ?? []).flatMap((path) => {
    const text = readInput(path === '-' ? STANDARD_INPUT : path, MOST_INPUT_BYTES, '--from');
    const { clocks } = readObservations(text, {
      timeline,
      leap,
      format: options.fromFormat ?? null,
      ahead: parseSign(options.sign),
      at: options.at ?? null,
      source: path === '-' ? 'standard input' : path,
    });
    return clocks;
  });
}

/**
 * The clocks that the arguments and the inputs of `smear which` tell of.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT`, `ERR_FILE`
 */
export function observedClocks(
  texts: readonly string[],
  scene: Scene,
  against: Smear,
  options: WhichOptions,
): ObservedClock[] {
  const isNegated = parseSign(options.sign) === 'host';
  const given: Observation[] = texts.map((text) => {
    const seen = parseObservation(text, { scene, against });
    return isNegated && seen.isSignCertain !== true ? { ...seen, offsetNs: -seen.offsetNs } : seen;
  });
  const byName = new Map<string, Observation[]>(given.length === 0 ? [] : [['', given]]);
  for (const { name, observations } of inputs(scene, options)) {
    byName.set(name, [...(byName.get(name) ?? []), ...observations]);
  }
  if (byName.size === 0) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', 'there is no observation', {
      where: 'smear which',
      todo: 'give INSTANT=OFFSET, such as L-500=-0.494, or --from FILE',
    });
  }
  return [...byName].map(([name, observations]) => ({ name, observations }));
}

/** The scene of the leap second that observations are nearest to, where none was asked for. */
export function sceneOfClocks(scene: Scene, clocks: readonly ObservedClock[], isAsked: boolean): Scene {
  if (isAsked) return scene;
  const instants = clocks.flatMap(({ observations }) => observations.map(({ taiNs }) => taiNs));
  return { ...scene, leap: leapOfMost(scene.timeline, instants) ?? scene.leap };
}
