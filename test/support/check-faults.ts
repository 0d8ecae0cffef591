import { readFileSync } from 'node:fs';
import type { StartKept } from '../../lib/checks/kept-page.ts';
import type { Check, CheckContext, Verdict } from '../../lib/checks/model.ts';
import type { Observation } from '../../lib/checks/monitor.ts';
import { namespaceChecksWith } from '../../lib/checks/namespace.ts';
import { NO_STRAY } from '../../lib/checks/pinning.ts';
import { preferenceChecksWith } from '../../lib/checks/preference.ts';
import { CHECKS } from '../../lib/checks/registry.ts';
import { scheduleChecksWith } from '../../lib/checks/schedule.ts';
import { smearChecksWith } from '../../lib/checks/smear.ts';
import { LatchclockError } from '../../lib/errors.ts';
import { openHost } from '../../lib/host/host.ts';
import {
  ClockPath,
  type ClockPathName,
  type StressHazardName,
  type StressTally,
} from '../../lib/native/addon.ts';
import { OWN_CLOCKS, type OwnClockName } from '../../lib/page/clock-page.ts';
import { type KernelPageLayout, KNOWN_LAYOUTS } from '../../lib/page/kernel-layout.ts';
import { CLOCK_IDS, type ClockName } from '../../lib/page/posix-clocks.ts';
import type { KeeperEvent } from '../../lib/timekeeper/events.ts';
import { runCheck, runCheckOn } from './run-check.ts';
import { type SimulatedHost, type SimulatedHostOptions, simulatedHost } from './simulated-host.ts';
import { type SimulatedTimekeeperOptions, type Spoil, simulatedTimekeeper } from './simulated-timekeeper.ts';

/** A fault of a machine, and the verdict of a check that must see it. */
export interface CheckFault {
  /** The fault, as one clause. */
  readonly fault: string;
  readonly status: 'fail' | 'warn';
  /** What the reason must name, where the status alone does not tell the fault from another. */
  readonly names?: string;
  run(id: string): Promise<Verdict>;
}

type Edit = (machine: SimulatedHost) => void;

/** A fault of the simulated machine. */
function host(
  status: CheckFault['status'],
  fault: string,
  options: SimulatedHostOptions | (() => SimulatedHostOptions),
  edit?: Edit,
): CheckFault {
  return {
    fault,
    status,
    run: (id) => runCheckOn(typeof options === 'function' ? options() : options, id, edit),
  };
}

function timekeeperCheck(id: string, start: StartKept): Check {
  const all = [
    ...smearChecksWith(start),
    ...scheduleChecksWith(start),
    ...preferenceChecksWith(start),
    ...namespaceChecksWith(start),
  ];
  return all.find((check) => check.id === id) as Check;
}

/** A fault of a timekeeper or its readers, on a simulated machine whose kernel rewrites its page at each tick. */
function timekeeper(
  status: CheckFault['status'],
  fault: string,
  options: () => SimulatedTimekeeperOptions,
  around: (start: StartKept, machine: SimulatedHost) => StartKept = (start) => start,
): CheckFault {
  return {
    fault,
    status,
    run: (id) => {
      const machine = simulatedHost({ updateEveryCycles: TICK_CYCLES });
      return runCheck(machine, timekeeperCheck(id, around(simulatedTimekeeper(machine, options()), machine)));
    },
  };
}

/** A reader that is wrong from its `from`th reading on. */
function spoilt(spoil: Spoil, from = 50): () => SimulatedTimekeeperOptions {
  return () => {
    let reads = 0;
    return {
      spoil: (...reading) => {
        if (++reads >= from) spoil(...reading);
      },
    };
  };
}

/** A reader that adds to one clock, from its `from`th reading on. */
function added(clock: OwnClockName, ns: bigint, from?: number): () => SimulatedTimekeeperOptions {
  return spoilt((values) => {
    values[clock] += ns;
  }, from);
}

/** A reader under stress whose tally is worse than a sound one's. */
function stressed(fault: string, tally: Partial<StressTally>): CheckFault {
  return host('fail', fault, {
    stress: (protocol: string, _hazard: StressHazardName) => (protocol === 'two-window' ? tally : {}),
  });
}

const HZ = 2_000_000_000n;

/** Observations of a run, each 100 ms, by a counter that is off by `errorNs` at each. */
function observed(
  status: CheckFault['status'],
  fault: string,
  errorNs: (index: number) => bigint,
  edit: (index: number) => Partial<Observation> = () => ({}),
): CheckFault {
  const observations = Array.from({ length: 11 }, (_, index): Observation => {
    const ns = BigInt(index) * 100_000_000n;
    const cycles = ((ns + errorNs(index)) * HZ) / 1_000_000_000n + 10n ** 12n;
    return {
      anchor: { before: cycles - 100n, ns, after: cycles + 100n, stepNs: 1n, stoodStill: false },
      sleptNs: 0n,
      pvclock: null,
      clocksource: 'tsc',
      ...edit(index),
    };
  });
  return {
    fault,
    status,
    run: async (id) => {
      const { addon, files } = simulatedHost();
      const monitor = { observations, observe: () => undefined };
      const context = { host: openHost(addon, files), monitor } as unknown as CheckContext;
      return (CHECKS.find((check) => check.id === id) as Check).run(context);
    },
  };
}

const TICK_CYCLES = 10_384_575n;
const TICKING = { cyclesPerReading: () => 10_000n, updateEveryCycles: TICK_CYCLES };
/** A kernel that rewrites its page at each fourth reading. */
const UPDATING = { cyclesPerReading: () => TICK_CYCLES / 4n, updateEveryCycles: TICK_CYCLES };
const BARE_METAL = { 1: [0, 0, 0, 0] } as const;
const NOT_INVARIANT = { 0x8000_0007: [0, 0, 0, 0] } as const;
const CLOCKSOURCE = '/sys/devices/system/clocksource/clocksource0/current_clocksource';
const VDSO = new URL('../fixtures/vdso-6.18.bin', import.meta.url);

/** An error of one clock by one path. */
function off(path: ClockPathName, clock: ClockName, ns: bigint): Pick<SimulatedHostOptions, 'clockErrorNs'> {
  return { clockErrorNs: (by, of) => (by === path && of === clock ? ns : 0n) };
}

/** An error that comes and goes: the clock goes back each time it goes. */
function wobbling(clock: ClockName, ns: bigint): SimulatedHostOptions {
  let readings = 0;
  return {
    clockErrorNs: (path, of) => (path === 'vdso' && of === clock && ++readings % 7 === 0 ? ns : 0n),
  };
}

/** monotonic-raw, ahead between its `from`th and its `to`th reading. */
function rawAhead(from: number, to: number, ns: bigint): SimulatedHostOptions {
  let readings = 0;
  return {
    cyclesPerReading: () => 1_000_000n,
    clockErrorNs: (_path, clock) => {
      if (clock !== 'monotonic-raw') return 0n;
      readings++;
      return readings > from && readings <= to ? ns : 0n;
    },
  };
}

/** Brackets whose tally the machine changes. */
function bracketing(change: (tally: ReturnType<SimulatedHost['addon']['bracket']>) => object): Edit {
  return ({ addon }) => {
    const { bracket } = addon;
    addon.bracket = (...request) => {
      const tally = bracket(...request);
      return { ...tally, ...change(tally) };
    };
  };
}

/** A native judgement that is not the exact one: a row of a reading that was inside is called outside. */
const MISJUDGING: Edit = ({ addon }) => {
  const { bracket } = addon;
  addon.bracket = (outer, inner, clockId, page, count, rowEvery, rows, outsideRows) => {
    const tally = bracket(outer, inner, clockId, page, count, rowEvery, rows, outsideRows);
    if (rows.length > 0) rows[0] = 1n;
    return tally;
  };
};

const LOOSE_PING_PONG: Edit = ({ addon }) => {
  addon.pingPong = (_here, _there, rounds) => ({
    lowest: -(10n ** 7n),
    highest: 10n ** 7n,
    rounds,
    bestRoundTrip: 1n,
    stray: NO_STRAY,
  });
};

/** Bounds that the second half of the rounds contradicts. */
const MOVING_PING_PONG: Edit = ({ addon }) => {
  addon.pingPong = (_here, _there, rounds) => ({
    lowest: 900n,
    highest: 700n,
    rounds,
    bestRoundTrip: 100n,
    stray: NO_STRAY,
  });
};

function image(edit: (bytes: Buffer) => void): SimulatedHostOptions {
  const bytes = Buffer.from(readFileSync(VDSO));
  edit(bytes);
  return { vdso: bytes };
}

const PT_LOAD = 1;
const PT_GNU_EH_FRAME = 0x6474_e550;
const READABLE = 4;

/** An image whose executable part ends after its first page: what follows is mapped, and not executable. */
function shortText(bytes: Buffer): void {
  const [headers, count] = [Number(bytes.readBigUInt64LE(0x20)), bytes.readUInt16LE(0x38)];
  for (let at = headers; at < headers + 56 * count; at += 56) {
    const type = bytes.readUInt32LE(at);
    const isText = type === PT_LOAD;
    if (!isText && type !== PT_GNU_EH_FRAME) continue;
    bytes.writeUInt32LE(PT_LOAD, at);
    if (!isText) bytes.writeUInt32LE(READABLE, at + 4);
    // Offset, virtual and physical address, sizes in the file and in memory.
    const size = BigInt(isText ? 0x1000 : bytes.length);
    if (!isText) for (const field of [8, 16, 24]) bytes.writeBigUInt64LE(0n, at + field);
    for (const field of [32, 40]) bytes.writeBigUInt64LE(size, at + field);
  }
}

/** A kernel that rewrites its page as it should, until a recording: then `change` has each state, with its number. */
function recorded(
  status: CheckFault['status'],
  fault: string,
  change: (page: DataView, layout: KernelPageLayout, state: number) => void,
): CheckFault {
  return {
    fault,
    status,
    run: (id) => {
      const layout = KNOWN_LAYOUTS.at(-1) as KernelPageLayout;
      let isRecording = false;
      let [last, state] = [-1, 0];
      const editPage = (page: DataView): void => {
        if (!isRecording) return;
        const seq = page.getUint32(layout.main.seq, true);
        if (seq !== last) state++;
        last = seq;
        change(page, layout, state);
      };
      return runCheckOn({ ...UPDATING, layout, editPage }, id, ({ addon, kernel }) => {
        const { PageRecorder } = addon;
        addon.PageRecorder = class extends PageRecorder {
          override stop(): Uint8Array {
            isRecording = true;
            // Simulated time stands still by itself.
            for (let reading = 0; reading < 100; reading++) kernel.advance();
            return super.stop();
          }
        };
      });
    },
  };
}

const FAULT = new LatchclockError('ERR_MEMORY_FAULT', 'the memory cannot be read', { where: 'copyMemory' });

/** Makes a page `offset` bytes after the clock page readable: another kernel than those that are known. */
function openNamespacePage(offset: bigint): Edit {
  return ({ addon, pageAddress }) => {
    const { copyMemory } = addon;
    addon.copyMemory = (address, length) =>
      address === pageAddress + offset ? new Uint8Array(length) : copyMemory(address, length);
  };
}

/** The scheduled tick, moved on its way to the timekeeper. */
function moved(cycles: bigint): (start: StartKept) => StartKept {
  return (start) => async (context, options) => {
    const kept = await start(context, options);
    return {
      ...kept,
      schedule: (change) =>
        kept.schedule(
          'cycles' in change.at ? { ...change, at: { cycles: change.at.cycles + cycles } } : change,
        ),
    };
  };
}

/** A kernel whose rate is set by 100 ppm some updates after the start. */
function rateSet(start: StartKept, { kernel }: SimulatedHost): StartKept {
  return async (context, options) => {
    const kept = await start(context, options);
    let updates = 0;
    kernel.listeners.add(() => {
      if (++updates === 5) kernel.mult += 646n;
    });
    return kept;
  };
}

/** A timekeeper that came late, and a change that took effect 1,000 cycles after its tick. */
function late(start: StartKept): StartKept {
  return async (context, options) => {
    const kept = await moved(1_000n)(start)(context, options);
    (kept.events as KeeperEvent[]).push({ kind: 'late', gapNs: 1_000n, cycles: kept.counter() });
    return kept;
  };
}

/** A timekeeper whose readers see monotonic-raw bend where monotonic does, at the scheduled tick. */
function rawBends(): CheckFault {
  let tick: bigint | null = null;
  const fault = timekeeper(
    'fail',
    'monotonic-raw bends, too',
    () => ({
      spoil: (ns, _page, cycles) => {
        if (tick !== null && cycles > tick) ns['monotonic-raw'] += (cycles - tick) / 50n;
      },
    }),
    (start) => async (context, options) => {
      const kept = await start(context, options);
      return {
        ...kept,
        schedule: (change) => {
          if ('cycles' in change.at) tick = change.at.cycles;
          return kept.schedule(change);
        },
      };
    },
  );
  return { ...fault, names: "monotonic-raw's rate changed too" };
}

/** The kernel's realtime, as it is read beside a page, moved once the leap second has been. */
function realtimeMoved(ns: bigint): (start: StartKept, machine: SimulatedHost) => StartKept {
  return (start, { addon, kernel }) =>
    async (context, options) => {
      const kept = await start(context, options);
      const leap = options.smear?.leap as { taiNs: bigint } | undefined;
      const { readClock } = addon;
      addon.readClock = (path, id) => {
        const moved =
          id === CLOCK_IDS.realtime && leap !== undefined && kernel.clockNs('tai') > leap.taiNs ? ns : 0n;
        return readClock(path, id) + moved;
      };
      return kept;
    };
}

/** Faults by the check that must see them; the first is the example of the check's explanation. */
export const CHECK_FAULTS: Readonly<Record<string, readonly CheckFault[]>> = {
  'counter.invariant': [
    host('warn', 'the hypervisor hides the invariant bit', { cpuid: NOT_INVARIANT }),
    host('fail', 'CPUID of bare metal lacks it', { cpuid: { ...BARE_METAL, ...NOT_INVARIANT } }),
  ],
  'counter.frequency': [
    host('fail', 'monotonic-raw gains 10 ms on the counter during the run', () =>
      rawAhead(200, 600, 10_000_000n),
    ),
    host('warn', 'CPUID declares a frequency that is 1 % off', {
      cpuid: { 0x15: [1, 100, 25_700_000, 0] },
      cyclesPerReading: () => 1_000_000n,
    }),
    host('warn', 'the kernel corrects its clock by 600 ppm', {
      cyclesPerReading: () => 1_000_000n,
      multRaw: 6_462_360n - 3_877n,
    }),
  ],
  'counter.granularity': [
    host('fail', 'the counter does not move', {}, ({ addon }) => {
      addon.readCounters = (_method, cycles) => void cycles.fill(7n);
    }),
    host('warn', 'the counter moves in steps of 1.2 ms', { cyclesPerReading: () => 3_000_000n }),
  ],
  'counter.order': [
    host('fail', 'the counter goes back by 700 cycles at each thousandth reading', () => {
      let readings = 0;
      return { cyclesPerReading: () => (++readings % 1000 === 0 ? -700n : 100n) };
    }),
  ],
  'counter.warp': [
    host('fail', 'the counter of CPU 1 is 5,000 cycles behind', {
      counterOffset: (cpu) => (cpu === 1 ? -5_000n : 0n),
    }),
  ],
  'counter.offset': [
    host('fail', 'the counter of CPU 1 is 5,000 cycles ahead', {
      counterOffset: (cpu) => (cpu === 1 ? 5_000n : 0n),
    }),
    host('fail', 'the difference of two counters is not constant', {}, MOVING_PING_PONG),
    host('warn', 'ping-pong takes 8 ms', {}, LOOSE_PING_PONG),
  ],
  'counter.stability': [
    observed('fail', 'the counter jumps by a millisecond', (index) => (index >= 6 ? 1_000_000n : 0n)),
    observed('warn', 'the rate of the counter drifts', (index) => BigInt(index * index * 5)),
    observed(
      'warn',
      'the kernel takes another clocksource',
      () => 0n,
      (index) => ({ clocksource: index < 5 ? 'tsc' : 'hpet' }),
    ),
    observed(
      'warn',
      'the machine sleeps for a minute',
      () => 0n,
      (index) => ({ sleptNs: index < 5 ? 0n : 60_000_000_000n }),
    ),
  ],
  'clock.paths': [
    host('fail', 'libc answers realtime an hour ahead', off('libc', 'realtime', 3_600_000_000_000n)),
    host('fail', 'libc alone refuses every clock', {}, ({ addon }) => {
      const { readClock } = addon;
      addon.readClock = (path, id) => {
        if (path === ClockPath.libc) throw new LatchclockError('ERR_SYSTEM_CALL', 'no', { errno: 'EPERM' });
        return readClock(path, id);
      };
    }),
    host('fail', 'the native judgement is not the exact one', {}, MISJUDGING),
    host(
      'warn',
      'readings are outside while the kernel rewrites its page',
      {},
      bracketing(() => ({ outsideAcrossUpdate: 1, worstNs: 5_000 })),
    ),
    host('warn', 'a sandbox refuses the system call', { refusedCalls: 'EPERM' }),
  ],
  'clock.calls': [
    host('fail', 'gettimeofday by libc is an hour ahead', {
      editCall: (name, by, words) => {
        if (name === 'gettimeofday' && by === 'libc') words[0] = (words[0] as bigint) + 3_600n;
      },
    }),
    host('fail', 'clock_getres by libc tells 4 ns', {
      editCall: (name, by, words) => name === 'clock_getres' && by === 'libc' && words.set([0n, 4n]),
    }),
    host('fail', 'getcpu by vDSO names another CPU', {
      editCall: (name, by, words) => name === 'getcpu' && by === 'vdso' && words[0] === 1n && words.set([0n]),
    }),
    host('warn', 'getcpu names CPU 0 wherever the thread is', {
      editCall: (name, _by, words) => name === 'getcpu' && words.set([0n]),
    }),
  ],
  'clock.fields': [
    host('fail', 'libc takes a second off and puts it into the nanoseconds', {
      editCall: (name, by, words) => {
        if (name !== 'clock_gettime' || by !== 'libc') return;
        words.set([(words[0] as bigint) - 1n, (words[1] as bigint) + 1_000_000_000n]);
      },
    }),
  ],
  'clock.monotonic': [
    host('fail', 'boottime goes back by 5 us now and then', () => wobbling('boottime', 5_000n)),
    host('fail', 'a clock goes back in one thread alone', {}, ({ addon }) => {
      const { lockStep } = addon;
      addon.lockStep = (source, id, page, cpus, ...rest) => {
        const tally = lockStep(source, id, page, cpus, ...rest);
        return cpus.length === 1 && id === CLOCK_IDS.monotonic
          ? { ...tally, backwards: 1, worst: 40 }
          : tally;
      };
    }),
    host('warn', 'a clock goes back as the kernel rewrites its page', {}, ({ addon }) => {
      const { lockStep } = addon;
      addon.lockStep = (...request) => ({
        ...lockStep(...request),
        backwardsAcrossUpdate: 2,
        worstAcrossUpdate: 5_000,
      });
    }),
  ],
  'clock.resolution': [
    host('fail', 'the vDSO tells 4 ms for monotonic', TICKING, ({ addon }) => {
      const { clockResolution } = addon;
      addon.clockResolution = (path, id) =>
        path === ClockPath.vdso && id === CLOCK_IDS.monotonic ? 4_000_000n : clockResolution(path, id);
    }),
    host('warn', 'a coarse clock stands still', { cyclesPerReading: () => 10_000n }),
    host('warn', 'a coarse clock moves by half of what it tells', {
      ...TICKING,
      updateEveryCycles: TICK_CYCLES / 2n,
    }),
    host('warn', 'there are no high-resolution timers', TICKING, ({ addon }) => {
      addon.clockResolution = () => 4_000_000n;
    }),
  ],
  'clock.coarse': [
    host('fail', 'monotonic-coarse is 20 ms ahead', {
      ...TICKING,
      clockErrorNs: (_path, clock) => (clock === 'monotonic-coarse' ? 20_000_000n : 0n),
    }),
    host('warn', 'ticks come late', { ...TICKING, updateEveryCycles: 40_000_000n }),
    host('warn', 'realtime-coarse is ahead, as after a step', {
      ...TICKING,
      clockErrorNs: (_path, clock) => (clock === 'realtime-coarse' ? 20_000_000n : 0n),
    }),
  ],
  'clock.relations': [
    host('fail', "the kernel's TAI offset is not the one that CLOCK_TAI has", {
      adjtimex: { taiOffsetSeconds: 36 },
    }),
    host('fail', 'boottime is behind monotonic', {
      clockErrorNs: (_path, clock) => (clock === 'boottime' ? -10_000_000_000_000n : 0n),
    }),
    host('fail', 'the page runs 1 % faster than the discipline asks', { adjtimex: { tickUs: 9_900n } }),
    host('warn', 'the TAI offset is 35 s, in the clock too', {
      adjtimex: { taiOffsetSeconds: 35 },
      clockErrorNs: (_path, clock) => (clock === 'tai' ? -2_000_000_000n : 0n),
    }),
    host('warn', 'a leap second is pending that no table has', { adjtimex: { state: 1, status: 0x2011 } }),
  ],
  'clock.errors': [
    host('fail', 'libc answers a bad clock id with EPERM', {}, ({ addon }) => {
      const { readClock } = addon;
      addon.readClock = (path, id) => {
        if (path !== ClockPath.libc || id !== 10) return readClock(path, id);
        throw new LatchclockError('ERR_SYSTEM_CALL', 'no', { errno: 'EPERM' });
      };
    }),
    host('fail', 'the system call takes a bad pointer', {}, ({ addon }) => {
      addon.probeBadPointer = () => ({ errorNumber: 0, signal: 0 });
    }),
  ],
  'vdso.image': [host('fail', 'functions lie behind the executable part', () => image(shortText))],
  'vdso.symbols': [
    host('fail', 'the linker resolves a function to another place', {}, ({ addon }) => {
      const { vdsoSymbol } = addon;
      addon.vdsoSymbol = (name, version) => {
        const found = vdsoSymbol(name, version);
        return name === '__vdso_clock_gettime' && found !== null ? found + 16n : found;
      };
    }),
    host('warn', 'a function is missing', () =>
      image((bytes) => void bytes.write('__vdso_gotcpu', bytes.indexOf('__vdso_getcpu'))),
    ),
  ],
  'vdso.fast': [
    host('fail', 'the kernel counts by the HPET', { mode: 'none', files: { [CLOCKSOURCE]: 'hpet' } }),
    host('fail', 'the process has no vDSO', { vdso: null }),
    host('fail', 'a read costs what a system call costs, and no filter can be set', {}, ({ addon }) => {
      addon.countKernelEntries = () => {
        throw new LatchclockError('ERR_SYSTEM_CALL', 'prctl failed with EPERM', { errno: 'EPERM' });
      };
    }),
  ],
  'page.layout': [
    host('fail', 'the kernel log gives another max_cycles', {
      files: {
        '/dev/kmsg': '6,1,1,-;clocksource: tsc: mask: 0xffffffffffffffff max_cycles: 0x1, max_idle_ns: 2 ns',
      },
    }),
    host('warn', 'there is BTF of no use', { btf: new Uint8Array(64) }),
  ],
  'page.exact': [
    host('fail', 'the vDSO is a microsecond ahead of the page in tai', off('vdso', 'tai', 1_000n)),
    host('fail', 'the native judgement is not the exact one', {}, MISJUDGING),
    host(
      'warn',
      'readings are outside while the kernel rewrites its page',
      {},
      bracketing(() => ({ outsideAcrossUpdate: 1, worstNs: 5_000 })),
    ),
  ],
  'page.namespace': [
    host('fail', '/proc tells another offset of boottime than the page', {
      inTimeNamespace: { monotonicNs: 1_000_000_000_000n, boottimeNs: -5_000_000_001n },
      files: { '/proc/self/timens_offsets': 'monotonic 1000 0\nboottime 0 0' },
    }),
    host('fail', '/proc tells another offset of monotonic than the page', {
      inTimeNamespace: { monotonicNs: 1_000_000_000_000n, boottimeNs: 0n },
      files: { '/proc/self/timens_offsets': 'monotonic 1001 0\nboottime 0 0' },
    }),
  ],
  'page.faults': [
    host('warn', "the time namespace's page is readable outside a namespace", {}, openNamespacePage(4096n)),
    host(
      'warn',
      'the page that is real within a time namespace cannot be read there',
      { inTimeNamespace: { monotonicNs: 1n, boottimeNs: 1n } },
      ({ addon, pageAddress }) => {
        const { copyMemory } = addon;
        // The page is looked for and proved before the check reads all pages in turn, which is when the fault comes.
        const LOOKS_BEFORE = 3;
        let turns = 0;
        let before = 0n;
        addon.copyMemory = (address, length) => {
          const isInTurn = before === pageAddress - 4096n;
          before = address;
          if (address === pageAddress && isInTurn && length === 4096 && ++turns > LOOKS_BEFORE) throw FAULT;
          return copyMemory(address, length);
        };
      },
    ),
  ],
  'page.updates': [
    recorded('fail', 'monotonic-raw gains a nanosecond an update', (page, { raw }, state) => {
      const at = raw.basetime + 16 * CLOCK_IDS['monotonic-raw'] + 8;
      page.setBigUint64(at, page.getBigUint64(at, true) + (BigInt(state) << 24n), true);
    }),
    // Of eight updates the recorder sees five, of which one follows another that it saw.
    recorded('warn', 'more updates are missed than seen', (page, { main, raw }, state) => {
      const missed = state - Math.floor(state / 4);
      for (const { seq } of [main, raw]) page.setUint32(seq, page.getUint32(seq, true) + 2 * missed, true);
    }),
  ],
  'latch.stress': [
    stressed('a two-window reader returns torn values', { torn: 1 }),
    stressed('a two-window reader returns values that nobody published', { missing: 1 }),
    stressed('a two-window reader returns values out of order', { backwards: 1 }),
    stressed('a two-window reader returns values from outside its window', { outside: 1 }),
  ],
  'latch.window': [stressed('a two-window reader gives a value after its window', { outside: 1 })],
  'latch.stall': [
    stressed('a two-window reader waits for its writer', { waited: 1 }),
    stressed('a two-window reader returns torn values', { torn: 1 }),
  ],
  'latch.kernel': [host('fail', 'the vDSO is 5 us ahead of the page', off('vdso', 'monotonic', 5_000n))],
  'smear.phases': [
    timekeeper('fail', 'smeared-realtime is 3 ns off', added('smeared-realtime', 3n)),
    timekeeper('fail', 'sane-realtime is smeared', added('sane-realtime', 1n)),
    timekeeper('fail', 'realtime is a mixture', added('realtime', -1n)),
    timekeeper('fail', 'monotonic-raw goes back', added('monotonic-raw', -1_000_000n)),
  ],
  'smear.window': [
    timekeeper('fail', 'smeared-realtime lags the policy by 10 ns', added('smeared-realtime', -10n)),
  ],
  'smear.kernel': [
    timekeeper('fail', 'boottime is 100 ns ahead', added('boottime', 100n, 1)),
    timekeeper('fail', 'monotonic-raw is 100 ns behind', added('monotonic-raw', -100n, 1)),
    timekeeper('warn', "the kernel's rate is set while it is compared", () => ({}), rateSet),
    timekeeper('fail', 'tai is 100 ns ahead', added('tai', 100n, 1)),
  ],
  'schedule.frequency': [
    timekeeper('fail', 'the change comes 1,000 cycles after its tick', () => ({}), moved(1_000n)),
    timekeeper('fail', 'there is a bend of which nobody told', () => {
      let reads = 0n;
      return {
        spoil: (ns) => {
          reads++;
          ns.monotonic += (reads * reads) / 1_000n;
        },
      };
    }),
    {
      ...timekeeper('fail', 'monotonic goes back by 1 ms at one reading', () => {
        let reads = 0;
        return {
          spoil: (ns) => {
            if (++reads % 500 === 0) ns.monotonic -= 1_000_000n;
          },
        };
      }),
      names: 'monotonic went back',
    },
    rawBends(),
    timekeeper('warn', 'the timekeeper came late, and so did the change', () => ({}), late),
  ],
  'schedule.leap': [
    timekeeper('fail', 'sane-realtime is a nanosecond off', added('sane-realtime', 1n)),
    ...([1_000_000n, -1_000_000n] as const).map((ns) => ({
      ...timekeeper(
        'fail',
        `the kernel's realtime moves by ${ns} ns across the leap second`,
        () => ({}),
        realtimeMoved(ns),
      ),
      names: "beside the kernel's realtime",
    })),
  ],
  'preference.switch': [
    timekeeper(
      'fail',
      'realtime is read half-way between the two',
      spoilt((ns) => {
        ns.realtime = (ns['sane-realtime'] + ns['smeared-realtime']) / 2n;
      }),
    ),
    timekeeper(
      'fail',
      'monotonic goes back',
      spoilt((ns, _page, cycles) => {
        if (cycles % 7n === 0n) ns.monotonic -= 1_000_000n;
      }),
    ),
  ],
  'namespace.offsets': [
    timekeeper('fail', 'monotonic of the outer namespace is 100 ns off', () => ({
      spoil: (ns, page) => {
        if (page === 1) ns.monotonic += 100n;
      },
    })),
    {
      ...timekeeper('fail', 'tai of the nested namespace is its own', () => ({
        spoil: (ns, page) => {
          if (page !== 2) return;
          // The others keep their distance from it; monotonic-raw is compared by itself.
          for (const clock of OWN_CLOCKS) if (clock !== 'monotonic-raw') ns[clock] += 1_000_000_000n;
        },
      })),
      names: 'tai is not what it is outside',
    },
    timekeeper('fail', 'realtime of the nested namespace is its own', () => ({
      spoil: (ns, page) => {
        if (page === 2) ns.realtime += 1_000_000n;
      },
    })),
  ],
};
