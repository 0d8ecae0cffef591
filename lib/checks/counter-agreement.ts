import { isReference, largerStepNs, measureFrequency } from '../host/frequency.js';
import { kernelCounterHz, orNull } from '../host/host.js';
import { CounterMethod, type CounterOffset, LockStepSource, type Stray } from '../native/addon.js';
import { wrapU64 } from '../units.js';
import { onEachCpu } from './bracketing.js';
import { adviseAgainstTsc } from './clocksource-advice.js';
import { describeGroups, describeWarped, groupByOffset } from './cpu-groups.js';
import { cpuPairs, needsTwoCpus, tooFew } from './cpu-pairs.js';
import { formatCount, formatNs, plural } from './format.js';
import type { Check, CheckContext, Evidence } from './model.js';
import { addStrays, astrayVerdict, NO_STRAY, type Pinning, pinningRemark } from './pinning.js';

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
): Promise<Pinning> {
  const chunk = new BigInt64Array(CHUNK);
  return onEachCpu(context, async () => {
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

/** The counter's frequency over the run so far, Hz; null where it was not observed twice, or by too coarse a clock. */
function measuredHz({ monitor: { observations } }: CheckContext): number | null {
  const [first, last] = [observations[0]?.anchor, observations.at(-1)?.anchor];
  if (first === undefined || last === undefined || !isReference(first) || !isReference(last)) return null;
  return last.ns - first.ns > largerStepNs(first, last) ? measureFrequency(first, last).hz : null;
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
  pinning: Pinning;
}

async function countBackwards(context: CheckContext, method: keyof typeof CounterMethod): Promise<Backwards> {
  const found: Backwards = { reads: 0, count: 0, worstCycles: 0n, pinning: 'pinned' };
  found.pinning = await readInChunks(context, method, context.budget.counterReadsPerCpu, (cycles) => {
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
    const bound = `${plural(fenced.reads, 'reading')} of each kind on ${plural(context.cpus.length, 'CPU')}, compared exactly${pinningRemark(fenced.pinning)}`;
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

// Short enough that Ctrl-C is answered, long against starting two threads.
const LOCK_STEP_READS = 250_000;
const LOCK_STEP_CYCLES = 400_000_000;

/**
 * A counter that is behind by more than a hand-over takes shows at each one from the CPU that is ahead, which are half
 * of them: so many leave room for those that took long.
 */
const LEAST_HAND_OVERS = 100;
/** How often a pair is tried again whose threads hardly met. */
const MOST_TRIES_AGAIN = 10;
/** Pairs that evidence has in full. */
const MOST_PAIRS = 64;

interface WarpTally {
  reads: number;
  handOvers: number;
  backwards: number;
  worst: number;
  stray: Stray;
}

interface PairWarp extends WarpTally {
  pair: [number, number];
}

const NO_WARP: WarpTally = { reads: 0, handOvers: 0, backwards: 0, worst: 0, stray: NO_STRAY };

function addWarps(a: WarpTally, b: WarpTally): WarpTally {
  return {
    reads: a.reads + b.reads,
    handOvers: a.handOvers + b.handOvers,
    backwards: a.backwards + b.backwards,
    worst: Math.max(a.worst, b.worst),
    stray: addStrays(a.stray, b.stray),
  };
}

/** Lets two CPUs read in turns, until there are `reads` readings and hand-overs enough, or a thread was elsewhere. */
async function warpOf(
  { host, breathe }: CheckContext,
  pair: [number, number],
  reads: number,
  progress: (share: number) => void,
): Promise<PairWarp> {
  let tally = NO_WARP;
  for (let again = 0; tally.reads < reads || tally.handOvers < LEAST_HAND_OVERS; ) {
    const left = Math.max(reads - tally.reads, LOCK_STEP_READS / 10);
    if (tally.reads >= reads && ++again > MOST_TRIES_AGAIN) break;
    const part = host.addon.lockStep(
      LockStepSource.counter,
      0,
      null,
      Uint32Array.from(pair),
      Math.min(LOCK_STEP_READS, Math.ceil(left / 2)),
      LOCK_STEP_CYCLES,
    );
    tally = addWarps(tally, part);
    progress(Math.min(1, tally.reads / reads));
    await breathe();
    if (tally.stray.astray > 0) break;
  }
  return { pair, ...tally };
}

const warp: Check = {
  id: 'counter.warp',
  claim: 'No CPU reads a counter below what another CPU has just read',
  async run(context) {
    const { cpus, budget, random, progress } = context;
    if (cpus.length < 2) return needsTwoCpus(cpus);
    const pairs = random.shuffle(cpuPairs(cpus));
    const readsPerPair = Math.max(2_000, Math.ceil(budget.warpReads / pairs.length));
    const found: PairWarp[] = [];
    for (const pair of pairs) {
      const done = found.length;
      found.push(
        await warpOf(context, pair, readsPerPair, (share) => progress((done + share) / pairs.length)),
      );
      if (found.at(-1)?.stray.astray !== 0) break;
    }
    const { reads, handOvers, backwards, worst, stray } = found.reduce<WarpTally>(addWarps, NO_WARP);
    const warped = found.filter((one) => one.backwards > 0).map(({ pair }) => pair);
    const short = found.filter((one) => one.handOvers < LEAST_HAND_OVERS);
    const evidence: Evidence = {
      reads,
      backwards,
      worstCycles: worst,
      handOvers,
      leastHandOvers: LEAST_HAND_OVERS,
      stray: { ...stray },
      pairs: pairs.length,
      warpedPairs: warped.length,
      warped: warped.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]).slice(0, MOST_PAIRS),
    };
    const bound = `${plural(handOvers, 'hand-over')} between CPUs, compared exactly`;
    if (backwards > 0) {
      const where = stray.astray > 0 ? 'between threads that would not be pinned' : describeWarped(warped);
      return {
        status: 'fail',
        reason: `went back ${plural(backwards, 'time')} by up to ${formatCycles(context, worst)} ${where}`,
        bound,
        evidence,
        advice: adviseOnUnsynchronised(context),
      };
    }
    if (stray.astray > 0) return astrayVerdict(stray, evidence);
    if (short.length > 0) {
      const had = short.map((one) => ({ pair: one.pair, had: one.handOvers }));
      return tooFew('hand-over', LEAST_HAND_OVERS, had, pairs.length, evidence);
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

/** The tightest of so many rounds is near what the CPUs can do; of a few it may be one that the scheduler lengthened. */
const LEAST_ROUNDS = 100;

// A hundred times what ping-pong takes across sockets.
const LOOSE_BOUND_NS = 50_000;

interface PairOffset {
  pair: [number, number];
  offset: CounterOffset;
}

/** The bounds of every pair, as far as no thread was elsewhere than it should have been. */
async function boundOffsets(context: CheckContext, step: bigint): Promise<PairOffset[]> {
  const { host, cpus, budget, random, progress, breathe } = context;
  const pairs = cpuPairs(cpus);
  const roundsPerPair = Math.max(200, Math.ceil(budget.pingPongRounds / pairs.length));
  const found: PairOffset[] = [];
  for (const pair of random.shuffle(pairs)) {
    let offset: CounterOffset | null = null;
    let left = roundsPerPair;
    for (let again = 0; left > 0 || (offset !== null && offset.rounds < LEAST_ROUNDS); ) {
      if (left <= 0 && ++again > MOST_TRIES_AGAIN) break;
      const rounds = Math.min(PING_PONG_ROUNDS, left > 0 ? left : LEAST_ROUNDS);
      const part = host.addon.pingPong(...pair, rounds, PING_PONG_CYCLES);
      offset = offset === null ? part : intersect(offset, part);
      left -= rounds;
      await breathe();
      if (offset.stray.astray > 0) break;
    }
    if (offset !== null) found.push({ pair, offset: widenByStep(offset, step) });
    if (offset !== null && offset.stray.astray > 0) break;
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
    stray: addStrays(a.stray, b.stray),
  };
}

const MOST_OFFSETS = 16;

function width({ offset: { lowest, highest } }: PairOffset): bigint {
  return highest - lowest;
}

function offsetEvidence(offsets: readonly PairOffset[], unequal: readonly PairOffset[]): Evidence {
  // The pairs that tell most: all of those that differ, else the least certain ones.
  const telling = unequal.length > 0 ? unequal : offsets.toSorted((a, b) => Number(width(b) - width(a)));
  return {
    pairs: offsets.length,
    rounds: offsets.reduce((sum, entry) => sum + entry.offset.rounds, 0),
    leastRounds: LEAST_ROUNDS,
    stray: { ...offsets.reduce((sum, { offset: { stray } }) => addStrays(sum, stray), NO_STRAY) },
    unequalPairs: unequal.length,
    offsets: telling
      .slice(0, MOST_OFFSETS)
      .map(({ pair, offset: { lowest, highest, rounds } }) => ({ pair, lowest, highest, rounds })),
  };
}

/** What differs between CPUs, in words; the counters of some do. */
function describeOffsets(context: CheckContext, offsets: readonly PairOffset[]): string {
  const bounds = offsets.map(({ pair, offset: { lowest, highest } }) => ({ pair, lowest, highest }));
  return describeGroups(groupByOffset(context.cpus, bounds), bounds, (cycles) =>
    formatCycles(context, cycles),
  );
}

const offset: Check = {
  id: 'counter.offset',
  claim: 'The counters of all CPUs are equal, as far as ping-pong between them can tell',
  async run(context) {
    if (context.cpus.length < 2) return needsTwoCpus(context.cpus);
    const step = counterStep(context);
    const offsets = await boundOffsets(context, step);
    const widest = offsets.reduce((most, entry) => (width(entry) > most ? width(entry) : most), 0n);
    const unequal = offsets.filter(({ offset: { lowest, highest } }) => lowest > 0n || highest < 0n);
    const moving = offsets.filter((entry) => width(entry) < 0n);
    const evidence: Evidence = {
      ...offsetEvidence(offsets, unequal),
      widestCycles: widest,
      stepCycles: step,
    };
    const astray = offsets.find(({ offset: { stray } }) => stray.astray > 0);
    if (astray !== undefined) return astrayVerdict(astray.offset.stray, evidence);
    const short = offsets.filter((entry) => entry.offset.rounds < LEAST_ROUNDS);
    if (short.length > 0) {
      const had = short.map(({ pair, offset: { rounds } }) => ({ pair, had: rounds }));
      return tooFew('round', LEAST_ROUNDS, had, offsets.length, evidence);
    }
    const bound =
      moving.length > 0
        ? 'bounds that contradict each other: no constant offset fits'
        : `each offset known to ±${formatCycles(context, Math.ceil(Number(widest) / 2))} or better`;
    const unsteady = moving[0];
    if (unsteady !== undefined || unequal.length > 0) {
      const others = moving.length > 1 ? `, nor is that of ${plural(moving.length - 1, 'pair')} more` : '';
      return {
        status: 'fail',
        reason:
          unsteady === undefined
            ? describeOffsets(context, offsets)
            : `the offset between CPU ${unsteady.pair[0]} and ${unsteady.pair[1]} is not constant${others}`,
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
