import { anObject, checkArgument } from '../arguments.js';
import { LatchclockError } from '../errors.js';
import { NS_PER_SEC } from '../units.js';
import type { NamespaceOffsets } from './view.js';

/** What a time namespace adds to the clocks of the one that it lies in, ns; either may be negative. */
export interface TimeNamespaceOptions {
  /** To monotonic and monotonic-raw. Default 0n: as the parent has them. */
  readonly monotonicNs?: bigint;
  /** To boottime. Default 0n. */
  readonly boottimeNs?: bigint;
}

const WALL =
  'it is the time of the world: file timestamps, certificates and other machines know of no namespace, and Linux has no such offset either (time_namespaces(7), notes)';

/** Why a clock has no offset of its own. */
const REFUSED: Readonly<Record<string, string>> = {
  realtimeNs: WALL,
  taiNs: WALL,
  saneRealtimeNs: WALL,
  smearedRealtimeNs: WALL,
  monotonicRawNs: 'it is read beside monotonic, and moves with it (time_namespaces(7))',
};

/** KTIME_SEC_MAX (include/linux/ktime.h): the most seconds that a kernel's time holds. */
const MOST_SECONDS = ((1n << 63n) - 1n) / NS_PER_SEC;

const someOptions = anObject({});

function refused(what: string, todo: string, where = 'TimeNamespace'): LatchclockError {
  return new LatchclockError('ERR_BAD_ARGUMENT', what, { where, todo });
}

function checkOffset(name: keyof NamespaceOffsets, ns: bigint): bigint {
  if (ns < -MOST_SECONDS * NS_PER_SEC || ns >= (MOST_SECONDS + 1n) * NS_PER_SEC) {
    throw refused(
      `${name} of ${ns} is beyond what a kernel takes`,
      `give at most ${MOST_SECONDS} s either way`,
    );
  }
  return ns;
}

/**
 * A time namespace: what monotonic and boottime are to those who live in it, as time_namespaces(7) has it for processes.
 * monotonic-raw moves with monotonic. Every other clock is the same in all of them. Immutable.
 *
 * Offsets of a new one are given relative to the one that it is made in, so they add up, and what is left out is
 * inherited. The sums are kept: relative to the initial namespace, as `/proc/PID/timens_offsets` has them.
 */
export class TimeNamespace implements NamespaceOffsets {
  /** The one that all others lie in: no offsets. */
  static readonly initial = new TimeNamespace(null, 0n, 0n);

  /** The one that it was made in; null for the initial one. */
  readonly parent: TimeNamespace | null;
  /** What monotonic and monotonic-raw have on those of the initial namespace, ns. */
  readonly monotonicNs: bigint;
  /** What boottime has on that of the initial namespace, ns. */
  readonly boottimeNs: bigint;

  private constructor(parent: TimeNamespace | null, monotonicNs: bigint, boottimeNs: bigint) {
    this.parent = parent;
    this.monotonicNs = checkOffset('monotonicNs', monotonicNs);
    this.boottimeNs = checkOffset('boottimeNs', boottimeNs);
    Object.freeze(this);
  }

  /**
   * A namespace within this one.
   *
   * @throws LatchclockError `ERR_BAD_ARGUMENT` for an offset of a clock that has none, with the reason, for one that is no
   *   `bigint`, or where a sum leaves the kernel's +-9,223,372,036 s
   */
  create(options: TimeNamespaceOptions = {}): TimeNamespace {
    checkArgument('TimeNamespace.create', 'options', options, someOptions);
    for (const [name, ns] of Object.entries(options)) {
      const reason = REFUSED[name];
      if (reason !== undefined) throw refused(`there is no ${name}: ${reason}`, 'leave it out');
      if (name !== 'monotonicNs' && name !== 'boottimeNs') {
        throw refused(`there is no offset '${name}'`, 'choose from monotonicNs, boottimeNs');
      }
      if (typeof ns !== 'bigint')
        throw refused(`${name} is no bigint`, 'give whole ns, such as 1_000_000_000n');
    }
    const { monotonicNs = 0n, boottimeNs = 0n } = options;
    return new TimeNamespace(this, this.monotonicNs + monotonicNs, this.boottimeNs + boottimeNs);
  }
}

/**
 * Refuses a namespace in which a clock would be negative, or past half of what the kernel's time holds (146 years): what
 * the kernel answers with ERANGE (`proc_timens_set_offset` in kernel/time/namespace.c).
 *
 * @param now the clocks of the initial namespace, ns
 * @throws LatchclockError `ERR_BAD_ARGUMENT`
 */
export function checkNamespaceAt(offsets: NamespaceOffsets, now: NamespaceOffsets): void {
  for (const [name, clock] of [
    ['monotonicNs', 'monotonic'],
    ['boottimeNs', 'boottime'],
  ] as const) {
    const inside = now[name] + offsets[name];
    if (inside >= 0n && inside < (MOST_SECONDS / 2n + 1n) * NS_PER_SEC) continue;
    throw refused(
      `with an offset of ${offsets[name]} ns, ${clock} would be ${inside < 0n ? 'negative' : 'beyond 146 years'}`,
      `give ${-now[name]} to ${(MOST_SECONDS / 2n) * NS_PER_SEC - now[name]} ns`,
      'the time namespace',
    );
  }
}
