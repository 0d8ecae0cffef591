import fc from 'fast-check';
import {
  CLOCK_PAGE_BYTES,
  CLOCK_PAGE_OFFSETS,
  type CopyImage,
  copyImageStores,
  OWN_CLOCKS,
  type OwnClockName,
} from '../../../lib/page/clock-page.ts';
import { type OwnReaderName, readOwnPage } from '../../../lib/page/protocols/readers.ts';
import type { ReaderOptions, ReaderOutcome } from '../../../lib/page/protocols/reading.ts';
import { bytesMemory, type StepCounter, type StepMemory } from '../../../lib/page/steps.ts';

export const U64 = 1n << 64n;

const word = fc.bigInt({ min: 0n, max: U64 - 1n });

/** Words near the places where arithmetic turns over, and any. */
export const edgyWord = fc.oneof(
  word,
  fc
    .tuple(
      fc.constantFrom(0n, 1n << 31n, 1n << 32n, 1n << 62n, 1n << 63n, U64 - 1n),
      fc.integer({ min: -3, max: 3 }),
    )
    .map(([place, off]) => (place + BigInt(off) + U64) % U64),
);

export interface ImageParts {
  base?: bigint;
  maxDelta?: bigint;
  tag?: bigint;
  /** Words of every clock are made of this, so that those of two images are nowhere the same. */
  seed?: bigint;
  shift?: number;
  mult?: bigint;
}

/** An image whose clocks and groups have different words. */
export function image({
  base = 1_000n,
  maxDelta = 500n,
  tag = 0n,
  seed = 1n,
  shift = 4,
  mult,
}: ImageParts = {}): CopyImage {
  const group = (number: bigint) => ({
    mult: mult ?? 40n + 7n * number + seed * 100n,
    fraction: (seed + number) % (1n << BigInt(shift)),
    shift,
  });
  return {
    base,
    maxDelta,
    tag,
    groups: {
      shared: group(0n),
      realtime: group(1n),
      'smeared-realtime': group(2n),
      'monotonic-raw': group(3n),
      bound: group(4n),
    },
    wholes: Object.fromEntries(
      OWN_CLOCKS.map((clock, number) => [clock, seed * 1_000_000n + BigInt(number) * 10_000n - 35_000n]),
    ) as Record<OwnClockName, bigint>,
    boundWholeNs: seed,
  };
}

/** A page of two copies, without a header. */
export function pageOf(
  count: bigint,
  copies: readonly (CopyImage | null)[],
  generation: bigint = 0n,
): Uint8Array {
  const bytes = new Uint8Array(CLOCK_PAGE_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(CLOCK_PAGE_OFFSETS.count, count, true);
  view.setBigUint64(CLOCK_PAGE_OFFSETS.generation, generation, true);
  copies.forEach((copy, number) => {
    if (copy === null) return;
    for (const [at, value] of copyImageStores(number as 0 | 1, copy)) view.setBigUint64(at, value, true);
  });
  return bytes;
}

export function options(parts: Partial<ReaderOptions> = {}): ReaderOptions {
  return { clock: 'monotonic', generation: 'none', arithmetic: 'wide', mostTries: 4, mostSpins: 4, ...parts };
}

/** One straight read; a counter given as a number stands still. */
export function read(
  protocol: OwnReaderName,
  page: Uint8Array | StepMemory,
  counter: bigint | StepCounter,
  parts: Partial<ReaderOptions> = {},
): ReaderOutcome {
  const memory = page instanceof Uint8Array ? bytesMemory(page) : page;
  return readOwnPage(protocol, options(parts), memory, typeof counter === 'bigint' ? () => counter : counter);
}

/** Memory under which `change` happens right after the `n`-th access, counted from 1; with `every`, after each n-th. */
export function changingMemory(
  bytes: Uint8Array,
  n: number,
  change: (view: DataView) => void,
  every = false,
): StepMemory {
  const memory = bytesMemory(bytes);
  const view = new DataView(bytes.buffer);
  let accesses = 0;
  const count = (): void => {
    accesses++;
    if (every ? accesses % n === 0 : accesses === n) change(view);
  };
  return {
    load(at, size, order) {
      const value = memory.load(at, size, order);
      count();
      return value;
    },
    store(at, size, value, order) {
      memory.store(at, size, value, order);
      count();
    },
  };
}

/** The exact value of a clock of an image: rational arithmetic, rounded down. */
export function exactNs(from: CopyImage, clock: OwnClockName, cycles: bigint): bigint {
  const groupName =
    clock === 'realtime' || clock === 'smeared-realtime' || clock === 'monotonic-raw' ? clock : 'shared';
  const { mult, fraction, shift } = from.groups[groupName];
  const delta = (((cycles - from.base) % U64) + U64) % U64;
  return from.wholes[clock] + (delta * mult + fraction) / 2n ** BigInt(shift);
}
