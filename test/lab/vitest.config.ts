import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: resolve(import.meta.dirname, '../..'),
    include: ['test/lab/*.lab.ts'],
    globalSetup: [resolve(import.meta.dirname, 'setup.ts')],
    pool: 'forks',
    // Two guests at a time: nearly all take a CPU of this machine each.
    fileParallelism: true,
    maxWorkers: 2,
    reporters: ['verbose'],
  },
});
