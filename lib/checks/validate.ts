import { openMachine } from '../host/host.js';
import { prepareRun, type RunOptions, type RunReport } from './run.js';

/**
 * Validates the host that this process runs on: runs the checks that `options` select and resolves to their
 * results. The machine is not changed; the calling thread is pinned to one CPU after another meanwhile.
 *
 * Rejects with LatchclockError only: `ERR_BAD_ARGUMENT` for a wrong option, `ERR_UNSUPPORTED_PLATFORM` off x86-64
 * Linux, `ERR_ADDON_MISSING` where the addon is not built. What a check cannot do is a skip in its result.
 */
export async function validate(options: RunOptions = {}): Promise<RunReport> {
  return prepareRun(openMachine(), options).run();
}
