import fc from 'fast-check';
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

describe('the sign of observations', () => {
  /** A clock of every policy at some instants, as given and negated, to a us as ntpq prints it. */
  const questions = fc.record({
    name: fc.constantFrom(...names),
    sign: fc.constantFrom(...SIGNS),
    isNegated: fc.boolean(),
    seconds: fc.array(fc.integer({ min: -100_000, max: 100_000 }), { minLength: 1, maxLength: 12 }),
    sigmaNs: fc.constantFrom(1e5, 1e6, 1e7, 1e8, 2.5e8),
  });

  test("of any policy's own curve: it is named right or undecided, by either sign, and never wrong", () => {
    const told = { right: 0, negated: 0, undecided: 0 };
    fc.assert(
      fc.property(questions, ({ name, sign, isNegated, seconds, sigmaNs }) => {
        const [clock, step] = [smearBy(name, sign), smearBy('step', sign)];
        const observations = seconds.map((second) => {
          const taiNs = clock.leap.taiNs + BigInt(second) * SECOND;
          const exact = offsetNsAt(clock, taiNs) - offsetNsAt(step, taiNs);
          const offsetNs = (exact / 1000n) * 1000n;
          return { taiNs, offsetNs: isNegated ? -offsetNs : offsetNs };
        });
        const found = identify(all(sign), step, observations, sigmaNs);
        expect(found.verdict).not.toBe('none');
        if (found.verdict === 'found') expect(first(found)).toBe(name);
        if (found.negated !== null) {
          expect(isNegated).toBe(true);
          expect([name, undefined]).toContain(found.negated.smear?.policy.name);
        }
        if (found.verdict === 'found') told.right += 1;
        else if (found.negated !== null) told.negated += 1;
        else told.undecided += 1;
      }),
      { numRuns: 300, seed: 17 },
    );
    // Each of the three came, or the property would say little.
    expect(Math.min(...Object.values(told))).toBeGreaterThan(20);
  });

  test('that is the other one is noticed, and the policy that it fits', () => {
    const offset = seen(smearBy('chrony'), smearBy('step'), [5000, 15_625, 40_000], new SplitMix64(1n));
    const negated = offset.map(({ taiNs, offsetNs }) => ({ taiNs, offsetNs: -offsetNs }));
    const found = identify(all(1), smearBy('step'), negated, SIGMA_NS);
    expect(found.verdict).toBe('undecided');
    expect(found.negated?.smear?.policy.name).toBe('chrony');
    expect(found.negated?.probability).toBeGreaterThan(0.999);
    expect(identify(all(1), smearBy('step'), offset, SIGMA_NS)).toMatchObject({
      verdict: 'found',
      negated: null,
    });
  });

  test('that is beyond doubt is not turned', () => {
    const taiNs = leapOf(1).taiNs - 21_600n * SECOND;
    const one = { taiNs, offsetNs: 750_000_000n };
    const judge = (isSignCertain: boolean) =>
      identify([smearBy('ntpsec'), smearBy('step')], smearBy('step'), [{ ...one, isSignCertain }], SIGMA_NS);
    expect(judge(false).negated?.smear?.policy.name).toBe('ntpsec');
    expect(judge(true)).toMatchObject({ negated: null, verdict: 'none' });
  });
});

describe('observations outside of every window', () => {
  test('tell nothing alone, however far off', () => {
    const taiNs = leapOf(1).taiNs + 864_000n * SECOND;
    for (const offsetNs of [0n, 300_000_000n]) {
      const found = identify(all(1), smearBy('step'), [{ taiNs, offsetNs }], SIGMA_NS);
      expect(found).toMatchObject({
        verdict: 'undecided',
        telling: 0,
        negated: null,
        largestElsewhereNs: Number(offsetNs),
      });
    }
  });

  test('speak against none of the policies only where nothing else does', () => {
    const at = (second: number, offsetNs: bigint): Observation => ({
      taiNs: leapOf(1).taiNs + BigInt(second) * SECOND,
      offsetNs,
    });
    const quiet = Array.from({ length: 500 }, (_, i) => at(-200_000 + i, 0n));
    const odd = [1000, 20_000, 40_000].map((second) => at(second, 700_000_000n));
    const found = identify(all(1), smearBy('step'), [...quiet, ...odd], SIGMA_NS);
    expect(found).toMatchObject({ verdict: 'none', telling: 3 });
  });
});

test('a policy under two names is found, whichever is named', () => {
  const policies = [smearBy('aws'), smearBy('google-24h'), smearBy('step')];
  const observations = seen(smearBy('google-24h'), smearBy('step'), [-500, 20_000], new SplitMix64(2n));
  expect(identify(policies, smearBy('step'), observations, SIGMA_NS).verdict).toBe('found');
});
