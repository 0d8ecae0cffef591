import { bearsOut, expectedExplored, expectedStepped, expectedUnderStress } from './expected.js';
import { type ExploredCase, MAIN_MODEL } from './explored/explored.js';
import type { Cell, CellCase, EvidenceKind, HazardName, MatrixReader } from './model.js';
import type { SteppedCell } from './stepped.js';
import { progressOf, type StressResult, verdictOf } from './stressed.js';

/** A cell whose hazard this evidence cannot make happen. */
export function notApplicable(
  { protocol, generation }: MatrixReader,
  hazard: HazardName,
  evidence: EvidenceKind,
): Cell {
  return {
    ...{ protocol, generation, hazard, evidence, verdict: 'not-applicable', expected: 'not-applicable' },
    ...{ holds: true, progress: null, counts: {}, latencyNs: null, cases: [] },
  };
}

/** A cell of cases, the main one of which is its verdict. */
function ofCases(
  { protocol, generation }: MatrixReader,
  hazard: HazardName,
  evidence: EvidenceKind,
  cases: CellCase[],
  isMain: (one: CellCase) => boolean,
): Cell {
  const { verdict, expected, progress, counts } = cases.find(isMain) ?? (cases[0] as CellCase);
  return {
    ...{ protocol, generation, hazard, evidence, verdict, expected, progress, counts, cases },
    holds: cases.every((one) => one.verdict === one.expected),
    latencyNs: null,
  };
}

export function exploredCell(
  reader: MatrixReader,
  hazard: HazardName,
  explored: readonly ExploredCase[],
): Cell {
  const cases = explored.map(
    ({ variant, model, verdict, progress, brokenRule, counts, trace }): CellCase => ({
      ...{ variant, model, verdict, progress, brokenRule, counts, trace },
      expected: expectedExplored(reader, hazard, variant, model),
    }),
  );
  return ofCases(
    reader,
    hazard,
    'explored',
    cases,
    ({ variant, model }) => variant === 'main' && model === MAIN_MODEL,
  );
}

export function steppedCell(reader: MatrixReader, { hazard, variants }: SteppedCell): Cell {
  const cases = variants.map(
    ({ variant, verdict, progress, counts, example }): CellCase => ({
      ...{ variant, model: null, verdict, progress, brokenRule: null, counts },
      expected: expectedStepped(reader, hazard, variant),
      trace:
        example === null
          ? null
          : {
              steps: [`before instruction ${example.boundary} of the read, ${example.instruction}`],
              verdict: example.what,
            },
    }),
  );
  return ofCases(reader, hazard, 'stepped', cases, ({ variant }) => variant === 'main');
}

export function stressedCell(
  { protocol, generation }: MatrixReader,
  hazard: HazardName,
  { tally, latencyNs }: StressResult,
): Cell {
  const verdict = verdictOf(tally);
  const expected = expectedUnderStress(protocol, hazard);
  return {
    ...{ protocol, generation, hazard, evidence: 'stressed', verdict, expected, latencyNs, cases: [] },
    ...{ holds: bearsOut(verdict, expected), progress: progressOf(tally), counts: { ...tally } },
  };
}
