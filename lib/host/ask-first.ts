import { isLatchclockError, LatchclockError } from '../errors.js';
import {
  type Addon,
  AskedCall,
  BenchSubject,
  CallPath,
  type CallPathName,
  ClockCall,
  type ClockCallName,
  ClockPath,
  type ClockPathName,
  CounterMethod,
} from '../native/addon.js';
import { CLOCK_IDS, PAGE_CLOCKS } from '../page/posix-clocks.js';
import { type HostFiles, readTextOrNull } from './files.js';

/** A call that a filter may kill for: one of the kernel's, or the one named of a clock by a path. */
type Question =
  | { asked: Exclude<keyof typeof AskedCall, 'clock-call'> }
  | { asked: 'clock-call'; call: ClockCallName; path: CallPathName; id: number };

/** The system call behind a question. */
function nameOf(question: Question): string {
  switch (question.asked) {
    case 'clock-call':
      return question.call;
    case 'cpuid':
      return 'arch_prctl';
    case 'filter':
      return 'prctl';
    case 'affinity':
      return 'sched_setaffinity';
    case 'memory':
      return 'process_vm_readv';
    case 'adjtimex':
      return 'adjtimex';
  }
}

function wordsOf(question: Question): [number, number, number, number] {
  const asked = AskedCall[question.asked];
  if (question.asked !== 'clock-call') return [asked, 0, 0, 0];
  return [asked, ClockCall[question.call], CallPath[question.path], question.id >>> 0];
}

/** One number for a question: below 2^53. */
function keyOf(question: Question): number {
  const [asked, call, path, id] = wordsOf(question);
  return ((asked * 8 + call) * 4 + path) * 2 ** 32 + id;
}

const PATHS = Object.keys(ClockPath) as ClockPathName[];

/** What nearly every program of this package asks: of these one child tells as many as it survives. */
const COMMON: readonly Question[] = [
  ...PAGE_CLOCKS.flatMap((clock) =>
    PATHS.map(
      (path): Question => ({ asked: 'clock-call', call: 'clock_gettime', path, id: CLOCK_IDS[clock] }),
    ),
  ),
  ...PATHS.map(
    (path): Question => ({ asked: 'clock-call', call: 'clock_getres', path, id: CLOCK_IDS.monotonic }),
  ),
  { asked: 'adjtimex' },
  { asked: 'cpuid' },
  { asked: 'memory' },
  { asked: 'affinity' },
  { asked: 'filter' },
];

/** Whether a seccomp filter may stand between this thread and the kernel: true also where `/proc` does not tell. */
export function mayBeFiltered(files: HostFiles): boolean {
  const status =
    readTextOrNull(files, '/proc/thread-self/status') ?? readTextOrNull(files, '/proc/self/status') ?? '';
  return /^Seccomp:\s+(\d)/m.exec(status)?.[1] !== '0';
}

/** Which calls of this thread a filter kills for, each asked once. */
class Answers {
  readonly #passes = new Map<number, boolean>();
  #askedCommon = false;

  constructor(
    readonly addon: Addon,
    readonly files: HostFiles,
  ) {}

  passes(question: Question): boolean {
    const key = keyOf(question);
    const known = this.#passes.get(key);
    if (known !== undefined) return known;
    if (mayBeFiltered(this.files)) {
      if (!this.#askedCommon) this.#ask(COMMON);
      this.#askedCommon = true;
      if (!this.#passes.has(key)) this.#ask([question]);
    }
    const answer = this.#passes.get(key) ?? true;
    this.#passes.set(key, answer);
    return answer;
  }

  #ask(questions: readonly Question[]): void {
    const endings = new Uint32Array(2 * questions.length);
    try {
      this.addon.askCalls(Uint32Array.from(questions.flatMap(wordsOf)), endings);
    } catch (error) {
      // No child is to be had. Whoever refuses that by an errno does so with other calls, too.
      if (isLatchclockError(error, 'ERR_SYSTEM_CALL')) return;
      throw error;
    }
    for (const [index, question] of questions.entries()) {
      this.#passes.set(keyOf(question), endings[2 * index + 1] === 0);
    }
  }

  /** Throws where the call would end this process. */
  check(question: Question, where: string): void {
    if (this.passes(question)) return;
    const syscall = nameOf(question);
    throw new LatchclockError('ERR_SYSTEM_CALL', `${syscall} is not made: a filter kills for it`, {
      where,
      todo: 'let the sandbox of this process (seccomp) pass the call',
      errno: 'SIGSYS',
      syscall,
    });
  }
}

function nameOfPath(number: number): CallPathName | undefined {
  return (Object.keys(CallPath) as CallPathName[]).find((name) => CallPath[name] === number);
}

/** The paths that subjects of the bench read the kernel's clocks by. */
const BENCH_PATHS: Readonly<Record<number, ClockPathName>> = {
  [BenchSubject.vdso]: 'vdso',
  [BenchSubject.libc]: 'libc',
  [BenchSubject.syscall]: 'syscall',
};

/**
 * The addon, but for calls that a seccomp filter of this thread kills for: these throw `ERR_SYSTEM_CALL` with the errno
 * `SIGSYS`, and are not made. Where there is a filter, each call that it may kill for is made once in a forked child
 * before it is made here; what passes then is taken to pass for good, and without a filter nothing is asked.
 */
export function askFirst(addon: Addon, files: HostFiles): Addon {
  const answers = new Answers(addon, files);
  const clock = (call: ClockCallName, path: number, id: number, where: string): void => {
    const name = nameOfPath(path);
    // A source that is no path makes no call; what is no number of the addon's the addon refuses.
    if (name !== undefined && name !== 'vsyscall')
      answers.check({ asked: 'clock-call', call, path: name, id }, where);
  };
  const gettime = (path: number, id: number, where: string): void => clock('clock_gettime', path, id, where);
  const page = (given: unknown, where: string): void => {
    if (given !== null) answers.check({ asked: 'memory' }, where);
  };
  const method = (number: number, where: string): void => {
    // Only rdtscp is asked of CPUID.
    if (number === CounterMethod.rdtscp) answers.check({ asked: 'cpuid' }, where);
  };
  const pin = (where: string): void => answers.check({ asked: 'affinity' }, where);
  const bench = (subject: number, clockId: number, given: unknown, where: string): void => {
    const path = BENCH_PATHS[subject];
    if (path !== undefined) gettime(ClockPath[path], clockId, where);
    page(given, where);
  };
  const nameOfCall = (number: number): ClockCallName | undefined =>
    (Object.keys(ClockCall) as ClockCallName[]).find((name) => ClockCall[name] === number);
  const anyCall = (number: number, path: number, id: number, where: string): void => {
    const name = nameOfCall(number);
    if (name !== undefined) clock(name, path, id, where);
  };

  class AskingRecorder extends addon.PageRecorder {
    constructor(...given: ConstructorParameters<Addon['PageRecorder']>) {
      page(given[0], 'PageRecorder');
      super(...given);
    }
  }

  return {
    ...addon,
    PageRecorder: AskingRecorder,
    cpuid(leaf, subleaf) {
      answers.check({ asked: 'cpuid' }, 'cpuid');
      return addon.cpuid(leaf, subleaf);
    },
    readCounter(given) {
      method(given, 'readCounter');
      return addon.readCounter(given);
    },
    readCounters(given, ...rest) {
      method(given, 'readCounters');
      addon.readCounters(given, ...rest);
    },
    counterReader(given, out) {
      method(given, 'counterReader');
      return addon.counterReader(given, out);
    },
    readClock(path, id) {
      gettime(path, id, 'readClock');
      return addon.readClock(path, id);
    },
    readClocks(path, id, ns) {
      gettime(path, id, 'readClocks');
      addon.readClocks(path, id, ns);
    },
    clockResolution(path, id) {
      clock('clock_getres', path, id, 'clockResolution');
      return addon.clockResolution(path, id);
    },
    adjtimex() {
      answers.check({ asked: 'adjtimex' }, 'adjtimex');
      return addon.adjtimex();
    },
    countKernelEntries(ids, calls) {
      answers.check({ asked: 'filter' }, 'countKernelEntries');
      // A filter that kills goes before one that answers: a clock that enters the kernel would be killed for.
      for (const id of ids) gettime(ClockPath.vdso, id | 0, 'countKernelEntries');
      return addon.countKernelEntries(ids, calls);
    },
    callClock(call, path, id, words) {
      anyCall(call, path, id, 'callClock');
      addon.callClock(call, path, id, words);
    },
    bracketCall(call, path, id, outerPath, outerId, given, ...rest) {
      anyCall(call, path, id, 'bracketCall');
      gettime(outerPath, outerId, 'bracketCall');
      page(given, 'bracketCall');
      return addon.bracketCall(call, path, id, outerPath, outerId, given, ...rest);
    },
    probeBadPointer(call, path, id, pointer) {
      // By the other paths a child dies of it.
      if (path === CallPath.syscall) anyCall(call, path, id, 'probeBadPointer');
      return addon.probeBadPointer(call, path, id, pointer);
    },
    bracket(outer, inner, id, given, ...rest) {
      gettime(outer, id, 'bracket');
      gettime(inner, id, 'bracket');
      page(given, 'bracket');
      return addon.bracket(outer, inner, id, given, ...rest);
    },
    clockReader(source, id, given, out) {
      gettime(source, id, 'clockReader');
      page(given, 'clockReader');
      return addon.clockReader(source, id, given, out);
    },
    clockPageReader(memory, protocol, generation, wide, number, policy, fallbackId, out) {
      gettime(ClockPath.syscall, fallbackId, 'clockPageReader');
      return addon.clockPageReader(memory, protocol, generation, wide, number, policy, fallbackId, out);
    },
    lockStep(source, id, given, ...rest) {
      pin('lockStep');
      gettime(source, id, 'lockStep');
      page(given, 'lockStep');
      return addon.lockStep(source, id, given, ...rest);
    },
    pingPong(...given) {
      pin('pingPong');
      return addon.pingPong(...given);
    },
    latchStress(...given) {
      pin('latchStress');
      return addon.latchStress(...given);
    },
    timeReads(...given) {
      bench(given[0], given[4], given[5], 'timeReads');
      return addon.timeReads(...given);
    },
    timeSingleReads(...given) {
      bench(given[0], given[4], given[5], 'timeSingleReads');
      addon.timeSingleReads(...given);
    },
    timeReadsTogether(...given) {
      pin('timeReadsTogether');
      bench(given[0], given[4], given[5], 'timeReadsTogether');
      return addon.timeReadsTogether(...given);
    },
    setCpuAffinity(cpus) {
      pin('setCpuAffinity');
      addon.setCpuAffinity(cpus);
    },
  };
}
