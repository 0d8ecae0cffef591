import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    // Checks pin threads and bracket reads on two CPUs at most: files that measure must not fight for them.
    fileParallelism: false,
  },
});
