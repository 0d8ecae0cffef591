import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BIN, latchclock } from '../support/run-cli.ts';
import { shippedSchema } from '../support/schema.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchclock-compare-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const path = (name: string): string => join(folder, name);

function compareJson(code: number, ...arguments_: string[]): Record<string, unknown> {
  const { out, err, code: found } = latchclock('compare', ...arguments_, '--format', 'json');
  expect(err).toBe('');
  expect(found).toBe(code);
  const json = JSON.parse(out) as Record<string, unknown>;
  const validate = shippedSchema('compare-1');
  validate(json);
  expect(validate.errors).toBeNull();
  return json;
}

describe('compare', () => {
  test('follows this machine, to the bit, and its recording says the same elsewhere', () => {
    const file = path('pages.jsonl');
    const live = compareJson(0, '--for', '1s', '--record', file);
    expect(live).toMatchObject({ mode: 'follow', holds: true, replayed: false });
    expect(live['updates']).toMatchObject({ unexplained: 0 });
    const replayed = compareJson(0, '--replay', file);
    expect(replayed).toMatchObject({ mode: 'follow', holds: true, replayed: true, updates: live['updates'] });
    const samples = (json: Record<string, unknown>) =>
      (json['clocks'] as { id: string; samples: number; maxAbsNs: string }[]).map(
        ({ id, samples, maxAbsNs }) => ({
          id,
          samples,
          maxAbsNs,
        }),
      );
    expect(samples(replayed)).toEqual(samples(live));
    expect(compareJson(0, '--replay', file, '--mode', 'free')).toMatchObject({ mode: 'free', holds: true });
  });

  test.each(['free', 'page'])('in mode %s follows the schema', (mode) => {
    const json = compareJson(0, '--mode', mode, '--for', '2s');
    expect(json).toMatchObject({ mode, holds: true });
    expect((json['clocks'] as unknown[]).length).toBeGreaterThanOrEqual(4);
  });

  test('calls a recording off in which one word is wrong, and tells the equation', () => {
    const lines = readFileSync(path('pages.jsonl'), 'utf8').trimEnd().split('\n');
    const line = JSON.parse(lines[9] as string);
    line.monotonic[1] = String(BigInt(line.monotonic[1]) + 1n);
    lines[9] = JSON.stringify(line);
    writeFileSync(path('wrong.jsonl'), `${lines.join('\n')}\n`);
    expect(compareJson(1, '--replay', path('wrong.jsonl'))).toMatchObject({
      holds: false,
      updates: { unexplained: 2 },
    });
    const { out, code } = latchclock('compare', '--replay', path('wrong.jsonl'));
    expect(code).toBe(1);
    expect(out).toContain('(realtime - monotonic) mod 2^shift');
    expect(out).toMatch(/^off: /m);
  });

  test('writes text of at most 80 columns, cutting no word', () => {
    for (const mode of ['follow', 'free', 'page']) {
      const { out, code } = latchclock('compare', '--mode', mode, '--for', '300ms');
      expect(code).toBe(0);
      expect(out.split('\n').filter((line) => line.length > 80)).toEqual([]);
      expect(out).not.toContain('…');
    }
  });

  test('writes each sample as CSV, and its curve as SVG', () => {
    const csv = latchclock('compare', '--replay', path('pages.jsonl'), '--format', 'csv')
      .out.trimEnd()
      .split('\n');
    expect(csv[0]).toBe('cycles,clock,kernel_ns,simulated_ns,difference_ns,predicted_ns');
    expect(csv.length).toBeGreaterThan(50);
    for (const line of csv.slice(1)) expect(line).toMatch(/^\d+,[a-z-]+,\d+,\d+,0,\d+$/);
    const drift = latchclock('compare', '--replay', path('pages.jsonl'), '--mode', 'free', '--format', 'csv')
      .out.trimEnd()
      .split('\n');
    expect(drift[0]).toBe(
      'seconds,cycles,clock,drift_ns,tau_seconds,allan_deviation,allan_low,allan_high,allan_noise',
    );
    const isSample = (line: string): boolean => /^[\d.e+-]+,\d+,[a-z-]+,[\d.e+-]+,,,,,$/.test(line);
    const isAllan = (line: string): boolean =>
      /^,,[a-z-]+,(,[\d.e+-]+){2}(,[\d.e+-]*){2},[a-z-]*$/.test(line);
    expect(drift.filter(isSample).length).toBeGreaterThan(5 * 7);
    expect(drift.filter(isAllan).length).toBeGreaterThan(0);
    expect(drift.slice(1).filter((line) => !isSample(line) && !isAllan(line))).toEqual([]);
    const drawing = path('drift.svg');
    const { code } = latchclock(
      'compare',
      '--replay',
      path('pages.jsonl'),
      '--mode',
      'free',
      '--format',
      'svg',
      '-o',
      drawing,
    );
    expect(code).toBe(0);
    expect(readFileSync(drawing, 'utf8')).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
  });
});

describe('wrong input of compare', () => {
  test.each([
    [['--for', '0']],
    [['--for', '0s']],
    [['--for', '-1s']],
    [['--for', '10m']],
    [['--for', 'soon']],
    [['--for', '0updates']],
    [['--mode', 'backwards']],
    [['--format', 'junit']],
    [['--against', 'sundial']],
    [['--mode', 'page', '--record', '/tmp/never.jsonl']],
    [['--replay', '/nowhere/pages.jsonl']],
    [['--replay', '/dev/null']],
    [['--replay', BIN]],
    [['-o', '/nowhere/report.json', '--for', '60s']],
    [['--record', '/nowhere/pages.jsonl', '--for', '60s']],
  ])('is refused at once, in one line: %j', (arguments_) => {
    const start = performance.now();
    const { code, err, out } = latchclock('compare', ...arguments_);
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(/^latchclock: [^\n]+\n$/);
    expect(performance.now() - start).toBeLessThan(30_000);
  });

  test('a clock that this machine does not have cannot be compared with: exit 3, and what would have it', () => {
    const { code, err } = latchclock('compare', '--against', 'ptp:/dev/ptp99');
    expect(code).toBe(3);
    expect(err).toContain('/dev/ptp99');
  });
});

describe('compare, interrupted', () => {
  test('reports what it saw until then, records it, and leaves nothing half-written', async () => {
    const [report, recording] = [path('interrupted.json'), path('interrupted.jsonl')];
    const child = spawn(
      process.execPath,
      [BIN, 'compare', '--for', '2m', '--format', 'json', '-o', report, '--record', recording],
      { stdio: 'ignore' },
    );
    const ended = once(child, 'exit');
    // It is under way when the file beside the report is there; then it is let see something.
    const limit = Date.now() + 60_000;
    while (!readdirSync(folder).some((name) => name.startsWith('interrupted.jsonl.')) && Date.now() < limit)
      await new Promise((done) => setTimeout(done, 20));
    await new Promise((done) => setTimeout(done, 1_000));
    child.kill('SIGINT');
    expect(await ended).toEqual([130, null]);
    const json = JSON.parse(readFileSync(report, 'utf8'));
    expect(json).toMatchObject({ interrupted: true, holds: true });
    expect(existsSync(recording)).toBe(true);
    expect(readdirSync(folder).filter((name) => name.includes('.tmp'))).toEqual([]);
    expect(compareJson(0, '--replay', recording)).toMatchObject({ updates: json.updates });
  }, 120_000);
});
