import type { TimeNamespace } from './time-namespace.js';

/** What `realtime` is: `sane-realtime`, which steps at a leap second, or `smeared-realtime`. */
export type RealtimePreference = 'sane' | 'smeared';

/** How one page shows the clocks. Pages of one timekeeper differ in nothing else. */
export interface View {
  readonly preference: RealtimePreference;
  readonly namespace: TimeNamespace;
}
