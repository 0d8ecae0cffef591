import { describe, expect, test } from 'vitest';
import { exploreHazard } from '../../../lib/hazards/explored/explored.ts';
import { scenariosOf } from '../../../lib/hazards/explored/scenarios.ts';
import { HAZARD_NAMES, type HazardName, MATRIX_READERS, readerName } from '../../../lib/hazards/model.ts';

const readerOf = (name: string) => {
  const found = MATRIX_READERS.find((reader) => readerName(reader) === name);
  if (found === undefined) throw new Error(`no reader ${name}`);
  return found;
};

describe('what a reader can meet', () => {
  const endsOf = (reader: string, hazard: HazardName): string[] =>
    Object.keys(exploreHazard(readerOf(reader), hazard, { quick: true })[0]?.counts ?? {}).filter(
      (name) => name !== 'states' && name !== 'steps',
    );

  test('is every end that it has, where its hazard is there for that', () => {
    expect(endsOf('latch-window', 'window-expired')).toEqual(['value', 'out-of-window']);
    expect(endsOf('latch+gen', 'migration-own-page').toSorted()).toEqual(['disrupted', 'value']);
    expect(endsOf('latch', 'adjust-held').toSorted()).toEqual(['unpublished', 'value']);
    expect(endsOf('literal-latch-window', 'window-expired').toSorted()).toEqual(['value', 'wrong']);
  });

  test('is always some value, where the matrix says safe: nothing is safe because nobody reads', () => {
    for (const reader of MATRIX_READERS.filter(({ protocol }) => !protocol.startsWith('literal'))) {
      for (const hazard of HAZARD_NAMES.filter((name) => name !== 'counter-behind')) {
        const [main] = exploreHazard(reader, hazard, { quick: true });
        const { value = 0, wrong = 0 } = main?.counts ?? {};
        expect(value + wrong, `${readerName(reader)} ${hazard}`).toBeGreaterThan(0);
      }
    }
  }, 300_000);
});

test('a variant has a name of its own, the first is main, and broken rules are told', () => {
  for (const reader of MATRIX_READERS) {
    for (const hazard of HAZARD_NAMES) {
      const scenarios = scenariosOf(reader, hazard, 2);
      expect(scenarios[0]?.variant).toBe('main');
      expect(new Set(scenarios.map(({ variant }) => variant)).size).toBe(scenarios.length);
    }
  }
  const [late] = scenariosOf(readerOf('latch-window+gen'), 'generation-late', 2);
  expect(late?.brokenRule).toContain('generation changes with the counter');
});
