import { nameCpus } from '../host/cpus.js';
import type { Stray } from '../native/addon.js';
import { formatCount } from './format.js';
import type { Evidence, Verdict } from './model.js';

/**
 * Whether a thread was on the CPUs that it was sent to: `refused` with an errno, or `ignored`: the pin was accepted,
 * and the thread was elsewhere all the same.
 */
export type Pinning = 'pinned' | 'refused' | 'ignored';

/** What a bound says of readings that are not known to be of every CPU; empty where they are. */
export function pinningRemark(pinning: Pinning): string {
  switch (pinning) {
    case 'pinned':
      return '';
    case 'refused':
      return '; not pinned to any CPU: that is refused';
    case 'ignored':
      return '; not on the CPUs asked for: pinning is accepted and ignored';
  }
}

export const PINNING_ADVICE =
  'Something answers sched_setaffinity without doing it (a sandbox, a seccomp filter, LD_PRELOAD), or moves threads ' +
  'meanwhile (taskset): run it without that.';

export const NO_STRAY: Stray = { looks: 0, astray: 0, asked: -1, seen: -1 };

/** The looks of several runs together; the first that found a thread elsewhere is kept. */
export function addStrays(a: Stray, b: Stray): Stray {
  const { asked, seen } = a.astray > 0 ? a : b;
  return { looks: a.looks + b.looks, astray: a.astray + b.astray, asked, seen };
}

/** What a check of CPUs says whose threads were not on them: nothing is known of the CPUs then. */
export function astrayVerdict({ looks, astray, asked, seen }: Stray, evidence: Evidence): Verdict {
  const where = seen < 0 ? 'may be anywhere: nobody tells' : `ran on ${nameCpus([seen])}`;
  return {
    status: 'skip',
    reason: `a thread pinned to ${nameCpus([asked])} ${where}`,
    bound: `${formatCount(astray)} of ${formatCount(looks)} looks found a thread elsewhere, by TSC_AUX or getcpu`,
    evidence,
    advice: PINNING_ADVICE,
  };
}
