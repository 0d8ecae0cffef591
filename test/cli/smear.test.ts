import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BUNDLED_LEAP_TABLE } from '../../lib/leap/bundled.ts';
import { POLICIES } from '../../lib/smear/policy.ts';
import { BIN, latchclock, ROOT, runProgram } from '../support/run-cli.ts';
import { shippedSchema } from '../support/schema.ts';
import { cannotRun, testUnless } from '../support/tools.ts';
import { tzifBytes } from '../support/tzif-builder.ts';

const LIST = readFileSync(join(ROOT, 'test/fixtures/leap-seconds.list'), 'latin1');
const NAMES = POLICIES.map(({ name }) => name);

/** In a namespace of its own, with nothing where distributions keep the tables. */
const HIDDEN = ['-m', 'sh', '-c', 'mount -t tmpfs none /usr/share/zoneinfo && "$@"', 'sh'];
const noMounts = cannotRun('unshare', [...HIDDEN, 'true']);

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchclock-smear-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text, 'latin1');
  return path;
}

function smearJson(...arguments_: string[]): Record<string, unknown> {
  const { out, err } = latchclock('smear', ...arguments_, '--format', 'json');
  expect(err).toBe('');
  const json = JSON.parse(out) as Record<string, unknown>;
  const validate = shippedSchema('smear-1');
  validate(json);
  expect(validate.errors).toBeNull();
  return json;
}

const COMMANDS: [string, ...string[]][] = [
  ['plan'],
  ['at', 'L'],
  ['diff', 'ntpd', 'meta'],
  ['matrix'],
  ['unsmear', '2016-12-31T23:59:59Z'],
  ['which', 'L=0.5', 'L+1000=0.488'],
];

test('the picture of the README is what `smear plan` draws', () => {
  const { out } = latchclock('smear', 'plan', '--leap', '2016-12-31', '--format', 'svg');
  expect(readFileSync(join(ROOT, 'docs/smear-plan.svg'), 'utf8')).toBe(out);
});

describe.each(COMMANDS)('smear %s', (...command) => {
  test.each([['2016-12-31'], ['-2030-12-31']])('follows the schema for %s', (leap) => {
    const json = smearJson(...command, '--leap', leap);
    expect(json).toMatchObject({
      command: command[0],
      leap: { date: '2016-12-31' === leap ? leap : '2030-12-31', hypothetical: leap !== '2016-12-31' },
    });
  });

  test('in JSON leaves the name of this host out by --no-hostname', () => {
    const { machineIdHash, ...named } = smearJson(...command)['host'] as Record<string, unknown>;
    expect(named['hostname']).toBe(hostname());
    expect(smearJson(...command, '--no-hostname')['host']).toMatchObject({ machineIdHash, hostname: null });
  });

  test('in text keeps to 80 columns, and says what the leap second is and where it is from', () => {
    const table = file('table', LIST);
    const names = ['smoothtime:400,0.001', 'cosine:-4..0.000000007', 'linear:-1.001..0', 'meta'];
    const policies = command[0] === 'diff' ? [] : names.flatMap((name) => ['--policy', name]);
    for (const extra of [[], [...policies, '--leap', '-2030-12-31']]) {
      const { out, err } = latchclock('smear', ...command, '--table', table, ...extra);
      expect(err).toBe('');
      expect(out).toMatch(/(positive leap second of 2016-12-31|hypothetical negative .* of 2030-12-31)/);
      const lines = out.replace(/^table: .*$/m, '').split('\n');
      expect(lines.filter((line) => [...line].length > 80)).toEqual([]);
      // A cell that does not fit its column would be cut.
      expect(lines.filter((line) => /\d…/.test(line))).toEqual([]);
    }
  });
});

describe('smear at', () => {
  const rowsAt = (...arguments_: string[]): Record<string, unknown>[] =>
    smearJson('at', ...arguments_)['rows'] as Record<string, unknown>[];

  test('tells an instant through every policy, or those that are asked for, in their order', () => {
    expect(rowsAt('L+1000').map(({ policy }) => policy)).toEqual(NAMES);
    const asked = ['--policy', 'meta', '--policy', 'aws', '--policy', 'meta'];
    expect(rowsAt('L+1000', ...asked).map(({ policy }) => policy)).toEqual(['meta', 'aws']);
  });

  test.each(['L', 'tai:1483228836', '2016-12-31T23:59:60Z'])('%s is the leap second of 2016', (instant) => {
    expect(rowsAt(instant, '--policy', 'google-24h')).toEqual([
      {
        policy: 'google-24h',
        tai: '1483228836000000000',
        smeared: '1483228799500005787',
        offset: '500005787',
        exactOffset: { numerator: '43201000000000', denominator: '86401' },
        ratePpb: -1e9 / 86_401,
      },
    ]);
  });

  test('an instant without --leap is seen from the nearest leap second, L from the last', () => {
    expect(smearJson('at', '2009-03-01T00:00:00Z')).toMatchObject({ leap: { date: '2008-12-31' } });
    expect(smearJson('at', 'L-300000000')).toMatchObject({ leap: { date: '2016-12-31' } });
    expect(smearJson('at', '2009-03-01T00:00:00Z', '--leap', '2005-12-31')).toMatchObject({
      leap: { date: '2005-12-31' },
    });
  });

  test('a supposed leap second is told in a year that no table knows', () => {
    const [row] = rowsAt('2035-06-30T23:59:58.5Z', '--leap', '-2035-06-30', '--policy', 'step');
    // The last half second before 00:00:00: 23:59:59 is left out.
    expect(row).toMatchObject({ offset: '-1000000000', ratePpb: 0 });
  });
});

describe('smear unsmear', () => {
  test('tells when a clock showed a time, from the nearest leap second', () => {
    const json = smearJson('unsmear', '2016-12-31T18:00:00Z', '--policy', 'google-24h');
    expect(json['rows']).toEqual([
      {
        policy: 'google-24h',
        instants: [
          { tai: '1483207236250000000', utc: '2016-12-31T18:00:00.25Z', fromLeap: '-21599750000000' },
        ],
      },
    ]);
    expect(smearJson('unsmear', '2009-01-01T03:00:00Z')).toMatchObject({ leap: { date: '2008-12-31' } });
  });

  test('tells both times of a second that is repeated, and that one left out never was', () => {
    const step = ['--policy', 'step'];
    const twice = latchclock('smear', 'unsmear', '2016-12-31T23:59:59Z', ...step).out;
    expect(twice).toContain('2016-12-31T23:59:59Z');
    expect(twice).toContain('2016-12-31T23:59:60Z');
    const never = latchclock('smear', 'unsmear', '2030-12-31T23:59:59Z', ...step, '--leap', '-2030-12-31');
    expect(never.out).toContain('never');
  });
});

describe('smear diff and matrix', () => {
  test('find the 125 ms between meta and chrony', () => {
    const worst = { worst: '-125000000', boundNs: 0.5, at: { fromLeap: '15625000000000' } };
    expect(smearJson('diff', 'meta', 'chrony')).toMatchObject(worst);
    const cells = smearJson('matrix')['cells'] as Record<string, unknown>[];
    expect(cells).toHaveLength((NAMES.length * (NAMES.length - 1)) / 2);
    expect(cells.find(({ a, b }) => a === 'meta' && b === 'chrony')).toMatchObject(worst);
  });

  test('say so of one policy by two names', () => {
    expect(latchclock('smear', 'diff', 'aws', 'google-24h').out).toContain('the same everywhere');
    expect(latchclock('smear', 'matrix', '--policy', 'aws', '--policy', 'google-24h').out).toContain('same');
    expect(latchclock('smear', 'matrix', '--policy', 'aws').out).toContain('nothing to compare');
  });
});

describe('smear which', () => {
  test('ends with 0 if it finds the policy', () => {
    const { code, out } = latchclock('smear', 'which', 'L-500=-0.4942', 'L+20000=0.269', '--error', '0.001');
    expect(code).toBe(0);
    expect(out).toMatch(/found: the clock follows google-24h/);
  });

  test('ends with 1 if it cannot tell, and says where to look', () => {
    const { code, out } = latchclock('smear', 'which', 'L=0');
    expect(code).toBe(1);
    expect(out).toMatch(/undecided.*\n→ look at L/);
  });

  test('ends with 1 if no policy explains the clock', () => {
    const { code, out } = latchclock('smear', 'which', 'L-80000=0.3', 'L+80000=0.3');
    expect(code).toBe(1);
    expect(out).toMatch(/none: the clock follows none/);
  });

  test('takes offsets against a clock that smears', () => {
    const { out } = latchclock('smear', 'which', 'L+15625=0.125', 'L+46875=-0.125', '--against', 'meta');
    expect(out).toMatch(/found: the clock follows chrony/);
  });
});

describe('smear which, of what daemons wrote', () => {
  const offsets = [
    ['1483185600', 0],
    ['1483207200', -0.25],
    ['1483228300', -0.494],
    ['1483229799', 0.488],
    ['1483248800', 0.268],
  ] as const;
  const csv = (sign: 1 | -1): string =>
    offsets
      .map(
        ([at, off]) =>
          `${at}\n^,-,a.example,2,6,377,0,${sign * off},${sign * off},0.001\n^,-,b.example,2,6,377,0,0.0001,0.0001,0.001`,
      )
      .join('\n');

  test('gives one answer a server, and says who disagrees with whom', () => {
    const path = file('sources.csv', csv(-1));
    const { code, out } = latchclock('smear', 'which', '--from', path);
    expect(out).toMatch(/a\.example, 5 observations\nfound: the clock follows google-24h \(aws: the same\)/);
    expect(out).toMatch(/b\.example, 5 observations\nfound: the clock follows step/);
    expect(out.replace(/\s+/g, ' ')).toMatch(
      /a\.example \(google-24h\) disagrees with b\.example \(step\): up to 50\d\.\d+ ms apart/,
    );
    expect(code).toBe(1);
    expect(smearJson('which', '--from', path)).toMatchObject({
      positive: 'server-ahead',
      servers: [
        { name: 'a.example', verdict: 'found', telling: 5 },
        { name: 'b.example', verdict: 'found' },
      ],
      disagreements: [
        {
          a: { policy: 'google-24h', servers: ['a.example'] },
          b: { policy: 'step', servers: ['b.example'] },
        },
      ],
    });
  });

  test('notices the other sign, and takes it as either tool has it', () => {
    const wrong = latchclock('smear', 'which', '--from', file('turned.csv', csv(1)));
    expect(wrong.out).toMatch(
      /a\.example, 5 observations\nundecided: they fit nothing with this sign, and google-24h/,
    );
    const arguments_ = ['L-500=494ms', 'L+20000=-268ms'];
    expect(latchclock('smear', 'which', ...arguments_).out).toMatch(
      /undecided.*with this sign, and google-24h/,
    );
    expect(latchclock('smear', 'which', ...arguments_, '--sign', 'chronyc').out).toMatch(/found.*google-24h/);
    const { code, err } = latchclock('smear', 'which', ...arguments_, '--sign', 'cronyc');
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringMatching(/did you mean 'chronyc'/) });
  });

  test('is read from standard input through a pipe, too', () => {
    const path = file('piped.csv', csv(-1));
    const script = `cat ${path} | ${process.execPath} ${BIN} smear which --from - --policy aws --policy step`;
    expect(runProgram('sh', ['-c', script]).out).toMatch(/found: the clock follows aws \(google-24h\)/);
  });

  test('says that nothing can be told where no leap second is near', () => {
    const { code, out } = latchclock('smear', 'which', '2026-01-05T00:00:00Z=0.0001');
    expect(code).toBe(1);
    expect(out).toMatch(/undecided: nothing can be told from this observation/);
    expect(out).not.toMatch(/look at/);
  });

  test('finds the leap second that observations are near, if none is asked for', () => {
    const near = ['2015-06-30T23:51:40Z=-0.494', '2015-07-01T05:33:19Z=0.2686'];
    const { code, out } = latchclock('smear', 'which', ...near);
    expect(code).toBe(0);
    expect(out).toMatch(/leap second of 2015-06-30[\s\S]*found: the clock follows google-24h/);
  });

  test('an error is refused that no policy could be told by', () => {
    expect(latchclock('smear', 'which', 'L=0', '--error', '0.3')).toMatchObject({ code: 2 });
  });

  test('examples of the help and of the documents end decided', () => {
    const help = latchclock('smear', 'which', '--help').out + latchclock('smear', '--help').out;
    const documents = ['README.md', 'docs/smears.md'].map((name) => readFileSync(join(ROOT, name), 'utf8'));
    const examples = [help, ...documents].flatMap((text) =>
      [...text.matchAll(/latchclock smear which (L.*)$/gm)].map(([, all = '']) =>
        all.replace(/ +#.*/, '').split(' '),
      ),
    );
    expect(examples.length).toBeGreaterThan(3);
    for (const example of examples)
      expect(latchclock('smear', 'which', ...example)).toMatchObject({ code: 0 });
  });
});

test('an alias is named as it was given, with what it stands for', () => {
  const at = ['--policy', 'aws', '--policy', 'meta'];
  for (const command of [
    ['plan'],
    ['at', 'L'],
    ['matrix'],
    ['unsmear', '2016-12-31T18:00:00Z'],
    ['which', 'L=0'],
  ]) {
    expect(latchclock('smear', ...command, ...at).out).toMatch(/aws (\(google-24h\)|stands for google-24h)/);
    expect(smearJson(...command, ...at)).toMatchObject({ aliases: { aws: 'google-24h' } });
  }
  expect(latchclock('smear', 'diff', 'aws', 'meta').out).toContain('aws (google-24h) less meta');
  expect(smearJson('diff', 'aws', 'meta')).toMatchObject({ a: 'aws', aliases: { aws: 'google-24h' } });
  for (const command of [
    ['plan', ...at],
    ['diff', 'aws', 'meta'],
    ['matrix', ...at],
  ]) {
    expect(latchclock('smear', ...command, '--format', 'svg').out).toContain('aws (google-24h)');
  }
});

describe('what people hold in their hands', () => {
  test('a compiled file, Leap_Second.dat and a list of CRs are tables; one that is cut is none', () => {
    const bytes = tzifBytes({ entries: BUNDLED_LEAP_TABLE.entries, expires: 1_814_140_800n, version: 4 });
    const path = join(folder, 'right');
    writeFileSync(path, bytes);
    const rows = ['41317.0    1  1 1972       10', '41499.0    1  7 1972       11'];
    const dat = file('Leap_Second.dat', ['#  File expires on 28 June 1973', ...rows, ''].join('\n'));
    const cr = file('cr', LIST.replaceAll('\n', '\r'));
    const at = (table: string, instant: string) =>
      smearJson('at', instant, '--table', table, '--policy', 'meta');
    expect(at(path, '2016-12-31T23:59:60Z')).toMatchObject({
      table: { expires: '1814140800', updated: null },
    });
    expect(at(cr, '2016-12-31T23:59:60Z')).toMatchObject({ table: { expires: '1814140800' } });
    expect(at(dat, '1972-06-30T23:59:60Z')).toMatchObject({
      table: {
        expires: '110073600',
        notes: [expect.stringMatching(/no checksum/), expect.stringMatching(/expired/)],
      },
    });
    writeFileSync(path, bytes.subarray(0, 500));
    const { code, err } = latchclock('smear', 'at', 'L', '--table', path);
    expect(code).toBe(2);
    expect(err).toMatch(/cut short.*right, byte/);
  });

  test("chrony's directive is a policy, unix:SECONDS and now are instants, ntpd's refid is an observation", () => {
    const directive = ['--policy', 'smoothtime 400 0.001 leaponly'];
    expect(smearJson('at', 'unix:1483238799.5', ...directive)).toMatchObject({
      instant: { utc: '2017-01-01T02:46:39.5Z' },
      rows: [{ policy: directive[1], offset: '949995000' }],
    });
    const before = BigInt(Date.now()) * 1_000_000n;
    const { instant } = smearJson('at', 'now', '--policy', 'step', '--assume-no-leaps') as {
      instant: { tai: string };
    };
    const aside = BigInt(instant.tai) - 37_000_000_000n - before;
    expect(aside >= 0n && aside < 60_000_000_000n).toBe(true);
    const { code, out } = latchclock('smear', 'which', 'L-43200=254.224.0.0', 'L-21600=254.208.0.0');
    expect(code).toBe(0);
    expect(out).toMatch(/found: the clock follows ntpsec/);
  });
});

describe('SVG', () => {
  test.each([['plan'], ['diff', 'step', 'utc-sls'], ['matrix']])(
    'of %s is one drawing, with its own namespace and a title',
    (...command) => {
      const path = join(folder, `${command[0]}.svg`);
      const { code, out, err } = latchclock('smear', ...command, '--format', 'svg', '-o', path);
      expect({ code, out, err }).toEqual({ code: 0, out: '', err: '' });
      const svg = readFileSync(path, 'utf8');
      expect(svg).toMatch(/^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
      expect(svg).toMatch(/<title>[^<]*positive leap second of 2016-12-31<\/title>/);
      expect(svg).not.toMatch(/NaN|undefined/);
      for (const name of command.length > 1 ? command.slice(1) : NAMES) expect(svg).toContain(name);
    },
  );
});

describe('tables', () => {
  test('that are expired are told, and hold for what is before', () => {
    const old = file(
      'old',
      // tzdata's form needs no hash.
      'Leap 1972 Jun 30 23:59:60 + S\nLeap 1972 Dec 31 23:59:60 + S\n#updated 63072000\n#expires 126230400\n',
    );
    const { code, out } = latchclock('smear', 'at', '1972-12-31T23:59:60Z', '--table', old);
    expect(code).toBe(0);
    expect(out).toContain('The table expired on 1974-01-01');
    const late = latchclock('smear', 'at', '1974-06-01T00:00:00Z', '--table', old);
    expect(late.code).toBe(2);
    expect(late.err).toMatch(/expired on 1974-01-01, before this.*--table.*--leap/);
  });

  test.each([
    ['at', '2031-01-01T00:00:00Z'],
    ['unsmear', '2031-01-01T00:00:00Z'],
    ['which', '2031-01-01T00:00:00Z=0.1'],
  ])('%s answers past the expiry if no leap second is assumed, and says so', (command, argument) => {
    const table = ['--table', file('whole', LIST)];
    const refused = latchclock('smear', command, argument, ...table);
    expect(refused.code).toBe(2);
    expect(refused.err).toMatch(/expired on 2027-06-28, before this.*--assume-no-leaps/);
    const json = smearJson(command, argument, ...table, '--assume-no-leaps');
    expect(json).toMatchObject({ table: { assumesNoLeapsFrom: '1814140800', reason: 'it was given' } });
    const { out } = latchclock('smear', command, argument, ...table, '--assume-no-leaps');
    expect(out).toMatch(/Assumed, as asked for: no leap second comes from 2027-06-28 on/);
    expect(smearJson('plan', ...table)).toMatchObject({ table: { assumesNoLeapsFrom: null } });
  });

  test.each([
    ['unsmear', 'unix:999999999999999999'],
    ['unsmear', 'unix:8640000000001'],
    ['unsmear', 'unix:-8640000000001'],
    ['unsmear', 'unix:253402300800'],
    ['unsmear', '1971-12-31T23:59:59Z'],
    ['at', 'tai:8640000000001'],
    ['at', 'L+999999999999999999'],
    ['which', 'L-999999999999999999=0.1'],
    ['plan', '--leap', '9999-12-31'],
    ['matrix', '--leap', '9999-12-31'],
    ['diff', 'step', 'meta', '--leap', '9999-12-31'],
  ])('%s %s is wrong usage, with and without an assumption', (...command) => {
    for (const extra of [[], ['--assume-no-leaps']]) {
      const { code, out, err } = latchclock('smear', ...command, ...extra);
      expect({ code, out }).toEqual({ code: 2, out: '' });
      expect(err).toMatch(/^latchclock: (the table of leap seconds expired|this is (before|after)).*\n$/);
    }
  });

  test('that cover less than the copy are not used, and that is told', () => {
    const json = smearJson('plan', '--policy', 'step') as { table: { expires: string; notes: string[] } };
    // Whatever this machine has: nothing that expires before the copy does.
    expect(Number(json.table.expires ?? Infinity)).toBeGreaterThanOrEqual(1_814_140_800);
    const given = file('cut', LIST.slice(0, LIST.lastIndexOf('#h')));
    expect(latchclock('smear', 'plan', '--table', given).err).toMatch(/no #h line.*--unchecked-table/);
    const { code, out } = latchclock('smear', 'plan', '--unchecked-table', given, '--policy', 'step');
    expect(code).toBe(0);
    expect(out).toMatch(/The table is unchecked: there is no #h line/);
    expect(latchclock('smear', 'plan', '--table', given, '--unchecked-table', given).err).toMatch(
      /two tables/,
    );
  });

  testUnless(noMounts, "that are not there are replaced by the package's own, and that is told", () => {
    const { code, out, err } = runProgram('unshare', [...HIDDEN, process.execPath, BIN, 'smear', 'plan']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^table: bundled copy of 2026-07-06$/m);
    expect(out).toMatch(/no sound table of leap seconds/);
  });
});

describe('wrong usage ends with 2 and one line that says what, where and what to do', () => {
  test.each([
    [['at'], /missing required argument/],
    [['at', 'yesterday'], /no instant.*'yesterday'.*give tai:SECONDS/],
    [['at', '2016-12-31T23:59:61Z'], /no such day or time/],
    [['at', '2015-12-31T23:59:60Z'], /no leap second gives this day such a second/],
    [['at', '1960-01-01T00:00:00Z'], /before the table of leap seconds/],
    [['at', 'L', '--policy', 'gogle'], /no policy 'gogle'.*choose from google-24h/],
    [['at', 'L', '--policy', 'linear:5..5'], /window is empty/],
    [['at', 'L', '--policy', 'linear:5..-5'], /ends before it starts/],
    [['at', 'L', '--policy', 'linear:0..0.5'], /stand still or go back/],
    [['plan', '--policy', 'linear:-30000000..30000000'], /leap seconds of 2015-06-30 and 2016-12-31 overlap/],
    [['plan', '--leap', 'tomorrow'], /'tomorrow' is no day/],
    [['plan', '--leap', '2017-01-01'], /give 2016-12-31/],
    [['plan', '--leap', '1971-12-31'], /before the table's start/],
    [['plan', '--format', 'xml'], /'xml' is not one of text, json, svg/],
    [['at', 'L', '--format', 'svg'], /'svg' is not one of text, json/],
    [['plan', '-o', '/nonexistent/plan'], /cannot write the output: ENOENT/],
    [['plan', '--table', '/nonexistent/table'], /cannot open: ENOENT.*\/nonexistent\/table/],
    [['diff', 'meta'], /missing required argument/],
    [['unsmear', '2016-12-31T23:59:60Z'], /shows no second 60/],
    [['which'], /there is no observation.*INSTANT=OFFSET.*--from FILE/],
    [['which', 'L'], /'L' is no observation.*INSTANT=SECONDS/],
    [['which', 'L=fast'], /no observation/],
    [['which', 'L=0', '--error', '0'], /'0' is no error/],
    [['which', 'L=0', '--against', 'me'], /no policy 'me'/],
    [['smooth'], /unknown command 'smooth'/],
  ])('%j', (arguments_, complaint) => {
    const { code, out, err } = latchclock('smear', ...arguments_);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toMatch(/^latchclock: [^\n]+\n$/);
    expect(err).toMatch(complaint);
  });

  test.each([
    ['truncated', LIST.slice(0, LIST.lastIndexOf('#h')), /no #h line/],
    ['cut within a row', LIST.slice(0, LIST.indexOf('3692217600') + 12), /line \d+/],
    ['changed', LIST.replace('4023129600', '4023129601'), /hash does not match/],
    ['with a leap of 2 s', LIST.replace(/37(\s+# 1 Jan 2017)/, '38$1'), /changes by 2 s/],
    ['unsorted', LIST.replace('3644697600', '3755289600'), /not later than the one before/],
    ['empty', '', /no entry/],
  ])('a table that is %s, and nothing is written', (name, text, complaint) => {
    const table = file(`bad ${name}`, text);
    const output = join(folder, 'never');
    const { code, out, err } = latchclock('smear', 'plan', '--table', table, '-o', output);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^latchclock: [^\n]+; g(ive|et) [^\n]+\n$/);
    expect(err).toMatch(complaint);
    expect(err).toContain(table);
    expect(readdirSync(folder).filter((entry) => entry.startsWith('never'))).toEqual([]);
  });

  test('a table without an end is not read without an end', () => {
    const { code, err } = latchclock('smear', 'plan', '--table', '/dev/zero');
    expect(code).toBe(2);
    expect(err.length).toBeLessThan(500);
  });

  test('smear alone shows its help', () => {
    const { code, err } = latchclock('smear');
    expect(code).toBe(2);
    expect(err).toContain('Usage: latchclock smear');
  });
});

test('it answers where the addon cannot be loaded, and says nothing of the host then', () => {
  const pretend = "data:text/javascript,Object.defineProperty(process,'arch',{value:'arm64'})";
  const program = ['--import', pretend, BIN];
  const { code, out } = runProgram(process.execPath, [...program, 'smear', 'at', 'L', '--format', 'json']);
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ command: 'at', host: null });
});

describe('help', () => {
  test.each([[[]], [['plan']], [['at']], [['diff']], [['matrix']], [['unsmear']], [['which']]])(
    'smear %j --help shows an example, and ends with 0',
    (command) => {
      const { code, out } = latchclock('smear', ...command, '--help');
      expect(code).toBe(0);
      expect(out).toContain('Examples:\n  latchclock smear');
    },
  );
});
