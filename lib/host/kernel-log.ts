import { type CounterDoubt, counterDoubtOf } from './counter-doubts.js';
import type { HostFiles } from './files.js';

/** What the kernel's log says of the counter. */
export interface KernelLogFacts {
  /** `clocksource: tsc: mask: ... max_cycles: ..., max_idle_ns: ...`, the last such line. */
  tscClocksource: { maxCycles: bigint; maxIdleNs: bigint } | null;
  /** `tsc: Detected ... MHz` or `Refined TSC clocksource calibration: ... MHz`, the last, MHz. */
  tscMhz: number | null;
  /** Lines in which the kernel doubts the counter, in their order. */
  doubts: CounterDoubt[];
}

const MOST_RECORDS = 100_000;
const CLOCKSOURCE = /clocksource: tsc: mask: \S+ max_cycles: (0x[0-9a-f]+), max_idle_ns: (\d+) ns/;
const FREQUENCY = /tsc: (?:Detected|Refined TSC clocksource calibration:) (\d{1,9}\.\d{1,9}) MHz/;
const KERNEL_PRIORITIES = 8;
const BOOT_PARAMETERS = /^(Kernel c|C)ommand line:/;

/**
 * Reads the kernel's log (`/dev/kmsg`). It can have lost its first lines.
 *
 * @throws LatchclockError `ERR_FILE` where it may not be read (`dmesg_restrict`)
 */
export function readKernelLog(files: HostFiles): KernelLogFacts {
  const facts: KernelLogFacts = { tscClocksource: null, tscMhz: null, doubts: [] };
  for (const record of files.readRecords('/dev/kmsg', MOST_RECORDS)) {
    // "priority,...;message" and then lines of properties.
    const message = record.slice(record.indexOf(';') + 1).split('\n', 1)[0] as string;
    // Programs write to the log too, with a facility above the kernel's 0; boot parameters are no finding.
    if (Number.parseInt(record, 10) >= KERNEL_PRIORITIES || BOOT_PARAMETERS.test(message)) continue;
    const clocksource = CLOCKSOURCE.exec(message);
    if (clocksource?.[1] !== undefined && clocksource[2] !== undefined) {
      facts.tscClocksource = { maxCycles: BigInt(clocksource[1]), maxIdleNs: BigInt(clocksource[2]) };
    }
    const frequency = FREQUENCY.exec(message);
    if (frequency?.[1] !== undefined) facts.tscMhz = Number(frequency[1]);
    const doubt = counterDoubtOf(message);
    if (doubt !== null) facts.doubts.push(doubt);
  }
  return facts;
}
