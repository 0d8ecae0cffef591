import type { Addon, Adjtimex } from '../native/addon.js';
import { orNull } from './host.js';

/** Bits of the status of the kernel's clock discipline (include/uapi/linux/timex.h). */
const STATUS_BITS: readonly [name: string, bit: number][] = [
  ['STA_PLL', 0x0001],
  ['STA_PPSFREQ', 0x0002],
  ['STA_PPSTIME', 0x0004],
  ['STA_FLL', 0x0008],
  ['STA_INS', 0x0010],
  ['STA_DEL', 0x0020],
  ['STA_UNSYNC', 0x0040],
  ['STA_FREQHOLD', 0x0080],
  ['STA_PPSSIGNAL', 0x0100],
  ['STA_PPSJITTER', 0x0200],
  ['STA_PPSWANDER', 0x0400],
  ['STA_PPSERROR', 0x0800],
  ['STA_CLOCKERR', 0x1000],
  ['STA_NANO', 0x2000],
  ['STA_MODE', 0x4000],
  ['STA_CLK', 0x8000],
];

/** States of the kernel's clock by its number, and what each says. */
const STATES: readonly [name: string, meaning: string][] = [
  ['TIME_OK', 'no leap second is near'],
  ['TIME_INS', 'a second will be inserted at the end of this UTC day'],
  ['TIME_DEL', 'a second will be left out at the end of this UTC day'],
  ['TIME_OOP', 'a second is being inserted'],
  ['TIME_WAIT', 'a leap second is over, its flag is still set'],
  ['TIME_ERROR', 'not synchronised'],
];

/** Names of the bits that are set, the lowest first; bits without a name as `0x...`. */
export function statusNames(status: number): string[] {
  const known = STATUS_BITS.filter(([, bit]) => (status & bit) !== 0).map(([name]) => name);
  const rest = STATUS_BITS.reduce((left, [, bit]) => left & ~bit, status) >>> 0;
  return rest === 0 ? known : [...known, `0x${rest.toString(16)}`];
}

/** The name of a state, and what it says. A number without a name is told as such. */
export function stateInWords(state: number): { name: string; meaning: string } {
  const [name, meaning] = STATES[state] ?? [`state ${state}`, 'not known'];
  return { name, meaning };
}

/** What the kernel's status and state say of leap seconds. */
export interface PendingLeap {
  /** Inserted (1) or left out (-1); null where both flags are set. */
  readonly sign: 1 | -1 | null;
  /** `ahead`: at the end of this UTC day; `now`: its second passes; `over`: the flag outlived it. */
  readonly when: 'ahead' | 'now' | 'over';
  /** The flags that say so, or the state where they are gone. */
  readonly by: string;
}

/**
 * The leap second that the kernel has been told of; null: none. Under TIME_ERROR the state of leap seconds is hidden, and the
 * flags alone tell.
 */
export function pendingLeap({ state, status }: Pick<Adjtimex, 'state' | 'status'>): PendingLeap | null {
  const flags = statusNames(status).filter((name) => name === 'STA_INS' || name === 'STA_DEL');
  const { name } = stateInWords(state);
  const isLeapState = name === 'TIME_INS' || name === 'TIME_DEL' || name === 'TIME_OOP';
  if (flags.length === 0 && !isLeapState) return null;
  const deletes = flags.length === 0 ? name === 'TIME_DEL' : flags.includes('STA_DEL');
  return {
    sign: flags.length === 2 ? null : deletes ? -1 : 1,
    when: name === 'TIME_OOP' ? 'now' : name === 'TIME_WAIT' ? 'over' : 'ahead',
    by: flags.length === 0 ? name : flags.join(' and '),
  };
}

/**
 * Why the kernel's tai is not to be compared with one that goes by a table of leap seconds; null where it is. The one rule for
 * all that hold tai beside the kernel: only where the kernel's offset is the table's. Another offset is told by
 * `clock.relations`.
 *
 * @param tableSeconds TAI - UTC now by the table, seconds
 */
export function whyTaiIsLeftOut(addon: Addon, tableSeconds: number): string | null {
  const kernel = orNull(() => addon.adjtimex().taiOffsetSeconds);
  if (kernel === null) return "the kernel's TAI offset is not told: adjtimex is refused";
  if (kernel === tableSeconds) return null;
  return kernel === 0
    ? "the kernel's TAI offset was never set: its tai is UTC"
    : `the kernel's TAI offset is ${kernel} s, the leap table's ${tableSeconds} s`;
}
