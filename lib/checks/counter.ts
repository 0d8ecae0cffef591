import { type CounterDoubt, isDecisive, mostTelling } from '../host/counter-doubts.js';
import { isReference, measureFrequency, takeAnchor } from '../host/frequency.js';
import { kernelCounterHz, orNull } from '../host/host.js';
import { readKernelLog } from '../host/kernel-log.js';
import { readKernelPage } from '../host/kernel-page.js';
import { readPvclockPage } from '../host/pvclock-page.js';
import { pvclockHz } from '../page/pvclock.js';
import { ppmBetween } from '../units.js';
import {
  adviseAgainstTsc,
  adviseOnDoubt,
  adviseOnHiddenInvariance,
  quotedLine,
} from './clocksource-advice.js';
import { formatHz, formatPpm } from './format.js';
import type { Check, CheckContext, Evidence, Verdict } from './model.js';
import { noReference } from './reference.js';

/** A line that says nothing against this counter's rate. */
function isHarmless(doubt: CounterDoubt, hypervisor: string | null): boolean {
  // HWCR is a register of AMD's processors that hypervisors do not emulate: a guest reads zero in it.
  if (isOfHwcr(doubt)) return hypervisor !== null;
  return doubt.kind === 'adjusted' || (doubt.kind === 'read-back' && !isDecisive(doubt));
}

function isOfHwcr({ line }: CounterDoubt): boolean {
  return line.includes('P0 frequency');
}

/** The most telling of the kernel's doubts, those against the counter's rate first, as the reason quotes it. */
function describeDoubts(doubts: readonly CounterDoubt[], hypervisor: string | null) {
  const serious = mostTelling(doubts.filter((doubt) => !isHarmless(doubt, hypervisor)));
  const told = serious ?? mostTelling(doubts);
  if (told === null) return { serious: null, said: '' };
  const meant =
    serious !== null
      ? ''
      : isOfHwcr(told)
        ? `, of a register (HWCR) that ${hypervisor} does not emulate`
        : told.kind === 'adjusted'
          ? ', and set it right'
          : ', when it was busy';
  return { serious, said: `; the kernel's log says ${quotedLine(told)}${meant}` };
}

const invariant: Check = {
  id: 'counter.invariant',
  claim: 'The counter runs at one rate in every power state',
  run({ host }) {
    const facts = host.counter();
    const clocksource = host.clocksource();
    const { current, bootParameters } = clocksource;
    const log = orNull(() => readKernelLog(host.files));
    const { serious, said } = describeDoubts(log?.doubts ?? [], facts.hypervisor);
    const evidence: Evidence = {
      invariant: facts.invariant,
      tscAdjust: facts.tscAdjust,
      rdtscp: facts.rdtscp,
      hypervisor: facts.hypervisor,
      clocksource: current,
      bootParameters,
      kernelDoubts: log === null ? null : log.doubts.map(({ line }) => line),
    };
    const bound = 'what CPUID leaf 0x80000007 and the kernel say; nothing was timed';
    const source = `clocksource ${current ?? 'not told'}`;
    if (facts.invariant) {
      const shared = { reason: `CPUID announces it; ${source}${said}`, bound, evidence };
      return serious === null
        ? { ...shared, status: 'pass' }
        : { ...shared, status: 'warn', advice: adviseOnDoubt(serious) };
    }
    const reason = `CPUID does not announce it; ${source}${said}`;
    if (facts.hypervisor !== null) {
      return { status: 'warn', reason, bound, evidence, advice: adviseOnHiddenInvariance(clocksource) };
    }
    return {
      status: 'fail',
      reason,
      bound,
      evidence,
      advice: `Time kept by this counter drifts with frequency and sleep states. ${adviseAgainstTsc(clocksource)}`,
    };
  },
};

/** A frequency that somebody declares, against the one in force. */
export interface Declared {
  by: string;
  hz: number;
}

/** What CPUID, the hypervisor and the kernel's log declare, in that order. */
export function declaredFrequencies({ host }: Pick<CheckContext, 'host'>): Declared[] {
  const facts = orNull(() => host.counter());
  const declared: Declared[] = [];
  if (facts?.crystalHz != null) declared.push({ by: 'CPUID leaf 0x15', hz: Number(facts.crystalHz) });
  if (facts?.hypervisorTscKhz != null) declared.push({ by: 'hypervisor', hz: facts.hypervisorTscKhz * 1000 });
  const pvclock = orNull(() => readPvclockPage(host.addon, host.files, host.page()));
  if (pvclock !== null) declared.push({ by: 'pvclock page', hz: pvclockHz(pvclock) });
  const logMhz = orNull(() => readKernelLog(host.files))?.tscMhz ?? null;
  if (logMhz !== null) declared.push({ by: 'kernel log', hz: logMhz * 1e6 });
  return declared;
}

// More than NTP can correct: adjtimex(2) takes at most 500 ppm either way.
const NTP_LIMIT_PPM = 500;

/** The correction in force: how much faster the kernel runs monotonic than monotonic-raw, ppm. */
function correctionPpm({ host }: CheckContext): number | null {
  return orNull(() => {
    const { main, raw } = readKernelPage(host.addon, host.page());
    return ppmBetween(Number(main.mult), Number(raw.mult));
  });
}

/** What the kernel cannot know better than: its mult is a whole number. */
function multStepPpm({ host }: CheckContext): number {
  return orNull(() => 1e6 / Number(readKernelPage(host.addon, host.page()).raw.mult)) ?? 0;
}

const frequency: Check = {
  id: 'counter.frequency',
  claim: 'CPUID, the hypervisor, the kernel and measurement agree on the frequency of the counter',
  last: true,
  async run(context) {
    const { host, budget, monitor, breathe, progress } = context;
    // The first reading of a run, so that the whole run lies between the two; where that failed, throw the reason.
    const first = monitor.observations[0]?.anchor ?? takeAnchor(host.addon);
    if (!isReference(first)) return noReference(first.stepNs);
    const spanOf = (): number => Number(takeAnchor(host.addon).ns - first.ns) / 1e6;
    for (let span = spanOf(); span < budget.frequencySpanMs; span = spanOf()) {
      progress(span / budget.frequencySpanMs);
      await breathe(Math.min(50, budget.frequencySpanMs - span + 1));
    }
    const last = takeAnchor(host.addon);
    if (!isReference(last)) return noReference(last.stepNs);
    const measured = measureFrequency(first, last);
    const kernelHz = kernelCounterHz(host);
    const declared = declaredFrequencies(context);
    // Without a kernel that counts by the TSC, monotonic-raw is another counter's: the comparison is then with
    // what CPUID or the hypervisor declare.
    const reference = kernelHz ?? declared[0]?.hz ?? null;
    const correction = correctionPpm(context);
    const against = reference === null ? null : ppmBetween(measured.hz, reference);
    const declaredPpm = declared.map(({ by, hz }) => ({
      by,
      hz,
      ppm: ppmBetween(hz, kernelHz ?? measured.hz),
    }));
    const evidence: Evidence = {
      kernelHz,
      measuredHz: measured.hz,
      measuredPpm: against,
      boundPpm: measured.boundPpm,
      spanNs: measured.spanNs,
      declared: declaredPpm,
      correctionPpm: correction,
    };
    // Under a TSC clocksource monotonic-raw counts by this very counter: what is measured then is the kernel's
    // arithmetic; whether the rate itself is right, the declared frequencies and NTP's correction tell.
    const bound =
      `measured to ±${formatPpm(measured.boundPpm)} over ${(Number(measured.spanNs) / 1e9).toFixed(1)} s against monotonic-raw` +
      (kernelHz === null ? '' : ', which counts by it');
    if (reference === null || against === null) {
      return {
        status: 'skip',
        reason: `measured ${formatHz(measured.hz)}, but nobody declares a frequency`,
        bound,
        evidence,
        advice: 'With a TSC clocksource, or with CPUID leaf 0x15, there is something to compare with.',
      };
    }
    const others = declaredPpm.map(({ by, ppm }) => `, ${by} ${formatPpm(ppm, true)}`).join('');
    const seen = `${formatHz(reference)}; measured ${formatPpm(against, true)}${others}`;
    // A reference that was only declared is good to NTP's limit; the kernel's own mult defines monotonic-raw.
    const tolerance = measured.boundPpm + (kernelHz === null ? NTP_LIMIT_PPM : 0);
    if (Math.abs(against) > tolerance) {
      return {
        status: 'fail',
        reason: `${seen}, outside the bound`,
        bound,
        evidence,
        advice:
          'The counter does not run as the kernel reckons. After a migration or a suspended host that is a counter ' +
          `with another rate: restart the machine. ${adviseAgainstTsc(host.clocksource())}`,
      };
    }
    // Compared with the kernel's figure, or else with the measured one.
    const known = kernelHz === null ? measured.boundPpm : multStepPpm(context);
    const wrong = declaredPpm.filter(({ ppm }) => Math.abs(ppm) > NTP_LIMIT_PPM + known);
    if (wrong.length > 0) {
      return {
        status: 'warn',
        reason: `${seen}: ${wrong.map(({ by }) => by).join(', ')} ${wrong.length === 1 ? 'is' : 'are'} off`,
        bound,
        evidence,
        advice:
          'What is declared differs by more than NTP can correct: programs that take the frequency from there will ' +
          "drift. Trust the kernel's figure.",
      };
    }
    if (correction !== null && Math.abs(correction) >= NTP_LIMIT_PPM) {
      return {
        status: 'warn',
        reason: `${seen}; clock corrected by ${formatPpm(correction, true)}`,
        bound,
        evidence,
        advice: "The time daemon is at its limit, or slewing: look at 'chronyc tracking' or 'ntpq -c rv'.",
      };
    }
    return { status: 'pass', reason: seen, bound, evidence } satisfies Verdict;
  },
};

export const counterChecks: readonly Check[] = [invariant, frequency];
