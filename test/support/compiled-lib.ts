import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import ts from 'typescript';

const ROOT = join(import.meta.dirname, '..', '..');
const FLOORS = [
  'units.ts',
  'nearest.ts',
  'printable.ts',
  'errors.ts',
  'arguments.ts',
  'leap',
  'page',
  'native',
  'host',
];

/**
 * The lower floors of `lib/` as JavaScript in a folder of its own, for child processes of plain Node: what is tested
 * there is the source as it stands, not a build that may be older. `root` is a package folder as the loader knows it.
 */
export function compiledLib(): { root: string; lib: string; remove: () => void } {
  const root = mkdtempSync(join(tmpdir(), 'latchclock-lib-'));
  const compilerOptions = {
    module: ts.ModuleKind.ES2022,
    target: ts.ScriptTarget.ES2022,
    verbatimModuleSyntax: true,
  };
  const sources = readdirSync(join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' });
  for (const name of sources) {
    if (!name.endsWith('.ts') || !FLOORS.includes(name.split('/')[0] as string)) continue;
    const target = join(root, 'lib', name.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    const { outputText } = ts.transpileModule(readFileSync(join(ROOT, 'lib', name), 'utf8'), {
      compilerOptions,
    });
    writeFileSync(target, outputText);
  }
  for (const name of ['node_modules', 'build', 'package.json'])
    symlinkSync(join(ROOT, name), join(root, name));
  return { root, lib: join(root, 'lib'), remove: () => rmSync(root, { recursive: true }) };
}
