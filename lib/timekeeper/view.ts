/** What `realtime` is: `sane-realtime`, which steps at a leap second, or `smeared-realtime`. */
export type RealtimePreference = 'sane' | 'smeared';

/** What a time namespace adds to its clocks, ns. */
export interface NamespaceOffsets {
  readonly monotonicNs: bigint;
  readonly boottimeNs: bigint;
}

/** How one page shows the clocks. Pages of one timekeeper differ in nothing else. */
export interface View {
  readonly preference: RealtimePreference;
  readonly namespace: NamespaceOffsets;
}

/** The offsets of the initial time namespace. */
export const NO_OFFSETS: NamespaceOffsets = { monotonicNs: 0n, boottimeNs: 0n };
