import type { CheckResult, CheckStatus } from '../checks/model.js';
import type { RunReport } from '../checks/run.js';
import { nameCpus } from '../host/cpus.js';
import { hostLines } from './host-text.js';
import { type Colors, columns, type TextStyle } from './text.js';

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

function verdictLine({ summary, interrupted, durationMs }: RunReport, colors: Colors): string {
  const counts = `${summary.pass} passed, ${summary.fail} failed, ${summary.warn} warned, ${summary.skip} skipped`;
  const verdict = summary.fail > 0 ? colors.bold(colors.red('failed')) : colors.bold(colors.green('held'));
  const word = interrupted
    ? colors.bold('interrupted')
    : summary.pass + summary.fail + summary.warn === 0
      ? 'nothing ran'
      : verdict;
  return `${word}: ${counts} in ${(durationMs / 1000).toFixed(1)} s`;
}

/** What became of the CPUs of the run, where some were taken away; said once, and not by each check. */
function takenAwayLines({ takenAway }: RunReport, colors: Colors): string[] {
  if (takenAway.length === 0) return [];
  const were = takenAway.length === 1 ? 'was' : 'were';
  return [
    `${colors.yellow(nameCpus(takenAway))} ${were} taken away during the run (hotplug, a cpuset, taskset): measured on the others`,
  ];
}

/** A run as text for people. */
export function validateText(report: RunReport, style: TextStyle): string {
  const { colors } = style;
  const groups = [...new Set(report.checks.map((check) => check.group))];
  const blocks = groups.map((group) => {
    const rows = report.checks
      .filter((check) => check.group === group)
      .flatMap((check) => checkRows(check, colors));
    return `${colors.bold(group)}\n${columns(style, [5, 11], rows)}`;
  });
  return `${[hostLines(report.host, style), ...blocks, ...takenAwayLines(report, colors), verdictLine(report, colors)].join('\n\n')}\n`;
}
