import { describe, expect, test } from 'vitest';
import { runProgram } from '../support/run-cli.ts';
import { compile, temporaryFolder, VALIDATE } from './place.ts';

/** Libraries that are loaded before the libc, and answer in its place. */

const folder = temporaryFolder();

function failedUnder(library: string, only: string): { id: string; reason: string }[] {
  const environment = {
    ...process.env,
    LD_PRELOAD: compile(folder, library, '-shared', '-fPIC', '-Wno-nonnull-compare'),
  };
  const { code, out } = runProgram(process.execPath, [...VALIDATE, '--only', only], environment);
  expect(code, out).toBe(1);
  const { checks } = JSON.parse(out) as { checks: { id: string; status: string; reason: string }[] };
  return checks.filter(({ status }) => status === 'fail');
}

describe('a preloaded library', () => {
  test('that shifts gettimeofday and time only is found by clock.calls, and by no other', () => {
    const failed = failedUnder('preload-other-time', 'clock.paths,clock.calls,clock.fields');
    expect(failed.map(({ id }) => id)).toEqual(['clock.calls']);
    expect(failed[0]?.reason).toMatch(
      /^(gettimeofday|time) by libc in realtime\S* by \w+: outside by up to 3,600,/,
    );
  });

  test('that leaves a second in the nanoseconds is found by clock.fields, though every sum is right', () => {
    const failed = failedUnder('preload-not-normalised', 'clock.paths,clock.calls,clock.fields');
    expect(failed.map(({ id }) => id)).toEqual(['clock.fields']);
    expect(failed[0]?.reason).toMatch(
      /^clock_gettime\(realtime\) by libc: \d+ answers of \d+ samples not normalised/,
    );
  });
});
