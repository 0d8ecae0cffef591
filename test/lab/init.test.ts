import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT, runProgram } from '../support/run-cli.ts';

test("the guests' first process does nothing where it is not the first", () => {
  const folder = mkdtempSync(join(tmpdir(), 'latchclock-init-'));
  try {
    const program = join(folder, 'init');
    const source = join(ROOT, 'test/lab/guest/init.c');
    expect(runProgram('cc', ['-std=gnu11', '-static', '-o', program, source])).toMatchObject({ code: 0 });
    const { code, err } = runProgram(program, []);
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('first process of a guest') });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
