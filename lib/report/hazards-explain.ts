import { type CellCase, HAZARDS, type HazardName, readerName } from '../hazards/model.js';
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

function caseLines(one: CellCase, style: TextStyle): string {
  const { colors } = style;
  const { verdict, expected, progress, counts, trace } = one;
  const mark = verdict === expected ? 'as expected' : colors.bold(colors.red(`expected ${expected}`));
  const size = Object.entries(counts)
    .map(([name, count]) => `${count.toLocaleString('en-US')} ${name}`)
    .join(', ');
  const lines = [
    ` ${colors.bold(titleOf(one))}`,
    `   ${verdict}, ${progress}: ${mark}`,
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
    if (cell.cases.length > 0) return [title, ...cell.cases.map((one) => caseLines(one, style))].join('\n');
    const mark = cell.holds ? 'as expected' : colors.bold(colors.red(`expected ${cell.expected}`));
    const counts = Object.entries(cell.counts)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `${count.toLocaleString('en-US')} ${name}`)
      .join(', ');
    return [title, ` ${cell.verdict}, ${cell.progress}: ${mark}`, ...wrapped(counts, 1, style.width)].join(
      '\n',
    );
  });
  const [first] = cells;
  const head = first === undefined ? hazard : `${readerName(first)} against ${hazard}`;
  return `${[`${colors.bold(head)}: ${HAZARDS[hazard]}`, wrapped(REASONS[hazard], 0, style.width).join('\n'), ...parts].join('\n\n')}\n`;
}
