import { describe, expect, test } from 'vitest';
import { changesBetween, type EarlierResult, parseEarlier } from '../../lib/bench/earlier.ts';
import type { BenchResult } from '../../lib/bench/model.ts';
import { isLatchclockError } from '../../lib/errors.ts';

const RESULT: EarlierResult = {
  ...{ path: 'vdso', clock: 'monotonic', runtime: 'native', threads: 1 },
  ...{ medianNs: 20, ciNs: [19.9, 20.1] },
};
const REPORT = {
  schema: 'latchclock/bench/1',
  host: { kernel: '6.18', cpuModel: 'CPU' },
  method: { chained: false },
  results: [RESULT],
};

function refusal(text: string): string {
  try {
    parseEarlier(text, 'old.json');
  } catch (error) {
    if (isLatchclockError(error, 'ERR_BAD_ARGUMENT')) return error.message;
    throw error;
  }
  return 'taken';
}

describe('an earlier report', () => {
  test('is taken as it was written', () => {
    expect(parseEarlier(JSON.stringify(REPORT), 'old.json')).toEqual({
      results: [RESULT],
      machine: '6.18 on CPU',
      chained: false,
    });
  });

  test.each([
    ['nothing', '', 'no JSON'],
    ['what is cut short', JSON.stringify(REPORT).slice(0, -5), 'cut short'],
    ['another version', JSON.stringify({ ...REPORT, schema: 'latchclock/bench/2' }), 'bench/2'],
    ["another command's", JSON.stringify({ ...REPORT, schema: 'latchclock/validate/1' }), 'validate/1'],
    ['an array', '[]', 'none'],
    ['one without results', JSON.stringify({ ...REPORT, results: undefined }), 'no results'],
    ['a result that is none', JSON.stringify({ ...REPORT, results: [RESULT, 5] }), 'results[1]'],
    [
      'a figure that is none',
      JSON.stringify({ ...REPORT, results: [{ ...RESULT, medianNs: null }] }),
      'medianNs',
    ],
    ['an interval with one end', JSON.stringify({ ...REPORT, results: [{ ...RESULT, ciNs: [1] }] }), 'ciNs'],
  ])('is refused where it is %s, with its name', (_, text, told) => {
    expect(refusal(text)).toContain(told);
    expect(refusal(text)).toContain('old.json');
  });
});

describe('a change', () => {
  const now = (medianNs: number, ciNs: [number, number], more: Partial<BenchResult> = {}): BenchResult => ({
    ...RESULT,
    single: null,
    medianNs,
    ciNs,
    ...more,
  });

  test.each([
    ['slower', now(25, [24, 26])],
    ['faster', now(15, [14, 16])],
    ['same', now(25, [20, 30])],
    // The intervals are apart, but by less than what code placement makes.
    ['same', now(20.5, [20.4, 20.6])],
  ])('is %s by its intervals and by its size', (verdict, after) => {
    expect(changesBetween([RESULT], [after])).toMatchObject([
      { verdict, beforeNs: 20, afterNs: after.medianNs },
    ]);
  });

  test('is told in percent of what was, and only of what both have', () => {
    expect(changesBetween([RESULT], [now(25, [24, 26])])[0]?.percent).toBeCloseTo(25);
    const others = [
      now(25, [24, 26], { threads: 2 }),
      now(25, [24, 26], { runtime: 'js' }),
      now(25, [24, 26], { clock: 'realtime' }),
    ];
    expect(changesBetween([RESULT], others)).toEqual([]);
  });
});
