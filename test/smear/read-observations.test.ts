import { describe, expect, test } from 'vitest';
import { parseOffset } from '../../lib/smear/measured-offset.ts';
import { NTP_FORMATS } from '../../lib/smear/ntp-formats.ts';
import {
  MOST_CLOCKS,
  MOST_OBSERVATIONS,
  type ReadOptions,
  readObservations,
} from '../../lib/smear/read-observations.ts';
import { AROUND } from './support.ts';

const SECOND = 1_000_000_000n;
const { timeline, leap } = AROUND[1];
/** 2016-12-31 12:00:00 UTC, TAI. */
const NOON = (1_483_185_600n + 36n) * SECOND;
const MS = 1_000_000n;

function read(text: string, options: Partial<ReadOptions> = {}) {
  const defaults = { timeline, leap, format: null, ahead: null, at: null, source: 'a test' };
  return readObservations(text, { ...defaults, ...options });
}

/** One line of each format, for a server that is 12.5 ms ahead of this host at noon. */
const LINES: readonly (readonly [string, string, string | null])[] = [
  ['chronyc -c sources', '^,*,203.0.113.15,2,6,377,30,-0.001,-0.0125,0.004', '2016-12-31T12:00:30Z'],
  ['chronyc -c sources', '#,*,203.0.113.15,0,4,377,0,-0.0125,-0.0125,0.000001', '1483185600'],
  ['chronyc -c sourcestats', '203.0.113.15,11,5,2763,-0.001,0.045,-0.012500000,0.000025', 'mjd:57753.5'],
  [
    'measurements.log',
    '2016-12-31 12:00:00 203.0.113.15    N  2 111 111 1111   6  6 0.00  1.250e-02  2.296e-01  1.577e-05  1.615e-01  7.446e-03 CB00717B 4B D K',
    null,
  ],
  [
    'tracking.log',
    '2016-12-31 12:00:00 203.0.113.15     2     -3.541      0.075 -1.250e-02 N  2  2.940e-03 -2.084e-04  1.534e-02  3.472e-04  8.304e-03',
    null,
  ],
  ['peerstats', '57753 43200.000 203.0.113.15 9714 0.012500000 0.000300000 0.001424877 0.000958674', null],
  [
    'rawstats',
    '57753 43200.000 203.0.113.15 192.0.2.5 3692174399.900000000 3692174399.962500000 3692174399.962600000 3692174400.000100000 0 4 4 1 8 -21 0.000000 0.000320 .PPS.',
    null,
  ],
  [
    'ntpq -p',
    '*203.0.113.15    .GPS.            1 u   30   64  377    0.300   12.500   0.012',
    'unix:1483185630',
  ],
  ['plain', '1483185600 12.5ms 203.0.113.15', null],
  ['plain', '2016-12-31T12:00:00Z,0.0125,203.0.113.15', null],
];

describe('what programs write', () => {
  test.each(LINES)('%s is known by its line, and has its sign and its instant: %s', (format, line, at) => {
    for (const given of [null, format]) {
      const found = read(`${line}\r\n`, { at, format: given });
      const observation = { taiNs: NOON, offsetNs: 12_500_000n };
      expect(found).toEqual({ format, clocks: [{ name: '203.0.113.15', observations: [observation] }] });
    }
    if (at !== null) {
      expect(read(`${at}\n${line}`).clocks[0]?.observations[0]?.taiNs).toBe(NOON);
      expect(() => read(line)).toThrow(/does not say when it was \(a test, line 1\); give --at/);
    }
  });

  test('has a line of every format in this test', () => {
    expect([...new Set(LINES.map(([format]) => format))].toSorted()).toEqual(
      NTP_FORMATS.map(({ name }) => name).toSorted(),
    );
  });

  test('are tables with headings, and servers that gave nothing', () => {
    const table = [
      '     remote           refid      st t when poll reach   delay   offset  jitter',
      '==============================================================================',
      ' 0.pool.example  .POOL.          16 p    -   64    0    0.000    0.000   0.000',
      '*192.0.2.1       .GPS.            1 u   2m   64  377    0.123  -12.500   0.012',
      '+192.0.2.2       192.0.2.1        2 u    1   64  377    0.123    0.500   0.012',
      ' 192.0.2.3       .INIT.          16 u    -   64    0    0.000    0.000   0.000',
    ].join('\n');
    const { clocks } = read(table, { at: '1483185600' });
    expect(clocks.map(({ name }) => name)).toEqual(['192.0.2.1', '192.0.2.2']);
    expect(clocks[0]?.observations).toEqual([{ taiNs: NOON - 120n * SECOND, offsetNs: -12_500_000n }]);
    const log = `${'='.repeat(40)}\n   Date (UTC) Time     IP Address   L St\n${'='.repeat(40)}\n${LINES[3]?.[1]}`;
    expect(read(log).format).toBe('measurements.log');
  });

  test('of packets that ntpd sent is nothing', () => {
    const sent =
      '57753 43199.000 203.0.113.15 192.0.2.5 3692174399.9 0.000000000 0.000000000 3692174399.9 0 4 3 0';
    const line = LINES.find(([format]) => format === 'rawstats')?.[1];
    expect(read(`${sent}\n${line}`).clocks[0]?.observations).toHaveLength(1);
    expect(() => read(sent)).toThrow(/there is no observation/);
  });

  test.each(LINES)('%s, with a line that is cut, is refused with its number: %s', (format, line, at) => {
    const cut = format === 'plain' ? '1483185600' : line.slice(0, line.length / 3);
    const text = format === 'plain' ? `${line}\n\nx` : `${line}\n\n${cut}`;
    expect(() => read(text, { at })).toThrow(/is no line of .*\(a test, line 3\)/);
  });

  test('without a sign is told one, and with a sign none', () => {
    expect(read('1483185600 0.1', { ahead: 'host' }).clocks[0]?.observations[0]?.offsetNs).toBe(-100n * MS);
    const line = LINES[3]?.[1] as string;
    expect(() => read(line, { ahead: 'host' })).toThrow(
      /measurements.log is positive where the server is ahead/,
    );
    expect(read(line, { ahead: 'server' }).clocks).toHaveLength(1);
  });

  test('is bounded: lines, their length, clocks; and names go to no terminal with control characters', () => {
    expect(() => read('1483185600 0.1\n'.repeat(MOST_OBSERVATIONS + 1))).toThrow(
      /more than 100000.*line 100001/,
    );
    const many = Array.from({ length: MOST_CLOCKS + 1 }, (_, i) => `1483185600 0.1 s${i}`).join('\n');
    expect(() => read(many)).toThrow(/more than 1000 clocks/);
    expect(() => read('1'.repeat(5000))).toThrow(/more than 4096 characters/);
    const error = (() => {
      try {
        return read('1483185600 0.1 \u001b[31m');
      } catch (caught) {
        return caught as Error;
      }
    })();
    expect((error as Error).message).toBe(
      "'?[31m' is no name of a server (a test, line 1); mend or remove the line",
    );
    for (const text of ['', '\n#\n', 'x', '1483185600 0.1 a b', 'a,b,c,d,e,f,g,h']) {
      expect(() => read(text)).toThrow(expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }));
    }
    expect(() => read('x', { format: 'syslog' })).toThrow(/no format 'syslog'/);
  });
});

describe('an offset', () => {
  test.each([
    ['0', 0n],
    ['-4.966e-03', -4_966_000n],
    ['+1.5us', 1500n],
    ['0.0000000005', 1n],
    ['-0.0000000005', -1n],
    ['3\u00b5s', 3000n],
    ['7ns', 7n],
    ['1e3', 1000n * SECOND],
  ])('%s is %d ns', (text, ns) => expect(parseOffset(text)).toBe(ns));

  test.each(['', '-', '.5', '1e', '1e99', '1 ms', '0x1', 'NaN', '1m', '9'.repeat(13)])('%j is none', (text) =>
    expect(parseOffset(text)).toBeNull(),
  );
});
