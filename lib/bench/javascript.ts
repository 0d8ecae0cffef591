import type { Clock } from '../host/clock.js';
import { openClock } from '../host/machine.js';
import type { ClockName } from '../page/posix-clocks.js';
import { ClockPage } from '../timekeeper/clock-page.js';
import { Timekeeper } from '../timekeeper/timekeeper.js';
import type { JsPath, Subject } from './subject.js';

/** A JavaScript function that reads a clock, and its value in units that only grow. */
export interface JsRead {
  read(): unknown;
  /** A value of `read` as a number of its own unit, so that two can be compared. */
  value(read: unknown): bigint;
}

const big = (read: unknown): bigint => read as bigint;
/** To a ten-thousandth of the function's own unit. */
const fraction = (read: unknown): bigint => BigInt(Math.round((read as number) * 1e4));

/** A package that a user may have beside this one; its types are not this program's. */
async function optional(name: string): Promise<Record<string, unknown>> {
  const module = (await import(name)) as { default?: unknown };
  return (module.default ?? module) as Record<string, unknown>;
}

function ownClock(path: 'now' | 'nowInto', clock: Clock): JsRead {
  if (path === 'now') return { read: () => clock.now(), value: big };
  const out = new BigInt64Array(1);
  return {
    read: () => {
      clock.nowInto(out);
      return out[0];
    },
    value: big,
  };
}

/** Opens the functions of one process, with what some of them need. */
export class JsReads {
  #page: ClockPage | null = null;
  #timekeeper: Timekeeper | null = null;

  /**
   * The function of a subject.
   *
   * @throws LatchclockError as opening the clock does; an error with the code `ERR_MODULE_NOT_FOUND` for a package that is
   *   not installed
   */
  async open({ path, clock }: Subject): Promise<JsRead> {
    switch (path as JsPath | 'empty') {
      case 'empty': {
        const nothing = 0n;
        return { read: () => nothing, value: big };
      }
      case 'now':
      case 'nowInto':
        return ownClock(path as 'now' | 'nowInto', openClock(clock as ClockName));
      case 'two-window': {
        const page = await this.#keptPage();
        const own = page.clock('monotonic', { outOfWindow: 'spin' });
        return { read: () => own.now(), value: big };
      }
      case 'process.hrtime':
        return {
          read: () => process.hrtime(),
          value: (read) => {
            const [seconds, ns] = read as [number, number];
            return BigInt(seconds) * 1_000_000_000n + BigInt(ns);
          },
        };
      case 'process.hrtime.bigint':
        return { read: () => process.hrtime.bigint(), value: big };
      case 'performance.now':
        return { read: () => performance.now(), value: fraction };
      case 'Date.now':
        return { read: () => Date.now(), value: fraction };
      case 'microtime.now': {
        const { now } = (await optional('microtime')) as { now: () => number };
        return { read: () => now(), value: fraction };
      }
      case 'nano-time': {
        const now = (await optional('nano-time')) as unknown as () => string;
        return { read: () => now(), value: (read) => BigInt(read as string) };
      }
      case 'rdtsc': {
        const module = await optional('rdtsc');
        const rdtsc = (module['rdtsc'] ?? module) as () => bigint;
        return { read: () => rdtsc(), value: (read) => BigInt(read as bigint) };
      }
    }
  }

  /** A page whose timekeeper hardly ever has a turn, in a thread of its own. */
  async #keptPage(): Promise<ClockPage> {
    if (this.#page === null) {
      this.#page = ClockPage.create();
      this.#timekeeper = await Timekeeper.start({ page: this.#page, updateMs: 500, windowMs: 60_000 });
    }
    return this.#page;
  }

  async close(): Promise<void> {
    await this.#timekeeper?.stop();
    this.#page?.close();
  }
}
