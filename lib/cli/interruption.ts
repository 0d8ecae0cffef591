/** What a command throws that was interrupted before it had anything to report. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';

  constructor() {
    super('interrupted before there was a result');
  }
}

/** Aborted by the first SIGINT, SIGTERM or SIGHUP; a second one ends the process as usual. */
export function abortOnSignals(): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of signals) process.once(name, abort);
  return {
    signal: controller.signal,
    release: () => {
      for (const name of signals) process.removeListener(name, abort);
    },
  };
}
