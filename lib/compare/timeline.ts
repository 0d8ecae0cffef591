import type { RecordedPage } from '../host/page-recording.js';

/** Whether no update lies between two recorded states, which are one update apart. */
function isNext({ snapshot: { main } }: RecordedPage, next: RecordedPage): boolean {
  return (next.snapshot.main.seq - main.seq + 2 ** 32) % 2 ** 32 === 2;
}

/**
 * The states that the page can have had at some instant while the counter went from one reading to a later one; null where
 * one of them was not recorded. A state was published when the counter stood at its `cycleLast` or later (the kernel reads
 * the counter first, up to milliseconds before), and no later than it was seen.
 *
 * @param from cycles
 * @param to cycles, not before `from`
 */
export function statesBetween(
  states: readonly RecordedPage[],
  from: bigint,
  to: bigint,
): readonly RecordedPage[] | null {
  const first = lastAtMost(states, from, ({ after }) => after);
  if (first === null) return null;
  const last = lastAtMost(states, to, ({ snapshot }) => snapshot.main.cycleLast) ?? first;
  // Of what came after the last state nothing is known, nor of what lies in a gap.
  const known = states.slice(first, Math.max(first, last) + 2);
  if (Math.max(first, last) + 1 >= states.length) return null;
  if (known.some((state, at) => at > 0 && !isNext(known[at - 1] as RecordedPage, state))) return null;
  return known.slice(0, -1);
}

/** The index of the last state whose figure is at most `cycles`, where the figures rise; null where none is. */
export function lastAtMost(
  states: readonly RecordedPage[],
  cycles: bigint,
  figure: (state: RecordedPage) => bigint,
): number | null {
  let low = 0;
  let high = states.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (figure(states[middle] as RecordedPage) <= cycles) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? null : low - 1;
}
