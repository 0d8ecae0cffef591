import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CHECKS } from '../../lib/checks/registry.ts';
import { BIN, latchclock, ROOT, runProgram } from '../support/run-cli.ts';
import { shippedSchema } from '../support/schema.ts';
import { cannotRun, testUnless } from '../support/tools.ts';

const UNSHARE = ['-T', '--monotonic', '1000', '--boottime', '5000'];
const NOBODY = ['--reuid=65534', '--regid=65534', '--clear-groups'];
const noTimeNamespace = cannotRun('unshare', [...UNSHARE, 'true']);
const noUnprivileged = cannotRun('setpriv', [...NOBODY, 'true']);
const noTaskset = cannotRun('taskset', ['-c', '0', 'true']);

interface Json {
  checks: { id: string; status: string; reason: string; evidence: Record<string, unknown> }[];
  summary: Record<string, number>;
  host: { timeNamespace: boolean; privileged: boolean; cpus: number };
  cpus: number[];
  seed: string;
}

interface HazardJson {
  cells: { protocol: string; hazard: string; holds: boolean }[];
  cpus: number[];
  seed: string;
  interrupted: boolean;
}

function statuses(json: Json): Record<string, string> {
  return Object.fromEntries(json.checks.map(({ id, status }) => [id, status]));
}

describe('validate', () => {
  test('--quick --format json holds on this machine, follows the schema and names every check', () => {
    const { code, out, err } = latchclock('validate', '--quick', '--format', 'json', '--seed', '0x10');
    const json = JSON.parse(out) as Json;
    const validate = shippedSchema('validate-1');
    validate(json);
    expect(validate.errors).toBeNull();
    expect(json.checks.filter(({ status }) => status === 'fail')).toEqual([]);
    expect(code).toBe(0);
    expect(err).toBe('');
    expect(json.checks.map(({ id }) => id)).toEqual(CHECKS.map(({ id }) => id));
    expect(json.seed).toBe('16');
  });

  test('--list shows every check and runs none', () => {
    const { code, out } = latchclock('validate', '--list', '--format', 'json');
    expect(code).toBe(0);
    expect((JSON.parse(out) as { id: string }[]).map(({ id }) => id)).toEqual(CHECKS.map(({ id }) => id));
    expect(latchclock('validate', '--list').out).toMatch(/^page\.exact +host/m);
    expect(JSON.parse(out)).toContainEqual(expect.objectContaining({ id: 'latch.stress', kind: 'self' }));
  });

  testUnless(noTimeNamespace, 'in a time namespace holds, and sees the offsets', () => {
    const { code, out } = runProgram('unshare', [
      ...UNSHARE,
      process.execPath,
      BIN,
      'validate',
      '--quick',
      '--format',
      'json',
    ]);
    const json = JSON.parse(out) as Json;
    expect(code).toBe(0);
    expect(json.host.timeNamespace).toBe(true);
    const namespace = json.checks.find(({ id }) => id === 'page.namespace');
    expect(namespace).toMatchObject({
      status: 'pass',
      evidence: { pageOffsetsNs: { monotonic: '1000000000000', boottime: '5000000000000' } },
    });
    expect(statuses(json)['page.exact']).toBe('pass');
  });

  testUnless(noUnprivileged, 'holds for an unprivileged user without a home', () => {
    const arguments_ = ['-u', 'HOME', 'setpriv', ...NOBODY, process.execPath, BIN, 'validate', '--quick'];
    const { code, out, err } = runProgram('env', [...arguments_, '--format', 'json']);
    expect(err).toBe('');
    const json = JSON.parse(out) as Json;
    expect(code).toBe(0);
    expect(json.host.privileged).toBe(false);
    expect(statuses(json)['page.exact']).toBe('pass');
  });

  testUnless(noTaskset, 'measures on the one CPU that it is given', () => {
    const arguments_ = ['-c', '0', process.execPath, BIN, 'validate', '--quick', '--format', 'json'];
    const { code, out } = runProgram('taskset', arguments_);
    const json = JSON.parse(out) as Json;
    expect(code).toBe(0);
    expect(json.cpus).toEqual([0]);
    expect(json.host.cpus).toBe(1);
  });

  testUnless(cannotRun('promtool', ['--version']), 'promtool accepts --format prometheus', () => {
    const { out } = latchclock('validate', '--only', 'vdso', '--format', 'prometheus');
    const checked = spawnSync('promtool', ['check', 'metrics'], {
      input: out,
      encoding: 'utf8',
      timeout: 30_000,
    });
    expect({ code: checked.status, err: checked.stderr }).toEqual({ code: 0, err: '' });
  });

  test('-o writes the report aside and renames it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'latchclock-'));
    try {
      const file = join(folder, 'report.xml');
      const { code, out } = latchclock('validate', '--only', 'vdso.image', '--format', 'junit', '-o', file);
      expect({ code, out }).toEqual({ code: 0, out: '' });
      expect(readFileSync(file, 'utf8')).toContain(
        '<testcase classname="latchclock.host.vdso" name="vdso.image"',
      );
      expect(readdirSync(folder)).toEqual(['report.xml']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s ends it with 130 and what was measured', async (signal) => {
    const child = spawn(process.execPath, [BIN, 'validate', '--format', 'json'], { cwd: ROOT });
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      out += chunk;
    });
    // Long enough to be measuring, short of the end of a run of 9 s.
    const timer = setTimeout(() => child.kill(signal), 2_000);
    const code = await new Promise((resolve) => child.on('close', resolve));
    clearTimeout(timer);
    expect(code).toBe(130);
    const json = JSON.parse(out) as Json & { interrupted: boolean };
    expect(json.interrupted).toBe(true);
    expect(json.checks.length).toBeGreaterThan(0);
  });
});

describe('inspect', () => {
  test('shows the page in text, and follows the schema in JSON', () => {
    const text = latchclock('inspect');
    expect(text.code).toBe(0);
    expect(text.out).toContain("kernel's clock page");
    const validate = shippedSchema('inspect-1');
    validate(JSON.parse(latchclock('inspect', '--format', 'json').out));
    expect(validate.errors).toBeNull();
  });
});

describe('hazards', () => {
  test('--quick holds on this machine, and follows the schema', () => {
    const { code, out, err } = latchclock('hazards', '--quick', '--format', 'json', '--seed', '5');
    const json = JSON.parse(out) as HazardJson;
    const validate = shippedSchema('hazards-1');
    validate(json);
    expect(validate.errors).toBeNull();
    expect(json.cells.filter(({ holds }) => !holds)).toEqual([]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(json.seed).toBe('5');
  }, 300_000);

  test('a selection that this evidence says nothing of ends with 3, not as held', () => {
    const { code, out } = latchclock('hazards', '--quick', '--only', 'stressed,migration-equal');
    expect(code).toBe(3);
    expect(out).toContain('nothing ran');
  });

  testUnless(noTaskset, 'holds on one CPU, where writer and readers take turns', () => {
    const only = 'stressed,seqlock,latch-window,two-window,update,writer-killed,window-expired';
    const arguments_ = [BIN, 'hazards', '--quick', '--format', 'json', '--only', only];
    const { out } = runProgram('taskset', ['-c', '0', process.execPath, ...arguments_]);
    const { cells, cpus } = JSON.parse(out) as HazardJson;
    expect(cpus).toEqual([0]);
    expect(cells.filter(({ holds }) => !holds)).toEqual([]);
  });

  test('--explain tells one reader against one hazard, with the shortest way to a wrong value', () => {
    const { code, out } = latchclock('hazards', '--only', 'explored', '--explain', 'latch', 'adjust-unheld');
    expect(code).toBe(0);
    expect(out).toContain('latch against adjust-unheld');
    expect(out).toMatch(/ 1 {2}reader: load the count/);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s ends it with 130 and what was measured', async (signal) => {
    // On a busy machine nothing may be found yet by then: later, once more.
    for (const delayMs of [1_500, 4_000, 12_000]) {
      const child = spawn(process.execPath, [BIN, 'hazards', '--format', 'json'], { cwd: ROOT });
      let out = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        out += chunk;
      });
      const timer = setTimeout(() => child.kill(signal), delayMs);
      const code = await new Promise((resolve) => child.on('close', resolve));
      clearTimeout(timer);
      expect(code).toBe(130);
      const json = JSON.parse(out) as HazardJson;
      expect(json.interrupted).toBe(true);
      if (json.cells.length > 0) return;
    }
    throw new Error('nothing was found in 12 s');
  });
});

describe('wrong usage ends with 2 and one line that says what, where and what to do', () => {
  test.each([
    [['validate', '--only', 'nonsense'], /no check or group 'nonsense'.*; choose from/],
    [['validate', '--only', 'vdso.fats'], /did you mean 'vdso.fast'\?/],
    [['validate', '--format', 'jsno'], /did you mean 'json'\?/],
    [['validate', '--brief', '--format', 'json'], /--brief shortens text, and not json/],
    [['validate', '--explain', 'vdso.fats'], /'vdso.fats' \(--explain\); did you mean 'vdso.fast'\?/],
    [['hazards', '--only', 'latch-windw'], /did you mean 'latch-window'\?/],
    [['hazards', '--only', 'migration-equall'], /did you mean 'migration-equal'\?/],
    [['bench', '--clocks', 'monotonc'], /did you mean 'monotonic'\?/],
    [['bench', '--paths', 'vdos'], /did you mean 'vdso'\?/],
    [['compare', '--against', 'vmclok'], /did you mean 'vmclock'\?/],
    [['smear', 'at', 'L', '--policy', 'gogle-24h'], /did you mean 'google-24h'\?/],
    [['smear', 'diff', 'metta', 'chrony'], /no policy 'metta' \(policy\); did you mean 'meta'\?/],
    [['smear', 'plan', '--policy', 'liner:-1..1'], /did you mean 'linear:-1..1'\?/],
    [['validat'], /unknown command 'validat' \(Did you mean validate\?\)/],
    [['validate', '--brif'], /unknown option '--brif' \(Did you mean --brief\?\)/],
    [
      ['validate', '--skip', 'counter,clock,vdso,page,latch,smear,schedule,preference,namespace'],
      /no check is left/,
    ],
    [['validate', '--cpus', '60000'], /may not run on CPU 60000.*choose from/],
    [['validate', '--cpus', 'x'], /'x' is not a list of CPUs/],
    [['validate', '--seed', '-1'], /'-1' is not an unsigned 64-bit number/],
    [['validate', '--format', 'xml'], /'xml' is not one of text, json, junit, prometheus/],
    [['validate', '--quick', '--thorough'], /exclude each other/],
    [['validate', '-o', '/nonexistent/report'], /cannot write the output: ENOENT/],
    [['validate', '-o', '/'], /cannot write the output: EISDIR/],
    [['validate', '--unheard-of'], /unknown option '--unheard-of'/],
    [['validate', 'more'], /too many arguments/],
    [['inspect', '--format', 'junit'], /'junit' is not one of text, json/],
    [['hazards', '--only', 'latchy'], /no evidence, reader or hazard 'latchy'.*choose from explored/],
    [['hazards', '--explain', 'latch'], /a reader and a hazard are wanted/],
    [['hazards', '--explain', 'latch', 'update', 'more'], /a reader and a hazard are wanted/],
    [['hazards', '--only', 'seqlock', '--explain', 'latch', 'update'], /'seqlock' is not one of explored/],
    [['hazards', '--explain', 'lach', 'update'], /'lach' is not one of seqlock/],
    [['hazards', '--explain', 'latch', 'updates'], /'updates' is not one of update/],
    [['hazards', '--cpus', '60000'], /may not run on CPU 60000.*choose from/],
    [['hazards', '--seed', '-1'], /'-1' is not an unsigned 64-bit number/],
    [['hazards', '--format', 'junit'], /'junit' is not one of text, json, markdown/],
    [['hazards', '-o', '/nonexistent/report'], /cannot write the output: ENOENT/],
    [['unheard-of'], /unknown command 'unheard-of'/],
  ])('%j', (arguments_, complaint) => {
    const { code, out, err } = latchclock(...arguments_);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toMatch(/^latchclock: [^\n]+\n$/);
    expect(err).toMatch(complaint);
  });

  test('no command at all shows the help', () => {
    const { code, err } = latchclock();
    expect(code).toBe(2);
    expect(err).toContain('Usage: latchclock');
  });
});

describe('a machine that it cannot run on ends with 3 and one line that says why', () => {
  const pretend = (property: string, value: string): string =>
    `data:text/javascript,Object.defineProperty(process,'${property}',{value:'${value}'})`;

  test.each([
    ['arch', 'arm64', /x86-64 Linux only \(this is arm64 linux\)/],
    ['platform', 'darwin', /x86-64 Linux only \(this is x64 darwin\)/],
  ])('%s %s', (property, value, complaint) => {
    const { code, out, err } = runProgram(process.execPath, [
      '--import',
      pretend(property, value),
      BIN,
      'validate',
    ]);
    expect(code).toBe(3);
    expect(out).toBe('');
    expect(err).toMatch(/^latchclock: [^\n]+\n$/);
    expect(err).toMatch(complaint);
  });
});

describe('help', () => {
  test.each([[[]], [['validate']], [['inspect']], [['hazards']]])(
    '%j --help shows options and an example, and ends with 0',
    (command) => {
      const { code, out } = latchclock(...command, '--help');
      expect(code).toBe(0);
      expect(out).toContain('Usage: latchclock');
      expect(out).not.toContain('default: []');
      if (command.length > 0) expect(out).toContain('Examples:\n  latchclock');
    },
  );
});
