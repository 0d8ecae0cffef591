import { heldOf } from '../hazards/held.js';
import {
  type Cell,
  type CellCase,
  type CellVerdict,
  EVIDENCE_KINDS,
  type EvidenceKind,
  HAZARD_NAMES,
  HAZARDS,
  type HazardName,
  MATRIX_READERS,
  readerName,
} from '../hazards/model.js';
import { REASONS } from '../hazards/reasons.js';
import type { HazardReport } from '../hazards/run.js';
import { wrapped } from './wrapped.js';

const WIDTH = 120;
const MODELS = { sc: 'in order', tso: 'x86-TSO', weak: 'weaker' } as const;

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(heads), `|${'---|'.repeat(heads.length)}`, ...rows.map(row)].join('\n');
}

function cellOf(
  cells: readonly Cell[],
  reader: string,
  hazard: HazardName,
  kind: EvidenceKind,
): Cell | undefined {
  return cells.find(
    (cell) => readerName(cell) === reader && cell.hazard === hazard && cell.evidence === kind,
  );
}

const EMPTY = '.';

/** What is told of a cell. Of stress it is what the reader is held to: what threads are caught at differs from run to run. */
type Telling = (cell: Cell) => string;

const verdictOf: Telling = ({ evidence, verdict, expected }) =>
  evidence === 'stressed' ? expected : verdict;
const progressOf: Telling = ({ evidence, progress, expectedProgress }) =>
  (evidence === 'stressed' ? expectedProgress : progress) ?? 'not held';

const WORSE: Readonly<Record<CellVerdict, number>> = { 'not-applicable': 0, safe: 0, lags: 1, unsafe: 2 };

/** Whether another variant, in which no rule is broken, has a worse verdict than the one that is told. */
function hasWorse({ cases, verdict }: Cell): boolean {
  return cases.some((one) => one.brokenRule === null && WORSE[one.verdict] > WORSE[verdict]);
}

function overview(cells: readonly Cell[], kinds: readonly EvidenceKind[], tell: Telling): string {
  const told = (cell: Cell | undefined): string => {
    if (cell === undefined || cell.verdict === 'not-applicable') return EMPTY;
    return tell === verdictOf && hasWorse(cell) ? `${tell(cell)}\\*` : tell(cell);
  };
  const rows = HAZARD_NAMES.map((hazard) => [
    `[${hazard}](#${hazard})`,
    ...MATRIX_READERS.map((reader) => {
      const of = kinds.map((kind) => told(cellOf(cells, readerName(reader), hazard, kind)));
      const known = [...new Set(of.filter((word) => word !== EMPTY))];
      return known.length === 1 ? (known[0] as string) : of.join(' / ');
    }),
  ]);
  return table(['hazard', ...MATRIX_READERS.map(readerName)], rows);
}

/** Verdict and progress of a case, what was expected behind the one that is not. */
function foundOf(found: CellCase, evidence: EvidenceKind): string {
  const held = heldOf(found, evidence);
  const { verdict, expected, progress, expectedProgress } = found;
  return [
    held.verdict ? verdict : `${verdict} (expected ${expected})`,
    held.progress ? progress : `${progress} (expected ${expectedProgress})`,
  ].join(', ');
}

/** What was found of each reader: explored by model, and stepped; a line a variant. */
function findings(cells: readonly Cell[], hazard: HazardName): string {
  const rows = MATRIX_READERS.map(readerName).flatMap((reader) => {
    const explored = cellOf(cells, reader, hazard, 'explored')?.cases ?? [];
    const stepped = cellOf(cells, reader, hazard, 'stepped')?.cases ?? [];
    const variants = [...new Set([...explored, ...stepped].map(({ variant }) => variant))];
    return variants.map((variant) => {
      const of = (cases: readonly CellCase[], model: CellCase['model']): string => {
        const found = cases.find((one) => one.variant === variant && one.model === model);
        return found === undefined ? EMPTY : foundOf(found, model === null ? 'stepped' : 'explored');
      };
      return [
        reader,
        variant,
        of(explored, 'sc'),
        of(explored, 'tso'),
        of(explored, 'weak'),
        of(stepped, null),
      ];
    });
  });
  return table(['reader', 'variant', ...Object.values(MODELS), 'stepped'], rows);
}

/** The shortest way to a wrong value, or to one out of order, of the first reader that is no sketch. */
function shortest(cells: readonly Cell[], hazard: HazardName): string {
  const candidates = MATRIX_READERS.filter(({ protocol }) => !protocol.startsWith('literal')).flatMap(
    (reader) =>
      (cellOf(cells, readerName(reader), hazard, 'explored')?.cases ?? [])
        .filter(({ trace, model }) => trace !== null && model === 'tso')
        .map((one) => ({ reader: readerName(reader), one })),
  );
  // What is wrong without a broken rule tells most, then what is wrong, then what is out of order; and of these the way in
  // which the hazard is seen to happen.
  const weight = ({ one }: (typeof candidates)[number]): number =>
    (one.verdict === 'unsafe' ? 0 : 4) + (one.brokenRule === null ? 0 : 2) + (one.variant === 'main' ? 0 : 1);
  const [first] = candidates.toSorted((a, b) => weight(a) - weight(b));
  if (first?.one.trace == null) return '';
  const { steps, verdict } = first.one.trace;
  const lines = steps.map((step, index) => `${String(index + 1).padStart(2)}  ${step}`);
  return [
    `The shortest way of ${first.reader} to it (${first.one.variant}, ${MODELS.tso}):`,
    '',
    '```text',
    ...lines,
    `    ${verdict}`,
    '```',
  ].join('\n');
}

function section(cells: readonly Cell[], hazard: HazardName): string {
  const rules = new Map<string, string[]>();
  for (const { evidence, hazard: of, cases } of cells) {
    if (evidence !== 'explored' || of !== hazard) continue;
    for (const { variant, brokenRule } of cases) {
      if (brokenRule !== null) rules.set(brokenRule, [...(rules.get(brokenRule) ?? []), variant]);
    }
  }
  const broken = [...rules].map(
    ([rule, variants]) => `Rule that is broken (${[...new Set(variants)].join(', ')}): ${rule}.`,
  );
  return [
    `## ${hazard}`,
    `${HAZARDS[hazard][0]?.toUpperCase()}${HAZARDS[hazard].slice(1)}.`,
    wrapped(REASONS[hazard], 0, WIDTH).join('\n'),
    ...broken,
    findings(cells, hazard),
    shortest(cells, hazard),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

const INTRODUCTION = `# Readers against hazards

Written by \`latchclock hazards --format markdown\`; a test holds it to what is found. \`latchclock hazards --explain READER
HAZARD\` tells each cell with its counts and its shortest trace.

**Verdicts.** *safe*: every value returned is right, and in order. *lags*: right, but a read that ends before another
starts, in the same generation, can be the greater one. *unsafe*: a value can be returned that is of no segment which
was current, or from outside its window. What a reader does *meanwhile* is the second word: *free* (it ends with a value),
*refuses* (it can end without), *waits* (it goes on for as long as the writer stands, up to its bound), at the worst.
Both words are held to what is expected; what was expected otherwise stands in brackets.

**Evidence.** *Explored*: every interleaving of the reader's steps with the writer's and the world's, in program order, under
x86-TSO with a counter that moves, and under a weaker model, in which stores and loads are reordered; the first word of a cell
is x86-TSO's. The sketches are not explored under the weaker one: what happens in order can happen out of order, too. *Stepped*: the compiled reader, one instruction at a time, with the hazard before every instruction, narrow and wide;
single steps see no reordering. *Stressed*: threads and killed processes on the real counter; what is given is what a
reader is held to, since threads need not be caught at what they may do. A dot: this evidence cannot make it happen.

**Right** means: there is an instant of the read at which the segment was published and not superseded, and computed for
its counter, with the counter that was read in its window: the two need be of one read, not of one instant, since where the
processor moves the counter there is no such instant. Spin and the stepper, which know program order alone, ask for one instant;
sound readers keep to that too, and the three agree on them. A broken one can be wrong by the stricter word alone: then the
explorer finds it by another hazard ([docs/mutants.md](mutants.md)).

**A cell** of the tables is its main variant. An asterisk: another variant, in which no rule is broken, has a worse verdict.
*writer-stalled* is explored as *update* is, since to stand is one of the interleavings; what it is about is who waits.

**What is left out loses nothing.** Steps that touch nothing shared are made with the step before them, since they commute
with every other step. Time passes where the counter is read, since nothing else sees it. Two reads are made one after the
other, on two CPUs, and never at once, since readers store nothing and so cannot see each other. A second read is made where
rates change; elsewhere the values of an epoch of the counter lie on one line, and if right are in order, since the second
read's counter is the later one. Across a change of the generation no order is promised. A reader whose pages' generation never
changes is one with the reader that does not look at it. Bounds on tries are beyond what is explored, but in the variant
*bounded*. Whether a *writer's* counter is fenced decides nothing: an early one makes a base early, by which a seqlock lags,
as it does by its reader already, and nothing moves across an interrupt.

**What bounds it.** A writer that goes on publishes three times in the main variants, in order and under x86-TSO, twice in the
others and in those of the sketches; under the weaker model twice in main variants and once in the others and where two windows
are offered. Under the weaker model a reader has one load at a time ahead of its turn; two at a time, tried once with one
update in every variant, changed no verdict.`;

/** The matrix with its reasons, as Markdown: the same wherever the readers are the same, whatever was counted. */
export function hazardsMarkdown({ cells, unavailable, quick }: HazardReport): string {
  const kinds = EVIDENCE_KINDS.filter((kind) => cells.some(({ evidence }) => evidence === kind));
  const partial = [
    ...unavailable.map(({ evidence, reason }) => `**Skipped**: ${evidence}. ${reason}.`),
    ...(quick ? ['A quick run: main variants alone, explored under x86-TSO alone.'] : []),
  ];
  return [
    INTRODUCTION,
    ...partial,
    `One verdict where the evidence agrees, else ${kinds.join(' / ')}:`,
    overview(cells, kinds, verdictOf),
    'What a reader does meanwhile, at the worst, likewise:',
    overview(cells, kinds, progressOf),
    ...HAZARD_NAMES.filter((hazard) => cells.some((cell) => cell.hazard === hazard)).map((hazard) =>
      section(cells, hazard),
    ),
    '',
  ].join('\n\n');
}
