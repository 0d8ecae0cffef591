import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../support/run-cli.ts';
import { mutantTable } from './mutant-table.ts';

const FILE = join(ROOT, 'docs/mutants.md');

const DOCUMENT = `# Faults that the evidence must find

Readers and writers that are broken on purpose. Each is explored, by a change of its step program, and must come out
worse than the sound one, under the memory model that is named and under no stronger one; and where the fault is one of
compiled code, it is compiled into the stepper, and must come out worse there too, unless single steps cannot see it: then
they must see no difference at all. \`test/hazards/mutants.test.ts\` holds every line; this page is written from the list by
\`LATCHCLOCK_WRITE_DOCS=1 npx vitest run test/hazards/mutants-document.test.ts\`.

What a kind of evidence cannot see: *stepping* runs one instruction at a time, so that accesses have no order but the program's,
and a dropped fence or a relaxed store changes nothing that it sees (on x86 most change no machine code at all). *Exploring*
looks at step programs, not at what the compiler made of the C++: a fault of that alone is the stepper's to find.

${mutantTable()}`;

test('docs/mutants.md is the list of mutants', () => {
  if (process.env['LATCHCLOCK_WRITE_DOCS'] !== undefined) writeFileSync(FILE, DOCUMENT);
  expect(readFileSync(FILE, 'utf8')).toBe(DOCUMENT);
});
