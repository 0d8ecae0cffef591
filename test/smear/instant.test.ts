import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatSeconds, parseSeconds } from '../../lib/smear/decimal.ts';
import {
  formatFromLeap,
  formatUnixNs,
  formatUtc,
  parseInstant,
  parseLeapDay,
  parseSmeared,
} from '../../lib/smear/instant.ts';
import { assumingNoLeaps, nearestLeap, withLeap } from '../../lib/smear/leap.ts';
import { AROUND, SIGNS, TIMELINE } from './support.ts';

const SECOND = 1_000_000_000n;
const { timeline, leap } = AROUND[1];
const L = leap.taiNs;
const parse = (text: string): bigint => parseInstant(text, timeline, leap);
/** TAI of the leap second of 2016-12-31: 2017-01-01T00:00:00 is 1483228800, TAI - UTC was 36. */
const KNOWN_L = 1_483_228_836n * SECOND;

describe('an instant', () => {
  test.each([
    ['L', KNOWN_L],
    ['L+0', KNOWN_L],
    ['L-500', KNOWN_L - 500n * SECOND],
    ['L+0.000000001', KNOWN_L + 1n],
    ['tai:1483228836', KNOWN_L],
    ['tai:1483228836.25', KNOWN_L + SECOND / 4n],
    // The first of the two 23:59:59.5 of a clock that steps; the 00:00:00 after the leap second.
    ['unix:1483228799.5', KNOWN_L - SECOND / 2n],
    ['unix:1483228800', KNOWN_L + SECOND],
    ['unix:1483228800.000000001', KNOWN_L + SECOND + 1n],
    ['unix:63072000', 63_072_010n * SECOND],
    ['2016-12-31T23:59:60Z', KNOWN_L],
    ['2016-12-31T23:59:60.999999999Z', KNOWN_L + SECOND - 1n],
    ['2016-12-31t23:59:59.5z', KNOWN_L - SECOND / 2n],
    ['2016-12-31 23:59:59+00:00', KNOWN_L - SECOND],
    ['2017-01-01T00:00:00-00:00', KNOWN_L + SECOND],
    ['1972-01-01T00:00:00Z', 63_072_010n * SECOND],
  ])('%s', (text, expected) => {
    expect(parse(text)).toBe(expected);
  });

  test.each([
    ['', /no instant.*give tai:SECONDS/],
    ['nowadays', /no instant/],
    ['unix:', /no seconds/],
    ['unix:1e3', /no seconds/],
    ['unix:0', /before the table/],
    ['unix:-8640000000001', /before the table/],
    ['unix:8640000000001', /expired/],
    ['unix:999999999999999999', /expired/],
    ['L5', /no seconds/],
    ['L+', /no seconds/],
    ['L+1e3', /no seconds/],
    ['L+0.0000000001', /up to 9 digits/],
    ['tai:', /no seconds/],
    ['tai:1.5.5', /no seconds/],
    ['2016-12-31T23:59:60', /no instant/],
    ['2016-12-31T23:59:60+01:00', /not in UTC/],
    ['2016-02-30T00:00:00Z', /no such day/],
    ['2016-13-01T00:00:00Z', /no such day/],
    ['2016-12-31T24:00:00Z', /no such day or time/],
    ['2016-12-31T12:30:60Z', /no such day or time/],
    ['2016-12-30T23:59:60Z', /no leap second gives this day such a second.*--leap/],
    ['1971-12-31T23:59:59Z', /before the table.*1972-01-01/],
    ['tai:0', /before the table/],
    ['tai:-5', /before the table/],
    ['2030-01-01T00:00:00Z', /expired on 2027-06-28, before this.*--table/],
    ['tai:999999999999999999', /expired/],
  ])('%j is refused with the reason', (text, reason) => {
    expect(() => parse(text)).toThrow(reason);
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }));
  });

  test('the second that a negative leap leaves out does not exist', () => {
    const negative = AROUND[-1];
    const at = (text: string): bigint => parseInstant(text, negative.timeline, negative.leap);
    expect(() => at('2016-12-31T23:59:59Z')).toThrow(/a second that the day has/);
    expect(at('2017-01-01T00:00:00Z') - at('2016-12-31T23:59:58Z')).toBe(SECOND);
  });

  test('is now by the clock that is given, in UTC', () => {
    const at = parseInstant('now', timeline, leap, () => 1_483_228_801_250_000_000n);
    expect(at).toBe(KNOWN_L + 2n * SECOND + SECOND / 4n);
    expect(() => parseInstant('now', timeline, leap, () => 2n ** 62n)).toThrow(/expired/);
    const before = BigInt(Date.now()) * 1_000_000n;
    const endless = assumingNoLeaps(timeline);
    const now = parseInstant('now', endless, leap) - 37n * SECOND;
    expect(now >= before && now <= BigInt(Date.now()) * 1_000_000n).toBe(true);
  });

  test('of a Unix time is read as it is written, but in the second that a negative leap leaves out', () => {
    const negative = AROUND[-1];
    const at = (text: string): bigint => parseInstant(text, negative.timeline, negative.leap);
    expect(at('unix:1483228798.75')).toBe(negative.leap.taiNs - SECOND / 4n);
    expect(at('unix:1483228800')).toBe(negative.leap.taiNs);
    expect(() => at('unix:1483228799.5')).toThrow(/no leap second gives this day such a second/);
  });

  test('after the table is told where a leap second is supposed, up to the year 9999', () => {
    const future = withLeap(TIMELINE, BigInt(Date.parse('2036-01-01') / 1000), 1);
    const at = (text: string): bigint => parseInstant(text, future.timeline, future.leap);
    expect(at('2035-12-31T23:59:60Z')).toBe(future.leap.taiNs);
    // 38 s of TAI - UTC after the 10000-01-01 of UTC.
    expect(at('tai:253402300837.999999999')).toBe(253_402_300_838n * SECOND - 1n);
    expect(() => at('tai:253402300838')).toThrow(/after the year 9999/);
  });

  test('in UTC and from the leap it is written as it is read, over leaps of both signs', () => {
    const aside = fc.bigInt({ min: -200_000n * SECOND, max: 200_000n * SECOND });
    const close = fc.bigInt({ min: -2n * SECOND, max: 2n * SECOND });
    fc.assert(
      fc.property(fc.constantFrom(...SIGNS), fc.oneof(aside, close), (sign, ns) => {
        const around = AROUND[sign];
        const at = around.leap.taiNs + ns;
        expect(parseInstant(formatUtc(around.timeline, at), around.timeline, around.leap)).toBe(at);
        expect(parseInstant(formatFromLeap(around.leap, at), around.timeline, around.leap)).toBe(at);
      }),
    );
    expect(formatUtc(timeline, L + SECOND / 2n)).toBe('2016-12-31T23:59:60.5Z');
    expect(formatFromLeap(leap, L)).toBe('L');
  });

  test('the nearest leap second is the one that it is about', () => {
    const [before, last] = TIMELINE.leaps.slice(-2);
    const middle = ((before?.taiNs ?? 0n) + (last?.taiNs ?? 0n)) / 2n;
    expect(nearestLeap(TIMELINE, middle - 1n)).toBe(before);
    expect(nearestLeap(TIMELINE, middle + 1n)).toBe(last);
    expect(nearestLeap({ ...TIMELINE, leaps: [] }, middle)).toBeUndefined();
  });
});

describe('what a smeared clock shows', () => {
  test.each([
    ['2016-12-31T18:00:00Z', 1_483_207_200n * SECOND],
    ['unix:1483207200.5', 1_483_207_200n * SECOND + SECOND / 2n],
  ])('%s', (text, expected) => {
    expect(parseSmeared(text)).toBe(expected);
  });

  test.each([
    ['2016-12-31T23:59:60Z', /no second 60/],
    ['L+5', /no time/],
    ['unix:x', /no seconds/],
  ])('%s is refused with the reason', (text, reason) => {
    expect(() => parseSmeared(text)).toThrow(reason);
  });

  test('is written as it is read', () => {
    const range = { min: -62_135_596_800n * SECOND, max: 253_402_300_799n * SECOND };
    fc.assert(
      fc.property(fc.bigInt(range), (ns) => {
        expect(parseSmeared(formatUnixNs(ns))).toBe(ns);
      }),
    );
  });
});

describe('decimal seconds', () => {
  test('are written as they are read', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 26n), max: 10n ** 26n }), (ns) => {
        expect(parseSeconds(formatSeconds(ns))).toBe(ns);
      }),
    );
  });

  test.each(['', '-', '.5', '5.', '1e3', '0x10', ' 1', '1.0000000001', '1'.repeat(19)])(
    '%j are none',
    (text) => {
      expect(parseSeconds(text)).toBeNull();
    },
  );
});

describe('the day of a leap second', () => {
  test('is given with its sign', () => {
    const midnight = BigInt(Date.parse('2017-01-01') / 1000);
    expect(parseLeapDay('2016-12-31', TIMELINE)).toEqual({ unixSeconds: midnight, sign: 1 });
    expect(parseLeapDay('+2016-12-31', TIMELINE)).toEqual({ unixSeconds: midnight, sign: 1 });
    expect(parseLeapDay('-2016-12-31', TIMELINE)).toEqual({ unixSeconds: midnight, sign: -1 });
  });

  test.each([
    ['2016', /no day.*with - before it/],
    ['2016-02-30', /no day/],
    ['2016-13-01', /no day/],
    ['--2016-12-31', /no day/],
    ['2017-01-01', /end of the day before 2017-01-01.*give 2016-12-31/],
  ])('%s is refused with the reason', (text, reason) => {
    expect(() => parseLeapDay(text, TIMELINE)).toThrow(reason);
  });
});
