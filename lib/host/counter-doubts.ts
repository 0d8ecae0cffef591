/**
 * What a line of the kernel's log says against the counter:
 * - `given-up`: the kernel no longer counts by it;
 * - `skew`: it ran away from another clock; `warp`, `out-of-step`: it differs between CPUs;
 * - `read-back`: the watchdog's reading took too long, after which the kernel gave the counter up, or may;
 * - `adjusted`: the kernel found TSC_ADJUST of a CPU wrong, and set it right;
 * - `frequency`: the frequency is not the one that the processor or its firmware declares.
 */
export type CounterDoubtKind =
  | 'given-up'
  | 'skew'
  | 'warp'
  | 'out-of-step'
  | 'read-back'
  | 'adjusted'
  | 'frequency';

/** A line of the kernel's log that doubts the counter. */
export type CounterDoubt = {
  kind: CounterDoubtKind;
  /** As the kernel wrote it, without the spaces around. */
  line: string;
  /** The CPUs that the line names, as written: numbers, or lists such as `1-3,6`. */
  cpus: string[];
};

// Texts of Linux 3.10 to 7.x: arch/x86/kernel/tsc.c, tsc_sync.c and cpu/amd.c, kernel/time/clocksource.c. Each is
// matched from the line's start: a driver may say "tsc unstable" of something of its own, behind its own name.
const DOUBTS: readonly (readonly [kind: CounterDoubtKind, text: RegExp])[] = [
  // What a boot parameter ordered is no doubt of the kernel's.
  ['given-up', /^(tsc: )?Marking TSC unstable due to (?!boot parameter)/],
  ['given-up', /^TSC found unstable after boot/],
  ['given-up', /^(clocksource: )?Override clocksource tsc(-early)? is (unstable and )?not HRT compatible/],
  ['given-up', /^Clocksource tsc(-early)? unstable \(delta = /],
  ['skew', /^clocksource: timekeeping watchdog on CPU\d+: Marking clocksource 'tsc(-early)?' as unstable/],
  ['skew', /^clocksource: timekeeping watchdog: Marking clocksource 'tsc(-early)?' as unstable/],
  ['skew', /^clocksource: Marking clocksource tsc(-early)? unstable due to frequency skew/],
  ['skew', /^clocksource: +Clocksource 'tsc(-early)?' skewed /],
  ['out-of-step', /^clocksource: Marking clocksource tsc(-early)? unstable due to inter CPU skew/],
  ['out-of-step', /^clocksource: +CPUs [\d,-]+ (ahead of|behind) CPU \d+ for clocksource tsc(-early)?\./],
  ['out-of-step', /^clocksource: CPU\d+ +\d+ < CPU\d+ +\d+ \(cycles\)/],
  ['read-back', /^clocksource: timekeeping watchdog on CPU\d+: .*read-back delay of /],
  ['read-back', /^clocksource: wd-tsc(-early)?-wd read-back delay of /],
  ['warp', /^(tsc: )?TSC synchronization \[CPU#\d+ -> CPU#\d+\]:$/],
  ['warp', /^(tsc: )?Measured \d+ cycles TSC warp between CPUs/],
  ['warp', /^(tsc: )?TSC warped randomly between CPUs/],
  ['adjusted', /^(\[Firmware Bug\]: )?(tsc: )?TSC ADJUST[: ](?!.*NOT forced)/],
  ['frequency', /^\[Firmware Bug\]: TSC doesn't count with P0 frequency/],
  ['frequency', /^(tsc: )?Warning: TSC freq calibrated by CPUID\/MSR differs/],
];

const CPUS = /\bCPUs? ?#?(\d[\d,-]*)/g;

/** What a message of the kernel says against the counter; null if it says nothing against it. */
export function counterDoubtOf(message: string): CounterDoubt | null {
  const line = message.trim();
  const found = DOUBTS.find(([, text]) => text.test(line));
  if (found === undefined) return null;
  return { kind: found[0], line, cpus: [...line.matchAll(CPUS)].map(([, cpus]) => cpus as string) };
}

/** Kinds after which the kernel no longer counts by the counter, or should not. */
const DECISIVE: readonly CounterDoubtKind[] = ['given-up', 'skew', 'warp', 'out-of-step'];

/** True for a doubt that speaks against counting by the counter, and not only against its firmware or the machine's load. */
export function isDecisive({ kind, line }: CounterDoubt): boolean {
  return DECISIVE.includes(kind) || (kind === 'read-back' && /marking (tsc(-early)? )?unstable/.test(line));
}

// From the line that tells most of what the kernel saw to the one that only says what it did.
const TELLING: readonly CounterDoubtKind[] = [
  'out-of-step',
  'warp',
  'skew',
  'read-back',
  'given-up',
  'adjusted',
  'frequency',
];

/** The doubt that tells most, the decisive ones first; null without any. */
export function mostTelling(doubts: readonly CounterDoubt[]): CounterDoubt | null {
  const rank = (doubt: CounterDoubt): number =>
    (isDecisive(doubt) ? 0 : 100) +
    TELLING.indexOf(doubt.kind) * 2 +
    // Of two lines of a kind, the one that names figures: "Measured 4124 cycles" before "synchronization [CPU#0".
    (/^TSC synchronization|^TSC warped|^clocksource: Marking|^clocksource: +Clocksource/.test(doubt.line)
      ? 1
      : 0);
  return doubts.toSorted((one, other) => rank(one) - rank(other))[0] ?? null;
}
