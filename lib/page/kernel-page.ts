import {
  aBigint,
  aNumber,
  anInteger,
  anObject,
  checkArgument,
  type Guard,
  nullable,
  oneOf,
} from '../arguments.js';
import { LatchclockError } from '../errors.js';
import { NS_PER_SEC } from '../units.js';
import {
  basetimeOffsets,
  type KernelClockOffsets,
  type KernelPageLayout,
  layoutBytes,
} from './kernel-layout.js';
import { isCoarse, PAGE_CLOCKS, type PageClockName } from './posix-clocks.js';
import type { Segment } from './segment.js';

/** `clock_mode` of the kernel's page: how the vDSO gets cycles. */
export const ClockMode = { none: 0, tsc: 1, pvclock: 2, hvclock: 3, timens: 0x7fff_ffff } as const;

const MODE_NAMES = new Map<number, string>(Object.entries(ClockMode).map(([name, mode]) => [mode, name]));

/** The name of a `clock_mode`, or `unknown (N)`. */
export function modeName(mode: number): string {
  return MODE_NAMES.get(mode) ?? `unknown (${mode})`;
}

/** The words of one clock structure of the kernel's page. */
export interface KernelClockWords {
  readonly seq: number;
  readonly mode: number;
  /** Cycles, unsigned 64 bits. */
  readonly cycleLast: bigint;
  readonly maxCycles: bigint | null;
  readonly mask: bigint | null;
  readonly mult: bigint;
  readonly shift: number;
}

/** An immutable snapshot of the kernel's clock page. */
export interface KernelPageSnapshot {
  readonly main: KernelClockWords;
  readonly raw: KernelClockWords;
  /** Base times as stored: nanoseconds are scaled by `2^shift` except for the coarse clocks. */
  readonly basetimes: Readonly<Record<PageClockName, { seconds: bigint; nsecAsStored: bigint }>>;
  /** Resolution of the high-resolution clocks, nanoseconds. */
  readonly hrtimerResNs: number;
  /** Offsets of the time namespace in force, nanoseconds; zero for clocks that it leaves alone. */
  readonly namespaceNs: Readonly<Record<PageClockName, bigint>>;
}

/** Offsets that apply in the initial time namespace. */
export const NO_NAMESPACE: KernelPageSnapshot['namespaceNs'] = Object.fromEntries(
  PAGE_CLOCKS.map((clock) => [clock, 0n]),
) as Record<PageClockName, bigint>;

function readWords(view: DataView, at: KernelClockOffsets): KernelClockWords {
  return {
    seq: view.getUint32(at.seq, true),
    mode: view.getUint32(at.mode, true),
    cycleLast: view.getBigUint64(at.cycleLast, true),
    maxCycles: at.maxCycles === null ? null : view.getBigUint64(at.maxCycles, true),
    mask: at.mask === null ? null : view.getBigUint64(at.mask, true),
    mult: BigInt(view.getUint32(at.mult, true)),
    shift: view.getUint32(at.shift, true),
  };
}

function pageView(bytes: Uint8Array, layout: KernelPageLayout): DataView {
  const needed = layoutBytes(layout);
  if (bytes.length < needed) {
    throw new LatchclockError('ERR_BAD_PAGE', `a page of ${bytes.length} bytes is too short`, {
      where: `layout ${layout.name} needs ${needed}`,
    });
  }
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function readBasetimes(view: DataView, layout: KernelPageLayout): KernelPageSnapshot['basetimes'] {
  const entries = PAGE_CLOCKS.map((clock) => {
    const at = basetimeOffsets(layout, clock);
    return [
      clock,
      { seconds: view.getBigInt64(at.seconds, true), nsecAsStored: view.getBigUint64(at.nanoseconds, true) },
    ] as const;
  });
  return Object.fromEntries(entries) as Record<PageClockName, { seconds: bigint; nsecAsStored: bigint }>;
}

/**
 * Decodes the bytes of a kernel clock page under a layout. Says nothing of whether the bytes are one consistent
 * state: the caller has seen the same even count before and after copying them.
 *
 * @param bytes the page from its start
 * @param namespaceNs offsets of the time namespace, from {@link decodeNamespaceOffsets}
 * @throws LatchclockError `ERR_BAD_PAGE` if the page is too short, or a shift is not below 64
 */
export function decodeKernelPage(
  bytes: Uint8Array,
  layout: KernelPageLayout,
  namespaceNs: KernelPageSnapshot['namespaceNs'] = NO_NAMESPACE,
): KernelPageSnapshot {
  const view = pageView(bytes, layout);
  const main = readWords(view, layout.main);
  const raw = readWords(view, layout.raw);
  for (const [copy, words] of Object.entries({ main, raw })) {
    if (words.shift >= 64) {
      throw new LatchclockError('ERR_BAD_PAGE', `a shift of ${words.shift} is not below 64`, {
        where: `${copy} copy, layout ${layout.name}`,
      });
    }
  }
  const hrtimerResNs = view.getUint32(layout.hrtimerRes, true);
  return { main, raw, basetimes: readBasetimes(view, layout), hrtimerResNs, namespaceNs };
}

/**
 * The offsets that a time namespace's first page holds in place of base times: nanoseconds a clock.
 *
 * @throws LatchclockError `ERR_BAD_PAGE` if the page is too short
 */
export function decodeNamespaceOffsets(
  bytes: Uint8Array,
  layout: KernelPageLayout,
): KernelPageSnapshot['namespaceNs'] {
  const offsets = readBasetimes(pageView(bytes, layout), layout);
  const entries = PAGE_CLOCKS.map((clock) => {
    const { seconds, nsecAsStored } = offsets[clock];
    return [clock, seconds * NS_PER_SEC + BigInt.asIntN(64, nsecAsStored)] as const;
  });
  return Object.fromEntries(entries) as Record<PageClockName, bigint>;
}

const someWords = anObject({
  mode: aNumber,
  cycleLast: aBigint,
  maxCycles: nullable(aBigint),
  mult: aBigint,
  shift: anInteger(0, 63),
});
const aPageClock = oneOf(PAGE_CLOCKS);
/** By clock: what is looked at of a snapshot. */
const someSnapshot = Object.fromEntries(
  PAGE_CLOCKS.map((clock) => [
    clock,
    anObject({
      main: someWords,
      raw: someWords,
      basetimes: anObject({ [clock]: anObject({ seconds: aBigint, nsecAsStored: aBigint }) }),
      namespaceNs: anObject({ [clock]: aBigint }),
    }),
  ]),
) as Readonly<Record<PageClockName, Guard>>;

/**
 * The segment by which the vDSO computes `clock` while the page stays as it is.
 *
 * A coarse clock is a segment of slope zero. Otherwise the counter is the TSC.
 *
 * @throws LatchclockError `ERR_BAD_PAGE` if the page's mode gives no TSC cycles: under mode `none` the words are
 *   in another clocksource's scale, under `pvclock` and `hvclock` cycles come from another page; `ERR_BAD_ARGUMENT` for
 *   what is no snapshot, or a clock that is not in it
 */
export function kernelSegment(snapshot: KernelPageSnapshot, clock: PageClockName): Segment {
  checkArgument('kernelSegment', 'clock', clock, aPageClock);
  checkArgument('kernelSegment', 'snapshot', snapshot, someSnapshot[clock]);
  const { seconds, nsecAsStored } = snapshot.basetimes[clock];
  const wholeNs = seconds * NS_PER_SEC + snapshot.namespaceNs[clock];
  if (isCoarse(clock)) {
    // A window as wide as the counter, so that no reading is outside it.
    return {
      base: 0n,
      maxDelta: 1n << 64n,
      mult: 0n,
      shift: 0,
      wholeNs,
      scaledNs: nsecAsStored,
      outOfWindow: 'refuse',
    };
  }
  const words = clock === 'monotonic-raw' ? snapshot.raw : snapshot.main;
  if (words.mode !== ClockMode.tsc) {
    throw new LatchclockError('ERR_BAD_PAGE', `the page's mode is ${modeName(words.mode)}, not tsc`, {
      where: clock,
      todo: 'read the clock by system call',
    });
  }
  return {
    base: words.cycleLast,
    // The fast path takes max_cycles itself; a window excludes its end.
    maxDelta: words.maxCycles === null ? 1n << 64n : words.maxCycles + 1n,
    mult: words.mult,
    shift: words.shift,
    wholeNs,
    scaledNs: nsecAsStored,
    outOfWindow: words.maxCycles === null ? 'clamp-narrow' : 'clamp-wide',
  };
}
