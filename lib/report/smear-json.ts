import type { HostSummary } from '../host/host.js';
import { type Difference, differenceAt, type Pair } from '../smear/difference.js';
import type { Identification, Observation } from '../smear/identify.js';
import { formatUnixNs, formatUtc } from '../smear/instant.js';
import { aliasesOf } from '../smear/policy.js';
import { nearest, type Rational, reduced } from '../smear/rational.js';
import type { Scene } from '../smear/scene.js';
import {
  finalStepNs,
  largestRate,
  offsetAt,
  offsetNsAt,
  rateAt,
  type Smear,
  smearedNsAt,
} from '../smear/smear.js';
import type { ClockGroup, WhichAnswer } from '../smear/which.js';
import { jsonHead, toJson } from './json.js';
import { ppb } from './smear-head.js';
import type { Unsmeared } from './smear-unsmear-text.js';

/** What every answer about smears begins with; the host is null where this is no machine that can be told of. */
export interface SmearHead {
  readonly scene: Scene;
  readonly host: HostSummary | null;
}

function answer({ scene, host }: SmearHead, command: string, smears: readonly Smear[], body: object): string {
  const { table, leap, assumesNoLeapsFrom } = scene;
  return toJson({
    ...jsonHead('smear'),
    host,
    command,
    table: {
      source: table.source,
      bundled: table.isBundled,
      updated: table.table.updated,
      expires: table.table.expires,
      reason: table.reason,
      assumesNoLeapsFrom,
      notes: table.notes,
    },
    leap: {
      date: leap.date,
      sign: leap.sign,
      hypothetical: leap.hypothetical,
      taiOffsetBefore: leap.taiOffsetBefore,
      taiOffsetAfter: leap.taiOffsetAfter,
      tai: leap.taiNs,
    },
    aliases: aliasesOf(smears.map(({ policy }) => policy)),
    ...body,
  });
}

function instant({ timeline, leap }: Scene, taiNs: bigint): object {
  return { tai: taiNs, utc: formatUtc(timeline, taiNs), fromLeap: taiNs - leap.taiNs };
}

/** A fraction; null for what is known to a bound only. */
function exact(value: Rational, isExact: boolean): object | null {
  if (!isExact) return null;
  const { numerator, denominator } = reduced(value);
  return { numerator, denominator };
}

/** `smear plan` as JSON, schema `latchclock/smear/1`. */
export function smearPlanJson(head: SmearHead, smears: readonly Smear[]): string {
  const { scene } = head;
  const rows = smears.map((smear) => {
    const rate = largestRate(smear);
    return {
      policy: smear.policy.name,
      shape: smear.policy.shape,
      summary: smear.policy.summary,
      start: instant(scene, smear.startNs),
      end: instant(scene, smear.endNs),
      duration: smear.endNs - smear.startNs,
      largestRatePpb: rate === null ? null : ppb(rate),
      finalStep: nearest(finalStepNs(smear)),
      exactFinalStep: exact(finalStepNs(smear), smear.curve.shape !== 'cosine'),
      offsetAtLeap: offsetNsAt(smear, scene.leap.taiNs),
    };
  });
  return answer(head, 'plan', smears, { rows });
}

/** `smear at` as JSON, schema `latchclock/smear/1`. */
export function smearAtJson(head: SmearHead, taiNs: bigint, smears: readonly Smear[]): string {
  const rows = smears.map((smear) => ({
    policy: smear.policy.name,
    tai: taiNs,
    smeared: smearedNsAt(smear, taiNs),
    offset: offsetNsAt(smear, taiNs),
    exactOffset: exact(offsetAt(smear, taiNs), smear.curve.shape !== 'cosine'),
    ratePpb: ppb(rateAt(smear, taiNs)),
  }));
  return answer(head, 'at', smears, { instant: instant(head.scene, taiNs), rows });
}

function differenceJson(scene: Scene, { worst, atNs, isJustBefore, isExact, apart }: Difference): object {
  return {
    worst: nearest(worst),
    exactWorst: exact(worst, isExact),
    boundNs: isExact ? 0.5 : 0.75,
    at: instant(scene, atNs),
    justBefore: isJustBefore,
    apart: apart === null ? null : { from: instant(scene, apart.fromNs), to: instant(scene, apart.toNs) },
  };
}

const CURVE_STEPS = 256n;

/** `smear diff` as JSON, schema `latchclock/smear/1`, with the difference at evenly spaced instants. */
export function smearDiffJson(
  head: SmearHead,
  [a, b]: readonly [Smear, Smear],
  difference: Difference,
): string {
  const { apart } = difference;
  const at = ({ fromNs, toNs }: { fromNs: bigint; toNs: bigint }, step: bigint): bigint =>
    fromNs + ((toNs - fromNs) * step) / CURVE_STEPS;
  const curve =
    apart === null
      ? []
      : Array.from({ length: Number(CURVE_STEPS) + 1 }, (_, i) => {
          const tai = at(apart, BigInt(i));
          return { tai, difference: nearest(differenceAt(a, b, tai)) };
        });
  return answer(head, 'diff', [a, b], {
    a: a.policy.name,
    b: b.policy.name,
    ...differenceJson(head.scene, difference),
    curve,
  });
}

/** `smear matrix` as JSON, schema `latchclock/smear/1`. */
export function smearMatrixJson(head: SmearHead, smears: readonly Smear[], pairs: readonly Pair[]): string {
  const name = (index: number): string | undefined => smears[index]?.policy.name;
  return answer(head, 'matrix', smears, {
    policies: smears.map(({ policy }) => policy.name),
    cells: pairs.map(({ a, b, difference }) => ({
      a: name(a),
      b: name(b),
      ...differenceJson(head.scene, difference),
    })),
  });
}

/** `smear unsmear` as JSON, schema `latchclock/smear/1`. */
export function smearUnsmearJson(head: SmearHead, smearedNs: bigint, all: readonly Unsmeared[]): string {
  const smears = all.map(({ smear }) => smear);
  return answer(head, 'unsmear', smears, {
    smeared: smearedNs,
    shows: formatUnixNs(smearedNs),
    rows: all.map(({ smear, instantsNs }) => ({
      policy: smear.policy.name,
      instants: instantsNs.map((taiNs) => instant(head.scene, taiNs)),
    })),
  });
}

/** What `smear which` was asked. */
export interface WhichQuestion {
  readonly smears: readonly Smear[];
  readonly against: Smear;
  readonly sigmaNs: number;
}

function identificationJson(
  scene: Scene,
  found: Identification,
  observations: readonly Observation[],
): object {
  const { candidates, verdict, telling, negated, next } = found;
  return {
    observations: observations.map(({ taiNs, offsetNs }) => ({ tai: taiNs, offset: offsetNs })),
    verdict,
    telling,
    negated:
      negated === null
        ? null
        : { policy: negated.smear?.policy.name ?? null, probability: negated.probability },
    candidates: candidates.map(({ smear, probability, rmsNs, largestNs }) => ({
      policy: smear?.policy.name ?? null,
      probability,
      rmsNs,
      largestNs,
    })),
    next: next === null || telling === 0 ? null : { at: instant(scene, next.taiNs), apartNs: next.apartNs },
  };
}

function groupJson({ smear, names }: ClockGroup): object {
  return { policy: smear?.policy.name ?? null, servers: names.map((name) => name || null) };
}

/** `smear which` as JSON, schema `latchclock/smear/1`. */
export function smearWhichJson(
  head: SmearHead,
  { smears, against, sigmaNs }: WhichQuestion,
  { clocks, together, disagreements }: WhichAnswer,
): string {
  const { scene } = head;
  return answer(head, 'which', [against, ...smears], {
    against: against.policy.name,
    sigmaNs,
    positive: 'server-ahead',
    ...identificationJson(
      scene,
      together,
      clocks.flatMap(({ observations }) => observations),
    ),
    servers: clocks.map(({ name, observations, found }) => ({
      name: name || null,
      ...identificationJson(scene, found, observations),
    })),
    disagreements: disagreements.map(({ a, b, difference }) => ({
      a: groupJson(a),
      b: groupJson(b),
      difference: difference === null ? null : differenceJson(scene, difference),
    })),
  });
}
