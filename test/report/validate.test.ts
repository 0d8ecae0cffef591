import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type CheckGroup, type CheckResult, kindOf } from '../../lib/checks/model.ts';
import { type RunReport, summaryOf } from '../../lib/checks/run.ts';
import { textStyle } from '../../lib/report/text.ts';
import { validateJson } from '../../lib/report/validate-json.ts';
import { validateJunit } from '../../lib/report/validate-junit.ts';
import { validatePrometheus } from '../../lib/report/validate-prometheus.ts';
import { validateBrief, validateText } from '../../lib/report/validate-text.ts';
import { ROOT } from '../support/run-cli.ts';
import { shippedSchema } from '../support/schema.ts';

const NASTY = 'a <b> & "c" \u0007 ]]> \u001b[31mred';

function check(id: string, verdict: Partial<CheckResult>): CheckResult {
  const group = id.split('.')[0] as CheckGroup;
  return {
    id,
    group,
    kind: kindOf(group),
    claim: `the claim of ${id}`,
    status: 'pass',
    reason: `the reason of ${id}`,
    bound: `the bound of ${id}`,
    evidence: { big: 1n << 63n, list: [1, 'two', null] },
    durationMs: 12.5,
    ...verdict,
  } as CheckResult;
}

const CHECKS = [
  check('counter.invariant', {}),
  check('counter.frequency', { status: 'warn', advice: 'what to do about it' }),
  check('vdso.fast', { status: 'fail', reason: NASTY, advice: NASTY }),
  check('page.exact', { status: 'skip', advice: 'what would let it run' }),
  check('latch.stress', {}),
  check('schedule.leap', { status: 'warn', advice: 'what a busy machine needs' }),
];

const REPORT: RunReport = {
  startedAt: new Date('2026-01-02T03:04:05.678Z'),
  durationMs: 9876.5,
  host: {
    hostname: 'a<host>',
    machineIdHash: '0123456789ab4def8123456789abcdef',
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
  checks: CHECKS,
  summary: summaryOf(CHECKS),
  interrupted: false,
};

describe('JSON', () => {
  test('follows the shipped schema', () => {
    const validate = shippedSchema('validate-1');
    validate(JSON.parse(validateJson(REPORT)));
    expect(validate.errors).toBeNull();
  });

  test('tells the host from the self-test, check by check and in the summary', () => {
    const json = JSON.parse(validateJson(REPORT));
    expect(json.checks.map(({ kind }: CheckResult) => kind)).toEqual([
      ...['host', 'host', 'host', 'host'],
      ...['self', 'self'],
    ]);
    expect(json.summary).toEqual({
      ...{ pass: 2, fail: 1, warn: 2, skip: 1 },
      host: { pass: 1, fail: 1, warn: 1, skip: 1 },
      self: { pass: 1, fail: 0, warn: 1, skip: 0 },
    });
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
      '<testsuites name="latchclock" tests="6" failures="1" errors="0" skipped="1" time="9.877">',
    );
    expect(xml).toContain(
      '<testsuite name="counter" tests="2" failures="0" errors="0" skipped="0" time="0.025" timestamp="2026-01-02T03:04:05" hostname="a&lt;host&gt;">',
    );
    expect(xml.match(/<testcase /g)).toHaveLength(6);
    expect(xml.match(/<failure /g)).toHaveLength(1);
    expect(xml.match(/<skipped /g)).toHaveLength(1);
  });

  test('names kind and machine, and not the host where the user wants that', () => {
    expect(xml).toContain('<testcase classname="latchclock.self.latch" name="latch.stress"');
    expect(xml).toContain('<testcase classname="latchclock.host.vdso" name="vdso.fast"');
    expect(xml.match(/<property name="kind" value="host"\/>/g)).toHaveLength(3);
    expect(xml).toContain('<property name="machineIdHash" value="0123456789ab4def8123456789abcdef"/>');
    expect(validateJunit({ ...REPORT, host: { ...REPORT.host, hostname: null } })).not.toContain('hostname=');
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
      'latchclock_check_status{check="counter.invariant",group="counter",kind="host",status="pass"} 1',
      'latchclock_check_status{check="counter.frequency",group="counter",kind="host",status="warn"} 1',
      'latchclock_check_status{check="vdso.fast",group="vdso",kind="host",status="fail"} 1',
      'latchclock_check_status{check="page.exact",group="page",kind="host",status="skip"} 1',
      'latchclock_check_status{check="latch.stress",group="latch",kind="self",status="pass"} 1',
      'latchclock_check_status{check="schedule.leap",group="schedule",kind="self",status="warn"} 1',
    ]);
    expect(text).toContain('latchclock_checks{kind="host",status="fail"} 1');
    expect(text).toContain('latchclock_checks{kind="self",status="fail"} 0');
    expect(text).toContain('latchclock_tsc_hertz 2596122130');
  });

  test('has the figures that a fleet is compared by, where a run came to them', async () => {
    const checks = [
      check('counter.frequency', { evidence: { measuredPpm: 0.25, boundPpm: 0.5, correctionPpm: -12.5 } }),
      check('counter.offset', {
        evidence: {
          widestCycles: 260n,
          offsets: [
            { lowest: -100n, highest: 160n },
            { lowest: 2_596n, highest: 2_700n },
            { lowest: -6_000n, highest: -5_192n },
          ],
        },
      }),
      check('vdso.fast', { evidence: { vdsoNs: 20, syscallNs: null, fencedCounterNs: 10 } }),
      check('clock.relations', { evidence: { maxErrorUs: 16_000_000n, taiOffsetSeconds: 37 } }),
    ];
    const host = { ...REPORT.host, counter: { hz: '2596000000', invariant: true } };
    const text = await validatePrometheus({ ...REPORT, host, checks, summary: summaryOf(checks) });
    const values = text.split('\n').filter((line) => !line.startsWith('#'));
    expect(values).toEqual(
      expect.arrayContaining([
        'latchclock_counter_frequency_error_ppm 0.25',
        'latchclock_counter_frequency_error_bound_ppm 0.5',
        'latchclock_clock_correction_ppm -12.5',
        'latchclock_counter_offset_seconds 0.000002',
        `latchclock_counter_offset_uncertainty_seconds ${260 / 2_596_000_000}`,
        'latchclock_clock_read_seconds{path="vdso",clocksource="tsc"} 2e-8',
        'latchclock_clock_read_seconds{path="counter",clocksource="tsc"} 1e-8',
        'latchclock_clock_maxerror_seconds 16',
        'latchclock_clock_tai_offset_seconds 37',
      ]),
    );
    expect(text).not.toContain('path="syscall"');
  });

  test('docs/metrics.md names each metric with its labels, and no other', async () => {
    const checks = [
      check('counter.frequency', { evidence: { measuredPpm: 0, boundPpm: 0, correctionPpm: 0 } }),
      check('counter.offset', { evidence: { widestCycles: 1n, offsets: [] } }),
      check('vdso.fast', { evidence: { vdsoNs: 20, syscallNs: 100, fencedCounterNs: 10 } }),
      check('clock.relations', { evidence: { maxErrorUs: 1n, taiOffsetSeconds: 37 } }),
    ];
    const text = await validatePrometheus({ ...REPORT, checks, summary: summaryOf(checks) });
    const written = new Map(
      [...text.matchAll(/^(latchclock_\w+)(?:\{(.*)\})? /gm)].map(([, name, labels = '']) => [
        name,
        [...labels.matchAll(/(\w+)="/g)].map(([, label]) => label).toSorted(),
      ]),
    );
    const document = readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8');
    const documented = new Map(
      [...document.matchAll(/^\| `(latchclock_\w+)` \| (.*?) \|/gm)].map(([, name, labels = '']) => [
        name,
        [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label).toSorted(),
      ]),
    );
    expect(documented).toEqual(written);
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
  });

  test('ends with what it says of the host, then of latchclock on it', () => {
    expect(text.trimEnd().split('\n').slice(-3)).toEqual([
      'host FAILED: 1 passed, 1 failed, 1 warned, 1 skipped',
      'self-test held: 1 passed, 0 failed, 1 warned, 0 skipped',
      '6 checks in 9.9 s',
    ]);
  });

  test('shows the self-test below the host, under a line of its own', () => {
    const at = (line: string): number => text.split('\n').indexOf(line);
    const heading = text.split('\n').findIndex((line) => line.startsWith('self-test: '));
    expect(at('page')).toBeLessThan(heading);
    expect(heading).toBeLessThan(at('latch'));
    expect(at('latch')).toBeLessThan(at('schedule'));
  });

  test('of the host alone says nothing of a self-test', () => {
    const checks = CHECKS.filter(({ kind }) => kind === 'host');
    const host = validateText({ ...REPORT, checks, summary: summaryOf(checks) }, textStyle({}));
    expect(host).not.toContain('self-test');
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
    expect(on({}, { FORCE_COLOR: '1' })).toContain(csi);
    expect(on({}, { FORCE_COLOR: '' })).toContain(csi);
    expect(on({ isTTY: false }, { FORCE_COLOR: '1' })).not.toContain(csi);
    expect(on({}, { FORCE_COLOR: '0' })).not.toContain(csi);
    for (const refused of ['0', 'false'])
      expect(on({ isTTY: true }, { FORCE_COLOR: refused })).not.toContain(csi);
    expect(on({}, { FORCE_COLOR: '1', NO_COLOR: '1' })).not.toContain(csi);
  });

  test('says when nothing ran and when it was interrupted', () => {
    const none = { ...REPORT, checks: [], summary: summaryOf([]) };
    expect(validateText(none, textStyle({}))).toContain('host nothing ran:');
    expect(validateText({ ...none, interrupted: true }, textStyle({}))).toContain('interrupted:');
  });
});

describe('brief text', () => {
  test('is one line where all is well', () => {
    const checks = CHECKS.filter(({ status }) => status === 'pass');
    const report = { ...REPORT, checks, summary: summaryOf(checks) };
    expect(validateBrief(report, textStyle({}))).toBe(
      'host held: 1 passed; self-test held: 1 passed; 2 checks in 9.9 s\n',
    );
  });

  test('shows what is no pass, and no pass, in 80 columns', () => {
    const text = validateBrief(REPORT, textStyle({}));
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    expect(text).toMatch(/^ warn {2}frequency/m);
    expect(text).toMatch(/^ FAIL {2}fast/m);
    expect(text).toMatch(/^ skip {2}exact/m);
    expect(text).not.toContain('invariant');
    expect(text).toContain('host FAILED: 1 passed, 1 failed, 1 warned, 1 skipped');
  });
});
