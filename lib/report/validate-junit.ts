import type { CheckResult } from '../checks/model.js';
import type { RunReport } from '../checks/run.js';
import { TOOL } from './tool.js';

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Text as an attribute or content; characters that XML 1.0 cannot hold become U+FFFD. */
function xml(text: string): string {
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML forbids
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
      .replace(/[&<>"]/g, (character) => ESCAPES[character] as string)
  );
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

function body(check: CheckResult): string {
  const text = xml(`${check.reason}\n${check.bound}${check.advice === undefined ? '' : `\n${check.advice}`}`);
  switch (check.status) {
    case 'fail':
      return `<failure message="${xml(check.reason)}">${text}</failure>`;
    case 'skip':
      return `<skipped message="${xml(check.reason)}"/><system-out>${text}</system-out>`;
    case 'warn':
      return `<system-out>warning: ${text}</system-out>`;
    case 'pass':
      return `<system-out>${text}</system-out>`;
  }
}

function property(name: string, value: string): string {
  return `      <property name="${name}" value="${xml(value)}"/>`;
}

function suite(
  { host, startedAt }: RunReport,
  kind: string,
  group: string,
  checks: readonly CheckResult[],
): string {
  const failures = checks.filter((check) => check.status === 'fail').length;
  const skipped = checks.filter((check) => check.status === 'skip').length;
  const time = seconds(checks.reduce((sum, check) => sum + check.durationMs, 0));
  const cases = checks.map(
    (check) =>
      `    <testcase classname="${TOOL.name}.${kind}.${xml(group)}" name="${xml(check.id)}" time="${seconds(check.durationMs)}">${body(check)}</testcase>`,
  );
  const named = host.hostname === null ? '' : ` hostname="${xml(host.hostname)}"`;
  // The form of JUnit's own schema: without a fraction, and without a zone.
  const at = startedAt.toISOString().slice(0, 19);
  return [
    `  <testsuite name="${xml(group)}" tests="${checks.length}" failures="${failures}" errors="0" skipped="${skipped}" time="${time}" timestamp="${at}"${named}>`,
    '    <properties>',
    property('kind', kind),
    ...(host.machineIdHash === null ? [] : [property('machineIdHash', host.machineIdHash)]),
    '    </properties>',
    ...cases,
    '  </testsuite>',
  ].join('\n');
}

/** A run as JUnit XML: a suite a group, with its kind; a warning is a case that passed, with its text. */
export function validateJunit(report: RunReport): string {
  const groups = [...new Map(report.checks.map(({ group, kind }) => [group, kind]))];
  const { fail, skip } = report.summary;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="${TOOL.name}" tests="${report.checks.length}" failures="${fail}" errors="0" skipped="${skip}" time="${seconds(report.durationMs)}">`,
    ...groups.map(([group, kind]) =>
      suite(
        report,
        kind,
        group,
        report.checks.filter((check) => check.group === group),
      ),
    ),
    '</testsuites>',
    '',
  ].join('\n');
}
