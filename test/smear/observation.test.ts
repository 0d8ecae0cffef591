import { describe, expect, test } from 'vitest';
import { BUNDLED_LEAP_TABLE } from '../../lib/leap/bundled.ts';
import { parseObservation, refidOffsetNs } from '../../lib/smear/observation.ts';
import { compare, rational } from '../../lib/smear/rational.ts';
import { offsetNsAt } from '../../lib/smear/smear.ts';
import { AROUND, leapOf, smearBy } from './support.ts';

const SECOND = 1_000_000_000n;
const { timeline, leap } = AROUND[1];
const scene = {
  table: { source: 'a test', isBundled: true, table: BUNDLED_LEAP_TABLE, reason: '', notes: [] },
  timeline,
  leap,
  assumesNoLeapsFrom: null,
};

describe('a reference identifier of an ntpd that smears', () => {
  test.each([
    // ntpd's own test vectors (tests/libntp/refidsmear.c), in full.
    ['254.128.0.0', -2n << 22n],
    ['254.128.0.1', (-2n << 22n) + 1n],
    ['254.143.255.255', -7_340_033n],
    ['254.240.0.0', -1n << 20n],
    ['254.255.255.255', -1n],
    ['254.0.0.0', 0n],
    ['254.0.0.1', 1n],
    ['254.112.0.0', 7n << 20n],
    ['254.127.255.255', (2n << 22n) - 1n],
  ])('%s is an offset of %d / 2^22 s', (text, units) => {
    const offset = refidOffsetNs(text);
    expect(offset).not.toBeNull();
    if (offset !== null) expect(compare(offset, rational(units * SECOND, 1n << 22n))).toBe(0);
  });

  test.each([
    '253.0.0.0',
    '254.256.0.0',
    '254.0.0',
    '254.0.0.0.0',
    '254.-1.0.0',
    '254.0.0.0x',
    'FE000000',
    '',
  ])('%j is none', (text) => expect(refidOffsetNs(text)).toBeNull());
});

describe('an observation', () => {
  const against = smearBy('step');

  test('is an instant and seconds', () => {
    const expected = { taiNs: leap.taiNs - 500n * SECOND, offsetNs: -494_000_000n };
    expect(parseObservation('L-500=-0.494', { scene, against })).toEqual(expected);
  });

  test('has its unit behind it, and bare seconds and Modified Julian Days for instants', () => {
    const parse = (text: string) => parseObservation(text, { scene, against });
    expect(parse('L=-494.5ms').offsetNs).toBe(-494_500_000n);
    expect(parse('L=12us').offsetNs).toBe(12_000n);
    expect(parse('L=-4.966e-03s').offsetNs).toBe(-4_966_000n);
    const noon = parse('2016-12-31T12:00:00Z=0').taiNs;
    for (const instant of ['1483185600', '@1483185600', '1483185600.0', 'mjd:57753.5', 'unix:1483185600']) {
      expect(parse(`${instant}=0`).taiNs).toBe(noon);
    }
  });

  test("is an instant and ntpd's identifier, whatever it is measured against", () => {
    const at = leapOf(1).taiNs - 21_600n * SECOND;
    // Three quarters of a day before the leap: 3/4 of a second behind a clock that steps.
    expect(parseObservation('L-21600=254.208.0.0', { scene, against })).toEqual({
      taiNs: at,
      offsetNs: -750_000_000n,
      isSignCertain: true,
    });
    const smeared = smearBy('google-24h');
    const apart = offsetNsAt(against, at) - offsetNsAt(smeared, at);
    const { offsetNs } = parseObservation('L-21600=254.208.0.0', { scene, against: smeared });
    expect(offsetNs - apart).toBe(-750_000_000n);
  });

  test.each(['', 'L', '=', 'L=', 'L=x', 'L=1e99', 'L=255.0.0.1', 'L=254.999.0.0'])(
    '%j is refused with what it may be',
    (text) => {
      const parse = (): unknown => parseObservation(text, { scene, against });
      expect(parse).toThrow(/is no observation.*INSTANT=SECONDS.*254\.X\.Y\.Z/);
      expect(parse).toThrow(expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }));
    },
  );

  test('of a bad instant is refused as the instant is', () => {
    expect(() => parseObservation('L5=254.0.0.1', { scene, against })).toThrow(/no seconds/);
  });
});
