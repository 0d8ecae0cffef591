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

interface KnownText {
  kind: CounterDoubtKind;
  /** Whether it speaks against counting by the counter, and not only against the firmware or the machine's load. */
  isDecisive: boolean;
  text: RegExp;
}

function known(kind: CounterDoubtKind, isDecisive: boolean, ...texts: readonly RegExp[]): KnownText[] {
  return texts.map((text) => ({ kind, isDecisive, text }));
}

// Texts of Linux 3.10 to 7.x: arch/x86/kernel/tsc.c, tsc_sync.c and cpu/amd.c, kernel/time/clocksource.c. Each is
// matched from the line's start: a driver may say "tsc unstable" of something of its own, behind its own name.
// The order is from what tells most of what the kernel saw to what only tells what it did.
const KNOWN: readonly KnownText[] = [
  ...known(
    'out-of-step',
    true,
    /^clocksource: +CPUs [\d,-]+ (ahead of|behind) CPU \d+ for clocksource tsc(-early)?\./,
    /^clocksource: CPU\d+ +\d+ < CPU\d+ +\d+ \(cycles\)/,
    /^clocksource: Marking clocksource tsc(-early)? unstable due to inter CPU skew/,
  ),
  ...known(
    'warp',
    true,
    /^(tsc: )?Measured \d+ cycles TSC warp between CPUs/,
    /^(tsc: )?TSC synchronization \[CPU#\d+ -> CPU#\d+\]:$/,
    /^(tsc: )?TSC warped randomly between CPUs/,
  ),
  ...known(
    'skew',
    true,
    /^clocksource: timekeeping watchdog( on CPU\d+)?: Marking clocksource 'tsc(-early)?' as unstable/,
    /^clocksource: Marking clocksource tsc(-early)? unstable due to frequency skew/,
    /^clocksource: +Clocksource 'tsc(-early)?' skewed /,
  ),
  ...known(
    'read-back',
    true,
    /^clocksource: timekeeping watchdog on CPU\d+: .*read-back delay of .*marking (tsc(-early)? )?unstable/,
  ),
  ...known(
    'given-up',
    true,
    /^Clocksource tsc(-early)? unstable \(delta = /,
    // What a boot parameter ordered is no doubt of the kernel's.
    /^(tsc: )?Marking TSC unstable due to (?!boot parameter)/,
    /^TSC found unstable after boot/,
    /^(clocksource: )?Override clocksource tsc(-early)? is (unstable and )?not HRT compatible/,
  ),
  ...known('adjusted', false, /^(\[Firmware Bug\]: )?(tsc: )?TSC ADJUST[: ](?!.*NOT forced)/),
  ...known(
    'read-back',
    false,
    /^clocksource: timekeeping watchdog on CPU\d+: .*read-back delay of /,
    /^clocksource: wd-tsc(-early)?-wd read-back delay of /,
  ),
  ...known(
    'frequency',
    false,
    /^\[Firmware Bug\]: TSC doesn't count with P0 frequency/,
    /^(tsc: )?Warning: TSC freq calibrated by CPUID\/MSR differs/,
  ),
];

function placeOf(line: string): number {
  return KNOWN.findIndex(({ text }) => text.test(line));
}

const CPUS = /\bCPUs? ?#?(\d[\d,-]*)/g;

/** What a message of the kernel says against the counter; null if it says nothing against it. */
export function counterDoubtOf(message: string): CounterDoubt | null {
  const line = message.trim();
  const found = KNOWN[placeOf(line)];
  if (found === undefined) return null;
  return { kind: found.kind, line, cpus: [...line.matchAll(CPUS)].map(([, cpus]) => cpus as string) };
}

/** True for a doubt after which the kernel no longer counts by the counter, or should not. */
export function isDecisive({ line }: CounterDoubt): boolean {
  return KNOWN[placeOf(line)]?.isDecisive ?? false;
}

/** The doubt that tells most, the decisive ones first; null without any. */
export function mostTelling(doubts: readonly CounterDoubt[]): CounterDoubt | null {
  return doubts.toSorted((one, other) => placeOf(one.line) - placeOf(other.line))[0] ?? null;
}
