import { isLatchclockError } from '../errors.js';
import type { BracketTotals } from '../host/bracket.js';
import { type Host, orNull } from '../host/host.js';
import { readKernelLog } from '../host/kernel-log.js';
import { findKernelMappings, type KernelPage, PAGE_SIZE } from '../host/kernel-mappings.js';
import { type ProvedKernelPage, pageClock, readKernelPage } from '../host/kernel-page.js';
import { readableClocks } from '../host/prove-layout.js';
import { compareLayouts, KNOWN_LAYOUTS } from '../page/kernel-layout.js';
import { ClockMode, modeName } from '../page/kernel-page.js';
import { CLOCK_IDS, PAGE_CLOCKS } from '../page/posix-clocks.js';
import { rowEvidence, takeBrackets } from './bracketing.js';
import { formatNs, formatNsRange, plural } from './format.js';
import type { Check, CheckContext, Evidence } from './model.js';
import { type Pinning, pinningRemark } from './pinning.js';

/** What the kernel's log says of max_cycles against the page; null where either does not tell. */
function kernelLogAgrees({ host }: CheckContext, proved: ProvedKernelPage): boolean | null {
  const logged = orNull(() => readKernelLog(host.files))?.tscClocksource?.maxCycles ?? null;
  const { main } = readKernelPage(host.addon, proved);
  if (logged === null || main.maxCycles === null || main.mode !== ClockMode.tsc) return null;
  return logged === main.maxCycles;
}

const layout: Check = {
  id: 'page.layout',
  claim: "The layout of the kernel's clock page is known, and proved against the clocks",
  run(context) {
    const proved = context.host.page();
    const { layout: found, proof } = proved;
    const table = KNOWN_LAYOUTS.find((known) => compareLayouts(known, found).length === 0) ?? null;
    const logAgrees = kernelLogAgrees(context, proved);
    const evidence: Evidence = {
      source: found.source,
      struct: found.struct,
      name: found.name,
      tableRow: table?.name ?? null,
      btfProblem: proved.btfProblem?.message ?? null,
      kernelLogAgrees: logAgrees,
      clocksProved: proof.clocks,
      provedBy: proof.path,
      provedByVdso: proof.byVdso,
      notProved: proof.refused,
      samplesPerClock: proof.samplesPerClock,
      refused: proved.refused,
    };
    const bound =
      proof.bracketNs === 0
        ? 'coarse clocks only, compared exactly'
        : `${proof.samplesPerClock} brackets a clock, median ${formatNs(proof.bracketNs)}`;
    if (logAgrees === false) {
      return {
        status: 'fail',
        reason: `max_cycles in the page is not what the kernel's log says`,
        bound,
        evidence,
        advice: 'The page is misread, or the clocksource was registered anew: please report the evidence.',
      };
    }
    if (found.source === 'table' && proved.btfProblem?.code !== 'ERR_FILE') {
      const why = proved.btfProblem?.what ?? 'what it says disagrees with the clocks';
      return {
        status: 'warn',
        reason: `by the table (${found.name}), although there is BTF: ${why}`,
        bound,
        evidence,
        advice:
          'The BTF file belongs to another kernel, or the kernel is patched: please report the evidence.',
      };
    }
    const agreeing = [
      found.source === 'btf' ? 'BTF' : `table (${found.name}), no BTF`,
      ...(found.source === 'btf' && table !== null ? [`table (${table.name})`] : []),
      ...(logAgrees === true ? ['kernel log'] : []),
    ];
    const alone =
      proof.byVdso.length === 0 ? '' : `, ${proof.byVdso.join(', ')} by vDSO: the system call refuses`;
    const without =
      proof.refused.length === 0
        ? ''
        : `; not ${proof.refused.map(({ clock, error }) => `${clock} (${error})`).join(', ')}`;
    const unknown = table === null ? '; a layout that the table lacks' : '';
    const by = proof.path === 'vdso' ? ' by vDSO, the system call is refused' : '';
    return {
      status: 'pass',
      reason: `struct ${found.struct} by ${agreeing.join(', ')}; ${plural(proof.clocks.length, 'clock')} proved${by}${alone}${without}${unknown}`,
      bound,
      evidence,
    };
  },
};

function exactEvidence(
  totals: readonly BracketTotals[],
  clocks: readonly string[],
  pinning: Pinning,
): Evidence {
  return {
    samplesPerClock: Math.min(...totals.map((total) => total.samples)),
    outside: totals.reduce((sum, total) => sum + total.outside, 0),
    outsideAcrossUpdate: totals.reduce((sum, total) => sum + total.outsideAcrossUpdate, 0),
    recomputed: totals.reduce((sum, total) => sum + total.recomputed, 0),
    differing: totals.flatMap((total) => total.differing),
    pinned: pinning === 'pinned',
    pinning,
    clocks: Object.fromEntries(
      totals.map((total, index) => [
        clocks[index] as string,
        {
          samples: total.samples,
          outside: total.outside,
          acrossUpdate: total.acrossUpdate,
          retries: total.retries,
          bracketNs: total.widthNs,
        },
      ]),
    ),
    rows: totals.flatMap((total, index) =>
      total.outsideRows.slice(0, 4).map((row) => ({ clock: clocks[index] as string, ...rowEvidence(row) })),
    ),
  };
}

const exact: Check = {
  id: 'page.exact',
  claim: "Each clock computed from the kernel's page lies between two readings by the vDSO",
  async run(context) {
    const { host, budget } = context;
    const proved = host.page();
    const snapshot = readKernelPage(host.addon, proved);
    if (snapshot.main.mode !== ClockMode.tsc) {
      return {
        status: 'skip',
        reason: `the page's mode is ${modeName(snapshot.main.mode)}: its clocks do not follow the TSC`,
        bound: 'nothing was measured',
        evidence: { mode: snapshot.main.mode, clocksource: host.clocksource().current },
        advice: 'It runs with the clocksource tsc.',
      };
    }
    // Without a vDSO there is no bracket: this says why there is none, where a read could not.
    if (host.addon.vdsoBase() === null) host.vdso();
    const clocks = readableClocks(snapshot, proved.proof);
    const requests = clocks.map((clock) => ({
      outer: 'vdso' as const,
      inner: 'page' as const,
      clockId: CLOCK_IDS[clock],
      page: pageClock(proved, clock),
    }));
    const { totals, pinning } = await takeBrackets(context, requests, budget.exactSamplesPerClock);
    const evidence = exactEvidence(totals, clocks, pinning);
    const widths = totals
      .filter(({ request }) => request.page?.coarse === false)
      .map(({ widthNs }) => widthNs);
    const bound = `median brackets of ${formatNsRange(widths)}, coarse clocks compared exactly${pinningRemark(pinning)}`;
    const outside = totals.reduce((sum, total) => sum + total.outside, 0);
    const differing = totals.flatMap((total) => total.differing);
    const samples = totals[0]?.samples ?? 0;
    if (differing.length > 0) {
      return {
        status: 'fail',
        reason: `the native reader is wrong: ${differing[0]}`,
        bound,
        evidence,
        advice: 'A fault of latchclock, not of this host: please report it with the evidence.',
      };
    }
    if (outside > 0) {
      const worst = Math.max(...totals.map((total) => total.worstNs));
      return {
        status: 'fail',
        reason: `${plural(outside, 'sample')} outside, by up to ${formatNs(worst)}`,
        bound,
        evidence,
        advice:
          'The page does not give what the vDSO gives: a counter that differs between CPUs, or a hypervisor that ' +
          'changes it, shows like this. Compare runs with --cpus.',
      };
    }
    const acrossUpdate = totals.reduce((sum, total) => sum + total.outsideAcrossUpdate, 0);
    if (acrossUpdate > 0) {
      const worst = Math.max(...totals.map((total) => total.worstNs));
      return {
        status: 'warn',
        reason: `${plural(acrossUpdate, 'sample')} outside by up to ${formatNs(worst)}, only across an update`,
        bound,
        evidence,
        advice:
          'Clocks went back as the kernel changed their rate: run again when the time daemon has settled.',
      };
    }
    return {
      status: 'pass',
      reason: `${plural(clocks.length, 'clock')}, ${plural(samples, 'sample')} each, none outside`,
      bound,
      evidence,
    };
  },
};

const namespaceCheck: Check = {
  id: 'page.namespace',
  claim: 'The page and /proc agree on the time namespace and its offsets',
  run({ host }) {
    const proved = host.page();
    const told = host.namespace();
    const { monotonic, boottime } = proved.namespaceNs;
    const evidence: Evidence = {
      inTimeNamespace: proved.inTimeNamespace,
      toldByProc: told.inTimeNamespace,
      page: proved.page.index,
      pageOffsetsNs: { monotonic, boottime },
      procOffsetsNs: told.offsets === null ? null : { ...told.offsets },
      procOffsetsForChildrenNs: told.childrenOffsets === null ? null : { ...told.childrenOffsets },
    };
    const bound =
      told.childrenOffsets === null
        ? 'offsets compared to the nanosecond'
        : 'in or out of a namespace compared; /proc tells the offsets for children only';
    const disagreements = [
      told.inTimeNamespace !== null && told.inTimeNamespace !== proved.inTimeNamespace
        ? `the page says ${proved.inTimeNamespace ? 'in' : 'not in'} a time namespace, /proc the opposite`
        : null,
      told.offsets !== null && told.offsets.monotonicNs !== monotonic
        ? `monotonic is offset by ${monotonic} ns in the page, by ${told.offsets.monotonicNs} ns in /proc`
        : null,
      told.offsets !== null && told.offsets.boottimeNs !== boottime
        ? `boottime is offset by ${boottime} ns in the page, by ${told.offsets.boottimeNs} ns in /proc`
        : null,
      PAGE_CLOCKS.some((clock) => /^(realtime|tai)/.test(clock) && proved.namespaceNs[clock] !== 0n)
        ? 'a realtime clock has an offset'
        : null,
    ].filter((line) => line !== null);
    if (disagreements.length > 0) {
      return {
        status: 'fail',
        reason: disagreements[0] as string,
        bound,
        evidence,
        advice:
          'Clocks read by vDSO and by system call differ in this process: please report kernel and evidence.',
      };
    }
    const reason = proved.inTimeNamespace
      ? `in one: monotonic ${offsetSeconds(monotonic)}, boottime ${offsetSeconds(boottime)}, real page ${proved.page.index}`
      : 'in the initial namespace, no offsets';
    const unheard = told.inTimeNamespace === null ? ' (by the page alone: /proc does not tell)' : '';
    const { childrenOffsets } = told;
    const children =
      childrenOffsets === null
        ? ''
        : `; for children: monotonic ${offsetSeconds(childrenOffsets.monotonicNs)}, boottime ${offsetSeconds(childrenOffsets.boottimeNs)}`;
    return { status: 'pass', reason: `${reason}${unheard}${children}`, bound, evidence };
  },
};

function offsetSeconds(ns: bigint): string {
  return `${ns < 0n ? '' : '+'}${Number(ns) / 1e9} s`;
}

const faults: Check = {
  id: 'page.faults',
  claim:
    'Pages of the kernel that must not be readable here give an error, no signal; the clock page is readable',
  run({ host }) {
    const { pages } = findKernelMappings(host.addon, host.files);
    const proved = orNull(() => host.page());
    const states = pages.map((page) => ({ ...page, state: pageState(host.addon.copyMemory, page) }));
    const evidence: Evidence = {
      pages: states.map(({ region, index, state }) => ({ region, index, state })),
    };
    const bound = 'each page was read once, through the kernel';
    const readable = states.filter(({ state }) => state === 'readable');
    if (readable.length === 0) {
      return {
        status: 'skip',
        reason: pages.length === 0 ? 'the process has no [vvar] pages of the kernel' : 'no page can be read',
        bound,
        evidence,
        advice: `The kernel's own pages are looked for: ${noPagesRemedy(host)}.`,
      };
    }
    // The page of time namespaces: readable in one only, and then in the place of the first.
    const namespacePage =
      proved === null ? undefined : states.find((page) => isNamespacePage(page, proved.layout.main.seq));
    if (proved !== null && namespacePage !== undefined) {
      const open = namespacePage.state === 'readable';
      if (open !== proved.inTimeNamespace) {
        return {
          status: 'warn',
          reason: `the time namespace's page ${open ? 'is' : 'is not'} readable ${proved.inTimeNamespace ? 'in' : 'outside'} a namespace`,
          bound,
          evidence,
          advice:
            'This kernel maps its pages in a way that is new to latchclock: please report the evidence.',
        };
      }
    }
    return {
      status: 'pass',
      reason: `${readable.length} of ${plural(states.length, 'page')} readable, the others give EFAULT`,
      bound,
      evidence,
    };
  },
};

/** What lets a process have the kernel's pages that has none, or cannot read them. */
function noPagesRemedy(host: Host): string {
  try {
    host.page();
  } catch (error) {
    if (isLatchclockError(error)) return error.todo ?? error.what;
    throw error;
  }
  return 'the clock page was there a moment ago';
}

/** On kernels up to 6.12 (clock data 128 bytes in) the fourth page of [vvar], the second on newer ones. */
function isNamespacePage({ region, index }: KernelPage, seqOffset: number): boolean {
  return region === '[vvar]' && index === (seqOffset >= 128 ? 3 : 1);
}

function pageState(copy: (address: bigint, length: number) => Uint8Array, page: KernelPage): string {
  try {
    copy(page.address, PAGE_SIZE);
    return 'readable';
  } catch (error) {
    if (isLatchclockError(error, 'ERR_MEMORY_FAULT')) return 'faults';
    throw error;
  }
}

export const pageChecks: readonly Check[] = [layout, exact, namespaceCheck, faults];
