import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { LatchclockError } from '../../lib/errors.ts';
import { BUNDLED_LEAP_TABLE } from '../../lib/leap/bundled.ts';
import { findLeapTable, readLeapTable, SYSTEM_PATHS } from '../../lib/leap/find.ts';
import { parseLeapSecondsList } from '../../lib/leap/leap-seconds-list.ts';
import { parseTzLeapseconds } from '../../lib/leap/tz-leapseconds.ts';

const LIST = readFileSync(new URL('../fixtures/leap-seconds.list', import.meta.url), 'latin1');
const [LIST_PATH] = SYSTEM_PATHS;
const TZ_PATH = '/usr/share/zoneinfo/leapseconds';
const IN_2026 = BigInt(Date.parse('2026-11-01') / 1000);
const IN_2028 = BigInt(Date.parse('2028-01-01') / 1000);

/** tzdata's `leapseconds`, in its form, for the rows of the list. */
function tzText(): string {
  const { entries, updated, expires } = parseLeapSecondsList(LIST);
  const rows = entries.slice(1).map(({ unixSeconds }) => {
    const [, day, month, year] = new Date(Number(unixSeconds - 86_400n) * 1000).toUTCString().split(' ');
    return `Leap\t${year}\t${month}\t${Number(day)}\t23:59:60\t+\tS`;
  });
  const stamps = [`#updated ${updated} (2026)`, `#expires ${expires} (2027)`];
  return ['# Allowance for leap seconds', ...rows, '', ...stamps, ''].join('\n');
}

const reading = (files: Record<string, string>) => (path: string) => {
  const text = files[path];
  if (text === undefined) throw new LatchclockError('ERR_FILE', 'cannot open: ENOENT', { where: path });
  return new TextEncoder().encode(text);
};

/** The table of a `leapseconds` that was made before that of the list, and covers less. */
const OLD_TZ = tzText().replace(/#expires \d+/, '#expires 1782604800');

describe('the copy that the package brings', () => {
  test('is the list that tzdata 2026f ships', () => {
    expect(BUNDLED_LEAP_TABLE).toEqual(parseLeapSecondsList(LIST));
  });
});

describe("the system's table", () => {
  test('is the list, where it is sound', () => {
    const files = { [LIST_PATH]: LIST, [TZ_PATH]: 'junk' };
    const found = findLeapTable(reading(files), IN_2026);
    expect(found).toEqual({
      source: LIST_PATH,
      isBundled: false,
      table: BUNDLED_LEAP_TABLE,
      reason: 'it covers most, until 2027-06-28',
      notes: [expect.stringMatching(/^Not used: .*\/usr\/share\/zoneinfo\/leapseconds/)],
    });
  });

  // Of tables that cover the same the system's comes before the copy.
  test.each([
    ['missing', {}],
    ['cut short', { [LIST_PATH]: LIST.slice(0, LIST.lastIndexOf('#h')) }],
    ['changed', { [LIST_PATH]: LIST.replace('4023129600', '4023129601') }],
  ])('is leapseconds, where the list is %s; what was passed over is told', (state, files) => {
    const found = findLeapTable(reading({ ...files, [TZ_PATH]: tzText() }), IN_2026);
    expect(found.source).toBe(TZ_PATH);
    expect(found.table.entries).toEqual(BUNDLED_LEAP_TABLE.entries);
    expect(found.notes).toHaveLength(state === 'missing' ? 0 : 1);
    if (state !== 'missing') expect(found.notes[0]).toMatch(/^Not used: .*leap-seconds\.list/);
  });

  test('is the one that covers most, whatever its place, and that is said', () => {
    const old = { [TZ_PATH]: OLD_TZ };
    // Red before: an expired table of the system won over a newer copy.
    expect(findLeapTable(reading(old), IN_2026)).toEqual({
      source: 'bundled copy of 2026-07-06',
      isBundled: true,
      table: BUNDLED_LEAP_TABLE,
      reason: 'it covers most, until 2027-06-28',
      notes: [`Not used: ${TZ_PATH}, which covers less, until 2026-06-28.`],
    });
    const newer = OLD_TZ.replace('#expires 1782604800', '#expires 1861920000');
    const found = findLeapTable(reading({ [LIST_PATH]: LIST, [TZ_PATH]: newer }), IN_2026);
    expect(found).toMatchObject({ source: TZ_PATH, reason: 'it covers most, until 2029-01-01', notes: [] });
  });

  test('may have no expiry: that covers all, unless another table has a leap second that it lacks', () => {
    const endless = tzText().replace(/#expires.*\n/, '');
    expect(findLeapTable(reading({ [LIST_PATH]: LIST, [TZ_PATH]: endless }), IN_2026)).toMatchObject({
      source: TZ_PATH,
      reason: 'it covers most, for ever',
    });
    const stale = endless.replace(/^Leap\t2016.*\n/m, '');
    expect(findLeapTable(reading({ [LIST_PATH]: LIST, [TZ_PATH]: stale }), IN_2026).source).toBe(LIST_PATH);
    expect(findLeapTable(reading({ [TZ_PATH]: stale }), IN_2026).isBundled).toBe(true);
  });

  test('is warned of from a month before its expiry', () => {
    const expires = BUNDLED_LEAP_TABLE.expires as bigint;
    const notesAt = (seconds: bigint): string[] =>
      findLeapTable(reading({ [LIST_PATH]: LIST }), seconds).notes;
    expect(notesAt(expires - 31n * 86_400n)).toEqual([]);
    expect(notesAt(expires - 31n * 86_400n + 1n)).toEqual([
      'The table expires on 2027-06-28, in 30 days: get a newer one.',
    ]);
    expect(notesAt(expires - 1n)).toEqual([expect.stringContaining('in 0 days')]);
    expect(notesAt(expires)).toEqual([expect.stringMatching(/^The table expired on 2027-06-28/)]);
  });

  test("is this package's copy where there is none, and that is told", () => {
    const { isBundled, source, notes } = findLeapTable(reading({}), IN_2026);
    expect({ isBundled, source }).toEqual({ isBundled: true, source: 'bundled copy of 2026-07-06' });
    expect(notes).toEqual([expect.stringMatching(/no sound table.*package's own, of 2026-07-06/)]);
  });

  test.each([
    ['list', { [LIST_PATH]: LIST }],
    ['copy', {}],
  ])('an expiry that has passed is told (%s)', (_, files) => {
    const { notes } = findLeapTable(reading(files), IN_2028);
    expect(notes.at(-1)).toMatch(/expired on 2027-06-28/);
  });

  test('of this machine, or the copy, has the leap second of 2016', () => {
    const found = findLeapTable((path) => {
      try {
        return readFileSync(path);
      } catch {
        throw new LatchclockError('ERR_FILE', 'cannot open', { where: path });
      }
    }, IN_2026);
    expect(found.table.entries.some(({ taiOffsetSeconds }) => taiOffsetSeconds === 37)).toBe(true);
  });

  test('an error that is none of this package is not swallowed', () => {
    const broken = () => {
      throw new TypeError('broken');
    };
    expect(() => findLeapTable(broken, IN_2026)).toThrow(TypeError);
  });
});

describe('a table that is given', () => {
  test('may be of either kind', () => {
    for (const text of [LIST, tzText(), LIST.replaceAll('\n', '\r'), tzText().replaceAll('\n', '\r')]) {
      const found = readLeapTable(reading({ table: text }), 'table', IN_2026);
      expect(found).toMatchObject({ source: 'table', isBundled: false, notes: [] });
      expect(found.table.entries).toEqual(BUNDLED_LEAP_TABLE.entries);
      expect(found.table.expires).toBe(BUNDLED_LEAP_TABLE.expires);
    }
  });

  test.each([
    [
      'a hash that does not match',
      LIST.replace('4023129600', '4023129601'),
      /hash does not match.*\(table\)/,
    ],
    ['a list cut short before its hash', LIST.slice(0, LIST.lastIndexOf('#h')), /no #h line.*cut short/],
    ['a list cut short in a row', LIST.slice(0, LIST.indexOf('3692217600') + 12), /table, line/],
    ['leapseconds cut short', tzText().slice(0, tzText().indexOf('#updated')), /#updated is missing/],
    ['nothing', '', /no entry/],
    ['a leap of 2 s', LIST.replace(/37(\s+# 1 Jan 2017)/, '38$1'), /changes by 2 s.*table, line/],
    ['rows that are not sorted', LIST.replace(/3644697600/, '3700000000'), /table, line/],
  ])('%s is refused with the file, the reason and what to do', (_, text, reason) => {
    const read = (): unknown => readLeapTable(reading({ table: text }), 'table', IN_2026);
    expect(read).toThrow(reason);
    expect(read).toThrow(/; (give|get) /);
    expect(read).toThrow(expect.objectContaining({ code: 'ERR_BAD_LEAP_TABLE' }));
  });

  test('and missing is ERR_FILE', () => {
    expect(() => readLeapTable(reading({}), 'table', IN_2026)).toThrow(
      expect.objectContaining({ code: 'ERR_FILE', where: 'table' }),
    );
  });
});

describe("tzdata's leapseconds", () => {
  const head = 'Leap\t1972\tJun\t30\t23:59:60\t+\tS\n';
  const tail = '#updated 1783323897 (2026-07-06)\n';

  test('negative leap seconds, the row Expires and CRLF are read', () => {
    const text = `${head}Leap 1980 Dec 31 23:59:59 - S\nExpires 2027 Jun 28 00:00:00\n${tail}`;
    const table = parseTzLeapseconds(text.replaceAll('\n', '\r\n'));
    expect(table.entries.map(({ taiOffsetSeconds }) => taiOffsetSeconds)).toEqual([10, 11, 10]);
    expect(table).toMatchObject({ updated: 1_783_323_897n, expires: null, hash: 'absent' });
  });

  test.each([
    ['a rolling leap second', head.replace('S\n', 'R\n'), /kind 'R'.*line 1/],
    ['a positive one at 23:59:59', head.replace(':60', ':59'), /sign \+ is not at 23:59:59/],
    ['a negative one at 23:59:60', head.replace('+', '-'), /sign - is not at 23:59:60/],
    ['a leap of 2 s', head.replace('+', '++'), /neither a comment nor.*line 1/],
    ['the same twice', head + head, /not later than the one before.*line 2/],
    ['a day that the month lacks', head.replace('30', '31'), /no 31 Jun 1972/],
    ['another line', `${head}Zone x\n`, /neither a comment nor a leap second.*line 2/],
    ['no leap second', tail, /no entry/],
  ])('%s is refused with the line', (_, text, reason) => {
    expect(() => parseTzLeapseconds(text + tail)).toThrow(reason);
  });
});
