import { once } from 'node:events';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { runProgram } from '../support/run-cli.ts';
import { cannotRun, testUnless } from '../support/tools.ts';
import { checksIn, checksOf, compile, LIBRARY, startProgram, temporaryFolder, VALIDATE } from './place.ts';

/** What others do to a process while it measures: signals, and changes of the CPUs that it may run on. */

const folder = temporaryFolder();

test('a storm of signals without SA_RESTART changes no verdict', () => {
  const storm = compile(folder, 'signal-storm', '-shared', '-fPIC');
  const count = join(folder, 'signals');
  const environment = { ...process.env, LD_PRELOAD: storm, SIGNAL_STORM: count };
  const checks = checksOf(runProgram(process.execPath, VALIDATE, environment));
  // In the second and more that a quick run takes at least.
  expect(Number(readFileSync(count, 'utf8'))).toBeGreaterThan(500);
  for (const id of ['clock.paths', 'clock.errors', 'vdso.fast', 'page.layout', 'page.exact', 'page.faults'])
    expect(checks[id]?.status, id).toBe('pass');
});

test('reads and writes that give half of what was asked, and are interrupted, change no verdict and lose no report', () => {
  const short = compile(folder, 'short-calls', '-shared', '-fPIC');
  const environment = { ...process.env, LD_PRELOAD: short };
  const report = join(folder, 'report.json');
  const ended = runProgram(process.execPath, [...VALIDATE, '--only', 'vdso,page', '-o', report], environment);
  const checks = checksOf({ ...ended, out: readFileSync(report, 'utf8') });
  for (const id of ['vdso.image', 'page.layout', 'page.exact']) expect(checks[id]?.status, id).toBe('pass');
});

const allowed = /Cpus_allowed_list:\s*(\S+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
const noTaskset =
  cannotRun('taskset', ['-c', '0,1', 'true']) ??
  (allowed === '0-1' ? null : `it is written for CPUs 0-1, here are ${allowed}`);

/** Validates, and tells the affinity of the thread that did it before and after. */
const WATCHED_RUN = `
  import { readFileSync } from 'node:fs';
  import { validate } from '${LIBRARY}';
  BigInt.prototype.toJSON = function () { return String(this); };
  const affinity = () => /Cpus_allowed_list:\\s*(\\S+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1];
  const before = affinity();
  // The first byte says that the run begins, and is no part of the JSON.
  process.stdout.write(' ');
  const report = await validate({ budget: 'quick' });
  console.log(JSON.stringify({ ...report, before, after: affinity() }));`;

/** Starts the watched run, lets `disturb` at it once it runs, and returns its affinity before and after. */
async function disturbed(
  disturb: (pid: number) => Promise<void>,
  program: readonly string[] = [],
): Promise<{ before: string; after: string; takenAway: number[] }> {
  const [first, ...rest] = [...program, process.execPath, '--input-type=module', '-e', WATCHED_RUN];
  const { child, ended } = startProgram(first as string, rest);
  await once(child.stdout as Readable, 'data');
  // Well into a run that takes more than a second.
  await sleep(200);
  await disturb(child.pid as number);
  const { code, signal, out, err } = await ended;
  expect({ code, signal, err }).toEqual({ code: 0, signal: null, err: '' });
  checksIn(out);
  return JSON.parse(out) as { before: string; after: string; takenAway: number[] };
}

describe('the affinity of all threads', () => {
  testUnless(
    noTaskset,
    'changed by taskset again and again meanwhile: no check fails, what was set last stays',
    async () => {
      const { before, after } = await disturbed(async (pid) => {
        for (let round = 0; round < 8; round++) {
          for (const cpus of ['0', '1', '0-1']) {
            // Without -a it would move the first thread only. Threads may end meanwhile: its exit code says nothing.
            await startProgram('taskset', ['-apc', cpus, String(pid)]).ended;
            await sleep(15);
          }
        }
      });
      expect({ before, after }).toEqual({ before: '0-1', after: '0-1' });
    },
  );

  testUnless(
    noTaskset,
    'of one CPU at the start: pairs of CPUs are skipped, and it is left at one',
    async () => {
      const { before, after } = await disturbed(async () => undefined, ['taskset', '-c', '1']);
      expect({ before, after }).toEqual({ before: '1', after: '1' });
      const checks = checksOf(runProgram('taskset', ['-c', '1', process.execPath, ...VALIDATE]));
      for (const id of ['counter.warp', 'counter.offset'])
        expect(checks[id]).toMatchObject({ status: 'skip', reason: 'one CPU to measure on (1)' });
      expect(checks['page.exact']?.status).toBe('pass');
    },
  );
});

const CPUSETS = '/sys/fs/cgroup/cpuset';

/** Makes a cpuset of CPU 0 alone, for the time of `use`. */
async function withCpuset(use: (path: string) => Promise<void>): Promise<void> {
  const path = join(CPUSETS, `latchclock-${process.pid}`);
  mkdirSync(path);
  try {
    writeFileSync(join(path, 'cpuset.cpus'), '0');
    writeFileSync(join(path, 'cpuset.mems'), '0');
    await use(path);
  } finally {
    rmdirSync(path);
  }
}

const noCpuset =
  noTaskset ??
  (await withCpuset(async () => undefined).then(
    () => null,
    (error: NodeJS.ErrnoException) => `no cpuset can be made in ${CPUSETS}: ${error.code}`,
  ));

testUnless(
  noCpuset,
  'a cpuset that takes a CPU away meanwhile (sched_setaffinity: EINVAL): no check fails, the run says which, the other stays',
  () =>
    withCpuset(async (path) => {
      const { before, after, takenAway } = await disturbed(async (pid) => {
        writeFileSync(join(path, 'cgroup.procs'), String(pid));
      });
      expect({ before, after, takenAway }).toEqual({ before: '0-1', after: '0', takenAway: [1] });
    }),
);
