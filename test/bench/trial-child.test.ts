import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { runInProcess } from '../../lib/bench/trial-child.ts';
import { built, startProgram } from '../places/place.ts';
import { runProgram } from '../support/run-cli.ts';
import { cannotRun, testUnless } from '../support/tools.ts';

const PLAN = {
  subjects: [{ path: 'vdso', clock: 'monotonic', runtime: 'native' }],
  ...{ cpu: 0, rounds: 12, batchNs: 50_000, singles: 200, chained: false, together: [] },
} as const;

const NO_PROCESS = { code: 'ERR_CANNOT_RUN', what: 'no process can be started for a trial' };

describe('a trial', () => {
  test('gives what it found, and one that is interrupted nothing', async () => {
    expect((await runInProcess(PLAN, undefined))?.costs).toHaveLength(1);
    expect(await runInProcess(PLAN, AbortSignal.timeout(50))).toBeNull();
    expect(await runInProcess(PLAN, AbortSignal.abort())).toBeNull();
  });

  test('whose process hangs at its start is told in time, with the limits to raise', async () => {
    const limits = { startMs: 1, runMs: 60_000 };
    await expect(runInProcess(PLAN, undefined, limits)).rejects.toMatchObject({
      ...NO_PROCESS,
      where: 'no word in 0.001 s',
      todo: expect.stringContaining('ulimit -u'),
    });
  });

  test('that hangs later is ended', async () => {
    const limits = { startMs: 60_000, runMs: 1 };
    await expect(runInProcess({ ...PLAN, rounds: 100_000 }, undefined, limits)).rejects.toMatchObject({
      code: 'ERR_CANNOT_RUN',
      what: 'a trial ended without a result (no word in 0.001 s)',
    });
  });

  /** Of no account on this machine: limits of a user are shared by all that runs under its name. */
  const SOMEBODY = ['--reuid=54321', '--regid=54321', '--clear-groups', '--inh-caps=-all'];
  const noUser =
    cannotRun('prlimit', ['--nofile=1024', 'true']) ??
    cannotRun('setpriv', [...SOMEBODY, process.execPath, '-e', '0']);

  testUnless(noUser, 'for which no process can be had is a clear error, and bench ends with 3', () => {
    const module = `
      import { execFileSync } from 'node:child_process';
      import { main } from '${built('cli/main.js')}';
      execFileSync('prlimit', ['--pid', String(process.pid), '--nproc=1']);
      process.exitCode = await main(['bench', '--quick', '--rounds', '5', '--paths', 'vdso', '--clocks', 'monotonic']);`;
    const { code, out, err } = runProgram('setpriv', [
      ...SOMEBODY,
      ...[process.execPath, '--input-type=module', '-e', module],
    ]);
    expect({ code, out }).toEqual({ code: 3, out: '' });
    expect(err).toMatch(/^latchclock: no process can be started for a trial \(.*EAGAIN.*ulimit -u[^\n]*\n$/);
  });

  test('ends with the process that started it, however that ended', async () => {
    const module = `
      import { runInProcess } from '${built('bench/trial-child.js')}';
      console.log('started');
      await runInProcess(${JSON.stringify({ ...PLAN, rounds: 100_000 })}, undefined);`;
    const { child } = startProgram(process.execPath, ['--input-type=module', '-e', module]);
    await once(child.stdout as Readable, 'data');
    const childrenOf = (pid: number): string[] =>
      readdirSync(`/proc/${pid}/task`).flatMap((task) =>
        readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
      );
    let found: string[] = [];
    for (let tries = 0; tries < 100 && found.length === 0; tries++) {
      await sleep(20);
      found = childrenOf(child.pid as number);
    }
    expect(found).toHaveLength(1);
    // Into its rounds.
    await sleep(700);
    child.kill('SIGKILL');
    const isAlive = (): boolean => existsSync(`/proc/${found[0]}/exe`);
    for (let tries = 0; tries < 100 && isAlive(); tries++) await sleep(50);
    expect(isAlive()).toBe(false);
  });
});
