import { NS_PER_SEC } from '../units.js';
import type { Curve, Shape } from './curve.js';

/** A stretch of TAI around a leap second: ns from {@link Leap.taiNs}, start included. */
export interface Window {
  readonly startNs: bigint;
  readonly endNs: bigint;
  /**
   * How long the whole leap would take at the shape's rates, ns, for `linear` and `cosine`: if longer than the window,
   * what is left is a step at its end. Default: as long as the window.
   */
  readonly spanNs?: bigint;
}

/** A way to spread a leap second. */
export interface SmearPolicy {
  readonly name: string;
  /** The policy that the name is an alias of; absent where the name is its own. */
  readonly aliasOf?: string;
  /** One line: the shape, and the window in words. */
  readonly summary: string;
  readonly shape: Shape;
  readonly positive: Window;
  readonly negative: Window;
  /** Length of each ramp of a `quadratic` shape, ns; at most half of the window. */
  readonly rampNs?: bigint;
}

function seconds(start: number, end: number, span?: number): Window {
  const window = { startNs: BigInt(start) * NS_PER_SEC, endNs: BigInt(end) * NS_PER_SEC };
  return span === undefined ? window : { ...window, spanNs: BigInt(span) * NS_PER_SEC };
}

function policy(
  name: string,
  shape: Shape,
  positive: Window,
  negative: Window,
  summary: string,
  rampSeconds?: number,
): SmearPolicy {
  const ramp = rampSeconds === undefined ? {} : { rampNs: BigInt(rampSeconds) * NS_PER_SEC };
  return { name, summary, shape, positive, negative, ...ramp };
}

function symmetric(
  name: string,
  shape: Shape,
  start: number,
  end: number,
  summary: string,
  ramp?: number,
): SmearPolicy {
  return policy(name, shape, seconds(start, end), seconds(start, end), summary, ramp);
}

/** Default of `leapsmearinterval` here, and what NTP's documentation recommends at most, seconds. */
const NTP_INTERVAL = 86_400;

/**
 * The window of a daemon that counts the labels of UTC up to the 00:00:00 after the leap second. A negative one takes the
 * last of them away: the window is a second shorter, and what that second would have done is a step.
 */
function labelled(name: string, shape: 'linear' | 'cosine', interval: number): SmearPolicy {
  const negative = seconds(1 - interval, 0, interval);
  return policy(name, shape, seconds(-interval, 0), negative, `${shape}, ${interval} s before the leap`);
}

/** What ntpd does with `leapsmearinterval SECONDS`. */
export function ntpd(name: string, interval: number): SmearPolicy {
  return labelled(name, 'cosine', interval);
}

/** What NTPsec does with `leapsmearinterval SECONDS`. */
export function ntpsec(name: string, interval: number): SmearPolicy {
  return labelled(name, 'linear', interval);
}

/** The policies that are known by name. docs/smears.md has the source of each, and what is unclear about it. */
export const POLICIES: readonly SmearPolicy[] = [
  policy(
    'google-24h',
    'linear',
    seconds(-43_200, 43_201),
    seconds(-43_199, 43_200),
    'linear, noon to noon (aws: the same)',
  ),
  policy(
    'google-20h',
    'linear',
    seconds(-36_000, 36_001),
    seconds(-35_999, 36_000),
    'linear, 14:00 to 10:00 (2016)',
  ),
  symmetric('google-2011', 'cosine', -72_000, 0, 'cosine, 20 h before the leap'),
  policy('utc-sls', 'linear', seconds(-999, 1), seconds(-1000, 0), 'linear, last 1000 s of the day'),
  symmetric('bloomberg', 'linear', 0, 2000, 'linear, 2000 s from the leap on'),
  policy(
    'meta',
    'linear',
    seconds(0, 62_500),
    seconds(1, 62_501),
    'linear, 62500 s from the leap on (PTP clients)',
  ),
  policy(
    'meta-2024',
    'linear',
    seconds(0, 62_500, 65_000),
    seconds(1, 62_501, 65_000),
    'linear, 62500 of 65000 s, then a step (2024 to 2026)',
  ),
  symmetric('chrony', 'quadratic', 0, 62_500, 'quadratic, 62500 s from the leap on (Meta: NTP)', 31_250),
  ntpd('ntpd', NTP_INTERVAL),
  ntpsec('ntpsec', NTP_INTERVAL),
  symmetric('step', 'step', 0, 0, 'none: a second twice, or left out'),
];

/** Other names of policies. */
export const POLICY_ALIASES: Readonly<Record<string, string>> = { aws: 'google-24h' };

/** The names of aliases among these policies, and what each stands for. */
export function aliasesOf(policies: readonly SmearPolicy[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    policies.flatMap(({ name, aliasOf }) => (aliasOf === undefined ? [] : [[name, aliasOf]])),
  );
}

/** A policy's name for people: of an alias, with the policy that it stands for. */
export function fullName({ name, aliasOf }: SmearPolicy): string {
  return aliasOf === undefined ? name : `${name} (${aliasOf})`;
}

/** The window of a policy for a leap second of this sign. */
export function windowOf(policy: SmearPolicy, sign: 1 | -1): Window {
  return sign === 1 ? policy.positive : policy.negative;
}

/** The curve of a policy for a leap second of this sign. */
export function curveOf(policy: SmearPolicy, sign: 1 | -1): Curve {
  const { startNs, endNs, spanNs } = windowOf(policy, sign);
  const windowNs = endNs - startNs;
  switch (policy.shape) {
    case 'step':
      return { shape: 'step', windowNs: 0n };
    case 'quadratic':
      return { shape: 'quadratic', windowNs, rampNs: policy.rampNs ?? windowNs / 2n };
    default:
      return { shape: policy.shape, windowNs, spanNs: spanNs ?? windowNs };
  }
}
