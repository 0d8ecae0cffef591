import { BUNDLED_LEAP_TABLE } from '../../lib/leap/bundled.ts';
import { parsePolicy } from '../../lib/smear/custom-policy.ts';
import { type Leap, timelineOf, withLeap } from '../../lib/smear/leap.ts';
import { type Smear, smearOf } from '../../lib/smear/smear.ts';

export const TIMELINE = timelineOf(BUNDLED_LEAP_TABLE);

function unix(date: string): bigint {
  return BigInt(Date.parse(`${date}T00:00:00Z`) / 1000);
}

/** The timeline with a leap second at the end of 2016-12-31, which is the real one if it is positive. */
export const AROUND: Readonly<Record<'1' | '-1', ReturnType<typeof withLeap>>> = {
  1: withLeap(TIMELINE, unix('2017-01-01'), 1),
  '-1': withLeap(TIMELINE, unix('2017-01-01'), -1),
};

export function leapOf(sign: 1 | -1): Leap {
  return AROUND[sign].leap;
}

/** A policy by its name, at work on the leap second at the end of 2016-12-31. */
export function smearBy(name: string, sign: 1 | -1 = 1): Smear {
  const { timeline, leap } = AROUND[sign];
  return smearOf(parsePolicy(name), leap, timeline);
}

export const SIGNS = [1, -1] as const;

/** Every policy that has a name, and customs of every form. */
export const NAMES = [
  'google-24h',
  'aws',
  'google-20h',
  'google-2011',
  'utc-sls',
  'bloomberg',
  'meta',
  'meta-2024',
  'chrony',
  'ntpd',
  'ntpsec',
  'step',
  'ntpd:7200',
  'ntpsec:3600',
  'linear:-10.5..3',
  'cosine:-4..0.000000007',
  'quadratic:-3600..3600',
  'quadratic:0..5000.5,0.000000001',
  'smoothtime:400,0.001',
  'smoothtime:10,0.001',
] as const;

/** Those that smear. */
export const SMEARED_NAMES = NAMES.filter((name) => name !== 'step');
