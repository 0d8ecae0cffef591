import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  describeGroups,
  describeWarped,
  groupByOffset,
  type PairBounds,
} from '../../lib/checks/cpu-groups.ts';

const cycles = (count: number): string => `${count} cycles`;

/** What ping-pong finds, to 50 cycles either way, of counters that are ahead by so much. */
function boundsOf(ahead: ReadonlyMap<number, bigint>): PairBounds[] {
  const cpus = [...ahead.keys()];
  return cpus.flatMap((here, index) =>
    cpus.slice(index + 1).map((there): PairBounds => {
      const offset = (ahead.get(there) as bigint) - (ahead.get(here) as bigint);
      return { pair: [here, there], lowest: offset - 50n, highest: offset + 50n };
    }),
  );
}

describe('CPUs by their offsets', () => {
  test('are the groups that were made, whatever the order and the numbers of the CPUs', () => {
    const group = fc.integer({ min: 0, max: 4 });
    fc.assert(
      fc.property(
        fc.dictionary(fc.integer({ min: 0, max: 99 }).map(String), group, { minKeys: 1 }),
        (made) => {
          const groupOf = new Map(Object.entries(made).map(([cpu, number]) => [Number(cpu), number]));
          const ahead = new Map([...groupOf].map(([cpu, number]) => [cpu, 1_000n * BigInt(number)]));
          const found = groupByOffset([...ahead.keys()], boundsOf(ahead));
          expect(found.flat().toSorted((a, b) => a - b)).toEqual([...ahead.keys()].toSorted((a, b) => a - b));
          for (const members of found) expect(new Set(members.map((cpu) => groupOf.get(cpu))).size).toBe(1);
          expect(found).toHaveLength(new Set(groupOf.values()).size);
        },
      ),
    );
  });

  test('are one group where all bounds hold 0, and nothing is said then', () => {
    const bounds = boundsOf(new Map([0, 1, 2].map((cpu) => [cpu, BigInt(cpu)])));
    const groups = groupByOffset([0, 1, 2], bounds);
    expect(groups).toEqual([[0, 1, 2]]);
    expect(describeGroups(groups, bounds, cycles)).toBe('');
  });

  test('are told against the largest group, with what holds for every pair', () => {
    const ahead = new Map<number, bigint>([
      [0, 900n],
      [1, 0n],
      [2, 10n],
      [3, 0n],
      [4, -700n],
    ]);
    const bounds = boundsOf(ahead);
    const groups = groupByOffset([...ahead.keys()], bounds);
    expect(groups).toEqual([[1, 2, 3], [0], [4]]);
    expect(describeGroups(groups, bounds, cycles)).toBe(
      'CPU 0 is ahead of CPUs 1-3 by 840 cycles or more, CPU 4 is behind CPUs 1-3 by 650 cycles or more',
    );
  });

  test('that are all apart are not all named', () => {
    const ahead = new Map(Array.from({ length: 200 }, (_, cpu) => [cpu, 1_000n * BigInt(cpu)]));
    const bounds = boundsOf(ahead);
    const told = describeGroups(groupByOffset([...ahead.keys()], bounds), bounds, cycles);
    expect(told).toMatch(/, and 195 more groups$/);
    expect(told.length).toBeLessThan(400);
  });

  test('that drift from one to the next are no group of all: each pair of one must hold 0', () => {
    const ahead = new Map(Array.from({ length: 6 }, (_, cpu) => [cpu, 30n * BigInt(cpu)]));
    const bounds = boundsOf(ahead);
    const groups = groupByOffset([...ahead.keys()], bounds);
    expect(groups).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
    ]);
    expect(describeGroups(groups, bounds, cycles)).toContain(
      'CPUs 4-5 are ahead of CPUs 0-1 by 40 cycles or more',
    );
  });
});

describe('pairs of CPUs that went back', () => {
  test('are two groups where every pair of the two did', () => {
    const pairs = [0, 1, 2].flatMap((here) => [3, 5, 7].map((there): [number, number] => [here, there]));
    expect(describeWarped(pairs)).toBe('between CPUs 0-2 and CPUs 3-7:2');
    expect(describeWarped([[0, 1]])).toBe('between CPU 0 and CPU 1');
  });

  test('are counted where they make no groups', () => {
    const pairs: [number, number][] = [
      [0, 1],
      [1, 2],
      [2, 3],
    ];
    expect(describeWarped(pairs)).toBe('in 3 pairs of CPUs 0-3');
  });
});
