import type { OwnClockName } from '../page/clock-page.js';
import { TimeNamespace } from '../timekeeper/time-namespace.js';
import { NS_PER_SEC } from '../units.js';
import { plural } from './format.js';
import { readingEvidence } from './kept-judge.js';
import {
  type Kept,
  type Reading,
  readOnce,
  type StartKept,
  sourceStep,
  startKept,
  withKept,
} from './kept-page.js';
import { BUSY } from './kept-verdict.js';
import type { Check, CheckContext, Evidence, Verdict } from './model.js';

const REPORT = 'A time namespace shows other clocks than its offsets say: please report the evidence.';
const LEAST_SAMPLES = 20;
const MOST_EXAMPLES = 4;
/** Readings of a page before others get their turn. */
const TURN = 64;

/** A namespace, and one within it. Odd numbers of ns, so that no two of them or their sums are alike. */
const OUTER = TimeNamespace.initial.create({ monotonicNs: 86_400n * NS_PER_SEC + 1n, boottimeNs: 7n });
const INNER = OUTER.create({ monotonicNs: -3_600n * NS_PER_SEC, boottimeNs: 5n * NS_PER_SEC + 3n });

/** Clocks of the world beside tai: no offsets anywhere, and without a smear whole seconds from it. */
const WORLD: readonly OwnClockName[] = ['sane-realtime', 'smeared-realtime', 'realtime'];

/** What is wrong with a namespace's page beside that of the initial one, read before and after it; null: nothing. */
function faultOf(before: Reading, inside: Reading, after: Reading, namespace: TimeNamespace): string | null {
  const offsets: readonly (readonly [OwnClockName, bigint])[] = [
    ['monotonic', namespace.monotonicNs],
    ['boottime', namespace.boottimeNs],
  ];
  for (const [clock, offset] of offsets) {
    // The two tick at the same cycle as tai does: their difference from it is the same at every reading.
    const apart = inside.ns[clock] - inside.ns.tai - (before.ns[clock] - before.ns.tai);
    if (apart !== offset) return `${clock} is off by ${apart} ns, and not by ${offset}`;
  }
  const moved = namespace.monotonicNs;
  const isRawOff =
    inside.ns['monotonic-raw'] < before.ns['monotonic-raw'] + moved ||
    inside.ns['monotonic-raw'] > after.ns['monotonic-raw'] + moved;
  if (isRawOff) return 'monotonic-raw does not move with monotonic';
  const isTaiOff = inside.ns.tai < before.ns.tai || inside.ns.tai > after.ns.tai;
  const isOff = (clock: OwnClockName): boolean =>
    inside.ns[clock] - inside.ns.tai !== before.ns[clock] - before.ns.tai;
  const other = isTaiOff ? 'tai' : WORLD.find(isOff);
  return other === undefined ? null : `${other} is not what it is outside`;
}

async function judgeNamespaces(context: CheckContext, kept: Kept): Promise<Verdict> {
  const namespaces = [
    ['outer', OUTER],
    ['nested', INNER],
  ] as const;
  let samples = 0;
  let wrong = 0;
  let refused = 0;
  let first: string | null = null;
  const examples: Evidence[] = [];
  const end = kept.nowMs() + context.budget.keptMs;
  for (let turn = 0; kept.nowMs() < end || (samples < LEAST_SAMPLES && turn < LEAST_SAMPLES * TURN); turn++) {
    for (const [at, [name, namespace]] of namespaces.entries()) {
      const before = readOnce(kept, 0);
      const inside = readOnce(kept, at + 1);
      const after = readOnce(kept, 0);
      if (before === null || inside === null || after === null) {
        refused++;
        continue;
      }
      samples++;
      const fault = faultOf(before, inside, after, namespace);
      if (fault === null) continue;
      wrong++;
      first ??= `${name}: ${fault}`;
      if (examples.length < MOST_EXAMPLES) {
        examples.push({
          namespace: name,
          fault,
          before: readingEvidence(before),
          inside: readingEvidence(inside),
        });
      }
    }
    kept.check();
    if (turn % TURN === 0) await context.breathe(1);
  }
  const evidence: Evidence = {
    source: kept.source,
    samples,
    refused,
    wrong,
    offsets: namespaces.map(([name, { monotonicNs, boottimeNs }]) => ({ name, monotonicNs, boottimeNs })),
    examples,
  };
  const bound = `exact: ${plural(samples, 'sample')} beside tai; tai and monotonic-raw between two readings outside`;
  if (first !== null) {
    const step = sourceStep(kept);
    return step === undefined
      ? { status: 'fail', reason: first, bound, evidence, advice: REPORT }
      : {
          status: 'skip',
          reason: `the source's own clocks stepped (${step.kind})`,
          bound,
          evidence,
          advice: BUSY,
        };
  }
  if (samples < LEAST_SAMPLES) {
    const reason = `only ${plural(samples, 'sample')}`;
    return { status: 'skip', reason, bound: 'nothing was measured', evidence, advice: BUSY };
  }
  return {
    status: 'pass',
    reason:
      'monotonic and boottime are off by the offsets, nested ones by their sums; the clocks of the world by none',
    bound,
    evidence,
  };
}

export function namespaceChecksWith(start: StartKept): readonly Check[] {
  return [
    {
      id: 'namespace.offsets',
      claim:
        "A page of a time namespace shows monotonic and boottime by its offsets, and the world's time as it is",
      run: (context) =>
        withKept(start, context, [{ views: [{ namespace: OUTER }, { namespace: INNER }] }], ([kept]) =>
          judgeNamespaces(context, kept as Kept),
        ),
    },
  ];
}

export const namespaceChecks = namespaceChecksWith(startKept);
