import { expectedExplored, expectedStepped } from '../../lib/hazards/expected.ts';
import { readerName } from '../../lib/hazards/model.ts';
import { MUTANTS, type Mutant } from './mutants.ts';

const MODEL_NAMES = { sc: 'SC', tso: 'TSO', weak: 'weak' } as const;

function hazardName(hazard: string, variant: string): string {
  return `\`${hazard}\`${variant === 'main' ? '' : `, ${variant}`}`;
}

function exploredText({ reader, explored }: Mutant): string {
  const { hazard, variant, model, verdict } = explored;
  const held = expectedExplored(reader, hazard, variant, model);
  const unseen = { sc: '', tso: '; not under SC', weak: '; not under SC or TSO' }[model];
  return `${hazardName(hazard, variant)}, ${MODEL_NAMES[model]}: ${verdict}, not ${held}${unseen}`;
}

function steppedText({ reader, stepped }: Mutant): string {
  if (!('verdict' in stepped)) return `cannot: ${stepped.why}`;
  const { hazard, variant, verdict } = stepped;
  return `${hazardName(hazard, variant)}: ${verdict}, not ${expectedStepped(reader, hazard, variant)}`;
}

/**
 * The mutants as a table in Markdown: what is broken, and which kind of evidence finds it where, or why it cannot. Of the
 * list alone: that it is true is what the tests of the mutants hold.
 */
export function mutantTable(): string {
  const rows = MUTANTS.map((mutant) => [
    `\`${mutant.id}\``,
    `${mutant.side} of ${readerName(mutant.reader)}`,
    mutant.what,
    exploredText(mutant),
    steppedText(mutant),
  ]);
  const head = ['mutant', 'program', 'what is broken', 'explored', 'stepped'];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}
