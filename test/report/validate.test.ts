import { describe, expect, test } from 'vitest';
import type { CheckResult } from '../../lib/checks/model.ts';
import type { RunReport } from '../../lib/checks/run.ts';
import { textStyle } from '../../lib/report/text.ts';
import { validateJson } from '../../lib/report/validate-json.ts';
import { validateJunit } from '../../lib/report/validate-junit.ts';
import { validatePrometheus } from '../../lib/report/validate-prometheus.ts';
import { validateText } from '../../lib/report/validate-text.ts';
import { shippedSchema } from '../support/schema.ts';

const NASTY = 'a <b> & "c" \u0007 ]]> \u001b[31mred';

function check(id: string, verdict: Partial<CheckResult>): CheckResult {
  return {
    id,
    group: id.split('.')[0],
    claim: `the claim of ${id}`,
    status: 'pass',
    reason: `the reason of ${id}`,
    bound: `the bound of ${id}`,
    evidence: { big: 1n << 63n, list: [1, 'two', null] },
    durationMs: 12.5,
    ...verdict,
  } as CheckResult;
}

const REPORT: RunReport = {
  startedAt: new Date('2026-01-02T03:04:05.678Z'),
  durationMs: 9876.5,
  host: {
    kernel: '6.18.0',
    arch: 'x64',
    cpuModel: 'A CPU',
    cpus: 2,
    hypervisor: null,
    clocksource: { current: 'tsc', available: ['tsc', 'hpet'] },
    counter: { hz: '2596122130', invariant: true },
    timeNamespace: false,
    privileged: false,
  },
  budget: 'default',
  cpus: [0, 1],
  takenAway: [],
  seed: (1n << 64n) - 1n,
  checks: [
    check('counter.invariant', {}),
    check('counter.frequency', { status: 'warn', advice: 'what to do about it' }),
    check('vdso.fast', { status: 'fail', reason: NASTY, advice: NASTY }),
    check('page.exact', { status: 'skip', advice: 'what would let it run' }),
  ],
  summary: { pass: 1, fail: 1, warn: 1, skip: 1 },
  interrupted: false,
};

describe('JSON', () => {
  test('follows the shipped schema', () => {
    const validate = shippedSchema('validate-1');
    validate(JSON.parse(validateJson(REPORT)));
    expect(validate.errors).toBeNull();
  });

  test('64-bit integers are decimal strings', () => {
    const json = JSON.parse(validateJson(REPORT));
    expect(json.seed).toBe('18446744073709551615');
    expect(json.checks[0].evidence.big).toBe('9223372036854775808');
  });

  test.each([
    ['a pass with advice', { status: 'pass', advice: 'none is due' }],
    ['a skip without advice', { status: 'skip', advice: undefined }],
    ['a status of another name', { status: 'ok' }],
    ['an empty reason', { reason: '' }],
  ])('the schema refuses %s', (_name, verdict) => {
    const validate = shippedSchema('validate-1');
    const report = { ...REPORT, checks: [check('page.faults', verdict as Partial<CheckResult>)] };
    expect(validate(JSON.parse(validateJson(report)))).toBe(false);
  });
});

describe('JUnit', () => {
  const xml = validateJunit(REPORT);

  test('counts tests, failures and skips', () => {
    expect(xml).toContain(
      '<testsuites name="latchclock" tests="4" failures="1" errors="0" skipped="1" time="9.877">',
    );
    expect(xml).toContain(
      '<testsuite name="counter" tests="2" failures="0" errors="0" skipped="0" time="0.025">',
    );
    expect(xml.match(/<testcase /g)).toHaveLength(4);
    expect(xml.match(/<failure /g)).toHaveLength(1);
    expect(xml.match(/<skipped /g)).toHaveLength(1);
  });

  test('escapes what XML cannot hold', () => {
    expect(xml).toContain('message="a &lt;b&gt; &amp; &quot;c&quot; \ufffd ]]&gt; \ufffd[31mred"');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML forbids
    expect(xml).not.toMatch(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/);
  });
});

describe('Prometheus', () => {
  test('has one series of value 1 for each check, of the status that it ended with', async () => {
    const text = await validatePrometheus(REPORT);
    const ones = text
      .split('\n')
      .filter((line) => line.startsWith('latchclock_check_status') && line.endsWith(' 1'));
    expect(ones).toEqual([
      'latchclock_check_status{check="counter.invariant",group="counter",status="pass"} 1',
      'latchclock_check_status{check="counter.frequency",group="counter",status="warn"} 1',
      'latchclock_check_status{check="vdso.fast",group="vdso",status="fail"} 1',
      'latchclock_check_status{check="page.exact",group="page",status="skip"} 1',
    ]);
    expect(text).toContain('latchclock_checks{status="fail"} 1');
    expect(text).toContain('latchclock_tsc_hertz 2596122130');
  });

  test('can be written twice in one process', async () => {
    expect(await validatePrometheus(REPORT)).toBe(await validatePrometheus(REPORT));
  });
});

describe('text', () => {
  const text = validateText(REPORT, textStyle({}));

  test('fits in 80 columns and shows verdict, reason, bound and advice of each check', () => {
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    expect(text).toMatch(/^ warn {2}frequency {2,}the reason of counter\.frequency$/m);
    expect(text).toMatch(/^ +the bound of counter\.frequency$/m);
    expect(text).toMatch(/^ +→ what to do about it$/m);
    expect(text).toMatch(/^failed: 1 passed, 1 failed, 1 warned, 1 skipped in 9\.9 s$/m);
  });

  test('has no colour off a terminal, none under NO_COLOR, none on a dumb terminal, else some', () => {
    const csi = '\u001b[';
    const plain = { ...REPORT, checks: REPORT.checks.slice(0, 2) };
    const on = (stream: object, environment: NodeJS.ProcessEnv): string =>
      validateText(plain, textStyle(stream, environment));
    expect(on({}, {})).not.toContain(csi);
    expect(on({ isTTY: true, columns: 80 }, { NO_COLOR: '1' })).not.toContain(csi);
    expect(on({ isTTY: true, columns: 80 }, { TERM: 'dumb' })).not.toContain(csi);
    expect(on({ isTTY: true, columns: 80 }, {})).toContain(csi);
  });

  test('says when nothing ran and when it was interrupted', () => {
    const none = { ...REPORT, checks: [], summary: { pass: 0, fail: 0, warn: 0, skip: 0 } };
    expect(validateText(none, textStyle({}))).toContain('nothing ran:');
    expect(validateText({ ...none, interrupted: true }, textStyle({}))).toContain('interrupted:');
  });
});
