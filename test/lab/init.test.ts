import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runProgram } from '../support/run-cli.ts';
import { compileInit } from './image.ts';

test("the guests' first process does nothing where it is not the first", ({ skip }) => {
  const folder = mkdtempSync(join(tmpdir(), 'latchclock-init-'));
  try {
    const program = join(folder, 'init');
    try {
      compileInit(program);
    } catch (error) {
      const { message } = error as Error;
      const isMissing =
        message.includes('cannot find -lc') && process.env['LATCHCLOCK_REQUIRE_TOOLS'] !== '1';
      if (isMissing) skip('no static C library');
      throw error;
    }
    const { code, err } = runProgram(program, []);
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('first process of a guest') });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
