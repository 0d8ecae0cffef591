import { wrapU64 } from '../../units.js';
import type { PvclockWords } from '../pvclock.js';
import { assemble, type Program, type Registers, type StepRun } from '../steps.js';
import { itemsOf } from './items.js';
import { DEFAULT_MOST_TRIES, type ReadEnd, refusals } from './reading.js';
import { type LoopRegister, seqlockLoop } from './seqlock.js';

/** Where the words of a pvclock page lie (`struct pvclock_vcpu_time_info`, an ABI of KVM and Xen), bytes. */
const PVCLOCK_OFFSETS = {
  version: 0,
  timestamp: 8,
  systemTime: 16,
  mul: 24,
  shift: 28,
  flags: 29,
} as const;

const STABLE_FLAG = 1n;

/** Registers of a pvclock reader; `count` is the page's version, `shift` is the byte, not yet signed. */
export type PvclockRegister =
  | LoopRegister
  | 'cycles'
  | 'timestamp'
  | 'systemTime'
  | 'mul'
  | 'shift'
  | 'flags'
  | 'ns';

export interface PvclockOptions {
  /** Waits and copies thrown away at the most; 2^16 by default. */
  readonly mostSpins?: number;
  readonly counterFenced?: boolean;
}

/** What a pvclock reader came to. */
export interface PvclockOutcome {
  /** `unusable`: the page's flag does not say that the pages of all CPUs agree. */
  readonly end: ReadEnd;
  /** Nanoseconds, unsigned 64 bits: cycles of the kernel's clocksource. Of `value` only, 0 otherwise. */
  readonly ns: bigint;
  readonly cycles: bigint;
  readonly version: bigint;
  readonly flags: bigint;
  readonly retries: bigint;
}

/**
 * `systemTime + ((delta << shift, or >> -shift) * mul >> 32)` modulo 2^64, each step rounded down, the product in
 * 128 bits; a shift by 64 or more leaves nothing.
 *
 * @param delta cycles since the page's timestamp, unsigned 64 bits
 */
export function pvclockNanoseconds(
  delta: bigint,
  words: Pick<PvclockWords, 'systemTimeNs' | 'mul' | 'tscShift'>,
): bigint {
  const by = BigInt(words.tscShift);
  const scaled = by < 0n ? delta >> -by : wrapU64(delta << by);
  return wrapU64(words.systemTimeNs + ((scaled * words.mul) >> 32n));
}

const { load, counter, compute, branch } = itemsOf<PvclockRegister>();

/** Reads a pvclock page, which starts at address 0. A counter behind the page's timestamp is refused. */
export function pvclockReader(options: PvclockOptions = {}): Program<PvclockRegister, ReadEnd> {
  const at = PVCLOCK_OFFSETS;
  const loop = seqlockLoop({ at: at.version, bytes: 4 }, options.mostSpins ?? DEFAULT_MOST_TRIES);
  const initial: Registers<PvclockRegister> = {
    seen: 0n,
    recount: 0n,
    count: 0n,
    retries: 0n,
    cycles: 0n,
    timestamp: 0n,
    systemTime: 0n,
    mul: 0n,
    shift: 0n,
    flags: 0n,
    ns: 0n,
  };
  return assemble<PvclockRegister, ReadEnd>('pvclock reader', initial, [
    ...loop.enter,
    counter('read the counter', 'cycles', options.counterFenced ?? true),
    load('load the timestamp', at.timestamp, 'timestamp'),
    load('load the system time', at.systemTime, 'systemTime'),
    load('load mul', at.mul, 'mul', 'relaxed', 4),
    load('load the shift', at.shift, 'shift', 'relaxed', 1),
    load('load the flags', at.flags, 'flags', 'relaxed', 1),
    ...loop.leave,
    branch('nothing was published', 'unpublished', ({ mul }) => mul === 0n),
    branch('the page is not stable', 'unusable', ({ flags }) => (flags & STABLE_FLAG) === 0n),
    branch(
      'the counter is behind',
      'out-of-window',
      ({ cycles, timestamp }) => BigInt.asIntN(64, cycles - timestamp) < 0n,
    ),
    compute('compute the time', ({ cycles, timestamp, systemTime, mul, shift }) => ({
      ns: pvclockNanoseconds(wrapU64(cycles - timestamp), {
        systemTimeNs: systemTime,
        mul,
        tscShift: Number(BigInt.asIntN(8, shift)),
      }),
    })),
    { kind: 'end', note: 'return the time', end: 'value' },
    ...refusals('unusable'),
  ]);
}

export function pvclockOutcome({ end, registers }: StepRun<PvclockRegister, ReadEnd>): PvclockOutcome {
  const { ns, cycles, count, flags, retries } = registers;
  return { end, ns, cycles, version: count, flags, retries };
}
