import { test } from 'vitest';
import { History } from './history.js';
import { PageWriter } from '../../lib/timekeeper/page-writer.js';
test('debug', () => {
  for (const name of ['offer', 'revise', 'withdraw', 'hold'] as const) {
    const was = PageWriter.prototype[name] as (...a: unknown[]) => void;
    (PageWriter.prototype as unknown as Record<string, unknown>)[name] = function (this: PageWriter, s?: { base: bigint; end: bigint; generation: bigint; shared: {mult: bigint}}) {
      out.push(`${name} ${s?.base} .. ${s?.end} gen ${s?.generation} mult ${s?.shared.mult}`);
      return was.call(this, s);
    };
  }
  const out: string[] = [];
  const history = new History(BigInt(process.env['SEED'] ?? 0));
  const push = history.trace.push.bind(history.trace);
  history.trace.push = (...a: string[]) => { out.push(...a); return push(...a); };
  try { history.play(); } catch (e) { out.push(String(e)); }
  console.log(out.slice(0, 4).join('\n') + '\n...\n' + out.slice(-Number(process.env['TAIL'] ?? 30)).join('\n'));
});
