import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

const NEEDS = 'it needs python3, make and g++';

/** What builds the addon of an installed package, by the lock file of the project that it is installed in. */
const BY_LOCK_FILE: readonly (readonly [string, string])[] = [
  ['pnpm-lock.yaml', "pnpm blocks build scripts: run 'pnpm approve-builds' and choose latchclock"],
  [
    'yarn.lock',
    `Yarn blocks build scripts: put "dependenciesMeta": {"latchclock": {"built": true}} into package.json and run 'yarn install'`,
  ],
  ['bun.lock', "Bun blocks build scripts: run 'bun pm trust latchclock'"],
  ['bun.lockb', "Bun blocks build scripts: run 'bun pm trust latchclock'"],
];

const BY_NPM =
  "npm 12 blocks build scripts: run 'npm install-scripts approve latchclock', then 'npm rebuild latchclock' (npm 11 and before: the latter alone)";

/**
 * What to do where the addon of the package in the folder `root` is not built: in words of the package manager that has
 * installed it, or of a checkout.
 */
export function buildRemedy(root: string, exists: (path: string) => boolean = existsSync): string {
  const at = root.indexOf('/node_modules/');
  if (at < 0) return `run 'npm run install' there (${NEEDS})`;
  // pnpm and Yarn keep packages in folders of node_modules of their own.
  let project = root.slice(0, at);
  for (;;) {
    const known = BY_LOCK_FILE.find(([file]) => exists(join(project, file)));
    if (known !== undefined) return `${known[1]} (${NEEDS})`;
    const above = dirname(project);
    if (above === project || exists(join(project, 'package-lock.json'))) return `${BY_NPM} (${NEEDS})`;
    project = above;
  }
}
