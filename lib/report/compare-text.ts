import type { ClockDrift, DriftResult } from '../compare/drift.js';
import type { FollowResult } from '../compare/follow.js';
import { LEAST_FOR_INTERVALS, type LineFit, type NoIntervals } from '../compare/line-fit.js';
import type { OwnPageResult } from '../compare/own-page.js';
import type { ReferenceResult } from '../compare/reference.js';
import type { CompareFinding, CompareReport } from '../compare/run.js';
import { type CompareCurve, curveOf } from './compare-curve.js';
import { hostLines } from './host-text.js';
import { curve } from './plot-text.js';
import { columns, type TextStyle } from './text.js';

function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** Three digits, and no more zeros than it takes. */
function short(value: number): string {
  const size = Math.abs(value);
  if (value === 0) return '0';
  if (size >= 1e6 || size < 1e-4) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

function table(
  style: TextStyle,
  widths: readonly number[],
  heads: readonly string[],
  rows: readonly string[][],
): string {
  return columns(style, widths, [heads.map((head) => style.colors.dim(head)), ...rows]);
}

function multText(mults: FollowResult['mults']): string {
  if (mults === null) return 'none was seen';
  return mults[0] === mults[1] ? `${mults[0]} throughout` : `from ${mults[0]} to ${mults[1]}`;
}

function updateLines({ tally, mults, predictedMult }: FollowResult, style: TextStyle): string {
  const { explained, unexplained, unobserved, asPredicted, multChanges, named } = tally;
  const red = (text: string): string => style.colors.bold(style.colors.red(text));
  const steps = Object.entries(named).map(([name, times]) => `${name} ${count(times)}`);
  const rows = [
    [
      ' updates',
      `${count(explained)} explained, ${unexplained === 0 ? '0' : red(count(unexplained))} unexplained, ` +
        `${count(unobserved)} unobserved`,
    ],
    [
      ' of these',
      `${count(asPredicted)} as the page before predicts, ${count(multChanges)} with a change of mult` +
        (steps.length === 0 ? '' : `; ${steps.join(', ')}`),
    ],
    [' mult', multText(mults)],
  ];
  if (predictedMult !== null) {
    const { mult, as, other } = predictedMult;
    rows.push([
      '',
      `the frequency setting makes it ${mult} or ${mult + 1n}: ${count(as)} states as it says` +
        (other === 0 ? '' : `, ${count(other)} not (a slew, or an earlier setting)`),
    ]);
  }
  if (multChanges > 0) {
    rows.push([
      '',
      'across a change of mult by 1 an error below one cycle interval cannot be told from another reading',
    ]);
  }
  for (const { count: at, reasons } of tally.failures)
    rows.push([` ${red(`at ${at}`)}`, reasons.slice(0, 3).join('; ')]);
  return columns(style, [12], rows);
}

function followedLines({ clocks }: FollowResult, style: TextStyle): string {
  const hasVdso = clocks.some(({ vdso }) => vdso !== null);
  const rows = clocks.map(({ id, samples, maxAbsNs, maxMovedNs, vdso }) => [
    ` ${id}`,
    count(samples),
    String(maxAbsNs),
    String(maxMovedNs),
    vdso === null
      ? ''
      : `${count(vdso.samples)}, ${vdso.outside} outside${vdso.outside > 0 ? ` by up to ${vdso.maxOutsideNs} ns` : ''}`,
  ]);
  const heads = [' clock', 'samples', 'farthest, ns', 'moved, ns', hasVdso ? 'vDSO values' : ''];
  const note =
    ' farthest: simulated less kernel time at one counter reading, bound 0; moved:\n' +
    ' kernel time less what the page before gave (a coarse clock stands meanwhile).';
  return `${table(style, [17, 8, 12, 13], heads, rows)}\n${style.colors.dim(note)}`;
}

/** A figure with half of its interval, if it has one. */
function withHalfWidth(value: number, halfWidth: number | null): string {
  return halfWidth === null ? short(value) : `${short(value)} ± ${short(halfWidth)}`;
}

function fitCells(fit: LineFit): string[] {
  const { frequencyPpb, frequencyHalfWidthPpb, phaseNs, phaseHalfWidthNs, worstResidualNs } = fit;
  return [
    withHalfWidth(frequencyPpb / 1e3, frequencyHalfWidthPpb === null ? null : frequencyHalfWidthPpb / 1e3),
    withHalfWidth(phaseNs, phaseHalfWidthNs),
    short(worstResidualNs),
  ];
}

/** Why a line has no intervals, for people. */
const NO_INTERVALS: Readonly<Record<NoIntervals, string>> = {
  few: `fewer than ${LEAST_FOR_INTERVALS} samples: how alike neighbours are cannot be told`,
  correlated: 'what lies off the line is no noise of one kind (a curve, a period, or several kinds)',
  'random-walk': 'what lies off the line may be a random walk, which does not average out',
};

function allanLines({ allan }: ClockDrift, style: TextStyle): string {
  const rows = allan.map(({ tauSeconds, deviation, terms, interval }) => [
    ` ${short(tauSeconds)}`,
    deviation.toExponential(2),
    interval === null ? '-' : `${interval.low.toExponential(2)} to ${interval.high.toExponential(2)}`,
    interval === null ? '-' : `${interval.noise}, ${short(Math.round(interval.degrees))}`,
    count(terms),
  ]);
  const heads = [' tau, s', 'deviation', '95 %', 'noise, degrees', 'terms'];
  // A deviation of 0 needs no interval.
  const isUntold = allan.some(({ deviation, interval }) => deviation > 0 && interval === null);
  const note =
    ' -: no interval, since the kind of noise cannot be told there: too few samples,\n' +
    ' or none of white PM, flicker PM, white FM, flicker FM and random walk FM.';
  return [
    style.colors.bold("Allan deviation of the kernel's monotonic against the counter"),
    table(style, [10, 9, 20, 20], heads, rows),
    ...(isUntold ? [style.colors.dim(note)] : []),
  ].join('\n');
}

function driftLines(drift: DriftResult | null, style: TextStyle): string {
  if (drift === null) return 'interrupted before there was a curve';
  const rows = drift.clocks.map(({ id, maxAbsNs, fit }) => [` ${id}`, short(maxAbsNs), ...fitCells(fit)]);
  const heads = [' clock', 'farthest, ns', 'frequency, ppm', 'phase, ns', 'off it, ns'];
  const monotonic = drift.clocks.find(({ id }) => id === 'monotonic') as ClockDrift;
  const head =
    `frozen for ${drift.seconds.toFixed(1)} s at ${drift.frozenPpm.toFixed(4)} ppm against the counter’s own rate; ` +
    '± is 95 %, for residuals as they are correlated';
  const reasons = Object.keys(NO_INTERVALS).flatMap((reason) => {
    const ids = drift.clocks.filter(({ fit }) => fit.noIntervals === reason).map(({ id }) => id);
    const which = ids.length === drift.clocks.length ? 'all' : ids.join(', ');
    return ids.length === 0 ? [] : [[`no ± of ${which}: ${NO_INTERVALS[reason as NoIntervals]}`]];
  });
  return [
    columns(style, [], [[head]]),
    table(style, [14, 12, 17, 15], heads, rows),
    ...(reasons.length === 0 ? [] : [columns(style, [], reasons)]),
    '',
    allanLines(monotonic, style),
  ].join('\n');
}

function ownLines(
  { clocks, method, sets, boundsNs, timekeeper, left }: OwnPageResult,
  style: TextStyle,
): string {
  const rows = clocks.map(({ id, samples, maxAbsNs, beyond }) => [
    ` ${id}`,
    count(samples),
    String(maxAbsNs),
    beyond === 0 ? '0' : style.colors.bold(style.colors.red(count(beyond))),
  ]);
  const how =
    method === 'exact'
      ? 'at one and the same counter reading'
      : 'between two readings of the kernel’s clock: the page cannot be read';
  const bounds = boundsNs === null ? '' : `, bounds ${boundsNs[0]} to ${boundsNs[1]} ns`;
  return [
    columns(
      style,
      [],
      [
        [
          `our page, kept from ${timekeeper.source}, ${how}: ${count(sets.compared)} sets compared, ` +
            `${count(sets.acrossUpdate)} across an update, ${count(sets.refused)} refused${bounds}`,
        ],
        [
          `the timekeeper: ${count(timekeeper.updates)} updates, ${count(timekeeper.repeated)} repeated, ` +
            `${count(timekeeper.late)} late`,
        ],
        ...left.map(({ clock, reason }) => [`${clock} is left out: ${reason}`]),
      ],
    ),
    table(style, [16, 10, 14], [' clock', 'samples', 'farthest, ns', 'beyond the bound'], rows),
  ].join('\n');
}

function referenceLines(
  { name, about, points, refused, refusals, fit }: ReferenceResult,
  style: TextStyle,
): string {
  const [first] = points;
  const last = points.at(-1);
  const widest = points.reduce((most, { halfWidthNs }) => (halfWidthNs > most ? halfWidthNs : most), 0n);
  const rows = [
    [' clock', `${name}; ${about}`],
    [' readings', `${count(points.length)}, ${count(refused)} without a value, each within ${widest} ns`],
    ...refusals.map(({ reason, count: times }) => [' no value', `${count(times)} times: ${reason}`]),
    [' offset', `from realtime ${first?.offsetNs ?? '-'} ns at first, ${last?.offsetNs ?? '-'} ns at last`],
  ];
  if (fit !== null) {
    const [frequency, , off] = fitCells(fit);
    const interval =
      fit.noIntervals === null ? '(95 %)' : `without an interval (${NO_INTERVALS[fit.noIntervals]})`;
    rows.push([' frequency', `${frequency} ppm ${interval}, farthest off the line ${off} ns`]);
  }
  return columns(style, [10], rows);
}

const PLOT_ROWS = 8;
const AXIS_WIDTH = 11;

function plotLines({ title, points }: CompareCurve, style: TextStyle): string {
  if (points.length < 2) return '';
  const values = points.map(({ ns }) => ns);
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  const last = points.at(-1)?.seconds ?? 0;
  if (low === high) {
    return `${style.colors.bold(title)}\n ${short(low)} at each of ${count(points.length)} points in ${last.toFixed(1)} s`;
  }
  const width = style.width - AXIS_WIDTH - 2;
  const lines = curve(values, { width, height: PLOT_ROWS, low, high });
  const axis = (row: number): string => (row === 0 ? short(high) : row === PLOT_ROWS - 1 ? short(low) : '');
  return [
    style.colors.bold(title),
    ...lines.map((line, row) => `${axis(row).padStart(AXIS_WIDTH)} ${line}`.trimEnd()),
    `${' '.repeat(AXIS_WIDTH + 1)}0${`${last.toFixed(1)} s`.padStart(width - 1)}`,
  ].join('\n');
}

function findingLines(finding: CompareFinding, style: TextStyle): string[] {
  switch (finding.mode) {
    case 'follow':
      return [updateLines(finding.follow, style), followedLines(finding.follow, style)];
    case 'free':
      return [updateLines(finding.follow, style), driftLines(finding.drift, style)];
    case 'page':
      return [ownLines(finding.own, style)];
    case 'against':
      return [referenceLines(finding.reference, style)];
  }
}

function verdictLine({ holds, interrupted, finding, durationMs }: CompareReport, style: TextStyle): string {
  const { colors } = style;
  const words = {
    follow: [
      'every update is explained, and simulated time is kernel time',
      'the kernel and its replica differ',
    ],
    free: ['every update is explained', 'the kernel and its replica differ'],
    page: ['every value lies within its bound', 'values lie beyond their bounds, or none was compared'],
    against: ['compared', 'the clock had no value'],
  }[finding.mode];
  const verdict = holds ? colors.bold(colors.green('held')) : colors.bold(colors.red('off'));
  const word = interrupted ? `${colors.bold('interrupted')}, until then ${verdict}` : verdict;
  return `${word}: ${words[holds ? 0 : 1]}, in ${(durationMs / 1000).toFixed(1)} s`;
}

/** A comparison as text for people. */
export function compareText(report: CompareReport, style: TextStyle): string {
  const { finding, replayed, kernel, recording } = report;
  const ticks = recording === null ? '' : `, ${recording.hz} Hz`;
  const of = replayed
    ? `a recording of Linux ${kernel}${ticks}, judged on`
    : `compare ${finding.mode}${ticks}`;
  const head = replayed
    ? [of, hostLines(report.host, style)].join('\n')
    : [hostLines(report.host, style), of].join('\n');
  return `${[
    head,
    ...findingLines(finding, style),
    plotLines(curveOf(report), style),
    verdictLine(report, style),
  ]
    .filter((block) => block !== '')
    .join('\n\n')}\n`;
}
