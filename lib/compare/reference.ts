import { closeSync, openSync } from 'node:fs';
import { isLatchclockError, LatchclockError } from '../errors.js';
import type { Host } from '../host/host.js';
import { referencePath } from '../host/reference-path.js';
import { type Addon, ClockPath, CounterMethod, ReadEnd } from '../native/addon.js';
import { CLOCK_IDS, clockIdOfDevice } from '../page/posix-clocks.js';
import { decodeVmclock, type VmclockPage } from '../page/vmclock.js';
import { NS_PER_SEC } from '../units.js';
import { fitLine, type LineFit } from './line-fit.js';

/** One reading of a clock from elsewhere, and the kernel's realtime around it, nanoseconds since 1970. */
interface ReferenceReading {
  readonly ns: bigint;
  readonly beforeNs: bigint;
  readonly afterNs: bigint;
}

/** A clock from elsewhere. */
export interface Reference {
  readonly name: string;
  /** What it says of itself, for people. */
  readonly about: string;
  /** A reason where it has no value now. */
  read(): ReferenceReading | { readonly refused: string };
  close(): void;
}

const VMCLOCK_PATH = '/dev/vmclock0';
const PAGE_BYTES = 4096;
const MOST_SPINS = 1 << 16;

function cannot(what: string, where: string, todo: string): LatchclockError {
  return new LatchclockError('ERR_CANNOT_RUN', what, { where, todo });
}

function realtimeReader(addon: Addon): () => bigint {
  const path = ClockPath[referencePath(addon, 'realtime')];
  return () => addon.readClock(path, CLOCK_IDS.realtime);
}

/**
 * A PTP hardware clock, read by `clock_gettime` of its dynamic id.
 *
 * @throws LatchclockError `ERR_CANNOT_RUN` where it cannot be opened
 */
function openPtp(addon: Addon, path: string): Reference {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? 'unknown';
    throw cannot(`cannot open the PTP clock: ${errno}`, path, "'ls /dev/ptp*' tells which there are");
  }
  const id = clockIdOfDevice(descriptor);
  const realtime = realtimeReader(addon);
  const read = (): ReferenceReading => {
    const beforeNs = realtime();
    const ns = addon.readClock(ClockPath.syscall, id);
    return { ns, beforeNs, afterNs: realtime() };
  };
  try {
    read();
  } catch (error) {
    closeSync(descriptor);
    if (!isLatchclockError(error, 'ERR_SYSTEM_CALL')) throw error;
    throw cannot(`no clock can be read there: ${error.errno ?? error.what}`, path, 'give /dev/ptpN');
  }
  return {
    name: `ptp:${path}`,
    about: 'a PTP hardware clock does not say whether it counts UTC or TAI',
    read,
    close: () => closeSync(descriptor),
  };
}

/** What a page says of itself, for people: how UTC is had from it, and what it vouches for. */
function aboutVmclock({ timeType, isSynchronized, taiOffsetSeconds, maxErrorNs }: VmclockPage): string {
  const scale =
    timeType === 'tai'
      ? `TAI, and that TAI - UTC is ${taiOffsetSeconds} s, which is taken off`
      : 'UTC, which is compared as it is';
  const running = isSynchronized ? '' : '; it runs freely, and is not synchronized now';
  const error =
    maxErrorNs === null ? '' : `; it states its error at its last update, at most ${maxErrorNs} ns`;
  return `the VMClock says that it counts ${scale}${running}${error}`;
}

/** Names of what a reading of a page can end with. */
const END_NAMES = new Map<number, string>(Object.entries(ReadEnd).map(([name, end]) => [end, name]));

/**
 * The clock that a hypervisor gives, by the bytes of its page ({@link decodeVmclock}), as UTC.
 *
 * @throws LatchclockError `ERR_CANNOT_RUN` where there is none, or its page is refused
 */
function openVmclock({ addon, files }: Host): Reference {
  const page = (): Uint8Array => files.read(VMCLOCK_PATH, PAGE_BYTES);
  let first: Uint8Array;
  try {
    first = page();
  } catch (error) {
    if (!isLatchclockError(error, 'ERR_FILE')) throw error;
    throw cannot(
      `there is no VMClock to compare with: ${error.errno ?? error.what}`,
      VMCLOCK_PATH,
      'QEMU 10 and later have one (-device vmclock), and guests with CONFIG_PTP_1588_CLOCK_VMCLOCK show it',
    );
  }
  const opened = decodeVmclock(first, 'utc');
  if (opened.refusal !== null) {
    throw cannot(
      `the VMClock's page cannot be compared (${opened.refusal}): ${opened.what}`,
      VMCLOCK_PATH,
      'the hypervisor writes this page: only there it can be mended',
    );
  }
  const realtime = realtimeReader(addon);
  return {
    name: 'vmclock',
    about: aboutVmclock(opened.page),
    read: () => {
      const bytes = page();
      // What the page says of itself may have changed since: a clock that has become unreliable has no value.
      const decoded = decodeVmclock(bytes, 'utc');
      if (decoded.refusal !== null) return { refused: `${decoded.refusal}: ${decoded.what}` };
      const beforeNs = realtime();
      const cycles = addon.readCounter(CounterMethod['lfence-rdtsc']);
      const afterNs = realtime();
      const { end, seconds, fraction } = addon.readVmclockAt(bytes, cycles, MOST_SPINS);
      if (end !== ReadEnd.value) return { refused: END_NAMES.get(end) ?? `end ${end}` };
      const utcSeconds = seconds + decoded.page.toScaleSeconds;
      return { ns: utcSeconds * NS_PER_SEC + ((fraction * NS_PER_SEC) >> 64n), beforeNs, afterNs };
    },
    close: () => undefined,
  };
}

/** `vmclock`, or `ptp:` and the path of a device. */
export function isReferenceName(name: string): boolean {
  return name === 'vmclock' || /^ptp:\/.+/.test(name);
}

/**
 * Opens a clock from elsewhere by its name, {@link isReferenceName}.
 *
 * @throws LatchclockError `ERR_CANNOT_RUN` where it cannot be opened
 */
export function openReference(host: Host, name: string): Reference {
  return name === 'vmclock' ? openVmclock(host) : openPtp(host.addon, name.slice('ptp:'.length));
}

export interface ReferencePoint {
  readonly seconds: number;
  /** The reference less realtime in the middle of the reading, nanoseconds. */
  readonly offsetNs: bigint;
  /** Half of the time that the reading took: so far the offset may be off, but for the reference's own error. */
  readonly halfWidthNs: bigint;
}

export interface ReferenceResult {
  readonly name: string;
  readonly about: string;
  readonly points: readonly ReferencePoint[];
  /** Readings without a value. */
  readonly refused: number;
  /** Why they had none, and how often; the commonest first. */
  readonly refusals: readonly { readonly reason: string; readonly count: number }[];
  /** Null below 3 points. */
  readonly fit: LineFit | null;
}

/** Holds realtime against a clock from elsewhere until `isOver`; `breathe` waits between two readings. */
export async function compareReference(
  reference: Reference,
  isOver: () => boolean,
  breathe: () => Promise<void>,
): Promise<ReferenceResult> {
  const points: ReferencePoint[] = [];
  const refusals = new Map<string, number>();
  let startNs: bigint | null = null;
  do {
    const reading = reference.read();
    if ('refused' in reading) refusals.set(reading.refused, (refusals.get(reading.refused) ?? 0) + 1);
    else {
      const { ns, beforeNs, afterNs } = reading;
      startNs ??= beforeNs;
      points.push({
        seconds: Number(beforeNs - startNs) / 1e9,
        offsetNs: ns - (beforeNs + afterNs) / 2n,
        halfWidthNs: (afterNs - beforeNs + 1n) / 2n,
      });
    }
    await breathe();
  } while (!isOver());
  // By the first offset, so that doubles keep the rest to a nanosecond.
  const [first] = points;
  const fit =
    first === undefined || points.length < 3
      ? null
      : fitLine(
          points.map(({ seconds }) => seconds),
          points.map(({ offsetNs }) => Number(offsetNs - first.offsetNs)),
        );
  const reasons = [...refusals].map(([reason, count]) => ({ reason, count }));
  return {
    name: reference.name,
    about: reference.about,
    points,
    refused: reasons.reduce((total, { count }) => total + count, 0),
    refusals: reasons.toSorted((a, b) => b.count - a.count),
    fit,
  };
}
