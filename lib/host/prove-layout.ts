import { median } from 'simple-statistics';
import { LatchclockError } from '../errors.js';
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
  /** Clocks whose value by that path lay where the page put it, every time. */
  clocks: PageClockName[];
  samplesPerClock: number;
  /** Median width of the bracket around a reading, nanoseconds: the proof is blind to errors below it. */
  bracketNs: number;
}

const SAMPLES = 64;
const MOST_ATTEMPTS = 64 * SAMPLES;

/** Clocks that the page can give under its mode: without TSC cycles only the coarse ones. */
export function readableClocks(snapshot: KernelPageSnapshot): PageClockName[] {
  return PAGE_CLOCKS.filter((clock) => isCoarse(clock) || snapshot.main.mode === ClockMode.tsc);
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
 * Proves a layout against the clocks, by system call, or by the vDSO where a sandbox refuses the call: while the
 * page keeps every byte, each clock's value must lie between the layout's values at the counter readings around
 * the call; a coarse clock's value and the resolution must be equal. Where the kernel writes meanwhile, the counts
 * must move with the words.
 *
 * @param address the page that holds the kernel's clock data
 * @throws LatchclockError `ERR_PAGE_NOT_PROVED` with the first value that did not fit, or if the page never
 *   stood still; what reading the counter, the memory or a clock throws
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
  const clocks = readableClocks(first);
  const widths: number[] = [];
  for (const clock of clocks) {
    let taken = 0;
    for (let attempt = 0; taken < SAMPLES; attempt++) {
      if (attempt === MOST_ATTEMPTS) throw notProved(`the page never stood still around ${clock}`, layout);
      const sample = takeStillSample(addon, path, address, clock);
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
  return { path, clocks, samplesPerClock: SAMPLES, bracketNs: widths.length === 0 ? 0 : median(widths) };
}
