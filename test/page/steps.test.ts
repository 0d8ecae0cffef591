import { describe, expect, test } from 'vitest';
import { fence, itemsOf } from '../../lib/page/protocols/items.ts';
import { latchWriter } from '../../lib/page/protocols/latch-writer.ts';
import { pvclockReader } from '../../lib/page/protocols/pvclock.ts';
import { OWN_READERS, type OwnReaderName } from '../../lib/page/protocols/readers.ts';
import { seqlockWriter } from '../../lib/page/protocols/seqlock-writer.ts';
import { twoWindowWriter } from '../../lib/page/protocols/two-window-writer.ts';
import { vmclockReader } from '../../lib/page/protocols/vmclock.ts';
import {
  advance,
  assemble,
  bytesMemory,
  endOf,
  type Item,
  joinMemories,
  jump,
  label,
  type Program,
  perform,
  runSteps,
  type StepMemory,
  startOf,
} from '../../lib/page/steps.ts';
import { image, options, pageOf } from './protocols/support.ts';

type Register = 'a' | 'b' | 'sum';
const { load, store, counter, compute, branch } = itemsOf<Register>();
const zero = { a: 0n, b: 0n, sum: 0n };
const done: Item<Register, 'done'> = { kind: 'end', note: 'done', end: 'done' };
const bad = expect.objectContaining({ name: 'LatchclockError', code: 'ERR_BAD_ARGUMENT' });

describe('a program', () => {
  const adding = assemble<Register, 'done'>('adding', zero, [
    load('load a', 0, 'a', 'acquire'),
    load('load b', ({ a }) => Number(a), 'b', 'relaxed', 1),
    compute('add', ({ a, b }) => ({ sum: a + b, a: b, b: a })),
    fence('full', 'in between'),
    store('store', 16, ({ sum }) => sum, 'release'),
    counter('read the counter', 'b', true),
    done,
  ]);

  test('runs from its first step to an end', () => {
    const bytes = new Uint8Array(24);
    bytes[0] = 9;
    bytes[9] = 33;
    const run = runSteps(adding, bytesMemory(bytes), () => -1n);
    // All registers of a compute are of before it, and a counter has 64 bits.
    expect(run).toEqual({ end: 'done', registers: { a: 33n, b: 2n ** 64n - 1n, sum: 42n }, steps: 6 });
    expect(bytes[16]).toBe(42);
  });

  test('is not changed by a run, nor is a state', () => {
    const memory = bytesMemory(new Uint8Array(24));
    const first = Object.freeze({ ...startOf(adding), registers: Object.freeze({ ...zero }) });
    const second = perform(adding, first, memory, () => 0n);
    expect(second).toEqual({ pc: 1, registers: zero });
    expect(first).toEqual(startOf(adding));
  });

  test('starts with its own registers, or others', () => {
    expect(startOf(adding, { b: 7n })).toEqual({ pc: 0, registers: { a: 0n, b: 7n, sum: 0n } });
    const from = { pc: 5, registers: { ...zero, sum: 1n } };
    expect(runSteps(adding, bytesMemory(new Uint8Array(8)), () => 3n, { from })).toEqual({
      end: 'done',
      registers: { a: 0n, b: 3n, sum: 1n },
      steps: 1,
    });
  });

  test('stays at its end', () => {
    const state = { pc: adding.steps.length - 1, registers: zero };
    expect(endOf(adding, state)).toBe('done');
    expect(endOf(adding, startOf(adding))).toBeUndefined();
    expect(perform(adding, state, bytesMemory(new Uint8Array(0)), () => 0n)).toBe(state);
  });

  test('has no step behind its last', () => {
    expect(() =>
      perform(adding, { pc: 99, registers: zero }, bytesMemory(new Uint8Array(0)), () => 0n),
    ).toThrow(bad);
  });

  test('goes to labels, forwards and backwards', () => {
    const counting = assemble<Register, 'done'>('counting', zero, [
      jump('test', 'first the test'),
      label('body'),
      compute('count', ({ a }) => ({ a: a + 1n })),
      label('test'),
      label('also'),
      branch('below 5', 'body', ({ a }) => a < 5n),
      done,
    ]);
    expect(counting.steps.map((step) => (step.kind === 'branch' ? step.to : step.kind))).toEqual([
      2,
      'compute',
      1,
      'end',
    ]);
    const run = runSteps(counting, bytesMemory(new Uint8Array(0)), () => 0n);
    expect(run.registers.a).toBe(5n);
  });

  test('that does not end is stopped', () => {
    const forever = assemble<Register, 'done'>('forever', zero, [label('on'), jump('on', 'on'), done]);
    expect(() => runSteps(forever, bytesMemory(new Uint8Array(0)), () => 0n, { mostSteps: 1_000 })).toThrow(
      expect.objectContaining({ code: 'ERR_RETRIES', what: '1000 steps did not bring it to an end' }),
    );
  });

  test.each<[string, Item<Register, 'done'>[]]>([
    ['a missing label', [jump('nowhere', 'go'), done]],
    ['a label twice', [label('here'), label('here'), done]],
    ['no end', [load('load', 0, 'a')]],
    ['no step', []],
    ['a label behind the end', [done, label('late')]],
  ])('with %s is not assembled', (_, items) => {
    expect(() => assemble('wrong', zero, items)).toThrow(bad);
  });

  test('is advanced by answers alone', () => {
    const [first] = adding.steps;
    if (first === undefined) throw new Error('there is a first step');
    expect(advance(first, startOf(adding), 8n)).toEqual({ pc: 1, registers: { a: 8n, b: 0n, sum: 0n } });
  });
});

describe('bytes as memory', () => {
  test('are little-endian words of 1, 4 and 8 bytes', () => {
    const memory = bytesMemory(new Uint8Array([1, 2, 3, 4, 5, 6, 7, 0xf8]));
    expect(memory.load(0, 8, 'acquire')).toBe(0xf807060504030201n);
    expect(memory.load(4, 4, 'relaxed')).toBe(0xf8070605n);
    expect(memory.load(7, 1, 'relaxed')).toBe(0xf8n);
  });

  test('keep what fits of a value', () => {
    const bytes = new Uint8Array(16);
    const memory = bytesMemory(bytes);
    memory.store(8, 8, -1n, 'release');
    memory.store(0, 4, (1n << 32n) + 5n, 'relaxed');
    memory.store(4, 1, 0x1ffn, 'relaxed');
    expect([...bytes]).toEqual([5, 0, 0, 0, 0xff, 0, 0, 0, ...Array<number>(8).fill(0xff)]);
  });

  test('may lie inside a buffer, and be shared', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(64), 16, 29);
    const memory = bytesMemory(shared);
    memory.store(16, 8, 77n, 'release');
    memory.store(28, 1, 5n, 'relaxed');
    expect(shared[16]).toBe(77);
    expect(memory.load(28, 1, 'relaxed')).toBe(5n);
    expect(() => memory.load(24, 8, 'relaxed')).toThrow(bad);
  });

  test('are not touched outside, nor across', () => {
    const memory = bytesMemory(new Uint8Array(16));
    for (const at of [-8, 4, 12, 16, 0.5]) expect(() => memory.load(at, 8, 'relaxed')).toThrow(bad);
    for (const at of [2, 16]) expect(() => memory.store(at, 4, 0n, 'relaxed')).toThrow(bad);
    expect(() => bytesMemory(new Uint8Array(new ArrayBuffer(32), 4))).toThrow(bad);
  });

  test('two join into one', () => {
    const [first, second] = [new Uint8Array(8), new Uint8Array(16)];
    const memory = joinMemories(bytesMemory(first), 8, bytesMemory(second));
    memory.store(0, 8, 1n, 'relaxed');
    memory.store(16, 8, 2n, 'relaxed');
    expect([first[0], second[0], second[8]]).toEqual([1, 0, 2]);
    expect(memory.load(16, 8, 'relaxed')).toBe(2n);
  });
});

const PUBLISHED = { image: () => image() };
const PROGRAMS: readonly Program[] = [
  ...(Object.keys(OWN_READERS) as OwnReaderName[]).flatMap((protocol) =>
    (['none', 'tagged', 'untagged'] as const).map((generation) =>
      OWN_READERS[protocol](options({ generation })),
    ),
  ),
  vmclockReader(),
  pvclockReader(),
  seqlockWriter(PUBLISHED),
  seqlockWriter({ ...PUBLISHED, counterRead: 'before', fence: 'release', generationAt: 0x48 }),
  latchWriter(PUBLISHED),
  twoWindowWriter({ ...PUBLISHED, keep: 'found', overlap: false, keptFirst: true }),
];

describe.each(PROGRAMS.map((program) => [program.name, program] as const))(
  'the program of the %s',
  (_, program) => {
    test('makes at most one access a step, and says in each what it does', () => {
      let accesses = 0;
      const bytes = bytesMemory(pageOf(0n, [image(), image({ base: 5_000n })]));
      const count = <T>(access: () => T): T => {
        accesses++;
        return access();
      };
      const memory: StepMemory = {
        load: (...access) => count(() => bytes.load(...access)),
        store: (...access) => count(() => bytes.store(...access)),
      };
      let state = startOf(program);
      for (let steps = 0; endOf(program, state) === undefined && steps < 500; steps++) {
        accesses = 0;
        state = perform(program, state, memory, () => count(() => 5_010n));
        expect(accesses).toBeLessThanOrEqual(1);
      }
      expect(endOf(program, state)).toBeDefined();
      for (const step of program.steps) expect(step.note).toMatch(/^[a-z].*[^.]$/);
    });

    test('is a function of its registers: steps told the same twice answer the same', () => {
      const registers = Object.freeze(
        Object.fromEntries(Object.keys(program.initial).map((name, at) => [name, BigInt(at * 13 + 1)])),
      );
      for (const step of program.steps) {
        const once = advance(step, { pc: 0, registers }, 5n);
        expect(advance(step, { pc: 0, registers }, 5n)).toEqual(once);
        expect(Object.keys(once.registers).toSorted()).toEqual(Object.keys(program.initial).toSorted());
        for (const value of Object.values(once.registers)) expect(typeof value).toBe('bigint');
        if (step.kind === 'store') expect(step.value(registers)).toBe(step.value(registers));
        if (step.kind === 'load' || step.kind === 'store')
          expect(step.at(registers)).toBe(step.at(registers));
      }
    });
  },
);
