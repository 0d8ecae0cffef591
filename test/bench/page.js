// What the timekeeper costs: a reading through a page of one that runs, beside the vDSO and `process.hrtime.bigint()`; one
// update, by its parts; and updates that are only simulated. Prints tables, or with --json the figures. Ratios of medians
// within one run: absolute times depend on the machine.

import { createMemfdPage } from '../../dist/host/clock-page-memory.js';
import { openMachine } from '../../dist/host/host.js';
import { ClockPage, openClock, Timekeeper } from '../../dist/index.js';
import { BenchSubject, ReaderGeneration, ReaderProtocol } from '../../dist/native/addon.js';
import { OWN_CLOCKS } from '../../dist/page/clock-page.js';
import { parsePolicy } from '../../dist/smear/custom-policy.js';
import { Keeper, shiftFor } from '../../dist/timekeeper/keeper.js';
import { openSource } from '../../dist/timekeeper/open-source.js';
import { Run } from '../../dist/timekeeper/run.js';
import { SimulatedSource } from '../../dist/timekeeper/simulated-source.js';
import { UtcScale, withPlacedLeap } from '../../dist/timekeeper/utc-scale.js';
import { NO_OFFSETS } from '../../dist/timekeeper/view.js';

const PROTOCOLS = ['two-window', 'latch', 'seqlock'];
const ROUNDS = 301;
// Few a round: a round in which this thread is preempted is then one of many.
const READS = 2_000;
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

/** From JavaScript, in interleaved rounds; ns. */
async function readings() {
  const pages = PROTOCOLS.map((protocol) => ClockPage.create(undefined, { protocol }));
  const timekeepers = [];
  for (const page of pages) timekeepers.push(await Timekeeper.start({ page }));
  const out = new BigInt64Array(16);
  const vdso = openClock('monotonic', { path: 'vdso' });
  // A latch's and a seqlock's readers wait at corners: what that costs is in their figure.
  const own = pages.map((page) => page.clock('monotonic', { outOfWindow: 'spin' }));
  const all = pages.map((page) => page.allClocks({ outOfWindow: 'spin' }));
  const subjects = {
    'hrtime.bigint': () => now(),
    'vdso now()': () => vdso.now(),
    ...Object.fromEntries(
      PROTOCOLS.flatMap((protocol, at) => [
        [`${protocol} now()`, () => own[at].now()],
        [`${protocol} nowInto()`, () => own[at].nowInto(out)],
        [`${protocol} read() of all`, () => all[at].read()],
        [`${protocol} readInto() of all`, () => all[at].readInto(out)],
      ]),
    ),
  };
  // One loop a subject, so that each is compiled for its own call and not for a mix of all.
  const loops = Object.entries(subjects).map(([name, read]) => ({
    name,
    costs: [],
    loop: new Function(
      'read',
      'count',
      `let last; for (let i = 0; i < count; i++) last = read(); return last; // ${name}`,
    ),
    read,
  }));
  for (let round = -30; round < ROUNDS; round++) {
    for (const { loop, read, costs } of loops) {
      const start = now();
      loop(read, READS);
      const cost = Number(now() - start) / READS;
      if (round >= 0) costs.push(cost); // the rounds before warm up
    }
    // Messages of the timekeepers: their threads do not wait for that.
    await new Promise((done) => setImmediate(done));
  }
  for (const timekeeper of timekeepers) await timekeeper.stop();
  for (const page of pages) page.close();
  const reference = quantile(loops[0].costs, 0.5);
  return loops.map(({ name, costs }) => ({
    name,
    ns: quantile(costs, 0.5),
    ratio: quantile(costs, 0.5) / reference,
  }));
}

/** Native loops, in interleaved rounds; ns by the counter's own rate. */
function nativeReadings(hz) {
  const subjects = [
    ['vdso', BenchSubject.vdso, 0],
    ['lfence-rdtsc', BenchSubject['lfence-rdtsc'], 0],
    ...Object.entries({
      reader: 'a read',
      'read-all': 'a read of all',
      update: 'the words of an update',
    }).flatMap(([subject, what]) =>
      ['two-window', 'latch-window', 'seqlock'].map((name) => [
        `${name}: ${what}`,
        BenchSubject[subject],
        ReaderProtocol[name],
      ]),
    ),
  ].map(([name, subject, protocol]) => ({
    name,
    costs: [],
    arguments: [subject, protocol, ReaderGeneration.none, true],
  }));
  for (let round = -30; round < ROUNDS; round++) {
    for (const { arguments: given, costs } of subjects) {
      const cycles = addon.timeReads(...given, false, READS) / READS;
      if (round >= 0) costs.push((cycles / hz) * 1e9);
    }
  }
  const reference = quantile(subjects[0].costs, 0.5);
  return subjects.map(({ name, costs }) => ({
    name,
    ns: quantile(costs, 0.5),
    ratio: quantile(costs, 0.5) / reference,
  }));
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

async function main() {
  const source = openSource(host);
  const figures = {
    native: nativeReadings(source.hz),
    javascript: await readings(),
    updates: PROTOCOLS.map(updateCosts),
    simulated: simulated(),
  };
  const write = (line) => process.stdout.write(`${line}\n`);
  if (process.argv.includes('--json')) {
    write(JSON.stringify(figures));
    return;
  }
  const table = (title, rows, reference) => {
    write(title);
    for (const { name, ns, ratio } of rows) {
      write(`  ${name.padEnd(30)} ${ns.toFixed(1).padStart(7)} ns  ${ratio.toFixed(2)} x ${reference}`);
    }
  };
  table('native readers', figures.native, 'vdso');
  table('from JavaScript, while a timekeeper runs', figures.javascript, 'hrtime.bigint');
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

await main();
