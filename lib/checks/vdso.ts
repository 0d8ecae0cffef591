import { median } from 'simple-statistics';
import { isLatchclockError } from '../errors.js';
import type { VdsoElf } from '../host/elf.js';
import { type Host, orNull } from '../host/host.js';
import { findKernelMappings, PAGE_SIZE } from '../host/kernel-mappings.js';
import { readKernelPage } from '../host/kernel-page.js';
import { systemCallRefusal } from '../host/reference-path.js';
import { noVdsoSentence, presenceCause, presenceRemedy, readPresenceFacts } from '../host/vdso-presence.js';
import { ClockPath, CounterMethod, type KernelEntries } from '../native/addon.js';
import { ClockMode, modeName } from '../page/kernel-page.js';
import { CLOCK_IDS, isCoarse, PAGE_CLOCKS } from '../page/posix-clocks.js';
import { formatCount, plural } from './format.js';
import type { Check, CheckContext, Evidence } from './model.js';

function imageFaults(host: Host, base: bigint, size: number, elf: VdsoElf): string[] {
  const faults: string[] = [];
  const mapped = findKernelMappings(host.addon, host.files).vdso;
  if (mapped !== null && mapped.start !== base)
    faults.push('the auxiliary vector and the map of the process differ');
  if (base % BigInt(PAGE_SIZE) !== 0n) faults.push('the image is not aligned to a page');
  if (elf.loadSize > size) faults.push(`the image spans ${elf.loadSize} bytes, mapped are ${size}`);
  const { textRange } = elf;
  if (textRange === null) {
    faults.push('no part of the image is executable');
  } else {
    const outside = elf.symbols.filter(
      ({ type, defined, address, size: length }) =>
        type === 'function' && defined && (address < textRange.start || address + length > textRange.end),
    );
    for (const { name } of outside) faults.push(`${name} lies outside the executable part`);
  }
  return faults;
}

const image: Check = {
  id: 'vdso.image',
  claim: 'The vDSO is a whole, well-formed ELF image where the kernel says it is',
  run({ host }) {
    const { base, size, elf } = host.vdso();
    const faults = imageFaults(host, base, size, elf);
    const evidence: Evidence = {
      base: `0x${base.toString(16)}`,
      bytes: size,
      soname: elf.soname,
      buildId: elf.buildId,
      symbols: elf.symbols.length,
      faults,
    };
    const bound = 'every byte of the mapped image was read';
    if (faults.length === 0) {
      const identity = elf.buildId === null ? '' : `, build ${elf.buildId.slice(0, 12)}`;
      return { status: 'pass', reason: `${formatCount(size)} bytes${identity}`, bound, evidence };
    }
    return {
      status: 'fail',
      reason: faults[0] as string,
      bound,
      evidence,
      advice:
        'Something replaced or cut the vDSO (a sandbox, a checkpoint tool): programs may crash on clock reads.',
    };
  },
};

const REQUIRED = ['clock_gettime', 'gettimeofday', 'time', 'clock_getres', 'getcpu'];
const VERSION = 'LINUX_2.6';

const symbols: Check = {
  id: 'vdso.symbols',
  claim: 'The vDSO exports the clock functions, and the dynamic linker finds them where its ELF tables say',
  run({ host }) {
    const { base, elf } = host.vdso();
    const missing: string[] = [];
    const moved: string[] = [];
    const functions = REQUIRED.map((name) => {
      const symbol = `__vdso_${name}`;
      const inTable = elf.symbols.find((entry) => entry.name === symbol && entry.defined);
      const linked = host.addon.vdsoSymbol(symbol, VERSION);
      if (inTable === undefined || inTable.version !== VERSION) missing.push(symbol);
      else if (linked !== base + BigInt(inTable.address)) moved.push(symbol);
      return {
        symbol,
        version: inTable?.version ?? null,
        address: inTable === undefined ? null : `0x${inTable.address.toString(16)}`,
        linkedAt: linked === null ? null : `0x${(linked - base).toString(16)}`,
      };
    });
    const evidence: Evidence = { functions, missing, moved };
    const bound = `addresses compared exactly, version ${VERSION}`;
    if (missing.length === 0 && moved.length === 0) {
      return {
        status: 'pass',
        reason: `${plural(functions.length, 'function')}, ${VERSION}`,
        bound,
        evidence,
      };
    }
    const what =
      moved.length > 0 ? `the linker finds ${moved.join(', ')} elsewhere` : `without ${missing.join(', ')}`;
    return {
      status: moved.length > 0 ? 'fail' : 'warn',
      reason: what,
      bound,
      evidence,
      advice:
        moved.length > 0
          ? 'Calls do not reach the function that the kernel exports: look for preloaded libraries or instrumentation.'
          : 'What is missing goes through a system call instead: slower, not wrong.',
    };
  },
};

const ROUNDS = 9;
const CALLS_A_ROUND = 2_000;

interface Costs {
  /** Median cost of a call, cycles. */
  vdso: number;
  /** Null where the system call is refused. */
  syscall: number | null;
  counter: number;
  /** System call over vDSO, rounded to a tenth. */
  ratio: number | null;
}

/** What a read of monotonic costs by each path: medians of interleaved rounds, in one run. */
function measureCosts({ host }: CheckContext): Costs {
  const { addon } = host;
  const out = new BigInt64Array(CALLS_A_ROUND);
  const costOf = (work: () => void): number => {
    const before = addon.readCounter(CounterMethod['lfence-rdtsc']);
    work();
    return Number(addon.readCounter(CounterMethod['lfence-rdtsc']) - before) / CALLS_A_ROUND;
  };
  const hasSystemCall = systemCallRefusal(addon) === null;
  const rounds = Array.from({ length: ROUNDS }, () => ({
    vdso: costOf(() => addon.readClocks(ClockPath.vdso, CLOCK_IDS.monotonic, out)),
    syscall: hasSystemCall
      ? costOf(() => addon.readClocks(ClockPath.syscall, CLOCK_IDS.monotonic, out))
      : Number.NaN,
    counter: costOf(() => addon.readCounters(CounterMethod['lfence-rdtsc'], out)),
  }));
  const middle = (path: 'vdso' | 'syscall' | 'counter'): number => median(rounds.map((round) => round[path]));
  const costs = { vdso: middle('vdso'), counter: middle('counter') };
  if (!hasSystemCall) return { ...costs, syscall: null, ratio: null };
  const syscall = middle('syscall');
  return { ...costs, syscall, ratio: Math.round((10 * syscall) / costs.vdso) / 10 };
}

const CLOCKSOURCE_ADVICE =
  'Every read of a clock is a system call on this host. Find out why the kernel gave up the TSC ' +
  "(journalctl -k | grep -iE 'tsc|clocksource'); if the counter is sound, boot with clocksource=tsc tsc=reliable.";

/** Why the kernel's page sends the vDSO into the kernel, if it does. */
function slowReason({ host }: CheckContext): string {
  const page = orNull(() => host.page());
  const clocksource = host.clocksource().current ?? 'not told';
  if (page === null) return `clocksource ${clocksource}`;
  const { mode } = readKernelPage(host.addon, page).main;
  return mode === ClockMode.none
    ? `clocksource ${clocksource} cannot be read in user space`
    : `mode ${modeName(mode)}, clocksource ${clocksource}`;
}

const fast: Check = {
  id: 'vdso.fast',
  claim: 'Reading a clock through the vDSO does not enter the kernel',
  run(context) {
    const { host, budget } = context;
    if (host.addon.vdsoBase() === null) {
      const cause = presenceCause(readPresenceFacts(host.addon, host.files));
      const remedy = presenceRemedy(cause);
      return {
        status: 'fail',
        reason: `${noVdsoSentence(cause)}; every read of a clock is a system call`,
        bound: 'the auxiliary vector, the map of the process, the boot parameters and CPUID say so',
        evidence: { vdso: false, cause: cause.kind, bootParameters: host.clocksource().bootParameters },
        advice: `${remedy.charAt(0).toUpperCase()}${remedy.slice(1)}.`,
      };
    }
    const costs = measureCosts(context);
    const ids = Uint32Array.from(PAGE_CLOCKS, (clock) => CLOCK_IDS[clock]);
    let counts: KernelEntries[] | null = null;
    let probeRefused: string | null = null;
    try {
      counts = host.addon.countKernelEntries(ids, budget.fastPathCalls);
    } catch (error) {
      if (!isLatchclockError(error, 'ERR_SYSTEM_CALL')) throw error;
      probeRefused = error.message;
    }
    const ratioSeen =
      costs.ratio === null ? 'a system call is refused' : `a system call costs ${costs.ratio} times as much`;
    const evidence: Evidence = {
      entries:
        counts === null
          ? null
          : Object.fromEntries(
              PAGE_CLOCKS.map((clock, index) => [clock, counts[index]?.kernelEntries ?? null]),
            ),
      callsPerClock: budget.fastPathCalls,
      probeRefused,
      vdsoCycles: costs.vdso,
      syscallCycles: costs.syscall,
      fencedCounterCycles: costs.counter,
      syscallOverVdso: costs.ratio,
    };
    if (counts === null) {
      if (costs.syscall === null) {
        return {
          status: 'skip',
          reason: 'the system call is refused, and so is a filter to count kernel entries',
          bound: 'nothing was counted, and there is nothing to compare with',
          evidence,
          advice:
            'It runs where the sandbox (seccomp) of this process passes clock_gettime, or another filter.',
        };
      }
      const bound = 'judged by cost alone: a filter to count kernel entries was refused';
      // A vDSO that makes the system call costs what the call costs: half of it is far from both.
      if (costs.vdso < costs.syscall / 2) return { status: 'pass', reason: ratioSeen, bound, evidence };
      return {
        status: 'fail',
        reason: `costs as much as a system call; ${slowReason(context)}`,
        bound,
        evidence,
        advice: CLOCKSOURCE_ADVICE,
      };
    }
    const bound = `${formatCount(budget.fastPathCalls)} calls of each clock, kernel entries counted exactly`;
    const slow = PAGE_CLOCKS.filter((_, index) => (counts[index]?.kernelEntries ?? 0) > 0);
    if (slow.length === 0) {
      return {
        status: 'pass',
        reason: `${plural(PAGE_CLOCKS.length, 'clock')} never enter the kernel; ${ratioSeen}`,
        bound,
        evidence,
      };
    }
    const times =
      costs.syscall === null
        ? ''
        : `; a read costs ${(costs.syscall / costs.counter).toFixed(0)} times a counter read`;
    return {
      status: 'fail',
      reason: `${slow.filter((clock) => !isCoarse(clock)).length === 0 ? slow.join(', ') : plural(slow.length, 'clock')} enter the kernel: ${slowReason(context)}${times}`,
      bound,
      evidence,
      advice: CLOCKSOURCE_ADVICE,
    };
  },
};

export const vdsoChecks: readonly Check[] = [image, symbols, fast];
