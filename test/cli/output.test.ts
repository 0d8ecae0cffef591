import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openOutput } from '../../lib/cli/output.ts';

describe('openOutput', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'latchclock-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('leaves the old file as it was until the whole result is there', async () => {
    const file = join(folder, 'report.json');
    writeFileSync(file, 'old');
    const output = openOutput(file);
    expect(readFileSync(file, 'utf8')).toBe('old');
    await output.write('new');
    expect(readFileSync(file, 'utf8')).toBe('new');
    expect(readdirSync(folder)).toEqual(['report.json']);
  });

  test('leaves nothing behind when it is given up', () => {
    const file = join(folder, 'report.json');
    openOutput(file).discard();
    expect(existsSync(file)).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('refuses a folder, and a file in a folder that is not there', () => {
    expect(() => openOutput(folder)).toThrow('EISDIR');
    expect(() => openOutput(join(folder, 'no', 'report'))).toThrow('ENOENT');
    expect(readdirSync(folder)).toEqual([]);
  });

  test('writes to a device in place, and does not replace it', async () => {
    const output = openOutput('/dev/null');
    await output.write('gone');
    expect(readFileSync('/dev/null', 'utf8')).toBe('');
  });
});
