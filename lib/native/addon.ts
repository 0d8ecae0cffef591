/**
 * The typed interface of the native addon. It does only what JavaScript cannot: instructions, raw memory,
 * threads, tight loops. Every function throws {@link LatchclockError} only.
 */

/** How the counter is read: unfenced, after `lfence`, or by `rdtscp`. The numbers are the addon's. */
export const CounterMethod = { rdtsc: 0, 'lfence-rdtsc': 1, rdtscp: 2 } as const;
/** A way to read the counter. */
export type CounterMethodName = keyof typeof CounterMethod;
export type CounterMethodId = (typeof CounterMethod)[CounterMethodName];

/** The separate ways to ask the kernel for a clock. The numbers are the addon's. */
export const ClockPath = { vdso: 0, libc: 1, syscall: 2 } as const;
/** A way to ask the kernel for a clock. */
export type ClockPathName = keyof typeof ClockPath;
export type ClockPathId = (typeof ClockPath)[ClockPathName];

/** Where a clock's reading comes from: a path, or own arithmetic on the kernel's page. */
export const ReadingSource = { ...ClockPath, page: 3 } as const;
/** A way to read a clock: a path, or own arithmetic on the kernel's page. */
export type ReadingSourceName = keyof typeof ReadingSource;
type ReadingSourceId = (typeof ReadingSource)[ReadingSourceName];

/** As {@link ReadingSource}, or the counter itself (fenced): for readings that are compared in lock step. */
export const LockStepSource = { ...ReadingSource, counter: 4 } as const;
export type LockStepSourceName = keyof typeof LockStepSource;

/** Every call by which the kernel tells time, and getcpu, which the vDSO has beside them. The numbers are the addon's. */
export const ClockCall = { clock_gettime: 0, clock_getres: 1, gettimeofday: 2, time: 3, getcpu: 4 } as const;
export type ClockCallName = keyof typeof ClockCall;
type ClockCallId = (typeof ClockCall)[ClockCallName];

/** The ways to make such a call: a path, or the page that the kernel emulates for old programs (not all calls). */
export const CallPath = { ...ClockPath, vsyscall: 3 } as const;
export type CallPathName = keyof typeof CallPath;
type CallPathId = (typeof CallPath)[CallPathName];

/**
 * Pointers that an answer must not be written through: null, read-only memory, the kernel's half, a page that nobody may
 * touch, the last byte of the address space, and two bytes that may be written before such a page (unaligned).
 */
export const BadPointer = {
  null: 0,
  'read-only': 1,
  kernel: 2,
  'no-access': 3,
  top: 4,
  crossing: 5,
} as const;
export type BadPointerName = keyof typeof BadPointer;

/** The kernel's clock discipline, read by `adjtimex` without changing it. */
export interface Adjtimex {
  /** TIME_OK 0, TIME_INS 1, TIME_DEL 2, TIME_OOP 3, TIME_WAIT 4, TIME_ERROR 5 (not synchronised). */
  state: number;
  /** STA_* bits. */
  status: number;
  /** Frequency correction in units of 2^-16 ppm. */
  frequency: bigint;
  /** Remaining phase correction: microseconds, or nanoseconds if STA_NANO (0x2000) is set. */
  offset: bigint;
  maxErrorUs: bigint;
  estErrorUs: bigint;
  /** Microseconds per USER_HZ tick, nominally 10000. */
  tickUs: bigint;
  taiOffsetSeconds: number;
}

/** Where the words of one clock lie in the running kernel's page: byte offsets from the page's start. */
export interface PageClock {
  /** Address of the page that is read: page-aligned, in the pages right below the vDSO. */
  address: bigint;
  seq: number;
  mode: number;
  cycleLast: number;
  /** Null on kernels whose arithmetic knows no such limit (before 6.10). */
  maxCycles: number | null;
  mult: number;
  shift: number;
  seconds: number;
  nanoseconds: number;
  /** A coarse clock takes no counter and keeps plain nanoseconds. */
  coarse: boolean;
  /** Offset of the time namespace, nanoseconds, added after the shift. */
  namespaceNs: bigint;
}

/** What a bracketing loop counted. All are below 2^53. */
export interface BracketTally {
  samples: number;
  /** Samples in which the page was rewritten between their first and last instruction. */
  acrossUpdate: number;
  /** Samples outside their bracket while the page stood still. */
  outside: number;
  /** Samples outside their bracket among those in which the page was rewritten. */
  outsideAcrossUpdate: number;
  /** Largest distance outside, nanoseconds. */
  worstNs: number;
  /** Copies of the page thrown away because the writer came between. */
  retries: number;
  widthSumNs: number;
  widthMinNs: number;
  /** Rows written to each buffer. */
  rows: number;
  outsideRows: number;
}

/** Words of a row of {@link Addon.bracket}. */
export const BRACKET_ROW_WORDS = 24;

/** Threads that looked where they were, and were not on the CPU that they had been pinned to. */
export interface Stray {
  looks: number;
  /** Of these, elsewhere. */
  astray: number;
  /** Of the first thread found elsewhere: where it should have been, and where it was; -1 where nobody tells. */
  asked: number;
  seen: number;
}

/** What threads that read in turns found. Steps are nanoseconds, or cycles for the counter; all are below 2^53. */
export interface LockStepTally {
  reads: number;
  /** Readings whose predecessor was made by another thread, while both threads were on the CPUs asked for. */
  handOvers: number;
  /** Readings below their predecessor while the page kept its count, and the largest step back. */
  backwards: number;
  worst: number;
  /** The same across a change of the page's count. */
  backwardsAcrossUpdate: number;
  worstAcrossUpdate: number;
  /** Smallest step forward; null if there was none. */
  smallestStep: number | null;
  stray: Stray;
}

/** Bounds of `counter there - counter here`, cycles, both included; `lowest > highest` proves that it changed. */
export interface CounterOffset {
  lowest: bigint;
  highest: bigint;
  /** Rounds in which both sides were on the CPUs asked for: the others say nothing. */
  rounds: number;
  bestRoundTrip: bigint;
  stray: Stray;
}

/** A native thread that keeps every state of the kernel's page that it sees. It records from its making on. */
export interface PageRecorder {
  /** States kept so far. */
  captured(): number;
  isRecording(): boolean;
  /**
   * Ends the recording and gives its rows: 64-bit words, little-endian, the counter before and after the copy and
   * then the copied bytes of the page.
   */
  stop(): Uint8Array;
}

/** The readers of our own clock page. The numbers are the addon's. */
export const ReaderProtocol = {
  seqlock: 0,
  latch: 1,
  'latch-window': 2,
  'two-window': 3,
  'literal-latch-window': 4,
  'literal-two-window': 5,
} as const;
export type ReaderProtocolName = keyof typeof ReaderProtocol;

/** What a reader does about the generation: nothing, compare it with the copy's tag, or only with itself. */
export const ReaderGeneration = { none: 0, tagged: 1, untagged: 2 } as const;
export type ReaderGenerationName = keyof typeof ReaderGeneration;

/** What a reader does where the page has no value now: refuse, ask the kernel, or wait for the writer. */
export const OutOfWindowPolicy = { error: 0, syscall: 1, spin: 2 } as const;
/** What a clock of a page does where the page has no value now. */
export type OutOfWindowPolicyName = keyof typeof OutOfWindowPolicy;

/** How a read of a page ended. */
export const ReadEnd = {
  value: 0,
  'out-of-window': 1,
  retries: 2,
  disrupted: 3,
  unpublished: 4,
  unusable: 5,
} as const;
type ReadEndId = (typeof ReadEnd)[keyof typeof ReadEnd];

/** Where a clock page in memory comes from: this process and its children, a sealed memfd, an open file. */
export const PageMemoryKind = { anonymous: 0, memfd: 1, file: 2 } as const;

/** A clock page in memory: readable for as long as this object, its buffer or a reader of it lives. */
export interface ClockPageMemory {
  /** The page's 4096 bytes, shared with whoever else has mapped them. Throws for a page mapped for reading only. */
  buffer(): ArrayBuffer;
  /** The bytes as they are now; a writer may have changed some of them meanwhile. */
  copy(): Uint8Array;
  /** Of a memfd, and then the caller's to close; else -1. */
  fileDescriptor(): number;
  /**
   * True once the file behind the page was found cut short, by a fault (the page then reads as zeros) or by a writer, who
   * looks at its size at each update.
   */
  isLost(): boolean;
  /**
   * Takes the page out of memory, as soon as no clock that was opened from it is left; its buffer has no bytes from now
   * on, and every other function throws.
   */
  close(): void;
}

/** What one read of given bytes at a given counter gave. */
export interface PageReadingAt {
  end: ReadEndId;
  ns: bigint;
  count: bigint;
  generation: bigint;
  retries: number;
}

/** Words of a reading of every clock of a page. */
export const PAGE_SET_WORDS = 10;

/** What can happen to readers under stress. The numbers are the addon's. */
export const StressHazard = {
  update: 0,
  'writer-stalled': 1,
  'window-expired': 2,
  'counter-behind': 3,
  'writer-killed': 4,
} as const;
export type StressHazardName = keyof typeof StressHazard;

/** What readers under stress returned. All are below 2^53. */
export interface StressTally {
  reads: number;
  values: number;
  outOfWindow: number;
  /** Reads that gave up: the bound on tries or waits ran out. */
  ranOut: number;
  refusedOtherwise: number;
  /** Copies thrown away, and turns waited for the writer. */
  retries: number;
  /** Reads that waited a hundred turns or more for a writer to end its update. */
  waited: number;
  updates: number;
  /** Writers that died of SIGKILL, as waitpid confirmed. */
  kills: number;
  /** Writers that were killed in the middle of an update. */
  killedInside: number;
  /** Values made of words of more than one update. */
  torn: number;
  /** Reads that ended without a value and said that they had one. */
  missing: number;
  /** Values whose counter lay outside the window of the copy that gave them. */
  outside: number;
  /** Values below one that another read had returned before the read began, and the largest step back. */
  backwards: number;
  worstBackNs: number;
  /** The longest read of those whose latencies were counted, cycles; 0 where none were. */
  longestCycles: number;
}

/**
 * Buckets in which the addon counts latencies: exact below 16 cycles, then 16 to each power of two.
 */
export const LATENCY_BUCKETS = 976;

/**
 * What is timed: a reader, or what readers are held beside. `bare-latch` is a latch without window and clamp, for their
 * price; `read-all` every clock at once, and `update` the writer of the reader's protocol, where nobody reads; `empty` the
 * loop itself; `page` own arithmetic on the kernel's page. The numbers are the addon's.
 */
export const BenchSubject = {
  rdtsc: 0,
  'lfence-rdtsc': 1,
  rdtscp: 2,
  vdso: 3,
  reader: 4,
  'bare-latch': 5,
  'read-all': 6,
  update: 7,
  empty: 8,
  libc: 9,
  syscall: 10,
  page: 11,
} as const;
export type BenchSubjectName = keyof typeof BenchSubject;

/** How a call with a bad pointer ended: with an errno (0: it claims to have worked), or by a signal (else 0). */
export interface BadPointerEnding {
  errorNumber: number;
  signal: number;
}

/** What a bracketing loop around a call counted. All are below 2^53. */
export interface CallBracketTally {
  samples: number;
  /** Samples in which the page was rewritten, or (of `time`) the second had just changed. */
  acrossUpdate: number;
  outside: number;
  outsideAcrossUpdate: number;
  /** Largest distance outside, nanoseconds. */
  worstNs: number;
  /** Answers that are not as the interface promises: a fraction outside `[0, 1 s)`, a value returned and another stored. */
  malformed: number;
  /** The same of `clock_gettime` around the call. */
  malformedOuter: number;
  rows: number;
}

/**
 * Words of a row of {@link Addon.bracketCall}: 1 where the page was rewritten meanwhile; then seconds and fraction of the
 * first outer reading, of the answer and of the second outer reading, each as the call left it.
 */
export const CALL_ROW_WORDS = 7;

/** What a seccomp filter may kill for. The numbers are the addon's. */
export const AskedCall = {
  'clock-call': 0,
  adjtimex: 1,
  cpuid: 2,
  filter: 3,
  affinity: 4,
  memory: 5,
} as const;

/** How often a vDSO call entered the kernel. */
export interface KernelEntries {
  calls: number;
  kernelEntries: number;
  /** Errno of a call that failed otherwise, 0 if none did. */
  errorNumber: number;
}

/** What is timed, as the addon takes it. */
export type BenchArguments = [
  subject: (typeof BenchSubject)[BenchSubjectName],
  protocol: (typeof ReaderProtocol)[ReaderProtocolName],
  generation: (typeof ReaderGeneration)[ReaderGenerationName],
  wide: boolean,
  clockId: number,
  page: PageClock | null,
];

/** What a loop took; and what its values were, so that one that was left out shows. */
export interface BenchTiming {
  cycles: number;
  /** The value behind the loop less the one before it, unsigned 64 bits; 0 where values do not move. */
  span: bigint;
  /** The sum of each value less the first, modulo 2^64: at most `reads * span`. */
  advance: bigint;
}

export interface Addon {
  /**
   * Gives the addon the way to build errors; `where` names the function, `errorNumber` is 0 unless the system
   * call `syscall` failed.
   */
  setErrorFactory(
    factory: (code: string, what: string, where: string, errorNumber: number, syscall: string) => Error,
  ): void;

  /** Whether this thread may read the counter (`PR_GET_TSC`); `unknown` where the question is refused. */
  counterState(): 'enabled' | 'disabled' | 'unknown';
  /** CPUID registers eax, ebx, ecx, edx. Throws `ERR_COUNTER_UNSUPPORTED` where CPUID traps. */
  cpuid(leaf: number, subleaf: number): Uint32Array;
  /** One reading, cycles (unsigned 64 bits). Throws `ERR_COUNTER_DISABLED`, `ERR_COUNTER_UNSUPPORTED`. */
  readCounter(method: CounterMethodId): bigint;
  /**
   * As many readings as `cycles` holds (as signed words: `BigInt.asUintN(64, x)` gives the cycles); with
   * `rdtscp`, TSC_AUX (node << 12 | cpu) of each into `aux`, which has the same length.
   */
  readCounters(method: CounterMethodId, cycles: BigInt64Array, aux?: Uint32Array): void;

  /** Nanoseconds since the clock's epoch, by exactly the path. Throws `ERR_SYSTEM_CALL`, `ERR_NO_VDSO`. */
  readClock(path: ClockPathId, clockId: number): bigint;
  /** As many readings as `ns` holds. */
  readClocks(path: ClockPathId, clockId: number, ns: BigInt64Array): void;
  /** `clock_getres` in nanoseconds. */
  clockResolution(path: ClockPathId, clockId: number): bigint;
  adjtimex(): Adjtimex;
  /**
   * Counts how many of `calls` calls of the vDSO's `clock_gettime` enter the kernel, for each clock id (a
   * negative id as its unsigned word): in a thread of its own whose seccomp filter traps the system call.
   */
  countKernelEntries(clockIds: Uint32Array, calls: number): KernelEntries[];

  /**
   * Makes a call once: its two words, as it left them, into `words` (seconds and fraction; of `time` the value returned
   * and what was stored less that; of `getcpu` CPU and node). Throws `ERR_SYSTEM_CALL`, also where there is no vsyscall
   * page, and `ERR_NO_VDSO`.
   */
  callClock(call: ClockCallId, path: CallPathId, clockId: number, words: BigInt64Array): void;
  /**
   * Takes `count` samples of a call between two of `clock_gettime`. A sample is inside if the answer is not below the
   * first, rounded down to the call's unit (1 ns, 1 us, 1 s), and not above the second. Every `rowEvery`-th sample and
   * each that is wrong is written to `rows`, {@link CALL_ROW_WORDS} words each, while there is room.
   */
  bracketCall(
    call: ClockCallId,
    path: CallPathId,
    clockId: number,
    outerPath: ClockPathId,
    outerClockId: number,
    page: PageClock | null,
    count: number,
    rowEvery: number,
    rows: BigInt64Array,
  ): CallBracketTally;
  /**
   * Makes calls in forked children that may be killed for it. `questions` has four words for each: {@link AskedCall},
   * call, path and clock id (as an unsigned word); `endings` takes two: errno and the signal that killed the child, or 0.
   */
  askCalls(questions: Uint32Array, endings: Uint32Array): void;

  /**
   * Makes a call with a bad pointer: the system call here, the other paths in a forked child, which may die of it.
   */
  probeBadPointer(
    call: ClockCallId,
    path: CallPathId,
    clockId: number,
    pointer: (typeof BadPointer)[BadPointerName],
  ): BadPointerEnding;

  /** Address of the vDSO's ELF header, null if the process has none. */
  vdsoBase(): bigint | null;
  /** Address of a vDSO symbol as the dynamic linker resolves it, null if there is none. */
  vdsoSymbol(name: string, version: string): bigint | null;
  /** A copy of this process's memory; memory that cannot be read throws `ERR_MEMORY_FAULT`, no signal. */
  copyMemory(address: bigint, length: number): Uint8Array;

  /**
   * Takes `count` samples of `outer, inner, outer` readings of one clock and judges each: inside if the inner
   * reading lies between the outer ones. Every `rowEvery`-th sample is written to `rows`, every one outside
   * to `outsideRows`, each while there is room, {@link BRACKET_ROW_WORDS} words a row.
   */
  bracket(
    outer: ReadingSourceId,
    inner: ReadingSourceId,
    clockId: number,
    page: PageClock | null,
    count: number,
    rowEvery: number,
    rows: BigInt64Array,
    outsideRows: BigInt64Array,
  ): BracketTally;

  /**
   * Lets a thread on each of `cpus` read in turns, `reads` times each or for `mostCycles`, and compare with the
   * last reading of all. With a page its count is watched.
   */
  lockStep(
    source: (typeof LockStepSource)[LockStepSourceName],
    clockId: number,
    page: PageClock | null,
    cpus: Uint32Array,
    reads: number,
    mostCycles: number,
  ): LockStepTally;
  /** Bounds the offset between the counters of two CPUs, in `rounds` rounds or for `mostCycles`. */
  pingPong(cpuHere: number, cpuThere: number, rounds: number, mostCycles: number): CounterOffset;

  /** Records the first `bytes` of the page whenever the count of `page` changes. */
  PageRecorder: new (
    page: PageClock,
    bytes: number,
    capacity: number,
    mostCycles: number,
  ) => PageRecorder;

  /**
   * Takes the lock (`flock`) of an open file, until the descriptor and its copies are closed or the process ends. False
   * where another open file has it. Throws `ERR_SYSTEM_CALL`.
   */
  lockFile(fileDescriptor: number): boolean;

  /**
   * A function that reads a clock into `out[0]`, nanoseconds: nothing crosses the boundary. `out` must stay as it
   * is: its buffer is written to for as long as the function lives.
   */
  clockReader(
    source: ReadingSourceId,
    clockId: number,
    page: PageClock | null,
    out: BigInt64Array,
  ): () => void;
  /** As {@link clockReader} for the counter: `BigInt.asUintN(64, out[0])` gives the cycles. */
  counterReader(method: CounterMethodId, out: BigInt64Array): () => void;

  /** A page in memory; `fileDescriptor` is -1 but for a file, which must have 4096 bytes now. */
  ClockPageMemory: new (
    kind: (typeof PageMemoryKind)[keyof typeof PageMemoryKind],
    fileDescriptor: number,
    writable: boolean,
  ) => ClockPageMemory;
  /**
   * As {@link clockReader} for a clock (by number) of our own page; `out` has two words, the second being 1 if the kernel
   * was asked for the value and 0 if it is the page's.
   */
  clockPageReader(
    memory: ClockPageMemory,
    protocol: (typeof ReaderProtocol)[ReaderProtocolName],
    generation: (typeof ReaderGeneration)[ReaderGenerationName],
    wide: boolean,
    clock: number,
    policy: (typeof OutOfWindowPolicy)[OutOfWindowPolicyName],
    fallbackClockId: number,
    out: BigInt64Array,
  ): () => void;
  /**
   * As {@link clockPageReader} for every clock that the page's header names, all of one copy at one reading of the
   * counter. `out` has {@link PAGE_SET_WORDS} words: the counter's cycles, the generation (0 where none is looked at), the
   * bound in ns (-1: none stated), and the clocks by their numbers (0 where the page has none of that number). The
   * literal protocols are refused.
   */
  clockPageSetReader(
    memory: ClockPageMemory,
    protocol: (typeof ReaderProtocol)[ReaderProtocolName],
    generation: (typeof ReaderGeneration)[ReaderGenerationName],
    wide: boolean,
    policySpin: boolean,
    out: BigInt64Array,
  ): () => void;
  /**
   * Gives back at once what a {@link clockPageReader} or {@link clockPageSetReader} holds of its page; called afterwards,
   * the function throws. May be called again.
   */
  closePageReader(read: () => void): void;
  /** One read of a page's bytes with the counter standing at `cycles`; `ns` starts as `unsetNs` (unsigned). */
  readClockPageAt(
    bytes: Uint8Array,
    protocol: (typeof ReaderProtocol)[ReaderProtocolName],
    generation: (typeof ReaderGeneration)[ReaderGenerationName],
    wide: boolean,
    clock: number,
    cycles: bigint,
    unsetNs: bigint,
    mostTries: number,
    mostSpins: number,
  ): PageReadingAt;
  /**
   * One read of the clocks `clocks` (bit n: clock n) of a page's bytes with the counter standing at `cycles`; the words
   * are those of {@link clockPageSetReader}, and mean something where the end is `value`.
   */
  readClockPageSetAt(
    bytes: Uint8Array,
    protocol: (typeof ReaderProtocol)[ReaderProtocolName],
    generation: (typeof ReaderGeneration)[ReaderGenerationName],
    wide: boolean,
    clocks: number,
    cycles: bigint,
    mostTries: number,
    mostSpins: number,
  ): { end: ReadEndId; words: BigInt64Array; retries: number };
  /** The same of a VMClock page; `fraction` is in 2^-64 s. */
  readVmclockAt(
    bytes: Uint8Array,
    cycles: bigint,
    mostSpins: number,
  ): { end: ReadEndId; seconds: bigint; fraction: bigint; disruptionMarker: bigint; retries: number };
  /** The same of a pvclock page of 32 bytes. */
  readPvclockAt(
    bytes: Uint8Array,
    cycles: bigint,
    mostSpins: number,
  ): { end: ReadEndId; ns: bigint; retries: number };
  /**
   * One update by the native writer: the words of a copy as they are stored, in the order of `COPY_WORDS`. Throws
   * `ERR_BAD_PAGE`, after it has stored, where the page's file no longer has the page's size.
   */
  publishClockPage(
    memory: ClockPageMemory,
    protocol: (typeof ReaderProtocol)[ReaderProtocolName],
    words: BigInt64Array,
    keep: number,
    overlap: boolean,
    keptFirst: boolean,
  ): void;

  /**
   * Lets a reader on each of `cpus` read a page of its own against a writer on the last of them, for `mostCycles`, or
   * until so many writers were killed. A writer that stalls has the last CPU to itself, where there are two. `latencies`
   * is empty, or has {@link LATENCY_BUCKETS} counts of the reads that began during a stall by the cycles that they took,
   * which are added to.
   */
  latchStress(
    protocol: (typeof ReaderProtocol)[ReaderProtocolName],
    generation: (typeof ReaderGeneration)[ReaderGenerationName],
    wide: boolean,
    hazard: (typeof StressHazard)[StressHazardName],
    cpus: Uint32Array,
    mostCycles: number,
    windowCycles: number,
    stallCycles: number,
    kills: number,
    seed: bigint,
    latencies: BigInt64Array,
  ): StressTally;
  /**
   * What so many reads take in a native loop. `clockId` is for the paths of the kernel's clocks, `page` for the subject
   * `page`, the reader for those of our page. Throws as a reading does.
   */
  timeReads(...arguments_: [...BenchArguments, chained: boolean, reads: number]): BenchTiming;
  /** As many single reads as `cycles` holds: the cycles between two fenced readings of the counter around each. */
  timeSingleReads(...arguments_: [...BenchArguments, cycles: BigInt64Array]): void;
  /** As {@link timeReads} in a thread on each of `cpus` at once. */
  timeReadsTogether(...arguments_: [...BenchArguments, cpus: Uint32Array, reads: number]): BenchTiming[];

  /** CPUs that the calling thread may run on, ascending. */
  cpuAffinity(): number[];
  /** Restricts the calling thread (no other) to `cpus`. Throws `ERR_SYSTEM_CALL` if none is allowed. */
  setCpuAffinity(cpus: Uint32Array): void;
  /** Whether the calling thread runs on `cpu` now, by all that tell: TSC_AUX, and the kernel's `getcpu`. */
  isOnCpu(cpu: number): boolean;
}
