import { type Difference, largestDifference } from './difference.js';
import { type Identification, identify } from './identify.js';
import type { ObservedClock } from './read-observations.js';
import type { Smear } from './smear.js';

/** What one clock comes to. */
export interface ClockAnswer extends ObservedClock {
  readonly found: Identification;
}

/** Clocks that follow one policy (null: none of them, or it is not decided), and what they are called. */
export interface ClockGroup {
  readonly smear: Smear | null;
  readonly names: readonly string[];
}

/** Two groups of clocks that cannot follow one policy. */
export interface Disagreement {
  readonly a: ClockGroup;
  readonly b: ClockGroup;
  /** How far their policies are apart at the worst; null where one of them has none that is known. */
  readonly difference: Difference | null;
}

export interface WhichAnswer {
  readonly clocks: readonly ClockAnswer[];
  /** All observations, as if they were of one clock. */
  readonly together: Identification;
  readonly disagreements: readonly Disagreement[];
}

/** The policy that a clock was found to follow, or null. */
function foundSmear({ verdict, candidates }: Identification): Smear | null {
  return verdict === 'found' ? (candidates[0]?.smear ?? null) : null;
}

/** Less likely than this beside an even chance, two clocks are said to disagree. */
const LEAST_PROBABILITY = 0.05;

/** True if a clock that is not decided can hardly follow a policy: by its probability, over that of a clock unseen. */
function isAgainst({ candidates, telling, negated }: Identification, smear: Smear): boolean {
  // Of a clock whose sign is in doubt, or that nothing was seen of, nothing is said.
  if (telling === 0 || negated !== null) return false;
  const own = candidates.find((one) => one.smear === smear)?.probability ?? 0;
  const odds = own * candidates.length;
  return odds / (1 + odds) < LEAST_PROBABILITY;
}

function groupsOf(clocks: readonly ClockAnswer[]): { smear: Smear; names: string[] }[] {
  const groups = new Map<Smear, string[]>();
  for (const { name, found } of clocks) {
    const smear = foundSmear(found);
    if (smear === null) continue;
    groups.set(smear, [...(groups.get(smear) ?? []), name]);
  }
  return [...groups].map(([smear, names]) => ({ smear, names }));
}

function disagreementsOf(clocks: readonly ClockAnswer[]): Disagreement[] {
  const groups = groupsOf(clocks);
  const pairs = groups.flatMap((a, i) =>
    groups.slice(i + 1).flatMap((b): Disagreement[] => {
      const difference = largestDifference(a.smear, b.smear);
      return difference.apart === null ? [] : [{ a, b, difference }];
    }),
  );
  const others = groups.flatMap((a): Disagreement[] => {
    const names = clocks
      .filter(({ found }) => foundSmear(found) === null && isAgainst(found, a.smear))
      .map(({ name }) => name);
    return names.length === 0 ? [] : [{ a, b: { smear: null, names }, difference: null }];
  });
  return [...pairs, ...others];
}

/**
 * Which policy each of several clocks follows, and which of them cannot follow one policy.
 *
 * @param clocks at least one, each with an observation; else as {@link identify}
 */
export function identifyAll(
  smears: readonly Smear[],
  against: Smear,
  clocks: readonly ObservedClock[],
  sigmaNs: number,
): WhichAnswer {
  const answers = clocks.map((clock) => ({
    ...clock,
    found: identify(smears, against, clock.observations, sigmaNs),
  }));
  const [only] = answers;
  const together =
    answers.length === 1 && only !== undefined
      ? only.found
      : identify(
          smears,
          against,
          clocks.flatMap(({ observations }) => observations),
          sigmaNs,
        );
  return { clocks: answers, together, disagreements: disagreementsOf(answers) };
}
