import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectedExplored, expectedStepped } from '../../lib/hazards/expected.ts';
import { MEMORY_MODELS, type MemoryModel } from '../../lib/hazards/explored/model.ts';
import { scenariosOf } from '../../lib/hazards/explored/scenarios.ts';
import { type Exploration, explore } from '../../lib/hazards/explored/search.ts';
import type { CellVerdict } from '../../lib/hazards/model.ts';
import { parseSteppedLine, type SteppedLine, steppedCells } from '../../lib/hazards/stepped.ts';
import type { ReaderProtocolName } from '../../lib/native/addon.ts';
import { assemble, label, type Program } from '../../lib/page/steps.ts';
import { ROOT } from '../support/run-cli.ts';
import { cannotRun, testUnless } from '../support/tools.ts';
import { mutantTable } from './mutant-table.ts';
import { MUTANTS, type Mutant, type NativeFault } from './mutants.ts';
import { drop, insertAfter, move } from './program-edits.ts';

const WORSE: readonly CellVerdict[] = ['safe', 'lags', 'unsafe'];
const isWorse = (one: CellVerdict, other: CellVerdict): boolean => WORSE.indexOf(one) > WORSE.indexOf(other);

describe('the list', () => {
  test('has twenty faults or more, of readers and of writers of every page, each once', () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(20);
    expect(new Set(MUTANTS.map(({ id }) => id)).size).toBe(MUTANTS.length);
    const kinds = new Set(MUTANTS.map(({ side, reader }) => `${reader.protocol} ${side}`));
    expect([...kinds].toSorted()).toEqual(
      ['latch', 'latch-window', 'seqlock', 'two-window'].flatMap((one) => [`${one} reader`, `${one} writer`]),
    );
  });

  test('is found by two kinds where the code is other code and more than the order of accesses is broken', () => {
    for (const { id, explored, native, stepped } of MUTANTS) {
      const isOfOrder = explored.model !== 'sc';
      expect('verdict' in stepped, id).toBe(native !== null && !isOfOrder);
    }
  });
});

test('the table has a row of five cells for each', () => {
  const rows = mutantTable().trimEnd().split('\n');
  expect(rows).toHaveLength(MUTANTS.length + 2);
  for (const row of rows) expect(row.split('|')).toHaveLength(7);
});

describe('a change of a program', () => {
  const program = assemble<'x', 'done'>('small', { x: 0n }, [
    label('again'),
    { kind: 'load', note: 'a', at: () => 0, bytes: 8, order: 'relaxed', into: 'x' },
    { kind: 'fence', note: 'b', order: 'acquire' },
    { kind: 'branch', note: 'c', when: () => true, to: 'out' },
    { kind: 'branch', note: 'd', when: () => true, to: 'again' },
    label('out'),
    { kind: 'fence', note: 'e', order: 'full' },
    { kind: 'end', note: 'f', end: 'done' },
  ]) as unknown as Program;
  const shape = ({ steps }: Program): string[] =>
    steps.map((step) => step.note + (step.kind === 'branch' ? `>${steps[step.to]?.note}` : ''));

  test('leaves branches where they went, or at what came after a step that is gone', () => {
    expect(shape(program)).toEqual(['a', 'b', 'c>e', 'd>a', 'e', 'f']);
    expect(shape(drop('b')(program))).toEqual(['a', 'c>e', 'd>a', 'e', 'f']);
    expect(shape(drop('e')(program))).toEqual(['a', 'b', 'c>f', 'd>a', 'f']);
    expect(shape(drop('a')(program))).toEqual(['b', 'c>e', 'd>b', 'e', 'f']);
    expect(shape(move('b', 'after', 'd')(program))).toEqual(['a', 'c>e', 'd>a', 'b', 'e', 'f']);
    const more = { kind: 'fence', note: 'g', order: 'full' } as const;
    expect(shape(insertAfter('a', more)(program))).toEqual(['a', 'g', 'b', 'c>e', 'd>a', 'e', 'f']);
  });

  test('is refused for a note that is not there exactly once, and for a step that a branch goes to', () => {
    const twice = insertAfter('a', { kind: 'fence', note: 'b', order: 'full' })(program);
    expect(() => drop('z')(program)).toThrow(/'z' is there 0 times/);
    expect(() => drop('b')(twice)).toThrow(/'b' is there 2 times/);
    expect(() => move('e', 'before', 'b')(program)).toThrow(/a branch goes to 'e'/);
  });
});

describe('exploring', () => {
  /** What breaks is found among so many states; what holds is looked at whole. */
  const MOST_STATES = 250_000;

  const verdictOf = ({ wrong, disordered }: Exploration): CellVerdict => {
    if (wrong !== null) return 'unsafe';
    return disordered === null ? 'safe' : 'lags';
  };

  const exploreMutant = (
    { reader, side, steps, explored }: Mutant,
    model: MemoryModel,
    broken: boolean,
  ): Exploration => {
    const { hazard, variant, updates } = explored;
    const scenario = scenariosOf(reader, hazard, updates, broken ? { [side]: steps } : {}).find(
      (one) => one.variant === variant,
    );
    if (scenario === undefined) throw new Error(`${hazard} has no variant ${variant}`);
    return explore(scenario, model, broken && model === explored.model ? MOST_STATES : undefined);
  };

  const sound = new Map<string, CellVerdict>();
  const soundVerdict = (mutant: Mutant): CellVerdict => {
    const { reader, explored } = mutant;
    const { hazard, variant, model, updates } = explored;
    const key = [reader.protocol, reader.generation, hazard, variant, model, updates].join();
    let known = sound.get(key);
    if (known === undefined) {
      const exploration = exploreMutant(mutant, model, false);
      expect(exploration.complete).toBe(true);
      known = verdictOf(exploration);
      sound.set(key, known);
    }
    return known;
  };

  test.each(MUTANTS.map((mutant) => [mutant.id, mutant] as const))('finds %s', (_, mutant) => {
    const { reader, explored } = mutant;
    const { hazard, variant, model } = explored;
    const held = soundVerdict(mutant);
    expect(held).toBe(expectedExplored(reader, hazard, variant, model));
    const found = exploreMutant(mutant, model, true);
    expect(verdictOf(found)).toBe(explored.verdict);
    expect(isWorse(explored.verdict, held)).toBe(true);
    const trace = found.wrong ?? found.disordered;
    expect(trace?.steps.length).toBeGreaterThan(2);
  });

  const ofOrder = MUTANTS.filter(({ explored }) => explored.model !== 'sc');
  test.each(ofOrder.map((mutant) => [mutant.id, mutant] as const))(
    'does not find %s where fewer accesses may move',
    (_, mutant) => {
      const { reader, explored } = mutant;
      for (const model of MEMORY_MODELS.slice(0, MEMORY_MODELS.indexOf(explored.model))) {
        const exploration = exploreMutant(mutant, model, true);
        expect(exploration.complete).toBe(true);
        const expected = expectedExplored(reader, explored.hazard, explored.variant, model);
        expect([model, verdictOf(exploration)]).toEqual([model, expected]);
      }
    },
  );
});

const run = promisify(execFile);

/** A stepper that was compiled from headers of its own, and the object that has the writers. */
interface Compiled {
  build: string;
  program: string;
  writers: Buffer;
}

const TOOLS = join(ROOT, 'native/tools');
/** What has readers or writers compiled into it; and whatever would put more of the stepper's sources among these. */
const OWN_SOURCES = ['steppable_readers', 'stepped_world'];
const USES_READERS_OR_WRITERS =
  /reader_table|FindReader|\bPublish(Seqlock|Latch|TwoWindow)|StoreCopy|TwoWindowKeep/;

const noCompiler = cannotRun('g++', ['--version']) ?? cannotRun('make', ['--version']);

// Each waits for its stepper to be compiled, behind others and beside what is explored.
describe('stepping', { timeout: 300_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'latchclock-mutants-'));
  const compiled = new Map<string, Promise<Compiled>>();
  const AT_ONE_TIME = 2;
  let underWay: Promise<unknown>[] = [];
  let isOver = false;

  const compile = async (
    name: string,
    only: ReaderProtocolName,
    fault: NativeFault | null,
    sound?: Compiled,
  ): Promise<Compiled> => {
    const core = join(folder, name, 'core');
    const build = join(folder, name, 'build');
    cpSync(join(ROOT, 'native/core'), core, { recursive: true });
    if (fault !== null) {
      const file = join(core, fault.file);
      const broken = fault.changes.reduce(
        (source, [find, replace]) => {
          const parts = source.split(find);
          if (parts.length !== 2) throw new Error(`${name}: '${find}' is there ${parts.length - 1} times`);
          return parts.join(replace);
        },
        readFileSync(file, 'utf8'),
      );
      writeFileSync(file, broken);
    }
    // What neither reads nor writes a page is the same for all: its objects are taken, and are newer than its sources.
    if (sound !== undefined) {
      cpSync(sound.build, build, { recursive: true });
      for (const source of OWN_SOURCES) rmSync(join(build, `${source}.o`));
    }
    const goals = [`CORE=${core}`, `BUILD=${build}`, `ONLY=${only}`];
    await run('make', ['-s', '-C', TOOLS, ...goals], { timeout: 120_000 });
    return {
      build,
      program: join(build, 'reader-stepper'),
      writers: readFileSync(join(build, 'stepped_world.o')),
    };
  };

  const soundOf = (protocol: ReaderProtocolName): string => `sound-${protocol}`;

  const compiledOf = (name: string): Promise<Compiled> => {
    const found = compiled.get(name);
    if (found === undefined) throw new Error(`${name} is not compiled`);
    return found;
  };

  const native = MUTANTS.filter((mutant) => mutant.native !== null);

  beforeAll(() => {
    if (noCompiler !== null) return;
    const protocols = [...new Set(native.map(({ reader }) => reader.native.protocol))];
    const jobs = [
      ...protocols.map((only) => ({ name: soundOf(only), only, fault: null })),
      ...native.map(({ id, reader, native: fault }) => ({ name: id, only: reader.native.protocol, fault })),
    ].map((job) => {
      const settle = withResolvers<Compiled>();
      settle.promise.catch(() => undefined);
      compiled.set(job.name, settle.promise);
      return { ...job, ...settle };
    });
    const work = async (): Promise<void> => {
      for (let job = jobs.shift(); job !== undefined && !isOver; job = jobs.shift()) {
        const { name, only, fault, resolve, reject } = job;
        const made = async () =>
          compile(name, only, fault, fault === null ? undefined : await compiledOf(soundOf(only)));
        await made().then(resolve, reject);
      }
    };
    underWay = Array.from({ length: AT_ONE_TIME }, work);
  });

  afterAll(async () => {
    isOver = true;
    await Promise.all(underWay);
    rmSync(folder, { recursive: true, force: true });
  }, 300_000);

  const step = async ({ program }: Compiled, hazard?: string): Promise<SteppedLine[]> => {
    const arguments_ = ['--quick', ...(hazard === undefined ? [] : ['--hazard', hazard])];
    const { stdout } = await run(program, arguments_, { timeout: 120_000, maxBuffer: 1 << 24 });
    return stdout.trimEnd().split('\n').map(parseSteppedLine);
  };

  const verdictOf = (
    lines: readonly SteppedLine[],
    { reader }: Mutant,
    variant: string,
  ): CellVerdict | undefined =>
    steppedCells(lines)
      .find(({ protocol, generation }) => protocol === reader.protocol && generation === reader.generation)
      ?.variants.find((one) => one.variant === variant)?.verdict;

  const codeOf = (lines: readonly SteppedLine[]): string[] => lines.map(({ machineCode }) => machineCode);
  const seenOf = (lines: readonly SteppedLine[]) =>
    steppedCells(lines).map(({ machineCode: _, counts: __, example: ___, variants, ...cell }) => ({
      ...cell,
      variants: variants.map(({ variant, verdict, progress }) => ({ variant, verdict, progress })),
    }));

  test('shares only objects that have no reader and no writer of ours', () => {
    const sources = readdirSync(TOOLS).filter((file) => file.endsWith('.cc'));
    const own = sources.filter((file) =>
      USES_READERS_OR_WRITERS.test(readFileSync(join(TOOLS, file), 'utf8')),
    );
    expect(own.toSorted()).toEqual(OWN_SOURCES.map((source) => `${source}.cc`));
    for (const { native: fault } of native)
      expect(fault?.file).toMatch(/^(readers\/\w+\.h|clock_page_writer\.h)$/);
  });

  for (const mutant of native) {
    const { id, reader, side, stepped } = mutant;
    const finds = 'verdict' in stepped;
    testUnless(noCompiler, `${finds ? 'finds' : 'cannot find'} ${id}`, async () => {
      const sound = await compiledOf(soundOf(reader.native.protocol));
      const broken = await compiledOf(id);
      const hazard = finds ? stepped.hazard : undefined;
      const [held, found] = [await step(sound, hazard), await step(broken, hazard)];
      if (!finds) {
        // Of any hazard.
        expect(seenOf(found)).toEqual(seenOf(held));
        return;
      }
      // A reader's code is told by the stepper; a writer's is in the object that records what it stores.
      if (side === 'reader') expect(codeOf(found)).not.toEqual(codeOf(held));
      else expect(broken.writers.equals(sound.writers)).toBe(false);
      const before = verdictOf(held, mutant, stepped.variant);
      expect(before).toBe(expectedStepped(reader, stepped.hazard, stepped.variant));
      expect(verdictOf(found, mutant, stepped.variant)).toBe(stepped.verdict);
      expect(isWorse(stepped.verdict, before as CellVerdict)).toBe(true);
    });
  }
});

/** Promise.withResolvers, which Node 20 has not. */
function withResolvers<T>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (reason: unknown) => void;
} {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((onValue, onReason) => {
    resolve = onValue;
    reject = onReason;
  });
  return { promise, resolve, reject };
}
