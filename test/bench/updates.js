// What an update of the timekeeper costs, by its parts, and updates that are only simulated; what readings cost tells
// `latchclock bench`. Prints tables, or with --json the figures. Absolute times depend on the machine.

import { createMemfdPage } from '../../dist/host/clock-page-memory.js';
import { openMachine } from '../../dist/host/host.js';
import { OWN_CLOCKS } from '../../dist/page/clock-page.js';
import { parsePolicy } from '../../dist/smear/custom-policy.js';
import { Keeper, shiftFor } from '../../dist/timekeeper/keeper.js';
import { openSource } from '../../dist/timekeeper/open-source.js';
import { Run } from '../../dist/timekeeper/run.js';
import { SimulatedSource } from '../../dist/timekeeper/simulated-source.js';
import { UtcScale, withPlacedLeap } from '../../dist/timekeeper/utc-scale.js';
import { NO_OFFSETS } from '../../dist/timekeeper/view.js';

const PROTOCOLS = ['two-window', 'latch', 'seqlock'];
const UPDATES = 800;
const SIMULATED = 100_000;

const host = openMachine();
const { addon } = host;
const now = () => process.hrtime.bigint();
const QUIET = { startUnixSeconds: 0n, startTaiOffset: 37, leaps: [], expires: null };

function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

/** A function that adds what each of its calls takes to `spent.ns`. */
function timed(spent, call) {
  return (...given) => {
    const start = now();
    try {
      return call(...given);
    } finally {
      spent.ns += Number(now() - start);
    }
  };
}

function pageFor(protocol) {
  const header = {
    counter: 'tsc',
    protocol,
    generationSource: 'none',
    arithmetic: 'wide',
    clocks: [...OWN_CLOCKS],
  };
  return createMemfdPage(addon, header);
}

/** One update on this machine's own source, by its parts; us. The rest is waiting for a base, and what stands between. */
function updateCosts(protocol) {
  const source = openSource(host);
  const spent = { sample: { ns: 0 }, plan: { ns: 0 }, publish: { ns: 0 } };
  const publishClockPage = timed(spent.publish, addon.publishClockPage.bind(addon));
  const plan = Keeper.prototype.plan;
  Keeper.prototype.plan = function (...given) {
    return timed(spent.plan, plan.bind(this))(...given);
  };
  const run = new Run({
    addon: new Proxy(addon, {
      get: (of, name) => (name === 'publishClockPage' ? publishClockPage : of[name]),
    }),
    source: { ...source, sample: timed(spent.sample, source.sample) },
    pages: [{ page: pageFor(protocol), view: { preference: 'sane', namespace: NO_OFFSETS } }],
    timeline: QUIET,
    policy: null,
  });
  const costs = { sample: [], plan: [], publish: [], step: [] };
  const cell = new Int32Array(new SharedArrayBuffer(4));
  for (let update = -100; update < UPDATES; update++) {
    for (const part of Object.values(spent)) part.ns = 0;
    const start = now();
    const ms = run.step();
    const step = Number(now() - start);
    if (update >= 0) {
      for (const [name, { ns }] of Object.entries(spent)) costs[name].push(ns / 1e3);
      costs.step.push(step / 1e3);
    }
    Atomics.wait(cell, 0, 0, ms);
  }
  Keeper.prototype.plan = plan;
  const { repeated, late, largestErrorNs } = run.status();
  const parts = Object.entries(costs).map(([name, us]) => ({
    name,
    median: quantile(us, 0.5),
    p99: quantile(us, 0.99),
  }));
  return { protocol, source: source.name, parts, repeated, late, largestErrorNs };
}

/** By the CPU's time that this process had, since others may have the CPU too. */
function perSecond(count, work) {
  work(Math.floor(count / 5)); // warms up
  const start = process.cpuUsage();
  work(count);
  const { user, system } = process.cpuUsage(start);
  return (count / (user + system)) * 1e6;
}

/** Updates that a core makes in a second, where time is simulated. */
function simulated() {
  const leapNs = 1_800_000_037n * 1_000_000_000n;
  const scales = {
    'no smear': new UtcScale(QUIET, null),
    'in a linear smear': new UtcScale(withPlacedLeap(QUIET, leapNs, 1), parsePolicy('google-24h')),
    'in a curved smear': new UtcScale(withPlacedLeap(QUIET, leapNs, 1), parsePolicy('google-2011')),
  };
  const keepers = Object.entries(scales).map(([name, utc]) => {
    // In the windows of both smears.
    const source = new SimulatedSource({ realtimeNs: (1_800_000_000n - 20_000n) * 1_000_000_000n });
    const keeper = new Keeper({
      ...{ shift: shiftFor(source.hz), utc, isFree: false, window: 200_000_000n, cornerLead: 50_000_000n },
      ...{ taiOffsetSeconds: 37, preferences: ['sane'], readersGoOn: false, previous: null },
    });
    const updates = perSecond(SIMULATED, (count) => {
      for (let i = 0; i < count; i++) {
        const plan = keeper.plan(source.sample(), source.counter(), 1_000_000n, 16_000_000n);
        if (plan !== null) keeper.commit(plan);
        source.advance(8_000_000n);
      }
    });
    return { name: `keeper, ${name}`, updates };
  });
  const source = new SimulatedSource();
  const run = new Run({
    ...{ addon, source, timeline: QUIET, policy: null },
    pages: [{ page: pageFor('two-window'), view: { preference: 'sane', namespace: NO_OFFSETS } }],
  });
  const updates = perSecond(SIMULATED, (count) => {
    for (let i = 0; i < count; i++) {
      run.step();
      source.advance(8_000_000n);
    }
  });
  return [...keepers, { name: 'run with a two-window page', updates }];
}

function main() {
  const figures = {
    updates: PROTOCOLS.map(updateCosts),
    simulated: simulated(),
  };
  const write = (line) => process.stdout.write(`${line}\n`);
  if (process.argv.includes('--json')) {
    write(JSON.stringify(figures));
    return;
  }
  write(`one update, us: median (99 %), ${UPDATES} of them; waiting included in a step`);
  for (const { protocol, source: name, parts, repeated, late, largestErrorNs } of figures.updates) {
    const text = parts
      .map((part) => `${part.name} ${part.median.toFixed(1)} (${part.p99.toFixed(1)})`)
      .join('  ');
    write(`  ${protocol.padEnd(11)} ${text}`);
    write(
      `              source ${name}, repeated ${repeated}, late ${late}, farthest ${largestErrorNs.toFixed(3)} ns`,
    );
  }
  write('simulated updates a second of one core');
  for (const { name, updates } of figures.simulated) write(`  ${name.padEnd(30)} ${Math.round(updates)}`);
}

main();
