import { EXPLANATIONS, foundationsOf } from '../checks/explanations/explanations.js';
import type { Explanation } from '../checks/explanations/model.js';
import { CHECK_KINDS, CHECK_STATUSES, type Check, type CheckKind, groupOf, kindOf } from '../checks/model.js';
import { toJson } from './json.js';
import { columns, type TextStyle } from './text.js';

/** A check with its explanation. */
interface Explained extends Explanation {
  readonly id: string;
  readonly kind: CheckKind;
  readonly claim: string;
  /** Ids of the checks on whose claims its verdict rests. */
  readonly restsOn: readonly string[];
}

function explained(check: Check): Explained {
  const { id, claim } = check;
  const explanation = EXPLANATIONS[id] as Explanation;
  return { id, kind: kindOf(groupOf(check)), claim, ...explanation, restsOn: foundationsOf(id) };
}

/** What each verdict of a check means, in the order of the statuses. */
function meanings({ verdicts }: Explained): (readonly [string, string])[] {
  return CHECK_STATUSES.flatMap((status) => {
    const meaning = verdicts[status];
    return meaning === undefined ? [] : [[status, meaning] as const];
  });
}

function exampleText({ example: { fault, status, reason } }: Explained): string {
  return `where ${fault}: ${status}, "${reason}"`;
}

function checkText(check: Explained, style: TextStyle): string {
  const rows = [
    ['measured', check.measured],
    ...meanings(check),
    ['what to do', check.remedy],
    ...(check.restsOn.length === 0 ? [] : [['rests on', check.restsOn.join(', ')]]),
    ...(check.neededBy.length === 0 ? [] : [['needed by', check.neededBy.join(', ')]]),
    ['example', exampleText(check)],
  ];
  const about = check.kind === 'host' ? 'about this host' : 'a self-test of latchclock';
  const head = `${style.colors.bold(check.id)} (${about})`;
  return [head, columns(style, [], [[check.claim]]), columns(style, [10], rows)].join('\n');
}

/** Checks explained, as text for people. */
export function explainText(checks: readonly Check[], style: TextStyle): string {
  return `${checks.map((check) => checkText(explained(check), style)).join('\n\n')}\n`;
}

/** Checks explained, as a JSON list: not versioned, like that of `--list`. */
export function explainJson(checks: readonly Check[]): string {
  return toJson(checks.map(explained));
}

const KIND_TITLES: Readonly<Record<CheckKind, string>> = {
  host: "Checks of the host: the machine's counter, clocks, vDSO and page",
  self: 'Self-test: latchclock at work on the host',
};

function idLinks(ids: readonly string[]): string {
  return ids.map((id) => `[${id}](#${id.replace('.', '')})`).join(', ');
}

function checkMarkdown(check: Explained): string {
  return [
    `### ${check.id}`,
    `*${check.claim}.*`,
    check.measured,
    [
      '| verdict | meaning |',
      '|---|---|',
      ...meanings(check).map(([status, text]) => `| ${status} | ${text} |`),
    ].join('\n'),
    `What to do: ${check.remedy}`,
    ...(check.restsOn.length === 0 ? [] : [`It rests on ${idLinks(check.restsOn)}.`]),
    ...(check.neededBy.length === 0 ? [] : [`Needed by ${idLinks(check.neededBy)}.`]),
    `Example, ${exampleText(check)}.`,
  ].join('\n\n');
}

/** Checks explained, as the page `docs/checks.md`. */
export function explainMarkdown(checks: readonly Check[]): string {
  const sections = CHECK_KINDS.flatMap((kind) => {
    const ofKind = checks.map(explained).filter((check) => check.kind === kind);
    return ofKind.length === 0 ? [] : [`## ${KIND_TITLES[kind]}`, ...ofKind.map(checkMarkdown)];
  });
  const head = [
    '# The checks of validate',
    'Written by `latchclock validate --explain host,self --format markdown`; a test holds that. The examples are what the checks say on simulated machines with the fault named.',
  ];
  return `${[...head, ...sections].join('\n\n')}\n`;
}
