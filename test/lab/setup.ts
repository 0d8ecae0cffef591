import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { type Mirror, machineMirror } from './apt.ts';
import { writeTable } from './document.ts';
import { makeInitramfs } from './image.ts';
import { debianKernels, type Kernel, ownKernels } from './kernels.ts';
import { removeLeftovers } from './leftovers.ts';
import type { Observation } from './observation.ts';
import { CannotRun } from './programs.ts';
import { provideQemu, qemuVersion } from './qemu.ts';
import { tableOf, tableText } from './table.ts';

/** What the lab's tests are given. */
interface Lab {
  kernels: Kernel[];
  initramfs: string;
  /** Folders: of the guests' consoles, which are kept, and of what they showed. */
  consoles: string;
  results: string;
  quick: boolean;
}

/** What was asked for on the command line, in `LATCHCLOCK_LAB` as JSON. */
interface Asked {
  quick: boolean;
  /** Images of one's own, instead of Debian's kernels. */
  kernels: string[];
  /** Whether the table goes into the document. */
  write: boolean;
}

declare module 'vitest' {
  export interface ProvidedContext {
    lab: Lab;
  }
}

const CANNOT_RUN = 3;
const RUN = 'run-';

/** Fetches and makes what guests are booted from; afterwards prints the table of what they showed. */
export default function setup(project: TestProject): () => void {
  const asked = JSON.parse(
    process.env['LATCHCLOCK_LAB'] ?? '{"quick":false,"kernels":[],"write":false}',
  ) as Asked;
  const cache =
    process.env['LATCHCLOCK_LAB_CACHE'] ??
    join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'latchclock-lab');
  const say = (text: string): void => {
    process.stderr.write(`${text}\n`);
  };
  try {
    const lab = prepare(asked, cache, say);
    project.provide('lab', lab);
    return () => tellTable(asked, lab, project.vitest);
  } catch (error) {
    if (!(error instanceof CannotRun)) throw error;
    say(`the lab cannot run here: ${error.message}`);
    process.exit(CANNOT_RUN);
  }
}

/** Prints the table; what fails here fails the run. */
function tellTable(asked: Asked, lab: Lab, vitest: TestProject['vitest']): void {
  try {
    const observations = readdirSync(lab.results).map(
      (file) => JSON.parse(readFileSync(join(lab.results, file), 'utf8')) as Observation,
    );
    const names = lab.kernels.map(({ name }) => name);
    const table = tableOf(observations, names);
    process.stdout.write(`\n${tableText(table)}\n`);
    if (!asked.write) return;
    if (vitest.state.getFiles().some(({ result }) => result?.state !== 'pass')) {
      process.stdout.write('not all was as expected: docs/lab.md is left as it is\n');
    } else {
      writeTable(table, observations, qemuVersion());
    }
  } catch (error) {
    // Vitest tells an error of a teardown, and passes.
    process.exitCode = 1;
    throw error;
  }
}

function prepare(asked: Asked, cache: string, say: (text: string) => void): Lab {
  const consoles = join(cache, 'consoles');
  mkdirSync(consoles, { recursive: true });
  let found: Mirror | null = null;
  const mirror = (): Mirror => {
    found ??= machineMirror();
    return found;
  };
  say('the lab: kernels');
  const kernels =
    asked.kernels.length > 0 ? ownKernels(asked.kernels) : debianKernels(mirror(), cache, asked.quick);
  say('the lab: QEMU');
  provideQemu(mirror, cache);
  say('the lab: what the guests run');
  removeLeftovers(cache, (name) => name.startsWith(RUN));
  const run = mkdtempSync(join(cache, RUN));
  process.once('exit', () => rmSync(run, { recursive: true, force: true }));
  const [initramfs, results] = [join(run, 'initramfs.cpio'), join(run, 'results')];
  makeInitramfs(initramfs);
  mkdirSync(results);
  say(`the lab: ${kernels.map(({ name, image }) => `${name} (${image})`).join(', ')}`);
  return { kernels, initramfs, consoles, results, quick: asked.quick };
}
