import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Thread } from '../../../lib/hazards/explored/thread.ts';
import { COPY_OFFSETS } from '../../../lib/page/clock-page.ts';
import { OWN_READERS, type OwnReaderName } from '../../../lib/page/protocols/readers.ts';
import { outcomeOf, type ReaderRegister } from '../../../lib/page/protocols/reading.ts';
import { assemble, bytesMemory, type Program, runSteps, startOf } from '../../../lib/page/steps.ts';
import { image, options, pageOf } from '../../page/protocols/support.ts';

const READERS = Object.keys(OWN_READERS) as OwnReaderName[];
const word = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

test.each(READERS)('%s writes every register but ns before it reads it, in a try', (name) => {
  const program = OWN_READERS[name](options({ generation: 'tagged' }));
  const names = Object.keys(program.initial).filter(
    (register) => !['ns', 'retries', 'tries'].includes(register),
  ) as ReaderRegister[];
  fc.assert(
    fc.property(
      fc.record({ count: fc.bigInt({ min: 0n, max: 7n }), cycles: fc.bigInt({ min: 900n, max: 1_700n }) }),
      fc.array(word, { minLength: names.length, maxLength: names.length }),
      ({ count, cycles }, junk) => {
        const memory = bytesMemory(pageOf(count, [image(), image({ seed: 2n, base: 1_500n })]));
        const clean = outcomeOf(runSteps(program, memory, () => cycles));
        const from = startOf<ReaderRegister>(
          program,
          Object.fromEntries(names.map((key, i) => [key, junk[i]])),
        );
        const dirty = outcomeOf(runSteps(program, memory, () => cycles, { from }));
        expect({ end: dirty.end, ns: dirty.ns }).toEqual({ end: clean.end, ns: clean.ns });
      },
    ),
    { numRuns: 300 },
  );
});

const AT = COPY_OFFSETS[0].base;

test('steps that touch nothing shared are made at once, loads of constants among them', () => {
  const program = assemble<'a' | 'b', 'done'>('example', { a: 0n, b: 0n }, [
    { kind: 'load', note: 'a constant', at: () => 8, bytes: 8, order: 'relaxed', into: 'a' },
    { kind: 'compute', note: 'more', set: ({ a }) => ({ b: a + 1n }) },
    { kind: 'load', note: 'what others change', at: () => AT, bytes: 8, order: 'acquire', into: 'a' },
    { kind: 'end', note: 'done', end: 'done' },
  ]);
  const thread = new Thread(program as unknown as Program, {
    constant: new Map([[8, 41n]]),
    isUnread: () => false,
  });
  const start = thread.start();
  expect(start.access).toMatchObject({ kind: 'load', at: AT, order: 'acquire' });
  expect(start.registers).toEqual({ a: 41n, b: 42n });
  const next = thread.after(start, 5n);
  expect(next.access).toMatchObject({ kind: 'end' });
  // The same state is the same object.
  expect(thread.after(start, 5n)).toBe(next);
  expect(thread.after(start, 6n)).not.toBe(next);
});

test('a store of another value into a word that is held to be constant is refused', () => {
  const program = assemble<'a', 'done'>('example', { a: 0n }, [
    { kind: 'store', note: 'store', at: () => 8, bytes: 8, order: 'relaxed', value: () => 2n },
    { kind: 'end', note: 'done', end: 'done' },
  ]);
  const thread = (value: bigint) =>
    new Thread(program as unknown as Program, { constant: new Map([[8, value]]), isUnread: () => false });
  expect(thread(2n).start().access.kind).toBe('end');
  expect(() => thread(1n)).toThrow(expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }));
});
