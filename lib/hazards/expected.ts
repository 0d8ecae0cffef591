import type { StressHazardName } from '../native/addon.js';
import type { MemoryModel } from './explored/model.js';
import type { CellVerdict, HazardName, MatrixReader, ProtocolName } from './model.js';

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

/** Hazards in which a writer publishes other rates, whatever becomes of it. */
export const PUBLISHING: readonly HazardName[] = [
  'update',
  'writer-stalled',
  'writer-killed',
  'writer-restarted',
  'counter-unfenced',
];

/** What a reader that is no sketch is held to where nothing is reordered. */
function ofSound(
  { protocol, generation, native }: MatrixReader,
  hazard: HazardName,
  variant: string,
): CellVerdict {
  const tagged = native.generation === 'tagged';
  if (variant === 'naive' || variant === 'one held') return 'unsafe';
  const ofRates = protocol === 'seqlock' || protocol === 'two-window' ? 'safe' : 'lags';
  if (PUBLISHING.includes(hazard)) {
    if (variant === 'windows touch') return 'safe';
    return variant === 'main' || variant === 'bounded' ? ofRates : 'lags';
  }
  switch (hazard) {
    case 'counter-behind':
    case 'window-expired':
      return hasWindow(protocol) ? 'safe' : 'unsafe';
    case 'counter-wrapped':
      return variant === 'through zero' ? 'safe' : 'unsafe';
    case 'adjust-held':
    case 'adjust-held-unfenced':
      return 'safe';
    case 'migration-different':
      if (variant === 'rates change') return ofRates;
      return variant === 'behind' && !generation ? 'unsafe' : 'safe';
    case 'migration-equal':
      if (!generation) return 'unsafe';
      return variant === 'rates change' ? ofRates : 'safe';
    case 'migration-own-page':
      return tagged ? 'safe' : 'unsafe';
    case 'writer-killed-after-migration':
      if (!tagged) return 'unsafe';
      return variant === 'tags ignored' ? 'lags' : 'safe';
    case 'generation-early':
      return tagged && variant === 'no writer' ? 'safe' : 'unsafe';
    default:
      return 'unsafe';
  }
}

/** Hazards in which nobody publishes, so that the follow-up's sketch, which goes on while the count stands, never ends. */
const STANDING: readonly string[] = [
  'counter-behind main',
  'counter-behind both offered',
  'window-expired main',
  'window-expired both offered',
  'counter-wrapped through zero',
];

/** The verdict that a reader is held to where a variant of a hazard is explored under a memory model. */
export function expectedExplored(
  reader: MatrixReader,
  hazard: HazardName,
  variant: string,
  model: MemoryModel,
): CellVerdict {
  const { protocol } = reader;
  if (protocol === 'literal-two-window') {
    return STANDING.includes(`${hazard} ${variant}`) ? 'safe' : 'unsafe';
  }
  if (protocol === 'literal-latch-window') {
    return hazard === 'counter-wrapped' && variant === 'through zero' ? 'safe' : 'unsafe';
  }
  const inOrder = ofSound(reader, hazard, variant);
  if (model === 'sc') return inOrder;
  if (hazard === 'adjust-held-unfenced') return 'unsafe';
  // A counter that is read before the base, by a reader that does not look at windows.
  if (hazard === 'counter-unfenced' && !hasWindow(protocol)) return 'unsafe';
  // The count may be loaded again before the counter is read.
  const isOrdered = PUBLISHING.includes(hazard) || variant === 'rates change';
  return protocol === 'seqlock' && isOrdered && inOrder === 'safe' ? 'lags' : inOrder;
}

/** What the follow-up's sketch comes through by never ending: the page stands still while it is stepped. */
const STANDING_STILL: readonly string[] = [
  'window-expired main',
  'counter-wrapped main',
  'adjust-unheld main',
  'migration-equal main',
  'generation-late main',
  'generation-early no writer',
  'count-aba main',
];

/** The verdict that a compiled reader is held to where it is stepped. */
export function expectedStepped(reader: MatrixReader, hazard: HazardName, variant: string): CellVerdict {
  const { protocol } = reader;
  if (protocol === 'literal-two-window') {
    return STANDING_STILL.includes(`${hazard} ${variant}`) ? 'safe' : 'unsafe';
  }
  if (protocol === 'literal-latch-window') {
    if (hazard === 'counter-wrapped' && variant === 'through zero') return 'safe';
    if (variant !== 'main') return 'unsafe';
    // As long as no window ends it is a latch.
    if (hazard === 'update') return 'lags';
    return hazard === 'migration-different' ? 'safe' : 'unsafe';
  }
  return ofSound(reader, hazard, variant);
}
