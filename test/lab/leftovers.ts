import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

const OLD_MS = 24 * 3600 * 1000;

/** Removes what lies in a folder, is of no use any more, and is older than any run that may still be at work. */
export function removeLeftovers(folder: string, isLeftOver: (name: string) => boolean): void {
  for (const name of readdirSync(folder).filter(isLeftOver)) {
    const path = join(folder, name);
    if (Date.now() - statSync(path).mtimeMs > OLD_MS) rmSync(path, { recursive: true, force: true });
  }
}
