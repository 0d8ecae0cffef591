import { describe, expect, test } from 'vitest';
import { BUNDLED_LEAP_TABLE } from '../../lib/leap/bundled.ts';
import { parseIersTable } from '../../lib/leap/iers-table.ts';
import { parseLeapTable } from '../../lib/leap/parse.ts';

const HEAD = `#  Value of TAI-UTC in second valid beetween the initial value until
#  the epoch given on the next line.
#  Updated through IERS Bulletin 73 issued in July 2026
#
#  File expires on 28 June 2027
#
#    MJD        Date        TAI-UTC (s)
`;
const ROWS = BUNDLED_LEAP_TABLE.entries.map(({ unixSeconds, taiOffsetSeconds }) => {
  const date = new Date(Number(unixSeconds) * 1000);
  const [day, month] = [date.getUTCDate(), date.getUTCMonth() + 1].map((n) => String(n).padStart(3));
  return `    ${unixSeconds / 86_400n + 40_587n}.0  ${day}${month} ${date.getUTCFullYear()}       ${taiOffsetSeconds}`;
});
const DAT = `${HEAD}${ROWS.join('\n')}\n`;

describe("IERS's Leap_Second.dat", () => {
  test('has the entries and the expiry of the list, in its own form', () => {
    expect(ROWS[1]).toBe('    41499.0    1  7 1972       11');
    const { entries, expires } = BUNDLED_LEAP_TABLE;
    expect(parseIersTable(DAT)).toEqual({ updated: null, expires, entries, hash: 'absent' });
  });

  test.each(['\n', '\r\n', '\r'])(
    'is known by its rows, with line ends %j, and that it has no checksum is noted',
    (end) => {
      const bytes = new TextEncoder().encode(DAT.replaceAll('\n', end));
      const { table, doubts } = parseLeapTable(bytes);
      expect(table.entries).toEqual(BUNDLED_LEAP_TABLE.entries);
      expect(doubts).toEqual([expect.stringMatching(/no checksum/)]);
      const endless = new TextEncoder().encode(DAT.replace(/# {2}File expires.*/, '#'));
      expect(parseLeapTable(endless).doubts).toEqual([
        expect.stringMatching(/no checksum/),
        expect.stringMatching(/names no expiry/),
      ]);
    },
  );

  test.each([
    ['rows that are missing', DAT.replace(`${ROWS[4]}\n`, ''), /changes by 2 s.*\(line 12\)/],
    [
      'two dates that differ',
      DAT.replace('41499.0    1  7', '41499.0    2  7'),
      /41499 is not the Modified Julian Date of 1972-07-02/,
    ],
    [
      'a date that there is not',
      DAT.replace('41499.0    1  7', '41499.0   31  6'),
      /not the Modified Julian Date/,
    ],
    ['a fraction of a day', DAT.replace('41499.0', '41499.5'), /neither a comment nor a date.*\(line 9\)/],
    ['an expiry that there is not', DAT.replace('28 June', '31 June'), /there is no 31 June 2027 \(line 5\)/],
    ['a row cut short', DAT.slice(0, -4), /neither a comment nor a date.*\(line 35\)/],
    ['a leap second after the expiry', DAT.replace('June 2027', 'June 2016'), /after the table's own expiry/],
    ['no row', HEAD, /no entry/],
  ])('with %s is refused with the line', (_, text, reason) => {
    expect(() => parseIersTable(text)).toThrow(reason);
    expect(() => parseIersTable(text)).toThrow(expect.objectContaining({ code: 'ERR_BAD_LEAP_TABLE' }));
  });
});
