import type { RecordedPage } from '../host/page-recording.js';
import type { KernelPageSnapshot } from '../page/kernel-page.js';
import { explainUpdate, type UpdateExplanation } from '../page/kernel-update.js';
import { differingWords, nextPage } from './replica.js';

/** A recorded update, explained by the state before it. */
export interface ExplainedUpdate {
  readonly before: RecordedPage;
  readonly after: RecordedPage;
  readonly explanation: UpdateExplanation;
  /** The page after it as the replica writes it; null where an update does not follow from the page before. */
  readonly simulated: KernelPageSnapshot | null;
}

/** The counter cannot have been read for an update after the update was seen. */
function prematureReasons(explanation: UpdateExplanation, { snapshot, after }: RecordedPage): string[] {
  if (explanation.kind !== 'tick') return [];
  const read = snapshot.main.cycleLast + (explanation.restCycles ?? 0n);
  return read <= after ? [] : [`the update counts up to cycle ${read}, and was seen at ${after}`];
}

/** The page that the replica writes for an explanation, on the page of the kernel's before it. */
function simulate(
  before: KernelPageSnapshot,
  after: KernelPageSnapshot,
  explanation: UpdateExplanation,
  hz: number,
): KernelPageSnapshot | null {
  if (explanation.kind !== 'tick' && explanation.kind !== 'forward') return null;
  const coarse = (page: KernelPageSnapshot): bigint => page.basetimes['realtime-coarse'].nsecAsStored;
  const raw = (page: KernelPageSnapshot): bigint => {
    const { seconds, nsecAsStored } = page.basetimes['monotonic-raw'];
    return (seconds << 64n) | nsecAsStored;
  };
  const isCoarseKept =
    explanation.kind === 'tick' && explanation.intervals === 0n && coarse(before) === coarse(after);
  return nextPage(
    before,
    explanation,
    {
      coarseRenewed: !isCoarseKept,
      counted: explanation.kind === 'tick' || raw(before) !== raw(after),
    },
    hz,
  );
}

/**
 * Explains each update of a recording by the state before it, both ways: the equations that lead from one to the other
 * hold, and the replica, told what they found, writes every word as the kernel has it.
 *
 * @param hz the kernel's tick rate, CONFIG_HZ: 12..12287
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for a rate out of range
 */
export function explainRecording(states: readonly RecordedPage[], hz: number): ExplainedUpdate[] {
  return states.slice(1).map((after, index) => {
    const before = states[index] as RecordedPage;
    const found = explainUpdate(before.snapshot, after.snapshot, hz);
    const simulated = simulate(before.snapshot, after.snapshot, found, hz);
    const reasons = [
      ...prematureReasons(found, after),
      ...(simulated === null ? [] : differingWords(simulated, after.snapshot)),
    ];
    const explanation = reasons.length === 0 ? found : ({ kind: 'unexplained', reasons } as const);
    return { before, after, explanation, simulated };
  });
}
