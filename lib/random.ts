import { wrapU64 } from './units.js';

/** A seeded source of choices: equal seeds give equal choices. */
export interface Random {
  readonly seed: bigint;
  /** An unsigned 64-bit number. */
  next(): bigint;
  /** The items in a random order (Fisher-Yates). */
  shuffle<T>(items: readonly T[]): T[];
}

/** SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014). */
function splitMix64(seed: bigint): () => bigint {
  let state = seed;
  return () => {
    state = wrapU64(state + 0x9e3779b97f4a7c15n);
    let mixed = state;
    mixed = wrapU64((mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n);
    mixed = wrapU64((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
    return mixed ^ (mixed >> 31n);
  };
}

/** @param seed unsigned 64 bits */
export function seededRandom(seed: bigint): Random {
  const next = splitMix64(seed);
  return {
    seed,
    next,
    shuffle(items) {
      const shuffled = [...items];
      for (let i = shuffled.length - 1; i > 0; i--) {
        // The bias of the remainder is below 2^-50 for any list that fits in memory here.
        const j = Number(next() % BigInt(i + 1));
        [shuffled[i], shuffled[j]] = [
          shuffled[j] as (typeof shuffled)[number],
          shuffled[i] as (typeof shuffled)[number],
        ];
      }
      return shuffled;
    },
  };
}
