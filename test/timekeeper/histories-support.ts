import { type Happened, History, Violation } from './history.js';

/** One history, to be played again: `LATCHCLOCK_HISTORY_SEED=1234 npx vitest run test/timekeeper/histories.test.ts`. */
export const ONE_SEED = process.env['LATCHCLOCK_HISTORY_SEED'];
/** How many histories there are, in all files together: `LATCHCLOCK_HISTORY_COUNT`, by default 10,000. */
const COUNT = Number(process.env['LATCHCLOCK_HISTORY_COUNT'] ?? 10_000);
const MOST_TOLD = 5;

/** Plays half of the histories, or one alone; what went wrong in which, and how often what happened. */
export function playHalf(half: 0 | 1): { wrong: string[]; happened: Record<keyof Happened, number> } {
  const seeds =
    ONE_SEED === undefined
      ? Array.from({ length: Math.ceil(COUNT / 2) }, (_, at) => BigInt(2 * at + half))
      : [BigInt(ONE_SEED)];
  const wrong: string[] = [];
  const happened = { ...new History(0n).happened };
  for (const seed of seeds) {
    const history = new History(seed);
    try {
      history.play();
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      wrong.push(`seed ${seed}: ${error.message}\n  ${history.trace.join('\n  ')}`);
      if (wrong.length === MOST_TOLD) break;
    }
    for (const kind of Object.keys(happened) as (keyof Happened)[]) happened[kind] += history.happened[kind];
  }
  return { wrong, happened };
}
