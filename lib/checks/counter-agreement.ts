import { measureFrequency } from '../host/frequency.js';
import { kernelCounterHz, orNull } from '../host/host.js';
import { CounterMethod, type CounterOffset, LockStepSource } from '../native/addon.js';
import { wrapU64 } from '../units.js';
import { onEachCpu } from './bracketing.js';
import { adviseAgainstTsc } from './clocksource-advice.js';
import { cpuPairs, needsTwoCpus } from './cpu-pairs.js';
import { formatCount, formatNs, plural } from './format.js';
import type { Check, CheckContext, Evidence, Verdict } from './model.js';

/** Cycles as nanoseconds for people, where the counter's frequency is known; else as cycles. */
function formatCycles({ host }: CheckContext, cycles: number): string {
  const hz = orNull(() => kernelCounterHz(host));
  return hz === null
    ? `${formatCount(cycles)} cycles`
    : `${formatCount(cycles)} cycles (${formatNs((cycles / hz) * 1e9)})`;
}

const CHUNK = 50_000;

/** Readings in bulk on each CPU, a chunk at a time; `use` gets the unsigned readings of a chunk. */
async function readInChunks(
  context: CheckContext,
  method: keyof typeof CounterMethod,
  readsPerCpu: number,
  use: (cycles: readonly bigint[]) => void,
): Promise<void> {
  const chunk = new BigInt64Array(CHUNK);
  await onEachCpu(context, async () => {
    for (let left = readsPerCpu; left > 0; left -= CHUNK) {
      const part = chunk.subarray(0, Math.min(CHUNK, left));
      context.host.addon.readCounters(CounterMethod[method], part);
      use(Array.from(part, wrapU64));
      await context.breathe();
    }
  });
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  let [larger, smaller] = [a, b];
  while (smaller !== 0n) [larger, smaller] = [smaller, larger % smaller];
  return larger;
}

/** The step that all differences of successive readings are multiples of, cycles; 0 if none of them moved. */
function stepOf(cycles: readonly bigint[]): bigint {
  let divisor = 0n;
  for (let i = 1; i < cycles.length; i++) {
    const step = (cycles[i] as bigint) - (cycles[i - 1] as bigint);
    if (step > 0n) divisor = greatestCommonDivisor(divisor, step);
  }
  return divisor;
}

const COARSE_STEP_NS = 1_000;

/** The counter's frequency over the run so far, Hz; null where it was not observed twice. */
function measuredHz({ monitor: { observations } }: CheckContext): number | null {
  const [first, last] = [observations[0], observations.at(-1)];
  if (first === undefined || last === undefined || first === last) return null;
  return measureFrequency(first.anchor, last.anchor).hz;
}

const granularity: Check = {
  id: 'counter.granularity',
  claim: 'The counter moves in steps of less than a microsecond, and is read in less',
  async run(context) {
    let divisor = 0n;
    let smallest: bigint | null = null;
    let reads = 0;
    await readInChunks(context, 'lfence-rdtsc', context.budget.counterReadsPerCpu, (cycles) => {
      reads += cycles.length;
      divisor = greatestCommonDivisor(divisor, stepOf(cycles));
      for (let i = 1; i < cycles.length; i++) {
        const step = (cycles[i] as bigint) - (cycles[i - 1] as bigint);
        if (step > 0n && (smallest === null || step < smallest)) smallest = step;
      }
    });
    const step = Number(divisor);
    const smallestSeen = Number(smallest ?? 0n);
    const hz = orNull(() => kernelCounterHz(context.host)) ?? measuredHz(context);
    const evidence: Evidence = { stepCycles: divisor, smallestSeenCycles: smallest, reads };
    const bound = `greatest common divisor of all steps in ${plural(reads, 'reading')}`;
    const reason = `steps of ${formatCycles(context, step)}`;
    if (smallest === null) {
      return {
        status: 'fail',
        reason: 'the counter stands still',
        bound,
        evidence,
        advice: 'It is emulated, and badly: no clock can be kept by it. Ask the hypervisor for the TSC.',
      };
    }
    // Two readings are no closer than one takes: a trapped instruction takes microseconds.
    if (hz !== null && (Math.max(step, smallestSeen) / hz) * 1e9 > COARSE_STEP_NS) {
      return {
        status: 'warn',
        reason,
        bound,
        evidence,
        advice:
          'The counter is emulated or trapped: every clock of this host is as coarse. Ask the hypervisor for the TSC.',
      };
    }
    return { status: 'pass', reason, bound, evidence };
  },
};

/** Steps back among readings, and the largest. */
interface Backwards {
  reads: number;
  count: number;
  worstCycles: bigint;
}

async function countBackwards(context: CheckContext, method: keyof typeof CounterMethod): Promise<Backwards> {
  const found: Backwards = { reads: 0, count: 0, worstCycles: 0n };
  await readInChunks(context, method, context.budget.counterReadsPerCpu, (cycles) => {
    found.reads += cycles.length;
    for (let i = 1; i < cycles.length; i++) {
      const back = (cycles[i - 1] as bigint) - (cycles[i] as bigint);
      if (back <= 0n) continue;
      found.count++;
      if (back > found.worstCycles) found.worstCycles = back;
    }
  });
  return found;
}

const order: Check = {
  id: 'counter.order',
  claim: 'Fenced readings of the counter in one thread never go back',
  async run(context) {
    const fenced = await countBackwards(context, 'lfence-rdtsc');
    const unfenced = await countBackwards(context, 'rdtsc');
    const evidence: Evidence = {
      fenced: { ...fenced },
      unfenced: { ...unfenced },
    };
    const bound = `${plural(fenced.reads, 'reading')} of each kind on ${plural(context.cpus.length, 'CPU')}, compared exactly`;
    const unfencedSeen = `unfenced ones ${unfenced.count === 0 ? 'did not either' : `did ${plural(unfenced.count, 'time')}`}`;
    if (fenced.count > 0) {
      return {
        status: 'fail',
        reason: `went back ${plural(fenced.count, 'time')}, by up to ${formatCycles(context, Number(fenced.worstCycles))}`,
        bound,
        evidence,
        advice:
          'The counter jumps within a CPU, or lfence does not serialise: no clock built on it is monotonic. Report it to ' +
          `the vendor of the CPU or hypervisor. ${adviseAgainstTsc(context.host.clocksource())}`,
      };
    }
    return { status: 'pass', reason: `never went back; ${unfencedSeen}`, bound, evidence };
  },
};

/** What counters that are not in step mean, and what to do. */
function adviseOnUnsynchronised({ host }: CheckContext): string {
  return (
    'Clocks go back when a thread moves between these CPUs. Update the firmware; restored or migrated machines may ' +
    `need a restart. ${adviseAgainstTsc(host.clocksource())}`
  );
}

/** What is said where no reading could be compared between CPUs. */
function neverTogether(evidence: Evidence): Verdict {
  return {
    status: 'skip',
    reason: 'two CPUs never ran at the same time',
    bound: 'nothing was measured',
    evidence,
    advice: 'The machine is too busy: run it again when it is less so.',
  };
}

// Short enough that Ctrl-C is answered, long against starting two threads.
const LOCK_STEP_READS = 250_000;
const LOCK_STEP_CYCLES = 400_000_000;

const warp: Check = {
  id: 'counter.warp',
  claim: 'No CPU reads a counter below what another CPU has just read',
  async run(context) {
    const { host, cpus, budget, random, progress, breathe } = context;
    if (cpus.length < 2) return needsTwoCpus(cpus);
    const pairs = random.shuffle(cpuPairs(cpus));
    const readsPerPair = Math.max(2_000, Math.ceil(budget.warpReads / pairs.length));
    let [reads, handOvers, backwards, worst, done] = [0, 0, 0, 0, 0];
    const warped: [number, number][] = [];
    for (const pair of pairs) {
      let ofPair = 0;
      let warpedHere = false;
      while (ofPair < readsPerPair) {
        const perThread = Math.min(LOCK_STEP_READS, Math.ceil((readsPerPair - ofPair) / 2));
        const tally = host.addon.lockStep(
          LockStepSource.counter,
          0,
          null,
          Uint32Array.from(pair),
          perThread,
          LOCK_STEP_CYCLES,
        );
        ofPair += tally.reads;
        reads += tally.reads;
        handOvers += tally.handOvers;
        backwards += tally.backwards;
        worst = Math.max(worst, tally.worst);
        warpedHere ||= tally.backwards > 0;
        progress((done + ofPair / readsPerPair) / pairs.length);
        await breathe();
      }
      if (warpedHere) warped.push(pair);
      done++;
    }
    const evidence: Evidence = {
      reads,
      backwards,
      worstCycles: worst,
      handOvers,
      pairs: pairs.length,
      warped,
    };
    const bound = `${plural(handOvers, 'hand-over')} between CPUs, compared exactly`;
    if (handOvers === 0) return neverTogether(evidence);
    if (backwards > 0) {
      return {
        status: 'fail',
        reason: `went back ${plural(backwards, 'time')} by up to ${formatCycles(context, worst)} between CPUs ${warped.map((pair) => pair.join(' and ')).join(', ')}`,
        bound,
        evidence,
        advice: adviseOnUnsynchronised(context),
      };
    }
    return {
      status: 'pass',
      reason: `${plural(pairs.length, 'pair')} of CPUs, ${plural(reads, 'reading')} in lock step, none back`,
      bound,
      evidence,
    };
  },
};

const PING_PONG_ROUNDS = 100_000;
const PING_PONG_CYCLES = 200_000_000;

// A hundred times what ping-pong takes across sockets.
const LOOSE_BOUND_NS = 50_000;

interface PairOffset {
  pair: [number, number];
  offset: CounterOffset;
}

async function boundOffsets(context: CheckContext, step: bigint): Promise<PairOffset[]> {
  const { host, cpus, budget, random, progress, breathe } = context;
  const pairs = cpuPairs(cpus);
  const roundsPerPair = Math.max(200, Math.ceil(budget.pingPongRounds / pairs.length));
  const found: PairOffset[] = [];
  for (const pair of random.shuffle(pairs)) {
    let offset: CounterOffset | null = null;
    for (let left = roundsPerPair; left > 0; left -= PING_PONG_ROUNDS) {
      const part = host.addon.pingPong(...pair, Math.min(PING_PONG_ROUNDS, left), PING_PONG_CYCLES);
      offset = offset === null ? part : intersect(offset, part);
      await breathe();
    }
    if (offset !== null) found.push({ pair, offset: widenByStep(offset, step) });
    progress(found.length / pairs.length);
  }
  return found;
}

const STEP_BURSTS = 8;
const STEP_BURST_READS = 1_000;

/**
 * The step of the counter, cycles, by short bursts: a virtual CPU that moves to another core of its host between two
 * readings gets another phase of the steps, which spoils the burst that it falls into only.
 */
function counterStep({ host: { addon } }: CheckContext): bigint {
  const burst = new BigInt64Array(STEP_BURST_READS);
  let step = 1n;
  for (let i = 0; i < STEP_BURSTS; i++) {
    addon.readCounters(CounterMethod['lfence-rdtsc'], burst);
    const ofBurst = stepOf(Array.from(burst, wrapU64));
    if (ofBurst > step) step = ofBurst;
  }
  return step;
}

/**
 * What ping-pong tells of a counter that moves in steps: a reading is up to a step less one cycle old, and the steps
 * of two CPUs need not have one phase.
 */
function widenByStep(offset: CounterOffset, step: bigint): CounterOffset {
  return { ...offset, lowest: offset.lowest - (step - 1n), highest: offset.highest + (step - 1n) };
}

function intersect(a: CounterOffset, b: CounterOffset): CounterOffset {
  return {
    lowest: a.lowest > b.lowest ? a.lowest : b.lowest,
    highest: a.highest < b.highest ? a.highest : b.highest,
    rounds: a.rounds + b.rounds,
    bestRoundTrip: a.bestRoundTrip < b.bestRoundTrip ? a.bestRoundTrip : b.bestRoundTrip,
  };
}

const offset: Check = {
  id: 'counter.offset',
  claim: 'The counters of all CPUs are equal, as far as ping-pong between them can tell',
  async run(context) {
    if (context.cpus.length < 2) return needsTwoCpus(context.cpus);
    const step = counterStep(context);
    const offsets = await boundOffsets(context, step);
    const width = ({ offset: { lowest, highest } }: PairOffset): bigint => highest - lowest;
    const widest = offsets.reduce((most, entry) => (width(entry) > most ? width(entry) : most), 0n);
    const unequal = offsets.filter(({ offset: { lowest, highest } }) => lowest > 0n || highest < 0n);
    const moving = offsets.filter((entry) => width(entry) < 0n);
    const evidence: Evidence = {
      pairs: offsets.length,
      rounds: offsets.reduce((sum, entry) => sum + entry.offset.rounds, 0),
      widestCycles: widest,
      stepCycles: step,
      // The pairs that tell most: all of those that differ, else the least certain ones.
      offsets: (unequal.length > 0 ? unequal : offsets.toSorted((a, b) => Number(width(b) - width(a))))
        .slice(0, 16)
        .map(({ pair, offset: { lowest, highest, rounds } }) => ({ pair, lowest, highest, rounds })),
    };
    const bound =
      moving.length > 0
        ? 'bounds that contradict each other: no constant offset fits'
        : `each offset known to ±${formatCycles(context, Math.ceil(Number(widest) / 2))} or better`;
    if (offsets.some((entry) => entry.offset.rounds === 0)) return neverTogether(evidence);
    const worst = moving[0] ?? unequal[0];
    if (worst !== undefined) {
      const { lowest, highest } = worst.offset;
      const [here, there] = worst.pair;
      return {
        status: 'fail',
        reason:
          lowest > highest
            ? `the offset between CPU ${here} and ${there} is not constant`
            : `CPU ${there} is ${lowest > 0n ? 'ahead of' : 'behind'} CPU ${here} by ${lowest > 0n ? lowest : -highest} cycles or more`,
        bound,
        evidence,
        advice: adviseOnUnsynchronised(context),
      };
    }
    const hz = orNull(() => kernelCounterHz(context.host)) ?? measuredHz(context);
    if (hz !== null && (Number(widest) / hz) * 1e9 > LOOSE_BOUND_NS) {
      return {
        status: 'warn',
        reason: `no offset was seen, but it is known to ${formatCycles(context, Number(widest))} only`,
        bound,
        evidence,
        advice: 'The CPUs hardly ran at the same time: run it again when the machine is less busy.',
      };
    }
    return {
      status: 'pass',
      reason: `${plural(offsets.length, 'pair')} of CPUs, no offset beyond ${formatCycles(context, Number(widest))}`,
      bound,
      evidence,
    };
  },
};

export const counterAgreementChecks: readonly Check[] = [granularity, order, warp, offset];
