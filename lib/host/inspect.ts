import { LatchclockError } from '../errors.js';
import type { FoundLeapTable } from '../leap/find.js';
import type { Adjtimex } from '../native/addon.js';
import { CounterMethod } from '../native/addon.js';
import { type KernelPageSnapshot, kernelSegment, modeName } from '../page/kernel-page.js';
import { pvclockHz } from '../page/pvclock.js';
import { evaluate } from '../page/segment.js';
import type { ClocksourceFacts } from './clocksource.js';
import type { CounterFacts } from './counter-facts.js';
import type { VdsoElf } from './elf.js';
import { type Host, type HostSummary, orNull, summarizeHost } from './host.js';
import type { KernelPage } from './kernel-mappings.js';
import { type ProvedKernelPage, readKernelPage } from './kernel-page.js';
import { leapTableOf } from './leap-table.js';
import { readableClocks } from './prove-layout.js';
import { openPtpClocks } from './ptp.js';
import { readPvclockPage } from './pvclock-page.js';
import type { TimeNamespaceFacts } from './time-namespace.js';

/** What could be read, or why it could not: the message of the LatchclockError. */
export type Found<T> = { value: T; problem: null } | { value: null; problem: string };

/** The kernel's page as it is now. */
export interface PageInspection {
  proved: ProvedKernelPage;
  page: KernelPage;
  snapshot: KernelPageSnapshot;
  modeName: string;
  /** Value of each clock at `cycles`, nanoseconds: those that the page can give under its mode. */
  cycles: bigint;
  values: Record<string, bigint>;
}

/** All that a host tells about its clocks, read once. */
export interface Inspection {
  host: HostSummary;
  counterState: 'enabled' | 'disabled' | 'unknown';
  counter: Found<CounterFacts>;
  /** The counter's frequency by the hypervisor's pvclock page, Hz; null where the kernel maps none. */
  pvclockHz: number | null;
  clocksource: ClocksourceFacts;
  vdso: Found<{ base: bigint; size: number; elf: VdsoElf }>;
  page: Found<PageInspection>;
  namespace: TimeNamespaceFacts;
  discipline: Found<Adjtimex>;
  ptp: { clocks: string[]; refused: { name: string; errno: string }[] };
  leapTable: Found<FoundLeapTable>;
}

function found<T>(read: () => T): Found<T> {
  try {
    return { value: read(), problem: null };
  } catch (error) {
    if (error instanceof LatchclockError) return { value: null, problem: error.message };
    throw error;
  }
}

function inspectPage(host: Host): PageInspection {
  const proved = host.page();
  const snapshot = readKernelPage(host.addon, proved);
  const cycles = host.addon.readCounter(CounterMethod['lfence-rdtsc']);
  const values = Object.fromEntries(
    readableClocks(snapshot, proved.proof).map((clock) => [
      clock,
      evaluate(kernelSegment(snapshot, clock), cycles),
    ]),
  );
  return { proved, page: proved.page, snapshot, modeName: modeName(snapshot.main.mode), cycles, values };
}

/** Reads what a host tells about its clocks. What cannot be read says why; nothing is thrown for it. */
export function inspectHost(host: Host): Inspection {
  const ptp = openPtpClocks();
  ptp.close();
  return {
    host: summarizeHost(host),
    counterState: host.addon.counterState(),
    counter: found(() => host.counter()),
    pvclockHz: orNull(() => pvclockHz(readPvclockPage(host.addon, host.files, host.page()))),
    clocksource: host.clocksource(),
    vdso: found(() => host.vdso()),
    page: found(() => inspectPage(host)),
    namespace: host.namespace(),
    discipline: found(() => host.addon.adjtimex()),
    ptp: { clocks: ptp.clocks.map(({ name }) => name), refused: ptp.refused },
    leapTable: found(() => leapTableOf(host.files)),
  };
}
