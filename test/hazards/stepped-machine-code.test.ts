import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { findStepper } from '../../lib/hazards/stepped.ts';
import { runProgram } from '../support/run-cli.ts';
import { cannotRun, testUnless } from '../support/tools.ts';

const STEPPER = findStepper();
const ADDON = join(dirname(STEPPER), 'latchclock.node');
// Readers by the hardware counter, of the words that they need; six protocols, three generations, two arithmetics.
const READER = /^([0-9a-f]+) ([0-9a-f]+) \S (?:.* )?.*reader_table::Call<(.*HardwareCounter, .*Words\)0)>\(/;
const READERS = 36;

/** The bytes of each reader by its name; empty where a program has no symbols. */
function readersOf(file: string): Map<string, string> {
  const text = /\] \.text +\S+ +([0-9a-f]+) ([0-9a-f]+) /.exec(runProgram('readelf', ['-SW', file]).out);
  if (text === null) throw new Error(`readelf tells of no code in ${file}`);
  const before = Number.parseInt(text[1] as string, 16) - Number.parseInt(text[2] as string, 16);
  const bytes = readFileSync(file);
  const found = new Map<string, string>();
  for (const line of runProgram('nm', ['-S', '-C', file]).out.split('\n')) {
    const [, address, size, name] = READER.exec(line) ?? [];
    if (address === undefined || size === undefined || name === undefined) continue;
    const start = Number.parseInt(address, 16) - before;
    found.set(name, bytes.toString('hex', start, start + Number.parseInt(size, 16)));
  }
  return found;
}

const missing =
  cannotRun('nm', ['--version']) ??
  cannotRun('readelf', ['--version']) ??
  (existsSync(ADDON) ? null : 'the addon was not built beside the stepper') ??
  (readersOf(STEPPER).size > 0 && readersOf(ADDON).size > 0 ? null : 'the programs have no symbols');

testUnless(missing, 'what is stepped is the machine code of the addon’s readers, byte for byte', () => {
  const [stepped, shipped] = [readersOf(STEPPER), readersOf(ADDON)];
  expect(stepped.size).toBe(READERS);
  expect([...stepped.values()].filter((code) => code.length < 200)).toEqual([]);
  const unlike = [...stepped].filter(([name, code]) => shipped.get(name) !== code).map(([name]) => name);
  expect(unlike).toEqual([]);
});
