import { progressOf, type StressResult, stress, WINDOWLESS, wrongValues } from '../hazards/stressed.js';
import { kernelCounterHz, orNull } from '../host/host.js';
import { pageClock } from '../host/kernel-page.js';
import { type ReaderProtocolName, ReadingSource, type StressHazardName } from '../native/addon.js';
import { CLOCK_IDS } from '../page/posix-clocks.js';
import { formatNs, plural } from './format.js';
import type { Check, CheckContext, Evidence, EvidenceValue } from './model.js';

/** The protocols that are held to be sound. */
const SOUND: readonly ReaderProtocolName[] = ['seqlock', 'latch', 'latch-window', 'two-window'];
/** Those of them that promise readings in order, whatever the writer does to the rate. */
const ORDERED: readonly ReaderProtocolName[] = ['two-window'];
const WINDOWED = SOUND.filter((protocol) => !WINDOWLESS.includes(protocol));
/** Deaths of writers that each protocol needs. */
const LEAST_DEATHS = 2;

interface StressRun {
  protocol: ReaderProtocolName;
  hazard: StressHazardName;
  result: StressResult;
}

/** Runs `protocols` against a hazard, each with narrow and with wide arithmetic. */
async function stressAll(
  context: CheckContext,
  protocols: readonly ReaderProtocolName[],
  hazards: readonly StressHazardName[],
): Promise<StressRun[]> {
  const { host, cpus, budget, random, progress, breathe } = context;
  const runs = hazards.flatMap((hazard) =>
    protocols.flatMap((protocol) => [false, true].map((wide) => ({ hazard, protocol, wide }))),
  );
  const found = [];
  for (const { hazard, protocol, wide } of runs) {
    const amount = { milliseconds: budget.stressMs, kills: budget.kills, seed: random.next() };
    const reader = { protocol, generation: 'tagged', wide } as const;
    const result = await stress(host, reader, hazard, cpus, amount, breathe);
    found.push({ protocol, hazard, result });
    progress(found.length / runs.length);
  }
  return found;
}

function sum(results: readonly { result: StressResult }[], count: (result: StressResult) => number): number {
  return results.reduce((total, { result }) => total + count(result), 0);
}

function wrongCount(runs: readonly StressRun[]): number {
  return runs.reduce(
    (total, { protocol, hazard, result }) => total + wrongValues(result.tally, protocol, hazard),
    0,
  );
}

/** Values that are wrong, in words by how; empty if none is. */
function wrongInWords(runs: readonly StressRun[], disordered = 0): string {
  const torn = sum(runs, ({ tally }) => tally.torn);
  const missing = sum(runs, ({ tally }) => tally.missing);
  const what = [
    [torn, 'torn'],
    [missing, 'never set'],
    [wrongCount(runs) - torn - missing, 'from outside the window'],
    [disordered, 'out of order'],
  ] as const;
  return what
    .filter(([count]) => count > 0)
    .map(([count, how]) => `${plural(count, 'value')} ${how}`)
    .join(', ');
}

function byProtocol(
  results: readonly { protocol: ReaderProtocolName; result: StressResult }[],
  value: (of: readonly { result: StressResult }[]) => EvidenceValue,
): Evidence {
  const protocols = [...new Set(results.map(({ protocol }) => protocol))];
  return Object.fromEntries(
    protocols.map((name) => [name, value(results.filter(({ protocol }) => protocol === name))]),
  );
}

/** The protocols of which a value went back. */
function lagging(results: readonly { protocol: ReaderProtocolName; result: StressResult }[]): string[] {
  return SOUND.filter((name) =>
    results.some(({ protocol, result }) => protocol === name && result.tally.backwards > 0),
  );
}

function deathsOf(protocol: ReaderProtocolName, runs: readonly StressRun[]): number {
  return sum(
    runs.filter((run) => run.protocol === protocol),
    ({ tally }) => tally.kills,
  );
}

const REPORT =
  'A reader of clock pages is not to be trusted on this host: please report the evidence, with the CPU.';

const stressCheck: Check = {
  id: 'latch.stress',
  claim: "The readers of clock pages return no torn value on this host's counter, whatever the writer does",
  async run(context) {
    const results = await stressAll(context, SOUND, ['update', 'writer-killed']);
    const torn = sum(results, ({ tally }) => tally.torn + tally.missing);
    const outside = sum(
      results.filter(({ protocol }) => WINDOWED.includes(protocol)),
      ({ tally }) => tally.outside,
    );
    const values = sum(results, ({ tally }) => tally.values);
    const updates = sum(results, ({ tally }) => tally.updates);
    const kills = sum(results, ({ tally }) => tally.kills);
    const disordered = sum(
      results.filter(({ protocol }) => ORDERED.includes(protocol)),
      ({ tally }) => tally.backwards,
    );
    const worstBackNs = Math.max(...results.map(({ result }) => result.tally.worstBackNs));
    const evidence: Evidence = {
      values,
      updates,
      kills,
      killedInside: sum(results, ({ tally }) => tally.killedInside),
      retries: sum(results, ({ tally }) => tally.retries),
      refused: sum(results, ({ tally }) => tally.outOfWindow + tally.ranOut + tally.refusedOtherwise),
      torn,
      outside,
      disordered,
      backwards: byProtocol(results, (of) => sum(of, ({ tally }) => tally.backwards)),
      worstBackNs,
    };
    const bound = `${plural(values, 'value')} against ${plural(updates, 'update')} and ${plural(kills, 'killed writer')}; a torn one is missed once in 65,536`;
    const wrong = wrongInWords(results, disordered);
    if (wrong !== '') return { status: 'fail', reason: wrong, bound, evidence, advice: REPORT };
    if (values === 0 || updates === 0) {
      return {
        status: 'skip',
        reason: 'readers and writer never ran at the same time',
        bound: 'nothing was measured',
        evidence,
        advice: 'The machine is too busy: run it again when it is less so.',
      };
    }
    const alive = SOUND.map((protocol) => ({ protocol, deaths: deathsOf(protocol, results) })).find(
      ({ deaths }) => deaths < LEAST_DEATHS,
    );
    if (alive !== undefined) {
      return {
        status: 'skip',
        reason: `${plural(alive.deaths, 'writer')} of ${alive.protocol} died, of the ${LEAST_DEATHS} needed; no value was wrong`,
        bound,
        evidence,
        advice:
          'Processes could not be killed, or were too slow to start: let the sandbox of this process pass kill, or run it ' +
          'again when the machine is less busy.',
      };
    }
    const late = lagging(results);
    const word = late.length === 1 ? 'lags' : 'lag';
    const lag = late.length === 0 ? '' : `; ${late.join(' and ')} ${word} by up to ${formatNs(worstBackNs)}`;
    return { status: 'pass', reason: `4 protocols, none torn${lag}`, bound, evidence };
  },
};

const windowCheck: Check = {
  id: 'latch.window',
  claim: 'A reader with a window refuses a counter outside of it, on either side',
  async run(context) {
    const results = await stressAll(context, WINDOWED, ['window-expired', 'counter-behind']);
    const refused = sum(results, ({ tally }) => tally.outOfWindow);
    const wrong = wrongCount(results);
    const values = sum(results, ({ tally }) => tally.values);
    const evidence: Evidence = { refused, values, wrong };
    const bound = `${plural(refused + values, 'read')}, compared exactly with the window of the copy used`;
    if (wrong > 0) {
      return {
        status: 'fail',
        reason: wrongInWords(results),
        bound,
        evidence,
        advice: REPORT,
      };
    }
    if (results.some(({ result }) => result.tally.outOfWindow === 0)) {
      return {
        status: 'skip',
        reason: 'no read fell outside a window',
        bound: 'nothing was measured',
        evidence,
        advice: 'The machine is too busy: run it again when it is less so.',
      };
    }
    return {
      status: 'pass',
      reason: `${plural(refused, 'read')} refused, no value from outside`,
      bound,
      evidence,
    };
  },
};

const stallCheck: Check = {
  id: 'latch.stall',
  claim: 'While a writer stalls half-way, a latch gives values or refuses, and waits for nobody',
  async run(context) {
    const results = await stressAll(context, SOUND, ['writer-stalled']);
    const wrong = wrongCount(results);
    const latches = results.filter(({ protocol }) => protocol !== 'seqlock');
    const waiting = latches.filter(({ result }) => progressOf(result.tally) === 'waits');
    const worst = (of: readonly { result: StressResult }[], part: 'p50' | 'p999' | 'max'): number =>
      Math.max(0, ...of.map(({ result }) => result.latencyNs?.[part] ?? 0));
    const evidence: Evidence = {
      stalls: sum(results, ({ tally }) => tally.updates),
      retries: byProtocol(results, (of) => sum(of, ({ tally }) => tally.retries)),
      refused: byProtocol(results, (of) => sum(of, ({ tally }) => tally.outOfWindow)),
      longestNs: byProtocol(results, (of) => worst(of, 'max')),
      medianNs: byProtocol(results, (of) => worst(of, 'p50')),
      p999Ns: byProtocol(results, (of) => worst(of, 'p999')),
      wrong,
    };
    const bound =
      'reads begun while the writer stood, each between two fenced readings; the longest has the scheduler in it';
    if (wrong > 0 || waiting.length > 0) {
      const what = wrong > 0 ? wrongInWords(results) : `${waiting[0]?.protocol} waited for its writer`;
      return { status: 'fail', reason: what, bound, evidence, advice: REPORT };
    }
    // Latches are told from a seqlock by the seqlock's waiting: where it did not, nothing was shown of either.
    const waited = sum(
      results.filter(({ protocol }) => protocol === 'seqlock'),
      ({ tally }) => tally.waited,
    );
    if (waited === 0 || latches.some(({ result: { tally } }) => tally.reads === 0 || tally.updates === 0)) {
      return {
        status: 'skip',
        reason: 'no read met a writer that had stalled',
        bound: 'nothing was measured',
        evidence,
        advice: 'The machine is too busy: run it again when it is less so.',
      };
    }
    const median = (of: typeof results): string => formatNs(worst(of, 'p50'));
    return {
      status: 'pass',
      reason: `half of the reads take a latch ${median(latches)}, the seqlock ${median(results.filter(({ protocol }) => protocol === 'seqlock'))}`,
      bound,
      evidence,
    };
  },
};

const KERNEL_SHARE = 0.1;

const kernelCheck: Check = {
  id: 'latch.kernel',
  claim: "The vDSO's reading lies between two readings of the kernel's page by our own seqlock reader",
  async run({ host, budget, progress, breathe }) {
    const proved = host.page();
    if (orNull(() => kernelCounterHz(host)) === null) {
      return {
        status: 'skip',
        reason: 'the page does not count by the TSC',
        bound: 'nothing was measured',
        evidence: { clocksource: host.clocksource().current },
        advice: 'It runs with the clocksource tsc.',
      };
    }
    const samples = Math.ceil(KERNEL_SHARE * budget.exactSamplesPerClock);
    const none = new BigInt64Array(0);
    const clock = pageClock(proved, 'monotonic');
    const chunk = Math.min(samples, 50_000);
    const total = { samples: 0, outside: 0, outsideAcrossUpdate: 0, acrossUpdate: 0, retries: 0, worstNs: 0 };
    while (total.samples < samples) {
      const part = host.addon.bracket(
        ReadingSource.page,
        ReadingSource.vdso,
        CLOCK_IDS.monotonic,
        clock,
        chunk,
        chunk,
        none,
        none,
      );
      total.samples += part.samples;
      total.outside += part.outside;
      total.outsideAcrossUpdate += part.outsideAcrossUpdate;
      total.acrossUpdate += part.acrossUpdate;
      total.retries += part.retries;
      total.worstNs = Math.max(total.worstNs, part.worstNs);
      progress(total.samples / samples);
      await breathe();
    }
    const evidence: Evidence = { ...total };
    const bound = `${plural(total.samples, 'sample')}, compared exactly`;
    if (total.outside > 0) {
      return {
        status: 'fail',
        reason: `${plural(total.outside, 'sample')} outside, by up to ${formatNs(total.worstNs)}`,
        bound,
        evidence,
        advice: "Do not compute clocks from this kernel's page: take the vDSO, and report the evidence.",
      };
    }
    return {
      status: 'pass',
      reason: `none outside, ${plural(total.retries, 'retry').replace(/retrys$/, 'retries')}, ${plural(total.acrossUpdate, 'sample')} across an update`,
      bound,
      evidence,
    };
  },
};

export const latchChecks: readonly Check[] = [stressCheck, windowCheck, stallCheck, kernelCheck];
