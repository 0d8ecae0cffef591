import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isLatchclockError } from '../../lib/errors.ts';
import { BUNDLED_LEAP_TABLE } from '../../lib/leap/bundled.ts';
import { parseLeapTable } from '../../lib/leap/parse.ts';
import { parseTzif } from '../../lib/leap/tzif.ts';
import { cannotRun, testUnless } from '../support/tools.ts';
import { tzifBytes } from '../support/tzif-builder.ts';

const EXPIRES = 1_782_604_800n;
const { entries } = BUNDLED_LEAP_TABLE;

function failure(bytes: Uint8Array): unknown {
  try {
    return parseTzif(bytes);
  } catch (error) {
    return error;
  }
}

describe('a compiled time zone file', () => {
  test.each([
    ['of version 2, that ends where its leap seconds expire', 2, EXPIRES],
    ['of version 2, that ends nowhere', 2, null],
    ['of version 4, that tells the expiry by a record', 4, EXPIRES],
    ['of version 1, that cannot tell an expiry', 1, null],
  ] as const)('%s has the entries of its table', (_, version, expires) => {
    const bytes = tzifBytes({ entries, expires, version });
    const table = { updated: null, expires, entries, hash: 'absent' };
    expect(parseTzif(bytes)).toEqual(table);
    expect(parseLeapTable(bytes)).toEqual({
      table,
      doubts: expires === null ? [expect.stringMatching(/names no expiry/)] : [],
    });
  });

  test('has negative leap seconds at the end of their second', () => {
    const negative = [
      ...entries.slice(0, 3),
      { unixSeconds: BigInt(Date.parse('1980-01-01') / 1000), taiOffsetSeconds: 11 },
    ];
    expect(parseTzif(tzifBytes({ entries: negative, expires: null, version: 2 })).entries).toEqual(negative);
  });

  testUnless(
    cannotRun('/usr/sbin/zic', ['--version']),
    'that zic has made is read as what it was made of',
    () => {
      const folder = mkdtempSync(join(tmpdir(), 'latchclock-zic-'));
      try {
        const leaps = [
          'Leap 1972 Jun 30 23:59:60 + S',
          'Leap 1973 Dec 31 23:59:59 - S',
          'Leap 1974 Dec 31 23:59:60 + S',
        ];
        for (const expiry of [[], ['Expires 1980 Jun 28 00:00:00']]) {
          writeFileSync(join(folder, 'leaps'), [...leaps, ...expiry, ''].join('\n'));
          writeFileSync(join(folder, 'zone'), 'Zone Test/UTC 0 - UTC\n');
          execFileSync('/usr/sbin/zic', ['-L', 'leaps', '-d', 'out', 'zone'], { cwd: folder });
          const table = parseTzif(readFileSync(join(folder, 'out/Test/UTC')));
          expect(table.entries).toEqual([
            { unixSeconds: 63_072_000n, taiOffsetSeconds: 10 },
            { unixSeconds: BigInt(Date.UTC(1972, 6, 1) / 1000), taiOffsetSeconds: 11 },
            { unixSeconds: BigInt(Date.UTC(1974, 0, 1) / 1000), taiOffsetSeconds: 10 },
            { unixSeconds: BigInt(Date.UTC(1975, 0, 1) / 1000), taiOffsetSeconds: 11 },
          ]);
          expect(table.expires).toBe(expiry.length === 0 ? null : BigInt(Date.UTC(1980, 5, 28) / 1000));
        }
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );

  test.each([1, 2, 4] as const)('of version %d that is cut anywhere is refused as cut', (version) => {
    const bytes = tzifBytes({ entries, expires: version === 1 ? null : EXPIRES, version });
    // A cut before the magic is whole leaves no file of this kind.
    for (let length = 4; length < bytes.length; length++) {
      const error = failure(bytes.subarray(0, length));
      if (!isLatchclockError(error, 'ERR_BAD_LEAP_TABLE')) throw new Error(`${length} bytes were taken`);
      expect(error.message).toMatch(/cut short.*\(byte \d+\)/);
    }
  });

  test.each([20, 24, 28, 32, 36, 40])('whose count at byte %d is huge is refused at once', (at) => {
    const bytes = tzifBytes({ entries, expires: null, version: 2 });
    new DataView(bytes.buffer).setUint32(at, 0xffff_ffff);
    expect(failure(bytes)).toMatchObject({ code: 'ERR_BAD_LEAP_TABLE' });
    expect(String(failure(bytes))).toMatch(/cut short: it has \d+ bytes and counts \d{9,}/);
  });

  test.each([
    ['without leap seconds', { entries: entries.slice(0, 1) }, /has no leap second/],
    [
      'that starts after the first',
      { entries, skip: 3 },
      /before a correction of 4 s are left out \(record 1/,
    ],
    [
      'with a leap of 2 s',
      { entries: entries.filter((_, i) => i !== 5) },
      /changes by 2 s.*\(record 5 of 26\)/,
    ],
    [
      'with a leap second after its expiry',
      { entries, expires: 1_000_000_000n },
      /after the table's own expiry/,
    ],
  ])('%s is refused with the reason', (_, options, reason) => {
    const bytes = tzifBytes({ expires: null, version: 2, ...options });
    expect(String(failure(bytes))).toMatch(reason);
    expect(failure(bytes)).toMatchObject({ code: 'ERR_BAD_LEAP_TABLE' });
  });
});
