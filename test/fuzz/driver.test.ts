import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { LatchclockError } from '../../lib/errors.ts';
import { describeFinding, type FuzzRun, fuzz, inputAt, keep, LIMITS, type Subject } from './driver.ts';
import { applyAll, mutationsOf, type Sample } from './mutate.ts';
import { randomFor, SplitMix64 } from './random.ts';
import { SUBJECTS } from './subjects.ts';

const SEED = 20_201_208n;

function sampleOf(length: number): Sample {
  const bytes = Uint8Array.from({ length }, (_, index) => (index * 7) & 0x7f);
  return { name: `${length} bytes`, bytes, fields: [{ at: 0, size: 4 }] };
}

function subjectOf(run: Subject['run'], samples: readonly Sample[] = [sampleOf(256), sampleOf(64)]): Subject {
  return { name: 'planted', samples, codes: ['ERR_BAD_PAGE'], run };
}

function only(run: FuzzRun): FuzzRun['findings'][number] {
  expect(run.findings).toHaveLength(1);
  return run.findings[0] as FuzzRun['findings'][number];
}

describe('a planted fault is found and shrunk:', () => {
  const IMPATIENT = { ...LIMITS, slowMs: 100, hangMs: 400, shrinkMs: 12_000 };

  test('a TypeError on a pair of bytes, down to that pair', async () => {
    const subject = subjectOf((bytes) => {
      const at = bytes.indexOf(0xff);
      if (at >= 0 && bytes[at + 1] === 0x7f) throw new TypeError('planted');
    });
    const run = await fuzz(subject, SEED, 20_000);
    const { fault, bytes } = only(run);
    expect(fault).toMatchObject({ kind: 'threw', signature: 'TypeError: planted' });
    expect([...bytes]).toEqual([0xff, 0x7f]);
    expect(run.inputs).toBe(20_000);
  });

  test('an error that is none of this package, whatever was thrown', async () => {
    const subject = subjectOf((bytes) => {
      if (bytes.length > 300) throw 'a string';
    });
    const { fault, bytes } = only(await fuzz(subject, SEED, 2000));
    expect(fault).toMatchObject({ kind: 'threw', signature: 'string' });
    expect(bytes).toEqual(new Uint8Array(301));
  });

  test("a code of another parser's, and no code of its own", async () => {
    const run = (code: 'ERR_BAD_ELF' | 'ERR_BAD_PAGE') =>
      fuzz(
        subjectOf((bytes) => {
          if (bytes[0] === 0) throw new LatchclockError(code, 'refused');
        }),
        SEED,
        500,
      );
    expect(only(await run('ERR_BAD_ELF')).fault.signature).toBe('LatchclockError ERR_BAD_ELF: refused');
    const good = await run('ERR_BAD_PAGE');
    expect(good.findings).toEqual([]);
    expect(good.reasons.get('ERR_BAD_PAGE refused')).toBe(good.inputs - good.results);
  });

  test('a message of two lines', async () => {
    const subject = subjectOf((bytes) => {
      // The class makes one line of what it is given: another way around it is planted.
      const error = new LatchclockError('ERR_BAD_PAGE', 'one');
      if (bytes[0] === 0xff) throw Object.assign(error, { message: 'one\ntwo' });
    });
    expect(only(await fuzz(subject, SEED, 2000)).fault.signature).toBe('message');
  });

  test('a result that makes no sense, also in one of several uses', async () => {
    const subject = subjectOf((bytes, attempt) => {
      attempt(() => {});
      attempt(() => assert((bytes[3] ?? 0) < 0xf0, 'planted claim'));
    });
    const { fault, bytes } = only(await fuzz(subject, SEED, 2000));
    expect(fault.signature).toBe('claim: planted claim');
    expect(bytes).toHaveLength(4);
  });

  test('a loop that takes long', async () => {
    const subject = subjectOf((bytes) => {
      const end = performance.now() + (bytes[1] === 0xff ? 250 : 0);
      while (performance.now() < end);
    });
    const { fault, bytes } = only(await fuzz(subject, SEED, 1000, IMPATIENT));
    expect(fault.kind).toBe('slow');
    expect(bytes[1]).toBe(0xff);
    expect(bytes.length).toBeLessThan(64);
  });

  test('a loop without an end; the run goes on behind it, but not for ever', async () => {
    const subject = subjectOf((bytes) => {
      while (bytes[0] === 0xff);
    });
    const run = await fuzz(subject, SEED, 400, IMPATIENT);
    expect(only(run).fault.kind).toBe('slow');
    expect([...only(run).bytes]).toEqual([0xff]);
    expect(run.inputs).toBeGreaterThan(only(run).index + 3);
    expect(run.inputs).toBeLessThan(400);
  });

  test.each([
    ['a buffer', (count: number) => new Uint8Array(count)],
    ['an array', (count: number) => new Array(count / 8).fill(0)],
  ])('%s as large as a count says', async (_, allocate) => {
    const subject = subjectOf((bytes) => {
      const count = (bytes[1] ?? 0) << 18;
      // Kept for a moment, as a parser would.
      if (count > 0) assert(allocate(count).length > 0);
    });
    const limits = { ...LIMITS, memoryBytes: 40 << 20, shrinkMs: 4000 };
    const { fault, bytes } = only(await fuzz(subject, SEED, 100, limits));
    expect(fault.kind).toBe('memory');
    expect(bytes[1]).toBeGreaterThanOrEqual(160);
  });

  test('two faults, each for itself', async () => {
    const subject = subjectOf((bytes) => {
      if (bytes[0] === 0xff) throw new RangeError('first');
      if (bytes.length > 256) throw new TypeError('second');
    });
    const { findings } = await fuzz(subject, SEED, 3000);
    expect(findings.map(({ fault }) => fault.signature).toSorted()).toEqual([
      'RangeError: first',
      'TypeError: second',
    ]);
  });
});

test('a parser without fault gives no finding, and every input is run', async () => {
  const seen: number[] = [];
  const run = await fuzz(
    subjectOf((bytes) => void seen.push(bytes.length)),
    SEED,
    5000,
  );
  expect(run).toMatchObject({ inputs: 5000, results: 5000, findings: [] });
  expect(seen).toHaveLength(5000);
});

describe('an input', () => {
  const subject = subjectOf(() => {});
  const inputs = (seed: bigint): string[] =>
    Array.from({ length: 200 }, (_, index) => Buffer.from(inputAt(subject, seed, index)).toString('hex'));

  test('is the same again for the same seed and index, and another for others', () => {
    expect(inputs(SEED)).toEqual(inputs(SEED));
    expect(new Set([...inputs(SEED), ...inputs(SEED + 1n)]).size).toBeGreaterThan(300);
  });

  test('is made of 1 to 16 mutations, and leaves its sample as it was', () => {
    const sample = sampleOf(256);
    const before = Uint8Array.from(sample.bytes);
    const counts = Array.from({ length: 2000 }, (_, index) => {
      const mutations = mutationsOf(randomFor(SEED, index), sample, [sample]);
      applyAll(sample.bytes, mutations);
      return mutations.length;
    });
    expect([Math.min(...counts), Math.max(...counts)]).toEqual([1, 16]);
    expect(sample.bytes).toEqual(before);
  });

  test('any part of its mutations applies to bytes of any length', () => {
    const sample = { ...sampleOf(256), tokens: ['token'] };
    for (let index = 0; index < 2000; index++) {
      const mutations = mutationsOf(randomFor(SEED, index), sample, [sample]);
      for (const length of [0, 1, 5]) applyAll(new Uint8Array(length), mutations.slice(index % 3));
    }
  });
});

test.each(
  SUBJECTS.flatMap(([subject]) => subject.samples.map((sample) => [sample.name, subject, sample] as const)),
)('the sample %s is accepted as it is, and all its fields lie in it', (_, subject, { bytes, fields }) => {
  subject.run(bytes, (use) => {
    try {
      use();
    } catch (error) {
      // A page is tried under every layout, and only its own gives all clocks.
      expect(error).toMatchObject({ code: 'ERR_BAD_PAGE' });
    }
  });
  expect(fields.every(({ at, size }) => at + size <= bytes.length)).toBe(true);
});

test('SplitMix64 gives the published numbers', () => {
  const random = new SplitMix64(1234567n);
  expect([random.next(), random.next(), random.next()]).toEqual([
    6457827717110365317n,
    3203168211198807973n,
    9817491932198370423n,
  ]);
});

describe('a finding', () => {
  const folder = mkdtempSync(join(tmpdir(), 'latchclock-fuzz-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const finding = {
    subject: 'planted',
    seed: 7n,
    index: 42,
    fault: { kind: 'threw', signature: 's', message: 'TypeError: planted' },
    bytes: Uint8Array.of(1, 2, 3),
    origin: '64 bytes: truncation',
  } as const;

  test('is kept under the name of its parser, and says how to see it again', () => {
    const path = keep(finding, folder);
    expect(path.slice(folder.length)).toMatch(/^\/planted-[0-9a-f]{12}\.bin$/);
    expect([...readFileSync(path)]).toEqual([1, 2, 3]);
    const text = describeFinding(finding, path);
    for (const part of [path, 'TypeError: planted', 'input 42', 'LATCHCLOCK_FUZZ_SEED=7', 'truncation'])
      expect(text).toContain(part);
  });

  test('too large to keep goes elsewhere', () => {
    const path = keep({ ...finding, bytes: new Uint8Array(1 << 20) }, folder);
    expect(path.startsWith(folder)).toBe(false);
    rmSync(path);
  });
});
