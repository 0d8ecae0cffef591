import { describe, expect, test } from 'vitest';
import { type Identification, identify, type Observation } from '../../lib/smear/identify.ts';
import { POLICIES } from '../../lib/smear/policy.ts';
import { nearest } from '../../lib/smear/rational.ts';
import { offsetAt, offsetNsAt, type Smear } from '../../lib/smear/smear.ts';
import { SplitMix64 } from '../fuzz/random.ts';
import { leapOf, SIGNS, smearBy } from './support.ts';

const SECOND = 1_000_000_000n;
const SIGMA_NS = 5e6;
const names = POLICIES.map(({ name }) => name);
const all = (sign: 1 | -1): Smear[] => names.map((name) => smearBy(name, sign));

/** Offsets that a clock shows at these seconds from the leap, with errors of up to three times the usual. */
function seen(clock: Smear, against: Smear, seconds: readonly number[], random: SplitMix64): Observation[] {
  return seconds.map((second) => {
    const taiNs = clock.leap.taiNs + BigInt(second) * SECOND;
    // Twelve uniform numbers, less six: nearly normal.
    const normal = Array.from({ length: 12 }, () => random.word() / 2 ** 32).reduce((a, b) => a + b, -6);
    const error = BigInt(Math.round(SIGMA_NS * normal));
    return { taiNs, offsetNs: offsetNsAt(clock, taiNs) - offsetNsAt(against, taiNs) + error };
  });
}

const first = ({ candidates }: Identification): string | undefined => candidates[0]?.smear?.policy.name;

describe('the policy that a clock follows', () => {
  const seconds = [-60_000, -40_000, -20_000, -500, 500, 1500, 15_625, 40_000];

  test.each(SIGNS.flatMap((sign) => names.map((name) => ({ sign, name }))))(
    '$name, leap $sign, is found from eight observations of 5 ms',
    ({ sign, name }) => {
      for (let seed = 1n; seed <= 20n; seed++) {
        const observations = seen(smearBy(name, sign), smearBy('step', sign), seconds, new SplitMix64(seed));
        const found = identify(all(sign), smearBy('step', sign), observations, SIGMA_NS);
        expect(first(found)).toBe(name);
        expect(found.candidates[0]?.probability).toBeGreaterThan(0.999);
        expect(found.candidates[0]?.largestNs).toBeLessThan(6 * SIGMA_NS);
        const sum = found.candidates.reduce((total, { probability }) => total + probability, 0);
        expect(sum).toBeCloseTo(1, 9);
      }
    },
  );

  test('is found too if it was measured against a clock that smears itself', () => {
    const against = smearBy('google-24h');
    const observations = seen(smearBy('chrony'), against, seconds, new SplitMix64(9n));
    expect(first(identify(all(1), against, observations, SIGMA_NS))).toBe('chrony');
  });

  test('is none of them for a clock that is 0.3 s off', () => {
    const observations = seconds.map((second) => ({
      taiNs: leapOf(1).taiNs + BigInt(second) * SECOND,
      offsetNs: 300_000_000n,
    }));
    const { candidates } = identify(all(1), smearBy('step'), observations, SIGMA_NS);
    expect(candidates[0]).toMatchObject({ smear: null, rmsNs: null, largestNs: null });
    expect(candidates[0]?.probability).toBeGreaterThan(0.999);
  });

  test('is as probable as the normal density says: twice the deviation off is e^-2 of what is exact', () => {
    const [near, far] = [smearBy('step'), smearBy('meta')];
    const taiNs = near.leap.taiNs + 15_625n * SECOND;
    // Of two policies the clock shows what the one does; the other is so far off here.
    const apartNs = Math.abs(Number(offsetNsAt(far, taiNs) - offsetNsAt(near, taiNs)));
    const observations = [{ taiNs, offsetNs: 0n }];
    const { candidates } = identify([near, far], near, observations, apartNs / 2);
    const probability = (name: string): number =>
      candidates.find(({ smear }) => smear?.policy.name === name)?.probability as number;
    expect(probability('meta') / probability('step')).toBeCloseTo(Math.exp(-2), 9);
  });

  test('is not told by an observation long before all windows: all are equally likely', () => {
    const observations = seen(smearBy('meta'), smearBy('step'), [-100_000], new SplitMix64(3n));
    const { candidates } = identify(all(1), smearBy('step'), observations, SIGMA_NS);
    const told = candidates.filter(({ smear }) => smear !== null).map(({ probability }) => probability);
    expect(Math.max(...told) - Math.min(...told)).toBeLessThan(1e-12);
    expect(told[0]).toBeLessThan(0.1 + 1e-9);
  });

  test('of two that are left is told by looking where they are farthest apart', () => {
    const policies = [smearBy('meta'), smearBy('chrony')];
    const clock = smearBy('chrony');
    // Both are at half of the leap there.
    const observations = seen(clock, smearBy('step'), [31_250], new SplitMix64(4n));
    const { candidates, next } = identify(policies, smearBy('step'), observations, SIGMA_NS);
    expect(candidates[0]?.probability).toBeLessThan(0.51);
    expect(next).toEqual({ taiNs: clock.leap.taiNs + 15_625n * SECOND, apartNs: 125_000_000 });
    const taiNs = next?.taiNs as bigint;
    observations.push({ taiNs, offsetNs: nearest(offsetAt(clock, taiNs)) });
    expect(first(identify(policies, smearBy('step'), observations, SIGMA_NS))).toBe('chrony');
  });

  test('is never found with certainty that is no number, however far off or however many the observations', () => {
    const far = Array.from({ length: 5000 }, () => ({ taiNs: leapOf(1).taiNs, offsetNs: 10n ** 18n }));
    const { candidates } = identify(all(1), smearBy('step'), far, 1);
    expect(candidates.map(({ probability }) => probability)).toEqual([1, ...names.map(() => 0)]);
  });

  test('has no next observation where there is one policy, or two names of one', () => {
    const observations = seen(smearBy('meta'), smearBy('step'), [5], new SplitMix64(5n));
    expect(identify([smearBy('meta')], smearBy('step'), observations, SIGMA_NS).next).toBeNull();
    const both = [smearBy('aws'), smearBy('google-24h')];
    expect(identify(both, smearBy('step'), observations, SIGMA_NS).next).toBeNull();
  });
});
