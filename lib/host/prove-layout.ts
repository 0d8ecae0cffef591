import { median } from 'simple-statistics';
import { LatchclockError } from '../errors.js';
import { type Addon, ClockPath, CounterMethod } from '../native/addon.js';
import type { KernelPageLayout } from '../page/kernel-layout.js';
import { ClockMode, decodeKernelPage, type KernelPageSnapshot, kernelSegment } from '../page/kernel-page.js';
import { CLOCK_IDS, isCoarse, PAGE_CLOCKS, type PageClockName } from '../page/posix-clocks.js';
import { evaluate } from '../page/segment.js';
import { PAGE_SIZE } from './kernel-mappings.js';

/** What a layout of the kernel's page was proved by. */
export interface LayoutProof {
  /** Clocks whose value, by system call, lay where the page put it, every time. */
  clocks: PageClockName[];
  samplesPerClock: number;
  /** Median width of the bracket around a system call, nanoseconds: the proof is blind to errors below it. */
  bracketNs: number;
}

const SAMPLES = 64;
const MOST_ATTEMPTS = 64 * SAMPLES;

/** Clocks that the page can give under its mode: without TSC cycles only the coarse ones. */
export function readableClocks(snapshot: KernelPageSnapshot): PageClockName[] {
  return PAGE_CLOCKS.filter((clock) => isCoarse(clock) || snapshot.main.mode === ClockMode.tsc);
}

/** A system call's value between two counter readings, while the page kept every byte. */
interface StillSample {
  page: Uint8Array;
  before: bigint;
  ns: bigint;
  after: bigint;
}

/** Null if the page changed meanwhile. Any layout can be judged by it: it compares bytes, not a count. */
function takeStillSample(addon: Addon, address: bigint, clock: PageClockName): StillSample | null {
  const page = addon.copyMemory(address, PAGE_SIZE);
  const before = addon.readCounter(CounterMethod['lfence-rdtsc']);
  const ns = addon.readClock(ClockPath.syscall, CLOCK_IDS[clock]);
  const after = addon.readCounter(CounterMethod['lfence-rdtsc']);
  const again = addon.copyMemory(address, PAGE_SIZE);
  return Buffer.compare(page, again) === 0 ? { page, before, ns, after } : null;
}

function notProved(what: string, layout: KernelPageLayout): LatchclockError {
  return new LatchclockError('ERR_PAGE_NOT_PROVED', what, { where: `layout ${layout.name}` });
}

/** True if the words could be a clock structure's: cheap, so that only likely layouts are bracketed. */
export function isPlausible(snapshot: KernelPageSnapshot): boolean {
  const modes: number[] = [ClockMode.none, ClockMode.tsc, ClockMode.pvclock, ClockMode.hvclock];
  return [snapshot.main, snapshot.raw].every((words) => {
    const mask = words.mask ?? (1n << 64n) - 1n;
    const isMask = mask !== 0n && (mask & (mask + 1n)) === 0n;
    return (
      modes.includes(words.mode) &&
      isMask &&
      words.mult > 0n &&
      words.shift <= 32 &&
      words.mode === snapshot.main.mode
    );
  });
}

/**
 * Proves a layout against the clocks, by system call: while the page keeps every byte, each clock's value must
 * lie between the layout's values at the counter readings around the call, a coarse clock's must be equal.
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
  const clocks = readableClocks(first);
  const widths: number[] = [];
  for (const clock of clocks) {
    let taken = 0;
    for (let attempt = 0; taken < SAMPLES; attempt++) {
      if (attempt === MOST_ATTEMPTS) throw notProved(`the page never stood still around ${clock}`, layout);
      const sample = takeStillSample(addon, address, clock);
      if (sample === null) continue;
      const snapshot = decodeKernelPage(sample.page, layout, namespaceNs);
      // An odd count that stood still: the writer is at work, and stopped.
      if ((snapshot.main.seq & 1) !== 0 || (snapshot.raw.seq & 1) !== 0) continue;
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
  return { clocks, samplesPerClock: SAMPLES, bracketNs: widths.length === 0 ? 0 : median(widths) };
}
