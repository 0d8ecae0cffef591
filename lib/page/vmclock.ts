/**
 * Where the words of a VMClock page lie (include/uapi/linux/vmclock-abi.h), bytes. Little-endian. `magic` to `timeType`
 * never change while the device lives; the rest is guarded by `count`.
 */
export const VMCLOCK_OFFSETS = {
  magic: 0x00,
  size: 0x04,
  version: 0x08,
  counterId: 0x0a,
  timeType: 0x0b,
  count: 0x0c,
  disruptionMarker: 0x10,
  flags: 0x18,
  status: 0x22,
  taiOffset: 0x24,
  periodShift: 0x27,
  counter: 0x28,
  period: 0x30,
  seconds: 0x48,
  fraction: 0x50,
  maxErrorNs: 0x60,
} as const;

const MAGIC = 0x4b4c4356;
const VERSION = 1;
/** Up to and with the last error word: what ClockBound maps. The kernel's PTP clock needs 0x58. */
const LEAST_BYTES = 0x68;

/** The counter of x86-64 in `counterId`. */
export const VMCLOCK_TSC = 1;
const COUNTERS: Readonly<Record<number, string>> = { 0: "Arm's virtual counter", 0xff: 'no counter' };

/** The clock is synchronized, or runs freely from when it was: its words are to be relied upon. */
export const VMCLOCK_RUNNING: readonly number[] = [2, 3];
const STATUSES: Readonly<Record<number, string>> = { 0: 'unknown', 1: 'initializing', 4: 'unreliable' };

const TIME_TYPES = ['utc', 'tai'] as const;
const OTHER_TIME_TYPES: Readonly<Record<number, string>> = {
  2: 'from an arbitrary start',
  3: 'smeared time',
  4: 'time that may be smeared',
};
/** The scales that time since 1970 is counted on. */
export type VmclockScale = (typeof TIME_TYPES)[number];

const FLAG_TAI_OFFSET_VALID = 1n << 0n;
const FLAG_TIME_MAX_ERROR_VALID = 1n << 6n;
/** What TAI - UTC was in 1972, when whole seconds began. It has grown since. */
const LEAST_TAI_OFFSET = 10;

/** Why a page is not read. */
export type VmclockRefusal =
  | 'cut-short'
  | 'magic'
  | 'version'
  | 'size-too-small'
  | 'size-beyond-region'
  | 'counter'
  | 'time-type'
  | 'status'
  | 'period'
  | 'tai-offset-not-valid'
  | 'tai-offset-impossible';

/** What a page that may be read says of itself. */
export interface VmclockPage {
  /** The scale that the page itself counts on. */
  readonly timeType: VmclockScale;
  readonly isSynchronized: boolean;
  /** TAI - UTC, seconds, as the page states it; null where its flag does not say that this is valid. */
  readonly taiOffsetSeconds: number | null;
  /** What is added to the page's seconds to come to the scale that was asked for: 0, or the TAI offset with its sign. */
  readonly toScaleSeconds: bigint;
  /** Bound of the time at the page's own counter value, nanoseconds; null where the page states none. */
  readonly maxErrorNs: bigint | null;
}

export type VmclockDecoding =
  | { readonly page: VmclockPage; readonly refusal: null }
  | { readonly page: null; readonly refusal: VmclockRefusal; readonly what: string };

function refuse(refusal: VmclockRefusal, what: string): VmclockDecoding {
  return { page: null, refusal, what };
}

/**
 * Whether time can be read from a VMClock page, on the scale that is wanted. What is refused is what the kernel's driver
 * (`ptp_vmclock`) or ClockBound refuses: another magic or version, a size below {@link LEAST_BYTES} or beyond what was
 * given, another counter than the TSC, time that is not counted since 1970 or smeared, a clock that does not run, and an
 * offset that is needed and not valid. A UTC page needs none for UTC.
 *
 * **The sign of `tai_offset_sec`.** The kernel's header says only that it is signed. The specification (UAPI.13) gives 37 as
 * its value at present, so it is TAI - UTC: UTC = TAI - offset, TAI = UTC + offset. The kernel's driver has it the other way
 * in both its forms (it adds the offset to a TAI page for UTC, and later takes it from a UTC page for TAI). TAI - UTC has
 * never been below 10 s in whole seconds, so a page that was written for the driver's reading shows by a negative offset,
 * and is refused where the offset is needed, not misread by 74 s.
 *
 * @param bytes the page from its start, at most as many as the region has; a copy, so that it does not change meanwhile
 * @param scale the scale that time is wanted on
 */
export function decodeVmclock(bytes: Uint8Array, scale: VmclockScale): VmclockDecoding {
  const at = VMCLOCK_OFFSETS;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < LEAST_BYTES) {
    return refuse('cut-short', `the page has ${bytes.byteLength} bytes of at least ${LEAST_BYTES}`);
  }
  const magic = view.getUint32(at.magic, true);
  if (magic !== MAGIC) return refuse('magic', `it is no VMClock page: its magic is 0x${magic.toString(16)}`);
  const version = view.getUint16(at.version, true);
  if (version !== VERSION) return refuse('version', `its version is ${version}, and ${VERSION} is known`);
  const size = view.getUint32(at.size, true);
  if (size < LEAST_BYTES) {
    return refuse('size-too-small', `it states a size of ${size} bytes, and ${LEAST_BYTES} are needed`);
  }
  // The kernel lets a process read and map 4096 bytes, whatever the region has: beyond these nothing can be held true.
  if (size > bytes.byteLength) {
    return refuse('size-beyond-region', `it states a size of ${size} bytes in ${bytes.byteLength}`);
  }
  const counterId = view.getUint8(at.counterId);
  if (counterId !== VMCLOCK_TSC) {
    const counter = COUNTERS[counterId] ?? `counter ${counterId}`;
    return refuse('counter', `it counts by ${counter}, not by the TSC`);
  }
  return decodeTime(view, scale);
}

/** The part of {@link decodeVmclock} behind the constant words' sizes and versions. */
function decodeTime(view: DataView, scale: VmclockScale): VmclockDecoding {
  const at = VMCLOCK_OFFSETS;
  const typeNumber = view.getUint8(at.timeType);
  const timeType = TIME_TYPES[typeNumber];
  if (timeType === undefined) {
    const counted = OTHER_TIME_TYPES[typeNumber] ?? `time of type ${typeNumber}`;
    return refuse('time-type', `it counts ${counted}, neither UTC nor TAI`);
  }
  const status = view.getUint8(at.status);
  if (!VMCLOCK_RUNNING.includes(status)) {
    return refuse('status', `the status of its clock is ${STATUSES[status] ?? status}`);
  }
  if (view.getBigUint64(at.period, true) === 0n) {
    return refuse('period', 'it gives no period of the counter');
  }
  const flags = view.getBigUint64(at.flags, true);
  const isValid = (flags & FLAG_TAI_OFFSET_VALID) !== 0n;
  const taiOffsetSeconds = view.getInt16(at.taiOffset, true);
  if (scale !== timeType) {
    const [counted, wanted] = [timeType.toUpperCase(), scale.toUpperCase()];
    if (!isValid) {
      return refuse(
        'tai-offset-not-valid',
        `it counts ${counted}, and has no valid TAI offset for ${wanted}`,
      );
    }
    if (taiOffsetSeconds < LEAST_TAI_OFFSET) {
      return refuse(
        'tai-offset-impossible',
        `its TAI offset of ${taiOffsetSeconds} s is no TAI - UTC since 1972: is its sign wrong?`,
      );
    }
  }
  const toScale = scale === timeType ? 0 : scale === 'tai' ? taiOffsetSeconds : -taiOffsetSeconds;
  const hasMaxError = (flags & FLAG_TIME_MAX_ERROR_VALID) !== 0n;
  return {
    page: {
      timeType,
      isSynchronized: status === 2,
      taiOffsetSeconds: isValid ? taiOffsetSeconds : null,
      toScaleSeconds: BigInt(toScale),
      maxErrorNs: hasMaxError ? view.getBigUint64(at.maxErrorNs, true) : null,
    },
    refusal: null,
  };
}
