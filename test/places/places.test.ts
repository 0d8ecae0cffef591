import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BIN, type CliResult, ROOT, runProgram } from '../support/run-cli.ts';
import { cannotRun, testUnless } from '../support/tools.ts';

/** Real places in which a host's time is hard to read, each entered by a child process. */

interface Check {
  status: string;
  reason: string;
  advice: string | null;
  evidence: Record<string, unknown>;
}

/** Checks by id; fails if the run did not end as it should. */
function checksOf({ code, signal, out, err }: CliResult): Record<string, Check> {
  expect({ code, signal, err }).toEqual({ code: 0, signal: null, err: '' });
  const { checks } = JSON.parse(out) as { checks: (Check & { id: string })[] };
  return Object.fromEntries(checks.map((check) => [check.id, check]));
}

const VALIDATE = [BIN, 'validate', '--quick', '--format', 'json'];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchclock-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('a process whose counter is disabled (PR_TSC_SIGSEGV)', () => {
  let library: string;
  beforeAll(() => {
    library = join(folder, 'no-counter.so');
    const source = join(ROOT, 'test/places/no-counter.c');
    const { code, err } = runProgram('g++', ['-x', 'c', '-shared', '-fPIC', '-o', library, source]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
  });

  test('is not crashed: what needs the counter is skipped with the reason, the rest is checked', () => {
    const environment = { ...process.env, LD_PRELOAD: library };
    const checks = checksOf(runProgram(process.execPath, VALIDATE, environment));
    for (const id of ['counter.frequency', 'vdso.fast', 'page.layout', 'page.exact']) {
      expect(checks[id]).toMatchObject({ status: 'skip', evidence: { code: 'ERR_COUNTER_DISABLED' } });
      expect(checks[id]?.advice).toContain('PR_TSC_ENABLE');
    }
    expect(checks['clock.paths']?.status).toBe('skip');
    expect(checks['vdso.image']?.status).toBe('pass');
    expect(checks['page.faults']?.status).toBe('pass');
  });

  test('can be inspected', () => {
    const environment = { ...process.env, LD_PRELOAD: library };
    const { code, out } = runProgram(process.execPath, [BIN, 'inspect', '--format', 'json'], environment);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      counter: { state: 'disabled' },
      page: { found: null, problem: expect.stringContaining('disabled') },
    });
  });
});

const noMounts = cannotRun('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/sys/kernel/btf']);

describe('a mount namespace', () => {
  const behind = (mounts: string): CliResult =>
    runProgram('unshare', ['-m', 'sh', '-c', `${mounts} && exec "$@"`, 'sh', process.execPath, ...VALIDATE]);

  testUnless(noMounts, 'without BTF: the table finds the layout, and it is proved', () => {
    const checks = checksOf(behind('mount -t tmpfs none /sys/kernel/btf'));
    expect(checks['page.layout']).toMatchObject({ status: 'pass', evidence: { source: 'table' } });
    expect(checks['page.layout']?.evidence['btfProblem']).toContain('ENOENT');
    expect(checks['page.exact']?.status).toBe('pass');
  });

  testUnless(noMounts, 'without /sys and /proc: the pages are found below the vDSO', () => {
    const checks = checksOf(behind('mount -t tmpfs none /sys && mount -t tmpfs none /proc'));
    expect(checks['page.exact']?.status).toBe('pass');
    expect(checks['vdso.image']?.status).toBe('pass');
    expect(checks['page.namespace']?.reason).toContain('/proc does not tell');
  });
});

describe('a package without its addon', () => {
  test('ends with 3 and says what to run', () => {
    const copy = join(folder, 'package');
    for (const part of ['bin', 'dist', 'package.json'])
      cpSync(join(ROOT, part), join(copy, part), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    const { code, out, err } = runProgram(process.execPath, [join(copy, 'bin/latchclock.js'), 'validate']);
    expect({ code, out }).toEqual({ code: 3, out: '' });
    expect(err).toMatch(
      /^latchclock: the native addon is not built \(looked in [^\n]+; run 'npm run install'[^\n]+\n$/,
    );
  });
});
