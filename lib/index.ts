export type { BudgetName } from './checks/budget.js';
export type {
  CheckGroup,
  CheckResult,
  CheckStatus,
  Evidence,
  EvidenceValue,
  Verdict,
} from './checks/model.js';
export type { RunOptions, RunProgress, RunReport } from './checks/run.js';
export { validate } from './checks/validate.js';
export {
  isLatchclockError,
  LatchclockError,
  type LatchclockErrorCode,
  type LatchclockErrorDetails,
} from './errors.js';
export type { HostSummary } from './host/host.js';
export { evaluate, frequencyHz, isInWindow, type OutOfWindowRule, type Segment } from './page/segment.js';
