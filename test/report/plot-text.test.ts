import { describe, expect, test } from 'vitest';
import { bars, curve } from '../../lib/report/plot-text.ts';

describe('bars', () => {
  test('go from nothing to a full block in eighths, and no further', () => {
    const eighths = Array.from({ length: 9 }, (_, i) => i / 8);
    expect(bars(eighths)).toBe(' ▁▂▃▄▅▆▇█');
    expect(bars([-1, 2])).toBe(' █');
  });
});

describe('a curve', () => {
  test('that falls goes from the first dot of the top to the last of the bottom', () => {
    const lines = curve([3, 2, 1, 0], { width: 2, height: 1, low: 0, high: 3 });
    expect(lines).toEqual(['⠑⢄']);
  });

  test('that is flat at the low end lies in the lowest dots, at the high end in the highest', () => {
    expect(curve([0, 0], { width: 2, height: 2, low: 0, high: 1 })).toEqual(['', '⣀⣀']);
    expect(curve([1, 1], { width: 2, height: 2, low: 0, high: 1 })).toEqual(['⠉⠉', '']);
  });

  test('that jumps is joined by a line', () => {
    const lines = curve([0, 0, 1, 1], { width: 2, height: 2, low: 0, high: 1 });
    expect(lines).toEqual([' ⡏', '⣀⠇']);
  });

  test('without a range is a line in the middle', () => {
    expect(curve([5, 5], { width: 1, height: 1, low: 5, high: 5 })).toEqual(['⠤']);
  });
});
