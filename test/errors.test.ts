import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isLatchclockError, LatchclockError } from '../lib/errors.ts';

describe('the message', () => {
  test('says in one line what is wrong, where, and what to do', () => {
    const error = new LatchclockError('ERR_FILE', 'no table', { where: '/etc', todo: 'install tzdata' });
    expect(error.message).toBe('no table (/etc); install tzdata');
  });

  test('leaves out what is not known', () => {
    expect(new LatchclockError('ERR_FILE', 'no table').message).toBe('no table');
    expect(new LatchclockError('ERR_FILE', 'no table', { where: '/etc' }).message).toBe('no table (/etc)');
    expect(new LatchclockError('ERR_FILE', 'no table', { todo: 'wait' }).message).toBe('no table; wait');
  });
});

describe('the error', () => {
  test('carries code, errno, system call and cause', () => {
    const cause = new Error('below');
    const error = new LatchclockError('ERR_SYSTEM_CALL', 'failed', {
      errno: 'EPERM',
      syscall: 'clock_gettime',
      cause,
    });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: 'LatchclockError',
      code: 'ERR_SYSTEM_CALL',
      what: 'failed',
      errno: 'EPERM',
      syscall: 'clock_gettime',
      cause,
    });
  });

  test('has no cause of its own if none is given', () => {
    expect(Object.hasOwn(new LatchclockError('ERR_FILE', 'x'), 'cause')).toBe(false);
  });
});

describe('recognising it', () => {
  const error = new LatchclockError('ERR_BAD_PAGE', 'x');

  test('any code will do unless some are named', () => {
    expect(isLatchclockError(error)).toBe(true);
    expect(isLatchclockError(error, 'ERR_FILE', 'ERR_BAD_PAGE')).toBe(true);
    expect(isLatchclockError(error, 'ERR_FILE')).toBe(false);
  });

  test.each([null, undefined, new Error('x'), { code: 'ERR_BAD_PAGE', name: 'LatchclockError' }, 'x'])(
    '%s is another thing',
    (other) => {
      expect(isLatchclockError(other)).toBe(false);
    },
  );
});

test('every code of the type is in the table of codes, and no other', () => {
  const source = readFileSync(new URL('../lib/errors.ts', import.meta.url), 'utf8');
  const described = [...source.matchAll(/^ \* \| `(ERR_\w+)` \|/gm)].map(([, code]) => code);
  const declared = [...source.matchAll(/^ {2}\| '(ERR_\w+)'/gm)].map(([, code]) => code);
  expect(declared.length).toBeGreaterThan(10);
  expect(described).toEqual(declared);
});
