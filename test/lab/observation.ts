/** A command whose exit code is noted. */
export type Noted = 'inspect' | 'compare' | 'hazards';

/** What one guest showed, by column of the table: a variation, or a place in a guest. */
export interface Observation {
  kernel: string;
  clocksource: Record<string, string>;
  /** By check. */
  verdicts: Record<string, Record<string, string>>;
  /** By command. */
  exits: Record<string, Partial<Record<Noted, number>>>;
}
