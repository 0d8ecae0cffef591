import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SpinCell, SpinModel } from './cells.ts';

/** What spin found out about a cell. States and times are sums over the searches that it took. */
export interface SpinJudgement {
  verdict: 'safe' | 'lags' | 'unsafe';
  /** States stored. */
  states: number;
  /** Steps of the longest path. */
  depth: number;
  /** As pan tells it: to 10 ms. */
  spinSeconds: number;
  /** `spin -a` and the compiler; the programs are shared by all cells of one model. */
  compileSeconds: number;
  /** Whether every state was visited: not so where a counterexample ended the search. */
  complete: boolean;
  /** Whether reads returned values, alone and one after the other. A reader that always refuses is safe, and useless. */
  returns: boolean;
}

/** Bounds of one search. A search that does not end within them is an error, never a verdict. */
export interface SpinLimits {
  steps: number;
  megabytes: number;
  milliseconds: number;
}
const LIMITS: SpinLimits = { steps: 10_000, megabytes: 2_000, milliseconds: 120_000 };

/** In the order of judgement: a reader that is not right is unsafe, whatever its order. */
type Property = 'PROP_RIGHT' | 'PROP_ORDERED';

interface Program {
  path: string;
  seconds: number;
}

/** What one search told. */
export interface Search {
  violated: boolean;
  returns: boolean;
  states: number;
  depth: number;
  seconds: number;
}

function numberIn(out: string, pattern: RegExp): number {
  const found = pattern.exec(out)?.[1];
  if (found === undefined) throw new Error(`pan told nothing like ${pattern.source}:\n${out}`);
  return Number(found);
}

/**
 * What the output of pan says.
 * @throws Error unless every state was visited or a counterexample to the property was found: for a search that was cut
 *   short, one that was not exhaustive, and a model that gets stuck
 */
export function parseSearch(out: string): Search {
  if (!/^Full statespace search for:/m.test(out)) throw new Error(`Not an exhaustive search:\n${out}`);
  // Pan goes on, and tells of no error, where it left out what lay too deep.
  if (/max search depth too small|reached -DMEMLIM|out of memory/.test(out))
    throw new Error(`The search was cut short:\n${out}`);
  const violated = /^pan:1: assertion violated /m.test(out);
  if (numberIn(out, /errors: (\d+)/) !== (violated ? 1 : 0))
    throw new Error(`The model is at fault:\n${out}`);
  if (/Search not completed/.test(out) !== violated) throw new Error(`The search was cut short:\n${out}`);
  const unreached = /^unreached in proctype Reader\n((?:\t.*\n)*)/m.exec(out)?.[1];
  if (!violated && unreached === undefined) throw new Error(`pan does not tell what it reached:\n${out}`);
  return {
    violated,
    returns: violated || !unreached?.includes('"assert('),
    states: numberIn(out, /([\d.e+]+) states, stored/),
    depth: numberIn(out, /depth reached (\d+)/),
    seconds: numberIn(out, /elapsed time ([\d.e+-]+) seconds/),
  };
}

/** Judges cells by exhaustive search. Models are compiled once, in a temporary folder. */
export class SpinJudge {
  readonly #folder = mkdtempSync(join(tmpdir(), 'latchclock-spin-'));
  readonly #programs = new Map<string, Promise<Program>>();
  readonly #limits: SpinLimits;

  constructor(limits: Partial<SpinLimits> = {}) {
    this.#limits = { ...LIMITS, ...limits };
  }

  /**
   * What a cell's model does. The generation of a model and its protocol are compiled in, the hazard and its variant
   * are chosen when the search starts.
   * @throws Error where spin or the compiler fails, or the search is not exhaustive within the limits
   */
  async judge(cell: SpinCell): Promise<SpinJudgement> {
    const right = await this.#search(cell, 'PROP_RIGHT');
    if (right.search.violated) return judgement('unsafe', [right]);
    const ordered = await this.#search(cell, 'PROP_ORDERED');
    return judgement(ordered.search.violated ? 'lags' : 'safe', [right, ordered]);
  }

  /** Judges cells, two at a time, in their order. */
  async judgeAll(cells: readonly SpinCell[]): Promise<SpinJudgement[]> {
    const judgements: SpinJudgement[] = [];
    const left = [...cells.entries()];
    const work = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift())
        judgements[next[0]] = await this.judge(next[1]);
    };
    await Promise.all([work(), work()]);
    return judgements;
  }

  /** Removes everything that was made. */
  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #search(cell: SpinCell, property: Property): Promise<{ search: Search; program: Program }> {
    const program = await this.#program(cell, property);
    const environment = { ...process.env, HAZARD: cell.hazard, VARIANT: cell.variant };
    // A folder of its own: searches of one program run side by side, and each writes its counterexample where it stands.
    const folder = mkdtempSync(join(this.#folder, 'search-'));
    const out = await this.#run(program.path, [`-m${this.#limits.steps}`, '-w20'], folder, environment);
    return { search: parseSearch(out), program };
  }

  #program(model: SpinModel, property: Property): Promise<Program> {
    const key = [model.file, ...model.defines, property].join('.');
    const known = this.#programs.get(key);
    if (known !== undefined) return known;
    const program = this.#compile(model, property, join(this.#folder, key));
    this.#programs.set(key, program);
    return program;
  }

  async #compile(model: SpinModel, property: Property, folder: string): Promise<Program> {
    const start = performance.now();
    mkdirSync(folder);
    const defines = [property, ...model.defines].map((define) => `-D${define}`);
    await this.#run('spin', ['-a', ...defines, join(import.meta.dirname, `${model.file}.pml`)], folder);
    const options = ['-O1', '-w', '-DSAFETY', '-DNOREDUCE', `-DMEMLIM=${this.#limits.megabytes}`];
    await this.#run('gcc', [...options, '-o', 'pan', 'pan.c'], folder);
    return { path: join(folder, 'pan'), seconds: (performance.now() - start) / 1000 };
  }

  /** The output of a program that ended by itself; pan ends with 0 whatever it found. */
  #run(program: string, arguments_: readonly string[], cwd: string, env = process.env): Promise<string> {
    const options = {
      cwd,
      env,
      timeout: this.#limits.milliseconds,
      killSignal: 'SIGKILL',
      maxBuffer: 4 << 20,
    } as const;
    return new Promise((resolve, reject) => {
      execFile(program, arguments_, options, (error, out, err) => {
        if (error === null) resolve(out + err);
        else reject(new Error(`${program} ${arguments_.join(' ')}: ${error.message}\n${out}${err}`));
      });
    });
  }
}

function judgement(
  verdict: SpinJudgement['verdict'],
  searches: readonly { search: Search; program: Program }[],
): SpinJudgement {
  const sum = (of: (search: Search) => number): number =>
    searches.reduce((total, { search }) => total + of(search), 0);
  return {
    verdict,
    states: sum(({ states }) => states),
    depth: Math.max(...searches.map(({ search }) => search.depth)),
    spinSeconds: sum(({ seconds }) => seconds),
    compileSeconds: searches.reduce((total, { program }) => total + program.seconds, 0),
    complete: verdict === 'safe',
    returns: searches.every(({ search }) => search.returns),
  };
}
