/** The static POSIX clock ids of Linux, by the names used throughout (`include/uapi/linux/time.h`). */
export const CLOCK_IDS = {
  realtime: 0,
  monotonic: 1,
  'process-cputime': 2,
  'thread-cputime': 3,
  'monotonic-raw': 4,
  'realtime-coarse': 5,
  'monotonic-coarse': 6,
  boottime: 7,
  'realtime-alarm': 8,
  'boottime-alarm': 9,
  tai: 11,
  aux0: 16,
  aux1: 17,
  aux2: 18,
  aux3: 19,
  aux4: 20,
  aux5: 21,
  aux6: 22,
  aux7: 23,
} as const;

/** Name of a POSIX clock. */
export type ClockName = keyof typeof CLOCK_IDS;

export const CLOCK_NAMES = Object.keys(CLOCK_IDS) as ClockName[];

/** The clocks that the kernel's page holds, so that user space can compute them. */
export const PAGE_CLOCKS = [
  'realtime',
  'monotonic',
  'monotonic-raw',
  'boottime',
  'tai',
  'realtime-coarse',
  'monotonic-coarse',
] as const satisfies readonly ClockName[];

/** Name of a clock that the kernel's page holds. */
export type PageClockName = (typeof PAGE_CLOCKS)[number];

/** True for the clocks that advance with the kernel's updates only, without the counter. */
export function isCoarse(clock: ClockName): boolean {
  return clock === 'realtime-coarse' || clock === 'monotonic-coarse';
}

/** The dynamic clock id of an open character device such as `/dev/ptp0` (`CLOCKFD` in clock_getres(2)). */
export function clockIdOfDevice(fileDescriptor: number): number {
  return (~fileDescriptor << 3) | 3;
}
