import type { CellVerdict, HazardName, ProtocolName } from '../../lib/hazards/model.ts';

/** The hazards that a sequentially consistent model can show: the other two are about reordering. */
export type SpinHazardName = Exclude<HazardName, 'adjust-held-unfenced' | 'counter-unfenced'>;
type Verdict = Exclude<CellVerdict, 'not-applicable'>;

/** One reader as a model: the file without its ending, and what spin is given as -D. */
export interface SpinModel {
  protocol: ProtocolName;
  generation: boolean;
  file: string;
  defines: readonly string[];
}

/** One search: a model against a hazard. `main` is the variant that the matrix shows. */
export interface SpinCell extends SpinModel {
  hazard: SpinHazardName;
  variant: string;
  expected: Verdict;
}

/** Every reader of the matrix. */
export const SPIN_MODELS: readonly SpinModel[] = [
  { protocol: 'seqlock', generation: false, file: 'seqlock', defines: [] },
  { protocol: 'seqlock', generation: true, file: 'seqlock', defines: ['TAGGED'] },
  { protocol: 'latch', generation: false, file: 'latch', defines: [] },
  { protocol: 'latch', generation: true, file: 'latch', defines: ['TAGGED'] },
  { protocol: 'latch-window', generation: false, file: 'latch-window', defines: [] },
  { protocol: 'latch-window', generation: true, file: 'latch-window', defines: ['TAGGED'] },
  { protocol: 'two-window', generation: false, file: 'two-window', defines: [] },
  { protocol: 'two-window', generation: true, file: 'two-window', defines: ['TAGGED'] },
  { protocol: 'untagged-latch-window', generation: true, file: 'latch-window', defines: ['UNTAGGED'] },
  { protocol: 'literal-latch-window', generation: false, file: 'latch-window', defines: ['LITERAL'] },
  { protocol: 'literal-two-window', generation: false, file: 'two-window', defines: ['LITERAL'] },
];

function isLiteral({ protocol }: SpinModel): boolean {
  return protocol.startsWith('literal-');
}

function isTagged({ defines }: SpinModel): boolean {
  return defines.includes('TAGGED');
}

function isLatchWindow({ file }: SpinModel): boolean {
  return file === 'latch-window';
}

function hasWindow({ file }: SpinModel): boolean {
  return file !== 'seqlock' && file !== 'latch';
}

/** Whether readers of both rates can meet: only where a counter reading has two segments. */
function underUpdates(model: SpinModel): Verdict {
  if (isLiteral(model)) return 'unsafe';
  return model.file === 'latch' || isLatchWindow(model) ? 'lags' : 'safe';
}

/** On a page that stands still the follow-up's sketch never ends its loop: it has no value, hence no wrong one. */
function outsideTheWindow(model: SpinModel): Verdict {
  return hasWindow(model) && model.protocol !== 'literal-latch-window' ? 'safe' : 'unsafe';
}

/** A hazard in one variant, what it should do to a reader, and the readers for which there is such a variant. */
interface Row {
  hazard: SpinHazardName;
  variant: string;
  expected: (model: SpinModel) => Verdict;
  fits?: (model: SpinModel) => boolean;
}

const always =
  (verdict: Verdict): Row['expected'] =>
  () =>
    verdict;
const unlessLiteral =
  (verdict: Verdict): Row['expected'] =>
  (model) =>
    isLiteral(model) ? 'unsafe' : verdict;
const unlessTagged: Row['expected'] = (model) => (isTagged(model) ? 'safe' : 'unsafe');

const ROWS: readonly Row[] = [
  { hazard: 'update', variant: 'main', expected: underUpdates },
  { hazard: 'update', variant: 'touching', expected: unlessLiteral('safe'), fits: isLatchWindow },
  {
    hazard: 'update',
    variant: 'counter-before-section',
    expected: always('lags'),
    fits: ({ file }) => file === 'seqlock',
  },
  {
    hazard: 'update',
    variant: 'overlap',
    expected: unlessLiteral('lags'),
    fits: ({ file }) => file === 'two-window',
  },
  // As long as no window ends the seed's sketch is a latch.
  {
    hazard: 'update',
    variant: 'endless',
    expected: always('lags'),
    fits: ({ protocol }) => protocol === 'literal-latch-window',
  },
  { hazard: 'writer-stalled', variant: 'main', expected: underUpdates },
  { hazard: 'writer-killed', variant: 'main', expected: underUpdates },
  { hazard: 'writer-restarted', variant: 'main', expected: underUpdates },
  // A successor that keeps the copy whose window has the counter takes back the later copy, which readers may have used
  // since it looked.
  {
    hazard: 'writer-restarted',
    variant: 'keeps-by-counter',
    expected: unlessLiteral('lags'),
    fits: ({ file }) => file === 'two-window',
  },
  { hazard: 'writer-restarted', variant: 'naive', expected: always('unsafe') },
  { hazard: 'counter-behind', variant: 'main', expected: outsideTheWindow },
  { hazard: 'window-expired', variant: 'main', expected: outsideTheWindow },
  { hazard: 'counter-wrapped', variant: 'back-into-window', expected: always('unsafe') },
  { hazard: 'adjust-held', variant: 'main', expected: unlessLiteral('safe') },
  { hazard: 'adjust-unheld', variant: 'main', expected: always('unsafe') },
  { hazard: 'migration-different', variant: 'main', expected: unlessLiteral('safe') },
  // The other host's writer brings the count to the one first read.
  {
    hazard: 'migration-different',
    variant: 'behind',
    expected: (model) => (model.generation ? 'safe' : 'unsafe'),
  },
  {
    hazard: 'migration-equal',
    variant: 'main',
    expected: (model) => (model.generation ? 'safe' : 'unsafe'),
  },
  { hazard: 'migration-own-page', variant: 'main', expected: unlessTagged },
  { hazard: 'writer-killed-after-migration', variant: 'main', expected: unlessTagged },
  // Of a counter that was moved down the copy of before starts later: a successor that goes by that finds no line to go on
  // from, and takes back what the dead writer gave.
  {
    hazard: 'writer-killed-after-migration',
    variant: 'tags-ignored',
    expected: always('lags'),
    fits: (model) => model.file === 'two-window' && isTagged(model),
  },
  { hazard: 'generation-late', variant: 'main', expected: always('unsafe') },
  { hazard: 'generation-early', variant: 'main', expected: always('unsafe') },
  { hazard: 'generation-early', variant: 'no-writer-between', expected: unlessTagged },
  { hazard: 'count-aba', variant: 'main', expected: always('unsafe') },
];

/** Every search that the models allow, reader by reader. */
export const SPIN_CELLS: readonly SpinCell[] = SPIN_MODELS.flatMap((model) =>
  ROWS.filter(({ fits }) => fits?.(model) ?? true).map(
    ({ hazard, variant, expected }): SpinCell => ({ ...model, hazard, variant, expected: expected(model) }),
  ),
);

/** A cell as tests and tables call it. */
export function nameOf({ protocol, generation, hazard, variant }: SpinCell): string {
  return `${protocol}${generation ? '+generation' : ''} ${hazard}${variant === 'main' ? '' : ` (${variant})`}`;
}
