import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['*.lab.ts'],
    globalSetup: ['setup.ts'],
    pool: 'forks',
    // Each guest has one or two CPUs of its own: two at a time are what a machine of two CPUs carries.
    fileParallelism: true,
    maxWorkers: 2,
    reporters: ['verbose'],
  },
});
