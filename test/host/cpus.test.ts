import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseCpuList } from '../../lib/cli/values.ts';
import { formatCpuList, nameCpus } from '../../lib/host/cpus.ts';

test.each([
  [[0], '0'],
  [[0, 1], '0-1'],
  [[0, 2], '0,2'],
  [[0, 2, 4], '0-4:2'],
  [[0, 2, 3, 4], '0,2-4'],
  [[8, 0, 5, 2, 11, 4, 3, 14], '0,2-5,8-14:3'],
  [[3, 3, 3], '3'],
  [[], ''],
])('the CPUs %j are %s, as taskset takes them', (cpus, text) => {
  expect(formatCpuList(cpus)).toBe(text);
});

test('a list that is not cut short is read back as it was', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 200 }), { minLength: 1, maxLength: 16 }), (cpus) => {
      expect(parseCpuList(formatCpuList(cpus))).toEqual(cpus.toSorted((a, b) => a - b));
    }),
  );
});

test('the text is of bounded length, and says how many CPUs it leaves out', () => {
  const squares = Array.from({ length: 200 }, (_, index) => index * index);
  expect(formatCpuList(squares)).toMatch(/^0-1,4,9,.* and 183 more$/);
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 65_535 }), { maxLength: 500 }), (cpus) => {
      expect(formatCpuList(cpus).length).toBeLessThan(300);
    }),
  );
});

test('one CPU is named in the singular', () => {
  expect(nameCpus([7])).toBe('CPU 7');
  expect(nameCpus([0, 1])).toBe('CPUs 0-1');
});
