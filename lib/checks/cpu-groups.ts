import { nameCpus } from '../host/cpus.js';
import { plural } from './format.js';

/** Bounds of `counter there - counter here`, cycles, for a pair of CPUs. */
export interface PairBounds {
  pair: readonly [here: number, there: number];
  lowest: bigint;
  highest: bigint;
}

const MOST_NAMED = 4;

/** Bounds of the counter of `there` less that of `here`, for any two CPUs that were measured; of one CPU 0. */
type BoundsBetween = (here: number, there: number) => { lowest: bigint; highest: bigint };

function boundsBetween(offsets: readonly PairBounds[]): BoundsBetween {
  const known = new Map(offsets.map((entry) => [entry.pair.join(), entry]));
  return (here, there) => {
    const forth = known.get(`${here},${there}`);
    if (forth !== undefined) return forth;
    const back = known.get(`${there},${here}`);
    return back === undefined
      ? { lowest: 0n, highest: 0n }
      : { lowest: -back.highest, highest: -back.lowest };
  };
}

/**
 * CPUs apart by their counters: within a group the bounds of every pair hold 0. The largest group first, of equal ones
 * that with the lowest CPU; CPUs ascending.
 */
export function groupByOffset(cpus: readonly number[], offsets: readonly PairBounds[]): number[][] {
  const between = boundsBetween(offsets);
  const [reference] = cpus;
  if (reference === undefined) return [];
  const twice = (cpu: number): bigint => {
    const { lowest, highest } = between(reference, cpu);
    return lowest + highest;
  };
  const inOrder = cpus.toSorted((a, b) => Number(twice(a) - twice(b)) || a - b);
  const isEqual = (a: number, b: number): boolean => {
    const { lowest, highest } = between(a, b);
    return lowest <= 0n && highest >= 0n;
  };
  const groups: number[][] = [];
  for (const cpu of inOrder) {
    const group = groups.at(-1);
    if (group?.every((member) => isEqual(member, cpu)) === true) group.push(cpu);
    else groups.push([cpu]);
  }
  for (const group of groups) group.sort((a, b) => a - b);
  return groups.toSorted((a, b) => b.length - a.length || (a[0] as number) - (b[0] as number));
}

/**
 * How the groups of {@link groupByOffset} differ from the first of them, in words of bounded length: `CPUs 32-63 are
 * ahead of CPUs 0-31 by 4,950 cycles or more`, which holds for every pair of the two.
 *
 * @param format a positive number of cycles, for people
 */
export function describeGroups(
  groups: readonly (readonly number[])[],
  offsets: readonly PairBounds[],
  format: (cycles: number) => string,
): string {
  const between = boundsBetween(offsets);
  const [first, ...others] = groups;
  if (first === undefined) return '';
  const relations = others.map((group) => {
    const bounds = first.flatMap((here) => group.map((there) => between(here, there)));
    // At least so many cycles ahead in each pair, or behind; not positive in a pair whose bounds hold 0.
    const least = (values: readonly bigint[]): bigint =>
      values.reduce((least, one) => (one < least ? one : least));
    const ahead = bounds.map(({ lowest }) => lowest);
    const behind = bounds.map(({ highest }) => -highest);
    const verb = group.length === 1 ? 'is' : 'are';
    if (least(ahead) > 0n)
      return `${nameCpus(group)} ${verb} ahead of ${nameCpus(first)} by ${format(Number(least(ahead)))} or more`;
    if (least(behind) > 0n)
      return `${nameCpus(group)} ${verb} behind ${nameCpus(first)} by ${format(Number(least(behind)))} or more`;
    return `${nameCpus(group)} ${group.length === 1 ? 'differs' : 'differ'} from some of ${nameCpus(first)}`;
  });
  const more = relations.length - MOST_NAMED;
  return relations.slice(0, MOST_NAMED).join(', ') + (more > 0 ? `, and ${plural(more, 'more group')}` : '');
}

/**
 * Between which CPUs readings went back, in words of bounded length: groups, where every pair of two groups did and none
 * within a group, else the number of pairs and the CPUs that take part.
 */
export function describeWarped(warped: readonly (readonly [number, number])[]): string {
  const cpus = [...new Set(warped.flat())].toSorted((a, b) => a - b);
  const known = new Set(warped.map(([here, there]) => `${here},${there}`));
  const isWarped = (a: number, b: number): boolean => known.has(`${a},${b}`) || known.has(`${b},${a}`);
  const groups = new Map<string, number[]>();
  for (const cpu of cpus) {
    const agreeing = cpus.filter((other) => !isWarped(cpu, other)).join();
    groups.set(agreeing, [...(groups.get(agreeing) ?? []), cpu]);
  }
  const areGroups = [...groups].every(([agreeing, members]) => agreeing === members.join());
  if (areGroups && groups.size <= MOST_NAMED) {
    return `between ${[...groups.values()].map(nameCpus).join(' and ')}`;
  }
  return `in ${plural(warped.length, 'pair')} of ${nameCpus(cpus)}`;
}
