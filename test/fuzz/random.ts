const MASK_64 = (1n << 64n) - 1n;

/** SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014), for choices. */
export class SplitMix64 {
  #state: bigint;

  constructor(seed: bigint) {
    this.#state = seed & MASK_64;
  }

  /** Unsigned 64 bits. */
  next(): bigint {
    this.#state = (this.#state + 0x9e3779b97f4a7c15n) & MASK_64;
    let mixed = this.#state;
    mixed = ((mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK_64;
    mixed = ((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn) & MASK_64;
    return mixed ^ (mixed >> 31n);
  }

  /** Unsigned 32 bits. */
  word(): number {
    return Number(this.next() >> 32n);
  }

  /** 0 to `count - 1`; 0 if `count` is 0. The bias is below 2^-20 for counts below 4096, and no matter here. */
  below(count: number): number {
    return count === 0 ? 0 : this.word() % count;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

/** A stream of its own for each input of a run: any input can be made again without those before it. */
export function randomFor(seed: bigint, index: number): SplitMix64 {
  return new SplitMix64(new SplitMix64(seed ^ new SplitMix64(BigInt(index)).next()).next());
}
