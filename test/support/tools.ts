import { spawnSync } from 'node:child_process';
import { test } from 'vitest';

/**
 * Why a program cannot be started here with these arguments, or null if it can. With `LATCHCLOCK_REQUIRE_TOOLS=1`
 * a missing program is an error instead: then every tool is expected to be installed.
 */
export function cannotRun(program: string, arguments_: readonly string[]): string | null {
  const { status, error, stderr } = spawnSync(program, arguments_, { encoding: 'utf8', timeout: 10_000 });
  if (error !== undefined) {
    if (process.env['LATCHCLOCK_REQUIRE_TOOLS'] === '1')
      throw new Error(`${program} is required, and missing`);
    return `${program} is missing`;
  }
  return status === 0 ? null : `${program}: ${stderr.trim().split('\n')[0] ?? `exit ${status}`}`;
}

/** A test that runs unless there is a reason against it; the reason is then part of its name. */
export function testUnless(
  reason: string | null,
  name: string,
  body: () => void | Promise<void>,
  timeoutMs?: number,
): void {
  if (reason === null) test(name, body, timeoutMs);
  else test.skip(`${name} (skipped: ${reason})`, body);
}
