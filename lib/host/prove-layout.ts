import { median } from 'simple-statistics';
import { isLatchclockError, LatchclockError } from '../errors.js';
import { type Addon, ClockPath, CounterMethod } from '../native/addon.js';
import type { KernelPageLayout } from '../page/kernel-layout.js';
import { ClockMode, decodeKernelPage, type KernelPageSnapshot, kernelSegment } from '../page/kernel-page.js';
import { CLOCK_IDS, isCoarse, PAGE_CLOCKS, type PageClockName } from '../page/posix-clocks.js';
import { evaluate } from '../page/segment.js';
import { isU64 } from '../units.js';
import { PAGE_SIZE } from './kernel-mappings.js';
import { type ReferencePath, referencePath } from './reference-path.js';

/** What a layout of the kernel's page was proved by. */
export interface LayoutProof {
  /** By which path the clocks were read: the vDSO only where the system call is refused. */
  path: ReferencePath;
  /** Clocks whose value by that path, or by vDSO, lay where the page put it, every time. */
  clocks: PageClockName[];
  /** Those of them that a sandbox refuses by that path alone: their values came by vDSO. */
  byVdso: PageClockName[];
  /** Clocks that no path gives, each with the errno or code: what the page holds for them is not proved, and not read. */
  refused: { clock: PageClockName; error: string }[];
  samplesPerClock: number;
  /** Median width of the bracket around a reading, nanoseconds: the proof is blind to errors below it. */
  bracketNs: number;
}

const SAMPLES = 64;
const MOST_ATTEMPTS = 64 * SAMPLES;

/** Clocks that the page holds under its mode: without TSC cycles only the coarse ones. */
function clocksUnderMode({ main }: KernelPageSnapshot): PageClockName[] {
  return PAGE_CLOCKS.filter((clock) => isCoarse(clock) || main.mode === ClockMode.tsc);
}

/** Clocks that the page can give now: those under its mode, but for what nothing vouched for. */
export function readableClocks(snapshot: KernelPageSnapshot, { refused }: LayoutProof): PageClockName[] {
  return clocksUnderMode(snapshot).filter((clock) => !refused.some((entry) => entry.clock === clock));
}

/** By which path each clock answers, and why those do not that no path gives. */
function pathsOf(
  addon: Addon,
  clocks: readonly PageClockName[],
): { answering: { clock: PageClockName; path: ReferencePath }[]; refused: LayoutProof['refused'] } {
  const answering: { clock: PageClockName; path: ReferencePath }[] = [];
  const refused: LayoutProof['refused'] = [];
  for (const clock of clocks) {
    try {
      answering.push({ clock, path: referencePath(addon, clock) });
    } catch (error) {
      if (!isLatchclockError(error, 'ERR_SYSTEM_CALL')) throw error;
      refused.push({ clock, error: error.errno ?? error.code });
    }
  }
  return { answering, refused };
}

/** True if the copy that monotonic-raw alone is computed from is beside the main one as a kernel writes it. */
function isRawBesideMain({ main, raw }: KernelPageSnapshot): boolean {
  // The kernel keeps a correction below 11 % (maxadj), and both copies of one counter reading.
  const apart = raw.mult > main.mult ? raw.mult - main.mult : main.mult - raw.mult;
  return raw.cycleLast === main.cycleLast && raw.shift === main.shift && apart * 100n <= raw.mult * 11n;
}

/** A clock's value between two counter readings, while the page kept every byte. */
interface StillSample {
  page: Uint8Array;
  before: bigint;
  ns: bigint;
  after: bigint;
}

/** Null if the page changed meanwhile. Any layout can be judged by it: it compares bytes, not a count. */
function takeStillSample(
  addon: Addon,
  path: ReferencePath,
  address: bigint,
  clock: PageClockName,
): StillSample | null {
  const page = addon.copyMemory(address, PAGE_SIZE);
  const before = addon.readCounter(CounterMethod['lfence-rdtsc']);
  const ns = addon.readClock(ClockPath[path], CLOCK_IDS[clock]);
  const after = addon.readCounter(CounterMethod['lfence-rdtsc']);
  const again = addon.copyMemory(address, PAGE_SIZE);
  return Buffer.compare(page, again) === 0 ? { page, before, ns, after } : null;
}

function notProved(what: string, layout: KernelPageLayout): LatchclockError {
  return new LatchclockError('ERR_PAGE_NOT_PROVED', what, { where: `layout ${layout.name}` });
}

/** True if the words could be a clock structure's: cheap, so that only likely layouts are bracketed. */
function isPlausible(snapshot: KernelPageSnapshot): boolean {
  const { mode } = snapshot.main;
  if (snapshot.raw.mode !== mode) return false;
  // Under this mode the kernel writes no cycles, mask, mult or shift: since boot they may be zero.
  if (mode === ClockMode.none) return true;
  const modes: number[] = [ClockMode.tsc, ClockMode.pvclock, ClockMode.hvclock];
  if (!modes.includes(mode)) return false;
  return [snapshot.main, snapshot.raw].every(({ mask, maxCycles, mult, shift }) => {
    const isMask = mask === null || (mask !== 0n && (mask & (mask + 1n)) === 0n);
    // The kernel derives it from the raw mult with a margin. One that is too small does no harm.
    const isLimit = maxCycles === null || isU64(maxCycles * snapshot.raw.mult);
    return isMask && isLimit && mult > 0n && shift <= 32;
  });
}

/** True if a copy's words changed from one state of the page to another, and its count did not. */
function countStoodStill(before: KernelPageSnapshot, after: KernelPageSnapshot): boolean {
  const coarse = (page: KernelPageSnapshot): bigint => page.basetimes['monotonic-coarse'].nsecAsStored;
  const mainChanged = before.main.cycleLast !== after.main.cycleLast || coarse(before) !== coarse(after);
  const rawChanged = before.raw.cycleLast !== after.raw.cycleLast;
  return (
    (mainChanged && before.main.seq === after.main.seq) || (rawChanged && before.raw.seq === after.raw.seq)
  );
}

/**
 * Proves a layout against the clocks that answer, by system call, or by the vDSO where a sandbox refuses it: while the
 * page keeps every byte, each clock's value must lie between the layout's values at the counter readings around
 * the call; a coarse clock's value and the resolution must be equal. Where the kernel writes meanwhile, the counts
 * must move with the words.
 *
 * @param address the page that holds the kernel's clock data
 * @throws LatchclockError `ERR_PAGE_NOT_PROVED` with the first value that did not fit, or if the page never
 *   stood still; what reading the counter or the memory throws; `ERR_SYSTEM_CALL` where no clock answers that
 *   counts by the counter, though the page's mode has them
 */
export function proveLayout(
  addon: Addon,
  address: bigint,
  layout: KernelPageLayout,
  namespaceNs: KernelPageSnapshot['namespaceNs'],
): LayoutProof {
  const first = decodeKernelPage(addon.copyMemory(address, PAGE_SIZE), layout, namespaceNs);
  if (!isPlausible(first)) throw notProved('mode, mask, mult or shift make no sense', layout);
  // A coarse clock needs no counter: the vDSO has it even where it enters the kernel for the others.
  const path = referencePath(addon, 'monotonic-coarse');
  // The one word that no bracket touches; without it layouts that differ only there could not be told apart.
  const resolutionNs = addon.clockResolution(ClockPath[path], CLOCK_IDS.monotonic);
  if (BigInt(first.hrtimerResNs) !== resolutionNs) {
    throw notProved(`the resolution is ${resolutionNs} ns, the page says ${first.hrtimerResNs}`, layout);
  }
  let previous: KernelPageSnapshot | undefined;
  const { answering, refused } = pathsOf(addon, clocksUnderMode(first));
  if (first.main.mode === ClockMode.tsc && answering.every(({ clock }) => isCoarse(clock))) {
    referencePath(addon, 'monotonic');
  }
  // Nothing else holds the second copy's place then.
  if (refused.some(({ clock }) => clock === 'monotonic-raw') && !isRawBesideMain(first)) {
    throw notProved('the copy for monotonic-raw, which no path gives, is not like the main one', layout);
  }
  const widths: number[] = [];
  for (const { clock, path: by } of answering) {
    let taken = 0;
    for (let attempt = 0; taken < SAMPLES; attempt++) {
      if (attempt === MOST_ATTEMPTS) throw notProved(`the page never stood still around ${clock}`, layout);
      const sample = takeStillSample(addon, by, address, clock);
      if (sample === null) continue;
      const snapshot = decodeKernelPage(sample.page, layout, namespaceNs);
      // An odd count that stood still: the writer is at work, and stopped.
      if ((snapshot.main.seq & 1) !== 0 || (snapshot.raw.seq & 1) !== 0) continue;
      if (previous !== undefined && countStoodStill(previous, snapshot)) {
        throw notProved('the words changed while their count stood still', layout);
      }
      previous = snapshot;
      const segment = kernelSegment(snapshot, clock);
      const lowest = evaluate(segment, sample.before);
      const highest = evaluate(segment, sample.after);
      if (sample.ns < lowest || sample.ns > highest) {
        throw notProved(`${clock} is ${sample.ns} ns, the page says ${lowest} to ${highest}`, layout);
      }
      if (!isCoarse(clock)) widths.push(Number(highest - lowest));
      taken++;
    }
  }
  return {
    path,
    clocks: answering.map(({ clock }) => clock),
    byVdso: answering.flatMap(({ clock, path: by }) => (by === path ? [] : [clock])),
    refused,
    samplesPerClock: SAMPLES,
    bracketNs: widths.length === 0 ? 0 : median(widths),
  };
}
