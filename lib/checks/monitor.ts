import { type CounterAnchor, takeAnchor } from '../host/frequency.js';
import { type Host, orNull } from '../host/host.js';
import { readPvclockPage } from '../host/pvclock-page.js';
import { referencePath } from '../host/reference-path.js';
import { ClockPath } from '../native/addon.js';
import { CLOCK_IDS } from '../page/posix-clocks.js';

/** What is read again and again while a run lasts. */
export interface Observation {
  anchor: CounterAnchor;
  /** boottime - monotonic, nanoseconds, to the time between two readings: grows when the machine sleeps. */
  sleptNs: bigint;
  /** The pvclock page's version and rate; null where the kernel maps none. A hypervisor rewrites it on migration. */
  pvclock: { version: number; mul: bigint; tscShift: number } | null;
  /** What the kernel counts by; null where `/sys` does not tell. */
  clocksource: string | null;
}

const INTERVAL_MS = 200;

/** Watches the counter over a run. Observing costs a fraction of a millisecond. */
export class RunMonitor {
  readonly observations: Observation[] = [];
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(readonly host: Host) {
    this.observe();
  }

  /** Observes now if the last time is long enough ago. */
  observeIfDue(): void {
    if (performance.now() - this.#lastMs >= INTERVAL_MS) this.observe();
  }

  /** Observes now. What cannot be read (a disabled counter) leaves no observation. */
  observe(): void {
    this.#lastMs = performance.now();
    const { addon, files } = this.host;
    const observation = orNull((): Observation => {
      const path = ClockPath[referencePath(addon, 'boottime')];
      const monotonicNs = addon.readClock(path, CLOCK_IDS.monotonic);
      const boottimeNs = addon.readClock(path, CLOCK_IDS.boottime);
      const pvclock = orNull(() => readPvclockPage(addon, files, this.host.page()));
      return {
        anchor: takeAnchor(addon),
        sleptNs: boottimeNs - monotonicNs,
        pvclock:
          pvclock === null
            ? null
            : { version: pvclock.version, mul: pvclock.mul, tscShift: pvclock.tscShift },
        clocksource: this.host.clocksource().current,
      };
    });
    if (observation !== null) this.observations.push(observation);
  }
}
