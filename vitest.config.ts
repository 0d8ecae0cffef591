import { configDefaults, defineConfig } from 'vitest/config';

/** Tests that reckon and measure nothing: what else the machine does makes them slower, and no different. */
const RECKONED = [
  'test/checks/explanations.test.ts',
  'test/checks/kept.test.ts',
  'test/cli/smear.test.ts',
  'test/hazards/document.test.ts',
  'test/hazards/explored/*.test.ts',
  'test/hazards/mutants*.test.ts',
  'test/leap/*.test.ts',
  'test/smear/*.test.ts',
  'test/spin/*.test.ts',
  'test/timekeeper/histories*.test.ts',
];

export default defineConfig({
  test: {
    testTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'reckoned',
          include: RECKONED,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'measured',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...RECKONED],
          // Checks pin threads and bracket reads on two CPUs at most: files that measure must not fight for them.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
