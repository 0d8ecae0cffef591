import { wrapU64 } from '../../units.js';
import { assemble, type Program, type Registers, type StepRun } from '../steps.js';
import { VMCLOCK_OFFSETS, VMCLOCK_RUNNING, VMCLOCK_TSC } from '../vmclock.js';
import { itemsOf } from './items.js';
import { DEFAULT_MOST_TRIES, type ReadEnd, refusals } from './reading.js';
import { type LoopRegister, seqlockLoop } from './seqlock.js';

const TSC_COUNTER = BigInt(VMCLOCK_TSC);
const RUNNING = VMCLOCK_RUNNING.map(BigInt);

/** Registers of a VMClock reader; those from `pageSeconds` on are the page's own words. */
export type VmclockRegister =
  | LoopRegister
  | 'disruptionMarker'
  | 'cycles'
  | 'seconds'
  | 'fraction'
  | 'pageSeconds'
  | 'pageFraction'
  | 'base'
  | 'period'
  | 'shift'
  | 'counterId'
  | 'status';

export interface VmclockOptions {
  /** Waits and copies thrown away at the most; 2^16 by default. */
  readonly mostSpins?: number;
  readonly counterFenced?: boolean;
}

/** What a VMClock reader came to. Time is of `value` only, 0 otherwise. */
export interface VmclockOutcome {
  readonly end: ReadEnd;
  /** Seconds, unsigned 64 bits, on the page's own scale. */
  readonly seconds: bigint;
  /** 2^-64 s. */
  readonly fraction: bigint;
  readonly cycles: bigint;
  readonly disruptionMarker: bigint;
  /** The page's count, 32 bits. */
  readonly count: bigint;
  readonly retries: bigint;
}

const { load, counter, compute, branch } = itemsOf<VmclockRegister>();

function timeAt(r: Registers<VmclockRegister>): { seconds: bigint; fraction: bigint } {
  // 128 bits, as the product is; shifts up to 255 are in the page's range.
  const elapsed = (wrapU64(r.cycles - r.base) * r.period) >> r.shift;
  const sum = r.pageFraction + wrapU64(elapsed);
  return {
    seconds: wrapU64(r.pageSeconds + (elapsed >> 64n) + (sum >> 64n)),
    fraction: wrapU64(sum),
  };
}

/**
 * Reads a VMClock page, which starts at address 0: `time + ((cycles - counter) * period >> shift)`, the product in
 * 128 bits, rounded down to 2^-64 s. A counter behind the page's is refused, and so is a page that counts by another
 * counter, or whose clock is not known to run. What never changes (magic, version, size, scale) is not looked at in each
 * reading: `decodeVmclock` is, before a page is read.
 */
export function vmclockReader(options: VmclockOptions = {}): Program<VmclockRegister, ReadEnd> {
  const at = VMCLOCK_OFFSETS;
  const loop = seqlockLoop({ at: at.count, bytes: 4 }, options.mostSpins ?? DEFAULT_MOST_TRIES);
  const initial: Registers<VmclockRegister> = {
    seen: 0n,
    recount: 0n,
    count: 0n,
    retries: 0n,
    disruptionMarker: 0n,
    cycles: 0n,
    seconds: 0n,
    fraction: 0n,
    pageSeconds: 0n,
    pageFraction: 0n,
    base: 0n,
    period: 0n,
    shift: 0n,
    counterId: 0n,
    status: 0n,
  };
  return assemble<VmclockRegister, ReadEnd>('vmclock reader', initial, [
    ...loop.enter,
    load('load the disruption marker', at.disruptionMarker, 'disruptionMarker'),
    counter('read the counter', 'cycles', options.counterFenced ?? true),
    load('load the counter of the page', at.counter, 'base'),
    load('load the period', at.period, 'period'),
    load('load the seconds', at.seconds, 'pageSeconds'),
    load('load the fraction', at.fraction, 'pageFraction'),
    load('load the shift', at.periodShift, 'shift', 'relaxed', 1),
    // Within the section: a guest can come to a host that has no usable counter.
    load("load the counter's number", at.counterId, 'counterId', 'relaxed', 1),
    load('load the status', at.status, 'status', 'relaxed', 1),
    ...loop.leave,
    branch('the page counts by another counter', 'unusable', ({ counterId }) => counterId !== TSC_COUNTER),
    branch('the clock is not known to run', 'unusable', ({ status }) => !RUNNING.includes(status)),
    branch('nothing was published', 'unpublished', ({ period }) => period === 0n),
    branch(
      'the counter is behind',
      'out-of-window',
      ({ cycles, base }) => BigInt.asIntN(64, cycles - base) < 0n,
    ),
    compute('compute the time', timeAt),
    { kind: 'end', note: 'return the time', end: 'value' },
    ...refusals('unusable'),
  ]);
}

export function vmclockOutcome({ end, registers }: StepRun<VmclockRegister, ReadEnd>): VmclockOutcome {
  const { seconds, fraction, cycles, disruptionMarker, count, retries } = registers;
  return { end, seconds, fraction, cycles, disruptionMarker, count, retries };
}
