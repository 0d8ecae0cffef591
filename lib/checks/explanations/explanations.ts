import { CLOCK_EXPLANATIONS } from './clock.js';
import { COUNTER_EXPLANATIONS } from './counter.js';
import { LATCH_EXPLANATIONS } from './latch.js';
import type { Explanation, Explanations } from './model.js';
import { PAGE_EXPLANATIONS } from './page.js';
import { TIMEKEEPER_EXPLANATIONS } from './timekeeper.js';
import { VDSO_EXPLANATIONS } from './vdso.js';

/** One explanation for each check, by its id. */
export const EXPLANATIONS: Explanations = {
  ...COUNTER_EXPLANATIONS,
  ...CLOCK_EXPLANATIONS,
  ...VDSO_EXPLANATIONS,
  ...PAGE_EXPLANATIONS,
  ...LATCH_EXPLANATIONS,
  ...TIMEKEEPER_EXPLANATIONS,
};

/** Ids of the checks on whose claims the verdict of `id` rests. */
export function foundationsOf(id: string): string[] {
  return Object.keys(EXPLANATIONS).filter((other) =>
    (EXPLANATIONS[other] as Explanation).neededBy.includes(id),
  );
}
