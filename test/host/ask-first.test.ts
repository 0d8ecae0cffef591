import { describe, expect, test } from 'vitest';
import { askFirst, mayBeFiltered } from '../../lib/host/ask-first.ts';
import { AskedCall, CallPath, ClockCall, ClockPath, ReadingSource } from '../../lib/native/addon.ts';
import { CLOCK_IDS } from '../../lib/page/posix-clocks.ts';
import { type SimulatedHost, simulatedHost } from '../support/simulated-host.ts';

const STATUS = '/proc/thread-self/status';

/** A simulated machine whose filter kills for the calls that `kills` names; counts the questions. */
function filtered(
  kills: (question: readonly number[]) => boolean,
  seccomp = 2,
): SimulatedHost & { asked: number[][] } {
  const host = simulatedHost({ files: { [STATUS]: `Name:\tnode\nSeccomp:\t${seccomp}\n` } });
  const asked: number[][] = [];
  host.addon.askCalls = (questions, endings) => {
    for (let i = 0; i < questions.length / 4; i++) {
      const question = [...questions.slice(4 * i, 4 * i + 4)];
      asked.push(question);
      endings[2 * i + 1] = kills(question) ? 31 : 0;
    }
  };
  return { ...host, asked };
}

const TAI_BY_SYSCALL = [AskedCall['clock-call'], ClockCall.clock_gettime, CallPath.syscall, CLOCK_IDS.tai];
const isTai = (question: readonly number[]): boolean =>
  question.every((word, i) => word === TAI_BY_SYSCALL[i]);
const refused = expect.objectContaining({
  code: 'ERR_SYSTEM_CALL',
  errno: 'SIGSYS',
  syscall: 'clock_gettime',
});

describe('whether a filter may be there', () => {
  test.each([
    ['Seccomp:\t0\n', false],
    ['Seccomp:\t2\nSeccomp_filters:\t1\n', true],
    [null, true],
    ['Name:\tnode\n', true],
  ])('is told by %j', (status, expected) => {
    expect(mayBeFiltered(simulatedHost({ files: { [STATUS]: status } }).files)).toBe(expected);
  });
});

describe('an addon that asks first', () => {
  test('asks nothing without a filter', () => {
    const { addon, files, asked } = filtered(() => true, 0);
    expect(askFirst(addon, files).readClock(ClockPath.syscall, CLOCK_IDS.tai)).toBeGreaterThan(0n);
    expect(asked).toEqual([]);
  });

  test('does not make a call that kills, by whatever function, and makes the others', () => {
    const { addon, files } = filtered(isTai);
    let made = 0;
    const readClock = addon.readClock;
    addon.readClock = (path, id) => {
      if (path === ClockPath.syscall && id === CLOCK_IDS.tai) made++;
      return readClock(path, id);
    };
    const asking = askFirst(addon, files);
    const out = new BigInt64Array(1);
    expect(() => asking.readClock(ClockPath.syscall, CLOCK_IDS.tai)).toThrow(refused);
    expect(() => asking.readClocks(ClockPath.syscall, CLOCK_IDS.tai, out)).toThrow(refused);
    expect(() => asking.clockReader(ReadingSource.syscall, CLOCK_IDS.tai, null, out)).toThrow(refused);
    expect(() =>
      asking.bracket(ReadingSource.vdso, ReadingSource.syscall, CLOCK_IDS.tai, null, 1, 1, out, out),
    ).toThrow(refused);
    expect(() =>
      asking.callClock(ClockCall.clock_gettime, CallPath.syscall, CLOCK_IDS.tai, new BigInt64Array(2)),
    ).toThrow(refused);
    expect(() => asking.probeBadPointer(ClockCall.clock_gettime, CallPath.syscall, CLOCK_IDS.tai, 0)).toThrow(
      refused,
    );
    expect(made).toBe(0);
    expect(asking.readClock(ClockPath.vdso, CLOCK_IDS.tai)).toBeGreaterThan(0n);
    expect(asking.readClock(ClockPath.syscall, CLOCK_IDS.realtime)).toBeGreaterThan(0n);
  });

  test('asks each call once, the usual ones in one go', () => {
    const { addon, files, asked } = filtered(() => false);
    const asking = askFirst(addon, files);
    for (let i = 0; i < 3; i++) asking.readClock(ClockPath.syscall, CLOCK_IDS.tai);
    const usual = asked.length;
    expect(usual).toBeGreaterThan(20);
    for (let i = 0; i < 3; i++) asking.readClock(ClockPath.syscall, CLOCK_IDS['thread-cputime']);
    expect(asked.length).toBe(usual + 1);
    expect(new Set(asked.map((question) => question.join())).size).toBe(asked.length);
  });

  test.each([
    ['adjtimex', AskedCall.adjtimex, (addon: ReturnType<typeof askFirst>) => addon.adjtimex()],
    ['arch_prctl', AskedCall.cpuid, (addon: ReturnType<typeof askFirst>) => addon.cpuid(0, 0)],
    [
      'prctl',
      AskedCall.filter,
      (addon: ReturnType<typeof askFirst>) => addon.countKernelEntries(new Uint32Array(1), 1),
    ],
    [
      'sched_setaffinity',
      AskedCall.affinity,
      (addon: ReturnType<typeof askFirst>) => addon.setCpuAffinity(Uint32Array.of(0)),
    ],
  ] as const)('does not make %s where that kills', (syscall, number, make) => {
    const { addon, files } = filtered(([asked]) => asked === number);
    expect(() => make(askFirst(addon, files))).toThrow(expect.objectContaining({ errno: 'SIGSYS', syscall }));
  });

  test('does not count kernel entries of a clock that would enter a kernel that kills', () => {
    const { addon, files } = filtered(([, , path, id]) => path === CallPath.vdso && id === CLOCK_IDS.tai);
    const asking = askFirst(addon, files);
    expect(() => asking.countKernelEntries(Uint32Array.of(CLOCK_IDS.tai), 1)).toThrow(refused);
    expect(asking.countKernelEntries(Uint32Array.of(CLOCK_IDS.monotonic), 1)).toHaveLength(1);
  });
});
