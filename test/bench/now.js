// What a reading costs from JavaScript: `now()` and `nowInto()` of each path beside `process.hrtime.bigint()`, in
// interleaved rounds of one run. Ratios of medians: absolute times depend on the machine.
import { openClock } from '../../dist/index.js';

const READS = 200_000;
const ROUNDS = 41;

const out = new BigInt64Array(1);
const page = openClock('monotonic', { path: 'page' });
const vdso = openClock('monotonic', { path: 'vdso' });
const raw = openClock('monotonic-raw', { path: 'page' });

const subjects = {
  'hrtime.bigint': () => process.hrtime.bigint(),
  'page now()': () => page.now(),
  'page nowInto()': () => page.nowInto(out),
  'vdso now()': () => vdso.now(),
  'page now() raw': () => raw.now(),
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

for (let round = -3; round < ROUNDS; round++) {
  for (const { loop, read, costs } of loops) {
    const start = process.hrtime.bigint();
    loop(read, READS);
    const cost = Number(process.hrtime.bigint() - start) / READS;
    if (round >= 0) costs.push(cost); // the rounds before warm up
  }
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const reference = median(loops[0].costs);
for (const { name, costs } of loops) {
  const cost = median(costs);
  process.stdout.write(
    `${name.padEnd(16)} ${cost.toFixed(1).padStart(6)} ns  ${(cost / reference).toFixed(2)} x hrtime.bigint\n`,
  );
}
