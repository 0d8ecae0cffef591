import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { medianInterval, medianOf } from '../../lib/bench/statistics.ts';
import { isMoving, type Subject, subjectsOf } from '../../lib/bench/subject.ts';
import { checkValues, runTrial, type TrialPlan } from '../../lib/bench/trial.ts';
import { openMachine } from '../../lib/host/host.ts';
import { seededRandom } from '../../lib/random.ts';

const host = openMachine();
const CPUS = host.addon.cpuAffinity();
afterAll(() => host.addon.setCpuAffinity(Uint32Array.from(CPUS)));

const subject = (path: string, clock: Subject['clock'] = 'monotonic'): Subject => ({
  path,
  clock,
  runtime: 'native',
});

const PLAN: Omit<TrialPlan, 'subjects'> = {
  ...{ cpu: CPUS.at(-1) as number, rounds: 12, batchNs: 50_000, singles: 200 },
  ...{ chained: false, together: [] },
};

describe('the check that a loop has read', () => {
  const vdso = subject('vdso');

  test('takes values that lie between those before and after', () => {
    expect(() => checkValues(vdso, 100, { span: 1_000n, advance: 50_000n })).not.toThrow();
    expect(() => checkValues(vdso, 100, { span: 1_000n, advance: 100_000n })).not.toThrow();
  });

  test.each([
    ['no value was kept', { span: 1_000n, advance: 0n }],
    ['all values are one that is no clock’s', { span: 1_000n, advance: 100n * ((1n << 64n) - 1n) }],
    ['they are more than they can be', { span: 1_000n, advance: 100_001n }],
    ['the clock went back', { span: (1n << 64n) - 5n, advance: 50_000n }],
    ['the clock stood', { span: 0n, advance: 0n }],
  ])('refuses a loop in which %s', (_, values) => {
    expect(() => checkValues(vdso, 100, values)).toThrow(expect.objectContaining({ code: 'ERR_CANNOT_RUN' }));
  });

  test('lets a coarse clock stand, and step once', () => {
    const coarse = subject('vdso', 'monotonic-coarse');
    expect(isMoving(coarse)).toBe(false);
    for (const advance of [0n, 4_000_000n]) {
      expect(() => checkValues(coarse, 100, { span: 4_000_000n, advance })).not.toThrow();
    }
    expect(() => checkValues(coarse, 100, { span: 0n, advance: 5n })).toThrow();
  });

  test('would see a loop whose reads were left out', () => {
    const left = { ...host, addon: Object.create(host.addon) };
    left.addon.timeReads = () => ({ cycles: 100, span: 1_000n, advance: 0n });
    return expect(runTrial(left, { ...PLAN, subjects: [vdso] })).rejects.toThrow('did not read');
  });
});

describe('a trial on this machine', () => {
  test('times every native path in every round, and single reads of each', async () => {
    const subjects = subjectsOf([], ['monotonic', 'monotonic-coarse', 'thread-cputime']).filter(
      ({ runtime }) => runtime === 'native',
    );
    const { costs, singles, empty, together, granularityNs } = await runTrial(host, {
      ...PLAN,
      subjects,
      together: CPUS.length > 1 ? [CPUS.slice(0, 2)] : [],
    });
    expect(costs.map(({ length }) => length)).toEqual(subjects.map(() => PLAN.rounds));
    expect(singles.map(({ length }) => length)).toEqual(subjects.map(() => PLAN.singles));
    for (const rounds of [...costs, empty.native.costs, empty.js.costs]) {
      for (const cost of rounds) expect(cost).toBeGreaterThan(0);
    }
    for (const row of together) for (const rounds of row) expect(rounds?.length).toBeGreaterThan(0);
    expect(granularityNs).toBeGreaterThan(0);
    // What every machine has in common: nothing is less than the loop, and a system call more than the vDSO.
    const cost = (path: string): number =>
      medianOf(
        costs[subjects.findIndex((one) => one.path === path && one.clock !== 'monotonic-coarse')] as number[],
      );
    expect(cost('lfence-rdtsc')).toBeGreaterThan(medianOf(empty.native.costs));
    expect(cost('syscall')).toBeGreaterThan(cost('vdso'));
  });

  test('times latencies no shorter than a read by itself', async () => {
    const subjects = [subject('two-window')];
    const cost = async (chained: boolean): Promise<number> =>
      Math.min(...((await runTrial(host, { ...PLAN, subjects, chained, rounds: 40 })).costs[0] as number[]));
    expect(await cost(true)).toBeGreaterThan(0.9 * (await cost(false)));
  });
});

/** Rounds of both paths, nanoseconds a read, as JSON: `[[vdso, syscall], ...]`. */
const PLAIN_LOOP = `
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}
int main(void) {
  struct timespec t;
  volatile long sink = 0;
  printf("[");
  for (int round = -2; round < 25; round++) {
    double start = now();
    for (int i = 0; i < 2000; i++) { clock_gettime(CLOCK_MONOTONIC, &t); sink += t.tv_nsec; }
    double middle = now();
    for (int i = 0; i < 400; i++) { syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t); sink += t.tv_nsec; }
    double end = now();
    if (round >= 0) printf("%s%.6f", round ? "," : "", (end - middle) / 400 / ((middle - start) / 2000));
  }
  printf("]");
  return 0;
}
`;

describe('the figures', () => {
  const folder = mkdtempSync(join(tmpdir(), 'latchclock-bench-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('agree with a plain C loop: a system call costs as many times the vDSO, within the noise of both', async () => {
    const [source, program] = [join(folder, 'loop.c'), join(folder, 'loop')];
    writeFileSync(source, PLAIN_LOOP);
    execFileSync('gcc', ['-O2', '-o', program, source], { timeout: 60_000 });
    const ours: number[][] = [];
    const plain: number[][] = [];
    const interval = (trials: number[][]): [number, number] => medianInterval(trials, seededRandom(1n));
    // In turns, so that both see the same machine; more of them where others have it, too.
    for (let turn = 0; turn < 12; turn++) {
      const { costs } = await runTrial(host, {
        ...PLAN,
        subjects: [subject('vdso'), subject('syscall')],
        rounds: 25,
      });
      const [vdso, syscall] = costs as [number[], number[]];
      ours.push(syscall.map((cost, round) => cost / (vdso[round] as number)));
      plain.push(JSON.parse(execFileSync(program, { encoding: 'utf8', timeout: 60_000 })));
      if (turn < 4) continue;
      const [[low, high], [plainLow, plainHigh]] = [interval(ours), interval(plain)];
      // A twentieth on either side: the loops are not of the same instructions.
      if (low * 0.95 <= plainHigh * 1.05 && plainLow * 0.95 <= high * 1.05) return;
    }
    expect(interval(ours)).toEqual(interval(plain));
  });
});
