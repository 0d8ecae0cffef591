import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');
const LIB = join(ROOT, 'lib');

/** Floors of the house: imports go to a lower number, or stay in their own folder. The ground floor has steps. */
const FLOORS: Readonly<Record<string, number>> = {
  'units.ts': 0,
  'nearest.ts': 0,
  'printable.ts': 0,
  'errors.ts': 0.3,
  'arguments.ts': 0.6,
  'random.ts': 1,
  leap: 1,
  page: 1,
  native: 1,
  host: 2,
  smear: 2,
  timekeeper: 3,
  bench: 4,
  compare: 4,
  hazards: 4,
  checks: 5,
  report: 6,
  cli: 7,
  'index.ts': 7,
};

function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => join(entry.parentPath, entry.name));
}

function placeOf(file: string): string {
  return relative(LIB, file).split('/')[0] as string;
}

function importsOf(file: string): string[] {
  const specifiers = readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g);
  return [...specifiers].map(([, specifier]) =>
    resolve(dirname(file), (specifier as string).replace(/\.js$/, '.ts')),
  );
}

describe('the house', () => {
  const files = filesBelow(LIB, '.ts');

  test('has a floor for every folder and file of lib/', () => {
    expect(readdirSync(LIB).toSorted()).toEqual(Object.keys(FLOORS).toSorted());
  });

  test('imports go down the floors only', () => {
    expect(files.length).toBeGreaterThan(20);
    const upward = files.flatMap((file) =>
      importsOf(file)
        .filter((target) => {
          const [from, to] = [placeOf(file), placeOf(target)];
          return from !== to && (FLOORS[to] as number) >= (FLOORS[from] as number);
        })
        .map((target) => `${relative(LIB, file)} imports ${relative(LIB, target)}`),
    );
    expect(upward).toEqual([]);
  });

  test('imports exist: the test above sees every one of them', () => {
    const known = new Set(files);
    expect(files.flatMap(importsOf).filter((target) => !known.has(target))).toEqual([]);
  });

  test('only the binding includes napi.h', () => {
    const native = ['.h', '.cc'].flatMap((ending) => filesBelow(join(ROOT, 'native'), ending));
    const including = native
      .filter((file) => readFileSync(file, 'utf8').includes('napi.h'))
      .map((file) => relative(join(ROOT, 'native'), file));
    expect(including.length).toBeGreaterThan(0);
    expect(including.every((file) => file.startsWith('binding/'))).toBe(true);
  });
});

describe('the builds', () => {
  const sourcesIn = (file: string): string[] =>
    [...readFileSync(join(ROOT, file), 'utf8').matchAll(/\bnative\/[\w/]+\.cc\b/g)]
      .map(([source]) => source)
      .toSorted();
  const shipped = ['addon.cc', 'binding', 'core', 'tools']
    .flatMap((name) =>
      name.endsWith('.cc') ? [join(ROOT, 'native', name)] : filesBelow(join(ROOT, 'native', name), '.cc'),
    )
    .map((file) => relative(ROOT, file))
    .toSorted();

  test.each(['binding.gyp', 'CMakeLists.txt'])(
    '%s lists every source of the addon and the stepper, and no other',
    (file) => {
      expect(shipped.length).toBeGreaterThan(10);
      expect(sourcesIn(file)).toEqual(shipped);
    },
  );

  test('the Makefile of the stepper builds every source of it', () => {
    const makefile = readFileSync(join(ROOT, 'native/tools/Makefile'), 'utf8');
    const listed = [...makefile.matchAll(/\b\w+\.cc\b/g)].map(([source]) => `native/tools/${source}`);
    expect(listed.toSorted()).toEqual(shipped.filter((file) => file.startsWith('native/tools/')));
  });

  test('the native tests build every source of the core', () => {
    const makefile = readFileSync(join(ROOT, 'native/test/Makefile'), 'utf8');
    const core = shipped.filter((file) => file.startsWith('native/core/'));
    const listed = core.filter((file) =>
      new RegExp(`\\b${file.replace('native/core/', '').replace('.cc', '')}\\b`).test(makefile),
    );
    expect(listed).toEqual(core);
  });
});
