import { isLatchclockError } from '../errors.js';
import { FILTER_ERRNOS, systemCallRefusal } from '../host/reference-path.js';
import {
  BadPointer,
  type BadPointerName,
  CallPath,
  type CallPathName,
  ClockCall,
  type ClockCallName,
  ClockPath,
  type ClockPathName,
} from '../native/addon.js';
import { CLOCK_IDS, CLOCK_NAMES, clockIdOfDevice } from '../page/posix-clocks.js';
import { plural } from './format.js';
import type { Check, CheckContext, Evidence, Verdict } from './model.js';

const INT_MIN = -0x8000_0000;
const INT_MAX = 0x7fff_ffff;

/**
 * Ids that no clock has: both ends of the type, -1, holes in the table, beyond it, and devices and processes that are not
 * there.
 */
const BAD_IDS: readonly number[] = [
  INT_MIN,
  INT_MIN + 3,
  -1,
  10,
  12,
  13,
  14,
  15,
  24,
  63,
  INT_MAX,
  clockIdOfDevice(0xffff),
  (~99_999_999 << 3) | 2,
];

function errnoOf(read: () => unknown): string {
  try {
    read();
    return 'none';
  } catch (error) {
    if (isLatchclockError(error)) return error.errno ?? error.code;
    throw error;
  }
}

/** Where a path answers a bad id otherwise than the system call. */
function findErrnoDifferences({ host: { addon } }: CheckContext): { told: string[]; differences: string[] } {
  const told: string[] = [];
  const differences: string[] = [];
  const calls = {
    clock_gettime: (path: ClockPathName, id: number) => addon.readClock(ClockPath[path], id),
    clock_getres: (path: ClockPathName, id: number) => addon.clockResolution(ClockPath[path], id),
  };
  for (const [call, read] of Object.entries(calls)) {
    for (const id of BAD_IDS) {
      const reference = errnoOf(() => read('syscall', id));
      told.push(`${call}(${id}) ${reference}`);
      if (reference === 'none') differences.push(`${call}(${id}) works by system call`);
      for (const path of ['vdso', 'libc'] as const) {
        const errno = errnoOf(() => read(path, id));
        // A path that cannot be used at all is another check's matter.
        if (errno === 'ERR_NO_VDSO' || errno === 'ERR_COUNTER_DISABLED') continue;
        if (errno !== reference)
          differences.push(`${call}(${id}): ${path} ${errno}, system call ${reference}`);
      }
    }
  }
  return { told, differences };
}

const EFAULT = 14;
const SIGSEGV = 11;
const SIGBUS = 7;

/** A call that is to be made with a bad pointer. */
interface BadCall {
  call: ClockCallName;
  path: CallPathName;
  clock: string;
  clockId: number;
  pointer: BadPointerName;
}

/** How it ended: `EFAULT`, `signal N`, `errno N`; null if it could not be tried, and why. */
type Ending = BadCall & { ending: string | null; problem: string | null };

const POINTERS = Object.keys(BadPointer) as BadPointerName[];
const CALLS_WITH_CLOCK = ['clock_gettime', 'clock_getres'] as const;
const OTHER_CALLS = ['gettimeofday', 'time', 'getcpu'] as const;

/** Every pointer for one clock and for each call without one, and a page that cannot be touched for all clocks. */
function planBadCalls({ host: { addon } }: CheckContext): BadCall[] {
  const clocks = CLOCK_NAMES.filter(
    (clock) => errnoOf(() => addon.readClock(ClockPath.syscall, CLOCK_IDS[clock])) === 'none',
  );
  const withClock = CALLS_WITH_CLOCK.flatMap((call) =>
    clocks.flatMap((clock) =>
      (Object.keys(ClockPath) as ClockPathName[]).flatMap((path) =>
        (clock === 'monotonic' ? POINTERS : (['no-access'] as const)).map((pointer) => ({
          ...{ call, path, clock, clockId: CLOCK_IDS[clock], pointer },
        })),
      ),
    ),
  );
  const others = OTHER_CALLS.flatMap((call) =>
    (Object.keys(CallPath) as CallPathName[]).flatMap((path) =>
      POINTERS.map((pointer) => ({ call, path, clock: '', clockId: 0, pointer })),
    ),
  );
  return [...withClock, ...others];
}

/** What cannot be used at all is another check's matter. */
function isAbsent(call: BadCall, error: unknown): boolean {
  return (
    isLatchclockError(error, 'ERR_NO_VDSO', 'ERR_COUNTER_DISABLED') ||
    (isLatchclockError(error) && error.syscall === 'vsyscall' && call.path === 'vsyscall')
  );
}

async function probePointers(context: CheckContext): Promise<Ending[]> {
  const { addon } = context.host;
  const endings: Ending[] = [];
  const planned = planBadCalls(context);
  for (const [index, call] of planned.entries()) {
    try {
      const { errorNumber, signal } = addon.probeBadPointer(
        ClockCall[call.call],
        CallPath[call.path],
        call.clockId,
        BadPointer[call.pointer],
      );
      const ending =
        signal > 0 ? `signal ${signal}` : errorNumber === EFAULT ? 'EFAULT' : `errno ${errorNumber}`;
      endings.push({ ...call, ending, problem: null });
    } catch (error) {
      if (!isLatchclockError(error)) throw error;
      if (!isAbsent(call, error)) endings.push({ ...call, ending: null, problem: error.what });
    }
    // A child each: some of them are a millisecond and more.
    if (index % 16 === 0) {
      context.progress(index / planned.length);
      await context.breathe();
    }
  }
  return endings;
}

/** Null is no bad pointer where the interface says that nothing is to be stored then. */
function isNullAllowed({ call, pointer }: BadCall): boolean {
  return pointer === 'null' && call !== 'clock_gettime';
}

/** Whether it ended as it may: by EFAULT, or in user space by a fault. */
function isRight(entry: Ending): boolean {
  const { path, ending } = entry;
  if (ending === null) return true;
  if (isNullAllowed(entry)) return ending === 'errno 0';
  if (ending === 'EFAULT') return true;
  return path !== 'syscall' && (ending === `signal ${SIGSEGV}` || ending === `signal ${SIGBUS}`);
}

function describe({ call, clock, path, pointer, ending }: Ending): string {
  return `${call}${clock === '' ? '' : `(${clock})`} by ${path}, ${pointer} pointer: ${ending}`;
}

const errors: Check = {
  id: 'clock.errors',
  claim: 'A bad clock id gives the same errno by every path, a bad pointer EFAULT by system call',
  async run(context): Promise<Verdict> {
    const refusal = systemCallRefusal(context.host.addon);
    if (refusal?.errno !== undefined && FILTER_ERRNOS.includes(refusal.errno)) {
      return {
        status: 'skip',
        reason: `${refusal.what}: the kernel's own answers cannot be had`,
        bound: 'nothing was measured',
        evidence: { errno: refusal.errno, syscall: refusal.syscall ?? null },
        advice: 'It runs where no sandbox (seccomp) refuses clock_gettime and clock_getres to this process.',
      };
    }
    const { told, differences } = findErrnoDifferences(context);
    const pointers = await probePointers(context);
    const wrong = pointers.filter((entry) => !isRight(entry));
    const killed = [
      ...new Set(pointers.filter(({ ending }) => ending?.startsWith('signal')).map(({ path }) => path)),
    ];
    const tried = pointers.filter(({ ending }) => ending !== null);
    const clocks = new Set(tried.flatMap(({ clock }) => (clock === '' ? [] : [clock])));
    const problems = [...new Set(pointers.flatMap(({ problem }) => problem ?? []))];
    const evidence: Evidence = {
      told,
      differences,
      clocks: [...clocks],
      wrong: wrong.map(describe),
      pointers: pointers.map((entry) => ({ ...entry })),
    };
    const bound =
      `${plural(BAD_IDS.length, 'id')} by clock_gettime and clock_getres, ${plural(tried.length, 'call')} with ` +
      `${plural(POINTERS.length, 'bad pointer')}`;
    const fault = differences[0] ?? wrong.map(describe)[0];
    if (fault !== undefined) {
      return {
        status: 'fail',
        reason: fault,
        bound,
        evidence,
        advice:
          'Something answers in place of the kernel (a sandbox, a preloaded library): programs cannot rely on errors.',
      };
    }
    const untried = problems.length === 0 ? '' : `; not tried everywhere: ${problems.join(', ')}`;
    const death = killed.length === 0 ? '' : `; ${killed.join(', ')} die of them, as they may`;
    return {
      status: 'pass',
      reason:
        `${plural(BAD_IDS.length, 'bad id')} refused alike, bad pointers by EFAULT for ${plural(clocks.size, 'clock')} and ` +
        `${plural(OTHER_CALLS.length, 'other call')}${death}${untried}`,
      bound,
      evidence,
    };
  },
};

export const clockErrorChecks: readonly Check[] = [errors];
