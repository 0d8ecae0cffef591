export type { BudgetName } from './checks/budget.js';
export type {
  CheckGroup,
  CheckResult,
  CheckStatus,
  Evidence,
  EvidenceValue,
  Verdict,
  VerdictBase,
} from './checks/model.js';
export type { RunOptions, RunProgress, RunReport } from './checks/run.js';
export { validate } from './checks/validate.js';
export {
  isLatchclockError,
  LatchclockError,
  type LatchclockErrorCode,
  type LatchclockErrorDetails,
} from './errors.js';
export type { Clock, OpenClockOptions } from './host/clock.js';
export type { CounterFacts } from './host/counter-facts.js';
export type { HostSummary } from './host/host.js';
export { counter, kernelPage, openClock } from './host/machine.js';
export type { ClockPathName, CounterMethodName, ReadingSourceName } from './native/addon.js';
export type { KernelClockOffsets, KernelPageLayout } from './page/kernel-layout.js';
export { type KernelClockWords, type KernelPageSnapshot, kernelSegment } from './page/kernel-page.js';
export type { ClockName, PageClockName } from './page/posix-clocks.js';
export { evaluate, frequencyHz, isInWindow, type OutOfWindowRule, type Segment } from './page/segment.js';
