import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BIN, latchclock } from '../support/run-cli.ts';
import { shippedSchema } from '../support/schema.ts';

interface Report {
  results: {
    path: string;
    clock: string;
    runtime: string;
    threads: number;
    medianNs: number;
    ciNs: number[];
  }[];
  ratios: { name: string; clock: string; median: number }[];
  skipped: { path: string }[];
  changes?: { verdict: string }[];
  method: { chained: boolean; trials: number };
}

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchclock-bench-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const path = (name: string): string => join(folder, name);
/** Little, so that it is soon over. */
const LITTLE = [
  '--quick',
  '--rounds',
  '5',
  '--paths',
  'lfence-rdtsc,vdso,syscall,two-window',
  '--clocks',
  'monotonic',
];

function checked(text: string): Report {
  const json = JSON.parse(text) as Report;
  const validate = shippedSchema('bench-1');
  validate(json);
  expect(validate.errors).toBeNull();
  return json;
}

describe('bench', () => {
  test('times every path and function, natively and from JavaScript, and tells ratios of the same rounds', () => {
    const { out, code, err } = latchclock('bench', '--quick', '--rounds', '5', '--format', 'json');
    expect([code, err]).toEqual([0, '']);
    const { results, ratios, skipped } = checked(out);
    const timed = new Set(results.map((one) => `${one.runtime} ${one.path}`));
    for (const name of [
      'rdtsc',
      'lfence-rdtsc',
      'page',
      'vdso',
      'libc',
      'syscall',
      'latch-window',
      'two-window+gen',
    ])
      expect(timed).toContain(`native ${name}`);
    for (const name of [
      'now',
      'nowInto',
      'two-window',
      'process.hrtime.bigint',
      'performance.now',
      'Date.now',
    ])
      expect(timed).toContain(`js ${name}`);
    // Others' packages are there, or it is said that they are not.
    for (const name of ['microtime.now', 'nano-time'])
      expect(timed.has(`js ${name}`) || skipped.some((one) => one.path === name)).toBe(true);
    for (const { medianNs, ciNs } of results) {
      expect(ciNs[0]).toBeLessThanOrEqual(medianNs);
      expect(ciNs[1]).toBeGreaterThanOrEqual(medianNs);
    }
    const ratio = ratios.find(({ name, clock }) => name === 'syscall/vdso' && clock === 'monotonic');
    expect(ratio?.median).toBeGreaterThan(1);
  });

  test('writes text of at most 80 columns, and a line a figure as CSV', () => {
    const text = latchclock('bench', ...LITTLE);
    expect(text.code).toBe(0);
    expect(text.out.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(text.out).not.toContain('…');
    const csv = latchclock('bench', ...LITTLE, '--format', 'csv')
      .out.trimEnd()
      .split('\n');
    expect(csv[0]).toMatch(/^path,clock,runtime,threads,median_ns,ci_low_ns,ci_high_ns,p1,/);
    expect(csv).toHaveLength(6);
    for (const line of csv) expect(line.split(',')).toHaveLength((csv[0] as string).split(',').length);
  });

  test('says which figures changed since an earlier report, and fails where one is slower than it may be', () => {
    const old = path('old.json');
    expect(latchclock('bench', ...LITTLE, '--format', 'json', '-o', old).code).toBe(0);
    const report = checked(readFileSync(old, 'utf8'));
    const scaled = (factor: number): string => {
      const results = report.results.map((one) => ({
        ...one,
        medianNs: one.medianNs * factor,
        ciNs: one.ciNs.map((end) => end * factor),
      }));
      const file = path(`scaled-${factor}.json`);
      writeFileSync(file, JSON.stringify({ ...report, results }));
      return file;
    };
    // A hundred times as fast, or slow, is beyond any noise.
    const slower = latchclock(
      'bench',
      ...LITTLE,
      '--format',
      'json',
      '--compare',
      scaled(0.01),
      '--fail-on-regression',
      '50',
    );
    expect(slower.code).toBe(1);
    expect(checked(slower.out).changes?.every(({ verdict }) => verdict === 'slower')).toBe(true);
    const letPass = latchclock('bench', ...LITTLE, '--compare', scaled(0.01));
    expect(letPass.code).toBe(0);
    expect(letPass.out).toContain('slower by');
    const faster = latchclock('bench', ...LITTLE, '--compare', scaled(100), '--fail-on-regression', '0');
    expect(faster.code).toBe(0);
    expect(faster.out).toContain('faster by');
  });

  test('times latencies, and threads that read at once', () => {
    const { out, code } = latchclock('bench', ...LITTLE, '--latency', '--threads', '1', '--format', 'json');
    expect(code).toBe(0);
    expect(checked(out).method.chained).toBe(true);
    const threads = latchclock('bench', ...LITTLE, '--threads', '1', '--cpus', '0', '--format', 'json');
    expect(checked(threads.out).results.every((one) => one.threads === 1)).toBe(true);
  });
});

describe('wrong input of bench', () => {
  test.each([
    [['--clocks', 'sundial']],
    [['--paths', 'carrier-pigeon']],
    [['--rounds', '0']],
    [['--rounds', 'many']],
    [['--threads', '0']],
    [['--threads', '9999']],
    [['--cpus', '9999']],
    [['--format', 'svg']],
    [['--fail-on-regression', '10']],
    [['--compare', BIN]],
    [['--compare', '/nowhere/old.json']],
    [['--compare', '/dev/null']],
    [['-o', '/nowhere/report.json']],
  ])('is refused at once, in one line: %j', (arguments_) => {
    const { code, err, out } = latchclock('bench', ...arguments_);
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(/^latchclock: [^\n]+\n$/);
  });

  test('an earlier report that was cut short is none, and neither is one of another version', () => {
    const old = readFileSync(path('old.json'), 'utf8');
    writeFileSync(path('cut.json'), old.slice(0, -100));
    writeFileSync(path('other.json'), old.replace('bench/1', 'bench/9'));
    for (const file of ['cut.json', 'other.json']) {
      const { code, err } = latchclock('bench', '--compare', path(file));
      expect(code).toBe(2);
      expect(err).toContain(file);
    }
  });
});

describe('bench, interrupted', () => {
  test('reports the trials that ended, with 130, and leaves no process and no half-written file', async () => {
    const report = path('interrupted.json');
    const child = spawn(
      process.execPath,
      [
        BIN,
        'bench',
        '--rounds',
        '20',
        '--paths',
        'vdso',
        '--clocks',
        'monotonic',
        '--threads',
        '1',
        '--format',
        'json',
        '-o',
        report,
      ],
      { stdio: 'ignore' },
    );
    const ended = once(child, 'exit');
    await new Promise((done) => setTimeout(done, 2_500));
    child.kill('SIGINT');
    const [code] = (await ended) as [number];
    // Where the machine is fast enough it was over before.
    expect([0, 130]).toContain(code);
    const { interrupted } = JSON.parse(readFileSync(report, 'utf8'));
    expect(interrupted).toBe(code === 130);
    checked(readFileSync(report, 'utf8'));
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  }, 120_000);
});
