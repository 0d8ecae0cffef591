import { closeSync, openSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  CLOCK_IDS,
  CLOCK_NAMES,
  clockIdOfDevice,
  isCoarse,
  PAGE_CLOCKS,
} from '../../lib/page/posix-clocks.ts';

describe('static clock ids', () => {
  test.each([
    ['realtime', 0],
    ['monotonic', 1],
    ['process-cputime', 2],
    ['thread-cputime', 3],
    ['monotonic-raw', 4],
    ['realtime-coarse', 5],
    ['monotonic-coarse', 6],
    ['boottime', 7],
    ['realtime-alarm', 8],
    ['boottime-alarm', 9],
    ['tai', 11],
    ['aux0', 16],
    ['aux1', 17],
    ['aux2', 18],
    ['aux3', 19],
    ['aux4', 20],
    ['aux5', 21],
    ['aux6', 22],
    ['aux7', 23],
  ] as const)('%s is %i, as in include/uapi/linux/time.h', (name, id) => {
    expect(CLOCK_IDS[name]).toBe(id);
  });

  test('there are these nineteen and no more: 10, of a clock that is gone, is not given again', () => {
    expect(CLOCK_NAMES).toHaveLength(19);
    expect(Object.values(CLOCK_IDS)).not.toContain(10);
  });
});

describe('clocks of the page', () => {
  test('are seven, of which two are coarse', () => {
    expect(PAGE_CLOCKS.map((clock) => CLOCK_IDS[clock])).toEqual([0, 1, 4, 7, 11, 5, 6]);
    expect(CLOCK_NAMES.filter(isCoarse)).toEqual(['realtime-coarse', 'monotonic-coarse']);
  });
});

describe('dynamic clock ids', () => {
  test('descriptor 3 is (~3 << 3) | 3', () => {
    expect(clockIdOfDevice(3)).toBe((~3 << 3) | 3);
    expect(clockIdOfDevice(3)).toBe(-29);
  });

  test('every descriptor gives an id of its own, negative, with CLOCKFD in its low bits', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: (1 << 28) - 1 }), (descriptor) => {
        const id = clockIdOfDevice(descriptor);
        expect(id).toBeLessThan(0);
        expect(id & 7).toBe(3);
        expect(~(id >> 3)).toBe(descriptor);
      }),
    );
  });

  test('a file that is no clock has an id that the kernel refuses', async () => {
    const { getAddon } = await import('../../lib/native/load.ts');
    const { ClockPath } = await import('../../lib/native/addon.ts');
    const descriptor = openSync('/dev/null', 'r');
    try {
      expect(() => getAddon().readClock(ClockPath.syscall, clockIdOfDevice(descriptor))).toThrow(
        expect.objectContaining({ code: 'ERR_SYSTEM_CALL', errno: 'EINVAL' }),
      );
    } finally {
      closeSync(descriptor);
    }
  });
});
