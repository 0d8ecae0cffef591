/** The commands whose exit codes are noted, beside the verdicts of `validate`. */
export const NOTED = ['inspect', 'compare', 'hazards'] as const;
export type Noted = (typeof NOTED)[number];

/** What one guest showed, by column of the table: a variation, or a place in a guest. */
export interface Observation {
  kernel: string;
  /** As the kernel tells it: `6.12.117+deb13-cloud-amd64`. */
  release: string;
  clocksource: Record<string, string>;
  /** By check. */
  verdicts: Record<string, Record<string, string>>;
  /** By command. */
  exits: Record<string, Partial<Record<Noted, number>>>;
}
