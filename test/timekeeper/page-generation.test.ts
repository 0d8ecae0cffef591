import { expect, test } from 'vitest';
import { LatchclockError } from '../../lib/errors.js';
import { withGenerationOf } from '../../lib/timekeeper/page-generation.js';
import { SimulatedSource } from '../../lib/timekeeper/simulated-source.js';
import type { SourceSample } from '../../lib/timekeeper/source.js';
import { pageFor, setGeneration } from './run-support.js';

/** A source in which something happens while it is sampled. */
class Interrupted extends SimulatedSource {
  during: (() => void)[] = [];

  override sample(): SourceSample {
    const sample = super.sample();
    this.during.shift()?.();
    return sample;
  }
}

function made(): { page: ReturnType<typeof pageFor>; source: Interrupted } {
  const page = pageFor('two-window', 'page');
  setGeneration(page, 1n);
  return { page, source: new Interrupted({ cycles: 10n ** 15n }) };
}

test('a sample across a change of the generation is thrown away, and so is an error that came of one', () => {
  const { page, source } = made();
  const move = (to: bigint, generation: bigint): void => {
    source.moveCounter(to, true);
    setGeneration(page, generation);
  };
  const wrapped = withGenerationOf(page, source);
  source.during = [() => move(10n ** 12n, 2n)];
  expect(wrapped.sample()).toMatchObject({ cycles: 10n ** 12n, generation: 2n });
  source.during = [
    () => {
      move(10n ** 16n, 3n);
      throw new LatchclockError('ERR_SOURCE', 'half of this and half of that', { where: 'a test' });
    },
  ];
  expect(wrapped.sample()).toMatchObject({ cycles: 10n ** 16n, generation: 3n });
  expect(wrapped.generation?.()).toBe(3n);
});

test('an error without a change is passed on, and a generation that never stands still ends with ERR_SOURCE', () => {
  const { page, source } = made();
  const wrapped = withGenerationOf(page, source);
  const failed = new LatchclockError('ERR_SOURCE', 'cannot be read', { where: 'a test' });
  source.during = [
    () => {
      throw failed;
    },
  ];
  expect(() => wrapped.sample()).toThrow(failed);
  source.during = Array.from({ length: 100 }, (_, at) => () => setGeneration(page, BigInt(at + 2)));
  expect(() => wrapped.sample()).toThrow(
    expect.objectContaining({ code: 'ERR_SOURCE', what: expect.stringMatching(/during each of 16 samples/) }),
  );
});
