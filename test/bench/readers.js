// What a read of a clock page costs by each protocol, beside the counter itself and the vDSO: native loops in pinned
// child processes, rounds interleaved, ratios taken within a round, medians of all rounds. Prints a table, or
// with --json the figures. Absolute times depend on the machine: compare ratios.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { kernelCounterHz, openMachine } from '../../dist/host/host.js';
import { BenchSubject, ReaderGeneration, ReaderProtocol } from '../../dist/native/addon.js';
import { getAddon } from '../../dist/native/load.js';

const CHILDREN = 9;
const ROUNDS = 9;
const READS = 20_000;
const PROTOCOLS = ['seqlock', 'latch', 'latch-window', 'two-window'];

const floors = ['rdtsc', 'lfence-rdtsc', 'rdtscp', 'vdso'].map((name) => ({
  name,
  arguments: [BenchSubject[name], 0, 0, true],
}));
const readers = PROTOCOLS.flatMap((protocol) =>
  ['none', 'tagged'].flatMap((generation) =>
    [false, true].map((wide) => ({
      name: `${protocol}${generation === 'tagged' ? ' +gen' : ''} ${wide ? 'wide' : 'narrow'}`,
      arguments: [BenchSubject.reader, ReaderProtocol[protocol], ReaderGeneration[generation], wide],
    })),
  ),
);
const bare = [false, true].map((wide) => ({
  name: `bare latch ${wide ? 'wide' : 'narrow'}`,
  arguments: [BenchSubject['bare-latch'], ReaderProtocol.latch, ReaderGeneration.none, wide],
}));
const SUBJECTS = [...floors, ...bare, ...readers];

/** One child: so many rounds of every subject, each begun with another one; cycles a read, by chained, round, subject. */
function trial() {
  const addon = getAddon();
  addon.setCpuAffinity(Uint32Array.of(addon.cpuAffinity().at(-1)));
  const time = (index, chained) => addon.timeReads(...SUBJECTS[index].arguments, chained, READS) / READS;
  return [false, true].map(
    (chained) =>
      Array.from({ length: ROUNDS + 1 }, (_, round) => {
        const cycles = [];
        for (let i = 0; i < SUBJECTS.length; i++) {
          const index = (i + round) % SUBJECTS.length;
          cycles[index] = time(index, chained);
        }
        return cycles;
      }).slice(1), // the first warms up
  );
}

function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

function main() {
  const hz = kernelCounterHz(openMachine());
  const file = fileURLToPath(import.meta.url);
  const rounds = [[], []];
  for (let i = 0; i < CHILDREN; i++) {
    const found = JSON.parse(execFileSync(process.execPath, [file, '--trial'], { encoding: 'utf8' }));
    for (const [kind, ofKind] of found.entries()) rounds[kind].push(...ofKind);
  }
  const figures = rounds.map((ofKind) =>
    SUBJECTS.map(({ name }, index) => {
      const ratio = ofKind.map((cycles) => cycles[index] / cycles[1]);
      const overVdso = ofKind.map((cycles) => cycles[index] / cycles[3]);
      return {
        name,
        cycles: quantile(
          ofKind.map((cycles) => cycles[index]),
          0.5,
        ),
        ratio: quantile(ratio, 0.5),
        low: quantile(ratio, 0.05),
        high: quantile(ratio, 0.95),
        overVdso: quantile(overVdso, 0.5),
      };
    }),
  );
  const write = (line) => process.stdout.write(`${line}\n`);
  if (process.argv.includes('--json')) {
    write(JSON.stringify({ hz, throughput: figures[0], chain: figures[1] }));
    return;
  }
  ['throughput', 'dependent chain'].forEach((title, kind) => {
    write(
      `${title}: ${rounds[kind].length} rounds of ${READS} reads; 5 % and 95 % of rounds beside the ratio`,
    );
    write('                             cycles      ns   / lfence-rdtsc        / vdso');
    for (const { name, cycles, ratio, low, high, overVdso } of figures[kind]) {
      const ns = hz === null ? '-' : ((cycles / hz) * 1e9).toFixed(2);
      write(
        `${name.padEnd(28)} ${cycles.toFixed(1).padStart(6)} ${ns.padStart(7)}   ${ratio.toFixed(3)} (${low.toFixed(3)}-${high.toFixed(3)})  ${overVdso.toFixed(3)}`,
      );
    }
    const of = (name) => figures[kind].find((figure) => figure.name === name).cycles;
    // Within a round, so that what slows a round down is not taken for a price; the middle half of rounds beside it.
    const column = (name) => SUBJECTS.findIndex((subject) => subject.name === name);
    const price = (dear, cheap) => {
      const differences = rounds[kind].map((cycles) => cycles[column(dear)] - cycles[column(cheap)]);
      const difference = quantile(differences, 0.5);
      const [low, high] = [0.25, 0.75].map((share) => quantile(differences, share).toFixed(1));
      return `${difference >= 0 ? '+' : ''}${difference.toFixed(1)} cycles (${((difference / of(cheap)) * 100).toFixed(1)} %; middle half ${low} to ${high})`;
    };
    write(`window                       ${price('latch-window narrow', 'bare latch narrow')}`);
    write(`window, wide                 ${price('latch-window wide', 'bare latch wide')}`);
    write(`clamp                        ${price('latch narrow', 'bare latch narrow')}`);
    write(`second window                ${price('two-window narrow', 'latch-window narrow')}`);
    write(`wide instead of narrow       ${price('latch-window wide', 'latch-window narrow')}`);
    write(`generation                   ${price('latch-window +gen wide', 'latch-window wide')}`);
    write(`latch instead of seqlock     ${price('latch narrow', 'seqlock narrow')}\n`);
  });
}

if (process.argv.includes('--trial')) process.stdout.write(JSON.stringify(trial()));
else main();
