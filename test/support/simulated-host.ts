import { readFileSync } from 'node:fs';
import { LatchclockError } from '../../lib/errors.ts';
import { parseVdsoElf } from '../../lib/host/elf.ts';
import type { HostFiles } from '../../lib/host/files.ts';
import {
  type Addon,
  type Adjtimex,
  type BracketTally,
  CALL_ROW_WORDS,
  CallPath,
  type CallPathName,
  ClockCall,
  type ClockCallName,
  ClockPath,
  type ClockPathName,
  CounterMethod,
  LockStepSource,
  type LockStepSourceName,
  type LockStepTally,
  type PageClock,
  type PageRecorder,
  ReaderProtocol,
  type ReaderProtocolName,
  ReadingSource,
  type ReadingSourceName,
  type Stray,
  StressHazard,
  type StressHazardName,
  type StressTally,
} from '../../lib/native/addon.ts';
import {
  type KernelClockOffsets,
  type KernelPageLayout,
  KNOWN_LAYOUTS,
} from '../../lib/page/kernel-layout.ts';
import { CLOCK_IDS, CLOCK_NAMES, type ClockName, PAGE_CLOCKS } from '../../lib/page/posix-clocks.ts';

const PAGE = 4096;
const SECOND = 1_000_000_000n;
const U64 = 1n << 64n;
const TICK_NS = 4_000_000n;
const VDSO_BASE = 0x7ffd_1234_6000n;
const VDSO_IMAGE = new URL('../fixtures/vdso-6.18.bin', import.meta.url);
const TIMENS_MODE = 0x7fff_ffff;

/** `none`: another clocksource took over, and the words that the counter needs froze; `none-since-boot`: were never written. */
export type SimulatedMode = 'tsc' | 'none' | 'none-since-boot' | 'pvclock' | 'hvclock';
const MODE_NUMBERS: Record<SimulatedMode, number> = {
  tsc: 1,
  none: 0,
  'none-since-boot': 0,
  pvclock: 2,
  hvclock: 3,
};

export type CpuidRegisters = readonly [eax: number, ebx: number, ecx: number, edx: number];

/** A file's contents; `at`: those of a sparse file from this offset on, such as another process's memory. */
type SimulatedFile = string | Uint8Array | { at: bigint; bytes: Uint8Array };
type SimulatedFiles = Readonly<Record<string, SimulatedFile | null>>;

export interface SimulatedHostOptions {
  /** How this kernel lays out its page: any row of KNOWN_LAYOUTS, the newest by default. */
  layout?: KernelPageLayout;
  mode?: SimulatedMode;
  /** The process lives in a time namespace with these offsets. */
  inTimeNamespace?: { monotonicNs: bigint; boottimeNs: bigint };
  /** What `/sys/kernel/btf/vmlinux` holds; absent by default. */
  btf?: Uint8Array;
  /** Whether `/proc/self/maps` can be read (default true). */
  maps?: boolean;
  /** The image of the vDSO; null: neither vDSO nor pages. The fixture by default. */
  vdso?: Uint8Array | null;
  /** The page of a paravirtual clock, 4096 bytes (default: not mapped before 6.13, zeros since). */
  pvclock?: Uint8Array;
  /** Whether the process has `[vvar]` pages (default true). */
  vvar?: boolean;
  /** Last word on the bytes of the clock data's page, on every copy. */
  editPage?: (page: DataView) => void;
  /** Errors of the clocks, added to what a path answers, nanoseconds. */
  clockErrorNs?: (path: ClockPathName, clock: ClockName) => bigint;
  /** Last word on what a call leaves in its two words, by a path (the page of old programs is mapped by default). */
  editCall?: (call: ClockCallName, path: CallPathName, words: BigInt64Array) => void;
  /** How a call with a bad pointer ends, over what a sound host's does. */
  badPointer?: (
    call: ClockCallName,
    path: CallPathName,
    pointer: number,
  ) => { errorNumber: number; signal: number } | null;
  /** Whether there is a vsyscall page (default true). */
  vsyscall?: boolean;
  /** Clocks that the kernel does not have (default: the alarm clocks and the auxiliary ones). */
  missingClocks?: readonly ClockName[];
  /** The errno with which a sandbox refuses one clock by a path; undefined: it passes. */
  refuseClock?: (path: ClockPathName, clock: ClockName) => string | undefined;
  /** The errno with which a sandbox refuses clock_gettime, clock_getres and adjtimex (default: it passes them). */
  refusedCalls?: string;
  counterState?: 'enabled' | 'disabled' | 'unknown';
  /** Cycles that pass with every reading of counter or clock; negative ones make the counter run backwards. */
  cyclesPerReading?: () => bigint;
  /** Cycles by which the counter of a CPU is ahead, where CPUs are compared (lock step, ping-pong). */
  counterOffset?: (cpu: number) => bigint;
  /** The kernel rewrites its page when so many cycles have passed (default: never). */
  updateEveryCycles?: bigint;
  counterHz?: bigint;
  /** Realtime as the page is first written, whole Unix seconds; TAI is 37 s ahead. */
  realtimeSeconds?: bigint;
  mult?: bigint;
  /** The uncorrected mult of monotonic-raw (default: mult and 5). */
  multRaw?: bigint;
  shift?: bigint;
  /** CPUID by leaf, over the defaults (an Intel processor under KVM); `traps`: the instruction is refused. */
  cpuid?: Readonly<Record<number, CpuidRegisters>> | 'traps';
  /** Files over the defaults, by path; null hides a file. Links are text, `/dev/kmsg` is one record a line. */
  files?: SimulatedFiles;
  cpus?: readonly number[];
  /** Of these, the ones that are gone at the present counter (hotplug, a cpuset). */
  takenAway?: (counter: bigint) => readonly number[];
  /** An affinity is accepted and ignored: every thread runs on this CPU. */
  stuckOnCpu?: number;
  /** All clocks but the CPU times move in steps of so many nanoseconds, as under the clocksource jiffies. */
  clockStepNs?: bigint;
  adjtimex?: Partial<Adjtimex>;
  /** What stress of a reader finds, over what a sound one of its protocol does. */
  stress?: ((protocol: ReaderProtocolName, hazard: StressHazardName) => Partial<StressTally>) | undefined;
}

export interface SimulatedHost {
  addon: Addon;
  files: HostFiles;
  /** The kernel behind it, for tests that steer it. */
  kernel: SimulatedKernel;
  layout: KernelPageLayout;
  vdsoBase: bigint;
  /** Address of the page with the clock data. */
  pageAddress: bigint;
}

interface Base {
  seconds: bigint;
  /** Nanoseconds shifted left. */
  scaledNs: bigint;
}

/** Counter and timekeeping of the simulated kernel: what its clocks answer, whatever its page says. */
class SimulatedKernel {
  counter = 1_000_000_000_000n;
  cycleLast = 999_999_000_000n;
  seq = 1000;
  /** May be changed where the page is rewritten, as steering does. */
  mult: bigint;
  /** The clocksource's own, which its limits follow from. */
  readonly registeredMult: bigint;
  readonly multRaw: bigint;
  readonly shift: bigint;
  readonly bases: Record<'realtime' | 'monotonic' | 'boottime' | 'tai' | 'raw', Base>;
  coarse: { realtimeNs: bigint; monotonicNs: bigint } = { realtimeNs: 0n, monotonicNs: 0n };
  readonly namespace: { monotonicNs: bigint; boottimeNs: bigint };
  /** Called after every update of the page. */
  readonly listeners = new Set<() => void>();

  constructor(readonly options: SimulatedHostOptions) {
    this.mult = options.mult ?? 6_462_360n;
    this.registeredMult = this.mult;
    this.multRaw = options.multRaw ?? this.mult + 5n;
    this.shift = options.shift ?? 24n;
    this.namespace = options.inTimeNamespace ?? { monotonicNs: 0n, boottimeNs: 0n };
    const base = (seconds: bigint, ns: bigint): Base => ({ seconds, scaledNs: (ns << this.shift) + 12_345n });
    const realtime = options.realtimeSeconds ?? 1_790_000_000n;
    this.bases = {
      realtime: base(realtime, 250_000_001n),
      tai: base(realtime + 37n, 250_000_001n),
      monotonic: base(1_234n, 999_999_990n),
      boottime: base(5_678n, 999_999_990n),
      raw: base(1_233n, 7n),
    };
    this.#setCoarse();
  }

  /** Lets the cycles of one reading pass. */
  advance(): bigint {
    this.counter += this.options.cyclesPerReading?.() ?? 100n;
    const every = this.options.updateEveryCycles;
    if (every !== undefined && this.counter - this.cycleLast >= every) this.update(every);
    return this.counter;
  }

  /** Rewrites the page: the base moves up by whole intervals of `interval` cycles. */
  update(interval: bigint): void {
    const cycles = ((this.counter - this.cycleLast) / interval) * interval;
    this.cycleLast += cycles;
    this.seq += 2;
    for (const [name, base] of Object.entries(this.bases)) {
      base.scaledNs += cycles * (name === 'raw' ? this.multRaw : this.mult);
      base.seconds += base.scaledNs / (SECOND << this.shift);
      base.scaledNs %= SECOND << this.shift;
    }
    this.#setCoarse();
    for (const listener of this.listeners) listener();
  }

  #setCoarse(): void {
    const whole = ({ seconds, scaledNs }: Base): bigint => seconds * SECOND + (scaledNs >> this.shift);
    this.coarse = { realtimeNs: whole(this.bases.realtime), monotonicNs: whole(this.bases.monotonic) };
  }

  /** What a right reader answers for `clock` at the present counter, nanoseconds. */
  clockNs(clock: ClockName): bigint {
    const ns = this.#exactNs(clock);
    const step = this.options.clockStepNs ?? 1n;
    return ns - (ns % step);
  }

  #exactNs(clock: ClockName): bigint {
    const at = (name: keyof SimulatedKernel['bases']): bigint => {
      const { seconds, scaledNs } = this.bases[name];
      const delta = this.counter > this.cycleLast ? this.counter - this.cycleLast : 0n;
      const scaled = scaledNs + delta * (name === 'raw' ? this.multRaw : this.mult);
      return seconds * SECOND + (scaled >> this.shift);
    };
    const { monotonicNs, boottimeNs } = this.namespace;
    switch (clock) {
      case 'realtime':
      case 'realtime-alarm':
      case 'tai':
        return at(clock === 'tai' ? 'tai' : 'realtime');
      case 'monotonic':
        return at('monotonic') + monotonicNs;
      case 'monotonic-raw':
        return at('raw') + monotonicNs;
      case 'boottime':
      case 'boottime-alarm':
        return at('boottime') + boottimeNs;
      case 'realtime-coarse':
        return this.coarse.realtimeNs;
      case 'monotonic-coarse':
        return this.coarse.monotonicNs + monotonicNs;
      default:
        return this.counter / 10n;
    }
  }
}

function writeBase(page: DataView, clock: KernelClockOffsets, id: number, base: [bigint, bigint]): void {
  page.setBigInt64(clock.basetime + 16 * id, base[0], true);
  page.setBigInt64(clock.basetime + 16 * id + 8, base[1], true);
}

/** The page that the kernel's clocks are computed from, as a kernel of this layout and mode writes it. */
function dataPage(kernel: SimulatedKernel, layout: KernelPageLayout, mode: SimulatedMode): Uint8Array {
  const page = new DataView(new ArrayBuffer(PAGE));
  const { bases, coarse } = kernel;
  const withCounter = mode !== 'none-since-boot';
  for (const copy of ['main', 'raw'] as const) {
    const at = layout[copy];
    page.setUint32(at.seq, kernel.seq, true);
    page.setUint32(at.mode, MODE_NUMBERS[mode], true);
    if (!withCounter) continue;
    page.setBigUint64(at.cycleLast, kernel.cycleLast, true);
    const mult = copy === 'raw' ? kernel.multRaw : kernel.mult;
    // The limit of the clocksource, the same in both copies.
    const maxCycles = (U64 - 1n) / ((kernel.registeredMult * 111n) / 100n);
    if (at.maxCycles !== null) page.setBigUint64(at.maxCycles, maxCycles, true);
    if (at.mask !== null) page.setBigUint64(at.mask, U64 - 1n, true);
    page.setUint32(at.mult, Number(mult), true);
    page.setUint32(at.shift, Number(kernel.shift), true);
  }
  const split = (ns: bigint): [bigint, bigint] => [ns / SECOND, ns % SECOND];
  const stored = ({ seconds, scaledNs }: Base): [bigint, bigint] => [seconds, scaledNs];
  writeBase(page, layout.main, CLOCK_IDS.realtime, stored(bases.realtime));
  writeBase(page, layout.main, CLOCK_IDS['realtime-coarse'], split(coarse.realtimeNs));
  writeBase(page, layout.main, CLOCK_IDS['monotonic-coarse'], split(coarse.monotonicNs));
  if (withCounter) {
    writeBase(page, layout.main, CLOCK_IDS.monotonic, stored(bases.monotonic));
    writeBase(page, layout.main, CLOCK_IDS.boottime, stored(bases.boottime));
    writeBase(page, layout.main, CLOCK_IDS.tai, stored(bases.tai));
    writeBase(page, layout.raw, CLOCK_IDS['monotonic-raw'], stored(bases.raw));
  }
  page.setUint32(layout.hrtimerRes, 1, true);
  kernel.options.editPage?.(page);
  return new Uint8Array(page.buffer);
}

/** The first page of a process in a time namespace: a count of 1 and the namespace's mode for ever. */
function namespacePage(kernel: SimulatedKernel, layout: KernelPageLayout): Uint8Array {
  const page = new DataView(new ArrayBuffer(PAGE));
  const { monotonicNs, boottimeNs } = kernel.namespace;
  // Seconds may be negative, nanoseconds never are.
  const split = (ns: bigint): [bigint, bigint] => {
    const nanoseconds = ((ns % SECOND) + SECOND) % SECOND;
    return [(ns - nanoseconds) / SECOND, nanoseconds];
  };
  for (const at of [layout.main, layout.raw]) {
    page.setUint32(at.seq, 1, true);
    page.setUint32(at.mode, TIMENS_MODE, true);
    for (const id of [CLOCK_IDS.monotonic, CLOCK_IDS['monotonic-raw'], CLOCK_IDS['monotonic-coarse']]) {
      writeBase(page, at, id, split(monotonicNs));
    }
    for (const id of [CLOCK_IDS.boottime, CLOCK_IDS['boottime-alarm']]) {
      writeBase(page, at, id, split(boottimeNs));
    }
  }
  return new Uint8Array(page.buffer);
}

type PageSource = (() => Uint8Array) | null;

/** Pages of `[vvar]` and `[vvar_vclock]` in their order; null raises a fault. */
function kernelPages(
  kernel: SimulatedKernel,
  layout: KernelPageLayout,
  mode: SimulatedMode,
): { vvar: PageSource[]; vclock: PageSource[]; dataIndex: number } {
  const inNamespace = kernel.options.inTimeNamespace !== undefined;
  const old = layout.main.seq >= 128;
  const rows = KNOWN_LAYOUTS.map(({ name }) => name);
  const vvarPages = old || rows.indexOf(layout.name) !== rows.indexOf('linux-6.13..6.14') ? 4 : 2;
  const vvar: PageSource[] = Array.from({ length: vvarPages }, () => null);
  const dataIndex = inNamespace ? (old ? 3 : 1) : 0;
  if (inNamespace) vvar[0] = () => namespacePage(kernel, layout);
  vvar[dataIndex] = () => dataPage(kernel, layout, mode);
  const pvclock = kernel.options.pvclock ?? (old ? null : new Uint8Array(PAGE));
  const pvclockPage = pvclock === null ? null : () => pvclock;
  if (old) vvar[1] = pvclockPage;
  // The page of the kernel's random numbers.
  if (!old && vvarPages === 4) vvar[2] = () => new Uint8Array(PAGE).fill(0x5a);
  return { vvar, vclock: old ? [] : [pvclockPage, null], dataIndex };
}

const ASCII_VENDOR: CpuidRegisters = [0x16, 0x756e_6547, 0x6c65_746e, 0x4965_6e69];

function asciiRegisters(text: string): CpuidRegisters {
  const words = new DataView(new ArrayBuffer(16));
  for (const [index, byte] of Buffer.from(text.slice(0, 16), 'latin1').entries()) words.setUint8(index, byte);
  return [0, 4, 8, 12].map((at) => words.getUint32(at, true)) as unknown as CpuidRegisters;
}

function defaultCpuid(): Record<number, CpuidRegisters> {
  const brand = 'Simulated(R) Processor @ 2.60GHz';
  return {
    0: ASCII_VENDOR,
    1: [0, 0, 0x8000_0000, 0],
    7: [0, 2, 0, 0],
    [0x8000_0000]: [0x8000_0008, 0, 0, 0],
    [0x8000_0001]: [0, 0, 0, 1 << 27],
    [0x8000_0002]: asciiRegisters(brand.slice(0, 16)),
    [0x8000_0003]: asciiRegisters(brand.slice(16)),
    [0x8000_0007]: [0, 0, 0, 1 << 8],
    // "KVMKVMKVM"
    [0x4000_0000]: [0x4000_0001, 0x4b4d_564b, 0x564b_4d56, 0x0000_004d],
  };
}

function systemCallError(where: string, syscall: string, errno: string): LatchclockError {
  return new LatchclockError('ERR_SYSTEM_CALL', `${syscall} failed with ${errno}`, { where, errno, syscall });
}

function defaultFiles(options: SimulatedHostOptions, maps: string): SimulatedFiles {
  const { mode = 'tsc', inTimeNamespace } = options;
  const current = {
    tsc: 'tsc',
    none: 'hpet',
    'none-since-boot': 'hpet',
    pvclock: 'kvm-clock',
    hvclock: 'hyperv_clocksource_tsc_page',
  }[mode];
  const seconds = (ns: bigint): string => {
    const nanoseconds = ((ns % SECOND) + SECOND) % SECOND;
    return `${(ns - nanoseconds) / SECOND} ${nanoseconds}`;
  };
  const { monotonicNs, boottimeNs } = inTimeNamespace ?? { monotonicNs: 0n, boottimeNs: 0n };
  const namespaceLink = inTimeNamespace === undefined ? 'time:[4026531834]' : 'time:[4026532177]';
  return {
    '/proc/self/maps': (options.maps ?? true) ? maps : null,
    '/proc/cmdline': 'console=ttyS0 root=/dev/vda ro\n',
    '/proc/sys/kernel/osrelease': '6.18.44\n',
    '/proc/self/status':
      'Name:\tnode\nPid:\t4711\nPPid:\t4700\nTracerPid:\t0\nUid:\t1000\t1000\t1000\t1000\n',
    '/proc/self/ns/time': namespaceLink,
    '/proc/self/ns/time_for_children': namespaceLink,
    '/proc/self/timens_offsets': `monotonic ${seconds(monotonicNs)}\nboottime ${seconds(boottimeNs)}\n`,
    '/sys/kernel/btf/vmlinux': options.btf ?? null,
    '/sys/devices/system/clocksource/clocksource0/current_clocksource': `${current}\n`,
    '/sys/devices/system/clocksource/clocksource0/available_clocksource': `${current} acpi_pm \n`,
    '/dev/kmsg':
      '6,1,0,-;clocksource: tsc: mask: 0xffffffffffffffff max_cycles: 0x256c0161b7a, max_idle_ns: 440795284980 ns',
  };
}

function simulatedFiles(contents: SimulatedFiles): HostFiles {
  const missing = (path: string): LatchclockError =>
    new LatchclockError('ERR_FILE', 'cannot open: ENOENT', { where: path, errno: 'ENOENT', syscall: 'open' });
  const openAt = (path: string): { at: bigint; bytes: Uint8Array } => {
    const content = contents[path] ?? null;
    if (content === null) throw missing(path);
    if (typeof content === 'string') return { at: 0n, bytes: Buffer.from(content) };
    return content instanceof Uint8Array ? { at: 0n, bytes: content } : content;
  };
  const open = (path: string): Uint8Array => openAt(path).bytes;
  return {
    readAt(path, offset, mostBytes) {
      const { at, bytes } = openAt(path);
      // As a process's memory where nothing is mapped.
      if (offset < at) {
        throw new LatchclockError('ERR_FILE', 'cannot read: EIO', {
          where: path,
          errno: 'EIO',
          syscall: 'read',
        });
      }
      const from = Number(offset - at);
      return bytes.slice(from, from + mostBytes);
    },
    list(path) {
      const within = Object.entries(contents).filter(
        ([name, content]) => content !== null && name.startsWith(`${path}/`),
      );
      if (within.length === 0) throw missing(path);
      return [...new Set(within.map(([name]) => name.slice(path.length + 1).split('/')[0] as string))];
    },
    read: (path, mostBytes) => open(path).slice(0, mostBytes),
    readRecords: (path, mostRecords) =>
      Buffer.from(open(path)).toString('utf8').split('\n').slice(0, mostRecords),
    readLink: (path) => Buffer.from(open(path)).toString('utf8'),
  };
}

const NAMES_OF_IDS = new Map<number, ClockName>(CLOCK_NAMES.map((name) => [CLOCK_IDS[name], name]));
const SOURCE_NAMES = Object.keys(ReadingSource) as ReadingSourceName[];
const LOCK_STEP_NAMES = Object.keys(LockStepSource) as LockStepSourceName[];
const PATH_NAMES = Object.keys(ClockPath) as ClockPathName[];
const CALL_NAMES = Object.keys(ClockCall) as ClockCallName[];
const CALL_PATH_NAMES = Object.keys(CallPath) as CallPathName[];
const ABSENT: readonly ClockName[] = CLOCK_NAMES.filter((name) => /alarm|aux/.test(name));

interface SimulatedReading {
  ns: bigint;
  /** The words of a reading that came from the page, as a row of `bracket` has them. */
  words: bigint[];
}

/** The addon's side of the machine; see {@link Addon} for what each function means. */
function simulatedAddon(
  kernel: SimulatedKernel,
  memory: ReadonlyMap<bigint, PageSource>,
  vdso: Uint8Array | null,
  options: SimulatedHostOptions,
): Addon {
  const { counterState = 'enabled', missingClocks = ABSENT, mode = 'tsc' } = options;
  const cpuid = options.cpuid === 'traps' ? null : { ...defaultCpuid(), ...options.cpuid };
  const possible = [...(options.cpus ?? [0, 1])];
  let affinity = possible;
  const isGone = (cpu: number): boolean => options.takenAway?.(kernel.counter).includes(cpu) === true;
  // The kernel moves a thread all of whose CPUs are gone.
  const runsOn = (): number[] => {
    const left = affinity.filter((cpu) => !isGone(cpu));
    return left.length > 0 ? left : possible.filter((cpu) => !isGone(cpu));
  };
  const pin = (cpus: Iterable<number>, where: string): number[] => {
    const wanted = [...new Set(cpus)].filter((cpu) => possible.includes(cpu) && !isGone(cpu));
    if (wanted.length === 0) throw systemCallError(where, 'sched_setaffinity', 'EINVAL');
    return wanted.sort((a, b) => a - b);
  };
  /** What threads on `cpus` find that look where they are, each so many times. */
  const strayOf = (cpus: readonly number[], looks: number): Stray => {
    const seen = options.stuckOnCpu ?? -1;
    const astray = options.stuckOnCpu === undefined ? [] : cpus.filter((cpu) => cpu !== seen);
    const [asked] = astray;
    return {
      looks: looks * cpus.length,
      astray: looks * astray.length,
      ...(asked === undefined ? { asked: -1, seen: -1 } : { asked, seen }),
    };
  };

  const checkCounter = (where: string): void => {
    if (counterState !== 'disabled') return;
    throw new LatchclockError('ERR_COUNTER_DISABLED', 'the counter is disabled for this thread', { where });
  };
  const checkPath = (path: ClockPathName, where: string): void => {
    if (path === 'syscall') return;
    if (path === 'vdso' && vdso === null) throw new LatchclockError('ERR_NO_VDSO', 'no vDSO', { where });
    checkCounter(where);
  };
  const nameOf = (path: ClockPathName, clockId: number, where: string, syscall: string): ClockName => {
    const name = NAMES_OF_IDS.get(clockId);
    const inVdso = PAGE_CLOCKS.some((clock) => clock === name);
    if (options.refusedCalls !== undefined && (path === 'syscall' || !inVdso))
      throw systemCallError(where, syscall, options.refusedCalls);
    if (name === undefined || missingClocks.includes(name)) throw systemCallError(where, syscall, 'EINVAL');
    return name;
  };
  const readClock = (path: ClockPathName, clockId: number, where: string): bigint => {
    checkPath(path, where);
    const name = nameOf(path, clockId, where, 'clock_gettime');
    const refused = options.refuseClock?.(path, name);
    if (refused !== undefined) throw systemCallError(where, 'clock_gettime', refused);
    kernel.advance();
    return kernel.clockNs(name) + (options.clockErrorNs?.(path, name) ?? 0n);
  };
  const copyMemory = (address: bigint, length: number): Uint8Array => {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = address + BigInt(done);
      const inPage = Number(at % BigInt(PAGE));
      const source = memory.get(at - BigInt(inPage)) ?? null;
      if (source === null) {
        throw new LatchclockError('ERR_MEMORY_FAULT', 'the memory cannot be read', { where: 'copyMemory' });
      }
      const part = source().subarray(inPage, inPage + length - done);
      bytes.set(part, done);
      done += part.length;
    }
    return bytes;
  };
  const callAnswer = (call: ClockCallName, path: CallPathName, id: number): BigInt64Array => {
    if (path === 'vsyscall' && ((options.vsyscall ?? true) === false || call.startsWith('clock_')))
      throw systemCallError('callClock', 'vsyscall', 'EFAULT');
    const by = path === 'vsyscall' ? 'syscall' : path;
    const split = (ns: bigint, unitNs: bigint): [bigint, bigint] => [ns / SECOND, (ns % SECOND) / unitNs];
    const words = new BigInt64Array(2);
    if (call === 'clock_gettime') words.set(split(readClock(by, id, 'callClock'), 1n));
    else if (call === 'gettimeofday')
      words.set(split(readClock(by, CLOCK_IDS.realtime, 'callClock'), 1_000n));
    else if (call === 'time') words[0] = readClock(by, CLOCK_IDS['realtime-coarse'], 'callClock') / SECOND;
    else if (call === 'clock_getres') words[1] = resolution(by, id);
    else {
      checkPath(by, 'callClock');
      words[0] = BigInt(affinity[0] ?? 0);
    }
    options.editCall?.(call, path, words);
    return words;
  };
  const resolution = (path: ClockPathName, clockId: number): bigint => {
    checkPath(path, 'clockResolution');
    const name = nameOf(path, clockId, 'clockResolution', 'clock_getres');
    return name.endsWith('-coarse') ? TICK_NS : 1n;
  };
  const readCounter = (method: number, where: string): bigint => {
    checkCounter(where);
    if (
      method === CounterMethod.rdtscp &&
      cpuid !== null &&
      ((cpuid[0x8000_0001]?.[3] ?? 0) & (1 << 27)) === 0
    ) {
      throw new LatchclockError('ERR_COUNTER_UNSUPPORTED', 'this CPU does not offer rdtscp', { where });
    }
    return kernel.advance();
  };

  /** Narrow arithmetic on the page as it stands: the simulated counter stays within the fast path's limit. */
  const readPage = (clock: PageClock): SimulatedReading => {
    const page = new DataView(copyMemory(clock.address, PAGE).buffer);
    const seconds = page.getBigInt64(clock.seconds, true);
    const scaledNs = page.getBigUint64(clock.nanoseconds, true);
    const whole = seconds * SECOND + clock.namespaceNs;
    if (clock.coarse) {
      const ns = whole + scaledNs;
      return { ns, words: [0n, 0n, 0n, 0n, seconds, scaledNs, 0n, ns] };
    }
    if (page.getUint32(clock.mode, true) !== 1) {
      throw new LatchclockError(
        'ERR_NO_KERNEL_PAGE',
        "the kernel's page does not count by the time-stamp counter",
        { where: 'bracket' },
      );
    }
    const cycles = kernel.advance();
    const cycleLast = page.getBigUint64(clock.cycleLast, true);
    const maxCycles = clock.maxCycles === null ? 0n : page.getBigUint64(clock.maxCycles, true);
    const mult = BigInt(page.getUint32(clock.mult, true));
    const shift = BigInt(page.getUint32(clock.shift, true));
    const delta = cycles > cycleLast ? cycles - cycleLast : 0n;
    const ns = whole + ((scaledNs + delta * mult) >> shift);
    return { ns, words: [cycles, cycleLast, mult, shift, seconds, scaledNs, maxCycles, ns] };
  };

  const read = (source: ReadingSourceName, clockId: number, page: PageClock | null, where: string) => {
    if (source !== 'page') return { ns: readClock(source, clockId, where), words: [] };
    if (page === null) throw new LatchclockError('ERR_BAD_ARGUMENT', 'no page is given', { where });
    return readPage(page);
  };
  const seqOf = (page: PageClock | null): bigint => {
    if (page === null) return 0n;
    return BigInt(new DataView(copyMemory(page.address, PAGE).buffer).getUint32(page.seq, true));
  };

  /** Keeps the page's states as the simulated kernel writes them; asking how many there are lets time pass. */
  class SimulatedRecorder implements PageRecorder {
    readonly #rows: Uint8Array[] = [];
    readonly #record: () => void;
    readonly #end: bigint;

    constructor(page: PageClock, bytes: number, capacity: number, mostCycles: number) {
      this.#end = kernel.counter + BigInt(mostCycles);
      this.#record = () => {
        if (this.#rows.length === capacity) return;
        const row = new Uint8Array(16 + bytes);
        new BigUint64Array(row.buffer, 0, 2).set([kernel.counter, kernel.counter]);
        row.set(copyMemory(page.address, bytes), 16);
        this.#rows.push(row);
      };
      this.#record();
      kernel.listeners.add(this.#record);
    }

    captured(): number {
      kernel.advance();
      return this.#rows.length;
    }

    isRecording(): boolean {
      return kernel.advance() < this.#end && kernel.listeners.has(this.#record);
    }

    stop(): Uint8Array {
      kernel.listeners.delete(this.#record);
      return Uint8Array.from(Buffer.concat(this.#rows));
    }
  }

  const unsimulated = (): never => {
    throw new Error('own clock pages are tested on the real addon');
  };

  const addon: Addon = {
    ClockPageMemory: unsimulated as unknown as Addon['ClockPageMemory'],
    lockFile: unsimulated,
    clockPageReader: unsimulated,
    clockPageSetReader: unsimulated,
    closePageReader: unsimulated,
    readClockPageSetAt: unsimulated,
    readClockPageAt: unsimulated,
    readVmclockAt: unsimulated,
    readPvclockAt: unsimulated,
    publishClockPage: unsimulated,
    timeReads: unsimulated,
    timeSingleReads: unsimulated,
    timeReadsTogether: unsimulated,
    latchStress(
      protocol,
      _generation,
      _wide,
      hazard,
      _cpus,
      _cycles,
      _window,
      _stall,
      kills,
      _seed,
      latencies,
    ) {
      checkCounter('latchStress');
      const protocolName = nameOfNumber(ReaderProtocol, protocol);
      const hazardName = nameOfNumber(StressHazard, hazard);
      const waits = hazardName === 'writer-stalled' && protocolName === 'seqlock';
      // All of 16 to 17 cycles, but for one.
      if (latencies.length > 0) latencies[16] = 999n;
      if (latencies.length > 0) latencies[112] = 1n;
      return {
        ...soundTally(protocolName, hazardName),
        kills: hazardName === 'writer-killed' ? kills : 0,
        retries: waits ? 100_000 : 3,
        waited: waits ? 2 : 0,
        longestCycles: latencies.length > 0 ? 1_030 : 0,
        ...options.stress?.(protocolName, hazardName),
      };
    },
    setErrorFactory: () => {},
    counterState: () => counterState,
    cpuid(leaf) {
      if (cpuid === null) {
        throw new LatchclockError('ERR_COUNTER_UNSUPPORTED', 'CPUID traps', { where: 'cpuid' });
      }
      return Uint32Array.from(cpuid[leaf] ?? [0, 0, 0, 0]);
    },
    readCounter: (method) => readCounter(method, 'readCounter'),
    readCounters(method, cycles, aux) {
      for (let i = 0; i < cycles.length; i++) {
        cycles[i] = readCounter(method, 'readCounters');
        if (aux !== undefined) aux[i] = runsOn()[0] ?? 0;
      }
    },
    readClock: (path, clockId) => readClock(PATH_NAMES[path] as ClockPathName, clockId, 'readClock'),
    readClocks(path, clockId, ns) {
      for (let i = 0; i < ns.length; i++) {
        ns[i] = readClock(PATH_NAMES[path] as ClockPathName, clockId, 'readClocks');
      }
    },
    clockResolution: (path, clockId) => resolution(PATH_NAMES[path] as ClockPathName, clockId),
    callClock(call, path, clockId, words) {
      words.set(
        callAnswer(CALL_NAMES[call] as ClockCallName, CALL_PATH_NAMES[path] as CallPathName, clockId),
      );
    },
    bracketCall(call, path, clockId, outerPath, outerId, page, count, _rowEvery, rows) {
      const name = CALL_NAMES[call] as ClockCallName;
      const take = (by: CallPathName, inner: boolean): BigInt64Array =>
        callAnswer(inner ? name : 'clock_gettime', by, inner ? clockId : outerId);
      const outerName = CALL_PATH_NAMES[outerPath] as CallPathName;
      const tally = {
        ...{ samples: count, acrossUpdate: 0, outside: 0, outsideAcrossUpdate: 0, worstNs: 0 },
        ...{ malformed: 0, malformedOuter: 0, rows: 0 },
      };
      const unitNs = name === 'time' ? SECOND : name === 'gettimeofday' ? 1_000n : 1n;
      const bad = (words: BigInt64Array, of: bigint): boolean =>
        (words[1] as bigint) < 0n || (words[1] as bigint) >= of;
      for (let i = 0; i < count; i++) {
        const seqBefore = seqOf(page);
        const first = take(outerName, false);
        const inner = take(CALL_PATH_NAMES[path] as CallPathName, true);
        const second = take(outerName, false);
        const ns = (words: BigInt64Array, unit: bigint): bigint =>
          (words[0] as bigint) * SECOND + (words[1] as bigint) * unit;
        const innerNs = ns(inner, name === 'time' ? 0n : unitNs);
        const firstNs = ns(first, 1n) - (ns(first, 1n) % unitNs);
        const secondNs = ns(second, 1n);
        const distance = innerNs < firstNs ? firstNs - innerNs : innerNs > secondNs ? innerNs - secondNs : 0n;
        const across = seqBefore !== seqOf(page);
        tally.acrossUpdate += Number(across);
        tally.outside += Number(distance > 0n && !across);
        tally.outsideAcrossUpdate += Number(distance > 0n && across);
        tally.worstNs = Math.max(tally.worstNs, Number(distance));
        const malformed = bad(inner, name === 'time' ? 1n : SECOND / unitNs);
        const malformedOuter = bad(first, SECOND) || bad(second, SECOND);
        tally.malformed += Number(malformed);
        tally.malformedOuter += Number(malformedOuter);
        const wrong = distance > 0n || malformed || malformedOuter;
        if (wrong && (tally.rows + 1) * CALL_ROW_WORDS <= rows.length) {
          rows.set([BigInt(across), ...first, ...inner, ...second], CALL_ROW_WORDS * tally.rows++);
        }
      }
      return tally;
    },
    askCalls: (_questions, endings) => void endings.fill(0),
    adjtimex() {
      if (options.refusedCalls !== undefined)
        throw systemCallError('adjtimex', 'adjtimex', options.refusedCalls);
      return {
        state: 5,
        status: 0x40,
        frequency: 0n,
        offset: 0n,
        maxErrorUs: 16_000_000n,
        estErrorUs: 16_000_000n,
        tickUs: 10_000n,
        taiOffsetSeconds: 37,
        ...options.adjtimex,
      };
    },
    countKernelEntries(clockIds, calls) {
      checkPath('vdso', 'countKernelEntries');
      return Array.from(clockIds, (id) => {
        const name = NAMES_OF_IDS.get(id | 0);
        const fast =
          PAGE_CLOCKS.some((clock) => clock === name) && mode !== 'none' && mode !== 'none-since-boot';
        return { calls, kernelEntries: fast || name?.endsWith('-coarse') ? 0 : calls, errorNumber: 0 };
      });
    },
    vdsoBase: () => (vdso === null ? null : VDSO_BASE),
    vdsoSymbol(name, version) {
      if (vdso === null) return null;
      const found = parseVdsoElf(vdso).symbols.find(
        (symbol) => symbol.name === name && symbol.version === version,
      );
      return found === undefined ? null : VDSO_BASE + BigInt(found.address);
    },
    copyMemory,
    bracket(outer, inner, clockId, page, count, rowEvery, rows, outsideRows) {
      const take = (source: number): SimulatedReading =>
        read(SOURCE_NAMES[source] as ReadingSourceName, clockId, page, 'bracket');
      checkCounter('bracket');
      const tally: BracketTally = {
        samples: count,
        acrossUpdate: 0,
        outside: 0,
        outsideAcrossUpdate: 0,
        worstNs: 0,
        retries: 0,
        widthSumNs: 0,
        widthMinNs: Number.MAX_SAFE_INTEGER,
        rows: 0,
        outsideRows: 0,
      };
      for (let i = 0; i < count; i++) {
        const seqBefore = seqOf(page);
        const before = kernel.advance();
        const [first, middle, second] = [take(outer), take(inner), take(outer)];
        const after = kernel.advance();
        const seqAfter = seqOf(page);
        const verdict = middle.ns < first.ns ? 1n : middle.ns > second.ns ? 2n : 0n;
        const distance = verdict === 1n ? first.ns - middle.ns : verdict === 2n ? middle.ns - second.ns : 0n;
        const across = seqBefore !== seqAfter;
        const width = Number(second.ns - first.ns);
        tally.acrossUpdate += Number(across);
        tally.outside += Number(verdict !== 0n && !across);
        tally.outsideAcrossUpdate += Number(verdict !== 0n && across);
        tally.worstNs = Math.max(tally.worstNs, Number(distance));
        if (width >= 0) {
          tally.widthSumNs += width;
          tally.widthMinNs = Math.min(tally.widthMinNs, width);
        }
        const readings = [first, middle, second].flatMap(({ words }) => words);
        const row = [
          verdict,
          before,
          first.ns,
          middle.ns,
          second.ns,
          after,
          seqBefore,
          seqAfter,
          ...readings,
        ];
        const words = BigInt64Array.from([...row, ...new Array<bigint>(24 - row.length).fill(0n)]);
        if (verdict !== 0n && (tally.outsideRows + 1) * 24 <= outsideRows.length) {
          outsideRows.set(words, 24 * tally.outsideRows++);
        }
        if (i % rowEvery === 0 && (tally.rows + 1) * 24 <= rows.length) rows.set(words, 24 * tally.rows++);
      }
      return tally;
    },
    probeBadPointer(call, path, clockId, pointer) {
      const callName = CALL_NAMES[call] as ClockCallName;
      const name = CALL_PATH_NAMES[path] as CallPathName;
      callAnswer(callName, name, clockId);
      const edited = options.badPointer?.(callName, name, pointer) ?? null;
      if (edited !== null) return edited;
      if (pointer === 0 && callName !== 'clock_gettime') return { errorNumber: 0, signal: 0 };
      // EFAULT from the kernel, SIGSEGV from user space.
      return name === 'syscall' ? { errorNumber: 14, signal: 0 } : { errorNumber: 0, signal: 11 };
    },
    lockStep(source, clockId, page, cpus, reads, mostCycles) {
      const name = LOCK_STEP_NAMES[source] as LockStepSourceName;
      for (const cpu of cpus) pin([cpu], 'lockStep');
      const stray = strayOf([...cpus], 10);
      const tally: LockStepTally = {
        stray,
        reads: 0,
        handOvers: 0,
        backwards: 0,
        worst: 0,
        backwardsAcrossUpdate: 0,
        worstAcrossUpdate: 0,
        smallestStep: null,
      };
      let last: { value: bigint; seq: bigint } | undefined;
      const end = kernel.counter + BigInt(mostCycles);
      for (let i = 0; i < reads * cpus.length && kernel.counter < end; i++) {
        tally.reads++;
        if (i > 0 && cpus.length > 1 && stray.astray === 0) tally.handOvers++;
        const ahead = options.counterOffset?.(cpus[i % cpus.length] ?? 0) ?? 0n;
        const value =
          name === 'counter' ? readCounter(1, 'lockStep') + ahead : read(name, clockId, page, 'lockStep').ns;
        const seq = seqOf(page);
        const step = last === undefined ? 0 : Number(value - last.value);
        if (step < 0 && last?.seq === seq) {
          tally.backwards++;
          tally.worst = Math.max(tally.worst, -step);
        } else if (step < 0) {
          tally.backwardsAcrossUpdate++;
          tally.worstAcrossUpdate = Math.max(tally.worstAcrossUpdate, -step);
        } else if (step > 0) {
          tally.smallestStep = Math.min(tally.smallestStep ?? step, step);
        }
        last = { value, seq };
      }
      return tally;
    },
    pingPong(cpuHere, cpuThere, rounds) {
      checkCounter('pingPong');
      for (const cpu of [cpuHere, cpuThere]) pin([cpu], 'pingPong');
      kernel.advance();
      const stray = strayOf([cpuHere, cpuThere], rounds);
      const offset = (options.counterOffset?.(cpuThere) ?? 0n) - (options.counterOffset?.(cpuHere) ?? 0n);
      const counted = stray.astray === 0 ? rounds : 0;
      return { lowest: offset - 50n, highest: offset + 50n, rounds: counted, bestRoundTrip: 100n, stray };
    },
    PageRecorder: SimulatedRecorder,
    clockReader: (source, clockId, page, out) => () => {
      out[0] = read(SOURCE_NAMES[source] as ReadingSourceName, clockId, page, 'clockReader').ns;
    },
    counterReader: (method, out) => () => {
      out[0] = readCounter(method, 'counterReader');
    },
    cpuAffinity: runsOn,
    setCpuAffinity(cpus) {
      const wanted = pin(cpus, 'setCpuAffinity');
      if (options.stuckOnCpu === undefined) affinity = wanted;
    },
    isOnCpu: (cpu) => cpu === (options.stuckOnCpu ?? runsOn()[0]),
  };
  return addon;
}

function nameOfNumber<T extends string>(numbers: Readonly<Record<T, number>>, number: number): T {
  return (Object.keys(numbers) as T[]).find((name) => numbers[name] === number) as T;
}

/** What a sound reader does under stress, in small numbers. */
function soundTally(protocol: ReaderProtocolName, hazard: StressHazardName): StressTally {
  const windowless = protocol === 'seqlock' || protocol === 'latch';
  const unwritten = hazard === 'window-expired' || hazard === 'counter-behind';
  const outside = unwritten || hazard === 'writer-stalled';
  const endless = protocol === 'literal-two-window';
  const refusing = outside && !windowless && !endless && protocol !== 'literal-latch-window';
  return {
    reads: 1_000,
    values: refusing ? 10 : 1_000,
    outOfWindow: refusing ? 990 : 0,
    ...{
      ranOut: endless ? 1 : 0,
      refusedOtherwise: 0,
      retries: 0,
      waited: 0,
      updates: 100,
      kills: 0,
      killedInside: 0,
    },
    ...{ torn: 0, missing: 0, outside: unwritten && windowless ? 900 : 0 },
    ...{ backwards: 0, worstBackNs: 0, longestCycles: 0 },
  };
}

function hex(address: bigint): string {
  return address.toString(16).padStart(12, '0');
}

/**
 * A machine made up for a test: an addon and files as they would answer on a host with the given properties. Its
 * clocks follow from its own kernel's timekeeping, not from the code under test, and nothing depends on time.
 */
export function simulatedHost(options: SimulatedHostOptions = {}): SimulatedHost {
  const layout = options.layout ?? (KNOWN_LAYOUTS.at(-1) as KernelPageLayout);
  const kernel = new SimulatedKernel(options);
  const vdso = options.vdso === undefined ? Uint8Array.from(readFileSync(VDSO_IMAGE)) : options.vdso;
  const { vvar, vclock, dataIndex } = kernelPages(kernel, layout, options.mode ?? 'tsc');
  const present = vdso !== null && (options.vvar ?? true);
  const pages = present ? [...vvar, ...vclock] : [];
  const start = VDSO_BASE - BigInt(PAGE * pages.length);

  const memory = new Map<bigint, PageSource>();
  for (const [index, page] of pages.entries()) memory.set(start + BigInt(index * PAGE), page);
  const vdsoPages = vdso === null ? 0 : Math.ceil(vdso.length / PAGE);
  for (let index = 0; index < vdsoPages; index++) {
    const bytes = new Uint8Array(PAGE);
    bytes.set(vdso?.subarray(index * PAGE, (index + 1) * PAGE) ?? []);
    memory.set(VDSO_BASE + BigInt(index * PAGE), () => bytes);
  }

  const regions: [string, string, bigint, number][] = [
    ['r--p', '[vvar]', start, present ? vvar.length : 0],
    ['r--p', '[vvar_vclock]', start + BigInt(PAGE * vvar.length), present ? vclock.length : 0],
    ['r-xp', '[vdso]', VDSO_BASE, vdsoPages],
  ];
  const maps = ['555555554000-555555558000 r--p 00000000 fe:00 1234                       /usr/bin/node'];
  for (const [permissions, name, from, count] of regions) {
    const range = `${hex(from)}-${hex(from + BigInt(PAGE * count))}`;
    if (count > 0) maps.push(`${range} ${permissions} 00000000 00:00 0                          ${name}`);
  }
  return {
    addon: simulatedAddon(kernel, memory, vdso, options),
    files: simulatedFiles({ ...defaultFiles(options, `${maps.join('\n')}\n`), ...options.files }),
    kernel,
    layout,
    vdsoBase: VDSO_BASE,
    pageAddress: start + BigInt(PAGE * dataIndex),
  };
}
