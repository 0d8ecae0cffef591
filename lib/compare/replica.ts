import type { KernelPageSnapshot } from '../page/kernel-page.js';
import { cycleInterval, type UpdateExplanation } from '../page/kernel-update.js';
import { PAGE_CLOCKS, type PageClockName } from '../page/posix-clocks.js';
import { NS_PER_SEC, wrapU64 } from '../units.js';

/** An update that follows from the page before it, once it is known what was asked of the kernel and when it read the counter. */
export type FollowedUpdate = Extract<UpdateExplanation, { kind: 'tick' | 'forward' }>;

/** What an explanation does not tell: the kernel's version decides it, and where the counter stood. */
export interface UpdateChoices {
  /** Whether the coarse clocks took the new base: always, but for a tick without a whole interval since Linux 6.15. */
  readonly coarseRenewed: boolean;
  /** Whether raw and monotonic counted the cycles: always, but for a resume. */
  readonly counted: boolean;
}

type Base = { readonly seconds: bigint; readonly nsecAsStored: bigint };
type FineClock = Exclude<PageClockName, 'realtime-coarse' | 'monotonic-coarse'>;
type Totals = Record<FineClock, bigint>;

/** Seconds and the rest, which is never negative, of a count in a unit of which a second has `second`. */
function based(total: bigint, second: bigint): Base {
  const nsecAsStored = ((total % second) + second) % second;
  return { seconds: (total - nsecAsStored) / second, nsecAsStored };
}

function totalOf({ seconds, nsecAsStored }: Base, second: bigint): bigint {
  return seconds * second + nsecAsStored;
}

/** Moves clocks as the steps of an update do; nanoseconds scaled by `2^shift`. */
function makeSteps(totals: Totals, steps: FollowedUpdate['steps'], shift: bigint): void {
  const move = (clocks: readonly FineClock[], scaled: bigint): void => {
    for (const clock of clocks) totals[clock] += scaled;
  };
  for (const step of steps) {
    switch (step.name) {
      case 'leap':
        move(['realtime'], -BigInt(step.sign) * (NS_PER_SEC << shift));
        break;
      case 'tai':
        move(['tai'], step.seconds * (NS_PER_SEC << shift));
        break;
      case 'settime':
        // The fraction below a nanosecond, which these clocks share, is lost.
        move(['realtime', 'monotonic', 'boottime', 'tai'], -(totals.monotonic & ((1n << shift) - 1n)));
        move(['realtime', 'tai'], step.ns << shift);
        break;
      case 'setoffset':
        move(['realtime', 'tai'], step.ns << shift);
        break;
      case 'suspend':
        move(['realtime', 'tai', 'boottime'], step.ns << shift);
        break;
    }
  }
}

/**
 * The page that the kernel writes after `page`: whole intervals are added at the old mult, mult changes and the bases are
 * corrected at the reading that the kernel had taken, seconds overflow, steps are made, and the coarse clocks and the
 * count follow (`timekeeping_advance`, `timekeeping_forward_now` and what follows it, kernel/time/timekeeping.c;
 * `update_vsyscall`, kernel/time/vsyscall.c). Exact.
 *
 * @param hz the kernel's tick rate, CONFIG_HZ: 12..12287
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for a rate out of range
 */
export function nextPage(
  page: KernelPageSnapshot,
  update: FollowedUpdate,
  choices: UpdateChoices,
  hz: number,
): KernelPageSnapshot {
  const { main, raw, basetimes } = page;
  const shift = BigInt(main.shift);
  const second = NS_PER_SEC << shift;
  const isTick = update.kind === 'tick';
  const cycles = isTick ? update.intervals * cycleInterval(hz, raw.mult, main.shift) : update.cycles;
  const counted = choices.counted ? cycles : 0n;
  const multChange = isTick ? update.multChange : 0n;
  const correction = isTick ? (update.restCycles ?? 0n) * multChange : 0n;
  const added = counted * main.mult - correction;
  const totals: Totals = {
    realtime: totalOf(basetimes.realtime, second) + added,
    monotonic: totalOf(basetimes.monotonic, second) + added,
    'monotonic-raw': totalOf(basetimes['monotonic-raw'], second) + counted * raw.mult,
    boottime: totalOf(basetimes.boottime, second) + added,
    tai: totalOf(basetimes.tai, second) + added,
  };
  makeSteps(totals, update.steps, shift);
  const realtime = based(totals.realtime, second);
  const coarse: Base = {
    seconds: realtime.seconds,
    nsecAsStored: choices.coarseRenewed
      ? realtime.nsecAsStored >> shift
      : basetimes['realtime-coarse'].nsecAsStored,
  };
  const distance = (totals.monotonic - totals.realtime) >> shift;
  const words = { seq: (main.seq + 2) % 2 ** 32, cycleLast: wrapU64(main.cycleLast + cycles) };
  return {
    ...page,
    main: { ...main, ...words, mult: main.mult + multChange },
    raw: { ...raw, ...words },
    basetimes: {
      realtime,
      monotonic: based(totals.monotonic, second),
      'monotonic-raw': based(totals['monotonic-raw'], second),
      boottime: based(totals.boottime, second),
      tai: based(totals.tai, second),
      'realtime-coarse': coarse,
      'monotonic-coarse': based(totalOf(coarse, NS_PER_SEC) + distance, NS_PER_SEC),
    },
  };
}

/** The words in which two pages differ, with both values. */
export function differingWords(simulated: KernelPageSnapshot, kernel: KernelPageSnapshot): string[] {
  const differing: string[] = [];
  const hold = (word: string, a: unknown, b: unknown): void => {
    if (a !== b) differing.push(`${word}: simulated ${a}, the kernel's ${b}`);
  };
  for (const copy of ['main', 'raw'] as const) {
    for (const word of ['seq', 'mode', 'cycleLast', 'maxCycles', 'mask', 'mult', 'shift'] as const) {
      hold(`${copy} ${word}`, simulated[copy][word], kernel[copy][word]);
    }
  }
  for (const clock of PAGE_CLOCKS) {
    for (const part of ['seconds', 'nsecAsStored'] as const) {
      hold(`${part} of ${clock}`, simulated.basetimes[clock][part], kernel.basetimes[clock][part]);
    }
  }
  return differing;
}
