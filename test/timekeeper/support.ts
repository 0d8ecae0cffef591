import type { OwnClockName } from '../../lib/page/clock-page.js';
import type { LeapTimeline } from '../../lib/smear/leap.js';
import type { KeeperEvent } from '../../lib/timekeeper/events.js';
import { boundNsAt, Keeper, type KeeperOptions, shiftFor } from '../../lib/timekeeper/keeper.js';
import { nsAt } from '../../lib/timekeeper/line.js';
import type { SimulatedSource } from '../../lib/timekeeper/simulated-source.js';
import type { Slope, Standing } from '../../lib/timekeeper/standing.js';
import { UtcScale } from '../../lib/timekeeper/utc-scale.js';
import type { View } from '../../lib/timekeeper/view.js';

/** 1 MHz-cycles of ms for the simulated counter of 1 GHz. */
export const MS = 1_000_000n;

/** TAI - UTC of 37 s, and no leap second. */
export const QUIET: LeapTimeline = {
  startUnixSeconds: 1_483_228_800n,
  startTaiOffset: 37,
  leaps: [],
  expires: null,
};

/** A keeper on a simulated source, and all that it published, in order. */
export class KeptTime {
  readonly source: SimulatedSource;
  readonly keeper: Keeper;
  readonly published: Standing[] = [];
  readonly events: KeeperEvent[] = [];

  constructor(source: SimulatedSource, options: Partial<KeeperOptions> = {}) {
    this.source = source;
    this.keeper = new Keeper({
      shift: shiftFor(source.hz),
      utc: new UtcScale(QUIET, null),
      isFree: source.isFree,
      window: 200n * MS,
      cornerLead: 50n * MS,
      taiOffsetSeconds: 37,
      preferences: ['sane'],
      readersGoOn: false,
      previous: null,
      ...options,
    });
  }

  /** One update at the source's counter; false if none was due. */
  update(): boolean {
    const plan = this.keeper.plan(this.source.sample(), this.source.counter(), 200_000n, 16n * MS);
    if (plan === null) return false;
    this.keeper.commit(plan);
    const last = this.published.at(-1);
    if (plan.revised !== null && last !== undefined) this.published[this.published.length - 1] = plan.revised;
    this.published.push(plan.next);
    this.events.push(...plan.events);
    return true;
  }

  /** So many ms, with an update each 8, and exactly at corners. */
  run(ms: number): void {
    const end = this.source.counter() + BigInt(ms) * MS;
    while (this.source.counter() < end) {
      this.update();
      this.source.advance(this.nextStep());
    }
  }

  /** Cycles until the next update is due. */
  nextStep(): bigint {
    const now = this.source.counter();
    const next = this.published.at(-1);
    return next !== undefined && next.base > now + 8n * MS ? next.base - now : 8n * MS;
  }

  /** The standing that readers have at a reading; null if they are refused. */
  at(cycles: bigint): Standing | null {
    return this.published.find(({ base, end }) => base <= cycles && cycles < end) ?? null;
  }
}

/** What a clock shows, ns. */
export function shown(standing: Standing, slope: Slope, cycles: bigint): bigint {
  return nsAt({ base: standing.base, shift: standing.shift, ...slope }, cycles);
}

export function monotonicAt(standing: Standing, cycles: bigint): bigint {
  return shown(standing, standing.shared, cycles);
}

/** What every clock shows along a standing, in a view, ns: what a page's readers are to get. */
export function clocksAt(standing: Standing, view: View, cycles: bigint): Record<OwnClockName, bigint> {
  const shared = monotonicAt(standing, cycles);
  const sane = shared + standing.saneOffsetNs;
  const smeared = shown(standing, standing.smeared, cycles);
  return {
    'monotonic-raw': shown(standing, standing.raw, cycles) + view.namespace.monotonicNs,
    monotonic: shared + view.namespace.monotonicNs,
    boottime: shared + standing.boottimeOffsetNs + view.namespace.boottimeNs,
    tai: shared + standing.taiOffsetNs,
    'sane-realtime': sane,
    'smeared-realtime': smeared,
    realtime: view.preference === 'sane' ? sane : smeared,
  };
}

export { boundNsAt };
