import { differencesOf, type Judged } from '../hazards/held.js';
import {
  type Cell,
  type CellCase,
  type EvidenceKind,
  HAZARDS,
  type HazardName,
  readerName,
} from '../hazards/model.js';
import { progressRule } from '../hazards/progress.js';
import { REASONS } from '../hazards/reasons.js';
import type { HazardReport } from '../hazards/run.js';
import type { TextStyle } from './text.js';
import { wrapped } from './wrapped.js';

const MODEL_NAMES = { sc: 'in program order', tso: 'x86-TSO', weak: 'weaker than x86' } as const;

function titleOf({ variant, model, brokenRule }: CellCase): string {
  const where = model === null ? '' : `, ${MODEL_NAMES[model]}`;
  const rule = brokenRule === null ? '' : `; broken rule: ${brokenRule}`;
  return `${variant}${where}${rule}`;
}

/** What was found, and which of it was expected otherwise. */
function foundLine(one: Judged, evidence: EvidenceKind, { colors }: TextStyle): string {
  const differences = differencesOf(one, evidence);
  const mark = differences.length === 0 ? 'as expected' : colors.bold(colors.red(differences.join('; ')));
  return `${one.verdict}, ${one.progress}: ${mark}`;
}

/** The rule that the progress of a case is held to. */
function ruleOf({ protocol, generation, hazard }: Cell, { variant, model }: CellCase): string {
  const { progress, why } = progressRule({ protocol, generation, hazard, variant, model });
  return `${progress}: ${why}`;
}

function caseLines(cell: Cell, one: CellCase, style: TextStyle): string {
  const { colors } = style;
  const { counts, trace } = one;
  const size = Object.entries(counts)
    .map(([name, count]) => `${count.toLocaleString('en-US')} ${name}`)
    .join(', ');
  const lines = [
    ` ${colors.bold(titleOf(one))}`,
    `   ${foundLine(one, cell.evidence, style)}`,
    ...wrapped(ruleOf(cell, one), 3, style.width),
    ...wrapped(size, 3, style.width),
  ];
  if (trace !== null) {
    const digits = String(trace.steps.length).length;
    trace.steps.forEach((step, index) => {
      lines.push(`   ${colors.dim(String(index + 1).padStart(digits))}  ${step}`);
    });
    lines.push(`   ${' '.repeat(digits)}  ${colors.red(trace.verdict)}`);
  }
  return lines.join('\n');
}

/** All that was found of one reader against one hazard: each variant, the shortest way to what is wrong, and why. */
export function explainText(
  { cells, unavailable }: Pick<HazardReport, 'cells' | 'unavailable'>,
  hazard: HazardName,
  style: TextStyle,
): string {
  const { colors } = style;
  const parts = cells.map((cell) => {
    const title = colors.bold(colors.underline(cell.evidence));
    const lacking = unavailable.find(({ evidence }) => evidence === cell.evidence);
    if (lacking !== undefined)
      return [title, ...wrapped(`skipped: ${lacking.reason}`, 1, style.width)].join('\n');
    if (cell.verdict === 'not-applicable') return `${title}\n cannot make this happen`;
    if (cell.cases.length > 0)
      return [title, ...cell.cases.map((one) => caseLines(cell, one, style))].join('\n');
    const counts = Object.entries(cell.counts)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `${count.toLocaleString('en-US')} ${name}`)
      .join(', ');
    const unheld = cell.expectedProgress === null ? ['the progress is not held: threads decide it'] : [];
    const lines = [foundLine(cell, 'stressed', style), ...unheld].map((line) => ` ${line}`);
    return [title, ...lines, ...wrapped(counts, 1, style.width)].join('\n');
  });
  const [first] = cells;
  const head = first === undefined ? hazard : `${readerName(first)} against ${hazard}`;
  return `${[`${colors.bold(head)}: ${HAZARDS[hazard]}`, wrapped(REASONS[hazard], 0, style.width).join('\n'), ...parts].join('\n\n')}\n`;
}
