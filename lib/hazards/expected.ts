import type { StressHazardName } from '../native/addon.js';
import type { CellVerdict, HazardName, ProtocolName } from './model.js';

/** What stress makes happen, and in which run of it. A dead writer is followed by the next in one and the same run. */
export const STRESSED: Readonly<Partial<Record<HazardName, StressHazardName>>> = {
  update: 'update',
  'writer-stalled': 'writer-stalled',
  'writer-killed': 'writer-killed',
  'writer-restarted': 'writer-killed',
  'counter-behind': 'counter-behind',
  'window-expired': 'window-expired',
};

/** Protocols whose copies say how long they hold. */
export function hasWindow(protocol: ProtocolName): boolean {
  return protocol !== 'seqlock' && protocol !== 'latch';
}

function ofUpdate(protocol: ProtocolName): CellVerdict {
  switch (protocol) {
    // The windows touch: no counter reading has two segments.
    case 'two-window':
      return 'safe';
    // Its base is read inside the write section; but the processor may load the count again before it reads the counter.
    case 'seqlock':
    // A reader goes on with the old copy while the new one's base is already past.
    case 'latch':
    case 'latch-window':
    case 'untagged-latch-window':
    case 'literal-latch-window':
      return 'lags';
    case 'literal-two-window':
      return 'unsafe';
  }
}

/** The verdict that a protocol is held to under stress. */
export function expectedUnderStress(protocol: ProtocolName, hazard: HazardName): CellVerdict {
  switch (hazard) {
    case 'update':
      return ofUpdate(protocol);
    case 'writer-stalled':
      // Until the window ends: then the sketch as written leaves its loop without a value.
      return protocol.startsWith('literal') ? 'unsafe' : 'safe';
    case 'writer-killed':
    case 'writer-restarted':
      return protocol === 'literal-two-window' ? 'unsafe' : 'safe';
    case 'window-expired':
    case 'counter-behind':
      // The follow-up's sketch never ends on a page that stands still: it runs out of tries and returns nothing.
      if (protocol === 'literal-two-window') return 'safe';
      return hasWindow(protocol) && protocol !== 'literal-latch-window' ? 'safe' : 'unsafe';
    default:
      return 'not-applicable';
  }
}

/**
 * Whether stress that found `found` bears out `expected`. Stress shows what happened, not that a thing cannot: a reader
 * that may lag need not be caught at it.
 */
export function bearsOut(found: CellVerdict, expected: CellVerdict): boolean {
  return found === expected || (expected === 'lags' && found === 'safe');
}
