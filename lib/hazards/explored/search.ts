import type { Trace } from '../model.js';
import type { MemoryModel } from './model.js';
import type { Scenario } from './scenario.js';
import { StateIndex } from './state-index.js';
import { STATE_NUMBERS, type State, World } from './world.js';

/** What an exploration found. */
export interface Exploration {
  /** States, and steps between them: all that there are, unless `complete` is false. */
  states: number;
  steps: number;
  complete: boolean;
  /** How reads ended: by the name of their end, or `wrong`. */
  ends: Record<string, number>;
  /** Steps that lead to a wrong value, the fewest possible; null if none do. */
  wrong: Trace | null;
  /** The same for a value below one that was returned before. */
  disordered: Trace | null;
  /** Whether a reader can be kept from ending for as long as all others stand still. */
  waits: boolean;
}

const MOST_STATES = 4_000_000;

/**
 * Explores every interleaving of a scenario under a memory model, breadth first, so that the first path to a state is a
 * shortest one. States that are equal are met once.
 *
 * What is left out loses nothing: steps that touch nothing shared are made with the step before them, since they commute
 * with those of the others; time passes where the counter is read, since nothing else sees it; and two reads are made one
 * after the other, never at once, since readers store nothing and so cannot see each other.
 *
 * @param mostStates more are not explored, and the exploration says that it is not complete
 */
export function explore(scenario: Scenario, model: MemoryModel, mostStates = MOST_STATES): Exploration {
  const world = new World(scenario, model);
  const start = world.start();
  const states: State[] = [start];
  const index = new StateIndex(STATE_NUMBERS);
  const key = new Int32Array(STATE_NUMBERS);
  const numberOf = (state: State): number => {
    world.numbersInto(state, key);
    return index.numberOf(key);
  };
  numberOf(start);
  const parents: number[] = [-1];
  const readerSteps: number[][] = [];
  const ends: Record<string, number> = {};
  let steps = 0;
  let wrong: { at: number; verdict: string } | null = null;
  let disordered: { at: number; verdict: string } | null = null;
  let number = 0;
  for (; number < states.length && states.length <= mostStates; number++) {
    const from = number;
    const state = states[from] as State;
    const end = world.endOf(state);
    if (end !== null) {
      const wrongness = world.wrongness(state);
      const name = wrongness === null ? end : 'wrong';
      ends[name] = (ends[name] ?? 0) + 1;
      if (wrongness !== null) wrong ??= { at: from, verdict: wrongness };
      const disorder = world.disorder(state);
      if (disorder !== null) disordered ??= { at: from, verdict: disorder };
    }
    const byReader: number[] = [];
    world.step(state, (next, isReaders) => {
      steps++;
      const to = numberOf(next);
      if (to === states.length) {
        states.push(next);
        parents.push(from);
      }
      if (isReaders) byReader.push(to);
    });
    readerSteps.push(byReader);
  }
  const traceTo = (last: { at: number; verdict: string } | null): Trace | null => {
    if (last === null) return null;
    const path: number[] = [];
    for (let at = last.at; at >= 0; at = parents[at] as number) path.unshift(at);
    const labels = path.slice(1).map((to, place) => {
      let found = '';
      world.step(states[path[place] as number] as State, (next, _, label) => {
        if (found === '' && numberOf(next) === to) found = label();
      });
      return found;
    });
    return { steps: labels, verdict: last.verdict };
  };
  return {
    states: states.length,
    steps,
    complete: number === states.length,
    ends,
    wrong: traceTo(wrong),
    disordered: traceTo(disordered),
    waits: hasCycle(readerSteps),
  };
}

/** Whether a graph, given by the successors of each node, has a cycle. */
function hasCycle(edges: readonly (readonly number[])[]): boolean {
  const OPEN = 1;
  const DONE = 2;
  const marks = new Uint8Array(edges.length);
  const path: { node: number; next: number }[] = [];
  const enter = (node: number): void => {
    marks[node] = OPEN;
    path.push({ node, next: 0 });
  };
  for (let root = 0; root < edges.length; root++) {
    if (marks[root] === 0) enter(root);
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const to = edges[top.node]?.[top.next++];
      if (to === undefined) {
        marks[top.node] = DONE;
        path.pop();
      } else if (marks[to] === OPEN) {
        return true;
      } else if (marks[to] === 0) {
        enter(to);
      }
    }
  }
  return false;
}
