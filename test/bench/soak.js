// Holds a timekeeper's page against the kernel's at the same counter readings: `node soak.js [--seconds N] [--load]
// [--protocol NAME]`. Every comparison is of one set of clocks, between two copies of the kernel's page that are equal: the
// kernel had these words when the counter had that reading. Prints how far the clocks were apart, and fails if one was
// farther than the bound that it was read with. With --load a process on each CPU keeps it busy meanwhile.
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { openMachine } from '../../dist/host/host.js';
import { ClockPage, Timekeeper } from '../../dist/index.js';
import { OWN_CLOCKS } from '../../dist/page/clock-page.js';
import { layoutBytes } from '../../dist/page/kernel-layout.js';
import { ClockMode, decodeKernelPage, kernelSegment } from '../../dist/page/kernel-page.js';
import { evaluate } from '../../dist/page/segment.js';

/** Our clocks, by the kernel's that they follow. */
const CLOCKS = {
  'monotonic-raw': 'monotonic-raw',
  monotonic: 'monotonic',
  boottime: 'boottime',
  realtime: 'sane-realtime',
};
const SLICE_MS = 50;

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    load: { type: 'boolean', default: false },
    protocol: { type: 'string', default: 'two-window' },
  },
});
const seconds = Number(options.seconds);
if (!(seconds > 0 && seconds <= 86_400)) throw new RangeError('--seconds: 1 to 86400');

const host = openMachine();
const { layout, page: kernel, namespaceNs } = host.page();
const bytes = layoutBytes(layout);
const copyKernel = () => host.addon.copyMemory(kernel.address, bytes);
const page = ClockPage.create(undefined, { protocol: options.protocol });

const load = options.load
  ? Array.from({ length: availableParallelism() }, () =>
      spawn(process.execPath, ['-e', 'const end = Date.now() + 864e5; while (Date.now() < end);'], {
        stdio: 'ignore',
      }),
    )
  : [];

const tally = Object.fromEntries(
  Object.keys(CLOCKS).map((name) => [name, { apart: new Map(), most: 0n, exceeded: 0 }]),
);
const counts = { compared: 0, updatedMeanwhile: 0, refused: 0, withinTwo: 0 };
const bounds = { least: null, most: 0n };
let worst = null;

function compare(all, out) {
  const before = copyKernel();
  try {
    all.readInto(out);
  } catch (error) {
    if (error.code !== 'ERR_OUT_OF_WINDOW' && error.code !== 'ERR_RETRIES') throw error;
    counts.refused++;
    return;
  }
  const after = copyKernel();
  const cycles = BigInt.asUintN(64, out[0]);
  const boundNs = out[2];
  const snapshot = decodeKernelPage(after, layout, namespaceNs);
  const isSound =
    snapshot.main.seq % 2 === 0 && snapshot.main.mode === ClockMode.tsc && cycles >= snapshot.main.cycleLast;
  if (Buffer.compare(before, after) !== 0 || !isSound) {
    counts.updatedMeanwhile++;
    return;
  }
  counts.compared++;
  if (boundNs <= 2n) counts.withinTwo++;
  if (boundNs > bounds.most) bounds.most = boundNs;
  if (bounds.least === null || boundNs < bounds.least) bounds.least = boundNs;
  for (const [theirs, ours] of Object.entries(CLOCKS)) {
    const ns = out[3 + OWN_CLOCKS.indexOf(ours)] - evaluate(kernelSegment(snapshot, theirs), cycles);
    const { apart } = tally[theirs];
    apart.set(ns, (apart.get(ns) ?? 0) + 1);
    const size = ns < 0n ? -ns : ns;
    if (size > tally[theirs].most) tally[theirs].most = size;
    if (size <= boundNs) continue;
    tally[theirs].exceeded++;
    if (worst === null || size - boundNs > worst.size - worst.boundNs)
      worst = { clock: theirs, size, boundNs, cycles };
  }
}

async function main() {
  const timekeeper = await Timekeeper.start({ page, source: 'kernel-page' });
  const events = new Map();
  timekeeper.on('event', ({ kind }) => events.set(kind, (events.get(kind) ?? 0) + 1));
  const all = page.allClocks();
  const out = new BigInt64Array(3 + OWN_CLOCKS.length);
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    const slice = Date.now() + SLICE_MS;
    while (Date.now() < slice) compare(all, out);
    await new Promise((done) => setImmediate(done));
  }
  const status = await timekeeper.status();
  await timekeeper.stop();
  const write = (line) => process.stdout.write(`${line}\n`);
  const percent = (share) => `${((share / counts.compared) * 100).toFixed(3)} %`;
  write(
    `${seconds} s, protocol ${options.protocol}, ${load.length} busy processes on ${availableParallelism()} CPUs`,
  );
  write(
    `compared ${counts.compared} sets; not ${counts.updatedMeanwhile} across a kernel's update, ${counts.refused} refused`,
  );
  write(`bounds ${bounds.least} to ${bounds.most} ns, at most 2 ns in ${percent(counts.withinTwo)}`);
  write(
    `timekeeper: ${status.updates} updates, ${status.repeated} repeated, ${status.late} late, farthest ${status.largestErrorNs.toFixed(3)} ns`,
  );
  write(`events: ${[...events].map(([kind, count]) => `${kind} ${count}`).join(', ') || 'none'}`);
  for (const [name, { apart, most, exceeded }] of Object.entries(tally)) {
    write(`${name}: farthest ${most} ns, ${exceeded} farther than the bound`);
    const rows = [...apart].toSorted(([a], [b]) => (a < b ? -1 : 1));
    for (const [ns, count] of rows.length > 24 ? [...rows.slice(0, 12), ...rows.slice(-12)] : rows) {
      write(`  ${String(ns).padStart(6)} ns ${String(count).padStart(9)}  ${percent(count)}`);
    }
  }
  if (worst !== null)
    write(
      `worst: ${worst.clock} by ${worst.size} ns where ${worst.boundNs} was stated, at cycles ${worst.cycles}`,
    );
  if (worst !== null || counts.compared === 0) process.exitCode = 1;
}

try {
  await main();
} finally {
  for (const child of load) child.kill('SIGKILL');
  page.close();
}
