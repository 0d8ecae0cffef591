import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BUNDLED_LEAP_TABLE } from '../../lib/leap/bundled.ts';
import { dateOf } from '../../lib/leap/date.ts';
import { parsePolicy } from '../../lib/smear/custom-policy.ts';
import { formatUnixNs, formatUtc, parseInstant } from '../../lib/smear/instant.ts';
import { assumingNoLeaps, type Leap, type LeapTimeline, timelineOf, withLeap } from '../../lib/smear/leap.ts';
import { segmentsOf } from '../../lib/smear/segments.ts';
import {
  offsetAt,
  offsetNsAt,
  rateAt,
  type Smear,
  smearedAt,
  smearedNsAt,
  smearOf,
  unsmear,
} from '../../lib/smear/smear.ts';

const SECOND = 1_000_000_000n;
const TIMELINE = timelineOf(BUNDLED_LEAP_TABLE);
const LEAP = TIMELINE.leaps.at(-1) as Leap;
/** 1972-01-01 and the expiry, 2027-06-28, TAI: by hand from the table's own numbers. */
const FROM = (63_072_000n + 10n) * SECOND;
const UNTIL = (1_814_140_800n + 37n) * SECOND;

const smearBy = (name: string, timeline: LeapTimeline = TIMELINE): Smear =>
  smearOf(parsePolicy(name), LEAP, timeline);

/** Every function that maps times, at an instant, or at what the smeared clock shows there. */
const MAPS: readonly [string, (smear: Smear, timeline: LeapTimeline, taiNs: bigint) => unknown][] = [
  ['offsetAt', (smear, _, taiNs) => offsetAt(smear, taiNs)],
  ['offsetNsAt', (smear, _, taiNs) => offsetNsAt(smear, taiNs)],
  ['smearedAt', (smear, _, taiNs) => smearedAt(smear, taiNs)],
  ['smearedNsAt', (smear, _, taiNs) => smearedNsAt(smear, taiNs)],
  ['rateAt', (smear, _, taiNs) => rateAt(smear, taiNs)],
  [
    'unsmear',
    (smear, _, taiNs) =>
      unsmear(smear, taiNs - BigInt(taiNs < LEAP.taiNs ? LEAP.taiOffsetBefore : 37) * SECOND),
  ],
  [
    'segmentsOf',
    (smear, _, taiNs) =>
      segmentsOf(
        smear,
        { cycles: 1n << 32n, taiNs, hz: SECOND },
        { fromTaiNs: taiNs, toTaiNs: taiNs + 1n },
      ).next(),
  ],
  ['formatUtc', (_, timeline, taiNs) => formatUtc(timeline, taiNs)],
  [
    'parseInstant',
    (_, timeline, taiNs) => {
      const fraction = String(taiNs % SECOND).padStart(9, '0');
      return parseInstant(`tai:${taiNs / SECOND}.${fraction}`, timeline, LEAP);
    },
  ],
];

describe.each(MAPS)('%s', (_, map) => {
  test.each(['meta', 'step', 'ntpd'])(
    'with %s maps no time before the table or from its expiry on',
    (name) => {
      const smear = smearBy(name);
      // Before 1972 a smeared time is told by the offset of 2016: only near the leap it is what a clock showed.
      expect(() => map(smear, TIMELINE, 0n)).toThrow(/before the table of leap seconds/);
      expect(() => map(smear, TIMELINE, UNTIL + SECOND)).toThrow(/expired on 2027-06-28, before this/);
      for (const taiNs of [0n, UNTIL + SECOND, 10n ** 27n]) {
        expect(() => map(smear, TIMELINE, taiNs)).toThrow(
          expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }),
        );
      }
      for (const taiNs of [FROM + 100n * SECOND, LEAP.taiNs, UNTIL - 1n]) map(smear, TIMELINE, taiNs);
    },
  );

  test('maps times past the expiry where no leap second is assumed, up to the year 9999', () => {
    const endless = assumingNoLeaps(TIMELINE);
    const smear = smearBy('meta', endless);
    map(smear, endless, UNTIL);
    map(smear, endless, (253_402_300_800n + 37n) * SECOND - 1n);
    expect(() => map(smear, endless, (253_402_300_800n + 37n) * SECOND)).toThrow(/after the year 9999/);
  });
});

test('the span begins and ends at its very ns', () => {
  const smear = smearBy('step');
  for (const edge of [FROM, UNTIL - 1n]) expect(typeof offsetNsAt(smear, edge)).toBe('bigint');
  for (const beyond of [FROM - 1n, UNTIL]) expect(() => offsetNsAt(smear, beyond)).toThrow();
});

test('a window that the table does not cover whole is refused, and is taken where no leap second is assumed', () => {
  const expires = LEAP.unixSeconds + 3600n;
  const timeline = { ...TIMELINE, expires };
  expect(smearBy('ntpd', timeline).endNs).toBe(LEAP.taiNs);
  expect(() => smearBy('google-24h', timeline)).toThrow(
    /expired on 2017-01-01, before this \(policy google-24h/,
  );
  expect(smearBy('google-24h', assumingNoLeaps(timeline)).coverage.expires).toBeNull();
  const first = withLeap(TIMELINE, TIMELINE.startUnixSeconds + 86_400n, 1);
  expect(() => smearOf(parsePolicy('linear:-100000..0'), first.leap, first.timeline)).toThrow(
    /before the table/,
  );
});

test('no number of seconds is an internal error: it has a date, or is refused as an argument', () => {
  const seconds = fc.oneof(
    fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }),
    fc.constantFrom(8_640_000_000_000n, 8_640_000_000_001n, -8_640_000_000_001n, 253_402_300_800n),
  );
  const refusedOr = (use: () => string): void => {
    try {
      expect(use()).toMatch(/^\d{4}-\d\d-\d\d/);
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_BAD_ARGUMENT' });
    }
  };
  fc.assert(
    fc.property(seconds, (value) => {
      refusedOr(() => dateOf(value));
      refusedOr(() => formatUnixNs(value * SECOND + 5n));
      refusedOr(() => withLeap(TIMELINE, value * 86_400n, 1).leap.date);
    }),
  );
  expect(dateOf(-62_167_219_200n)).toBe('0000-01-01');
  expect(dateOf(253_402_300_799n)).toBe('9999-12-31');
});
