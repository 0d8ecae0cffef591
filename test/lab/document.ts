import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Observation } from './observation.ts';
import { type Table, tableMarkdown } from './table.ts';

export const DOCUMENT = resolve(import.meta.dirname, '../../docs/lab.md');

const BEGIN = '<!-- npm run test:lab -- --write: from here -->';
const END = '<!-- to here -->';

/** What lies between the marks of the document. Throws when they are not there. */
export function writtenTable(document: string): string {
  const [begin, end] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${DOCUMENT} has no marks around its table`);
  return document.slice(begin + BEGIN.length, end);
}

/** Puts the table of a run into the document, with its date and what it was run on. */
export function writeTable(table: Table, observations: readonly Observation[], qemu: string): void {
  const document = readFileSync(DOCUMENT, 'utf8');
  const releases = [...new Set(observations.map(({ release }) => release))].toSorted();
  const written = [
    '',
    '',
    `On ${new Date().toISOString().slice(0, 10)}, ${qemu}: ${releases.join(', ')}.`,
    tableMarkdown(table),
    '',
    '',
  ].join('\n');
  writeFileSync(
    DOCUMENT,
    document.replace(writtenTable(document), () => written),
  );
}
