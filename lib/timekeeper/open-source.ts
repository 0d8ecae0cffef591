import { isLatchclockError, LatchclockError } from '../errors.js';
import { type Host, orNull } from '../host/host.js';
import { didYouMean } from '../nearest.js';
import { type ClockGettimeSourceOptions, clockGettimeSource } from './clock-gettime-source.js';
import { type CounterSourceOptions, counterSource } from './counter-source.js';
import { kernelPageSource } from './kernel-page-source.js';
import type { TimeSource } from './source.js';

export const SOURCE_NAMES = ['auto', 'kernel-page', 'clock-gettime', 'counter'] as const;
/** `auto`: the kernel's page where it is proved and counts by the counter, else `clock_gettime`. */
export type SourceName = (typeof SOURCE_NAMES)[number];

/** For whichever source they mean something to. */
export type OpenSourceOptions = ClockGettimeSourceOptions & CounterSourceOptions;

/** A source of this machine. */
export interface OpenedSource extends TimeSource {
  /** What is to be known before its time is trusted: a counter that is no clock, a better source that cannot be had. */
  readonly warnings: readonly string[];
}

function openKernels(host: Host, options: OpenSourceOptions): { source: TimeSource; warnings: string[] } {
  let refusal: LatchclockError;
  try {
    return { source: kernelPageSource(host, options), warnings: [] };
  } catch (error) {
    if (!isLatchclockError(error) || error.code === 'ERR_BAD_ARGUMENT') throw error;
    refusal = error;
  }
  try {
    return {
      source: clockGettimeSource(host, options),
      warnings: [`not the kernel's page: ${refusal.message}`],
    };
  } catch (error) {
    if (!isLatchclockError(error)) throw error;
    throw new LatchclockError('ERR_SOURCE', 'there is no source of time', {
      where: `kernel-page: ${refusal.what}; clock-gettime: ${error.what}`,
      todo: refusal.todo ?? "'latchclock validate' tells what is wrong",
      cause: [refusal, error],
    });
  }
}

function openNamed(host: Host, name: SourceName, options: OpenSourceOptions): ReturnType<typeof openKernels> {
  switch (name) {
    case 'auto':
      return openKernels(host, options);
    case 'kernel-page':
      return { source: kernelPageSource(host, options), warnings: [] };
    case 'clock-gettime':
      return { source: clockGettimeSource(host, options), warnings: [] };
    case 'counter': {
      const { source: start, warnings } = openKernels(host, options);
      return { source: counterSource(host, start, options), warnings };
    }
    default:
      throw new LatchclockError('ERR_BAD_ARGUMENT', `there is no source '${String(name)}'`, {
        where: 'openSource',
        todo: `${didYouMean(String(name), SOURCE_NAMES)}choose from ${SOURCE_NAMES.join(', ')}`,
      });
  }
}

function counterWarnings(host: Host): string[] {
  const facts = orNull(() => host.counter());
  if (facts === null) return ['whether the counter is invariant is not known: CPUID traps'];
  return facts.invariant
    ? []
    : ['the counter is not invariant: it may change its rate, or stop, in power states'];
}

/**
 * Opens a source of this machine's time.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for an unknown name, or options out of range, `ERR_COUNTER_DISABLED` where
 *   this thread may not read the counter, `ERR_SOURCE` where no source can be had (auto, counter: what was tried), and
 *   what the one that was asked for throws
 */
export function openSource(
  host: Host,
  name: SourceName = 'auto',
  options: OpenSourceOptions = {},
): OpenedSource {
  if (host.addon.counterState() === 'disabled') {
    throw new LatchclockError('ERR_COUNTER_DISABLED', 'this thread may not read the counter', {
      where: 'openSource',
      todo: 'allow it (prctl PR_SET_TSC): every source counts by it',
    });
  }
  const { source, warnings } = openNamed(host, name, options);
  return {
    name: source.name,
    hasGeneration: source.hasGeneration,
    isFree: source.isFree,
    hz: source.hz,
    sample: () => source.sample(),
    counter: () => source.counter(),
    warnings: [...counterWarnings(host), ...warnings],
  };
}
