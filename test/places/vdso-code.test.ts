import { beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { BIN, type CliResult, runProgram } from '../support/run-cli.ts';
import { type Check, compile, temporaryFolder } from './place.ts';

/** A process whose vDSO's code is not the kernel's: a preloaded library has rewritten it. */

const folder = temporaryFolder();
const library: Record<string, string> = {};
beforeAll(() => {
  for (const name of ['vdso-patched', 'vdso-partial'])
    library[name] = compile(folder, name, '-shared', '-fPIC');
});

function run(
  context: TestContext,
  name: string,
  arguments_: string[],
  more: NodeJS.ProcessEnv = {},
): CliResult {
  const environment = { ...process.env, ...more, LD_PRELOAD: library[name] };
  const result = runProgram(process.execPath, [BIN, ...arguments_], environment);
  const refusal = /^vdso-\w+: (.*)$/m.exec(result.err)?.[1];
  if (refusal !== undefined) context.skip(`the vDSO of this kernel cannot be rewritten so: ${refusal}`);
  expect(result).toMatchObject({ signal: null, err: '' });
  return result;
}

const VDSO = ['validate', '--quick', '--only', 'vdso'];

function checks(context: TestContext, name: string, more: NodeJS.ProcessEnv = {}): Record<string, Check> {
  const { code, out } = run(context, name, [...VDSO, '--format', 'json'], more);
  expect(code).toBe(1);
  const { checks: list } = JSON.parse(out) as { checks: Check[] };
  return Object.fromEntries(list.map((check) => [check.id, check]));
}

describe('a vDSO whose functions make the system call at once', () => {
  test('is not the image of the kernel, and the functions are named', (context) => {
    const image = checks(context, 'vdso-patched')['vdso.image'];
    expect(image).toMatchObject({
      status: 'fail',
      reason: expect.stringMatching(
        /^the code is not the kernel's \(__vdso_\w+ makes system call \d+ at once, and \d more the like/,
      ),
      advice: expect.stringContaining('LD_PRELOAD'),
      evidence: { faults: [], text: { verdict: 'replaced' } },
    });
    expect(image?.evidence['text']).toMatchObject({
      foreign: expect.arrayContaining([
        { name: '__vdso_clock_gettime', does: 'makes system call 228 at once' },
      ]),
    });
  });

  test('makes all clocks slow, for which the clocksource is not blamed', (context) => {
    const { reason, advice, evidence } = checks(context, 'vdso-patched')['vdso.fast'] as Check;
    expect(reason).toMatch(/^all 7 clocks enter the kernel: the vDSO's code is not the kernel's \(/);
    expect(reason).toMatch(/; a read of realtime costs [\d,.]+ ns, a reading of the counter [\d,.]+ ns$/);
    expect(advice).toContain('The clocksource is in order');
    expect(advice).not.toContain('tsc=reliable');
    expect(evidence).toMatchObject({ cause: { kind: 'vdso-replaced' } });
  });
});

describe('a vDSO that leaves some clocks to the kernel', () => {
  test('has them named', (context) => {
    const { reason, evidence } = checks(context, 'vdso-partial')['vdso.fast'] as Check;
    expect(reason).toMatch(
      /^monotonic-raw, boottime, tai enter the kernel: not in this vDSO \(as before Linux 5\.3\)/,
    );
    expect(reason).toMatch(/; a read of monotonic-raw costs [\d,.]+ ns/);
    expect(evidence).toMatchObject({
      slow: ['monotonic-raw', 'boottime', 'tai'],
      entries: { monotonic: 0, realtime: 0 },
      cause: { kind: 'not-in-vdso', isReplaced: true },
    });
  });

  test('or one, in the singular', (context) => {
    const { reason } = checks(context, 'vdso-partial', { ONLY_TAI: '1' })['vdso.fast'] as Check;
    expect(reason).toMatch(/^tai enters the kernel: /);
  });
});
