import type { ClocksourceFacts } from '../host/clocksource.js';
import { type CounterDoubt, isDecisive, mostTelling } from '../host/counter-doubts.js';
import type { VdsoText } from '../host/vdso-text.js';
import { ClockMode, modeName } from '../page/kernel-page.js';
import { isCoarse, type PageClockName } from '../page/posix-clocks.js';

/** What is known of a host on which reading clocks through the vDSO enters the kernel. */
export interface SlowClockFacts {
  /** The clocks that were read, and those of them whose reading entered the kernel. */
  tested: readonly PageClockName[];
  slow: readonly PageClockName[];
  /** `clock_mode` of the kernel's page; null where the page is not known. */
  mode: number | null;
  clocksource: ClocksourceFacts;
  /** What the kernel's log says against the counter; null where the log may not be read. */
  doubts: readonly CounterDoubt[] | null;
  /** Null on bare metal, or where CPUID does not tell. */
  hypervisor: string | null;
  /** Whether CPUID announces an invariant counter; null where it does not tell. */
  isInvariant: boolean | null;
  /** Flags of the pvclock page (`struct pvclock_vcpu_time_info`); null where there is none. */
  pvclockFlags: number | null;
  /** Such as `5.10.0-28-amd64`; null where `/proc` does not tell. */
  kernelRelease: string | null;
  /** Null where the vDSO cannot be examined. */
  vdsoText: VdsoText | null;
}

/** A kernel's version, `[5, 10]`. */
type KernelVersion = readonly [major: number, minor: number];

/** Why reading clocks enters the kernel. */
export type SlowClockCause =
  /** A boot parameter forbids the counter or chooses another clocksource. */
  | {
      kind: 'boot-parameter';
      parameter: string;
      current: string | null;
      /** A clocksource that user space can read and that could be chosen at once. */
      better: string | null;
      /** What the kernel says against the counter besides: without the parameter it may not be used either. */
      doubt: CounterDoubt | null;
    }
  /** The kernel measured that the counter is wrong, or could not measure it. */
  | { kind: 'kernel-doubts'; doubt: CounterDoubt; cpus: string[]; current: string | null }
  /** A clocksource that user space can read is available, and another one is current. */
  | {
      kind: 'not-chosen';
      better: string;
      current: string;
      hypervisor: string | null;
      isInvariant: boolean | null;
      doubt: CounterDoubt | null;
    }
  /** The counter changes its rate with the power state: the kernel is right not to count by it. */
  | { kind: 'not-invariant'; current: string }
  /** The hypervisor's clock page is not vouched for on all CPUs. */
  | {
      kind: 'paravirtual-unstable';
      /** `pvclock` (KVM, Xen) or `hvclock` (Hyper-V). */
      clock: 'pvclock' | 'hvclock';
      /** The pvclock page's flags; null where it is not mapped. */
      flags: number | null;
      current: string | null;
      isTscAvailable: boolean;
    }
  /** The page can be read, and the vDSO reads none of its clocks: other code stands in its place. */
  | {
      kind: 'vdso-replaced';
      text: VdsoText | null;
      /** The clocksource, where user space could not read it with the kernel's code either. */
      unreadable: string | null;
    }
  /** The vDSO reads some clocks off the page, and has no code for others. */
  | {
      kind: 'not-in-vdso';
      clocks: readonly PageClockName[];
      kernelRelease: string | null;
      /** These are clocks that kernels before 5.3 have not in the vDSO, and this kernel is one. */
      isOldKernel: boolean;
      /** These are clocks that kernels before 5.3 have not in the vDSO. */
      isAsOldKernel: boolean;
      isReplaced: boolean;
    }
  /** `/sys` names no clocksource: a sandbox, or a container without `/sys`. */
  | { kind: 'no-clocksource'; hypervisor: string | null }
  /** The current clocksource cannot be read in user space, and nothing says why it was taken. */
  | {
      kind: 'unexplained';
      current: string;
      isLogReadable: boolean;
      hypervisor: string | null;
      isInvariant: boolean | null;
    }
  /** The facts do not go together: most likely one changed between two looks. */
  | { kind: 'contradiction'; mode: string; current: string };

export type SlowClockCauseKind = SlowClockCause['kind'];

/** Clocksources that the vDSO can read, the better first. */
const READABLE = ['tsc', 'kvm-clock', 'hyperv_clocksource_tsc_page', 'xen'];
const PARAVIRTUAL: ReadonlyMap<string, 'pvclock' | 'hvclock'> = new Map([
  ['kvm-clock', 'pvclock'],
  ['xen', 'pvclock'],
  ['hyperv_clocksource_tsc_page', 'hvclock'],
  ['hyperv_clocksource_msr', 'hvclock'],
]);
/** `PVCLOCK_TSC_STABLE_BIT`: the hypervisor vouches that the page is right on every CPU. */
const PVCLOCK_STABLE = 1;
/** Clocks that came into the x86-64 vDSO with the generic one of Linux 5.3. */
const OF_GENERIC_VDSO: readonly PageClockName[] = ['monotonic-raw', 'boottime', 'tai'];
const GENERIC_VDSO: KernelVersion = [5, 3];

/** The clocks that are computed from the counter: the others stand in the page as they are. */
function needCounter(clocks: readonly PageClockName[]): PageClockName[] {
  return clocks.filter((clock) => !isCoarse(clock));
}

/**
 * The boot parameter because of which the kernel does not count by the TSC; null if there is none. Of several
 * `clocksource=` the kernel takes the last, and one that names the TSC, or what is not current, is no cause.
 */
function forbiddingParameter({ current, bootParameters }: ClocksourceFacts): string | null {
  const forbidding = bootParameters.find((word) => /^(notsc|tsc=unstable|no-kvmclock-vsyscall)$/.test(word));
  if (forbidding === 'no-kvmclock-vsyscall') return current === 'kvm-clock' ? forbidding : null;
  if (forbidding !== undefined) return forbidding;
  const chosen = bootParameters.findLast((word) => /^clock(source)?=/.test(word));
  const name = chosen?.slice(chosen.indexOf('=') + 1);
  if (chosen === undefined || name === undefined || name === 'tsc') return null;
  // Up to 2.6 the parameter was clock=, and pmtmr its name of the ACPI timer; kernels still take it.
  const isCurrent = name === current || (name === 'pmtmr' && current === 'acpi_pm');
  return isCurrent || current === null ? chosen : null;
}

function versionOf(release: string | null): KernelVersion | null {
  const match = /^(\d+)\.(\d+)/.exec(release ?? '');
  return match === null ? null : [Number(match[1]), Number(match[2])];
}

function isBefore(version: KernelVersion | null, [major, minor]: KernelVersion): boolean {
  return version !== null && (version[0] < major || (version[0] === major && version[1] < minor));
}

function notInVdso({ slow, kernelRelease, vdsoText }: SlowClockFacts): SlowClockCause {
  const isAsOldKernel = slow.every((clock) => OF_GENERIC_VDSO.includes(clock));
  return {
    kind: 'not-in-vdso',
    clocks: slow,
    kernelRelease,
    isOldKernel: isAsOldKernel && isBefore(versionOf(kernelRelease), GENERIC_VDSO),
    isAsOldKernel,
    isReplaced: vdsoText?.verdict === 'replaced',
  };
}

function paravirtual(facts: SlowClockFacts, clock: 'pvclock' | 'hvclock'): SlowClockCause {
  const { available, current } = facts.clocksource;
  const flags = clock === 'pvclock' ? facts.pvclockFlags : null;
  const isTscAvailable = available.includes('tsc');
  return { kind: 'paravirtual-unstable', clock, flags, current, isTscAvailable };
}

/** The cause where the page says that its clocks can be read in user space. */
function causeWithReadablePage(facts: SlowClockFacts, mode: number): SlowClockCause {
  const { slow, tested, vdsoText, pvclockFlags, clocksource } = facts;
  if (needCounter(slow).length < needCounter(tested).length) return notInVdso(facts);
  if (vdsoText?.verdict === 'replaced') return { kind: 'vdso-replaced', text: vdsoText, unreadable: null };
  const isCoarseSlow = slow.some(isCoarse);
  if (mode === ClockMode.pvclock && !isCoarseSlow) {
    if (pvclockFlags === null || (pvclockFlags & PVCLOCK_STABLE) === 0) return paravirtual(facts, 'pvclock');
  }
  if (mode === ClockMode.hvclock && !isCoarseSlow) return paravirtual(facts, 'hvclock');
  if (vdsoText === null || vdsoText.verdict === 'not-compared')
    return { kind: 'vdso-replaced', text: vdsoText, unreadable: null };
  return { kind: 'contradiction', mode: modeName(mode), current: clocksource.current ?? 'not told' };
}

/** The telling doubt with its CPUs: the line that tells a figure may follow the one that tells the CPUs. */
function doubtsCause(
  doubt: CounterDoubt,
  doubts: readonly CounterDoubt[],
  current: string | null,
): SlowClockCause {
  const named = [doubt, ...doubts.filter(({ kind }) => kind === doubt.kind)];
  const cpus = named.find((each) => each.cpus.length > 0)?.cpus ?? [];
  return { kind: 'kernel-doubts', doubt, cpus, current };
}

/** A clocksource that is available, can be read in user space, and is not current. */
function betterThan(facts: SlowClockFacts): string | null {
  const { current, available } = facts.clocksource;
  return (
    READABLE.find(
      (name) => name !== current && available.includes(name) && !(name === 'tsc' && isFickle(facts)),
    ) ?? null
  );
}

/** A hypervisor may hide the bit of a counter that has it; without one nobody does. */
function isFickle({ isInvariant, hypervisor }: SlowClockFacts): boolean {
  return isInvariant === false && hypervisor === null;
}

/** The cause where the kernel counts by what user space cannot read. */
function causeOfClocksource(facts: SlowClockFacts): SlowClockCause {
  const { clocksource, hypervisor, isInvariant } = facts;
  const { current } = clocksource;
  const doubts = facts.doubts ?? [];
  const doubt = mostTelling(doubts);
  const better = betterThan(facts);
  const parameter = forbiddingParameter(clocksource);
  if (parameter !== null) return { kind: 'boot-parameter', parameter, current, better, doubt };
  const paravirtualClock = PARAVIRTUAL.get(current ?? '');
  // KVM's clock comes without the flag where the host cannot count by its own TSC; Xen's guests mostly could.
  if (paravirtualClock !== undefined && current !== 'xen') return paravirtual(facts, paravirtualClock);
  if (doubt !== null && isDecisive(doubt)) return doubtsCause(doubt, doubts, current);
  if (current === null) return { kind: 'no-clocksource', hypervisor };
  if (better !== null) return { kind: 'not-chosen', better, current, hypervisor, isInvariant, doubt };
  if (paravirtualClock !== undefined) return paravirtual(facts, paravirtualClock);
  if (isFickle(facts)) return { kind: 'not-invariant', current };
  if (doubt !== null && doubt.kind !== 'frequency') return doubtsCause(doubt, doubts, current);
  return { kind: 'unexplained', current, isLogReadable: facts.doubts !== null, hypervisor, isInvariant };
}

/**
 * Why reading clocks enters the kernel: the cause that the facts speak for most. What the vDSO does with the page
 * goes before what the kernel counts by, since a vDSO that leaves even the coarse clocks to the kernel does not look at the page.
 */
export function slowClockCause(facts: SlowClockFacts): SlowClockCause {
  const { mode, slow, tested, vdsoText, clocksource, hypervisor } = facts;
  if (mode !== null && mode !== ClockMode.none) return causeWithReadablePage(facts, mode);
  const { current } = clocksource;
  const isTsc = current === 'tsc' || current === 'tsc-early';
  const isPageUnread = slow.some(isCoarse) || (mode === null && isTsc);
  if (isPageUnread && vdsoText?.verdict === 'replaced') {
    return { kind: 'vdso-replaced', text: vdsoText, unreadable: isTsc ? null : current };
  }
  // A kernel whose page is known may be asked further, without its /sys; one that is not may be a sandbox's own.
  if (current === null && mode === null) return { kind: 'no-clocksource', hypervisor };
  if (!isTsc) return causeOfClocksource(facts);
  if (mode !== null) return { kind: 'contradiction', mode: modeName(mode), current };
  return needCounter(slow).length < needCounter(tested).length
    ? notInVdso(facts)
    : { kind: 'vdso-replaced', text: vdsoText, unreadable: null };
}
