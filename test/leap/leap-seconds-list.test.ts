import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isLatchclockError } from '../../lib/errors.ts';
import { parseLeapSecondsList } from '../../lib/leap/leap-seconds-list.ts';
import type { LeapTable } from '../../lib/leap/table.ts';

const LIST = readFileSync(new URL('../fixtures/leap-seconds.list', import.meta.url), 'latin1');
const NTP_TO_UNIX = 2_208_988_800n;

function unix(date: string): bigint {
  return BigInt(Date.parse(`${date}Z`) / 1000);
}

function failure(text: string): unknown {
  try {
    parseLeapSecondsList(text);
  } catch (error) {
    return error;
  }
  return null;
}

/** Writes a table as its publishers do, each hash word without its leading zeros. */
function written({ updated, expires, entries }: Omit<LeapTable, 'hash'>): string {
  const ntp = (unixSeconds: bigint) => String(unixSeconds + NTP_TO_UNIX);
  const rows = entries.map(({ unixSeconds, taiOffsetSeconds }) => [
    ntp(unixSeconds),
    String(taiOffsetSeconds),
  ]);
  const digits =
    [updated, expires].map((time) => (time === null ? '' : ntp(time))).join('') + rows.flat().join('');
  const hash = createHash('sha1').update(digits.replaceAll('-', '')).digest('hex');
  const words = hash.match(/.{8}/g)?.map((word) => Number.parseInt(word, 16).toString(16)) ?? [];
  return [
    ...(updated === null ? [] : [`#$\t${ntp(updated)}`]),
    ...(expires === null ? [] : [`#@\t${ntp(expires)}`]),
    ...rows.map(([time, offset]) => `${time}\t${offset}\t# a comment`),
    `#h\t${words.join(' ')}`,
    '',
  ].join('\n');
}

describe('the list that tzdata 2026f ships', () => {
  const table = parseLeapSecondsList(LIST);

  test('its hash matches', () => {
    expect(table.hash).toBe('match');
  });

  test('it has an offset of 10 s in 1972 and 27 leap seconds up to 2017', () => {
    expect(table.entries).toHaveLength(28);
    expect(table.entries[0]).toEqual({ unixSeconds: unix('1972-01-01T00:00:00'), taiOffsetSeconds: 10 });
    expect(table.entries[27]).toEqual({ unixSeconds: unix('2017-01-01T00:00:00'), taiOffsetSeconds: 37 });
  });

  test('it was updated in July 2026 and still names an expiry in June 2027', () => {
    expect(table.updated).toBe(unix('2026-07-06T07:44:57'));
    expect(table.expires).toBe(unix('2027-06-28T00:00:00'));
  });

  test('it reads the same with CRLF line ends', () => {
    expect(parseLeapSecondsList(LIST.replaceAll('\n', '\r\n'))).toEqual(table);
  });

  test('it reads the same with CR line ends, and after a byte order mark', () => {
    expect(parseLeapSecondsList(LIST.replaceAll('\n', '\r'))).toEqual(table);
    const special = LIST.slice(LIST.indexOf('#$'));
    expect(parseLeapSecondsList(`\uFEFF${special}`)).toEqual(table);
  });

  test('its hash is over the digits in the order of the file, as ntpd computes it', () => {
    // By sha1sum over 3610569600, 3610566000 and the rows: the expiry is written before the update.
    const rows = ['2272060800 10\t# 1 Jan 1972', '2287785600\t11', '2303683200\t12', '2335219200\t13'];
    const more = ['2366755200\t14', '2398291200\t15', '2429913600\t16', '2461449600\t17', '2492985600\t18'];
    const all = [...rows, ...more, '2524521600\t19'].join('\n');
    const hash = '#h 4b304e10 95642b3f c10b91f9 90791725 25f280d0';
    const [update, expiry] = ['#$ \t3610566000', '#@ \t3610569600'];
    expect(parseLeapSecondsList([expiry, update, all, hash].join('\n'))).toMatchObject({
      hash: 'match',
      updated: 3_610_566_000n - NTP_TO_UNIX,
      expires: 3_610_569_600n - NTP_TO_UNIX,
    });
    expect(parseLeapSecondsList([update, expiry, all, hash].join('\n')).hash).toBe('mismatch');
    const split = [hash, rows.join('\n'), expiry, more.join('\n'), '2524521600\t19', update].join('\n');
    expect(parseLeapSecondsList(split).hash).toBe('mismatch');
  });

  test('a changed digit is reported as a mismatch, a missing hash as absent; neither is an error', () => {
    expect(parseLeapSecondsList(LIST.replace('4023129600', '4023129601')).hash).toBe('mismatch');
    expect(parseLeapSecondsList(LIST.replace(/^#h.*$/m, '#')).hash).toBe('absent');
  });

  test('a table without an expiry has none, and its hash is over what is there', () => {
    const table = { updated: null, expires: null, entries: parseLeapSecondsList(LIST).entries };
    expect(parseLeapSecondsList(written(table))).toEqual({ ...table, hash: 'match' });
  });
});

describe('any table', () => {
  const seconds = fc.bigInt({ min: 0n, max: 1n << 33n });
  const tables = fc
    .record({
      updated: fc.option(seconds),
      validFor: fc.option(seconds),
      start: fc.integer({ min: -3, max: 40 }),
      steps: fc.array(fc.record({ months: fc.integer({ min: 1, max: 99 }), sign: fc.constantFrom(1, -1) }), {
        maxLength: 40,
      }),
    })
    .map(({ updated, validFor, start, steps }) => {
      const entries = [{ unixSeconds: unix('1972-01-01T00:00:00'), taiOffsetSeconds: start }];
      let month = 0;
      for (const { months, sign } of steps) {
        month += months;
        entries.push({
          unixSeconds: BigInt(Date.UTC(1972, month, 1) / 1000),
          taiOffsetSeconds: (entries.at(-1)?.taiOffsetSeconds ?? 0) + sign,
        });
      }
      const last = entries.at(-1)?.unixSeconds ?? 0n;
      return { updated, expires: validFor === null ? null : last + validFor, entries };
    });

  test('comes back as written, with negative leap seconds and a hash that matches', () => {
    fc.assert(
      fc.property(tables, (table) => {
        expect(parseLeapSecondsList(written(table))).toEqual({ ...table, hash: 'match' });
      }),
    );
  });
});

describe('malformed and hostile text', () => {
  const row = (day: number, offset: number | string) => `${2_272_060_800 + day * 86_400} ${offset}`;

  test.each([
    ['nothing', '', /no entry \(line 1\)/],
    ['comments alone', '# a\n# b\n', /no entry \(line 3\)/],
    ['a line of prose', `${row(0, 10)}\nnot a table\n`, /neither a comment nor .*\(line 2\)/],
    ['a row without an offset', '2272060800\n', /line 1/],
    ['a row with a third number', `${row(0, 10)} 5`, /line 1/],
    ['a row with a fraction', row(0, '10.5'), /line 1/],
    ['a huge number', `${'9'.repeat(100_000)} 10`, /line 1/],
    ['a row in a file of CRs', `# a\r# b\r${row(0, 10)}\rjunk`, /neither a comment nor .*\(line 4\)/],
    ['a repeated row', `${row(0, 10)}\n${row(0, 11)}`, /not later than the one before \(line 2\)/],
    ['rows in the wrong order', `${row(9, 10)}\n\n${row(1, 11)}`, /not later than the one before \(line 3\)/],
    ['a change of two seconds', `${row(0, 10)}\n${row(1, 12)}`, /changes by 2 s.*\(line 2\)/],
    ['a change of no second', `${row(0, 10)}\n${row(1, 10)}`, /changes by 0 s.*\(line 2\)/],
    ['a leap second at noon', `${row(0, 10)}\n${row(1.5, 11)}`, /not at 00:00:00 UTC \(line 2\)/],
    [
      'a leap second in mid-month',
      `${row(0, 10)}\n${row(183, 11)}`,
      /not at the start of a month \(line 2\)/,
    ],
    [
      'a leap second after the expiry',
      `#@ ${2_272_060_800 + 182 * 86_400 - 1}\n${row(0, 10)}\n${row(182, 11)}`,
      /after the table's own expiry on 1972-06-30 \(line 3\)/,
    ],
    ['an expiry beyond all dates', `#@ 999999999999999999\n${row(0, 10)}`, /expiry is outside of the years/],
    ['an entry beyond all dates', `${row(0, 10)}\n999999999999936000 11`, /outside of the years.*\(line 2\)/],
    ['an update time that is no number', `#$ soon\n${row(0, 10)}`, /#\$ is not followed by.*\(line 1\)/],
    ['an expiry that is no number', `#@\n${row(0, 10)}`, /#@ is not followed by.*\(line 1\)/],
    ['a second expiry', `#@ 1\n#@ 2\n${row(0, 10)}`, /#@ is given twice, first on line 1 \(line 2\)/],
    ['a hash of four words', `${row(0, 10)}\n#h 1 2 3 4`, /five hexadecimal words \(line 2\)/],
  ])('%s is refused with the reason and the line', (_, text, reason) => {
    const error = failure(text);
    expect(isLatchclockError(error, 'ERR_BAD_LEAP_TABLE')).toBe(true);
    expect(String(error)).toMatch(reason);
  });

  test('every prefix is refused, or lacks something of the whole table and its hash', () => {
    const whole = parseLeapSecondsList(LIST);
    for (let length = 0; length < LIST.trimEnd().length; length++) {
      const prefix = LIST.slice(0, length);
      const error = failure(prefix);
      if (error !== null) expect(isLatchclockError(error, 'ERR_BAD_LEAP_TABLE')).toBe(true);
      else expect(parseLeapSecondsList(prefix)).not.toEqual(whole);
    }
  });

  test('mutated text gives a table or an error of this package', () => {
    const character = fc.oneof(
      fc.constantFrom(...'0179 \t\n\r#$@h-+'),
      fc.string({ maxLength: 2, unit: 'binary' }),
    );
    const place = fc.integer({ min: LIST.indexOf('#$'), max: LIST.length - 1 });
    fc.assert(
      fc.property(fc.array(fc.tuple(place, character), { minLength: 1, maxLength: 6 }), (edits) => {
        let text = LIST;
        for (const [at, value] of edits) text = text.slice(0, at) + value + text.slice(at + 1);
        const error = failure(text);
        if (error !== null && !isLatchclockError(error, 'ERR_BAD_LEAP_TABLE')) throw error;
      }),
      { seed: 20_161_231, numRuns: 5000 },
    );
  });
});
