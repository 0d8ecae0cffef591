import { createRequire } from 'node:module';

interface PackageJson {
  name: string;
  version: string;
}

const { name, version } = createRequire(import.meta.url)('../../package.json') as PackageJson;

/** This package, as every report names it. */
export const TOOL = { name, version } as const;
