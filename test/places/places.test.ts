import { cpSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { BIN, ROOT, runProgram } from '../support/run-cli.ts';
import { type Check, checksOf, compile, INSPECT, LIBRARY, temporaryFolder, VALIDATE } from './place.ts';

const folder = temporaryFolder();

describe('a process whose counter is disabled (PR_TSC_SIGSEGV)', () => {
  let environment: NodeJS.ProcessEnv;
  beforeAll(() => {
    environment = { ...process.env, LD_PRELOAD: compile(folder, 'no-counter', '-shared', '-fPIC') };
  });

  test('is not crashed: what needs the counter is skipped with the reason, the rest is checked', () => {
    const checks = checksOf(runProgram(process.execPath, VALIDATE, environment));
    for (const id of ['counter.frequency', 'vdso.fast', 'page.layout', 'page.exact']) {
      expect(checks[id]).toMatchObject({ status: 'skip', evidence: { code: 'ERR_COUNTER_DISABLED' } });
      expect(checks[id]?.advice).toContain('PR_TSC_ENABLE');
    }
    expect(checks['clock.paths']?.status).toBe('skip');
    expect(checks['vdso.image']?.status).toBe('pass');
    expect(checks['page.faults']?.status).toBe('pass');
  });

  test.each([
    ['compare', '--for', '300ms'],
    ['compare', '--mode', 'page'],
    ['bench', '--quick'],
  ])('is told what %s %s lacks', (...command) => {
    const { code, err } = runProgram(process.execPath, [BIN, ...command], environment);
    expect(code).toBe(3);
    expect(err).toMatch(/^latchclock: [^\n]*PR_[^\n]*\n$/);
  });

  test('can be inspected', () => {
    const { code, out } = runProgram(process.execPath, INSPECT, environment);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      counter: { state: 'disabled' },
      page: { found: null, problem: expect.stringContaining('disabled') },
    });
  });
});

describe('a process whose auxiliary vector hides the vDSO', () => {
  // Tracing may be forbidden.
  let hiding: string;
  beforeAll(() => {
    hiding = compile(folder, 'hidden-vdso');
  });
  const hidden = (arguments_: readonly string[]) => runProgram(hiding, [process.execPath, ...arguments_]);

  test('is told that it is hidden, not to boot otherwise; libc, page and system call are compared all the same', () => {
    const only = 'vdso,clock.paths,page.layout,page.namespace';
    const { code, out } = hidden([...VALIDATE, '--only', only]);
    expect(code, out).toBe(1);
    const { checks } = JSON.parse(out) as { checks: Check[] };
    const byId = Object.fromEntries(checks.map((check) => [check.id, check]));
    expect(byId['vdso.fast']).toMatchObject({ status: 'fail', evidence: { cause: { kind: 'hidden' } } });
    expect(byId['vdso.fast']?.reason).toMatch(
      /^the vDSO is mapped at 0x[0-9a-f]+, but the auxiliary vector hides it/,
    );
    for (const { advice } of checks) expect(advice ?? '').not.toContain('vdso=0');
    expect(byId['clock.paths']).toMatchObject({
      status: 'pass',
      evidence: { leftOut: ['vdso (ERR_NO_VDSO)'] },
    });
    expect(byId['clock.paths']?.evidence['clocks']).toMatchObject({
      monotonic: { 'page in syscall': { outside: 0 }, 'libc in syscall': { outside: 0 } },
    });
    expect(byId['page.layout']?.status).toBe('pass');
  });

  test('reads clocks by the page', () => {
    const open = `import { openClock } from ${JSON.stringify(LIBRARY)}; console.log(openClock('monotonic').path)`;
    expect(hidden(['--input-type=module', '-e', open])).toMatchObject({ code: 0, out: 'page\n' });
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
