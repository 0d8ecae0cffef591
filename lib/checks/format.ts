/** A frequency for people: `2596.122 MHz`. */
export function formatHz(hz: number): string {
  return `${(hz / 1e6).toFixed(3)} MHz`;
}

/** Parts per million with as many digits as tell something; with a sign if `signed`. */
export function formatPpm(ppm: number, signed = false): string {
  const size = Math.abs(ppm);
  const digits = size >= 100 ? 0 : size >= 1 ? 2 : 4;
  return `${signed && ppm >= 0 ? '+' : ''}${ppm.toFixed(digits)} ppm`;
}

/** A count with thin groups: `1,000,000`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** A duration in nanoseconds for people: `41.5 ns`, `1,302 ns`, `7.7 ms`. */
export function formatNs(ns: number): string {
  if (ns >= 1e6) return `${formatCount(Number((ns / 1e6).toPrecision(3)))} ms`;
  return `${formatCount(ns < 100 ? Number(ns.toFixed(1)) : Math.round(ns))} ns`;
}

/** `1 sample`, `2 samples`. */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** The least and the largest of some numbers of nanoseconds: `41 ns to 1,302 ns`, or the one value. */
export function formatNsRange(values: readonly number[]): string {
  const least = formatNs(Math.min(...values));
  const largest = formatNs(Math.max(...values));
  return least === largest ? least : `${least} to ${largest}`;
}
