import { describe, expect, test } from 'vitest';
import { LatchclockError } from '../../lib/errors.ts';
import { BadPointer, CallPath } from '../../lib/native/addon.ts';
import { runCheckOn } from '../support/run-check.ts';

describe('clock.errors', () => {
  test('passes when every path refuses alike', async () => {
    expect(await runCheckOn({}, 'clock.errors')).toMatchObject({
      status: 'pass',
      evidence: { differences: [] },
    });
  });

  test("skips where a sandbox answers the system call: the kernel's errnos cannot be had", async () => {
    const verdict = await runCheckOn({ refusedCalls: 'EPERM' }, 'clock.errors');
    expect(verdict).toMatchObject({ status: 'skip', evidence: { errno: 'EPERM', syscall: 'clock_gettime' } });
    expect(verdict.advice).toContain('seccomp');
  });

  test('counts only the pointers that were tried, and says why the others were not', async () => {
    const verdict = await runCheckOn({}, 'clock.errors', ({ addon }) => {
      const { probeBadPointer } = addon;
      addon.probeBadPointer = (call, path, id, pointer) => {
        if (path === CallPath.syscall) return probeBadPointer(call, path, id, pointer);
        throw new LatchclockError('ERR_SYSTEM_CALL', 'fork failed with EAGAIN', { errno: 'EAGAIN' });
      };
    });
    expect(verdict.status).toBe('pass');
    expect(verdict.reason).toMatch(
      /bad pointers by EFAULT for 9 clocks and 3 other calls; not tried everywhere: fork failed with EAGAIN$/,
    );
  });

  test('tries every clock by clock_gettime and clock_getres, and -1 and the ends of the type as ids', async () => {
    const { evidence } = await runCheckOn({}, 'clock.errors');
    expect(evidence['clocks']).toEqual(expect.arrayContaining(['tai', 'thread-cputime', 'monotonic-coarse']));
    for (const id of [-1, -2_147_483_648, 2_147_483_647]) {
      expect(evidence['told']).toContain(`clock_gettime(${id}) EINVAL`);
      expect(evidence['told']).toContain(`clock_getres(${id}) EINVAL`);
    }
    const pointers = evidence['pointers'] as { call: string; path: string; pointer: string }[];
    for (const call of ['gettimeofday', 'time', 'getcpu']) {
      for (const path of ['vdso', 'libc', 'syscall', 'vsyscall']) {
        const tried = pointers.filter((entry) => entry.call === call && entry.path === path);
        expect(tried.map(({ pointer }) => pointer)).toEqual(Object.keys(BadPointer));
      }
    }
  });

  test.each([
    ['gettimeofday', 'libc', 'top', { errorNumber: 0, signal: 0 }, 'errno 0'],
    ['time', 'syscall', 'crossing', { errorNumber: 0, signal: 11 }, 'signal 11'],
    ['getcpu', 'vsyscall', 'no-access', { errorNumber: 22, signal: 0 }, 'errno 22'],
    ['gettimeofday', 'vdso', 'null', { errorNumber: 14, signal: 0 }, 'EFAULT'],
    ['clock_gettime', 'vdso', 'kernel', { errorNumber: 0, signal: 14 }, 'signal 14'],
  ] as const)('fails where %s by %s ends a %s pointer otherwise', async (call, path, pointer, end, told) => {
    const verdict = await runCheckOn(
      {
        badPointer: (name, by, which) =>
          name === call && by === path && which === BadPointer[pointer] ? { ...end } : null,
      },
      'clock.errors',
    );
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toContain(`by ${path}, ${pointer} pointer: ${told}`);
  });

  test('misses nothing where there is no vsyscall page, and tries no call there', async () => {
    const verdict = await runCheckOn({ vsyscall: false }, 'clock.errors');
    expect(verdict.status).toBe('pass');
    expect(verdict.reason).not.toContain('not tried');
  });
});
