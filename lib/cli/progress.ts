/** How far a run is: what is under way, how many ended of how many, and how far that is, from 0 to 1. */
export interface ProgressState {
  id: string;
  done: number;
  total: number;
  fraction: number;
}

/** Shows how far a run is: one line on standard error, only on a terminal. */
export interface ProgressLine {
  show(progress: ProgressState): void;
  clear(): void;
}

const ERASE_LINE = '\r\u001b[K';
const LEAST_INTERVAL_MS = 50;

export function progressLine(stream: NodeJS.WriteStream = process.stderr): ProgressLine {
  if (stream.isTTY !== true) return { show: () => undefined, clear: () => undefined };
  let lastShown = Number.NEGATIVE_INFINITY;
  return {
    show({ id, done, total, fraction }) {
      const now = performance.now();
      if (now - lastShown < LEAST_INTERVAL_MS) return;
      lastShown = now;
      const line = `[${done + 1}/${total}] ${id} ${Math.round(100 * Math.min(1, fraction))}%`;
      stream.write(`${ERASE_LINE}${line.slice(0, (stream.columns ?? 80) - 1)}`);
    },
    clear: () => stream.write(ERASE_LINE),
  };
}
