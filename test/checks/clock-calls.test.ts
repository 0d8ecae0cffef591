import { describe, expect, test } from 'vitest';
import { LatchclockError } from '../../lib/errors.ts';
import { runCheckOn } from '../support/run-check.ts';

describe('clock.calls', () => {
  test('passes where every call says the same by every path', async () => {
    const verdict = await runCheckOn({}, 'clock.calls');
    expect(verdict).toMatchObject({
      status: 'pass',
      evidence: { cpus: 2, cpuPaths: ['vdso', 'libc', 'syscall', 'vsyscall'], refused: [] },
    });
    const pairs = Object.keys(verdict.evidence['pairs'] as object);
    // Two calls by four paths, each around three of clock_gettime.
    expect(pairs).toHaveLength(24);
    expect(pairs).toContain('gettimeofday by vsyscall in realtime by libc');
    expect(pairs).toContain('time by vdso in realtime-coarse by syscall');
  });

  test.each([
    ['gettimeofday', 'libc', 3_600n, 0n],
    ['gettimeofday', 'vdso', 0n, -1n],
    ['gettimeofday', 'vsyscall', 0n, 2n],
    ['time', 'libc', -1n, 0n],
    ['time', 'syscall', 1n, 0n],
  ] as const)(
    'fails where %s by %s is off by %s and %s of its units',
    async (call, path, seconds, fraction) => {
      const verdict = await runCheckOn(
        {
          editCall: (name, by, words) => {
            if (name !== call || by !== path) return;
            words[0] = (words[0] as bigint) + seconds;
            words[1] = (words[1] as bigint) + fraction;
          },
        },
        'clock.calls',
      );
      expect(verdict.status).toBe('fail');
      expect(verdict.reason).toContain(`${call} by ${path} in realtime`);
    },
  );

  test('fails where a resolution differs between two paths, or is not normalised', async () => {
    const verdict = await runCheckOn(
      { editCall: (name, by, words) => name === 'clock_getres' && by === 'libc' && words.set([0n, 4n]) },
      'clock.calls',
    );
    expect(verdict).toMatchObject({ status: 'fail', reason: expect.stringContaining('4 ns by libc') });
    const negative = await runCheckOn(
      { editCall: (name, _by, words) => name === 'clock_getres' && words.set([1n, -1n]) },
      'clock.calls',
    );
    expect(negative.reason).toContain('is 1 s and -1 ns');
  });

  test('fails where the vDSO names another CPU than the system call, on one CPU only', async () => {
    const verdict = await runCheckOn(
      {
        editCall: (name, by, words) =>
          name === 'getcpu' && by === 'vdso' && words[0] === 1n && words.set([0n]),
      },
      'clock.calls',
    );
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toBe('getcpu by vdso says CPU 0 node 0, by syscall CPU 1 node 0');
  });

  test('warns where all name one CPU, and the thread is pinned to another', async () => {
    const verdict = await runCheckOn(
      { editCall: (name, _by, words) => name === 'getcpu' && words.set([0n]) },
      'clock.calls',
    );
    expect(verdict.status).toBe('warn');
    expect(verdict.reason).toMatch(/^rdtscp says CPU 1 node 0, getcpu CPU 0 node 0/);
    expect(verdict.evidence['cpuElsewhere']).toContain('pinned to CPU 1, getcpu says CPU 0 node 0');
  });

  test('leaves out what is not there, and says so: no vDSO, no vsyscall page', async () => {
    const verdict = await runCheckOn({ vdso: null, vsyscall: false }, 'clock.calls');
    expect(verdict.status).toBe('pass');
    expect(verdict.evidence['cpuPaths']).toEqual(['libc', 'syscall']);
    expect(verdict.reason).toContain('without gettimeofday by vdso (ERR_NO_VDSO)');
  });

  test('skips where no such call is passed', async () => {
    const verdict = await runCheckOn({}, 'clock.calls', ({ addon }) => {
      addon.callClock = () => {
        throw new LatchclockError('ERR_SYSTEM_CALL', 'no', { errno: 'EPERM' });
      };
    });
    expect(verdict).toMatchObject({ status: 'skip', advice: expect.stringContaining('seccomp') });
  });
});

describe('clock.fields', () => {
  test('passes, for every clock and call by every path', async () => {
    const verdict = await runCheckOn({}, 'clock.fields');
    expect(verdict.status).toBe('pass');
    const names = Object.keys(verdict.evidence['calls'] as object);
    expect(names).toContain('clock_gettime(tai) by vdso');
    expect(names).toContain('clock_gettime(thread-cputime) by syscall');
    expect(names).toContain('gettimeofday by vsyscall in realtime by vdso');
  });

  test('fails where a second is taken off and put into the nanoseconds: the sum is right', async () => {
    const verdict = await runCheckOn(
      {
        editCall: (name, by, words) => {
          if (name !== 'clock_gettime' || by !== 'libc') return;
          words.set([(words[0] as bigint) - 1n, (words[1] as bigint) + 1_000_000_000n]);
        },
      },
      'clock.fields',
    );
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toMatch(
      /^clock_gettime\(realtime\) by libc: \d+ answers of \d+ samples not normalised/,
    );
  });

  test.each([
    ['gettimeofday', -1n],
    ['gettimeofday', 1_000_000n],
    ['time', 1n],
  ] as const)('fails where %s leaves the fraction %s', async (call, fraction) => {
    const verdict = await runCheckOn(
      { editCall: (name, _by, words) => name === call && words.set([words[0] as bigint, fraction]) },
      'clock.fields',
    );
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toContain(`${call} by vdso`);
  });
});
