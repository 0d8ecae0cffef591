import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { collectNames, parseChoice, parseCpuList, parseSeed } from '../../lib/cli/values.ts';
import { LatchclockError } from '../../lib/errors.ts';

describe('parseCpuList', () => {
  test.each([
    ['0', [0]],
    ['0,2-5', [0, 2, 3, 4, 5]],
    ['8-14:2', [8, 10, 12, 14]],
    ['8-13:2', [8, 10, 12]],
    ['3,1,1-3', [1, 2, 3]],
    [' 0 , 1 ', [0, 1]],
  ])('takes %s as taskset does', (text, cpus) => {
    expect(parseCpuList(text)).toEqual(cpus);
  });

  test.each(['', ',', '1-', '-1', '2-1', 'a', '0x1', '1-4:0', '1:2', '70000', '99999999', '1,,2', '1.5'])(
    "refuses '%s'",
    (text) => {
      expect(() => parseCpuList(text)).toThrow(LatchclockError);
    },
  );

  test('any text gives CPUs or ERR_BAD_ARGUMENT, in bounded time', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          expect(parseCpuList(text).every((cpu) => Number.isInteger(cpu) && cpu >= 0 && cpu < 65536)).toBe(
            true,
          );
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_BAD_ARGUMENT' });
        }
      }),
    );
  });
});

describe('parseSeed', () => {
  test('takes decimal and hexadecimal numbers up to 2^64 - 1', () => {
    expect(parseSeed('0')).toBe(0n);
    expect(parseSeed('18446744073709551615')).toBe((1n << 64n) - 1n);
    expect(parseSeed('0xFfFfFfFfFfFfFfFf')).toBe((1n << 64n) - 1n);
  });

  test.each(['', '-1', '1e3', '18446744073709551616', '0x', '0x10000000000000000', '0b1', ' 1', 'one'])(
    "refuses '%s'",
    (text) => {
      expect(() => parseSeed(text)).toThrow('is not an unsigned 64-bit number');
    },
  );
});

test('parseChoice gives the choice, and refuses any other text with the choices', () => {
  expect(parseChoice('--format', 'json', ['text', 'json'])).toBe('json');
  expect(() => parseChoice('--format', 'JSON', ['text', 'json'])).toThrow('one of text, json (--format)');
});

test('collectNames joins lists and uses of an option', () => {
  expect(collectNames('c, d', collectNames('a,b', []))).toEqual(['a', 'b', 'c', 'd']);
});
