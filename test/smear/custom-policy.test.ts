import { describe, expect, test } from 'vitest';
import { parsePolicy } from '../../lib/smear/custom-policy.ts';
import { curveOf } from '../../lib/smear/policy.ts';
import { offsetNsAt } from '../../lib/smear/smear.ts';
import { leapOf, smearBy } from './support.ts';

const SECOND = 1_000_000_000n;

describe('a policy', () => {
  test.each([
    ['linear:-10..20.5', 'linear', -10n * SECOND, 20_500_000_000n],
    ['cosine:0.25..+7', 'cosine', SECOND / 4n, 7n * SECOND],
    ['quadratic:-100..100', 'quadratic', -100n * SECOND, 100n * SECOND],
    ['ntpd:7200', 'cosine', -7200n * SECOND, 0n],
    ['ntpsec:7200', 'linear', -7200n * SECOND, 0n],
  ])('%s', (text, shape, startNs, endNs) => {
    expect(parsePolicy(text)).toMatchObject({ name: text, shape, positive: { startNs, endNs } });
    // The daemons count labels of UTC, of which a negative leap second takes one away.
    const labels = text.startsWith('ntp')
      ? { startNs: startNs + SECOND, endNs, spanNs: -startNs }
      : { startNs, endNs };
    expect(parsePolicy(text).negative).toEqual(labels);
  });

  test('aws is google-24h by another name', () => {
    expect(parsePolicy('aws')).toEqual({ ...parsePolicy('google-24h'), name: 'aws', aliasOf: 'google-24h' });
  });

  test('the ramps of a quadratic shape meet in the middle, unless one is given', () => {
    expect(curveOf(parsePolicy('quadratic:0..100'), 1)).toMatchObject({ rampNs: 50n * SECOND });
    expect(curveOf(parsePolicy('quadratic:0..100,1.5'), 1)).toMatchObject({ rampNs: 1_500_000_000n });
  });

  test("smoothtime is chrony's: 0.001024 ppm/s up to 32 ppm is the policy chrony", () => {
    for (const frequency of ['32', '400', '1000000000']) {
      const curve = curveOf(parsePolicy(`smoothtime:${frequency},0.001024`), 1);
      expect(curve).toEqual(curveOf(parsePolicy('chrony'), 1));
    }
  });

  test.each(['smoothtime 400 0.001 leaponly', 'smoothtime 400 0.001', ' SmoothTime\t400  0.001 leaponly '])(
    "%j is chrony's directive as its configuration has it",
    (text) => {
      const written = parsePolicy(text);
      expect(written).toEqual({ ...parsePolicy('smoothtime:400,0.001'), name: text.trim() });
    },
  );

  test('a frequency that is reached is kept for as long as the second takes', () => {
    // 10 ppm after 10000 s, 0.05 s lost; 0.9 s at 10 ppm; 10000 s back.
    const window = { startNs: 0n, endNs: 110_000n * SECOND };
    const policy = parsePolicy('smoothtime:10,0.001');
    expect(policy).toMatchObject({ rampNs: 10_000n * SECOND, positive: window, negative: window });
    const at = (seconds: bigint): bigint =>
      offsetNsAt(smearBy('smoothtime:10,0.001'), leapOf(1).taiNs + seconds * SECOND);
    expect([10_000n, 100_000n, 110_000n].map(at)).toEqual([950_000_000n, 50_000_000n, 0n]);
  });

  test('ramps that are no whole ns are rounded: the offset is right to a thousandth of a ns', () => {
    // 0.001 ppm/s: the ramp is 1e13.5 ns; half a second is lost at its end.
    const { rampNs } = parsePolicy('smoothtime:400,0.001');
    expect(rampNs).toBe(31_622_776_601_683n);
    expect(offsetNsAt(smearBy('smoothtime:400,0.001'), leapOf(1).taiNs + 10_000n * SECOND)).toBe(
      // 1/2 * 1e-9 / s * (1e4 s)^2 is lost.
      950_000_000n,
    );
  });

  test.each([
    ['gogle', /no policy 'gogle'.*choose from google-24h.*smoothtime/],
    ['', /no policy ''/],
    ['constructor', /no policy/],
    ['step:5', /no policy/],
    ['ntpd:', /'' is no interval/],
    ['ntpd:0', /'0' is no interval.*from 1/],
    ['ntpd:-5', /'-5' is no interval/],
    ['ntpsec:99999999', /no interval/],
    ['linear:5', /window is missing/],
    ['linear:', /window is missing/],
    ['linear:a..5', /'a' is no time around the leap/],
    ['linear:0..', /'' is no time/],
    ['linear:0..99999999', /'99999999' is no time/],
    ['linear:0..100,5', /linear shape has no ramp/],
    ['quadratic:0..100,x', /'x' is no time/],
    ['smoothtime:400', /no frequency and wander/],
    ['smoothtime 400 leaponly', /no frequency and wander/],
    ['smoothtime 400 0.001 leaponly maybe', /no policy/],
    ['smoothtime 0 0.001', /no frequency and wander/],
    ['smoothtime:400,0', /no frequency and wander/],
    ['smoothtime:-400,0.001', /no frequency and wander/],
    ['smoothtime:400,0.001,3', /no frequency and wander/],
    ['smoothtime:0.000000001,0.000000001', /more than a year/],
    ['smoothtime:400,999999999999999999', /over nothing/],
  ])('%j is refused with the reason', (text, reason) => {
    expect(() => parsePolicy(text)).toThrow(reason);
    expect(() => parsePolicy(text)).toThrow(expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }));
  });
});

describe('a name that is no policy', () => {
  test.each([
    ['gogle-24h', "'google-24h'"],
    ['chorny', "'chrony'"],
    ['awz', "'aws'"],
    ['ntdp:7200', "'ntpd:7200'"],
    ['linaer:0..5', "'linear:0..5'"],
  ])('%s is refused with the one that was meant, %s', (text, meant) => {
    expect(() => parsePolicy(text)).toThrow(`did you mean ${meant}?`);
  });

  test('and is like none is refused with all, and without a guess', () => {
    for (const text of ['zzzzzzzz', '__proto__', 'constructor', ':']) {
      expect(() => parsePolicy(text)).toThrow(/choose from google-24h/);
      expect(() => parsePolicy(text)).not.toThrow(/did you mean/);
    }
  });
});
