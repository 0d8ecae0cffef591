import { bearsOut } from './expected.js';
import type { Cell, EvidenceKind } from './model.js';

/** What was found of a case or a cell, and what it is held to. */
export type Judged = Pick<Cell, 'verdict' | 'expected' | 'progress' | 'expectedProgress'>;

/** Which of the two is as expected. */
export interface Held {
  verdict: boolean;
  progress: boolean;
}

/** Whether one case, or a cell without cases, is as expected. A progress that is not held is. */
export function heldOf(
  { verdict, expected, progress, expectedProgress }: Judged,
  evidence: EvidenceKind,
): Held {
  return {
    verdict: evidence === 'stressed' ? bearsOut(verdict, expected) : verdict === expected,
    progress: expectedProgress === null || progress === expectedProgress,
  };
}

/** Whether a cell is as expected in every one of its cases. */
export function heldThroughout(cell: Judged & Pick<Cell, 'evidence' | 'cases'>): Held {
  const { evidence, cases } = cell;
  const all = (cases.length > 0 ? cases : [cell]).map((one) => heldOf(one, evidence));
  return { verdict: all.every(({ verdict }) => verdict), progress: all.every(({ progress }) => progress) };
}

/** What of a case or cell is not as expected, in words; empty where all is. */
export function differencesOf(one: Judged, evidence: EvidenceKind): string[] {
  const held = heldOf(one, evidence);
  return [
    ...(held.verdict ? [] : [`verdict: expected ${one.expected}, found ${one.verdict}`]),
    ...(held.progress ? [] : [`progress: expected ${one.expectedProgress}, found ${one.progress}`]),
  ];
}
