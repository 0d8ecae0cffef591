import type { ClocksourceFacts } from '../host/clocksource.js';
import { type CounterDoubt, isDecisive } from '../host/counter-doubts.js';
import type { VdsoText } from '../host/vdso-text.js';
import type { SlowClockCause } from './slow-clock-cause.js';

/**
 * What is said of clocksources, in one place, so that no two checks advise the contrary of each other. No text
 * advises tsc=reliable: it only takes the kernel's own check away.
 */

const SYSFS = '/sys/devices/system/clocksource/clocksource0/current_clocksource';

/** A log line as it is quoted in a sentence: one space where the kernel aligned. */
export function quotedLine({ line }: CounterDoubt): string {
  return `"${line.replaceAll(/\s+/g, ' ')}"`;
}

/** How to count by `name` until the next boot, and how to go back to `back`. */
function trial(name: string, back: string | null): string {
  const undone = back === null ? '' : ` (back: echo ${back})`;
  return `as root 'echo ${name} > ${SYSFS}'${undone}, which a boot undoes`;
}

const LOOK_AGAIN = "'latchclock validate --only counter,clock,vdso'";

const NEVER_RELIABLE = 'Do not boot with tsc=reliable: it takes the check away, and not what it found.';

/** The clocksources besides the TSC, the better first. */
const OTHERS = ['kvm-clock', 'hyperv_clocksource_tsc_page', 'xen', 'hpet', 'acpi_pm'];

/** What to do where the TSC cannot be trusted: count by another clocksource, one that this host has. */
export function adviseAgainstTsc({ current, available, bootParameters }: ClocksourceFacts): string {
  const forcing = bootParameters.filter((word) => /^(tsc=(reliable|nowatchdog)|clocksource=tsc)$/.test(word));
  const unforced = forcing.length === 0 ? '' : ` Boot without ${forcing.join(' and ')}.`;
  const counted = current !== null && !current.startsWith('tsc');
  if (counted) {
    return `The kernel counts by ${current} and not by the bare counter: leave it so. Programs that read the counter themselves are at risk.${unforced}`;
  }
  const other = OTHERS.find((name) => available.includes(name));
  return other === undefined
    ? `Let the kernel use another clocksource; /sys offers none.${unforced}`
    : `Let the kernel count by ${other}: try it, ${trial(other, current)}; to keep it, boot with clocksource=${other}.${unforced}`;
}

/** What to do where a guest's CPUID does not announce an invariant counter. */
export function adviseOnHiddenInvariance({ current, available }: ClocksourceFacts): string {
  const other = OTHERS.find((name) => available.includes(name) && name !== 'hpet' && name !== 'acpi_pm');
  const tried =
    current === 'tsc' && other !== undefined
      ? ` Or try the hypervisor's clock, ${trial(other, current)}.`
      : '';
  return (
    'The hypervisor hides the bit, often to keep the machine migratable: after a migration the counter may run at ' +
    `another rate. Ask for the invariant TSC (QEMU: -cpu host,+invtsc).${tried}`
  );
}

/** What to do where the kernel's log doubts the counter. */
export function adviseOnDoubt(doubt: CounterDoubt): string {
  if (doubt.kind === 'frequency') {
    return (
      'The firmware set the counter up so that its rate is not the one declared for the processor: update it, and let ' +
      "programs take the rate from counter.frequency, not from the processor's name or its P0 state."
    );
  }
  if (doubt.kind === 'read-back') {
    return (
      'The watchdog took too long to read its own clock, which many sockets or a heavy load do as well as a wrong counter: ' +
      `look whether counter.warp, counter.offset and counter.stability pass (${LOOK_AGAIN}), and take a newer kernel, which ` +
      `judges such readings better. ${NEVER_RELIABLE}`
    );
  }
  if (doubt.kind === 'adjusted') {
    return (
      'The firmware, or who restored this guest, left the counters of CPUs apart; the kernel set them right and still ' +
      `does not count by them. Look at counter.warp and counter.offset (${LOOK_AGAIN}), update the firmware or the hypervisor. ${NEVER_RELIABLE}`
    );
  }
  return (
    `The kernel does not use the counter because of what it saw, or knows of the hardware. Look whether that still holds (${LOOK_AGAIN}); update ` +
    `the firmware or the hypervisor, and restart a guest that was restored or migrated. ${NEVER_RELIABLE}`
  );
}

function adviseOnParameter({
  parameter,
  current,
  better,
  doubt,
}: Extract<SlowClockCause, { kind: 'boot-parameter' }>): string {
  const besides =
    doubt !== null && isDecisive(doubt)
      ? ` The kernel has its own doubts besides, ${quotedLine(doubt)}: without the parameter it may refuse the counter all the same.`
      : '';
  const tried = better === null ? '' : `try ${better}, ${trial(better, current)}; then `;
  return `Find out who set it, and why; where no reason is left, ${tried}boot without ${parameter}.${besides}`;
}

function adviseToChoose({
  better,
  current,
  hypervisor,
  isInvariant,
  doubt,
}: Extract<SlowClockCause, { kind: 'not-chosen' }>): string {
  const isTsc = better === 'tsc';
  const condition = isTsc ? 'Where counter.warp and counter.offset pass, try' : 'Try';
  const xen = isTsc && hypervisor === 'Xen' ? ' Guests of Xen count by xen unless told otherwise.' : '';
  const wary = isTsc && doubt !== null ? ` The kernel's log has ${quotedLine(doubt)}: look twice.` : '';
  const migration =
    isTsc && isInvariant === false
      ? ' CPUID does not announce an invariant counter: after a live migration it may run at another rate.'
      : '';
  return (
    `${condition} ${better}: ${trial(better, current)}; then ${LOOK_AGAIN}.${xen}${wary}${migration} ` +
    `If all of it passes, boot with clocksource=${better}.`
  );
}

function adviseOnParavirtual({
  clock,
  current,
  isTscAvailable,
}: Extract<SlowClockCause, { kind: 'paravirtual-unstable' }>): string {
  const tryTsc = isTscAvailable
    ? ` Where counter.warp and counter.offset pass here, try the counter itself, ${trial('tsc', current)}.`
    : '';
  const host =
    clock === 'pvclock'
      ? 'The host is to mend it: its own kernel must count by the TSC, and the counters of all virtual CPUs must agree.'
      : 'The host is to mend it: Hyper-V takes its page away where the counters of its CPUs do not agree, and after a migration.';
  return `${host}${tryTsc} ${NEVER_RELIABLE}`;
}

/** What to do where the vDSO's code is not the kernel's. */
export const REPLACED_VDSO_ADVICE =
  'Look for a tracer or a sandbox (TracerPid in /proc/self/status; rr, dettrace), a checkpoint tool, or a preloaded library ' +
  '(LD_PRELOAD, LD_AUDIT), and run without it: no boot parameter helps against that.';

function adviseOnReplaced({ text, unreadable }: Extract<SlowClockCause, { kind: 'vdso-replaced' }>): string {
  const unsure =
    text?.verdict === 'replaced'
      ? ''
      : ` That is concluded: the code could not be compared with the kernel's (${text?.notCompared ?? 'the vDSO cannot be read'}).`;
  const clocksource =
    unreadable === null
      ? 'The clocksource is in order.'
      : `The clocksource ${unreadable} is slow besides: run vdso.fast again then.`;
  return `${REPLACED_VDSO_ADVICE}${unsure} ${clocksource}`;
}

function adviseOnMissing({
  isOldKernel,
  isReplaced,
  isAsOldKernel,
}: Extract<SlowClockCause, { kind: 'not-in-vdso' }>): string {
  const fast = isAsOldKernel
    ? ' Until then let programs read realtime or monotonic, where that will do.'
    : '';
  const remedy = isReplaced
    ? REPLACED_VDSO_ADVICE
    : isOldKernel
      ? 'Linux 5.3 and later read these clocks in user space: take a newer kernel.'
      : 'Linux has these clocks in its vDSO since 5.3: ask who built this kernel.';
  return `${remedy}${fast} The clocksource is in order.`;
}

function adviseOnUnexplained({
  isLogReadable,
  hypervisor,
  isInvariant,
}: Extract<SlowClockCause, { kind: 'unexplained' }>): string {
  if (!isLogReadable) {
    return (
      "Run it as root, or with the kernel's log readable (sysctl kernel.dmesg_restrict=0): the log says why the kernel " +
      'does not count by the TSC.'
    );
  }
  const next =
    hypervisor === null
      ? 'The firmware may hide the counter, or switch it off.'
      : isInvariant === true
        ? 'Ask whoever runs the hypervisor.'
        : 'Ask the hypervisor for the invariant TSC (QEMU: -cpu host,+invtsc).';
  return (
    "The kernel's log does not say why, or has lost its first lines: look with 'journalctl -k -b | grep -iE " +
    `"tsc|clocksource"'. ${next}`
  );
}

/** What to do about slow clocks, by their cause. */
export function adviseOnSlowClocks(cause: SlowClockCause): string {
  switch (cause.kind) {
    case 'boot-parameter':
      return adviseOnParameter(cause);
    case 'kernel-doubts':
      return adviseOnDoubt(cause.doubt);
    case 'not-chosen':
      return adviseToChoose(cause);
    case 'not-invariant':
      return (
        `The counter's rate changes with the processor's power states: ${cause.current} is right, and its price the hardware's. ` +
        NEVER_RELIABLE
      );
    case 'paravirtual-unstable':
      return adviseOnParavirtual(cause);
    case 'vdso-replaced':
      return adviseOnReplaced(cause);
    case 'not-in-vdso':
      return adviseOnMissing(cause);
    case 'no-clocksource':
      return (
        'This is a sandbox, or a container without /sys. What the kernel counts by is told outside of it: ' +
        `'cat ${SYSFS}' there, and run latchclock there. A sandbox with a kernel of its own pays this price by design.`
      );
    case 'unexplained':
      return adviseOnUnexplained(cause);
    case 'contradiction':
      return (
        'Run it again: the kernel may have changed its clocksource under the run. If it stays so, ' +
        'please report it with the evidence (--format json).'
      );
  }
}

/** `clocksource hpet cannot be read in user space, `. */
function unreadable(current: string | null): string {
  const name = current === null ? 'the clocksource, which /sys does not tell,' : `clocksource ${current}`;
  return `${name} cannot be read in user space, `;
}

/** The cause in a few words, with what it rests on quoted. */
export function describeSlowClocks(cause: SlowClockCause): string {
  switch (cause.kind) {
    case 'boot-parameter':
      return `${unreadable(cause.current)}boot parameter ${cause.parameter}`;
    case 'kernel-doubts': {
      const named = cause.doubt.cpus.length > 0 || cause.cpus.length === 0;
      const cpus = named ? '' : ` (CPU ${cause.cpus.join(', ')})`;
      return `${unreadable(cause.current)}the kernel says ${quotedLine(cause.doubt)}${cpus}`;
    }
    case 'not-chosen':
      return `${unreadable(cause.current)}though ${cause.better} is available`;
    case 'not-invariant':
      return `${unreadable(cause.current)}and the counter is not invariant`;
    case 'paravirtual-unstable': {
      if (cause.clock === 'hvclock')
        return `clocksource ${cause.current ?? 'not told'}, and Hyper-V's page is not valid`;
      const flags = cause.flags === null ? '' : ` (flags 0x${cause.flags.toString(16)})`;
      return `clocksource ${cause.current ?? 'not told'}, which the hypervisor does not mark STABLE${flags}`;
    }
    case 'vdso-replaced':
      return cause.text?.verdict === 'replaced'
        ? `the vDSO's code is not the kernel's${describeReplacement(cause.text)}`
        : "the vDSO's code does not look at the kernel's page";
    case 'not-in-vdso':
      return cause.isReplaced
        ? `not in this vDSO${cause.isAsOldKernel ? ' (as before Linux 5.3)' : ''}, whose code is not the kernel's`
        : `not in the vDSO of this kernel${cause.kernelRelease === null ? '' : `, Linux ${cause.kernelRelease}`}`;
    case 'no-clocksource':
      return '/sys names no clocksource';
    case 'unexplained':
      return `${unreadable(cause.current)}${cause.isLogReadable ? "the kernel's log does not say why" : "the kernel's log may not be read"}`;
    case 'contradiction':
      return `mode ${cause.mode} and clocksource ${cause.current} do not explain it`;
  }
}

/** ` (__vdso_time makes system call 201 at once, and 4 more the like; unlike that of process 1 and 5 more)`. */
export function describeReplacement({ foreign, differsFrom }: VdsoText): string {
  const [first] = foreign;
  const more = foreign.length > 1 ? `, and ${foreign.length - 1} more the like` : '';
  const entries = first === undefined ? [] : [`${first.name} ${first.does}${more}`];
  const others =
    differsFrom.length === 0
      ? []
      : [
          `unlike that of ${differsFrom[0]}${differsFrom.length > 1 ? ` and ${differsFrom.length - 1} more` : ''}`,
        ];
  const parts = [...entries, ...others];
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`;
}
