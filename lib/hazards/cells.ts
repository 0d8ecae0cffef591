import type { StressHazardName } from '../native/addon.js';
import { expectedExplored, expectedStepped, expectedUnderStress } from './expected.js';
import { type ExploredCase, MAIN_MODEL } from './explored/explored.js';
import { heldThroughout } from './held.js';
import type { Cell, CellCase, EvidenceKind, HazardName, MatrixReader } from './model.js';
import { progressRule, progressUnderStress } from './progress.js';
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
    ...{ holds: true, progress: null, expectedProgress: null, counts: {}, latencyNs: null, cases: [] },
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
  const main = cases.find(isMain) ?? (cases[0] as CellCase);
  const { verdict, expected, progress, expectedProgress, counts } = main;
  const { verdict: right, progress: goesOn } = heldThroughout({ ...main, evidence, cases });
  return {
    ...{ protocol, generation, hazard, evidence, verdict, expected, progress, expectedProgress },
    ...{ holds: right && goesOn, counts, latencyNs: null, cases },
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
      expectedProgress: progressRule({ ...reader, hazard, variant, model }).progress,
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
      expectedProgress: progressRule({ ...reader, hazard, variant, model: null }).progress,
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
  { protocol, generation, native }: MatrixReader,
  hazard: HazardName,
  kind: StressHazardName,
  { tally, latencyNs }: StressResult,
): Cell {
  const judged = {
    verdict: verdictOf(tally, native.protocol, kind),
    expected: expectedUnderStress(protocol, hazard),
    progress: progressOf(tally),
    expectedProgress: progressUnderStress(protocol, hazard),
  };
  const held = heldThroughout({ ...judged, evidence: 'stressed', cases: [] });
  return {
    ...{ protocol, generation, hazard, evidence: 'stressed', ...judged },
    ...{ holds: held.verdict && held.progress, counts: { ...tally }, latencyNs, cases: [] },
  };
}
