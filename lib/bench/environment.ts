import { readTextOrNull } from '../host/files.js';
import { type Host, kernelCounterHz, orNull } from '../host/host.js';

/** One thing that decides whether figures can be trusted. */
export interface Circumstance {
  readonly name:
    | 'clocksource'
    | 'counter'
    | 'governor'
    | 'load'
    | 'steal'
    | 'namespace'
    | 'hypervisor'
    | 'rounds';
  /** Whether it speaks against the figures. */
  readonly status: 'ok' | 'warn';
  readonly what: string;
}

/** What the machine had done when it was looked at: `/proc/stat` (proc_stat(5)), in ticks of USER_HZ. */
export interface CpuTimes {
  readonly total: number;
  readonly steal: number;
}

const STEAL_FIELD = 7;
/** guest and guest_nice are within user and nice. */
const FIELDS = 8;

/** Null where `/proc/stat` does not tell. */
export function readCpuTimes({ files }: Host): CpuTimes | null {
  const line = /^cpu +([\d ]+)$/m.exec(readTextOrNull(files, '/proc/stat') ?? '')?.[1];
  if (line === undefined) return null;
  const fields = line.trim().split(/ +/).map(Number).slice(0, FIELDS);
  return { total: fields.reduce((sum, one) => sum + one, 0), steal: fields[STEAL_FIELD] ?? 0 };
}

const MOST_STEAL = 0.01;
/** Of the CPUs: so much of others' work is let pass. */
const MOST_LOAD = 0.5;
/** Trials whose medians differ by more have seen different machines. */
const MOST_SPREAD = 0.1;

/** How far apart the medians of several trials are, as a share, and of which subject. */
export interface Spread {
  readonly share: number;
  readonly subject: string;
}

function circumstance(name: Circumstance['name'], isFine: boolean, what: string): Circumstance {
  return { name, status: isFine ? 'ok' : 'warn', what };
}

function governor({ files }: Host, cpu: number): Circumstance {
  const name = readTextOrNull(files, `/sys/devices/system/cpu/cpu${cpu}/cpufreq/scaling_governor`);
  if (name === null)
    return circumstance('governor', true, 'the kernel shows no frequency control (a guest, as a rule)');
  return circumstance(
    'governor',
    name === 'performance',
    name === 'performance' ? name : `'${name}': the CPU may change its frequency while the counter does not`,
  );
}

/** The load of the last minute: read before anything is measured, so that it is others'. */
export function readLoad({ files }: Host): number | null {
  const load = Number.parseFloat(readTextOrNull(files, '/proc/loadavg') ?? '');
  return Number.isFinite(load) ? load : null;
}

function load(before: number | null, cpus: number): Circumstance {
  if (before === null) return circumstance('load', true, '/proc/loadavg does not tell');
  const isFine = before <= MOST_LOAD * cpus;
  return circumstance(
    'load',
    isFine,
    `${before} at the start on ${cpus} CPUs${isFine ? '' : ': others had the CPUs, too'}`,
  );
}

function steal(before: CpuTimes | null, after: CpuTimes | null): Circumstance {
  if (before === null || after === null || after.total <= before.total) {
    return circumstance('steal', true, '/proc/stat does not tell');
  }
  const share = (after.steal - before.steal) / (after.total - before.total);
  return circumstance(
    'steal',
    share <= MOST_STEAL,
    `${(100 * share).toFixed(2)} % of the time went to other guests`,
  );
}

/**
 * What is known of the machine that the figures come from.
 *
 * @param seen before and after the run; `spread` is null with one trial
 */
export function judgeEnvironment(
  host: Host,
  cpu: number,
  seen: { load: number | null; before: CpuTimes | null; after: CpuTimes | null; spread: Spread | null },
): Circumstance[] {
  const { current } = host.clocksource();
  const hypervisor = orNull(() => host.counter())?.hypervisor ?? null;
  const hz = orNull(() => kernelCounterHz(host));
  const { inTimeNamespace } = host.namespace();
  const { spread } = seen;
  return [
    circumstance(
      'clocksource',
      current === 'tsc',
      current === 'tsc' ? 'tsc' : `${current ?? 'not told'}: the vDSO may have to enter the kernel`,
    ),
    circumstance(
      'counter',
      hz !== null,
      hz === null
        ? "its frequency was measured: the kernel's page does not tell it"
        : `${(hz / 1e6).toFixed(3)} MHz by the kernel`,
    ),
    governor(host, cpu),
    load(seen.load, host.addon.cpuAffinity().length),
    steal(seen.before, seen.after),
    circumstance(
      'namespace',
      inTimeNamespace !== true,
      inTimeNamespace === true
        ? 'in a time namespace: every clock takes longer'
        : 'no time namespace of its own',
    ),
    circumstance(
      'hypervisor',
      true,
      hypervisor === null
        ? 'none is told'
        : `${hypervisor}: a system call and the counter may cost more than on the host`,
    ),
    circumstance(
      'rounds',
      spread === null || spread.share <= MOST_SPREAD,
      spread === null
        ? 'one trial'
        : `the medians of the trials differ by up to ${(100 * spread.share).toFixed(1)} % (${spread.subject})`,
    ),
  ];
}
