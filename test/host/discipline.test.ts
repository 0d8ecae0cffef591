import { describe, expect, test } from 'vitest';
import { pendingLeap, stateInWords, statusNames, whyTaiIsLeftOut } from '../../lib/host/discipline.ts';
import { simulatedHost } from '../support/simulated-host.ts';

describe('the discipline in words', () => {
  test('has the names of the bits of its status, and tells bits without a name', () => {
    expect(statusNames(0)).toEqual([]);
    expect(statusNames(0x2051)).toEqual(['STA_PLL', 'STA_INS', 'STA_UNSYNC', 'STA_NANO']);
    expect(statusNames(0xffff)).toHaveLength(16);
    expect(statusNames(0x30000 | 0x40)).toEqual(['STA_UNSYNC', '0x30000']);
    expect(statusNames(-1).at(-1)).toBe('0xffff0000');
  });

  test('has the names of its states', () => {
    expect([0, 1, 2, 3, 4, 5].map((state) => stateInWords(state).name)).toEqual([
      'TIME_OK',
      'TIME_INS',
      'TIME_DEL',
      'TIME_OOP',
      'TIME_WAIT',
      'TIME_ERROR',
    ]);
    expect(stateInWords(6)).toEqual({ name: 'state 6', meaning: 'not known' });
  });

  test.each([
    ['no flag', 0, 0x2001, null],
    ['no flag and no synchronisation', 5, 0x40, null],
    ['a flag that the kernel has not looked at yet', 0, 0x10, { sign: 1, when: 'ahead', by: 'STA_INS' }],
    ['a state whose flag is gone already', 2, 0, { sign: -1, when: 'ahead', by: 'TIME_DEL' }],
    ['a second that passes', 3, 0, { sign: 1, when: 'now', by: 'TIME_OOP' }],
    ['a flag that is left', 4, 0x20, { sign: -1, when: 'over', by: 'STA_DEL' }],
    ['a state that is left for a moment', 4, 0, null],
    ['both flags', 1, 0x30, { sign: null, when: 'ahead', by: 'STA_INS and STA_DEL' }],
  ])('tells of a leap second by %s', (_, state, status, pending) => {
    expect(pendingLeap({ state, status })).toEqual(pending);
  });
});

describe('tai beside the kernel', () => {
  const why = (taiOffsetSeconds: number): string | null =>
    whyTaiIsLeftOut(simulatedHost({ adjtimex: { taiOffsetSeconds } }).addon, 37);

  test('is compared where the kernel has the offset of the table, and nowhere else', () => {
    expect(why(37)).toBeNull();
    expect(why(0)).toContain('never set');
    expect(why(35)).toBe("the kernel's TAI offset is 35 s, the leap table's 37 s");
    expect(why(-37)).toContain('-37 s');
    expect(why(38)).toContain('38 s');
  });

  test('is left out where a sandbox refuses to tell the offset', () => {
    expect(whyTaiIsLeftOut(simulatedHost({ refusedCalls: 'EPERM' }).addon, 37)).toContain('refused');
  });
});
