import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Observation } from './observation.ts';
import { type Table, tableMarkdown } from './table.ts';

export const DOCUMENT = resolve(import.meta.dirname, '../../docs/lab.md');

const BEGIN = '<!-- npm run test:lab -- --write: from here -->';
const END = '<!-- to here -->';

/** A document before, between and after the marks of its table. Throws when they are not there. */
function parts(document: string): [before: string, table: string, after: string] {
  const [begin, end] = [document.indexOf(BEGIN) + BEGIN.length, document.indexOf(END)];
  if (begin < BEGIN.length || end < begin) throw new Error('the document has no marks around its table');
  return [document.slice(0, begin), document.slice(begin, end), document.slice(end)];
}

/** What lies between the marks of a document. */
export function writtenTable(document: string): string {
  return parts(document)[1];
}

/** A document with another table between its marks. */
export function withTable(document: string, table: string): string {
  const [before, , after] = parts(document);
  return `${before}\n\n${table}\n\n${after}`;
}

/** Puts the table of a run into the document, with its date and what it was run on. */
export function writeTable(table: Table, observations: readonly Observation[], qemu: string): void {
  const releases = [...new Set(observations.map(({ release }) => release))].toSorted();
  const run = `On ${new Date().toISOString().slice(0, 10)}, QEMU ${qemu}: ${releases.join(', ')}.`;
  writeFileSync(DOCUMENT, withTable(readFileSync(DOCUMENT, 'utf8'), `${run}\n${tableMarkdown(table)}`));
}
