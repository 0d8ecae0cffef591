/** Numbers from above 0 to 1, seeded: Mulberry32, since a bigint a draw would take longer than what is tested. */
function uniform(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (((mixed ^ (mixed >>> 14)) >>> 0) + 1) / 2 ** 32;
  };
}

/** Normal noise of variance 1, seeded (Box and Muller, 1958). */
export function normalNoise(seed: number): () => number {
  const draw = uniform(seed);
  return () => Math.sqrt(-2 * Math.log(draw())) * Math.cos(2 * Math.PI * draw());
}

/** A first-order autoregression that began long ago; a random walk from 0 where the correlation is 1. */
export function autoregression(noise: () => number, count: number, correlation: number): number[] {
  let last = correlation === 1 ? 0 : noise() / Math.sqrt(1 - correlation * correlation);
  return Array.from({ length: count }, (_, at) => {
    if (at > 0) last = correlation * last + noise();
    return last;
  });
}
