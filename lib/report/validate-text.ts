import { CHECK_KINDS, type CheckKind, type CheckResult, type CheckStatus } from '../checks/model.js';
import type { CheckCounts, RunReport } from '../checks/run.js';
import { nameCpus } from '../host/cpus.js';
import { hostLines } from './host-text.js';
import { type Colors, columns, type TextStyle } from './text.js';
import { wrapped } from './wrapped.js';

function statusWord(status: CheckStatus, colors: Colors): string {
  switch (status) {
    case 'pass':
      return colors.green('pass');
    case 'fail':
      return colors.bold(colors.red('FAIL'));
    case 'warn':
      return colors.yellow('warn');
    case 'skip':
      return colors.cyan('skip');
  }
}

function checkRows(check: CheckResult, colors: Colors): string[][] {
  const name = check.id.slice(check.group.length + 1);
  const rows = [[` ${statusWord(check.status, colors)}`, name, check.reason]];
  rows.push(['', '', colors.dim(check.bound)]);
  if (check.advice !== undefined) rows.push(['', '', `→ ${check.advice}`]);
  return rows;
}

const KIND_NAMES: Readonly<Record<CheckKind, string>> = { host: 'host', self: 'self-test' };

const STATUS_WORDS: Readonly<Record<CheckStatus, string>> = {
  pass: 'passed',
  fail: 'failed',
  warn: 'warned',
  skip: 'skipped',
};

function totalOf(counts: CheckCounts): number {
  return counts.pass + counts.fail + counts.warn + counts.skip;
}

function verdictWord(counts: CheckCounts): string {
  if (counts.fail > 0) return 'FAILED';
  return counts.pass + counts.warn === 0 ? 'nothing ran' : 'held';
}

function coloredVerdict(text: string, counts: CheckCounts, colors: Colors): string {
  const paint = counts.fail > 0 ? colors.red : counts.pass + counts.warn === 0 ? colors.cyan : colors.green;
  return colors.bold(paint(text));
}

/** The kinds that were run, the host's first. */
function kindsOf({ summary }: RunReport): CheckKind[] {
  const kinds = CHECK_KINDS.filter((kind) => totalOf(summary[kind]) > 0);
  return kinds.length === 0 ? ['host'] : kinds;
}

function tookLine({ summary, interrupted, durationMs }: RunReport): string {
  const count = totalOf(summary);
  const took = `${count} check${count === 1 ? '' : 's'} in ${(durationMs / 1000).toFixed(1)} s`;
  return interrupted ? `interrupted: ${took}` : took;
}

function verdictLines(report: RunReport, colors: Colors): string[] {
  const lines = kindsOf(report).map((kind) => {
    const counts = report.summary[kind];
    const { pass, fail, warn, skip } = counts;
    const word = coloredVerdict(verdictWord(counts), counts, colors);
    return `${KIND_NAMES[kind]} ${word}: ${pass} passed, ${fail} failed, ${warn} warned, ${skip} skipped`;
  });
  return [...lines, tookLine(report)];
}

function blockOf(group: string, checks: readonly CheckResult[], style: TextStyle): string {
  const rows = checks
    .filter((check) => check.group === group)
    .flatMap((check) => checkRows(check, style.colors));
  return `${style.colors.bold(group)}\n${columns(style, [5, 11], rows)}`;
}

/** The groups of `checks` as blocks; those of the self-test are told apart by a line above the first. */
function blocksOf(checks: readonly CheckResult[], style: TextStyle): string[] {
  const blocks = (kind: CheckKind): string[] =>
    [...new Set(checks.filter((check) => check.kind === kind).map((check) => check.group))].map((group) =>
      blockOf(group, checks, style),
    );
  const self = blocks('self');
  const heading = wrapped('self-test: latchclock at work on this host, and not the host', 0, style.width);
  return [...blocks('host'), ...(self.length === 0 ? [] : [heading.join('\n'), ...self])];
}

/** What became of the CPUs of the run, where some were taken away; said once, and not by each check. */
function takenAwayLines({ takenAway }: RunReport, style: TextStyle): string[] {
  if (takenAway.length === 0) return [];
  const were = takenAway.length === 1 ? 'was' : 'were';
  const text = `${nameCpus(takenAway)} ${were} taken away during the run (hotplug, a cpuset, taskset): measured on the others`;
  return [style.colors.yellow(wrapped(text, 0, style.width).join('\n'))];
}

/** A run as text for people: every check, and last what it says of the host and of latchclock on it. */
export function validateText(report: RunReport, style: TextStyle): string {
  const blocks = blocksOf(report.checks, style);
  return `${[hostLines(report.host, style), ...blocks, ...takenAwayLines(report, style), verdictLines(report, style.colors).join('\n')].join('\n\n')}\n`;
}

/** What is no pass, and one line of counts (wrapped where the terminal is narrower). */
export function validateBrief(report: RunReport, style: TextStyle): string {
  const blocks = blocksOf(
    report.checks.filter((check) => check.status !== 'pass'),
    style,
  );
  const kinds = kindsOf(report).map((kind) => {
    const counts = report.summary[kind];
    const told = (['pass', 'fail', 'warn', 'skip'] as const).filter((status) => counts[status] > 0);
    const parts = told.map((status) => `${counts[status]} ${STATUS_WORDS[status]}`);
    return `${KIND_NAMES[kind]} ${verdictWord(counts)}${parts.length === 0 ? '' : `: ${parts.join(', ')}`}`;
  });
  const line = wrapped([...kinds, tookLine(report)].join('; '), 0, style.width).join('\n');
  return `${[...blocks, ...takenAwayLines(report, style), coloredVerdict(line, report.summary, style.colors)].join('\n\n')}\n`;
}
