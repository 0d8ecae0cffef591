import { hasWindow, PUBLISHING } from './expected.js';
import type { MemoryModel } from './explored/model.js';
import type { HazardName, Progress, ProtocolName } from './model.js';

/** What the progress of a reader hangs on. */
export interface Situation {
  protocol: ProtocolName;
  generation: boolean;
  hazard: HazardName;
  variant: string;
  /** The one that is explored; null where the compiled reader is stepped. */
  model: MemoryModel | null;
}

/** How reads end at the worst while nobody else takes a step, and why. */
export interface ProgressRule {
  readonly progress: Progress;
  readonly why: string;
}

/** Whether a low bound can be reached. Weaker than x86 it is met by one update, for which a latch throws one copy away. */
function isBoundReached({ protocol, variant, model }: Situation): boolean {
  return variant === 'bounded' && !(protocol === 'latch' && model === 'weak');
}

function isHeld({ hazard, variant }: Situation): boolean {
  return hazard.startsWith('adjust-held') && variant !== 'one held';
}

/** Hazards in which nobody writes, so that there is no update to stand in. */
const UNWRITTEN: readonly HazardName[] = ['counter-behind', 'window-expired'];

/** Whether a writer may stand between two of its stores. Single steps have whole updates but where the parts matter. */
function isHalfWritten({ hazard, variant, model }: Situation): boolean {
  if (model !== null) return !UNWRITTEN.includes(hazard);
  return (
    [...PUBLISHING, 'adjust-held', 'writer-killed-after-migration'].includes(hazard) || variant === 'behind'
  );
}

/** Hazards in which a generation changes. */
const DISRUPTING: readonly HazardName[] = [
  'migration-different',
  'migration-equal',
  'migration-own-page',
  'writer-killed-after-migration',
  'generation-late',
  'generation-early',
];

/** Whether windows are left; where nothing depends on their ends they are longer than all that happens. */
function leavesWindow({ protocol, hazard, variant, model }: Situation): boolean {
  if (UNWRITTEN.includes(hazard)) return true;
  if (variant === 'naive') return false;
  // A counter that was moved down is behind what was published last before.
  if (hazard === 'writer-killed-after-migration') return true;
  if (model !== null) {
    // Windows end soon where rates change, or where all that a reader has loaded is void anyhow. Of two copies on offer a
    // writer keeps the later one, which a counter may not have reached yet.
    if (variant === 'rates change' || variant === 'both offered') return true;
    return PUBLISHING.includes(hazard) || (hazard === 'migration-different' && variant === 'main');
  }
  // A writer that is not late leaves no window that overlaps the next.
  if (hazard === 'update')
    return variant === 'windows touch' || (protocol === 'two-window' && variant === 'main');
  return PUBLISHING.includes(hazard);
}

/** Whether two-window may meet a count that is right again, and the other copy of another host. */
function mixesHosts({ protocol, hazard, variant, model }: Situation): boolean {
  // What is explored offers one copy there, or windows that end.
  if (model !== null || protocol !== 'two-window') return false;
  return hazard === 'migration-equal' || variant === 'behind';
}

/** Of the rules that fit, the first one tells. */
const RULES: readonly (ProgressRule & { fits(situation: Situation): boolean })[] = [
  {
    progress: 'refuses',
    why: 'the bound on tries or on waits is low enough to be reached, and running out of it is an end',
    fits: isBoundReached,
  },
  {
    progress: 'waits',
    why: 'it goes on while the count stays the same, which it does as long as nobody stores',
    fits: ({ protocol }) => protocol === 'literal-two-window',
  },
  {
    progress: 'free',
    why: 'it leaves its loop on an unchanged count, with a value or without, and never says that it has none',
    fits: ({ protocol }) => protocol === 'literal-latch-window',
  },
  {
    progress: 'waits',
    why: 'the count is odd while a writer stands in an update, and there is no other copy',
    fits: (situation) => situation.protocol === 'seqlock' && isHalfWritten(situation),
  },
  {
    progress: 'refuses',
    why: 'held means that the copy which readers are sent to refuses',
    fits: isHeld,
  },
  {
    progress: 'refuses',
    why: 'from the change of the generation on, reads that began before it, or copies with an old tag, are refused',
    fits: ({ generation, hazard }) => generation && DISRUPTING.includes(hazard),
  },
  {
    progress: 'refuses',
    why: 'the counter leaves the window before the next copy is published, or has not reached it yet',
    fits: (situation) => hasWindow(situation.protocol) && leavesWindow(situation),
  },
  {
    progress: 'refuses',
    why: "the other copy is loaded behind the counter: another host's, of which a counter of the old host is in no window",
    fits: mixesHosts,
  },
  {
    progress: 'free',
    why: 'there is always a copy that nobody writes, and nothing that would refuse it',
    fits: () => true,
  },
];

/** The rule that a reader's progress is held to where a variant of a hazard is explored or stepped. */
export function progressRule(situation: Situation): ProgressRule {
  return RULES.find(({ fits }) => fits(situation)) as ProgressRule;
}

/**
 * The progress that a protocol is held to under stress; null where the scheduler decides it, or where the hazard does
 * not apply: whether a reader meets the moment at which it would wait, or a writer is away for longer than its window.
 */
export function progressUnderStress(protocol: ProtocolName, hazard: HazardName): Progress | null {
  const unwritten = UNWRITTEN.includes(hazard);
  switch (protocol) {
    case 'latch':
    case 'literal-latch-window':
      // Only thousands of flips within one read, try after try, would keep these from their value.
      return unwritten || hazard === 'update' || hazard.startsWith('writer-') ? 'free' : null;
    case 'seqlock':
      // Beside a writer, no reader need run while the count is odd.
      return unwritten ? 'free' : null;
    case 'literal-two-window':
      return unwritten ? 'waits' : null;
    default:
      // The stall is longer than the window; otherwise a writer may be in time, or late.
      return unwritten || hazard === 'writer-stalled' ? 'refuses' : null;
  }
}
