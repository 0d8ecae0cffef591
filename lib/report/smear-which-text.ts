import type { Candidate, Identification } from '../smear/identify.js';
import { formatFromLeap, formatUtc } from '../smear/instant.js';
import { fullName, POLICY_ALIASES, type SmearPolicy } from '../smear/policy.js';
import type { Scene } from '../smear/scene.js';
import type { Smear } from '../smear/smear.js';
import type { ClockAnswer, ClockGroup, Disagreement, WhichAnswer } from '../smear/which.js';
import { maxBigint, minBigint } from '../units.js';
import { worstPlace } from './smear-diff-text.js';
import { policyTable, sceneLines, shortTime } from './smear-head.js';
import type { WhichQuestion } from './smear-json.js';
import { columns, type TextStyle } from './text.js';

/** Of how many standard deviations a clock is off where all policies show the same, to be told. */
const REMARKABLE = 5;

function percent(probability: number): string {
  // Never a certainty that rounding made.
  if (probability > 0.9999) return '> 99.99 %';
  if (probability < 0.0001) return '< 0.01 %';
  return `${(100 * probability).toFixed(2)} %`;
}

function rounded(ns: number | null): string {
  return ns === null ? '' : shortTime(Number(ns.toPrecision(4)));
}

/** A policy's name, with the other names that it has. */
function withAliases(policy: SmearPolicy): string {
  const others = Object.entries(POLICY_ALIASES).flatMap(([alias, name]) =>
    name === policy.name ? [alias] : [],
  );
  return others.length === 0 ? fullName(policy) : `${policy.name} (${others.join(', ')}: the same)`;
}

function probabilityOf(candidates: readonly Candidate[]): string {
  return percent(candidates[0]?.probability ?? 0);
}

/** The verdict in a word and the reason for it. */
function verdictWords(found: Identification, count: number): { word: string; reason: string } {
  const { verdict, candidates, telling, negated } = found;
  const best = candidates[0]?.smear ?? null;
  if (verdict === 'found') {
    const name = best === null ? '' : withAliases(best.policy);
    return { word: verdict, reason: `the clock follows ${name}, ${probabilityOf(candidates)}` };
  }
  if (verdict === 'none') return { word: verdict, reason: 'the clock follows none of these policies' };
  if (telling === 0) {
    const what = count === 1 ? 'this observation' : `these ${count} observations`;
    return { word: verdict, reason: `nothing can be told from ${what}` };
  }
  if (negated === null) return { word: verdict, reason: 'these observations do not tell' };
  const fits = negated.smear === null ? 'some of these policies' : withAliases(negated.smear.policy);
  const reason = `they fit nothing with this sign, and ${fits} with the other one, ${percent(negated.probability)}`;
  return { word: verdict, reason };
}

function verdictLine(found: Identification, count: number, style: TextStyle): string {
  const { green, yellow, red, bold } = style.colors;
  const { word, reason } = verdictWords(found, count);
  const color = found.verdict === 'found' ? green : found.verdict === 'none' ? red : yellow;
  return columns(style, [], [[`${bold(color(word))}: ${reason}`]]);
}

/** Where the windows of these policies lie, all together. */
function spanOf({ leap, timeline }: Scene, smears: readonly Smear[]): string {
  const from = smears.map(({ startNs }) => startNs).reduce(minBigint);
  const to = smears.map(({ endNs }) => endNs).reduce(maxBigint);
  const places = [from, to].map((at) => `${formatFromLeap(leap, at)} (${formatUtc(timeline, at)})`);
  return `from ${places.join(' to ')}`;
}

/** What is to be said besides the verdict. */
function remarks(
  scene: Scene,
  { smears, sigmaNs }: WhichQuestion,
  found: Identification,
  count: number,
): string[] {
  const { telling, largestElsewhereNs, negated, next, verdict } = found;
  const lines: string[] = [];
  if (telling === 0) {
    lines.push(
      `${count === 1 ? 'It is' : 'All are'} outside of every policy's window, where all policies show the same. The windows around the leap second of ${scene.leap.date}, the nearest, are ${spanOf(scene, smears)}.`,
    );
  } else if (telling < count) {
    lines.push(
      `${count - telling} of ${count} observations are outside of every policy's window: nothing is told by them.`,
    );
  }
  if (largestElsewhereNs !== null && Math.abs(largestElsewhereNs) > REMARKABLE * sigmaNs) {
    lines.push(
      `Outside of the windows the clock is ${rounded(largestElsewhereNs)} off what every policy shows: it is off for another reason.`,
    );
  }
  if (negated !== null) {
    lines.push(
      '→ hold against their source whose sign the offsets have: ntpq counts the server less this host, chronyc this host less the server (--sign ntpq, --sign chronyc)',
    );
  } else if (verdict === 'undecided' && telling > 0 && next !== null) {
    lines.push(
      `→ look at ${formatFromLeap(scene.leap, next.taiNs)}, ${formatUtc(scene.timeline, next.taiNs)}: the two likeliest are ${shortTime(next.apartNs)} apart there`,
    );
  }
  return lines;
}

function wrapped(lines: readonly string[], style: TextStyle): string[] {
  return lines.map((line) => columns(style, [], [[line]]));
}

function signLine({ against }: WhichQuestion, style: TextStyle): string {
  return columns(
    style,
    [],
    [
      [
        `offsets: positive where the server is ahead of this host, as ntpq tells them (chronyc: the other way); this host is taken to follow ${fullName(against.policy)}`,
      ],
    ],
  );
}

function oneClock(
  scene: Scene,
  question: WhichQuestion,
  { found, observations }: ClockAnswer,
  style: TextStyle,
): string[] {
  const rows = found.candidates.map(({ smear, probability, rmsNs, largestNs }) => ({
    name: smear === null ? 'none' : fullName(smear.policy),
    cells: [percent(probability), rounded(rmsNs), rounded(largestNs)],
  }));
  const heads = ['policy', 'probability', 'typically off', 'at most'];
  const told = remarks(scene, question, found, observations.length);
  return [
    // Where nothing is told, the probabilities would look as if something were.
    ...(found.telling === 0 ? [] : [policyTable(style, [12, 14], heads, rows)]),
    [verdictLine(found, observations.length, style), ...wrapped(told, style)].join('\n'),
  ];
}

function nameOf(name: string): string {
  return name === '' ? '(no name)' : name;
}

/** Some of many names. */
const MOST_NAMES = 8;

function groupName({ smear, names }: ClockGroup): string {
  const some = names.slice(0, MOST_NAMES).map(nameOf).join(', ');
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
  return smear === null ? `${some}${more}` : `${some}${more} (${smear.policy.name})`;
}

function disagreementLine(scene: Scene, { a, b, difference }: Disagreement): string {
  if (difference === null) return `${groupName(b)} cannot follow what ${groupName(a)} follows`;
  const [place, utc] = worstPlace(scene, difference);
  const size = shortTime(Math.abs(Number(difference.worst.numerator) / Number(difference.worst.denominator)));
  return `${groupName(a)} disagrees with ${groupName(b)}: up to ${size} apart, ${place}, ${utc}`;
}

function manyClocks(
  scene: Scene,
  question: WhichQuestion,
  { clocks, disagreements }: WhichAnswer,
  style: TextStyle,
): string[] {
  const { bold, red, green } = style.colors;
  const blocks = clocks.map(({ name, found, observations }) => {
    const told = remarks(scene, question, found, observations.length).map((line) => [`  ${line}`]);
    const count = observations.length === 1 ? '1 observation' : `${observations.length} observations`;
    const head = columns(style, [], [[`${bold(nameOf(name))}, ${count}`]]);
    return [
      head,
      verdictLine(found, observations.length, style),
      ...told.map((row) => columns(style, [], [row])),
    ].join('\n');
  });
  const lines = disagreements.map((one) => columns(style, [], [[disagreementLine(scene, one)]]));
  const undecided = clocks.filter(({ found }) => found.verdict !== 'found').length;
  const agreement =
    undecided === 0 ? green('all follow one policy') : 'no server is known to disagree with another';
  return [...blocks, lines.length === 0 ? agreement : [bold(red('disagreement')), ...lines].join('\n')];
}

/** Which policy each of the clocks follows, as text for people. */
export function smearWhichText(
  scene: Scene,
  question: WhichQuestion,
  answer: WhichAnswer,
  style: TextStyle,
): string {
  const [only] = answer.clocks;
  const body =
    answer.clocks.length === 1 && only !== undefined
      ? oneClock(scene, question, only, style)
      : manyClocks(scene, question, answer, style);
  return `${[sceneLines(scene, style), signLine(question, style), ...body].join('\n\n')}\n`;
}
