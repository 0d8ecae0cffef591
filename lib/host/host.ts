import { hostname, release } from 'node:os';
import { LatchclockError } from '../errors.js';
import type { Addon } from '../native/addon.js';
import { getAddon } from '../native/load.js';
import { ClockMode } from '../page/kernel-page.js';
import { frequencyHz } from '../page/segment.js';
import { askFirst } from './ask-first.js';
import { type ClocksourceFacts, readClocksourceFacts } from './clocksource.js';
import { type CounterFacts, readCounterFacts } from './counter-facts.js';
import { type HostFiles, machineFiles } from './files.js';
import { findKernelPage, type ProvedKernelPage, readKernelPage } from './kernel-page.js';
import { machineIdHash } from './machine-id.js';
import { readTimeNamespaceFacts, type TimeNamespaceFacts } from './time-namespace.js';
import { readVdso, type VdsoImage } from './vdso.js';
import { examineVdsoText, type VdsoText } from './vdso-text.js';

/**
 * The running machine. What does not change while a process lives is read once, on first use; a failure is
 * remembered and thrown again. The clocksource is read each time: a kernel gives one up when it finds it false.
 * Every function throws LatchclockError only.
 */
export interface Host {
  readonly addon: Addon;
  readonly files: HostFiles;
  counter(): CounterFacts;
  clocksource(): ClocksourceFacts;
  namespace(): TimeNamespaceFacts;
  vdso(): VdsoImage;
  vdsoText(): VdsoText;
  page(): ProvedKernelPage;
}

function once<T>(read: () => T): () => T {
  let outcome: { value: T } | { error: unknown } | undefined;
  return () => {
    if (outcome === undefined) {
      try {
        outcome = { value: read() };
      } catch (error) {
        outcome = { error };
      }
    }
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  };
}

/** The machine that `addon` and `files` belong to. */
export function openHost(addon: Addon, files: HostFiles): Host {
  const vdso = once(() => readVdso(addon, files));
  return {
    addon,
    files,
    counter: once(() => readCounterFacts(addon)),
    clocksource: () => readClocksourceFacts(files),
    namespace: once(() => readTimeNamespaceFacts(files)),
    vdso,
    vdsoText: once(() => examineVdsoText(addon, files, vdso())),
    page: once(() => findKernelPage(addon, files)),
  };
}

/** `read()`, or null where it throws a LatchclockError. */
export function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof LatchclockError) return null;
    throw error;
  }
}

/** The counter's frequency by the kernel's uncorrected mult and shift, Hz; null where the page does not tell. */
export function kernelCounterHz(host: Host): number | null {
  const page = orNull(() => host.page());
  if (page === null) return null;
  const { raw } = readKernelPage(host.addon, page);
  return raw.mode === ClockMode.tsc ? frequencyHz(raw) : null;
}

/** The `host` block of every JSON output. */
export interface HostSummary {
  /** Null where the user wants it left out. */
  hostname: string | null;
  /** Of `/etc/machine-id`, hashed for this package alone; null where there is none. */
  machineIdHash: string | null;
  kernel: string;
  arch: string;
  cpuModel: string;
  /** CPUs that this process may run on. */
  cpus: number;
  hypervisor: string | null;
  clocksource: { current: string | null; available: string[] };
  counter: { hz: string | null; invariant: boolean | null };
  timeNamespace: boolean | null;
  privileged: boolean;
}

export function summarizeHost(host: Host): HostSummary {
  const counter = orNull(() => host.counter());
  const page = orNull(() => host.page());
  const { current, available } = host.clocksource();
  const hz = orNull(() => kernelCounterHz(host));
  return {
    hostname: hostname(),
    machineIdHash: machineIdHash(host.files),
    kernel: release(),
    arch: process.arch,
    cpuModel: counter?.cpuModel ?? 'unknown',
    cpus: host.addon.cpuAffinity().length,
    hypervisor: counter?.hypervisor ?? null,
    clocksource: { current, available },
    counter: { hz: hz === null ? null : String(Math.round(hz)), invariant: counter?.invariant ?? null },
    timeNamespace: page?.inTimeNamespace ?? host.namespace().inTimeNamespace,
    privileged: process.geteuid?.() === 0,
  };
}

/**
 * The machine that this process runs on. Calls that a seccomp filter of the calling thread kills for are not made: see
 * {@link askFirst}.
 *
 * @throws LatchclockError `ERR_UNSUPPORTED_PLATFORM` off x86-64 Linux, `ERR_ADDON_MISSING` where the addon is not
 *   built
 */
export function openMachine(): Host {
  return openHost(askFirst(getAddon(), machineFiles), machineFiles);
}
