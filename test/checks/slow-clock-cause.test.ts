import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { adviseOnSlowClocks, describeSlowClocks } from '../../lib/checks/clocksource-advice.ts';
import {
  type SlowClockCause,
  type SlowClockCauseKind,
  type SlowClockFacts,
  slowClockCause,
} from '../../lib/checks/slow-clock-cause.ts';
import { type CounterDoubt, counterDoubtOf } from '../../lib/host/counter-doubts.ts';
import type { PresenceCause } from '../../lib/host/vdso-presence.ts';
import type { VdsoText } from '../../lib/host/vdso-text.ts';
import { ClockMode } from '../../lib/page/kernel-page.ts';
import { isCoarse, PAGE_CLOCKS } from '../../lib/page/posix-clocks.ts';

const COMPUTED = PAGE_CLOCKS.filter((clock) => !isCoarse(clock));

const doubts = (...lines: string[]): CounterDoubt[] =>
  lines.map((line) => counterDoubtOf(line) as CounterDoubt);

const KERNELS: VdsoText = {
  verdict: 'kernels',
  foreign: [],
  equalTo: ['process 1'],
  differsFrom: [],
  notCompared: null,
};
const REPLACED: VdsoText = {
  verdict: 'replaced',
  foreign: [{ name: '__vdso_time', does: 'makes system call 201 at once' }],
  equalTo: [],
  differsFrom: ['process 1', 'process 2'],
  notCompared: null,
};
const NOT_COMPARED: VdsoText = {
  verdict: 'not-compared',
  foreign: [],
  equalTo: [],
  differsFrom: [],
  notCompared: '/proc does not tell of processes, and no copy of the vDSO is installed',
};

/** A host under the HPET, with nothing that would explain it. */
const HPET: SlowClockFacts = {
  tested: PAGE_CLOCKS,
  slow: COMPUTED,
  mode: ClockMode.none,
  clocksource: { current: 'hpet', available: ['hpet', 'acpi_pm'], bootParameters: [] },
  doubts: [],
  hypervisor: null,
  isInvariant: true,
  pvclockFlags: null,
  kernelRelease: '6.18.44',
  vdsoText: KERNELS,
};

const under = (
  current: string | null,
  available: string[] = current === null ? [] : [current],
  bootParameters: string[] = [],
): Pick<SlowClockFacts, 'clocksource'> => ({ clocksource: { current, available, bootParameters } });

/** Each cause: facts that lead to it, what the reason quotes, and what the advice says. */
const CAUSES: readonly [
  name: string,
  facts: Partial<SlowClockFacts>,
  kind: SlowClockCauseKind,
  reason: string,
  advice: RegExp,
][] = [
  [
    'a boot parameter that chooses another clocksource',
    under('hpet', ['hpet', 'acpi_pm', 'tsc'], ['clocksource=hpet']),
    'boot-parameter',
    'clocksource hpet cannot be read in user space, boot parameter clocksource=hpet',
    /where no reason is left, try tsc, as root 'echo tsc > .*; then boot without clocksource=hpet\.$/,
  ],
  [
    'a boot parameter that takes the counter away',
    under('hpet', ['hpet', 'acpi_pm'], ['notsc']),
    'boot-parameter',
    'boot parameter notsc',
    /boot without notsc\.$/,
  ],
  [
    'a boot parameter that calls the counter unstable',
    under('acpi_pm', ['acpi_pm'], ['tsc=unstable']),
    'boot-parameter',
    'boot parameter tsc=unstable',
    /boot without tsc=unstable\.$/,
  ],
  [
    "a boot parameter that keeps KVM's clock from the vDSO",
    under('kvm-clock', ['kvm-clock', 'tsc'], ['no-kvmclock-vsyscall']),
    'boot-parameter',
    'boot parameter no-kvmclock-vsyscall',
    /boot without no-kvmclock-vsyscall\.$/,
  ],
  [
    'the last of several clocksource=',
    under('acpi_pm', ['acpi_pm'], ['clocksource=hpet', 'clocksource=acpi_pm']),
    'boot-parameter',
    'boot parameter clocksource=acpi_pm',
    /boot without clocksource=acpi_pm\.$/,
  ],
  [
    'CPUs that the watchdog found ahead of another',
    {
      doubts: doubts(
        "clocksource: timekeeping watchdog on CPU5: Marking clocksource 'tsc' as unstable because the skew is too large:",
        'tsc: Marking TSC unstable due to clocksource watchdog',
        'clocksource:         CPUs 7 ahead of CPU 5 for clocksource tsc.',
      ),
    },
    'kernel-doubts',
    'the kernel says "clocksource: CPUs 7 ahead of CPU 5 for clocksource tsc."',
    /does not use the counter because of what it saw.*Do not boot with tsc=reliable/,
  ],
  [
    'a warp at boot, with the CPUs of the line before',
    {
      doubts: doubts(
        'TSC ADJUST compensate: CPU36 observed 95626 warp. Adjust: 95626',
        'TSC synchronization [CPU#0 -> CPU#36]:',
        'Measured 4 cycles TSC warp between CPUs, turning off TSC clock.',
        'tsc: Marking TSC unstable due to check_tsc_sync_source failed',
      ),
    },
    'kernel-doubts',
    'the kernel says "Measured 4 cycles TSC warp between CPUs, turning off TSC clock." (CPU 0, 36)',
    /restart a guest that was restored/,
  ],
  [
    'a warp that the kernel set right, and nothing else',
    { doubts: doubts('TSC ADJUST compensate: CPU1 observed 166 warp. Adjust: 169175101694') },
    'kernel-doubts',
    '"TSC ADJUST compensate: CPU1 observed 166 warp. Adjust: 169175101694"',
    /left the counters of CPUs apart/,
  ],
  [
    'a watchdog that was slow itself',
    {
      doubts: doubts(
        'clocksource: timekeeping watchdog on CPU6: hpet read-back delay of 60666ns, attempt 4, marking unstable',
        'tsc: Marking TSC unstable due to clocksource watchdog',
      ),
    },
    'kernel-doubts',
    '"clocksource: timekeeping watchdog on CPU6: hpet read-back delay of 60666ns, attempt 4, marking unstable"',
    /many sockets or a heavy load.*newer kernel.*Do not boot with tsc=reliable/,
  ],
  [
    'doubts, even where /sys still lists tsc',
    {
      ...under('hpet', ['tsc', 'hpet']),
      doubts: doubts('tsc: Marking TSC unstable due to cpufreq changes on SMP'),
    },
    'kernel-doubts',
    '"tsc: Marking TSC unstable due to cpufreq changes on SMP"',
    /Do not boot with tsc=reliable/,
  ],
  [
    "a guest of Xen that counts by Xen's clock though tsc is available",
    { ...under('xen', ['xen', 'tsc', 'hpet', 'acpi_pm']), hypervisor: 'Xen', isInvariant: false },
    'not-chosen',
    'clocksource xen cannot be read in user space, though tsc is available',
    /counter\.warp and counter\.offset pass, try tsc: as root 'echo tsc > \/sys\/devices\/system\/clocksource\/clocksource0\/current_clocksource' \(back: echo xen\), which a boot undoes;.*Xen.*not announce.*boot with clocksource=tsc\.$/,
  ],
  [
    'the HPET though tsc is available',
    under('hpet', ['hpet', 'tsc', 'acpi_pm']),
    'not-chosen',
    'though tsc is available',
    /'echo tsc >/,
  ],
  [
    'a guest under the HPET that has the clock of its hypervisor',
    { ...under('hpet', ['kvm-clock', 'hpet']), hypervisor: 'KVM' },
    'not-chosen',
    'though kvm-clock is available',
    /^Try kvm-clock: as root 'echo kvm-clock >.*boot with clocksource=kvm-clock\.$/,
  ],
  [
    'bare metal without an invariant counter, though /sys lists tsc',
    { ...under('hpet', ['hpet', 'tsc']), isInvariant: false },
    'not-invariant',
    'and the counter is not invariant',
    /hpet is right.*Do not boot with tsc=reliable/,
  ],
  [
    'a pvclock that lost STABLE under way',
    {
      ...under('kvm-clock', ['kvm-clock', 'tsc']),
      mode: ClockMode.pvclock,
      hypervisor: 'KVM',
      pvclockFlags: 2,
    },
    'paravirtual-unstable',
    'clocksource kvm-clock, which the hypervisor does not mark STABLE (flags 0x2)',
    /The host is to mend it.*'echo tsc >.*Do not boot with tsc=reliable/,
  ],
  [
    'a pvclock that never was STABLE',
    { ...under('kvm-clock', ['kvm-clock', 'acpi_pm']), hypervisor: 'KVM' },
    'paravirtual-unstable',
    'clocksource kvm-clock, which the hypervisor does not mark STABLE',
    /its own kernel must count by the TSC/,
  ],
  [
    "Hyper-V's clock without its page",
    { ...under('hyperv_clocksource_msr', ['hyperv_clocksource_msr']), hypervisor: 'Hyper-V' },
    'paravirtual-unstable',
    "Hyper-V's page is not valid",
    /Hyper-V takes its page away/,
  ],
  [
    'mode tsc and all slow: code that was replaced',
    { ...under('tsc'), mode: ClockMode.tsc, slow: PAGE_CLOCKS, vdsoText: REPLACED },
    'vdso-replaced',
    "the vDSO's code is not the kernel's (__vdso_time makes system call 201 at once; unlike that of process 1 and 1 more)",
    /LD_PRELOAD.*no boot parameter helps.*The clocksource is in order/,
  ],
  [
    'mode tsc and all slow, where the code could not be compared',
    { ...under('tsc'), mode: ClockMode.tsc, slow: PAGE_CLOCKS, vdsoText: NOT_COMPARED },
    'vdso-replaced',
    "the vDSO's code does not look at the kernel's page",
    /That is concluded: the code could not be compared with the kernel's \(\/proc does not tell/,
  ],
  [
    'replaced code under another clocksource: even the coarse clocks are slow',
    { slow: PAGE_CLOCKS, vdsoText: REPLACED },
    'vdso-replaced',
    "the vDSO's code is not the kernel's",
    /LD_PRELOAD.*The clocksource hpet is slow besides/,
  ],
  [
    'mode tsc and some slow on a kernel before 5.3',
    {
      ...under('tsc'),
      mode: ClockMode.tsc,
      slow: ['monotonic-raw', 'boottime', 'tai'],
      kernelRelease: '4.14.355-275.570.amzn2.x86_64',
    },
    'not-in-vdso',
    'not in the vDSO of this kernel, Linux 4.14.355-275.570.amzn2.x86_64',
    /Linux 5\.3 and later.*take a newer kernel/,
  ],
  [
    'mode tsc and some slow on a newer kernel',
    { ...under('tsc'), mode: ClockMode.tsc, slow: ['tai'] },
    'not-in-vdso',
    'not in the vDSO of this kernel, Linux 6.18.44',
    /ask who built this kernel/,
  ],
  [
    "mode tsc and some slow in code that is not the kernel's",
    { ...under('tsc'), mode: ClockMode.tsc, slow: ['monotonic-raw', 'boottime', 'tai'], vdsoText: REPLACED },
    'not-in-vdso',
    "not in this vDSO (as before Linux 5.3), whose code is not the kernel's",
    /LD_PRELOAD/,
  ],
  [
    "mode tsc and realtime slow in code that is not the kernel's: no kernel was like that",
    { ...under('tsc'), mode: ClockMode.tsc, slow: ['realtime'], vdsoText: REPLACED },
    'not-in-vdso',
    "not in this vDSO, whose code is not the kernel's",
    /LD_PRELOAD/,
  ],
  [
    'no clocksource in /sys',
    { ...under(null), mode: null, doubts: null },
    'no-clocksource',
    '/sys names no clocksource',
    /a sandbox, or a container without \/sys/,
  ],
  [
    'no clocksource in /sys, on a kernel whose page is known: the command line is asked',
    {
      clocksource: { current: null, available: [], bootParameters: ['clocksource=acpi_pm'] },
    },
    'boot-parameter',
    'the clocksource, which /sys does not tell, cannot be read in user space, boot parameter clocksource=acpi_pm',
    /boot without clocksource=acpi_pm\.$/,
  ],
  [
    'no clocksource in /sys, on a kernel whose page is known: the log is asked',
    { ...under(null), doubts: doubts('TSC warped randomly between CPUs') },
    'kernel-doubts',
    '"TSC warped randomly between CPUs"',
    /Do not boot with tsc=reliable/,
  ],
  [
    'a log that says nothing',
    {},
    'unexplained',
    "clocksource hpet cannot be read in user space, the kernel's log does not say why",
    /journalctl -k/,
  ],
  [
    'a log that may not be read',
    { doubts: null },
    'unexplained',
    "the kernel's log may not be read",
    /as root/,
  ],
  [
    'facts that do not go together',
    { ...under('tsc') },
    'contradiction',
    'mode none and clocksource tsc do not explain it',
    /Run it again/,
  ],
];

const causeOf = (facts: Partial<SlowClockFacts>): SlowClockCause => slowClockCause({ ...HPET, ...facts });

describe('the cause of slow clocks', () => {
  test.each(CAUSES)('%s', (_name, facts, kind, reason, advice) => {
    const cause = causeOf(facts);
    expect(cause.kind).toBe(kind);
    expect(describeSlowClocks(cause)).toContain(reason);
    expect(adviseOnSlowClocks(cause)).toMatch(advice);
  });

  test('a boot parameter goes before doubts, which its advice quotes', () => {
    const cause = causeOf({
      ...under('hpet', ['hpet'], ['clocksource=hpet']),
      doubts: doubts('tsc: Marking TSC unstable due to clocksource watchdog'),
    });
    expect(cause).toMatchObject({ kind: 'boot-parameter', parameter: 'clocksource=hpet' });
    expect(adviseOnSlowClocks(cause)).toContain('"tsc: Marking TSC unstable due to clocksource watchdog"');
  });

  test.each([
    [['clocksource=tsc']],
    [['tsc=reliable']],
    [['tsc=nowatchdog']],
    [['clocksource=acpi_pm']],
    [['no-kvmclock-vsyscall']],
  ])('%s is no cause of the HPET', (bootParameters) => {
    expect(causeOf(under('hpet', ['hpet'], bootParameters)).kind).toBe('unexplained');
  });

  test('a counter whose frequency the firmware sets otherwise is no reason not to count by it', () => {
    expect(causeOf({ doubts: doubts("[Firmware Bug]: TSC doesn't count with P0 frequency!") }).kind).toBe(
      'unexplained',
    );
  });

  test('a pvclock with STABLE whose clocks are all slow is not blamed on the hypervisor', () => {
    const cause = causeOf({ ...under('kvm-clock'), mode: ClockMode.pvclock, pvclockFlags: 1 });
    expect(cause.kind).toBe('contradiction');
  });

  test('where only cost told, the one clock that was timed is all there is', () => {
    const cause = causeOf({
      ...under('tsc'),
      mode: ClockMode.tsc,
      tested: ['monotonic'],
      slow: ['monotonic'],
      vdsoText: REPLACED,
    });
    expect(cause.kind).toBe('vdso-replaced');
  });

  test('every kind has its own text, and none advises tsc=reliable', () => {
    const texts = new Map<SlowClockCauseKind, string>();
    for (const [, facts] of CAUSES) {
      const cause = causeOf(facts);
      const advice = adviseOnSlowClocks(cause);
      expect(advice.replaceAll('Do not boot with tsc=reliable', '')).not.toContain('reliable');
      texts.set(cause.kind, advice);
    }
    expect(texts.size).toBe(10);
    expect(new Set(texts.values()).size).toBe(texts.size);
  });

  test('docs/slow-clocks.md has a row for each kind, and for no other', () => {
    const document = readFileSync(new URL('../../docs/slow-clocks.md', import.meta.url), 'utf8');
    const rowsOf = (section: string): string[] => {
      const [, text = ''] = document.split(`## ${section}\n`);
      const [own = ''] = text.split('\n## ');
      return [...own.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, kind]) => kind as string).toSorted();
    };
    expect(rowsOf('The causes')).toEqual([...new Set(CAUSES.map(([, , kind]) => kind))].toSorted());
    const absent: Record<PresenceCause['kind'], true> = {
      'boot-parameter': true,
      hidden: true,
      sandbox: true,
      emulator: true,
      removed: true,
      unknown: true,
    };
    expect(rowsOf('Without a vDSO')).toEqual(Object.keys(absent).toSorted());
  });
});
