/** Exit codes of every command. */
export const ExitCode = {
  held: 0,
  /** A check of the host failed, or a comparison was off. */
  failed: 1,
  /** Wrong usage or input. */
  usage: 2,
  /** This machine lacks what the command needs. */
  cannotRun: 3,
  /** All checks of the host held, and a self-test of latchclock failed. */
  selfTestFailed: 4,
  /** Interrupted: what was measured has been reported. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
