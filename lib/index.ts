export type { BudgetName } from './checks/budget.js';
export type {
  CheckGroup,
  CheckKind,
  CheckResult,
  CheckStatus,
  Evidence,
  EvidenceValue,
  Verdict,
  VerdictBase,
} from './checks/model.js';
export type { CheckCounts, RunOptions, RunProgress, RunReport, RunSummary } from './checks/run.js';
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
export { counter, kernelPage } from './host/machine.js';
export type { PageClockHandle } from './host/page-clock.js';
export type { PageSet, PageSetHandle, PageSetOptions } from './host/page-clock-set.js';
export {
  type ClockPathName,
  type CounterMethodName,
  type OutOfWindowPolicyName,
  PAGE_SET_WORDS,
  type ReadingSourceName,
} from './native/addon.js';
export { type ClockPageHeader, OWN_CLOCKS, type OwnClockName } from './page/clock-page.js';
export type { KernelClockOffsets, KernelPageLayout } from './page/kernel-layout.js';
export { type KernelClockWords, type KernelPageSnapshot, kernelSegment } from './page/kernel-page.js';
export type { ClockName, PageClockName } from './page/posix-clocks.js';
export { evaluate, frequencyHz, isInWindow, type OutOfWindowRule, type Segment } from './page/segment.js';
export type { Coverage } from './smear/coverage.js';
export type { Curve, Shape } from './smear/curve.js';
export { POLICY_FORMS, parsePolicy } from './smear/custom-policy.js';
export { assumingNoLeaps, type Leap, type LeapTimeline, withLeap } from './smear/leap.js';
export { POLICIES, POLICY_ALIASES, type SmearPolicy, type Window } from './smear/policy.js';
export type { Rational } from './smear/rational.js';
export { type SegmentOptions, segmentsOf, type TaiCounter } from './smear/segments.js';
export { offsetAt, offsetNsAt, type Smear, smearedAt, smearedNsAt, smearOf, unsmear } from './smear/smear.js';
export {
  ClockPage,
  type ClockPageOptions,
  type OwnClockOptions,
} from './timekeeper/clock-page.js';
export type { KeeperEvent } from './timekeeper/events.js';
export { leapTimeline } from './timekeeper/leap-timeline.js';
export type { Line } from './timekeeper/line.js';
export { type OpenPageClockOptions, openClock } from './timekeeper/open-clock.js';
export type { SourceName } from './timekeeper/open-source.js';
export type { RunStatus } from './timekeeper/run.js';
export type { ChangeInstant, ChangeKind, ScheduledChange } from './timekeeper/schedule.js';
export type { Slope, Standing } from './timekeeper/standing.js';
export type { SourceOptions } from './timekeeper/thread-messages.js';
export { TimeNamespace, type TimeNamespaceOptions } from './timekeeper/time-namespace.js';
export {
  type PageView,
  type SmearOptions,
  Timekeeper,
  type TimekeeperEvents,
  type TimekeeperOptions,
  type TimekeeperStatus,
} from './timekeeper/timekeeper.js';
export { withPlacedLeap } from './timekeeper/utc-scale.js';
export type { NamespaceOffsets, RealtimePreference } from './timekeeper/view.js';
