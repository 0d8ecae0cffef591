import { describe, expect, test } from 'vitest';
import { type Happened, History, Violation } from './history.js';

const COUNT = Number(process.env['LATCHCLOCK_HISTORY_COUNT'] ?? 10_000);
const SEED = BigInt(process.env['LATCHCLOCK_HISTORY_SEED'] ?? 0);

test('histories', () => {
  const total: Record<string, number> = {};
  const bad: string[] = [];
  const kinds = new Map<string, number>();
  for (let at = 0; at < COUNT; at++) {
    const history = new History(SEED + BigInt(at));
    try {
      history.play();
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      const kind = error.message.replace(/\d+/g, 'N').slice(0, 60) + ' ' + history.protocol;
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      if (bad.length < 6 && (kinds.get(kind) ?? 0) < 3)
        bad.push(`seed ${history.seed}: ${error.message}\n  ${history.trace.join('\n  ')}`);
    }
    for (const [k, v] of Object.entries(history.happened)) total[k] = (total[k] ?? 0) + v;
  }
  console.log(total, kinds, process.cpuUsage());
  console.log(bad.join('\n'));
  expect(kinds.size).toBe(0);
});
