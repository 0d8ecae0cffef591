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
  | { kind: 'vdso-replaced'; text: VdsoText | null }
  /** The vDSO reads some clocks off the page, and has no code for others. */
  | {
      kind: 'not-in-vdso';
      clocks: readonly PageClockName[];
      kernelRelease: string | null;
      /** Kernels before 5.3 had no more than realtime and monotonic in the vDSO. */
      isOldKernel: boolean;
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
const PARAVIRTUAL: Readonly<Record<string, 'pvclock' | 'hvclock'>> = {
  'kvm-clock': 'pvclock',
  xen: 'pvclock',
  hyperv_clocksource_tsc_page: 'hvclock',
  hyperv_clocksource_msr: 'hvclock',
};
/** `PVCLOCK_TSC_STABLE_BIT`: the hypervisor vouches that the page is right on every CPU. */
const PVCLOCK_STABLE = 1;
/** The first kernel with monotonic-raw, boottime and tai in the x86-64 vDSO. */
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
  // Up to 2.6 the parameter was clock=, and pmtmr its name of the ACPI timer; kernels still take it.
  return chosen !== undefined &&
    (name === current || (name === 'pmtmr' && current === 'acpi_pm')) &&
    name !== 'tsc'
    ? chosen
    : null;
}

function versionOf(release: string | null): KernelVersion | null {
  const match = /^(\d+)\.(\d+)/.exec(release ?? '');
  return match === null ? null : [Number(match[1]), Number(match[2])];
}

function isBefore(version: KernelVersion | null, [major, minor]: KernelVersion): boolean {
  return version !== null && (version[0] < major || (version[0] === major && version[1] < minor));
}

function notInVdso({ slow, kernelRelease, vdsoText }: SlowClockFacts): SlowClockCause {
  return {
    kind: 'not-in-vdso',
    clocks: slow,
    kernelRelease,
    isOldKernel: isBefore(versionOf(kernelRelease), GENERIC_VDSO),
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
  if (vdsoText?.verdict === 'replaced') return { kind: 'vdso-replaced', text: vdsoText };
  const isCoarseSlow = slow.some(isCoarse);
  if (mode === ClockMode.pvclock && !isCoarseSlow) {
    if (pvclockFlags === null || (pvclockFlags & PVCLOCK_STABLE) === 0) return paravirtual(facts, 'pvclock');
  }
  if (mode === ClockMode.hvclock && !isCoarseSlow) return paravirtual(facts, 'hvclock');
  if (vdsoText === null || vdsoText.verdict === 'not-compared')
    return { kind: 'vdso-replaced', text: vdsoText };
  return { kind: 'contradiction', mode: modeName(mode), current: clocksource.current ?? 'not told' };
}

/** The cause where the kernel counts by what user space cannot read. */
function causeOfClocksource(facts: SlowClockFacts, current: string): SlowClockCause {
  const { clocksource, doubts, hypervisor, isInvariant } = facts;
  const doubt = mostTelling(doubts ?? []);
  const parameter = forbiddingParameter(clocksource);
  if (parameter !== null) return { kind: 'boot-parameter', parameter, current, doubt };
  const doubtsCause = (told: CounterDoubt): SlowClockCause => ({
    kind: 'kernel-doubts',
    doubt: told,
    // The line that tells the figure may follow the one that tells the CPUs.
    cpus:
      told.cpus.length > 0
        ? told.cpus
        : ((doubts ?? []).find(({ kind, cpus }) => kind === told.kind && cpus.length > 0)?.cpus ?? []),
    current,
  });
  const paravirtualClock = PARAVIRTUAL[current];
  // KVM's clock comes without the flag where the host cannot count by its own TSC; Xen's guests mostly could.
  if (paravirtualClock !== undefined && current !== 'xen') return paravirtual(facts, paravirtualClock);
  if (doubt !== null && isDecisive(doubt)) return doubtsCause(doubt);
  // A hypervisor may hide the bit of a counter that has it; without one nobody does.
  const isFickle = isInvariant === false && hypervisor === null;
  const better = READABLE.find(
    (name) => name !== current && clocksource.available.includes(name) && !(name === 'tsc' && isFickle),
  );
  if (better !== undefined) return { kind: 'not-chosen', better, current, hypervisor, isInvariant, doubt };
  if (paravirtualClock !== undefined) return paravirtual(facts, paravirtualClock);
  if (isFickle) return { kind: 'not-invariant', current };
  if (doubt !== null && doubt.kind !== 'frequency') return doubtsCause(doubt);
  return { kind: 'unexplained', current, isLogReadable: doubts !== null, hypervisor, isInvariant };
}

/**
 * Why reading clocks enters the kernel: the cause that the facts speak for most. What the vDSO does with the page
 * goes before what the kernel counts by, since a vDSO that leaves even the coarse clocks to the kernel does not look at the page.
 */
export function slowClockCause(facts: SlowClockFacts): SlowClockCause {
  const { mode, slow, tested, vdsoText, clocksource, hypervisor } = facts;
  if (mode !== null && mode !== ClockMode.none) return causeWithReadablePage(facts, mode);
  const isPageUnread = slow.some(isCoarse) || (mode === null && clocksource.current === 'tsc');
  if (isPageUnread && vdsoText?.verdict === 'replaced') return { kind: 'vdso-replaced', text: vdsoText };
  const { current } = clocksource;
  if (current === null) return { kind: 'no-clocksource', hypervisor };
  if (current !== 'tsc') return causeOfClocksource(facts, current);
  if (mode === null) {
    return needCounter(slow).length < needCounter(tested).length
      ? notInVdso(facts)
      : { kind: 'vdso-replaced', text: vdsoText };
  }
  return { kind: 'contradiction', mode: modeName(mode), current };
}
