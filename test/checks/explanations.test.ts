import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { EXPLANATIONS } from '../../lib/checks/explanations/explanations.ts';
import type { Explanation } from '../../lib/checks/explanations/model.ts';
import type { Verdict } from '../../lib/checks/model.ts';
import { CHECKS } from '../../lib/checks/registry.ts';
import { explainMarkdown } from '../../lib/report/explain-checks.ts';
import { CHECK_FAULTS, type CheckFault } from '../support/check-faults.ts';
import { ROOT } from '../support/run-cli.ts';

const IDS = CHECKS.map(({ id }) => id);

/** A text with its numbers left out: what a simulated machine measures is not the text's matter. */
function shape(text: string): string {
  return text.replace(/-?\d[\d,.]*/g, '#');
}

const verdicts = new Map<CheckFault, Promise<Verdict>>();

/** The verdict of a check on a machine with a fault: measured once. */
function verdictOn(id: string, fault: CheckFault): Promise<Verdict> {
  const known = verdicts.get(fault) ?? fault.run(id);
  verdicts.set(fault, known);
  return known;
}

test('every check is explained, and nothing else', () => {
  expect(Object.keys(EXPLANATIONS).toSorted()).toEqual(IDS.toSorted());
  expect(Object.keys(CHECK_FAULTS).toSorted()).toEqual(IDS.toSorted());
});

describe.each(IDS)('%s', (id) => {
  const explanation = EXPLANATIONS[id] as Explanation;
  const faults = CHECK_FAULTS[id] ?? [];

  test.each(faults.map((fault) => [fault.status, fault.fault, fault] as const))(
    'ends as %s where %s',
    async (status, _fault, fault) => {
      const verdict = await verdictOn(id, fault);
      expect(verdict).toMatchObject({ status });
      expect(verdict.reason).toContain(fault.names ?? '');
    },
  );

  test('has a fault for each of its failing verdicts, and explains each', () => {
    const failing = Object.keys(explanation.verdicts).filter(
      (status) => status === 'fail' || status === 'warn',
    );
    expect(new Set(faults.map(({ status }) => status))).toEqual(new Set(failing));
    expect(explanation.verdicts.pass).toBeDefined();
  });

  test('shows an example that a machine with the fault gives', async () => {
    const { fault, status, reason } = explanation.example;
    const example = faults[0] as CheckFault;
    expect({ fault: example.fault, status: example.status }).toEqual({ fault, status });
    expect(shape((await verdictOn(id, example)).reason)).toBe(shape(reason));
  });

  test('is needed by checks that there are, and not by itself', () => {
    for (const other of explanation.neededBy) expect(IDS).toContain(other);
    expect(explanation.neededBy).not.toContain(id);
  });
});

test('docs/checks.md is what --explain writes', () => {
  expect(readFileSync(join(ROOT, 'docs/checks.md'), 'utf8')).toBe(explainMarkdown(CHECKS));
});
